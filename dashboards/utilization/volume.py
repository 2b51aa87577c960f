"""Volume: how many exams, of what mix, against the year before, and how long they take the scanner."""

from __future__ import annotations

from datetime import timedelta

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.filter_bar import choice
from dashboards._shell.kpi import kpi, kpi_card
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.subpages import subpages
from dashboards._shell.tables import Column
from dashboards._shell.weekly import Weekly, statement, weekly_by
from dashboards.utilization import figures
from dashboards.utilization.parts import FEW, PAGES, chosen, table
from warehouse.measures import measure

HEADLINES = ("exams", "throughput", "exam_minutes_p50", "evening_exams")
MIX = {"modality": "Modality", "procedure": "Procedure", "site": "Site", "department": "Ordering department", "patient_class": "Patient class", "priority": "Priority"}  # fmt: skip
MOST_PROCEDURES = 10
YEAR = timedelta(days=364)
"""Fifty-two weeks: the same weekdays a year before."""

dash.register_page(
    __name__,
    path=urls.UTILIZATION_VOLUME,
    name="Volume",
    title="Volume – Isocenter",
    permission="view_utilization",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("utilization.counts", height=190, is_wide=True), slot("utilization.volume", is_wide=True), slot("utilization.mix", height=420), slot("utilization.minutes", height=420),
    ]  # fmt: skip
    return page("Volume", urls.UTILIZATION_VOLUME, query, content, intro="How many exams took place, of what mix, and how long they took the scanner.")  # fmt: skip


@section("utilization.counts")
def counts(reading: Reading) -> Drawn:
    """The headline cards."""
    names = [name for name in HEADLINES if name != "throughput" or reading.scope.departments is None]
    cards = [kpi_card(kpi(reading, name), reading) for name in names if reading.may(measure(name).permission)]
    return html.Div([subpages(PAGES, urls.UTILIZATION_VOLUME, reading), html.Div(cards, className="kpis")])


@section("utilization.volume")
def volume(reading: Reading) -> Drawn:
    """Weekly volume, one small chart a modality."""
    parts = {
        name: found
        for name, found in weekly_by(reading, "exams", "modality").items()
        if 2 * found.known > len(found.weeks)
    }
    if not parts:
        return Empty("Weekly volume by modality", f"No full week with exams: {reading.sentence}.", is_wide=True)
    ordered = sorted(parts.items(), key=lambda item: -sum(value or 0 for value in item[1].values))
    frame = pl.concat([found.frame().with_columns(modality=pl.lit(name)) for name, found in ordered])
    columns = (
        Column("modality", "Modality"),
        Column("week", "Week from", "day"),
        Column("value", "Exams", "number"),
        Column("variation", "Rule"),
    )
    return Card(
        _volume_title(ordered), "Exams a week, each modality on its own scale from zero", table(columns, frame, reading), tuple(figures.small_multiple(name, found, reading.look) for name, found in ordered),
        (measure("exams"),), period=ordered[0][1].period, exams=urls.exams(reading.filters), is_wide=True,
    )  # fmt: skip


@section("utilization.mix")
def mix(reading: Reading) -> Drawn:
    """The mix, against the same days a year before."""
    way = chosen(reading, "split", MIX, "modality")
    controls = (choice("split", "By", list(MIX.items()), way, "modality"),)
    counted = reading.frame("exams", way)
    if counted.filter(pl.col("withheld") | (pl.col("n") > 0)).is_empty():
        return Empty("Mix", f"No exam took place: {reading.sentence}.", controls=controls)
    before = _year_before(reading, way)
    frame, plan_columns = _with_plan(_compared(counted, before, way, reading), way, reading)
    told = frame.drop_nulls("value").head(MOST_PROCEDURES)
    if told.is_empty():
        return Empty(
            "Mix",
            f"Every count is below {reading.scope.small_count} and withheld to protect patients: {reading.sentence}.",
            controls=controls,
        )
    rows = told.to_dicts()
    words = [
        numbers.count(row["value"]) + (f" · {numbers.signed(row['change'], '%')}" if row["change"] is not None else "")
        for row in rows
    ]
    colours = [reading.look.modality(row["code"]) if way == "modality" else reading.look.series[0] for row in rows]
    moved = max(
        (row for row in rows if row["change"] is not None and row["before"] >= FEW),
        key=lambda row: abs(row["value"] - row["before"]),
        default=None,
    )
    title = f"{rows[0]['name']} is the largest part, {rows[0]['share']:.0f} %"
    if moved is not None:
        title += f"; {moved['name']} changed most in a year, {numbers.signed(moved['change'], '%')}"
    columns = (
        Column("name", MIX[way]),
        Column("value", "Exams", "number"),
        Column("share", "Share", "number", "%", 1),
        Column("before", "A year before", "number"),
        Column("change", "Change", "number", "%", 1),
        *plan_columns,
    )
    return Card(
        title, "Exams" if before is None else "Exams, and change on the same days 52 weeks before", table(columns, frame, reading),
        charts.bars([row["name"] for row in rows], [row["value"] for row in rows], words, colours, reading.look), (measure("exams"),),
        note="The data does not reach back a year: no comparison." if before is None else "", formula="Change: exams over those of the same weekdays 52 weeks before, less one.", exams=urls.exams(reading.filters), controls=controls,
    )  # fmt: skip


@section("utilization.minutes")
def minutes(reading: Reading) -> Drawn:
    """Scanner minutes of the procedures that take most time in all."""
    frame = procedure_minutes(reading)
    if frame.is_empty():
        return Empty(
            "Scanner minutes by procedure", f"No procedure has {FEW} exams with acquisition times: {reading.sentence}."
        )
    top = frame.head(MOST_PROCEDURES).sort("value", descending=True)
    first = top.row(0, named=True)
    words = [reading.shown("exam_minutes_p50", value) for value in top["value"]]
    hover = [
        f"<b>{word}</b> {row['name']}<br>9 of 10 within {reading.shown('exam_minutes_p90', row['p90'])}<br>n = {numbers.count(row['n'])}"
        for word, row in zip(words, top.iter_rows(named=True), strict=True)
    ]
    figure = charts.bars(
        top["name"].to_list(),
        top["value"].to_list(),
        words,
        [reading.look.modality(code) for code in top["modality"]],
        reading.look,
        hover=hover,
    )
    columns = (
        Column("name", "Procedure", link=lambda row: urls.exams(reading.filters.narrowed(procedure=(row["procedure"],)))), Column("modality", "Modality"),
        Column("value", "Median", "number", "min", 1), Column("p90", "9 of 10 within", "number", "min", 1), Column("n", "Exams", "number"),
    )  # fmt: skip
    return Card(
        f"{first['name']} is the longest of the procedures that fill the scanners most: {words[0]}", f"Median scanner minutes of the {top.height} procedures with most scanner time, from the scanner's own times", table(columns, frame, reading), figure,
        (measure("exam_minutes_p50"), measure("exam_minutes_p90")), exams=urls.exams(reading.filters),
    )  # fmt: skip


def procedure_minutes(reading: Reading) -> pl.DataFrame:
    """Median and tail of the minutes of procedures with enough exams, those with most scanner time in all first."""
    tail = reading.frame("exam_minutes_p90", "procedure", "modality").select("procedure", "modality", p90="value")
    frame = (
        reading.frame("exam_minutes_p50", "procedure", "modality")
        .join(tail, on=["procedure", "modality"], nulls_equal=True)
        .filter((pl.col("n") >= FEW) & (pl.col("procedure") != 0))
        .drop_nulls("value")
    )
    key = pl.col("procedure").cast(pl.Utf8)
    name = key.replace_strict(dict(reading.names.procedures), default="Procedure unknown", return_dtype=pl.Utf8)
    return frame.with_columns(procedure=key, name=name).sort(pl.col("value") * pl.col("n"), descending=True)


def _year_before(reading: Reading, way: str) -> pl.DataFrame | None:
    """Exams of the same weekdays a year before: `way`, `before`; None where the data does not reach back so far."""
    earlier = reading.filters.over(reading.filters.start - YEAR, reading.filters.end - YEAR)
    if reading.data_from is None or earlier.start < reading.data_from:
        return None
    return reading.frame("exams", way, filters=earlier).select(way, before="value")


def _compared(counted: pl.DataFrame, before: pl.DataFrame | None, way: str, reading: Reading) -> pl.DataFrame:
    """The mix by name and code, with its shares and the change on the year before, the most exams first."""
    names = reading.names.procedures if way == "procedure" else reading.names.all
    part = pl.col(way).cast(pl.Utf8)
    earlier = counted.select(way, before=pl.lit(None, pl.Float64)) if before is None else before
    return (
        counted.join(earlier, on=way, how="left", nulls_equal=True)
        .with_columns(
            name=part.replace_strict(dict(names), default=part, return_dtype=pl.Utf8).fill_null("Unknown"), code=part
        )
        .with_columns(
            change=100 * (pl.col("value") / pl.col("before") - 1), share=100 * pl.col("value") / pl.col("value").sum()
        )
        .sort("value", descending=True, nulls_last=True)
    )


def _with_plan(frame: pl.DataFrame, way: str, reading: Reading) -> tuple[pl.DataFrame, tuple[Column, ...]]:
    """The mix with its plan, where the way of splitting has one and it covers the whole period."""
    has_plan = way in {"modality", "site"} and not reading.filters.plan_note
    if not has_plan or reading.frame("planned_exams", "day").height < reading.filters.days:
        return frame, ()
    planned = reading.frame("planned_exams", way).select(way, planned="value")
    off = 100 * (pl.col("value") / pl.when(pl.col("planned") > 0).then("planned") - 1)
    columns = (Column("planned", "Plan", "number"), Column("off_plan", "Against plan", "number", "%", 1))
    return frame.join(planned, on=way, how="left").with_columns(off_plan=off), columns


def _volume_title(parts: list[tuple[str, Weekly]]) -> str:
    moved = [
        f"{name} {statement(found)}" for name, found in parts if found.since is not None and not found.behaviour.trial
    ]
    if not moved:
        return "Weekly volumes are within their normal variation"
    return f"Volume of {moved[0]}" + (f"; {len(moved) - 1} more moved" if len(moved) > 1 else "")
