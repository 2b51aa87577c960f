"""DICOM data sets that arrive as text, brought to the bytes that the byte-level reader reads (explicit VR little endian)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from etl.sources.contract import digest_of
from etl.sources.dicom.dataset import Buffer, DamagedError, DataSet, read_data_set
from etl.sources.dicom.file import DicomFile

if TYPE_CHECKING:
    from settings import Limits

TEXT_VRS = frozenset("AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())  # noqa: SIM905
"""Value representations whose value is text; others hold nothing that an order or a step is told by."""
_LONG_TEXT_VRS = frozenset(("SQ", "UC", "UR", "UT"))


class Element(NamedTuple):
    """An element on its way to bytes: text as bytes in the data set's character set, or the items of a sequence."""

    tag: int
    vr: str
    value: bytes | list[list[Element]]


def encoded(elements: list[Element]) -> bytes:
    """The elements in order of their tags, explicit VR little endian (PS3.5 section 7.1.2).

    Raises:
        DamagedError: a value is longer than its VR can hold.
    """
    return b"".join(_encoded(element) for element in sorted(elements, key=lambda element: element.tag))


def _encoded(element: Element) -> bytes:
    tag = (element.tag >> 16).to_bytes(2, "little") + (element.tag & 0xFFFF).to_bytes(2, "little")
    value = element.value
    if isinstance(value, list):
        value = b"".join(b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item for item in map(encoded, value))
    elif len(value) % 2:
        value += b"\0" if element.vr == "UI" else b" "
    if element.vr in _LONG_TEXT_VRS:
        return tag + element.vr.encode() + b"\0\0" + len(value).to_bytes(4, "little") + value
    if len(value) > 0xFFFE:
        mark = f"({element.tag >> 16:04X},{element.tag & 0xFFFF:04X})"
        raise DamagedError("malformed", f"{mark} has {len(value)} bytes, more than VR {element.vr} can hold")
    return tag + element.vr.encode() + len(value).to_bytes(2, "little") + value


def dicom_file(elements: list[Element], flags: list[str], limits: Limits) -> DicomFile:
    """What the byte-level reader makes of the elements; those of group 0002 are the file meta information.

    Raises:
        DamagedError: they cannot be encoded, or are nested too deep.
    """
    main = encoded([element for element in elements if element.tag >> 16 > 0x0002])
    meta = encoded([element for element in elements if element.tag >> 16 == 0x0002])
    sets = []
    for content in (main, meta):
        sets.append(DataSet(Buffer(content, max_nesting=limits.max_nesting, flags=flags), explicit=True))
        read_data_set(sets[-1], 0, len(content))
    return DicomFile(sets[0], digest_of(main), len(main), sets[1], flags=flags)
