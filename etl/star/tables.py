"""The star's tables on the disk: Delta tables of which a publication names one version each."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import polars as pl
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

from etl.faults import fault
from warehouse.arrow import frame_schema
from warehouse.publication import Publication, Publications, TableVersion
from warehouse.schema import TABLES

_GRACE_SECONDS = 3600
"""Files that no kept publication names stay this long, for readers that hold an older one."""
NOTHING = TableVersion(-1, (), 0)


class StarTables:
    """Reads and writes one star directory."""

    def __init__(self, star: Path) -> None:
        self._star = star

    def rows(self, table: str, version: TableVersion | None) -> pl.LazyFrame:
        """The rows of one version; none where there is no version."""
        if version is None or not version.files:
            return pl.LazyFrame(schema=frame_schema(table))
        scan = pl.scan_parquet(
            [str(self._star / file) for file in version.files], hive_partitioning=True, hive_schema={"month": pl.Utf8}
        )
        return scan.select(list(frame_schema(table)))

    def write(self, table: str, rows: pl.DataFrame, months: Iterable[str] | None = None) -> TableVersion:
        """Writes a table anew, or of a partitioned one that has files some months only."""
        monthly = TABLES[table].info["monthly"]
        predicate = " OR ".join(f"month = '{month}'" for month in months or ()) or None
        folder = self._star / table
        write_deltalake(
            str(folder),
            rows,
            mode="overwrite",
            predicate=predicate,
            partition_by=["month"] if monthly else None,
            schema_mode=None if predicate else "overwrite",
        )
        delta = DeltaTable(str(folder))
        files = tuple(
            sorted(f"{table}/" + uri.replace("\\", "/").rsplit(f"/{table}/", 1)[1] for uri in delta.file_uris())
        )
        return TableVersion(delta.version(), files, delta.count())

    def write_unless_equal(self, table: str, rows: pl.DataFrame, old: TableVersion | None) -> TableVersion:
        """The version with these rows; the old one where they are the same."""
        if old is not None and old.rows == rows.height and old.files and self.rows(table, old).collect().equals(rows):
            return old
        return self.write(table, rows)

    def replace_exams(
        self, table: str, fresh: pl.DataFrame, former: pl.DataFrame, places: list[str], version: TableVersion | None
    ) -> TableVersion:
        """Writes the months in which some exams were or are, with their new rows in place of the old.

        Args:
            fresh: new rows of the exams.
            former: `exam_key`s that the exams may have had.
            places: months in which exams of these keys are; whatever belongs to an exam is in the exam's month.
        """
        old = self.rows(table, version)
        was_in = months_of(old.filter(pl.col("month").is_in(places)), former)
        months = sorted({*was_in, *fresh["month"].unique().to_list()})
        if not months:
            return version or NOTHING
        kept = old.filter(pl.col("month").is_in(months)).join(former.lazy(), on="exam_key", how="anti").collect()
        merged = pl.concat([kept, fresh]).sort("month", *TABLES[table].info["unique"])
        fault("star")
        return self.write(table, merged, months if version is not None and version.files else None)

    def replace_months(
        self, table: str, fresh: pl.DataFrame, months: list[str], version: TableVersion | None
    ) -> TableVersion:
        """Writes some months anew; those that are the same as before stay as they are."""
        old = self.rows(table, version).filter(pl.col("month").is_in(months)).collect()
        ordered = fresh.sort("month", *TABLES[table].info["unique"])
        if version is not None and ordered.equals(old.sort("month", *TABLES[table].info["unique"])):
            return version
        fault("star")
        return self.write(table, ordered, months if version is not None and version.files else None)

    def restore(self, base: Publication | None) -> None:
        """Takes each table back to the base: a killed load may have written ahead of it."""
        for table, version in (base.tables if base else {}).items():
            try:
                delta = DeltaTable(str(self._star / table))
            except TableNotFoundError:
                continue
            if version.version >= 0 and delta.version() != version.version:
                delta.restore(version.version)

    def tidy(self, publications: Publications) -> None:
        """Removes files that no kept publication names, an hour after they were written."""
        named = {
            file
            for publication_id in publications.kept()
            for table in publications.read(publication_id).tables.values()
            for file in table.files
        }
        old = time.time() - _GRACE_SECONDS
        for table in TABLES:
            for path in (self._star / table).rglob("*.parquet"):
                if (
                    path.relative_to(self._star).as_posix() not in named
                    and "_delta_log" not in path.parts
                    and path.stat().st_mtime < old
                ):
                    path.unlink()


def months_of(rows: pl.LazyFrame, exams: pl.DataFrame) -> list[str]:
    """The months in which some exams have rows."""
    found = rows.select("exam_key", "month").join(exams.lazy(), on="exam_key", how="semi")
    return found.select("month").unique().collect()["month"].to_list()
