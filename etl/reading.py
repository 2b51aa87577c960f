"""Reading inputs in worker processes: files in, frames of landing rows and a line for each input out."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

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


@dataclass(frozen=True)
class Line:
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


class Collector:
    """Gathers what readers offer into frames."""

    def __init__(self, received_at: datetime) -> None:
        self._received_at = received_at
        self._rows: dict[str, list[Row]] = defaultdict(list)
        self._reading = Reading()

    def __len__(self) -> int:
        return len(self._reading.lines)

    def add(self, offered: Offered, file: str) -> None:
        """Takes one input in."""
        self._reading.lines.append(
            Line(
                offered.source,
                offered.verdict.value,
                offered.digest,
                file,
                offered.position,
                offered.reject,
                offered.payload,
            )
        )
        if offered.verdict is not Verdict.ACCEPTED:
            return
        self._reading.identities.extend(offered.identities)
        for table, rows in offered.rows.items():
            for row in rows:
                position = row.get("position") or offered.position
                # Where the input stands in its file is no part of what it states: the same message twice is one.
                inside = position.removeprefix(offered.position)
                self._rows[table].append(
                    {
                        **row,
                        "position": position,
                        "digest": digest_of(table, offered.digest, inside)[:32],
                        "input_digest": offered.digest,
                        "file": file,
                        "received_at": self._received_at,
                    }
                )

    def finish(self, files: int) -> Reading:
        """What was gathered since the start or the last call."""
        reading, self._reading = self._reading, Reading()
        reading.files = files
        reading.frames = {table: frame_of(table, rows) for table, rows in self._rows.items() if rows}
        reading.identities = list(set(reading.identities))
        self._rows.clear()
        return reading


def frame_of(table: str, rows: list[Row]) -> pl.DataFrame:
    """Landing rows as a frame of the table's types.

    Raises:
        ValueError: a row has a column that the table lacks.
    """
    schema = polars_schema(table)
    given = {name for row in rows for name in row}
    if unknown := given - set(schema):
        raise ValueError(f"landing table {table} has no column {min(unknown)!r}")
    frame = pl.DataFrame([_column(name, [row.get(name) for row in rows], schema[name]) for name in given])
    return frame.select(
        pl.col(name) if name in given else pl.lit(None, kind).alias(name) for name, kind in schema.items()
    )


def _column(name: str, values: list[Any], kind: pl.DataType | type[pl.DataType]) -> pl.Series:
    """A column of one type. Lists of structs are laid out flat and grouped: one by one they cost five times as much."""
    if not (isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct)):
        return pl.Series(name, values, dtype=kind, strict=True)
    fields = {field.name: field.dtype for field in kind.inner.fields}
    flat = [(row, item) for row, items in enumerate(values) for item in items or ()]
    structs = pl.DataFrame(
        {"": [row for row, _ in flat], **{field: [item.get(field) for _, item in flat] for field in fields}},
        schema={"": pl.Int64, **fields},
    )
    grouped = structs.group_by("", maintain_order=True).agg(pl.struct(list(fields)).alias(name))
    rows = pl.DataFrame(
        {"": range(len(values)), "given": [value is not None for value in values]}, {"": pl.Int64, "given": pl.Boolean}
    )
    joined = rows.join(grouped, on="", how="left", maintain_order="left")
    return joined.select(pl.when("given").then(pl.col(name).fill_null([])).cast(kind).alias(name))[name]


def read_files(tasks: list[FileTask], context: Context) -> Reading:
    """Everything that some files give; what cannot be read becomes a reject, never an error."""
    collector = Collector(context.now)
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
