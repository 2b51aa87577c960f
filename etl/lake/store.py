"""The lake: append-only Delta tables, readable by Spark, Trino, DuckDB or Polars without this program."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path

import polars as pl
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

from etl.faults import fault
from etl.lake.ledger import Batch, Ledger, TableBatch
from etl.lake.schema import LANDING, TIME, polars_schema

RECEIPT: dict[str, pl.DataType | type[pl.DataType]] = {
    "digest": pl.Utf8,
    "source": pl.Utf8,
    "verdict": pl.Utf8,
    "file": pl.Utf8,
    "position": pl.Utf8,
    "run_id": pl.Utf8,
    "batch_id": pl.Utf8,
    "received_at": TIME,
    "month": pl.Utf8,
}
"""`receipt`: one row an accepted input: what is known already."""

REJECT: dict[str, pl.DataType | type[pl.DataType]] = {
    **RECEIPT,
    "field": pl.Utf8,
    "value": pl.Utf8,
    "reason": pl.Utf8,
    "message": pl.Utf8,
    "remedy": pl.Utf8,
}
"""`reject`: one row an input that could not be used, or was not for this system."""

SCHEMAS = {**{name: polars_schema(name) for name in LANDING}, "receipt": RECEIPT, "reject": REJECT}


class LakeError(Exception):
    """The lake cannot be used; the message names table and file, and says what to run."""


class LockedError(Exception):
    """Another load holds the lake."""


@dataclass(frozen=True)
class Damage:
    """A difference between the ledger and what lies on the disk."""

    table: str
    batch_id: str
    file: str
    what: str


class Lake:
    """The landing tables of one data directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ledger = Ledger(directory)

    # -- writing ---------------------------------------------------------------------------------------------------

    @contextmanager
    def locked(self, wait_seconds: float = 600) -> Iterator[None]:
        """Holds the lake for one load; a dead process's lock is free by itself.

        Raises:
            LockedError: another load still holds it after the wait; the message says which.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / ".lock").open("a+") as stream:
            deadline = time.monotonic() + wait_seconds
            while True:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        stream.seek(0)
                        raise LockedError(
                            f"another load holds {self.directory}: {stream.read().strip() or 'process unknown'}. Wait for it, or stop it."
                        ) from None
                    time.sleep(0.2)
            stream.seek(0)
            stream.truncate()
            stream.write(f"process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
            stream.flush()
            yield

    def recover(self) -> list[str]:
        """Takes out what a killed load left half written; returns the batches concerned."""
        left = self.ledger.pending()
        for batch_id in left:
            for table in SCHEMAS:
                if (delta := self._delta(table)) is not None:
                    delta.delete(f"batch_id = '{batch_id}'")
            self.ledger.settle(batch_id)
        return left

    def append(
        self, run_id: str, number: int, frames: Mapping[str, pl.DataFrame], counts: dict[str, dict[str, int]]
    ) -> Batch:
        """Appends one batch to all tables, durable when this returns.

        Args:
            frames: table to rows, with the columns of its schema except `batch_id` (others are filled with nulls).
            counts: source to verdict to number of inputs.
        """
        batch_id = f"{run_id}-{number:06d}"
        fault("pending")
        self.ledger.announce(batch_id)
        written: dict[str, TableBatch] = {}
        newest: dict[str, datetime] = {}
        for table, rows in frames.items():
            if rows.is_empty():
                continue
            fault("receipt" if table in {"receipt", "reject"} else "landing")
            frame = conform(table, rows.with_columns(batch_id=pl.lit(batch_id), run_id=pl.lit(run_id)))
            written[table] = TableBatch(frame.height, self._write(table, frame))
            if table in LANDING:
                for source, at in newest_times(table, frame):
                    newest[source] = max(at, newest.get(source, at))
        fault("commit")
        batch = Batch(
            batch_id, run_id, number, written, counts, {source: at.isoformat() for source, at in newest.items()}
        )
        self.ledger.commit(batch)
        return batch

    def _write(self, table: str, frame: pl.DataFrame) -> dict[str, str]:
        """Appends rows to one Delta table; the new files with their SHA-256."""
        folder = self.directory / table
        before = set(self._files(table))
        write_deltalake(str(folder), frame, mode="append", partition_by=["month"], schema_mode="merge")
        return {file: _sha256(folder / file) for file in self._files(table) if file not in before}

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, table: str, months: list[str] | None = None, batches: list[Batch] | None = None) -> pl.LazyFrame:
        """The rows of one landing table, of some months or batches only where given."""
        files = self._files(table)
        if months is not None:
            wanted = {f"month={month}" for month in months}
            files = [file for file in files if file.split("/", 1)[0] in wanted]
        if batches is not None:
            own = {file for batch in batches if table in batch.tables for file in batch.tables[table].files}
            files = [file for file in files if file in own]
        schema = SCHEMAS[table]
        if not files:
            return pl.LazyFrame(schema=schema)
        paths = [str(self.directory / table / file) for file in files]
        scan = pl.scan_parquet(paths, hive_partitioning=True, hive_schema={"month": pl.Utf8}, missing_columns="insert")
        return scan.select([pl.col(name).cast(kind) for name, kind in schema.items()])

    def _delta(self, table: str) -> DeltaTable | None:
        try:
            return DeltaTable(str(self.directory / table))
        except TableNotFoundError:
            return None

    def _files(self, table: str) -> list[str]:
        delta = self._delta(table)
        return [] if delta is None else sorted(_below(uri, table) for uri in delta.file_uris())

    # -- checking --------------------------------------------------------------------------------------------------

    def verify(self) -> list[Damage]:
        """Compares every file of every batch with the ledger: missing, changed, or no longer part of the table.

        A Delta commit of 0 bytes reads as an empty one, and Parquet pages have no checksum as written here; both show
        only in this comparison.
        """
        found: list[Damage] = []
        present = {table: set(self._files(table)) for table in SCHEMAS}
        for batch in self.ledger.batches():
            for table, part in batch.tables.items():
                for file, digest in part.files.items():
                    path = self.directory / table / file
                    if not path.exists():
                        found.append(Damage(table, batch.batch_id, file, "missing"))
                    elif _sha256(path) != digest:
                        found.append(Damage(table, batch.batch_id, file, "changed"))
                    elif file not in present[table]:
                        found.append(Damage(table, batch.batch_id, file, "no longer in the table's log"))
        return found


def conform(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with exactly the table's columns and types; absent ones are null."""
    schema = SCHEMAS[table]
    unknown = set(frame.columns) - set(schema)
    if unknown:
        raise LakeError(f"landing table {table} has no column {min(unknown)!r}; see etl/lake/schema.py")
    return frame.select(
        [
            (pl.col(name) if name in frame.columns else pl.lit(None)).cast(kind).alias(name)
            for name, kind in schema.items()
        ]
    )


OWN_TIME = {
    "calendar": "stated_at",
    "series": "started_at",
    "irradiation_event": "started_at",
    "dose_report": "object_at",
    "workflow": "stated_at",
    "patient": "stated_at",
}
"""Column of each landing table that holds the time of what the row states."""


def newest_times(table: str, frame: pl.DataFrame) -> list[tuple[str, datetime]]:
    """Source and newest own time of the rows, times ahead of now left out: how fresh each source is.

    Appointments come over the same interfaces as the other messages and count as theirs.
    """
    newest = frame.group_by(pl.col("source").replace("siu", "hl7")).agg(
        pl.col(OWN_TIME[table]).filter(pl.col(OWN_TIME[table]) <= datetime.now(UTC)).max().alias("at")
    )
    return [(source, at) for source, at in newest.iter_rows() if at is not None]


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def _below(uri: str, table: str) -> str:
    return uri.replace("\\", "/").rsplit(f"/{table}/", 1)[1]
