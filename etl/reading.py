"""Reading inputs in worker processes: files in, frames of landing rows and a line for each input out."""

from __future__ import annotations

import gc
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

import polars as pl

from etl.inputs import FileTask, open_task
from etl.lake.schema import polars_schema
from etl.sources import readers
from etl.sources.contract import Context, Input, Offered, Reject, Row, Verdict, digest_of, not_applicable, rejected
from state.identity import Identity

logger = logging.getLogger(__name__)

_EMPTY = ("empty-file", "the file is empty")
_UNKNOWN = (
    "unknown-kind",
    "no source understands this kind of file (DICOM, HL7 v2, and CSV or Parquet with a mapping are understood)",
)


class Line(NamedTuple):
    """One offered input, without its rows."""

    source: str
    verdict: str
    digest: str
    file: str
    position: str
    reject: Reject | None = None
    payload: bytes | None = None


@dataclass
class Reading:
    """What some files gave."""

    lines: list[Line] = field(default_factory=list)
    frames: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Landing rows by table; `input_digest` ties them to their line."""
    identities: list[Identity] = field(default_factory=list)
    files: int = 0


@dataclass
class _Table:
    """Rows of one landing table, and beside each what the loader knows of it."""

    rows: list[Row] = field(default_factory=list)
    position: list[str] = field(default_factory=list)
    digest: list[str] = field(default_factory=list)
    input_digest: list[str] = field(default_factory=list)
    file: list[str] = field(default_factory=list)

    def frame(self, name: str, received_at: datetime) -> pl.DataFrame:
        """All of it as a frame of the landing table's types."""
        known = (pl.Series(one, getattr(self, one), dtype=pl.Utf8) for one in _KNOWN)
        received = pl.lit(received_at).cast(polars_schema(name)["received_at"]).alias("received_at")
        return frame_of(name, self.rows).with_columns(*known, received)


_KNOWN = ("position", "digest", "input_digest", "file")


class Collector:
    """Gathers what readers offer into frames."""

    def __init__(self, received_at: datetime) -> None:
        self._received_at = received_at
        self._tables: dict[str, _Table] = defaultdict(_Table)
        self._reading = Reading()

    def __len__(self) -> int:
        return len(self._reading.lines)

    def add(self, offered: Offered, file: str) -> None:
        """Takes one input in."""
        position, digest = offered.position, offered.digest
        self._reading.lines.append(
            Line(offered.source, offered.verdict.value, digest, file, position, offered.reject, offered.payload)
        )
        if offered.verdict is not Verdict.ACCEPTED:
            return
        self._reading.identities.extend(offered.identities)
        for name, rows in offered.rows.items():
            table = self._tables[name]
            for row in rows:
                own = row.get("position") or position
                table.rows.append(row)
                table.position.append(own)
                # Where the input stands in its file is no part of what it states: the same message twice is one.
                table.digest.append(_row_digest(name, digest, own.removeprefix(position)))
                table.input_digest.append(digest)
                table.file.append(file)

    def finish(self, files: int) -> Reading:
        """What was gathered since the start or the last call."""
        reading, self._reading = self._reading, Reading()
        reading.files = files
        reading.frames = {
            name: table.frame(name, self._received_at) for name, table in self._tables.items() if table.rows
        }
        reading.identities = list(set(reading.identities))
        self._tables.clear()
        return reading


def _row_digest(table: str, digest: str, inside: str) -> str:
    """The first 32 digits of `digest_of(table, digest, inside)`; most rows share all parts but the digest."""
    return sha256(
        _with_length(table) + len(digest).to_bytes(8, "big") + digest.encode() + _with_length(inside)
    ).hexdigest()[:32]


@lru_cache(maxsize=4096)
def _with_length(part: str) -> bytes:
    data = part.encode()
    return len(data).to_bytes(8, "big") + data


def frame_of(table: str, rows: list[Row]) -> pl.DataFrame:
    """Landing rows as a frame of the table's types.

    Raises:
        ValueError: a row has a column that the table lacks.
    """
    schema = polars_schema(table)
    given = _columns(rows)
    if unknown := given.keys() - schema.keys():
        raise ValueError(f"landing table {table} has no column {min(unknown)!r}")
    frame = pl.DataFrame([_column(name, values, schema[name]) for name, values in given.items()])
    return frame.select(
        pl.col(name) if name in given else pl.lit(None, kind).alias(name) for name, kind in schema.items()
    )


def _columns(rows: list[Row]) -> dict[str, Sequence[Any]]:
    """The values of each column. Rows of one kind have the same columns in one order, and are turned as a whole."""
    names = list(rows[0]) if rows else []
    if all(list(row) == names for row in rows):
        return dict(zip(names, zip(*[row.values() for row in rows], strict=True), strict=True))
    given = {name: None for row in rows for name in row}
    return {name: [row.get(name) for row in rows] for name in given}


def _column(name: str, values: Sequence[Any], kind: pl.DataType | type[pl.DataType]) -> pl.Series:
    """A column of one type. Lists are laid out flat and grouped: one by one they cost five times as much."""
    if not isinstance(kind, pl.List) or not (isinstance(kind.inner, pl.Struct) or kind.inner == pl.Utf8):
        return pl.Series(name, values, dtype=kind, strict=True)
    places = [row for row, items in enumerate(values) for _ in items or ()]
    flat = [item for items in values for item in items or ()]
    if not flat and None not in values:
        return pl.Series(name, [[]], dtype=kind).new_from_index(0, len(values))
    if isinstance(kind.inner, pl.Struct):
        fields = {field.name: field.dtype for field in kind.inner.fields}
        columns = [pl.Series(field, [item.get(field) for item in flat], dtype=of) for field, of in fields.items()]
        inner = pl.DataFrame(columns).to_struct(name)
    else:
        inner = pl.Series(name, flat, dtype=pl.Utf8)
    items = pl.DataFrame([pl.Series("row", places, dtype=pl.Int64), inner])
    given = pl.Series("given", [value is not None for value in values], dtype=pl.Boolean)
    return (
        pl.DataFrame([pl.int_range(len(values), dtype=pl.Int64, eager=True).alias("row"), given])
        .join(items.group_by("row", maintain_order=True).agg(name), on="row", how="left", maintain_order="left")
        .select(pl.when("given").then(pl.col(name).fill_null([])).cast(kind).alias(name))[name]
    )


@contextmanager
def many_objects() -> Iterator[None]:
    """While objects without cycles are made by the thousand: to look for cycles as often as usual costs a fifth."""
    usual = gc.get_threshold()
    gc.set_threshold(200_000, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def read_files(tasks: list[FileTask], context: Context) -> Reading:
    """Everything that some files give; what cannot be read becomes a reject, never an error."""
    collector = Collector(context.now)
    with many_objects():
        for task in tasks:
            for offered, file in offers(task, context):
                collector.add(offered, file)
        return collector.finish(len(tasks))


def offers(task: FileTask, context: Context) -> Any:
    """Each offered input of one file with the name of the file or member that it came from; lazily."""
    try:
        for item in open_task(task, context.settings.limits):
            if isinstance(item, Offered):
                yield replace(item, source_name=""), item.source_name or task.path
                continue
            for offered in _read_input(item, context):
                yield offered, item.name
    except OSError as error:
        reason = Reject(
            "not-readable",
            f"the file cannot be read: {error.strerror or 'unknown error'}",
            "Check the file and the rights of the loading user, and load again.",
        )
        yield rejected("unknown", digest_of("path", task.path), reason), task.path


def _read_input(source: Input, context: Context) -> Any:
    """What the reader that claims an input makes of it."""
    if source.size == 0:
        yield not_applicable("unknown", digest_of("empty"), *_EMPTY)
        return
    head = source.head()
    reader = next((reader for reader in readers() if reader.claims(head, source.name, context.settings)), None)
    if reader is None:
        yield not_applicable("unknown", _digest_of_input(source), *_UNKNOWN)
        return
    try:
        yield from reader.read(source, context)
    except (MemoryError, RecursionError, Exception) as error:  # one poison file costs one file
        logger.error(
            "reader %s failed on input of %d bytes: %s",
            reader.name,
            source.size,
            type(error).__name__,
            exc_info=logger.isEnabledFor(logging.DEBUG),
        )
        reason = Reject(
            "reader-failed",
            f"the {reader.name} reader failed with {type(error).__name__}; this is a defect of Isocenter, not of the file",
            "Report the defect with a file that shows it; the other files are not affected.",
        )
        yield rejected(reader.name, _digest_of_input(source), reason)


def _digest_of_input(source: Input) -> str:
    """Digest of a file nobody reads: its first megabyte and its size."""
    return digest_of(source.head(1 << 20), str(source.size))
