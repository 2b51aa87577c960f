"""Opening a DICOM file: part 10 or bare, its encoding, everything before its pixels, and the proof that it is whole."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO

from etl.sources.contract import Input, digest_of
from etl.sources.dicom import tags
from etl.sources.dicom.dataset import (
    BIG,
    LITTLE,
    LONG_VRS,
    SEQUENCE_END,
    UNDEFINED,
    Buffer,
    DamagedError,
    DataSet,
    TruncatedError,
    has_vr,
    read_data_set,
)

if TYPE_CHECKING:
    from settings import Limits

IMPLICIT = frozenset(["1.2.840.10008.1.2", "1.2.840.113619.5.2"])
"""Implicit VR little endian, and GE's private one whose header is the same."""
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = frozenset(["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"])
"""Deflated explicit VR and the two JPIP referenced deflate syntaxes."""
CHUNKS = (1 << 16, 1 << 22)
"""How much of a file is read at first, and then; after that all of it up to the limit."""
MAX_FRAGMENTS = 1_000_000
"""Of one image's encapsulated pixels; one frame is mostly one fragment."""


@dataclass
class DicomFile:
    """What was read of one file: the data set before its pixels, and the doubts about it."""

    data: DataSet
    digest: str
    size: int
    meta: DataSet
    """File meta information (group 0002); empty for a bare data set."""
    has_pixels: bool = False
    flags: list[str] = field(default_factory=list)


def is_bare(head: bytes) -> bool:
    """Whether the bytes look like a data set without preamble: a first element of group 0008 (or 0002) that fits."""
    if len(head) < 16 or head[:2] not in {b"\x08\x00", b"\x02\x00"} or head[2:4] > b"\x20\x00":
        return False
    if has_vr(head, 0):
        return int.from_bytes(head[6:8], "little") < len(head)
    return int.from_bytes(head[4:8], "little") <= 256 and head[3] == 0


def open_dicom(source: Input, limits: Limits) -> DicomFile:
    """The data set before its pixels.

    Raises:
        DamagedError: it is no DICOM, is cut before its pixels, or exceeds a limit.
    """
    most = limits.max_header_mb << 20
    with source.opener() as stream:
        head = b""
        for chunk in (*CHUNKS, most):
            head += stream.read(min(chunk, most) - len(head))
            whole = len(head) >= source.size
            try:
                return _read(head, source.size, stream, limits, whole=whole)
            except TruncatedError:
                if whole or chunk >= most:
                    raise
            except DamagedError as damage:
                if whole or damage.reason != "trailing-data":
                    raise
        raise DamagedError("header-too-large", f"the header is larger than the limit of {limits.max_header_mb} MB")


def _read(head: bytes, size: int, stream: BinaryIO, limits: Limits, *, whole: bool) -> DicomFile:
    start, syntax, meta = _meta(head)
    if syntax in DEFLATED:
        if not whole:
            raise TruncatedError("a deflated data set is read whole")
        return _read_deflated(head, start, size, limits, meta)
    buffer = Buffer(head, BIG if syntax == BIG_ENDIAN else LITTLE, limits.max_nesting, meta.buffer.flags)
    data_set = DataSet(buffer, _is_explicit(buffer, start, syntax))
    pos, has_pixels = _read_top(data_set, start)
    if has_pixels:
        _check_pixels(data_set, pos, size, stream)
        digest = sha256(head[:pos] + size.to_bytes(8, "big")).hexdigest()
    elif not whole:
        raise TruncatedError("the data set goes on")
    else:
        digest = digest_of(head)
    return DicomFile(data_set, digest, size, meta, has_pixels, buffer.flags)


def _read_deflated(head: bytes, start: int, size: int, limits: Limits, meta: DataSet) -> DicomFile:
    """A deflated data set, inflated under the header's limit (PS3.5 annex A.5)."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(head[start:], limits.max_header_mb << 20)
    except zlib.error as error:
        raise DamagedError("truncated", f"the deflated data set cannot be inflated: {error}") from error
    buffer = Buffer(data, LITTLE, limits.max_nesting, meta.buffer.flags)
    data_set = DataSet(buffer, explicit=True)
    try:
        _, has_pixels = _read_top(data_set, 0)
    except TruncatedError as error:
        if inflater.unconsumed_tail:
            raise DamagedError("header-too-large", f"it inflates to more than {limits.max_header_mb} MB") from error
        raise
    if not inflater.eof:
        if not has_pixels:
            raise TruncatedError("the deflated data set has no end")
        buffer.flag("pixel-data-short: the deflated data set has no end")
    return DicomFile(data_set, digest_of(head), size, meta, has_pixels, buffer.flags)


def _meta(head: bytes) -> tuple[int, str, DataSet]:
    """Where the data set starts, its transfer syntax, and the file meta information with the doubts about it."""
    meta = DataSet(Buffer(head), explicit=True)
    if head[128:132] == b"DICM":
        start = 132
        if head[132:134] != b"\x02\x00":
            raise DamagedError(
                "not-dicom-part10", "DICM at byte 128 is not followed by file meta information (PS3.10 7.1)"
            )
    elif is_bare(head):
        start = 0
        if head[:2] == b"\x08\x00":
            meta.buffer.flag("no-file-meta: bare data set")
            return 0, "1.2.840.10008.1.2.1" if has_vr(head, 0) else "1.2.840.10008.1.2", meta
    else:
        raise DamagedError("not-dicom-part10", "it has no DICM at byte 128 and does not start with a data set")
    end = start
    while head[end : end + 2] == b"\x02\x00":
        if head[end + 4 : end + 6] in LONG_VRS:
            end += 12 + int.from_bytes(head[end + 8 : end + 12], "little")
        else:
            end += 8 + int.from_bytes(head[end + 6 : end + 8], "little")
        if end > len(head):
            raise TruncatedError("the file meta information is cut")
    start = read_data_set(meta, start, end)
    syntax = meta.text(tags.TRANSFER_SYNTAX)
    if not syntax:
        if len(head) <= start:
            raise TruncatedError("the file meta information is cut")
        raise DamagedError("no-transfer-syntax", "(0002,0010) Transfer Syntax UID is missing")
    return start, syntax, meta


def _is_explicit(buffer: Buffer, start: int, syntax: str) -> bool:
    """Whether elements carry a VR: as the data set shows, with a flag where the transfer syntax says otherwise."""
    declared = syntax not in IMPLICIT
    if len(buffer.data) < start + 8:
        return declared
    found = has_vr(buffer.data, start)
    if found != declared:
        buffer.flag("(0002,0010): vr-mismatch, the data set is encoded otherwise and read as found")
    return found


def _read_top(data_set: DataSet, start: int) -> tuple[int, bool]:
    """Where the header ends and whether pixels follow."""
    data = data_set.buffer.data
    try:
        pos = read_data_set(data_set, start, len(data))
    except DamagedError as damage:
        if damage.reason != "trailing-data" or not data_set.elements:
            raise
        data_set.buffer.flag("trailing-data: only zeros follow the last element")
        return len(data), False
    return pos, pos < len(data)


def _check_pixels(data_set: DataSet, pos: int, size: int, stream: BinaryIO) -> None:
    """Flags pixels that are shorter than declared or than the matrix needs; reads none of them."""
    buffer = data_set.buffer
    header = buffer.data[pos : pos + 12].ljust(12, b"\0")
    if data_set.explicit and header[4:6] in LONG_VRS:
        start, (length,) = pos + 12, buffer.structs.length(header, 8)
    elif data_set.explicit:
        start, length = pos + 8, buffer.structs.tag_vr_length(header, 0)[3]
    else:
        start, (length,) = pos + 8, buffer.structs.length(header, 4)
    if length == 0:
        buffer.flag("(7FE0,0010): pixel-data-missing")
    elif length == UNDEFINED:
        if not _fragments_end(stream, start, size):
            buffer.flag("pixel-data-short: the encapsulated pixel data has no end")
    elif start + length > size:
        buffer.flag(f"pixel-data-short: {length} bytes declared, {max(size - start, 0)} are there")
    elif (needed := _matrix_bytes(data_set)) > length + 1:
        buffer.flag(f"(0028,0010): the matrix needs {needed} bytes, the pixel data has {length}")


def _fragments_end(stream: BinaryIO, pos: int, size: int) -> bool:
    """Whether the fragments of encapsulated pixel data (PS3.5 annex A.4) reach their delimiter within the file."""
    for _ in range(MAX_FRAGMENTS):
        if pos + 8 > size:
            break
        stream.seek(pos)
        header = stream.read(8)
        tag = int.from_bytes(header[:2], "little") << 16 | int.from_bytes(header[2:4], "little")
        if tag == SEQUENCE_END:
            return True
        pos += 8 + int.from_bytes(header[4:8], "little")
    return False


def _matrix_bytes(data_set: DataSet) -> int:
    """Bytes that uncompressed pixels of the declared matrix take; 0 where the header does not say."""
    size = 1
    for tag, default in ((tags.ROWS, 0), (tags.COLUMNS, 0), (tags.SAMPLES, 1), (tags.BITS_ALLOCATED, 0)):
        values = data_set.numbers(tag, "H")
        size *= int(values[0]) if values else default
    frames = data_set.text(tags.FRAMES)
    return size * (int(frames) if frames.isdecimal() and len(frames) < 10 and int(frames) else 1) // 8
