"""Derives what a load touched and publishes it: only the months concerned are written again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from etl.faults import fault
from etl.lake.store import Lake
from etl.star.calendar import expand
from etl.star.clocks import device_clocks
from etl.star.decided import Decided
from etl.star.derive import STATIONS, Known, Landed, derive
from etl.star.device_days import device_spans
from etl.star.dimensions import day_range, devices, dimensions
from etl.star.index import LakeIndex
from etl.star.keys import key64
from etl.star.loads import fact_load_run, fact_reject
from etl.star.staffing import INFERENCE_DAYS, lives
from etl.star.tables import NOTHING, StarTables, months_of
from etl.version import code_version
from settings import Settings
from warehouse.arrow import check, conform
from warehouse.publication import Publication, Publications, TableVersion, new_id, schema_digest
from warehouse.schema import DEVICE_FACTS, EXAM_FACTS, UNKNOWN

MOST_COMPONENTS = 50_000
"""Components derived at once: bounds the memory of a rebuild."""
Progress = Callable[[str], None]
Versions = dict[str, TableVersion]


@dataclass(frozen=True)
class _Around:
    """What holds for the whole star while it is built."""

    known: Known
    devices: pl.DataFrame
    """`dim_device` with `site` codes."""
    base: Publication | None


class StarBuilder:
    """Writes one star directory."""

    def __init__(
        self,
        lake: Lake,
        index: LakeIndex,
        star: Path,
        settings: Settings,
        say: Progress = lambda _: None,
        decided: Decided | None = None,
    ) -> None:
        self._lake, self._index, self._settings, self._say = lake, index, settings, say
        self._decided = decided or Decided()
        self._tables = StarTables(star)
        self.publications = Publications(star)

    def publish(self, *, everything: bool = False) -> Publication | None:
        """Brings the star up to date with the lake and with what people decided; None where nothing changed.

        Raises:
            CheckError: derived rows break a check; the served publication stays as it was.
        """
        base = None if everything else self._usable_base()
        batches, marks = self._lake.ledger.count(), self._decided.marks() | self._settings_marks()
        if base is not None and base.batches == batches and base.decided == marks:
            return None
        if base is None:
            self._say("deriving the whole star")
        self._tables.restore(base)
        around = self._around(base)
        versions = dict(base.tables) if base else {}
        months = self._write_exams(self._touched(around), around, versions)
        months |= self._correct_clocks(around, versions)
        self._write_devices(months, around, versions)
        publication = self._publication(around, versions, batches, marks)
        fault("publication")
        self.publications.write(publication)
        fault("pointer")
        self.publications.use(publication.id)
        self.publications.forget(self._settings.load.kept_publications)
        fault("tidy")
        self._tables.tidy(self.publications)
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

    def _settings_marks(self) -> dict[str, list[str]]:
        """Settings that change dimensions alone: no exam has to be derived again for them."""
        return {"targets": [self._settings.turnaround.model_dump_json()]}

    def _around(self, base: Publication | None) -> _Around:
        found = devices(self._index).join(_site_codes(self._settings), on="site_key", how="left")
        offsets = self._tables.rows("fact_device_clock", base.tables.get("fact_device_clock") if base else None)
        known = Known(
            self._settings,
            dict(self._index.survivors(self._decided.undone_merges).iter_rows()),
            offsets.select("device_id", "local_day", "applied_s").filter(pl.col("applied_s").is_not_null()).collect(),
            _stations(found),
            self._decided.excluded,
            self._decided.exposure_classes,
        )
        return _Around(known, found, base)

    # -- exams -----------------------------------------------------------------------------------------------------

    def _touched(self, around: _Around) -> pl.DataFrame:
        """Components to derive: those with new rows, with decisions about them, or with a station that means another device."""
        base = around.base
        parts = [self._index.touched(base.batches if base else 0)]
        if base is not None:
            exams = self._decided.changed_exams(base.decided) | self._exams_of_new_stations(around)
            patients = self._decided.changed_patients(base.decided)
            if exams or patients:
                parts.append(self._index.components_of(exams, patients))
        return pl.concat(parts).unique("component").sort("month", "component")

    def _exams_of_new_stations(self, around: _Around) -> set[int]:
        """Exams with a slot at a station name that meant no device, or another one, in the base."""
        assert around.base is not None
        before = _stations(
            self._tables.rows("dim_device", around.base.tables.get("dim_device"))
            .collect()
            .join(_site_codes(self._settings), on="site_key", how="left")
        )
        changed = around.known.stations.join(before, on=["site", "station", "device_key"], how="anti")[
            "station"
        ].unique()
        if changed.is_empty():
            return set()
        slots = self._tables.rows("fact_appointment", around.base.tables.get("fact_appointment"))
        named = slots.filter(pl.col("station").str.strip_chars().str.to_uppercase().is_in(changed.implode()))
        return set(named.select("exam_key").unique().collect()["exam_key"].to_list())

    def _write_exams(self, touched: pl.DataFrame, around: _Around, versions: Versions) -> set[str]:
        """Derives components in groups and replaces their months in `versions`; the months written."""
        groups = [touched.slice(start, MOST_COMPONENTS) for start in range(0, touched.height, MOST_COMPONENTS)]
        written: set[str] = set()
        for number, group in enumerate(groups, start=1):
            fault("derive")
            if len(groups) > 1:
                self._say(f"deriving part {number} of {len(groups)}")
            components = group.select("component")
            facts = derive(self._landed(components), around.known)
            former = pl.DataFrame({"exam_key": self._index.tokens_of(components)})
            places = months_of(self._tables.rows("fact_exam", versions.get("fact_exam")), former)
            slots = self._tables.rows("fact_appointment", versions.get("fact_appointment"))
            written |= {
                *places,
                *facts["fact_exam"]["month"],
                *_slot_months(slots, former),
                *_slot_months(facts["fact_appointment"].lazy()),
            }
            for table in EXAM_FACTS:
                versions[table] = self._tables.replace_exams(table, facts[table], former, places, versions.get(table))
        for table in EXAM_FACTS:
            versions.setdefault(table, NOTHING)
        return written

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

    # -- devices ---------------------------------------------------------------------------------------------------

    def _correct_clocks(self, around: _Around, versions: Versions) -> set[str]:
        """Estimates every scanner's clock anew and derives again the exams whose correction changed; the months written.

        The estimates rest on the scanners' own times, which no correction changes: one more pass is enough.
        """
        clocks = conform(
            "fact_device_clock",
            device_clocks(
                self._tables.rows("fact_exam", versions["fact_exam"]),
                around.devices,
                around.known.zones,
                self._decided.clock_approvals,
                self._settings.clocks,
            ),
        )
        applied = clocks.filter(pl.col("applied_s").is_not_null()).select("device_id", "local_day", "applied_s")
        changed = pl.concat(
            [
                applied.join(around.known.offsets, on=applied.columns, how="anti"),
                around.known.offsets.join(applied, on=applied.columns, how="anti"),
            ]
        ).unique(["device_id", "local_day"])
        old = versions.get("fact_device_clock")
        versions["fact_device_clock"] = self._tables.write_unless_equal("fact_device_clock", clocks, old)
        if changed.is_empty():
            return set()
        exams = self._exams_of_days(changed, around, versions)
        corrected = _Around(_with_offsets(around.known, applied), around.devices, around.base)
        return self._write_exams(self._index.components_of(exams), corrected, versions)

    def _exams_of_days(self, days: pl.DataFrame, around: _Around, versions: Versions) -> set[int]:
        """Exams that devices acquired on some days of their own clocks, a day on either side for good measure."""
        wide = pl.concat([days.with_columns(pl.col("local_day") + pl.duration(days=shift)) for shift in (-1, 0, 1)])
        exams = (
            self._tables.rows("fact_exam", versions["fact_exam"])
            .filter(pl.col("machine_started_at").is_not_null())
            .select("exam_key", "device_key", local_day=pl.col("machine_started_at").dt.date())
            .join(around.devices.select("device_key", "device_id").lazy(), on="device_key")
            .join(wide.lazy(), on=["device_id", "local_day"], how="semi")
        )
        return set(exams.select("exam_key").collect()["exam_key"].to_list())

    def _write_devices(self, touched: set[str], around: _Around, versions: Versions) -> None:
        """Derives the days of devices again in the months that exams changed, or everywhere where a calendar did."""
        entries = pl.concat([self._lake.read("calendar").collect(), self._decided.calendar], how="diagonal")
        exams = self._tables.rows("fact_exam", versions["fact_exam"])
        first, last = day_range(exams)
        calendar = expand(entries, first, last, self._settings)
        every = {str(month) for month in exams.select("month").unique().collect()["month"] if month != "0000-00"}
        data_to = _newest(exams) or datetime.now(UTC)
        if around.base is None or self._has_new_calendar(around.base):
            touched = every
        elif around.base.as_of is not None:
            touched = touched | {f"{around.base.as_of:%Y-%m}"}  # its last days may have been open then
            since = self._lives_changed_since(around, around.base, data_to)
            touched = touched | {month for month in every if since is not None and month >= f"{since:%Y-%m}"}
        # Staffed hours may be inferred from exams up to eight weeks back, and an exam may run past midnight.
        months = sorted({later for month in touched & every for later in _with_following(month)} & every)
        slots = self._tables.rows("fact_appointment", versions["fact_appointment"])
        for table in DEVICE_FACTS:
            parts = [self._device_month(month, exams, slots, calendar, around, data_to) for month in months]
            if parts:
                versions[table] = self._tables.replace_months(table, pl.concat(parts), months, versions.get(table))
            versions.setdefault(table, NOTHING)

    def _lives_changed_since(self, around: _Around, base: Publication, data_to: datetime) -> date | None:
        """The first day on which a device was in use in the base and is not now, or the reverse."""
        assert base.as_of is not None
        before = self._tables.rows("dim_device", base.tables.get("dim_device")).collect()
        old = lives(before.join(_site_codes(self._settings), on="site_key", how="left"), self._settings, base.as_of)
        new = lives(around.devices, self._settings, data_to)
        both = old.join(new, on="device_id", how="full", suffix="_new", coalesce=True).filter(
            ~pl.col("first").eq_missing(pl.col("first_new")) | ~pl.col("until").eq_missing(pl.col("until_new"))
        )
        edge = (
            pl.when(pl.col("first").eq_missing(pl.col("first_new")))
            .then(pl.min_horizontal("until", "until_new"))
            .otherwise(pl.min_horizontal("first", "first_new"))
        )
        found: date | None = both.select(edge.min()).item()
        return found

    def _has_new_calendar(self, base: Publication) -> bool:
        fresh = any("calendar" in batch.tables for batch in self._lake.ledger.batches(after=base.batches))
        return fresh or self._decided.has_new_calendar(base.decided)

    def _device_month(
        self,
        month: str,
        exams: pl.LazyFrame,
        slots: pl.LazyFrame,
        calendar: pl.DataFrame,
        around: _Around,
        data_to: datetime,
    ) -> pl.DataFrame:
        first = date.fromisoformat(f"{month}-01")
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        since = first - timedelta(days=INFERENCE_DAYS)
        near = exams.filter(
            (pl.col("month") >= f"{since:%Y-%m}")
            & (pl.col("month") <= month)
            & pl.col("local_day").is_between(since, last)
        ).collect()
        booked = slots.filter(pl.col("local_day").is_between(first, last)).collect()
        spans = device_spans(near, booked, around.devices, calendar, (first, last), self._settings, data_to)
        return conform("fact_device_span", spans.with_columns(month=pl.lit(month)))

    # -- the rest --------------------------------------------------------------------------------------------------

    def _publication(
        self, around: _Around, versions: Versions, batches: int, marks: dict[str, list[str]]
    ) -> Publication:
        """Writes dimensions and load facts, checks everything that is new, and names the versions."""
        base = around.base
        exams = self._tables.rows("fact_exam", versions["fact_exam"])
        slots = self._tables.rows("fact_appointment", versions["fact_appointment"])
        found = dimensions(self._index, self._settings, around.devices, self._decided, *day_range(exams, slots))
        dims = {name: conform(name, frame) for name, frame in found.items()}
        loads = {
            "fact_load_run": conform("fact_load_run", fact_load_run(self._lake)),
            "fact_reject": conform("fact_reject", fact_reject(self._lake)),
        }
        fault("check")
        for name, frame in {**dims, **loads}.items():
            check(name, frame, dims)
        for name in (*EXAM_FACTS, *DEVICE_FACTS, "fact_device_clock"):
            self._check_fact(name, versions[name], base, dims)
        for name, frame in {**dims, **loads}.items():
            versions[name] = self._tables.write_unless_equal(name, frame, base.tables.get(name) if base else None)
        newest = _newest(exams)
        return Publication(
            new_id(),
            datetime.now(UTC).isoformat(),
            versions,
            schema_digest(),
            code_version(),
            self._settings.digest(),
            batches,
            newest.isoformat() if newest else None,
            marks,
        )

    def _check_fact(
        self, name: str, version: TableVersion, base: Publication | None, dims: dict[str, pl.DataFrame]
    ) -> None:
        """Checks the files that were written anew."""
        known = set(base.tables[name].files) if base and name in base.tables else set()
        fresh = TableVersion(version.version, tuple(file for file in version.files if file not in known), 0)
        check(name, self._tables.rows(name, fresh).collect(), dims)


def _newest(exams: pl.LazyFrame) -> datetime | None:
    """Newest time of anything that happened to an exam, times ahead of now left out."""
    happened = pl.max_horizontal(*(pl.col(f"{name}_at") for name in ("started", "ended", "final", "arrived")))
    newest: datetime | None = exams.select(happened.filter(happened <= datetime.now(UTC)).max()).collect().item()
    return newest


def _site_codes(settings: Settings) -> pl.DataFrame:

    rows = [(key64("site", site.code), site.code) for site in settings.sites]
    return pl.DataFrame(rows, schema={"site_key": pl.Int64, "site": pl.Utf8}, orient="row")


def _stations(found: pl.DataFrame) -> pl.DataFrame:
    """Station names of each site that mean one device only, with that device's first version: `STATIONS`."""
    named = found.filter(
        pl.col("station").is_not_null() & (pl.col("station") != "") & pl.col("site").is_not_null()
    ).select("site", pl.col("station").str.strip_chars().str.to_uppercase(), "device_id")
    one = named.unique().filter(pl.len().over("site", "station") == 1)
    first = (
        found.filter(pl.col("device_key") != UNKNOWN)
        .sort("device_id", pl.col("valid_from").dt.epoch("us").fill_null(0), "device_key")
        .unique("device_id", keep="first", maintain_order=True)
        .select("device_id", "device_key")
    )
    return one.join(first, on="device_id").select(list(STATIONS)).sort("site", "station")


def _with_offsets(known: Known, offsets: pl.DataFrame) -> Known:
    return replace(known, offsets=offsets)


def _slot_months(slots: pl.LazyFrame, exams: pl.DataFrame | None = None) -> list[str]:
    """The months in which the slots of some exams lie."""
    of_exams = slots if exams is None else slots.join(exams.lazy(), on="exam_key", how="semi")
    found = of_exams.select(pl.col("local_day").dt.strftime("%Y-%m").alias("month")).unique().collect()
    return found["month"].drop_nulls().to_list()


def _with_following(month: str) -> list[str]:
    """A month and the two after it."""
    answer = [date.fromisoformat(f"{month}-01")]
    for _ in range(2):
        answer.append((answer[-1] + timedelta(days=32)).replace(day=1))
    return [f"{day:%Y-%m}" for day in answer]
