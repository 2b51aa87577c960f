"""A byte stream cut into HL7 v2 messages: files of any number of messages, batches, and raw MLLP streams.

A message starts at `MSH` at the start of a line or block and ends where the next one starts. MLLP blocks (HL7 v2
Transport Specification, MLLP release 1) start with VT and end with FS CR; one without its end was cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from etl.sources.text_stream import UTF8_MARK

CHUNK_BYTES = 1 << 20
_BLOCK_START = 0x0B
_BLOCK_END = b"\x1c"
_LINE_STARTS = b"\r\n\x0b\x1c"
_LEADING = b"\x0b \t\r\n"
_TRAILING = b"\x0b\x1c\x1a\x00\r\n"
_LOOK_BACK = 16


class ByteSource(Protocol):
    """Anything that gives bytes."""

    def read(self, length: int, /) -> bytes:
        """The next bytes; empty at the end."""
        ...


@dataclass(frozen=True)
class Frame:
    """The bytes of one message as they stand in the file, framing removed."""

    data: bytes
    problem: str = ""
    """Why it is no whole message: `no-end-block`, `message-too-large`; `no-msh` for text before the first message."""
    junk: bool = False
    """Something stood between the end block and the next message."""


def _next_start(buffer: bytes, position: int) -> tuple[int, int] | None:
    """Where the next message starts with its framing, and the place behind its `MSH`; None if there is none yet."""
    while 0 <= (found := buffer.find(b"MSH", position)) < len(buffer) - 3:
        position = found + 3
        look = max(0, found - _LOOK_BACK)
        begin = look + len(buffer[look:found].rstrip(b" \t"))
        if buffer.endswith(UTF8_MARK, 0, begin):
            begin -= len(UTF8_MARK)
        after = buffer[position : position + 1]
        if (begin == 0 or buffer[begin - 1] in _LINE_STARTS) and not after.isalnum() and after not in b"\r\n":
            is_block = begin > 0 and buffer[begin - 1] == _BLOCK_START
            return begin - is_block, position
    return None


class _Cutter:
    """Makes frames of pieces and remembers whether an MLLP block is open."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._open = False

    def frame(self, piece: bytes, next_is_block: bool) -> Frame | None:
        """The message in the bytes from one start to the next; None where there is nothing but framing."""
        if len(piece) > self._max_bytes:
            return Frame(piece[: self._max_bytes], "message-too-large")
        body = piece.lstrip(_LEADING)
        if body.startswith(UTF8_MARK):
            body = body[len(UTF8_MARK) :].lstrip(_LEADING)
        is_block = self._open or _BLOCK_START in piece[: len(piece) - len(body)]
        end, rest = body.find(_BLOCK_END), b""
        if end >= 0:
            rest = body[end:].strip(_TRAILING + b" \t")
            if is_block or not rest:
                body = body[:end]
        self._open = is_block and end < 0 and not next_is_block
        body = body.rstrip(_TRAILING)
        if not body:
            return None
        if not body.startswith(b"MSH"):
            return Frame(body, "no-msh")
        if is_block and end < 0 and next_is_block:
            return Frame(body, "no-end-block")
        return Frame(body, junk=is_block and bool(rest))


def frames(stream: ByteSource, max_bytes: int) -> Iterator[Frame]:
    """The messages of the stream in order; memory is bounded by the largest message allowed."""
    cutter, buffer, skipping, position = _Cutter(max_bytes), b"", False, 0
    while chunk := stream.read(CHUNK_BYTES):
        buffer, start = buffer + chunk, 0
        while (found := _next_start(buffer, position)) is not None:
            begin, position = found
            if begin <= start:
                continue
            if not skipping and (frame := cutter.frame(buffer[start:begin], buffer[begin] == _BLOCK_START)):
                yield frame
            start, skipping = begin, False
        buffer = buffer[start:]
        if len(buffer) > max_bytes:
            if not skipping and (frame := cutter.frame(buffer, False)):
                yield frame
            buffer, skipping = buffer[-_LOOK_BACK:], True
        position = max(0, len(buffer) - 3)
    if buffer and not skipping and (frame := cutter.frame(buffer, True)):
        yield frame
