"""Appointments: how far the book is filled, who does not come, how long people wait, and whether slots have the right length."""

from __future__ import annotations

from typing import Any

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.filter_bar import choice
from dashboards._shell.kpi import kpi, kpi_card
from dashboards._shell.layout import page
from dashboards._shell.reading import WEEKDAYS, Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.subpages import subpages
from dashboards._shell.tables import Column
from dashboards.utilization import figures, queries
from dashboards.utilization.compute import freed_share, proposed_slot
from dashboards.utilization.parts import FEW, PAGES, chosen, no_scanner_time, rows_frame, table
from warehouse.access import AHEAD_DAYS, USUAL_DAYS, openings, third_next_available
from warehouse.measures import measure

HEADLINES = ("slot_fill_share", "no_show_share", "late_cancel_share", "backfill_share")
HEATS = {"performed": "Performed", "booked": "Booked", "demand": "Ordered"}
MISSED = {"lead": "Time since booking", "hour": "Hour of the slot", "modality": "Modality", "site": "Site", "patient_class": "Patient class"}  # fmt: skip
MOST_PROCEDURES = 14
MOST_PLACES = 13

dash.register_page(
    __name__,
    path=urls.UTILIZATION_APPOINTMENTS,
    name="Appointments",
    title="Appointments – Isocenter",
    permission="view_utilization",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("utilization.booked", height=190, is_wide=True), slot("utilization.access", height=420), slot("utilization.missed", height=420),
        slot("utilization.hours", height=360, is_wide=True), slot("utilization.slots", height=480, is_wide=True),
    ]  # fmt: skip
    return page(
        "Appointments",
        urls.UTILIZATION_APPOINTMENTS,
        query,
        content,
        intro="A slot is due when it still stood shortly before its time. What was moved or cancelled in good time could be given to somebody else.",
    )


@section("utilization.booked")
def booked(reading: Reading) -> Drawn:
    """The headline cards."""
    hidden = reading.scope.departments is not None
    names = HEADLINES[1:] if hidden else HEADLINES
    cards = [kpi_card(kpi(reading, name), reading) for name in names if reading.may(measure(name).permission)]
    return html.Div([subpages(PAGES, urls.UTILIZATION_APPOINTMENTS, reading), html.Div(cards, className="kpis")])


def soonest(reading: Reading) -> list[dict[str, Any]]:
    """Third next available by modality and site, the longest wait first: name, days, slot minutes, openings ahead."""
    asked = (reading.star, reading.filters, reading.scope, reading.data_to)
    ahead = (pl.col("starts_at") - reading.data_to).dt.total_days()
    counted = (
        openings(*asked)
        .group_by("modality", "site")
        .agg(
            pl.col("slot_minutes").first().alias("slot"),
            (ahead < 7).sum().alias("week"),
            (ahead < 28).sum().alias("month"),
            pl.col("device").n_unique().alias("scanners"),
        )
    )
    waits = third_next_available(*asked, by=("modality", "site")).select("modality", "site", "days")
    rows = counted.join(waits, on=["modality", "site"]).with_columns(
        site=pl.col("site").replace_strict(dict(reading.names.sites), default=pl.col("site"), return_dtype=pl.Utf8)
    )
    named = rows.with_columns(name=pl.format("{}, {}", "modality", "site"))
    return named.sort("days", "name", descending=[True, False], nulls_last=False).to_dicts()


@section("utilization.access")
def access(reading: Reading) -> Drawn:
    """How long somebody who calls now waits for a slot, and how many are open."""
    rows = soonest(reading)
    if not rows:
        return no_scanner_time("Third next available", reading, "No staffed hours ahead, or no slots booked in the period to know their usual length")  # fmt: skip
    known = [row for row in rows if row["days"] is not None]
    if known:
        title = (
            f"Whoever calls now waits longest for {known[0]['name']}: {_days(known[0]['days'])} to the third open slot"
        )
    else:
        title = "Nothing has three open slots ahead"
    look = reading.look
    shown = known[:MOST_PLACES]
    figure = charts.bars(
        [row["name"] for row in shown], [row["days"] for row in shown], [_days(row["days"]) for row in shown],
        [look.modality(row["modality"]) for row in shown], look, hover=[f"<b>{_days(row['days'])}</b> {row['name']}<br>{row['week']} open in 7 days" for row in shown],
    )  # fmt: skip
    columns = (
        Column("modality", "Modality"), Column("site", "Site"), Column("days", "Third next available", "number", "days", 1), Column("week", "Open in 7 days", "number"),
        Column("month", "Open in 28 days", "number"), Column("slot", "Usual slot", "number", "min"), Column("scanners", "Scanners", "number"),
    )  # fmt: skip
    return Card(
        title, "Days to the third open slot, by modality and site", table(columns, rows_frame(rows), reading), figure,
        note="The third, because the first two are often chance cancellations. Slots kept free for emergencies count as open unless a calendar closes them.",
        formula=f"Free staffed time after the end of the data, planned downtime and closures left out, over {AHEAD_DAYS} days; an open slot is a stretch as long as the median booked slot of the modality in the {USUAL_DAYS} days before. Source: calendars and appointments of any system that sends them.",
        period=f"as of {numbers.moment(reading.data_to, reading.zone)}, whatever period is chosen",
    )  # fmt: skip


@section("utilization.missed")
def missed(reading: Reading) -> Drawn:
    """Who does not come, and who cancels late."""
    way = chosen(reading, "missed", MISSED, "lead")
    controls = (choice("missed", "By", list(MISSED.items()), way, "lead"),)
    frame = _missed(reading, way)
    told = frame.filter(~pl.col("withheld") & (pl.col("n") >= FEW) & pl.col("no_show").is_not_null())
    if told.is_empty():
        return Empty("No-shows and late cancellations", f"No group has {FEW} slots due: {reading.sentence}.", controls=controls)  # fmt: skip
    most = told.sort("no_show", descending=True).row(0, named=True)
    figure = figures.missed_bars(told.to_dicts(), reading.look)
    columns = (
        Column("name", MISSED[way]), Column("no_show", "No-shows", "number", "%", 1), Column("late_cancel", "Late cancellations", "number", "%", 1), Column("n", "Slots due", "number"),
    )  # fmt: skip
    return Card(
        f"No-shows are most frequent for {MISSED[way].lower()} {most['name']}: {most['no_show']:.1f} %" if told.height > 1 else f"{most['no_show']:.1f} % do not come",
        "No-shows (dark) and late cancellations (pale), % of slots due", table(columns, frame, reading), figure,
        (measure("no_show_share"), measure("late_cancel_share")), note=f"Groups with fewer than {FEW} slots stand in the table alone.",
        exams=urls.exams(reading.filters), controls=controls,
    )  # fmt: skip


def _missed(reading: Reading, way: str) -> pl.DataFrame:
    """name, n, no_show and late_cancel in percent, withheld; in the order of the groups."""
    if way == "lead":
        frame = queries.missed_by_lead(reading)
        small = pl.col("n").is_between(1, max(reading.scope.small_count - 1, 0))
        return frame.with_columns(
            no_show=100 * pl.col("no_shows") / pl.col("n"), late_cancel=100 * pl.col("late_cancels") / pl.col("n"), withheld=small
        ).drop("no_shows", "late_cancels")  # fmt: skip
    late = reading.frame("late_cancel_share", way).select(way, late_cancel="value")
    frame = reading.frame("no_show_share", way).join(late, on=way, how="left", nulls_equal=True).sort(way)
    part = pl.col(way).cast(pl.Utf8)
    if way == "hour":
        return frame.with_columns(name=pl.format("{}:00", part.str.zfill(2)), no_show=pl.col("value"))
    names = reading.names.all
    called = part.replace_strict(dict(names), default=part, return_dtype=pl.Utf8).fill_null("Unknown")
    return frame.with_columns(name=called, no_show=pl.col("value"))


@section("utilization.hours")
def hours(reading: Reading) -> Drawn:
    """When exams are performed, booked or ordered, over an average week."""
    what = chosen(reading, "heat", HEATS, "performed")
    controls = (choice("heat", "Show", list(HEATS.items()), what, "performed"),)
    frame = _by_hour(reading, what).filter(pl.col("hour") >= 0)
    counted = frame.drop_nulls("value").sort("value", "weekday", "hour", descending=[True, False, False])
    word = {"performed": "Exam starts", "booked": "Booked slots", "demand": "Orders"}[what]
    if counted.is_empty():
        why = (
            f"Every count is below {reading.scope.small_count} and withheld to protect patients"
            if frame.height
            else f"No {word.lower()}"
        )
        return Empty(f"{word} by hour", f"{why}: {reading.sentence}.", is_wide=True, controls=controls)
    weeks = reading.filters.days / 7
    top = counted.row(0, named=True)
    title = f"Busiest hour: {WEEKDAYS[top['weekday'] - 1]} {top['hour']:02d}:00, {numbers.rounded(top['value'] / weeks, 2)} {word.lower()} in an average week"
    shown = frame.with_columns(
        day=pl.col("weekday").replace_strict(dict(enumerate(WEEKDAYS, 1)), return_dtype=pl.Utf8),
        clock=pl.format("{}:00", pl.col("hour").cast(pl.Utf8).str.zfill(2)),
    )
    columns = (
        Column("day", "Weekday"),
        Column("clock", "Hour from"),
        Column("value", f"{word} in the period", "number"),
    )
    formula = {
        "performed": "", "booked": "Slots that stood until shortly before their time, or stand now, by their local weekday and hour.",
        "demand": "Exams of the period by the local weekday and hour at which they were ordered.",
    }[what]  # fmt: skip
    return Card(
        title, f"{word} by weekday and local hour, average week", table(columns, shown, reading), figures.hour_heat(frame, weeks, word.lower(), reading.look),
        (measure("exams"),) if what == "performed" else (), formula=formula, exams=urls.exams(reading.filters), is_wide=True, controls=controls,
    )  # fmt: skip


def _by_hour(reading: Reading, what: str) -> pl.DataFrame:
    """weekday, hour, value (null where withheld), withheld."""
    if what == "performed":
        return reading.frame("exams", "weekday", "hour")
    frame = queries.booked_by_hour(reading) if what == "booked" else queries.demand_by_hour(reading)
    small = pl.col("value").is_between(1, max(reading.scope.small_count - 1, 0))
    return (
        frame.with_columns(withheld=small)
        .with_columns(value=pl.when("withheld").then(None).otherwise(pl.col("value")))
        .sort("weekday", "hour")
    )


@section("utilization.slots")
def slots(reading: Reading) -> Drawn:
    """Slot length against real duration by procedure, the proposed length, and what it would change."""
    frame = _slot_lengths(reading)
    if frame.is_empty():
        return Empty("Slot lengths", f"No procedure has {FEW} exams with a booked length and room times: {reading.sentence}.", is_wide=True)  # fmt: skip
    rows = frame.sort(pl.col("n") * pl.col("slot"), descending=True).to_dicts()
    longer = [row for row in rows if row["proposed"] < row["slot"]]
    shorter = [row for row in rows if row["proposed"] > row["slot"]]
    gain = sum(row["gain_hours"] for row in longer)
    need = -sum(row["gain_hours"] for row in shorter)
    title = (
        f"{len(longer)} of {len(rows)} procedures are booked longer than nine of ten exams take, {len(shorter)} shorter"
    )
    columns = (
        Column("name", "Procedure", link=lambda row: urls.exams(reading.filters.narrowed(procedure=(row["procedure"],)))), Column("n", "Exams", "number"),
        Column("slot", "Booked", "number", "min"), Column("p50", "In the room, median", "number", "min", 1), Column("p90", "9 of 10 within", "number", "min", 1),
        Column("over", "Longer than the slot", "number", "%", 1), Column("proposed", "Proposed slot", "number", "min"), Column("gain", "Exams in the same time", "number", "%", 0),
        Column("gain_hours", "Hours freed", "number", "h", 0),
    )  # fmt: skip
    return Card(
        title, "Minutes: booked (bar), median in the room (dot), nine of ten exams within (tick; orange where longer than booked)", table(columns, rows_frame(rows), reading),
        figures.slot_lengths(rows[:MOST_PROCEDURES], reading.look), (measure("slot_minutes_p50"), measure("room_minutes_p50"), measure("room_minutes_p90"), measure("slot_overrun_share")),
        note=f"With the proposed slots {numbers.count(gain)} booked hours of the period would be freed where slots are too long, and {numbers.count(need)} more would be needed where they are too short. Negative: hours that a longer slot costs.",
        formula="Proposed slot: the 90th percentile of room time, rounded up to 5 minutes, so that at most one exam in ten overruns. Exams in the same time: booked over proposed length, less one.",
        exams=urls.exams(reading.filters), is_wide=True,
    )  # fmt: skip


def _slot_lengths(reading: Reading) -> pl.DataFrame:
    """One row a procedure with enough booked exams: lengths, the proposal and its effect."""
    frame = (
        reading.frame("slot_minutes_p50", "procedure")
        .filter((pl.col("n") >= max(FEW, reading.scope.small_count)) & (pl.col("procedure") != 0))
        .rename({"value": "slot"})
    )
    for name, column in (("room_minutes_p50", "p50"), ("room_minutes_p90", "p90"), ("slot_overrun_share", "over")):
        frame = frame.join(
            reading.frame(name, "procedure").select("procedure", pl.col("value").alias(column)), on="procedure"
        )
    rows = [
        row | {"proposed": proposed_slot(row["p90"]), "gain": freed_share(row["slot"], proposed_slot(row["p90"])), "gain_hours": row["n"] * (row["slot"] - proposed_slot(row["p90"])) / 60,
               "procedure": str(row["procedure"]), "name": reading.names.procedures.get(str(row["procedure"]), "Procedure unknown")}
        for row in frame.drop_nulls(["slot", "p90"]).iter_rows(named=True)
    ]  # fmt: skip
    return rows_frame(rows) if rows else pl.DataFrame()


def _days(days: float) -> str:
    return f"{24 * days:.0f} h" if days < 1 else f"{numbers.rounded(days, 2)} days"
