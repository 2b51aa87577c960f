"""Byte streams of text: what the byte order mark says, and UTF-16 as UTF-8."""

from __future__ import annotations

import codecs
from typing import BinaryIO

UTF8_MARK = codecs.BOM_UTF8

_UTF16_STARTS: tuple[tuple[bytes, str, int], ...] = (
    (codecs.BOM_UTF16_LE, "utf-16-le", 2),
    (codecs.BOM_UTF16_BE, "utf-16-be", 2),
    (b"M\0S\0H\0", "utf-16-le", 0),
    (b"\0M\0S\0H", "utf-16-be", 0),
)
"""First bytes, codec, length of the mark; a message without a mark is known by its first segment name."""


def utf16_of(head: bytes) -> tuple[str, int] | None:
    """The UTF-16 codec of a text that starts with these bytes and the length of its mark; None for other encodings."""
    return next(((codec, mark) for start, codec, mark in _UTF16_STARTS if head.startswith(start)), None)


class Utf16AsUtf8:
    """A stream that reads UTF-16 and gives UTF-8.

    Units that pair with nothing come through as bytes that are no UTF-8, so that the reader of the stream finds the
    damage in the message or row where it stands.
    """

    def __init__(self, stream: BinaryIO, codec: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(codec)(errors="surrogatepass")

    def read(self, length: int = -1, /) -> bytes:
        """About `length` bytes; empty only at the end."""
        raw = self._stream.read(length)
        try:
            text = self._decoder.decode(raw, final=not raw)
        except UnicodeDecodeError:
            self._decoder.reset()
            return b"\xff"
        if raw and not text:
            return self.read(length)
        return text.encode("utf-8", "surrogatepass")


class TextStream:
    """A stream at its first character, and the encoding that its mark states (None without a mark)."""

    def __init__(self, stream: BinaryIO) -> None:
        head = stream.read(8)
        utf16 = utf16_of(head)
        self.encoding: str | None = None
        self._source: BinaryIO | Utf16AsUtf8 = stream
        mark = 0
        if utf16 is not None:
            codec, mark = utf16
            self.encoding = "utf-8"
            self._source = Utf16AsUtf8(stream, codec)
        elif head.startswith(UTF8_MARK):
            mark, self.encoding = len(UTF8_MARK), "utf-8"
        stream.seek(mark)

    def read(self, length: int) -> bytes:
        """About `length` bytes; empty only at the end."""
        return self._source.read(length)
