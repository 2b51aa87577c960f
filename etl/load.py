"""A load: inputs are read in parallel, land in batches, and what they touched is derived and published."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from etl.faults import fault
from etl.inputs import FileTask, walk
from etl.lake.fold import KEYS, fold_series
from etl.lake.store import RECEIPT, REJECT, Lake
from etl.progress import Progress
from etl.reading import Collector, Line, Reading, many_objects, offers
from etl.sources.contract import Context, Offered, Verdict, digest_of
from etl.star.build import StarBuilder
from etl.star.decided import Decided
from etl.star.index import LakeIndex
from etl.version import code_version
from etl.workers import WorkerPool
from settings import Settings
from state.home import DataHome
from state.quarantine import Quarantine
from state.vault import Vault
from warehouse.dose_columns import DOSE_FIGURES
from warehouse.publication import new_id

CHUNK_FILES = 200
"""Files that one worker reads at a time: making the frames of landing rows costs by column, hardly by row."""
_ROW_FILE_BYTES = 32 * 1024 * 1024
"""A file of messages or rows above this is read in this process, row by row, so that memory stays flat."""
_CHUNK_ROW_BYTES = 4 * 1024 * 1024
"""Bytes of files of messages or rows that one worker reads at a time: they bound its rows."""
_ROW_SUFFIXES = frozenset([".hl7", ".txt", ".csv", ".tsv", ".parquet", ".mllp", ".dat", ".gz"])
_VERDICTS = ("accepted", "duplicate", "rejected", "not_applicable")

Say = Callable[[str], None]


@dataclass
class Outcome:
    """What a load did; the answer of `python -m etl load --json`."""

    run_id: str
    by_source: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: float = 0.0
    publication: str | None = None

    def total(self, verdict: str) -> int:
        """Inputs with a verdict, over all sources."""
        return sum(counts[verdict] for counts in self.by_source.values())

    def as_json(self) -> dict[str, Any]:
        """Stable keys; `offered` is the sum of the others."""
        totals = {verdict: self.total(verdict) for verdict in _VERDICTS}
        by_source = {
            source: {"offered": sum(counts.values()), **counts} for source, counts in sorted(self.by_source.items())
        }
        return {
            "offered": sum(totals.values()),
            **totals,
            "by_source": by_source,
            "run_id": self.run_id,
            "seconds": round(self.seconds, 3),
            "publication": self.publication,
        }


class Loader:
    """Loads into one data directory."""

    def __init__(
        self,
        home: DataHome,
        settings: Settings,
        say: Say = lambda _: None,
        renamed: tuple[str, str] | None = None,
    ) -> None:
        """A loader.

        Args:
            home: the data directory.
            settings: all settings.
            say: takes a line of progress.
            renamed: start of file names, and what the lake has in its place: a spool's path and `name:`.
        """
        self._home, self._settings, self._say, self._renamed = home, settings, say, renamed
        self.lake = Lake(home.lake)
        self._vault = Vault(home.vault_file, home.derived("vault"))
        self._quarantine = Quarantine(home.quarantine, home.derived("quarantine"))

    def load(self, paths: list[Path], *, wait_seconds: float = 600, executor: Executor | None = None) -> Outcome:
        """Loads everything below the paths and publishes it.

        Raises:
            PathError: a path cannot be read; nothing was loaded.
            LockedError: another load holds the lake.
        """
        with self.lake.locked(wait_seconds):
            return self._run(lambda context: self._readings(paths, context, executor))

    def load_frames(self, chunks: Iterable[Reading], *, wait_seconds: float = 600) -> Outcome:
        """Lands rows that were made elsewhere (the demo's history) and publishes them."""
        with self.lake.locked(wait_seconds):
            return self._run(lambda _: iter(chunks))

    def _run(self, readings: Callable[[Context], Iterator[Reading]]) -> Outcome:
        began = time.monotonic()
        context = Context(self._settings, self._home.pseudonymiser)
        outcome = Outcome(run_id=new_id(context.now))
        for batch_id in self.lake.recover():
            self._say(f"took out batch {batch_id}, which a stopped load left unfinished")
        index = LakeIndex(self.lake)
        try:
            index.catch_up()
            record: dict[str, Any] = {
                "run_id": outcome.run_id,
                "started_at": context.now.isoformat(),
                "finished_at": None,
                "seconds": None,
                "code_version": code_version(),
            }
            self.lake.ledger.record_run(record)
            with many_objects():
                self._land(readings(context), index, outcome)
            record |= {"finished_at": datetime.now(UTC).isoformat(), "seconds": round(time.monotonic() - began, 3)}
            self.lake.ledger.record_run(record)
            publication = StarBuilder(
                self.lake, index, self._home.star, self._settings, self._say, Decided.of(self._home)
            ).publish()
            outcome.publication = publication.id if publication else None
        finally:
            index.close()
        outcome.seconds = time.monotonic() - began
        return outcome

    # -- landing ---------------------------------------------------------------------------------------------------

    def _land(self, readings: Iterator[Reading], index: LakeIndex, outcome: Outcome) -> None:
        """Gathers readings into batches of bounded size and appends each."""
        waiting: list[Reading] = []
        inputs = 0
        for reading in readings:
            waiting.append(reading)
            inputs += len(reading.lines)
            if inputs >= self._settings.load.batch_files:
                self._append(waiting, index, outcome)
                waiting, inputs = [], 0
        if waiting:
            self._append(waiting, index, outcome)

    def _append(self, readings: list[Reading], index: LakeIndex, outcome: Outcome) -> None:
        """Sorts out what is known already and appends the rest as one batch."""
        lines = [line for reading in readings for line in reading.lines]
        judged = _judge(lines, index.known(line.digest for line in lines))
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for line, verdict, _ in judged:
            counts[line.source][verdict] += 1
        for source, counter in counts.items():
            total = outcome.by_source.setdefault(source, dict.fromkeys(_VERDICTS, 0))
            for verdict, number in counter.items():
                total[verdict] += number
        stored = [(line, verdict) for line, verdict, is_new in judged if is_new]
        frames = _landing_frames(readings, [line.digest for line, verdict in stored if verdict == "accepted"])
        fault("vault")
        self._vault.remember(identity for reading in readings for identity in reading.identities)
        self._keep_rejects(line for line, verdict in stored if verdict == "rejected")
        frames |= _receipts(stored, outcome.run_id)
        if self._renamed is not None:
            start, name = self._renamed
            renaming = pl.col("file").str.replace(start, name, literal=True)
            frames = {table: frame.with_columns(renaming) for table, frame in frames.items()}
        by_source = {source: dict(counter) for source, counter in counts.items()}
        self.lake.append(outcome.run_id, self.lake.ledger.count() + 1, frames, by_source)
        index.catch_up()

    def _keep_rejects(self, lines: Iterable[Line]) -> None:
        """Keeps rejected inputs of moderate size, sealed, for a retry."""
        most = self._settings.limits.quarantine_mb * 1024 * 1024
        for line in lines:
            payload = line.payload
            if payload is None and "!" not in line.file:
                path = Path(line.file)
                if path.is_file() and path.stat().st_size <= most:
                    payload = path.read_bytes()
            if payload is not None and len(payload) <= most:
                self._quarantine.keep(line.digest, payload)

    # -- reading ---------------------------------------------------------------------------------------------------

    def _readings(self, paths: list[Path], context: Context, executor: Executor | None) -> Iterator[Reading]:
        """Readings of all files below the paths, in their order."""
        quiet_seconds = self._settings.limits.quiet_seconds
        progress = Progress(self._say, sum(isinstance(item, FileTask) for item in walk(paths, quiet_seconds)))
        small: list[FileTask] = []
        row_bytes = 0
        pool = WorkerPool(self._settings.load.workers, executor)
        try:
            for item in walk(paths, quiet_seconds):
                if isinstance(item, Offered):
                    yield _single(item, context)
                elif _reads_in_rows(item):
                    yield from self._stream(item, context, progress)
                else:
                    small.append(item)
                    row_bytes += item.size if _has_rows(item) else 0
                    if len(small) >= CHUNK_FILES or row_bytes >= _CHUNK_ROW_BYTES:
                        for reading in pool.read(small, context):
                            progress.files(reading.files)
                            yield reading
                        small, row_bytes = [], 0
            for reading in pool.read(small, context, last=True):
                progress.files(reading.files)
                yield reading
        finally:
            pool.close()

    def _stream(self, task: FileTask, context: Context, progress: Progress) -> Iterator[Reading]:
        """Readings of one large file of messages or rows, a batch at a time."""
        collector = Collector(context.now)
        items = offers(task, context)
        while taken := list(islice(items, self._settings.load.batch_files)):
            for offered, file in taken:
                collector.add(offered, file)
            progress.rows(len(taken))
            yield collector.finish(0)


def _judge(lines: list[Line], known: dict[str, str]) -> list[tuple[Line, str, bool]]:
    """Each line with its verdict and whether it is stored.

    What landed before is a duplicate. A reject that is known is counted and not stored a second time; one that reads well
    this time lands.
    """
    judged = []
    seen: set[str] = set()
    for line in lines:
        key = line.digest[:32]
        accepted = line.verdict == Verdict.ACCEPTED
        again = accepted and (key in seen or known.get(key) == Verdict.ACCEPTED)
        is_new = not again if accepted else key not in seen and key not in known
        judged.append((line, Verdict.DUPLICATE.value if again else line.verdict, is_new))
        seen.add(key)
    return judged


def _landing_frames(readings: list[Reading], accepted: list[str]) -> dict[str, pl.DataFrame]:
    """Landing rows of the inputs that are accepted for the first time; each digest's rows once."""
    wanted = pl.DataFrame({"input_digest": accepted}, schema={"input_digest": pl.Utf8}).unique()
    tables: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for reading in readings:
        for table, frame in reading.frames.items():
            tables[table].append(frame)
    frames = {
        table: pl.concat(parts)
        .join(wanted, on="input_digest", how="semi")
        .unique("digest", keep="first", maintain_order=True)
        for table, parts in tables.items()
    }
    if "series" in frames:
        frames["series"] = fragments(frames["series"])
    if "irradiation_event" in frames:
        frames["irradiation_event"] = once_an_exposure(frames["irradiation_event"])
    return frames


def _single(offered: Offered, context: Context) -> Reading:
    collector = Collector(context.now)
    collector.add(offered, offered.source_name)
    return collector.finish(1)


def _reads_in_rows(task: FileTask) -> bool:
    return task.size > _ROW_FILE_BYTES and _has_rows(task)


def _has_rows(task: FileTask) -> bool:
    """Whether the file's name is that of messages or table rows: of an image, however large, one row is read."""
    return Path(task.path).suffix.lower() in _ROW_SUFFIXES


def fragments(instances: pl.DataFrame) -> pl.DataFrame:
    """Instance rows of `series` folded to one a series, each with a digest of its instances' digests."""
    keys = list(KEYS)
    members = instances.group_by(keys).agg(pl.col("input_digest").sort().str.join("").alias("members"))
    folded = fold_series(instances).join(members, on=keys, how="left", nulls_equal=True)
    digests = pl.Series("digest", [digest_of("series", text)[:32] for text in folded["members"]], dtype=pl.Utf8)
    return folded.drop("members").with_columns(digests)


def once_an_exposure(events: pl.DataFrame) -> pl.DataFrame:
    """Events less the repeats in image headers: every slice of a CT series states the same exposure.

    Of equal statements the one is kept that the star would choose, so that it does not matter what arrived together.
    """
    latest_first = pl.col("object_at").dt.epoch("us").fill_null(0) * -1
    headers = events.filter(pl.col("object_class") == "header").sort(
        latest_first, pl.col("object_uid").fill_null(""), "digest"
    )
    kept = headers.unique(["event_uid", *DOSE_FIGURES], keep="first", maintain_order=True)
    return pl.concat([events.filter(pl.col("object_class") != "header"), kept])


def _receipts(stored: list[tuple[Line, str]], run_id: str) -> dict[str, pl.DataFrame]:
    """Rows of `receipt` and `reject` for inputs seen for the first time."""
    accepted = [line for line, verdict in stored if verdict == "accepted"]
    refused = [
        line for line, verdict in stored if verdict in {"rejected", "not_applicable"} and line.reject is not None
    ]
    reasons = pl.DataFrame(
        [pl.Series(name, [getattr(line.reject, name) for line in refused], dtype=pl.Utf8) for name in _REASON]
    )
    return {
        "receipt": _common(accepted, run_id),
        "reject": pl.concat([_common(refused, run_id), reasons], how="horizontal").select(list(REJECT)),
    }


_REASON = ("field", "value", "reason", "message", "remedy")


def _common(lines: list[Line], run_id: str) -> pl.DataFrame:
    """What `receipt` and `reject` say of inputs alike."""
    now = datetime.now(UTC)
    stated = ("digest", "source", "verdict", "file", "position")
    columns = [pl.Series(name, [getattr(line, name) for line in lines], dtype=pl.Utf8) for name in stated]
    return pl.DataFrame(columns).with_columns(
        pl.lit(run_id).alias("run_id"),
        pl.lit("").alias("batch_id"),
        pl.lit(now).cast(RECEIPT["received_at"]).alias("received_at"),
        pl.lit(f"{now:%Y-%m}").alias("month"),
    )
