"""Paths with a clock of their own, nights, corrections, and who reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import dash
import polars as pl
from dash.development.base_component import Component

from dashboards._shell import numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.filter_bar import choice
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.subpages import subpages
from dashboards._shell.tables import Column
from dashboards.turnaround import queries
from dashboards.turnaround.compute import reader_groups
from dashboards.turnaround.parts import PAGES, chosen, explained, named, table, target_measure
from warehouse.measures import measure
from warehouse.measures.survival import curve, quantile
from warehouse.measures.turnaround import INTERVAL

SHIFTS = (
    ("Night, 0:00 to 6:59", range(7)),
    ("Day, 7:00 to 18:59", range(7, 19)),
    ("Evening, 19:00 to 23:59", range(19, 24)),
)
"""The shifts of `dim_time` and their hours."""
CORRECTIONS = ("addendum_7d_share", "addendum_30d_share", "correction_30d_share", "prelim_corrected_share")
GROUPS = {"section": "Section", "reader_group": "Group or firm", "modality": "Modality", "site": "Site"}
READERS = "readers"

dash.register_page(
    __name__,
    path=urls.TURNAROUND_PATHS,
    name="Paths and readers",
    title="Paths and readers – Isocenter",
    permission="view_turnaround",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("turnaround.tabs-paths", height=44, is_wide=True), slot("turnaround.paths", height=320, is_wide=True), slot("turnaround.nights", height=240), slot("turnaround.corrections", height=240), slot("turnaround.readers", height=320, is_wide=True),
    ]  # fmt: skip
    return page(
        "Paths and readers",
        urls.TURNAROUND_PATHS,
        query,
        content,
        intro="Emergency, stroke and critical results with their own clocks; nights; corrections; readers as groups.",
    )


@section("turnaround.tabs-paths")
def tabs(reading: Reading) -> Drawn:
    """The links between the turnaround pages."""
    return subpages(PAGES, urls.TURNAROUND_PATHS, reading)


class Path(NamedTuple):
    """One clock: whose exams, which interval, within what, and which events it needs."""

    name: str
    interval: str
    narrowed: Mapping[str, tuple[str, ...]]
    mark: str | None
    """Measure of the share in time."""
    mark_words: str
    needs: str


_NO_DOOR = "No exam has a time at the hospital's door: ADT^A04 or A01, or Encounters, give it."
_EMERGENCY = {"patient_class": ("ED",)}
_STROKE = {"patient_class": ("ED",), "modality": ("CT",)}
PATHS = (
    Path("Emergency: door to exam", "door_to_start", _EMERGENCY, None, "", _NO_DOOR),
    Path("Emergency: door to first report", "door_to_first_report", _EMERGENCY, None, "", _NO_DOOR),
    Path("Emergency: exam to first report", "first_report", _EMERGENCY, None, "", "No emergency exam has an end and a report."),
    Path("Emergency CT, stroke's clock: door to exam", "door_to_start", _STROKE, "ct_door_to_start_25_share", "25 min", _NO_DOOR),
    Path("Emergency CT, stroke's clock: door to first report", "door_to_first_report", _STROKE, "ct_door_to_report_45_share", "45 min", _NO_DOOR),
    Path("Critical results: final report to communication", "communication", {}, "communication_60_share", "60 min", "No result is recorded as told: Communication resources or an extract give it."),
)  # fmt: skip


@section("turnaround.paths")
def paths(reading: Reading) -> Drawn:
    """Each path's own clock, or why there is none."""
    rows = [_path_row(path, reading) for path in PATHS]
    told = [row for row in rows if row["p50"] is not None]
    if not told:
        reasons = dict.fromkeys(str(row["why"]) for row in rows if row["why"])
        return Empty(
            "Paths with a clock of their own", f"{' '.join(reasons)} Filters: {reading.sentence}.", is_wide=True
        )
    judged = [row for row in told if row["share"] is not None]
    first = min(judged, key=lambda row: row["share"]) if judged else told[0]
    title = (
        f"{first['name']}: {first['share']:.0f} % within {first['mark']}"
        if judged
        else f"{first['name']}: half within {numbers.duration(first['p50'])}"
    )
    columns = (
        Column("name", "Path"), Column("p50", "Median", "number", "min"), Column("p90", "9 of 10 within", "number", "min"), Column("mark", "Mark"), Column("share", "Within it", "number", "%", 1), Column("n", "Exams", "number"), Column("why", "Without a figure because"),
    )  # fmt: skip
    schema = {
        **dict.fromkeys(("name", "mark", "why"), pl.Utf8),
        **dict.fromkeys(("p50", "p90", "share"), pl.Float64),
        "n": pl.Int64,
        "withheld": pl.Boolean,
    }
    shares = tuple(measure(path.mark) for path in PATHS if path.mark)
    return Card(
        title,
        "Minutes on each path's own clock",
        table(columns, pl.DataFrame(rows, schema=schema), reading),
        measures=(
            *explained("door_to_start"),
            *explained("door_to_first_report"),
            *explained("communication"),
            *shares,
        ),
        note="25 and 45 min from the door are what AHA (2010) asked for stroke; messages do not mark strokes, so all emergency CT counts unless procedures are chosen. 60 min for critical results is a proposal.",
        exams=urls.exams(reading.filters),
        is_wide=True,
    )


def _path_row(path: Path, reading: Reading) -> dict[str, Any]:
    kept = {way: values for way, values in path.narrowed.items() if not getattr(reading.filters, way)}
    clash = any(
        not set(values) & set(getattr(reading.filters, way)) for way, values in path.narrowed.items() if way not in kept
    )
    inside = reading.over(reading.filters.narrowed(**kept))
    row: dict[str, Any] = {
        "name": path.name,
        "p50": None,
        "p90": None,
        "mark": path.mark_words or None,
        "share": None,
        "n": 0,
        "withheld": False,
    }
    if clash:
        return row | {"why": "The filters leave its exams out."}
    p50, p90 = (inside.frame(f"{path.interval}_minutes_{q}").row(0, named=True) for q in ("p50", "p90"))
    if p50["withheld"]:
        return row | {"withheld": True, "why": "Too few exams to show."}
    if not p50["n"]:
        return row | {"why": path.needs}
    share = inside.frame(path.mark).row(0, named=True)["value"] if path.mark else None
    return row | {
        "p50": p50["value"],
        "p90": p90["value"],
        "share": share,
        "n": p50["n"],
        "why": None if p50["value"] is not None else "Too many are still open.",
    }


@section("turnaround.nights")
def nights(reading: Reading) -> Drawn:
    """Reading at night against reading by day."""
    rows: list[dict[str, Any]] = []
    first, final = (queries.durations(reading, INTERVAL[name], "hour") for name in ("first_report", "report"))
    for name, hours in SHIFTS:
        own_first, own_final = (frame.filter(pl.col("hour").is_in(list(hours))) for frame in (first, final))
        values = [quantile(curve(own), 0.5).item() if not own.is_empty() else None for own in (own_first, own_final)]
        rows.append(
            {
                "name": name,
                "first": values[0],
                "final": values[1],
                "n": own_final.height,
                "withheld": own_final.height < max(1, reading.scope.small_count),
            }
        )
    told = [row for row in rows if not row["withheld"] and row["first"] is not None]
    if not told:
        return Empty("Nights and days", f"No exam was completed: {reading.sentence}.")
    columns = (
        Column("name", "Exam started"),
        Column("first", "First report, median", "number", "min"),
        Column("final", "Final report, median", "number", "min"),
        Column("n", "Exams", "number"),
    )
    schema = {"name": pl.Utf8, "first": pl.Float64, "final": pl.Float64, "n": pl.Int64, "withheld": pl.Boolean}
    slowest = max(told, key=lambda row: row["first"])
    return Card(
        f"{slowest['name'].partition(',')[0]} exams wait longest for a first report, {numbers.duration(slowest['first'])} in the median",
        "Minutes from exam end to the first report of any kind and to the final one, by when the exam started",
        table(columns, pl.DataFrame(rows, schema=schema), reading),
        measures=(
            measure("night_first_report_minutes_p50"),
            measure("night_report_minutes_p50"),
            *explained("first_report")[:1],
        ),
        exams=urls.exams(reading.filters),
    )


@section("turnaround.corrections")
def corrections(reading: Reading) -> Drawn:
    """How many reports get an addendum or a correction."""
    rows = []
    for name in CORRECTIONS:
        row = reading.frame(name).row(0, named=True)
        rows.append({"name": measure(name).title, "value": row["value"], "n": row["n"], "withheld": row["withheld"]})
    by_name = dict(zip(CORRECTIONS, rows, strict=True))
    if not any(row["n"] or row["withheld"] for row in rows):
        return Empty("Addenda and corrections", f"No report is old enough to tell: {reading.sentence}.")
    columns = (Column("name", "What"), Column("value", "Share", "number", "%", 1), Column("n", "Reports", "number"))
    schema = {"name": pl.Utf8, "value": pl.Float64, "n": pl.Int64, "withheld": pl.Boolean}
    corrected, added = by_name["correction_30d_share"]["value"], by_name["addendum_30d_share"]["value"]
    title = "Addenda and corrections"
    if corrected is not None and added is not None:
        title = f"{corrected:.1f} % of the reports are corrected within 30 days, {added:.1f} % get an addendum"
    return Card(
        title,
        "Share of reported exams, of reports old enough to tell",
        table(columns, pl.DataFrame(rows, schema=schema), reading),
        measures=tuple(measure(name) for name in CORRECTIONS),
        exams=urls.exams(reading.filters),
    )


@section("turnaround.readers")
def readers(reading: Reading) -> Drawn:
    """Who reads, as groups; single readers for those who may see persons."""
    may_single = reading.may("see_persons")
    ways = GROUPS | ({READERS: "Single readers"} if may_single else {})
    way = chosen(reading, "readers", ways, "section")
    controls = (choice("readers", "By", list(ways.items()), way, "section"),)
    frame = queries.reads(reading, queries.reader_groups(way))
    if frame["group"].drop_nulls().is_empty():
        reason = "No report names its reader" if frame.is_empty() else f"No report says its {ways[way].lower()}"
        return Empty("Readers", f"{reason}: {reading.sentence}.", is_wide=True, controls=controls)
    least = 1 if way == READERS else reading.settings.turnaround.smallest_group
    groups, hidden = reader_groups(frame, least)
    if groups.is_empty():
        return Empty(
            "Readers", f"No group has {least} readers or more: {reading.sentence}.", is_wide=True, controls=controls
        )
    told = _reader_names(groups, way, reading).with_columns(withheld=pl.col("n") < reading.scope.small_count)
    columns = (
        Column("name", ways[way]), *(() if way == READERS else (Column("readers", "Readers", "number"),)), Column("n", "Reports", "number"), Column("read_p50", "Reading, median", "number", "min"),
        Column("p50", "To the report, median", "number", "min"), Column("p90", "9 of 10 within", "number", "min"), Column("in_target", "Within target", "number", "%", 1),
    )  # fmt: skip
    note = (
        "Of reported exams alone: an unread exam has no reader. Slower is not worse: hard exams and nights weigh more."
    )
    if hidden:
        note += f" {hidden} groups with fewer than {least} readers are not shown."
    shown = told.filter(~pl.col("withheld"))
    title = "Readers: too few reports to show"
    if not shown.is_empty():
        top = shown.row(0, named=True)
        title = f"{top['name']} read most, {numbers.count(top['n'])} reports, half within {numbers.duration(top['p50'])} of the exam's end"
    return Card(
        title,
        "Reports by who read them",
        table(columns, told, reading),
        measures=(*explained("read"), target_measure(reading)),
        note=note,
        formula=f"Groups of at least {least} readers; percentiles over their reports.",
        exams=urls.exams(reading.filters),
        is_wide=True,
        controls=controls,
    )


def _reader_names(groups: pl.DataFrame, way: str, reading: Reading) -> pl.DataFrame:
    if way == READERS:
        return groups.with_columns(name=pl.format("Reader {}", pl.col("group").str.slice(0, 8)))
    return named(groups.rename({"group": way}), way, reading)
