"""Delimited text read one row at a time, with a verdict for every row and memory bounded by the longest line allowed.

Python's `csv` reads one record at a time here, never the stream: so one open quote, one broken byte or one endless line
costs its own line and nothing after it (RFC 4180 for quotes and line ends).
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from etl.sources.contract import Reject

CHUNK_BYTES = 1 << 18
MAX_RECORD_LINES = 1000
"""A quoted cell over more lines than this is taken for a quote that was never closed."""


class ByteSource(Protocol):
    """Anything that gives bytes."""

    def read(self, length: int, /) -> bytes:
        """The next bytes; empty at the end."""
        ...


@dataclass(frozen=True)
class Line:
    """One physical line."""

    number: int
    """From 1."""
    offset: int
    """Of its first byte after the byte order mark."""
    data: bytes
    is_whole: bool = True
    """False where it was longer than the limit and is cut."""
    is_ended: bool = True
    """False where the file ends without a line end."""


@dataclass(frozen=True)
class Record:
    """One record, or the reason why a line is none."""

    number: int
    """The line on which it starts."""
    fields: list[str]
    data: bytes
    reject: Reject | None = None


_ENDS = re.compile(rb"\r\n|\r|\n")


def lines(stream: ByteSource, max_bytes: int) -> Iterator[Line]:
    """The lines of the stream, ended by LF, CR LF or CR; one longer than the limit comes cut and marked."""
    number, offset, buffer, cutting = 1, 0, b"", False
    while chunk := stream.read(CHUNK_BYTES):
        buffer += chunk
        start = 0
        for end in _ENDS.finditer(buffer):
            if end.end() == len(buffer) and end[0] == b"\r":
                break
            if not cutting:
                data = buffer[start : end.start()]
                yield Line(number, offset + start, data[:max_bytes], is_whole=len(data) <= max_bytes)
            start, number, cutting = end.end(), number + 1, False
        buffer, offset = buffer[start:], offset + start
        if len(buffer) > max_bytes:
            if not cutting:
                yield Line(number, offset, buffer[:max_bytes], is_whole=False)
            keep = buffer[-1:]
            offset, buffer, cutting = offset + len(buffer) - 1, keep, True
    if buffer and not cutting:
        yield Line(number, offset, buffer.removesuffix(b"\r"), is_ended=buffer.endswith(b"\r"))


class CsvRows:
    """The records of a delimited text after its header."""

    def __init__(self, stream: ByteSource, encoding: str, max_line_bytes: int) -> None:
        self._lines = lines(stream, max_line_bytes)
        self._waiting: deque[Line] = deque()
        self._encoding = encoding
        self._max_bytes = max_line_bytes

    def headers(self, delimiters: Iterable[str]) -> dict[str, Record]:
        """The first record that is not blank as each delimiter reads it; empty where there is none."""
        while (line := self._next()) is not None:
            if line.data.strip(b" \t"):
                break
        else:
            return {}
        found = {}
        for delimiter in delimiters:
            found[delimiter], taken = self._record(line, delimiter, None)
            self._waiting.extendleft(reversed(taken))
        self._waiting.appendleft(line)
        return found

    def records(self, delimiter: str, width: int) -> Iterator[Record]:
        """Each record or rejected line after the header, in order; blank lines are passed over.

        Args:
            delimiter: the sign between fields.
            width: fields that a record must have.
        """
        if (header := self._next()) is not None:
            self._record(header, delimiter, None)
        while (line := self._next()) is not None:
            if line.data.strip(b" \t"):
                yield self._record(line, delimiter, width)[0]

    def _next(self) -> Line | None:
        return self._waiting.popleft() if self._waiting else next(self._lines, None)

    def _record(self, line: Line, delimiter: str, width: int | None) -> tuple[Record, list[Line]]:
        """The record that starts on the line, and the further lines that it takes."""
        text = self._decoded(line)
        if isinstance(text, Reject):
            return Record(line.number, [], line.data, text), []
        if '"' not in text:
            return self._checked(line, text.split(delimiter), width, line.data), []
        taken: list[Line] = []
        parse = parsed(text, delimiter)
        while parse.is_open and len(taken) < MAX_RECORD_LINES and len(text) <= self._max_bytes:
            more = self._next()
            if more is None:
                break
            taken.append(more)
            addition = self._decoded(more)
            if isinstance(addition, Reject):
                break
            text = f"{text}\n{addition}"
            if '"' in addition:
                parse = parsed(text, delimiter)
        if parse.fields is not None and (not taken or width is None or len(parse.fields) == width):
            return self._checked(
                line, parse.fields, width, b"\n".join([line.data, *(more.data for more in taken)])
            ), taken
        self._waiting.extendleft(reversed(taken))
        return Record(line.number, [], line.data, _bad_quoting(line.number, is_open=bool(taken) or parse.is_open)), []

    def _decoded(self, line: Line) -> str | Reject:
        if not line.is_whole:
            return Reject(
                "line-too-long",
                f"Line {line.number} is longer than {self._max_bytes // 1024} kB (limits.max_line_kb).",
                "Look for a missing line end or quote; raise limits.max_line_kb if such rows are expected.",
            )
        try:
            text = line.data.decode(self._encoding)
        except UnicodeDecodeError as error:
            at = line.offset + error.start
            return _bad_encoding(line.number, at, self._encoding, f"byte 0x{line.data[error.start]:02x}")
        if "\ufffd" in text:
            at = line.offset + len(text[: text.index("\ufffd")].encode(self._encoding, "replace"))
            return _bad_encoding(
                line.number,
                at,
                self._encoding,
                "U+FFFD, which an earlier program put for a byte that it could not read,",
            )
        return text

    def _checked(self, line: Line, fields: list[str], width: int | None, data: bytes) -> Record:
        reject = None
        if b"\0" in data:
            reject = Reject(
                "control-character", f"Line {line.number} has a NUL character.", "Export the table again as plain text."
            )
        elif width is not None and len(fields) != width:
            reject = _ragged(line, len(fields), width)
        return Record(line.number, fields, data, reject)


def _ragged(line: Line, found: int, width: int) -> Reject:
    if found < width and not line.is_ended:
        return Reject(
            "truncated",
            f"Line {line.number}, the last, has {found} of {width} fields and no line end: the file is cut.",
            "Load the file again when it is complete.",
        )
    return Reject(
        "ragged-row",
        f"Line {line.number} has {found} fields, and the header has {width}.",
        "Correct the row; a value with the delimiter in it must stand in quotes.",
    )


class Parse(NamedTuple):
    """What the csv module makes of one record."""

    fields: list[str] | None
    """None where the text is no record."""
    is_open: bool = False
    """A quote is not closed yet."""


def parsed(text: str, delimiter: str) -> Parse:
    """The fields of one record, with quotes taken strictly."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))  # of the whole process: only ever raised
    try:
        return Parse(next(csv.reader([text], delimiter=delimiter, strict=True, skipinitialspace=True), []))
    except csv.Error as error:
        return Parse(None, "unexpected end of data" in str(error))


def _bad_quoting(number: int, is_open: bool) -> Reject:
    found = (
        "a quote that is not closed, or closes in the middle of a later row"
        if is_open
        else "text after a closing quote"
    )
    return Reject(
        "bad-quoting", f"Line {number} has {found}.", "Write a quote inside a quoted value twice, and close each quote."
    )


def _bad_encoding(number: int, offset: int, encoding: str, found: str) -> Reject:
    return Reject(
        "bad-encoding",
        f"Line {number}: {found} at byte offset {offset} is not {encoding}.",
        "Export the table in one encoding and name it in the extract's `encoding`.",
    )
