"""A DICOM data set as tags and places in a buffer: values are decoded when they are asked for, pixels never.

Converting every element to an object is what makes general readers slow; here an element is only where its value
lies. Lengths are believed only as far as the bytes go, so that a cut file is told from a whole one (PS3.5 section 7).
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass, field
from functools import lru_cache

from pydicom.charset import convert_encodings, decode_bytes

from etl.sources.dicom.tags import CHARACTER_SET

LONG_VRS = frozenset([b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"])
"""Value representations with a 32-bit length after two reserved bytes (PS3.5 section 7.1.2)."""
SHORT_VRS = frozenset(
    name.encode()
    for name in "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()  # noqa: SIM905
)
_DECIMAL_VRS = frozenset([b"DS", b"IS", b"LO", b"SH"])
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = frozenset([0x7FE00008, 0x7FE00009, 0x7FE00010])
MAX_ELEMENTS = 500_000
"""Of one object before its pixels; a vendor's largest dose report has about 20,000."""
MAX_FLAGS = 100
MAX_TEXT = 8192
"""Bytes of one text value that are read; the longest of the standard that lands is 64 characters."""

Element = tuple[bytes, int, int, "list[DataSet] | None"]
"""VR (empty where implicit), start and length of the value, and the items where reading had to open them."""


class DamagedError(Exception):
    """The bytes are no whole data set. `reason` is a stable code, the message a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TruncatedError(DamagedError):
    """The bytes end before the data set does."""

    def __init__(self, message: str) -> None:
        super().__init__("truncated", message)


class _Structs:
    """Number formats of one byte order."""

    def __init__(self, mark: str) -> None:
        self.tag_vr_length = struct.Struct(f"{mark}HH2sH").unpack_from
        self.tag_length = struct.Struct(f"{mark}HHI").unpack_from
        self.length = struct.Struct(f"{mark}I").unpack_from
        self.mark = mark


LITTLE, BIG = _Structs("<"), _Structs(">")


@dataclass
class Buffer:
    """The bytes that a data set and all its items lie in, and what was doubtful in them."""

    data: bytes
    structs: _Structs = LITTLE
    max_nesting: int = 64
    flags: list[str] = field(default_factory=list)
    elements_left: int = MAX_ELEMENTS
    lenient: bool = False
    """A sequence whose items do not fit is flagged and taken as empty: the facts of an image do not hang on it."""

    def flag(self, text: str) -> None:
        """Notes a doubt once; a broken object may have any number of them, the first hundred tell enough."""
        if len(self.flags) < MAX_FLAGS and text not in self.flags:
            self.flags.append(text)


@lru_cache(maxsize=64)
def _encodings(names: tuple[str, ...]) -> tuple[list[str], bool]:
    """Python codecs of (0008,0005) and whether all its terms are known."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            return list(convert_encodings(list(names) or [""])), not caught
        except (LookupError, ValueError):
            return ["latin_1"], False


def _decode(raw: bytes, names: tuple[str, ...], buffer: Buffer) -> str:
    """Text of a value beyond ASCII: by its character set, else as ISO_IR 100 with a flag (old Siemens CT)."""
    encodings, known = _encodings(names)
    if names and known:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                return decode_bytes(raw, encodings, {0x5C, 0x0A, 0x0C, 0x0D, 0x3D, 0x5E})
            except (UnicodeError, UserWarning, LookupError, ValueError):
                buffer.flag("(0008,0005): text does not fit the character set, read as ISO_IR 100")
    else:
        buffer.flag("(0008,0005): character set absent or unknown, read as ISO_IR 100")
    return raw.decode("latin_1")


class DataSet:
    """One data set or sequence item."""

    __slots__ = ("buffer", "charset", "depth", "elements", "explicit")

    def __init__(self, buffer: Buffer, explicit: bool, depth: int = 0, charset: tuple[str, ...] = ()) -> None:
        self.buffer = buffer
        self.explicit = explicit
        self.depth = depth
        self.charset = charset
        self.elements: dict[int, Element] = {}

    def __contains__(self, tag: int) -> bool:
        return tag in self.elements

    def vr(self, tag: int) -> bytes:
        """The VR as written; empty where the encoding is implicit or the element absent."""
        element = self.elements.get(tag)
        return element[0] if element else b""

    def raw(self, tag: int) -> bytes:
        """The bytes of a value; empty where absent or a sequence that was opened."""
        element = self.elements.get(tag)
        if element is None or element[3] is not None:
            return b""
        return self.buffer.data[element[1] : element[1] + element[2]]

    def text(self, tag: int) -> str:
        """A text value without padding; empty where absent."""
        element = self.elements.get(tag)
        if element is None or element[3] is not None or not element[2]:
            return ""
        length = element[2]
        if length > MAX_TEXT:
            self.buffer.flag(f"({tag >> 16:04X},{tag & 0xFFFF:04X}): text of {length} bytes, cut")
            length = MAX_TEXT
        raw = self.buffer.data[element[1] : element[1] + length]
        if raw.isascii() and b"\x1b" not in raw:
            return raw.decode("ascii").strip(" \0")
        return _decode(raw, self.charset, self.buffer).strip(" \0")

    def texts(self, tag: int) -> list[str]:
        """The values of a text element that may have several."""
        text = self.text(tag)
        return [part.strip(" \0") for part in text.split("\\")] if text else []

    def numbers(self, tag: int, code: str) -> list[float]:
        """The values of a binary number element by its struct code (`d` FD, `H` US …); none where it is text."""
        raw = self.raw(tag)
        if not raw or len(raw) % struct.calcsize(code) or self.vr(tag) in _DECIMAL_VRS:
            return []
        return list(struct.unpack(f"{self.buffer.structs.mark}{len(raw) // struct.calcsize(code)}{code}", raw))

    def number_texts(self, tag: int, code: str) -> list[str]:
        """The values of a binary number element as decimal texts, or the texts that stand in its place."""
        values = self.numbers(tag, code)
        return [repr(value) for value in values] if values else [text for text in self.texts(tag) if text]

    def items(self, tag: int) -> list[DataSet]:
        """The items of a sequence; empty where it is absent or empty.

        Raises:
            DamagedError: the items do not fill the sequence.
        """
        element = self.elements.get(tag)
        if element is None:
            return []
        vr, start, length, items = element
        if items is None:
            try:
                items = _items(self, start, start + length, delimited=False, guess=vr == b"UN")[0] if length else []
            except DamagedError:
                if not self.buffer.lenient:
                    raise
                self.buffer.flag(f"({tag >> 16:04X},{tag & 0xFFFF:04X}): items do not fit their sequence, not read")
                items = []
            self.elements[tag] = (vr, start, length, items)
        return items

    def private(self, group: int, creator: str, number: int) -> int:
        """The tag of a private element, wherever its creator reserved a block (PS3.5 section 7.8); 0 without one."""
        for block in range(0x10, 0x100):
            if self.text(group << 16 | block) == creator:
                return group << 16 | block << 8 | number
        return 0


def has_vr(data: bytes, pos: int) -> bool:
    """Whether the element at `pos` carries a known VR, as explicit encoding does."""
    vr = data[pos + 4 : pos + 6]
    return vr in SHORT_VRS or vr in LONG_VRS


def read_data_set(data_set: DataSet, pos: int, end: int, delimited: bool = False) -> int:
    """Fills the data set from `pos` and returns where it ends.

    A top level (depth 0) stops before Pixel Data; a delimited item stops after its delimiter.

    Raises:
        TruncatedError: an element reaches beyond `end`.
        DamagedError: the bytes are no elements.
    """
    buffer, elements = data_set.buffer, data_set.elements
    data, structs = buffer.data, buffer.structs
    unpack = structs.tag_vr_length if data_set.explicit else None
    left = buffer.elements_left
    while pos < end:
        left -= 1
        if left < 0:
            raise DamagedError("too-many-elements", f"the object has more than {MAX_ELEMENTS} elements")
        if pos + 8 > end:
            raise TruncatedError(f"the element at byte {pos} is cut")
        start = pos + 8
        if unpack is not None:
            group, number, vr, length = unpack(data, pos)
            if vr in LONG_VRS:
                start = pos + 12
                if start > end:
                    raise TruncatedError(f"the element at byte {pos} is cut")
                (length,) = structs.length(data, pos + 8)
            elif vr not in SHORT_VRS:
                vr, start, length = _odd_element(data_set, pos, end)
        else:
            group, number, length = structs.tag_length(data, pos)
            vr = b""
        tag = group << 16 | number
        if not tag:
            raise _no_element(data_set, pos, end)
        if group >= 0x7FE0:
            if tag in PIXEL_DATA and data_set.depth == 0:
                break
            if tag == ITEM_END and delimited:
                pos = start
                break
            if group == 0xFFFE:
                raise DamagedError("malformed", f"a delimiter stands at byte {pos} where an element was expected")
        if length == UNDEFINED:
            buffer.elements_left = left
            items, pos = _undefined(data_set, tag, vr, start, end)
            left = buffer.elements_left
            elements[tag] = (vr, start, pos - start, items)
        else:
            pos = start + length
            if pos > end:
                raise TruncatedError(
                    f"({group:04X},{number:04X}) declares {length} bytes and {max(end - start, 0)} are there"
                )
            elements[tag] = (vr, start, length, None)
        if tag == CHARACTER_SET:
            data_set.charset = tuple(part for part in data_set.texts(tag) if part)
    else:
        if delimited:
            raise TruncatedError("an item has no end")
    buffer.elements_left = left
    return pos


def _no_element(data_set: DataSet, pos: int, end: int) -> DamagedError:
    """Why a tag (0000,0000) stands in a data set: zeros fill the file up, or the bytes are something else."""
    if data_set.depth == 0 and not any(data_set.buffer.data[pos:end]):
        return DamagedError("trailing-data", f"only zeros follow from byte {pos}")
    return DamagedError("malformed", f"no element stands at byte {pos}")


def _odd_element(data_set: DataSet, pos: int, end: int) -> tuple[bytes, int, int]:
    """VR, start and length of an element whose VR is unknown.

    A VR that PS3.5 adds later has the long form (section 6.2); a converter's invention mostly the short one.
    """
    data, structs = data_set.buffer.data, data_set.buffer.structs
    group, number, vr, length = structs.tag_vr_length(data, pos)
    if group == 0xFFFE:
        return b"", pos + 8, structs.length(data, pos + 4)[0]
    if not vr.isalpha():
        if not group and not number:
            raise _no_element(data_set, pos, end)
        raise DamagedError("malformed", f"({group:04X},{number:04X}) at byte {pos} has no value representation")
    data_set.buffer.flag(f"({group:04X},{number:04X}): unknown value representation")
    if length == 0 and pos + 12 <= end:
        (long_length,) = structs.length(data, pos + 8)
        if pos + 12 + long_length <= end and not has_vr(data, pos + 8):
            return vr, pos + 12, long_length
    return vr, pos + 8, length


def _undefined(data_set: DataSet, tag: int, vr: bytes, start: int, end: int) -> tuple[list[DataSet] | None, int]:
    """Items and end of a value of undefined length: a sequence, or an icon's fragments, which are passed over."""
    if vr in {b"OB", b"OW"} or tag in PIXEL_DATA:
        return None, _after_fragments(data_set.buffer, start, end)
    if vr not in {b"", b"SQ", b"UN"}:
        raise DamagedError("malformed", f"({tag >> 16:04X},{tag & 0xFFFF:04X}) has no length and is no sequence")
    return _items(data_set, start, end, delimited=True, guess=vr == b"UN")


def _after_fragments(buffer: Buffer, pos: int, end: int) -> int:
    while pos + 8 <= end:
        group, number, length = buffer.structs.tag_length(buffer.data, pos)
        pos += 8
        if group << 16 | number == SEQUENCE_END:
            return pos
        pos += length
    raise TruncatedError("encapsulated data has no end")


def _items(parent: DataSet, pos: int, end: int, *, delimited: bool, guess: bool) -> tuple[list[DataSet], int]:
    """The items from `pos` and where the sequence ends.

    `guess`: a sequence with VR UN holds implicit VR (PS3.5 section 6.2.2 note 2), except where a converter left
    explicit VR in it, so each item is looked at.
    """
    buffer, depth = parent.buffer, parent.depth + 1
    if depth > buffer.max_nesting:
        raise DamagedError("nesting-too-deep", f"sequences are nested deeper than {buffer.max_nesting}")
    items: list[DataSet] = []
    while pos < end:
        if pos + 8 > end:
            raise TruncatedError(f"the item at byte {pos} is cut")
        group, number, length = buffer.structs.tag_length(buffer.data, pos)
        tag = group << 16 | number
        pos += 8
        if tag == SEQUENCE_END:
            return items, pos
        if tag != ITEM:
            raise DamagedError("malformed", f"no sequence item stands at byte {pos - 8}")
        explicit = (has_vr(buffer.data, pos) if pos + 8 <= end else False) if guess else parent.explicit
        item = DataSet(buffer, explicit, depth, parent.charset)
        if length == UNDEFINED:
            pos = read_data_set(item, pos, end, delimited=True)
        else:
            if pos + length > end:
                raise TruncatedError(f"an item at byte {pos - 8} declares {length} bytes and {end - pos} are there")
            pos = read_data_set(item, pos, pos + length)
        items.append(item)
    if delimited:
        raise TruncatedError("a sequence has no end")
    return items, pos
