"""Derives what a load touched and publishes it: only the months concerned are written again."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError

from etl.faults import fault
from etl.lake.store import Lake
from etl.star.derive import Landed, derive
from etl.star.dimensions import day_range, dimensions
from etl.star.index import LakeIndex
from etl.star.loads import fact_load_run, fact_reject
from etl.version import code_version
from settings import Settings
from warehouse.arrow import check, conform, frame_schema
from warehouse.publication import Publication, Publications, TableVersion, new_id, schema_digest
from warehouse.schema import FACTS_BY_MONTH, TABLES

MOST_COMPONENTS = 50_000
"""Components derived at once: bounds the memory of a rebuild."""
_GRACE_SECONDS = 3600
"""Files that no kept publication names stay this long, for readers that hold an older one."""

Progress = Callable[[str], None]


class StarBuilder:
    """Writes one star directory."""

    def __init__(
        self, lake: Lake, index: LakeIndex, star: Path, settings: Settings, say: Progress = lambda _: None
    ) -> None:
        self._lake, self._index, self._star, self._settings, self._say = lake, index, star, settings, say
        self.publications = Publications(star)

    def publish(self, *, everything: bool = False) -> Publication | None:
        """Brings the star up to date with the lake; the new publication, or None where nothing changed.

        Raises:
            CheckError: derived rows break a check; the served publication stays as it was.
        """
        base = None if everything else self._usable_base()
        batches = self._lake.ledger.count()
        if base is not None and base.batches == batches:
            return None
        if base is None:
            self._say("deriving the whole star")
        touched = self._index.touched(base.batches if base else 0)
        self._restore(base)
        monthly = self._write_facts(touched, base)
        publication = self._publication(base, monthly, batches)
        fault("publication")
        self.publications.write(publication)
        fault("pointer")
        self.publications.use(publication.id)
        self.publications.forget(self._settings.load.kept_publications)
        fault("tidy")
        self._tidy()
        return publication

    def _usable_base(self) -> Publication | None:
        """The served publication, if this program and configuration made it; otherwise everything is derived again."""
        current = self.publications.current()
        fits = (
            current is not None
            and current.schema == schema_digest()
            and current.settings_digest == self._settings.digest()
            and current.batches <= self._lake.ledger.count()
        )
        return current if fits else None

    # -- facts -----------------------------------------------------------------------------------------------------

    def _write_facts(self, touched: pl.DataFrame, base: Publication | None) -> dict[str, TableVersion]:
        """Derives the touched components in groups and replaces their months; the table versions afterwards."""
        versions = dict(base.tables) if base else {}
        survivors = dict(self._index.survivors().iter_rows())
        groups = [touched.slice(start, MOST_COMPONENTS) for start in range(0, touched.height, MOST_COMPONENTS)]
        for number, group in enumerate(groups, start=1):
            fault("derive")
            if len(groups) > 1:
                self._say(f"deriving part {number} of {len(groups)}")
            components = group.select("component")
            facts = derive(self._landed(components), survivors, self._settings)
            former = pl.DataFrame({"exam_key": self._index.tokens_of(components)})
            places = _months(self._rows("fact_exam", versions.get("fact_exam")), former)
            for table in FACTS_BY_MONTH:
                versions[table] = self._replace(table, facts[table], former, places, versions.get(table))
        for table in FACTS_BY_MONTH:
            versions.setdefault(table, TableVersion(-1, (), 0))
        return versions

    def _landed(self, components: pl.DataFrame) -> Landed:
        """The landing rows of some components, read from the months in which they lie."""
        wanted = self._index.rows_of(components)
        frames = {}
        for (name,), rows in wanted.group_by("name"):
            months = rows["month"].unique().to_list()
            frames[str(name)] = (
                self._lake.read(str(name), months=months)
                .join(rows.select("digest").unique().lazy(), on="digest", how="semi")
                .collect()
            )
        return Landed.of(frames)

    def _replace(
        self,
        table: str,
        rows: pl.DataFrame,
        former: pl.DataFrame,
        places: list[str],
        version: TableVersion | None,
    ) -> TableVersion:
        """Writes the months in which the exams were or are, with their new rows in place of the old.

        Args:
            former: `exam_key`s that the exams may have had.
            places: months in which exams of these keys are; whatever belongs to an exam is in the exam's month.
        """
        old = self._rows(table, version)
        was_in = _months(old.filter(pl.col("month").is_in(places)), former)
        months = sorted({*was_in, *rows["month"].unique().to_list()})
        if not months:
            return version or TableVersion(-1, (), 0)
        kept = old.filter(pl.col("month").is_in(months)).join(former.lazy(), on="exam_key", how="anti").collect()
        merged = pl.concat([kept, rows]).sort("month", *TABLES[table].info["unique"])
        fault("star")
        predicate = " OR ".join(f"month = '{month}'" for month in months)
        return self._written(table, merged, predicate if version is not None and version.files else None)

    def _rows(self, table: str, version: TableVersion | None) -> pl.LazyFrame:
        if version is None or not version.files:
            return pl.LazyFrame(schema=frame_schema(table))
        scan = pl.scan_parquet(
            [str(self._star / file) for file in version.files], hive_partitioning=True, hive_schema={"month": pl.Utf8}
        )
        return scan.select(list(frame_schema(table)))

    def _written(self, table: str, rows: pl.DataFrame, predicate: str | None) -> TableVersion:
        monthly = TABLES[table].info["monthly"]
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

    def _restore(self, base: Publication | None) -> None:
        """Takes each Delta table back to the base: a killed load may have written ahead of it."""
        for table, version in (base.tables if base else {}).items():
            try:
                delta = DeltaTable(str(self._star / table))
            except TableNotFoundError:
                continue
            if version.version >= 0 and delta.version() != version.version:
                delta.restore(version.version)

    # -- the rest --------------------------------------------------------------------------------------------------

    def _publication(self, base: Publication | None, facts: dict[str, TableVersion], batches: int) -> Publication:
        """Writes dimensions and load facts, checks everything that is new, and names the versions."""
        exams = self._rows("fact_exam", facts["fact_exam"])
        dims = {
            name: conform(name, frame)
            for name, frame in dimensions(self._index, self._settings, *day_range(exams)).items()
        }
        loads = {
            "fact_load_run": conform("fact_load_run", fact_load_run(self._lake)),
            "fact_reject": conform("fact_reject", fact_reject(self._lake)),
        }
        fault("check")
        for name, frame in {**dims, **loads}.items():
            check(name, frame, dims)
        for name in FACTS_BY_MONTH:
            self._check_fact(name, facts[name], base, dims)
        versions = dict(facts)
        for name, frame in {**dims, **loads}.items():
            versions[name] = self._unless_equal(name, frame, base)
        newest = (
            exams.select(
                pl.max_horizontal(*(pl.col(f"{m}_at") for m in ("started", "ended", "final", "arrived")))
                .filter(pl.max_horizontal("started_at", "ended_at", "final_at", "arrived_at") <= datetime.now(UTC))
                .max()
            )
            .collect()
            .item()
        )
        return Publication(
            new_id(),
            datetime.now(UTC).isoformat(),
            versions,
            schema_digest(),
            code_version(),
            self._settings.digest(),
            batches,
            newest.isoformat() if newest else None,
        )

    def _check_fact(
        self, name: str, version: TableVersion, base: Publication | None, dims: dict[str, pl.DataFrame]
    ) -> None:
        """Checks the months that were written anew."""
        known = set(base.tables[name].files) if base and name in base.tables else set()
        fresh = TableVersion(version.version, tuple(file for file in version.files if file not in known), 0)
        check(name, self._rows(name, fresh).collect(), dims)

    def _unless_equal(self, name: str, frame: pl.DataFrame, base: Publication | None) -> TableVersion:
        """The table's version with these rows; the base's own where they are the same."""
        old = base.tables.get(name) if base else None
        if old is not None and old.rows == frame.height and old.files and self._rows(name, old).collect().equals(frame):
            return old
        return self._written(name, frame, None)

    def _tidy(self) -> None:
        """Removes files that no kept publication names, an hour after they were written."""
        named = {
            file
            for publication_id in self.publications.kept()
            for table in self.publications.read(publication_id).tables.values()
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


def _months(rows: pl.LazyFrame, exams: pl.DataFrame) -> list[str]:
    """The months in which some exams have rows."""
    found = rows.select("exam_key", "month").join(exams.lazy(), on="exam_key", how="semi")
    return found.select("month").unique().collect()["month"].to_list()
