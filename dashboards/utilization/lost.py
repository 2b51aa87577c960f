"""Lost time: what one more hour would give, by cause, with the days and exams behind each."""

from __future__ import annotations

from typing import Any

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card
from dashboards._shell.filter_bar import choice
from dashboards._shell.kpi import kpi, kpi_card
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.subpages import subpages
from dashboards._shell.tables import Column
from dashboards._shell.weekly import statement, weekly
from dashboards.utilization import figures, queries
from dashboards.utilization.parts import (
    CAUSES,
    PAGES,
    chosen,
    day_address,
    device_column,
    no_scanner_time,
    rows_frame,
    spoken,
    table,
    with_devices,
)
from warehouse.measures import measure

HEADLINES = ("first_case_on_time_share", "turnover_minutes_p50", "turnover_minutes_p90", "overrun_minutes_p90")
TURNOVERS = {"turnover_minutes_p50": "Median gap", "turnover_minutes_p90": "9 of 10 gaps"}
MOST = 14

dash.register_page(
    __name__,
    path=urls.UTILIZATION_LOST,
    name="Lost time",
    title="Lost time – Isocenter",
    permission="view_utilization",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("utilization.first", height=190, is_wide=True), slot("utilization.causes", height=380), slot("utilization.worst", height=380),
        slot("utilization.turnover"), slot("utilization.overlaps"), slot("utilization.starts"), slot("utilization.idle"),
    ]  # fmt: skip
    return page(
        "Lost time",
        urls.UTILIZATION_LOST,
        query,
        content,
        intro="Every staffed, available minute in which no patient had the room has one cause.",
    )


@section("utilization.first")
def first(reading: Reading) -> Drawn:
    """The headline cards."""
    tabs = subpages(PAGES, urls.UTILIZATION_LOST, reading)
    if reading.scope.departments is not None:
        return html.Div([tabs])
    return html.Div([tabs, html.Div([kpi_card(kpi(reading, name), reading) for name in HEADLINES], className="kpis")])


@section("utilization.causes")
def causes(reading: Reading) -> Drawn:
    """What one more hour would give: lost time ranked by its cause."""
    frame = reading.frame("lost_minutes", "cause").drop_nulls(["cause", "value"]).filter(pl.col("value") > 0)
    if frame.is_empty():
        return no_scanner_time("Lost time by cause", reading, "No lost staffed time")
    rates = _rates(reading)
    hours = float(frame["value"].sum()) / 60
    rows = [_cause_row(row, hours, rates) for row in frame.sort("value", descending=True).iter_rows(named=True)]
    top = rows[0]
    per_hour = f" One hour more of use gives about {rates:.1f} exams at the present pace." if rates else ""
    columns = (
        Column("name", "Cause", link=lambda row: urls.page(urls.UTILIZATION_LOST, reading.filters, lost=row["cause"])), Column("hours", "Lost", "number", "h", 0), Column("share", "Of lost time", "number", "%", 0),
        Column("days", "Days of rooms", "number"), Column("a_day", "On such a day", "number", "min", 0), Column("exams", "Exams that would fit", "number"),
    )  # fmt: skip
    return Card(
        f"Most is lost to {spoken(top['cause'])}: {top['hours']:,.0f} of {hours:,.0f} h", "Hours of staffed, available time without a patient, by cause",
        table(columns, rows_frame(rows), reading), figures.lost_bars(rows, reading.look), (measure("lost_minutes"), measure("throughput")),
        note=f"Choose a cause beside, or in the table, to see its days.{per_hour} Not all of it can be won: some turnover is needed.",
        formula="Exams that would fit: lost hours times exams per hour of room use in the same scanners and period; slots that nobody wanted stay empty all the same.",
        exams=urls.exams(reading.filters),
    )  # fmt: skip


def _cause_row(row: dict[str, Any], hours: float, rate: float | None) -> dict[str, Any]:
    own = float(row["value"]) / 60
    return {
        "cause": row["cause"], "name": CAUSES.get(row["cause"], row["cause"]), "hours": own, "share": 100 * own / hours, "days": row["n"],
        "a_day": row["value"] / row["n"], "exams": own * rate if rate else None, "words": f"{own:,.0f} h · {100 * own / hours:.0f} %",
    }  # fmt: skip


def _rates(reading: Reading) -> float | None:
    """Exams per hour of room use in staffed time."""
    pace, use = (reading.frame(name) for name in ("throughput", "room_utilization"))
    if pace.is_empty() or use.is_empty() or pace["value"][0] is None or not use["value"][0]:
        return None
    return float(pace["value"][0]) / (float(use["value"][0]) / 100)


@section("utilization.worst")
def worst(reading: Reading) -> Drawn:
    """The days of rooms behind a cause, the longest first, with their board and exam."""
    everything = {"all": "All causes"} | CAUSES
    cause = chosen(reading, "lost", everything, "all")
    controls = (choice("lost", "Cause", list(everything.items()), cause, "all"),)
    asked = tuple(CAUSES) if cause == "all" else (cause,)
    frame = with_devices(queries.lost_days(reading, asked), reading).sort("minutes", "day", descending=[True, True])
    if frame.is_empty():
        return no_scanner_time("Days behind it", reading, f"No time was lost to {everything[cause].lower()}" if cause != "all" else "No lost staffed time", controls=controls)  # fmt: skip
    top = frame.row(0, named=True)
    shown = frame.with_columns(
        cause=pl.col("cause").replace_strict(CAUSES, return_dtype=pl.Utf8), exam=pl.when(pl.col("exam_key").is_null()).then(pl.lit("")).otherwise(pl.lit("See the exam"))
    )  # fmt: skip
    may = reading.may("see_exam_rows") and reading.scope.rows
    exam = (
        (
            Column(
                "exam",
                "First exam",
                link=lambda row: urls.exam(row["exam_key"]) if row["exam_key"] else None,
                in_file=False,
            ),
        )
        if may
        else ()
    )
    columns = (
        Column("name", "Scanner", link=lambda row: day_address(reading.over(reading.filters.narrowed(device=(row["device"],))), row["day"])), Column("day", "Day", "day"), Column("cause", "Cause"),
        Column("minutes", "Lost", "number", "min", 0), Column("times", "Stretches", "number"), *exam,
    )  # fmt: skip
    return Card(
        f"The longest: {top['name']} on {numbers.day(top['day'])}, {numbers.duration(top['minutes'])} ({CAUSES[top['cause']].lower()})",
        "Days of rooms with most lost time", table(columns, shown, reading), measures=(measure("lost_minutes"),),
        note="A scanner leads to its day board." + (f" The {shown.height} longest." if shown.height == 200 else ""), rows_shown=9, controls=controls,
    )  # fmt: skip


@section("utilization.turnover")
def turnover(reading: Reading) -> Drawn:
    """Gaps between patients week by week."""
    name = chosen(reading, "split", TURNOVERS, "turnover_minutes_p50")
    controls = (choice("split", "Show", list(TURNOVERS.items()), name, "turnover_minutes_p50"),)
    found = weekly(reading, name)
    if found.known < 2:
        return no_scanner_time("Turnover by week", reading, "Fewer than two full weeks with gaps between patients", controls=controls)  # fmt: skip
    columns = (
        Column("week", "Week from", "day"),
        Column("value", TURNOVERS[name], "number", "min", 1),
        Column("n", "Gaps", "number"),
        Column("variation", "Rule"),
    )
    return Card(
        f"{'The median turnover' if name.endswith('p50') else 'The longest tenth of turnovers'} is {statement(found)}", "Minutes between one patient's leaving and the next one's entering, by week",
        table(columns, found.frame(), reading), charts.xmr(found, reading.look), (measure(name),), period=found.period, controls=controls, exams=urls.exams(reading.filters),
    )  # fmt: skip


@section("utilization.starts")
def starts(reading: Reading) -> Drawn:
    """First case on time and overrun by scanner."""
    frame = with_devices(reading.frame("first_case_on_time_share", "device"), reading)
    for name, column in (
        ("first_case_late_minutes_p50", "late"),
        ("overrun_minutes_p50", "over50"),
        ("overrun_minutes_p90", "over90"),
    ):
        frame = frame.join(
            reading.frame(name, "device").select("device", pl.col("value").alias(column)), on="device", how="left"
        )
    told = frame.filter(
        (pl.col("n") >= measure("first_case_on_time_share").minimum_n) & pl.col("value").is_not_null()
    ).sort("modality", "name")
    if told.is_empty():
        return no_scanner_time("First case on time", reading, "No scanner has 20 days with a first case")
    whole = reading.frame("first_case_on_time_share")["value"][0]
    rows = told.head(MOST).to_dicts()
    figure = charts.bars(
        [row["name"] for row in rows], [row["value"] for row in rows], [f"{row['value']:.0f} %" + (f" · late by {row['late']:.0f} min" if row["late"] is not None else "") for row in rows],
        [reading.look.modality(row["modality"]) for row in rows], reading.look, limit=135,
    )  # fmt: skip
    columns = (
        device_column(reading, urls.UTILIZATION_LOST), Column("site_name", "Site"), Column("value", "First case on time", "number", "%", 1), Column("n", "Days", "number"), Column("late", "Late by, median", "number", "min", 0),
        Column("over50", "Overrun, median", "number", "min", 0), Column("over90", "Overrun, 9 of 10 days", "number", "min", 0),
    )  # fmt: skip
    return Card(
        f"{whole:.0f} % of days begin on time", "Days whose first case began on time, %, by scanner; median delay of late ones",
        table(columns, told, reading), figure, (measure("first_case_on_time_share"), measure("first_case_late_minutes_p50"), measure("overrun_minutes_p90")),
        note="Whether scanners differ by more than chance stands on the page Use. The table has the overrun after hours.", exams=urls.exams(reading.filters),
    )  # fmt: skip


@section("utilization.idle")
def idle(reading: Reading) -> Drawn:
    """Idle time by its shape: long enough to book, or slivers."""
    frame = with_devices(reading.frame("bookable_idle_hours", "device").select("device", bookable="value"), reading).join(
        reading.frame("sliver_idle_hours", "device").select("device", slivers="value"), on="device", how="left"
    )  # fmt: skip
    frame = (
        frame.drop_nulls("bookable").with_columns(pl.col("slivers").fill_null(0.0)).sort("bookable", descending=True)
    )
    both = float(frame["bookable"].sum()) + float(frame["slivers"].sum()) if frame.height else 0.0
    if not both:
        return no_scanner_time("Idle time by shape", reading, "No idle staffed time")
    least = reading.settings.utilization.bookable_minutes
    share = 100 * float(frame["bookable"].sum()) / both
    columns = (
        device_column(reading, urls.UTILIZATION_LOST),
        Column("site_name", "Site"),
        Column("bookable", "Bookable", "number", "h", 0),
        Column("slivers", "Slivers", "number", "h", 0),
    )
    return Card(
        f"{share:.0f} % of the idle time came in stretches long enough to book", f"Idle staffed hours by scanner: stretches of at least {least:g} min (dark) and slivers (pale)", table(columns, frame, reading),
        figures.idle_shapes(frame.head(MOST).to_dicts(), reading.look), (measure("bookable_idle_hours"), measure("sliver_idle_hours")), note="Slivers are won by other slot lengths, long stretches by filling them.",
    )  # fmt: skip


@section("utilization.overlaps")
def overlaps(reading: Reading) -> Drawn:
    """Minutes in which two acquisitions claim one room."""
    frame = with_devices(
        reading.frame("overlap_minutes", "device").filter(pl.col("withheld") | (pl.col("value") > 0)), reading
    ).sort("value", descending=True, nulls_last=True)
    if frame.is_empty():
        return no_scanner_time("Minutes claimed twice", reading, "No two acquisitions claim a room at the same time")
    top = frame.row(0, named=True)
    columns = (
        device_column(reading, urls.UTILIZATION_LOST),
        Column("modality", "Modality"),
        Column("site_name", "Site"),
        Column("value", "Claimed twice", "number", "min", 0),
        Column("n", "Exams", "number"),
    )
    title = (
        "Minutes claimed twice"
        if top["value"] is None
        else f"{top['name']} has most minutes claimed twice, {numbers.duration(top['value'])}"
    )
    return Card(
        title, "Minutes in which two separate acquisitions claim the room, by scanner", table(columns, frame, reading), measures=(measure("overlap_minutes"),),
        note="They count once. Much of it means a patient change set too long, a room with two places, or a wrong clock.", rows_shown=8, exams=urls.exams(reading.filters),
    )  # fmt: skip
