"""DICOM data sets as the text that dcmtk's `dcmdump` writes and `dump2dcm` reads (see its manual page, "Dump File").

One element a line: tag, VR (optional where the dictionary knows it), value, comment after `#`. A text stands in brackets,
or plain where it has no blank; a sequence and its items end with lines of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydicom.datadict import dictionary_VR

from etl.sources.dicom.dataset import ITEM, ITEM_END, SEQUENCE_END, DamagedError, TruncatedError
from etl.sources.dicom.encoding import TEXT_VRS, Element

_LINE = re.compile(
    rb"\s*\(\s*([0-9A-Fa-f]{4})\s*,\s*([0-9A-Fa-f]{4})\s*\)\s*(?:([A-Za-z]{2})(?=\s|$))?\s*(.*)", re.DOTALL
)
_NEXT_FILE = re.compile(rb"^(?=# Dicom-File-Format)", re.MULTILINE)
_NO_VALUE = (b"(", b"<", b"#")
_UID_NAMES = {
    b"ModalityPerformedProcedureStepSOPClass": b"1.2.840.10008.3.1.2.3.3",
    b"FINDModalityWorklistInformationModel": b"1.2.840.10008.5.1.4.31",
}
"""dcmtk writes a known UID as `=Name`; these two tell a performed step and a worklist entry."""


def is_dump(head: bytes) -> bool:
    """Whether the first line that is no comment starts with a tag."""
    return _LINE.match(next(_stated_lines(head), (0, b""))[1]) is not None


def dumps(content: bytes) -> list[bytes]:
    """The dumps that a file holds: `dcmdump` of several files writes one after the other."""
    return [part for part in _NEXT_FILE.split(content) if next(_stated_lines(part), None)]


def _stated_lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and text of each line that is neither blank nor a comment."""
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        if line.strip() and not line.lstrip().startswith(b"#"):
            yield number, line


def read_dump(content: bytes, flags: list[str]) -> list[Element]:
    """The elements of one dump.

    An element that is stated twice counts once, with its first value, as `dump2dcm` does it.

    Raises:
        DamagedError: a line is no element, or sequences and items do not end where they should.
    """
    levels = [_Item()]
    sequences: list[list[list[Element]]] = []
    for number, line in _lines(content):
        found = _LINE.match(line)
        if found is None:
            raise DamagedError("malformed", f"line {number} is neither an element nor a comment")
        tag = int(found[1], 16) << 16 | int(found[2], 16)
        is_between_items = len(sequences) == len(levels)
        if is_between_items != (tag in {ITEM, SEQUENCE_END}) or (tag == ITEM_END and len(levels) == 1):
            raise DamagedError("malformed", f"line {number} stands where no such element can stand")
        if tag == ITEM:
            levels.append(_Item())
            sequences[-1].append(levels[-1].elements)
        elif tag == ITEM_END:
            levels.pop()
        elif tag == SEQUENCE_END:
            sequences.pop()
        elif (
            (element := _element(tag, found[3], found[4], number))
            and levels[-1].takes(element, flags)
            and isinstance(element.value, list)
        ):
            sequences.append(element.value)
    if sequences:
        raise TruncatedError("the dump ends inside a sequence")
    return levels[0].elements


class _Item:
    """The elements of a data set or item, each tag once."""

    def __init__(self) -> None:
        self.elements: list[Element] = []
        self._tags: set[int] = set()

    def takes(self, element: Element, flags: list[str]) -> bool:
        """Adds the element, unless there is one of its tag."""
        mark = f"({element.tag >> 16:04X},{element.tag & 0xFFFF:04X})"
        if element.tag in self._tags:
            if isinstance(element.value, list):
                raise DamagedError("malformed", f"the sequence {mark} stands twice in one data set")
            flags.append(f"{mark}: stated twice, the first value is taken")
            return False
        self._tags.add(element.tag)
        self.elements.append(element)
        return True


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and text of each element; a bracket that stays open takes the next lines too."""
    lines = _stated_lines(content)
    for number, line in lines:
        parts, found = [line], _LINE.match(line)
        is_open = found is not None and found[4].startswith(b"[") and b"]" not in found[4]
        while is_open:
            _, more = next(lines, (0, None))
            if more is None:
                raise TruncatedError(f"the value that starts on line {number} has no closing bracket")
            if _LINE.match(more):
                raise DamagedError("malformed", f"the value on line {number} has no closing bracket")
            parts.append(more)
            is_open = b"]" not in more
        yield number, b"\n".join(parts)


def _element(tag: int, vr_text: bytes | None, rest: bytes, number: int) -> Element | None:
    """The element of a line; None where its VR holds no text."""
    vr = vr_text.decode().upper() if vr_text else _dictionary_vr(tag)
    if vr == "SQ":
        return Element(tag, vr, [])
    if vr not in TEXT_VRS:
        return None
    rest = rest.strip()
    if rest.startswith(b"["):
        return Element(tag, vr, rest[1 : rest.rindex(b"]")])
    if not rest or rest.startswith(_NO_VALUE):
        return Element(tag, vr, b"")
    word = re.split(rb"[\s#]", rest, maxsplit=1)[0]
    if word.startswith(b"="):
        return Element(tag, vr, _UID_NAMES.get(word[1:], word[1:]))
    if word[0] in b"])>":
        raise DamagedError("malformed", f"the value on line {number} starts with a closing bracket")
    return Element(tag, vr, word)


def _dictionary_vr(tag: int) -> str:
    try:
        return dictionary_VR(tag)[:2]
    except KeyError:
        return "LO"
