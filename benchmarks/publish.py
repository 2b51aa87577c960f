"""Publishing 500 changed exams at a history and at ten times that, beside a DuckDB file; and a rebuild beside a scan.

A DuckDB file is copied whole, so that the comparison with it has a target at the full size alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
from _compare import Comparison, Run, arguments, in_turns, scratch, seconds, show
from _synthetic_lake import fill, report_again

from etl.lake.schema import LANDING
from etl.lake.store import Lake
from etl.star.build import StarBuilder
from etl.star.index import LakeIndex
from settings import Settings
from warehouse.publication import Publications

CHANGED = 500
ROUNDS = 3


def main() -> None:
    """Prints the table."""
    full = arguments(__doc__).full
    exams = 1_000_000 if full else 20_000
    with scratch() as folder:
        small, large = _hospital(folder / "small", exams, exams), _hospital(folder / "large", 10 * exams, exams)
        copy_and_change = _duckdb_trial(folder / "large", folder / "star.duckdb")
        few, many, copied = in_turns(ROUNDS, small, large, copy_and_change)
        scanned, rebuilt = in_turns(
            1, seconds(lambda: _scan(folder / "small")), seconds(lambda: _rebuild(folder / "small"))
        )
        show(
            Comparison(
                f"publish {CHANGED} exams, history of {10 * exams:,}",
                f"{many:.2f} s",
                f"{exams:,} exams, {few:.2f} s",
                many / few,
                at_most=1.5,
            ),
            Comparison(
                "the same",
                f"{many:.2f} s",
                f"copy and change a DuckDB file, {copied:.2f} s",
                many / copied,
                at_most=0.1 if full else None,
            ),
            Comparison(
                f"rebuild of {exams:,} exams",
                f"{rebuilt:.2f} s",
                f"scan of the lake, {scanned:.2f} s",
                rebuilt / scanned,
                at_most=5,
            ),
        )


def _hospital(folder: Path, exams: int, a_year: int) -> Run:
    """Fills a lake, publishes it, and gives the trial that publishes a change of its last exams."""
    lake = Lake(folder / "lake")
    fill(lake, exams, a_year)
    _publish(folder)
    rounds = iter(range(ROUNDS))

    def run() -> float:
        report_again(lake, exams, a_year, CHANGED, next(rounds))
        return seconds(lambda: _publish(folder))()

    return run


def _publish(folder: Path, *, everything: bool = False) -> None:
    """What follows the landing of a load."""
    lake = Lake(folder / "lake")
    index = LakeIndex(lake)
    try:
        index.catch_up()
        StarBuilder(lake, index, folder / "star", Settings()).publish(everything=everything)
    finally:
        index.close()


def _rebuild(folder: Path) -> None:
    _publish(folder, everything=True)


def _scan(folder: Path) -> None:
    """Reads every column of every landing row once."""
    for table in LANDING:
        Lake(folder / "lake").read(table).collect()


def _duckdb_trial(folder: Path, file: Path) -> Run:
    """A star in one DuckDB file, published the other way: copied, changed, checkpointed, synced and renamed."""
    publication = Publications(folder / "star").current()
    assert publication is not None
    with duckdb.connect(str(file)) as connection:
        for name, version in publication.tables.items():
            if version.files:
                files = ", ".join(f"'{folder / 'star' / path}'" for path in version.files)
                connection.execute(f"CREATE TABLE {name} AS SELECT * FROM read_parquet([{files}])")

    def publish() -> None:
        beside = file.with_suffix(".next")
        shutil.copyfile(file, beside)
        with duckdb.connect(str(beside)) as connection:
            _change(connection.execute)
        descriptor = os.open(beside, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        beside.replace(file)

    return seconds(publish)


def _change(execute: Callable[[str], object]) -> None:
    """Takes the rows of some exams out and puts them in again."""
    execute(
        f"CREATE TEMP TABLE changed AS SELECT exam_key FROM fact_exam ORDER BY started_at DESC NULLS LAST LIMIT {CHANGED}"
    )
    for table in ("fact_exam", "fact_exam_event", "fact_series"):
        execute(f"CREATE TEMP TABLE fresh_{table} AS SELECT * FROM {table} SEMI JOIN changed USING (exam_key)")
        execute(f"DELETE FROM {table} WHERE exam_key IN (SELECT exam_key FROM changed)")
        execute(f"INSERT INTO {table} SELECT * FROM fresh_{table}")
    execute("CHECKPOINT")


if __name__ == "__main__":
    main()
