"""Table files as rows: CSV (gzip too) and Parquet, both streamed, with the columns found or the reason for none."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

import pyarrow
import pyarrow.parquet

from etl.sources.contract import Reject, Verdict, shown
from etl.sources.extract.csv_rows import CsvRows
from etl.sources.text_stream import TextStream
from settings import Extract, Limits

DELIMITERS = (",", ";", "\t", "|")
PARQUET_ROWS = 4096
EXTRACT_KEY = b"isocenter:extract"
"""Key in the metadata of a Parquet file that a pull wrote: the name of the extract that maps it, whatever its own name."""
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_DATA_LIKE = re.compile(r"\s*[\d.,:/+-]+[\sTZ]*[\d.:+-]*\s*")


class RefusedFileError(Exception):
    """The whole file gives nothing."""

    def __init__(self, reject: Reject, verdict: Verdict = Verdict.REJECTED) -> None:
        super().__init__(reject.message)
        self.reject = reject
        self.verdict = verdict


class TableRow(NamedTuple):
    """One row of the file."""

    number: int
    """Line of the text file on which it starts, or row of the Parquet file; from 1."""
    cells: list[Any]
    """In the order of the columns."""
    data: bytes = b""
    """As written, of a text file."""
    reject: Reject | None = None
    """Why the line is no row."""


class Inflated:
    """A gzip stream read under the limits of ratio and size."""

    def __init__(self, stream: BinaryIO, packed_bytes: int, limits: Limits) -> None:
        self._stream = cast("BinaryIO", gzip.GzipFile(fileobj=stream))
        self._left = min(limits.max_unpacked_mb << 20, max(1 << 20, packed_bytes * limits.max_member_ratio))
        self._limits = limits

    def read(self, length: int = -1) -> bytes:
        """Unpacked bytes.

        Raises:
            RefusedFileError: the stream is damaged, or over a limit.
        """
        try:
            data = self._stream.read(length)
        except (OSError, EOFError, zlib.error) as error:
            raise RefusedFileError(
                Reject("truncated", "The gzip file is damaged or cut.", "Copy the file again.")
            ) from error
        self._left -= len(data)
        if self._left < 0:
            raise RefusedFileError(
                Reject(
                    "ratio-limit",
                    f"The file unpacks to over {self._limits.max_member_ratio} times its size (limits.max_member_ratio).",
                    "Unpack it by hand if it is known to be right.",
                )
            )
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Goes to a place in the unpacked bytes."""
        return self._stream.seek(offset, whence)


class CsvTable:
    """A delimited text with a header."""

    extract: str | None = None

    def __init__(self, raw: BinaryIO, size: int, extract: Extract | None, limits: Limits) -> None:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        stream = TextStream(cast("BinaryIO", Inflated(raw, size, limits)) if packed else raw)
        encoding = stream.encoding or (extract.encoding if extract else "utf-8")
        self._rows = CsvRows(stream, encoding, limits.max_line_kb << 10)
        self._delimiter, self.columns = _header(self._rows, extract)

    def rows(self) -> Iterator[TableRow]:
        """The rows and the lines that are none, in order."""
        for record in self._rows.records(self._delimiter, len(self.columns)):
            yield TableRow(record.number, record.fields, record.data, record.reject)


def _header(rows: CsvRows, extract: Extract | None) -> tuple[str, list[str]]:
    """The delimiter and the columns: of the usual signs the one that gives all mapped columns, else the most."""
    candidates = (extract.delimiter,) if extract and extract.delimiter else DELIMITERS
    wanted = (
        {tidy(column) for name, column in extract.columns.items() if name not in extract.optional} if extract else set()
    )
    records = rows.headers(candidates)
    if not records:
        raise RefusedFileError(Reject("empty-file", "The file has no rows.", "Nothing to do."), Verdict.NOT_APPLICABLE)
    found = {
        sign: [tidy(field) for field in record.fields] for sign, record in records.items() if record.reject is None
    }
    if not found:
        reject = next(record.reject for record in records.values() if record.reject)
        reason = "unknown-header" if reject.reason == "control-character" else reject.reason
        raise RefusedFileError(Reject(reason, f"The header cannot be read. {reject.message}", reject.remedy))
    best = max(found, key=lambda sign: (wanted <= set(found[sign]), len(found[sign])))
    return best, found[best]


class ParquetTable:
    """A Parquet file, read a few thousand rows at a time."""

    def __init__(self, raw: BinaryIO) -> None:
        try:
            self._file = pyarrow.parquet.ParquetFile(raw)
            named = (self._file.schema_arrow.metadata or {}).get(EXTRACT_KEY)
            self.extract = None if named is None else named.decode("utf-8", "replace")
            """Name of the extract that maps the file, where a pull wrote it there."""
            self.columns = [tidy(name) for name in self._file.schema_arrow.names]
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise _damaged() from error

    def rows(self) -> Iterator[TableRow]:
        """The rows in order."""
        number = 0
        try:
            for batch in self._file.iter_batches(batch_size=PARQUET_ROWS):
                for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield TableRow(number, list(cells))
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise _damaged() from error


def _damaged() -> RefusedFileError:
    return RefusedFileError(
        Reject("damaged-parquet", "The Parquet file is damaged or cut.", "Copy or export the file again.")
    )


def open_table(raw: BinaryIO, size: int, extract: Extract | None, limits: Limits) -> CsvTable | ParquetTable:
    """The table in the stream.

    Raises:
        RefusedFileError: it is empty, damaged, or has no header that can be read.
    """
    is_parquet = raw.read(4) == _PARQUET
    raw.seek(0)
    table = ParquetTable(raw) if is_parquet else CsvTable(raw, size, extract, limits)
    if any(not char.isprintable() for column in table.columns for char in column):
        raise RefusedFileError(
            Reject("unknown-header", "A column name has control characters.", "Export the table again as plain text.")
        )
    if len(table.columns) > limits.max_columns:
        raise RefusedFileError(
            Reject(
                "too-many-columns",
                f"The table has {len(table.columns)} columns (limits.max_columns is {limits.max_columns}).",
                "Export the columns that are mapped.",
            )
        )
    return table


def tidy(name: str) -> str:
    """The column's name with single blanks."""
    return " ".join(name.split())


def named(columns: list[str]) -> str:
    """The columns for a message; hidden where the first line looks like data, because it could name a patient."""
    if any(_DATA_LIKE.fullmatch(name) for name in columns if name):
        return f"{len(columns)} columns with names like data (is the header missing?)"
    return ", ".join(repr(shown(name, 40)) for name in columns[:30]) + (", …" if len(columns) > 30 else "")


def column_places(extract: Extract, columns: list[str]) -> dict[str, int]:
    """Landing name to place of its column.

    Raises:
        RefusedFileError: a mapped column is missing or stands there twice.
    """
    wanted = {name: tidy(column) for name, column in extract.columns.items()}
    missing = [column for name, column in wanted.items() if column not in columns and name not in extract.optional]
    if missing:
        raise RefusedFileError(
            Reject(
                "missing-columns",
                f"The extract {extract.name!r} needs {named(missing)}; found are {named(columns)}.",
                "Export these columns, or correct `columns` (or `delimiter`) of the extract.",
                missing[0],
            )
        )
    twice = sorted({column for column in wanted.values() if columns.count(column) > 1})
    if twice:
        raise RefusedFileError(
            Reject(
                "duplicate-header",
                f"The header has {named(twice)} more than once, so it is not sure which column is meant.",
                "Export each column once.",
                twice[0],
            )
        )
    return {name: columns.index(column) for name, column in wanted.items() if column in columns}
