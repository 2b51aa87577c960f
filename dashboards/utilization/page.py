"""Layout and sections of the utilization page."""

from __future__ import annotations

from typing import Any

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.kpi import kpi, kpi_card
from dashboards._shell.layout import page
from dashboards._shell.reading import WEEKDAYS, Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Row, Table
from dashboards._shell.weekly import Weekly, statement, weekly_by
from dashboards.utilization import figures
from warehouse.measures import measure

HEADLINES = ("scanner_utilization", "exams", "exam_minutes_p50", "evening_exams")
MOST_DEVICES = 16
MOST_PROCEDURES = 14
FEW = 20
"""Procedures with fewer exams say little about their length."""

dash.register_page(
    __name__,
    path=urls.UTILIZATION,
    name="Utilization",
    title="Utilization – Isocenter",
    order=1,
    icon="gauge",
    permission="view_utilization",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("utilization.headlines", height=140, is_wide=True), slot("utilization.devices"), slot("utilization.hours"),
        slot("utilization.volume", is_wide=True), slot("utilization.evenings"), slot("utilization.minutes"),
    ]  # fmt: skip
    return page("Utilization", urls.UTILIZATION, query, content, intro="How scanners and their staffed hours are used.")


@section("utilization.headlines")
def headlines(reading: Reading) -> Drawn:
    """The headline cards."""
    return html.Div(
        [kpi_card(kpi(reading, name), reading) for name in HEADLINES if reading.may(measure(name).permission)],
        className="kpis",
    )


@section("utilization.devices")
def devices(reading: Reading) -> Drawn:
    """Utilization of each scanner, the most used first."""
    rows = device_rows(reading)
    if not rows:
        return Empty(
            "Utilization by scanner",
            "No scanner with staffed hours fits these filters: staffed hours stand in the configuration, by site and modality.",
        )
    columns = (
        Column("name", "Scanner", link=lambda row: device_link(reading, row)), Column("modality", "Modality"), Column("site", "Site"),
        Column("value", "Utilization", "number", "%", 0), Column("staffed_hours", "Staffed hours", "number", "h"), Column("n", "Exams", "number"),
    )  # fmt: skip
    title = f"{rows[0]['name']} is used most, {rows[0]['shown']}" + (
        f"; {rows[-1]['name']} least, {rows[-1]['shown']}" if len(rows) > 1 else ""
    )
    note = (
        f"The {MOST_DEVICES} most used of {len(rows)} scanners; the table has all."
        if len(rows) > MOST_DEVICES
        else "Open the table to look at one scanner."
    )
    return Card(
        title, "Share of staffed hours with acquisition and patient change, %", _table(columns, pl.DataFrame(rows, infer_schema_length=None), reading), figures.device_bars(rows[:MOST_DEVICES], reading.look),
        (measure("scanner_utilization"),), note, exams=urls.exams(reading.filters),
    )  # fmt: skip


@section("utilization.hours")
def hours(reading: Reading) -> Drawn:
    """When exams start, over an average week."""
    frame = reading.frame("exams", "weekday", "hour").filter(pl.col("hour") >= 0)
    counted = frame.drop_nulls("value").sort("value", descending=True)
    if counted.is_empty():
        why = (
            f"Every count is below {reading.scope.small_count} and withheld to protect patients"
            if frame.height
            else "No exam took place"
        )
        return Empty("Exam starts by hour", f"{why}: {reading.sentence}.")
    weeks = reading.filters.days / 7
    top = counted.row(0, named=True)
    title = f"Busiest hour: {WEEKDAYS[top['weekday'] - 1]} {top['hour']:02d}:00, {numbers.rounded(top['value'] / weeks, 2)} exams in an average week"
    shown = frame.with_columns(
        day=pl.col("weekday").replace_strict(dict(enumerate(WEEKDAYS, 1)), return_dtype=pl.Utf8),
        clock=pl.format("{}:00", pl.col("hour").cast(pl.Utf8).str.zfill(2)),
    )
    columns = (Column("day", "Weekday"), Column("clock", "Hour from"), Column("value", "Exams in the period", "number"))
    return Card(
        title,
        "Exam starts by weekday and local hour, average week",
        _table(columns, shown, reading),
        figures.hour_heat(frame, weeks, reading.look),
        (measure("exams"),),
        exams=urls.exams(reading.filters),
    )


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
        _volume_title(ordered), "Exams a week, each modality on its own scale from zero", _table(columns, frame, reading), tuple(figures.small_multiple(name, found, reading.look) for name, found in ordered),
        (measure("exams"),), period=ordered[0][1].period, exams=urls.exams(reading.filters), is_wide=True,
    )  # fmt: skip


@section("utilization.evenings")
def evenings(reading: Reading) -> Drawn:
    """Exam starts by scanner and hour: where staffed hours lie idle."""
    frame = reading.frame("exams", "device", "hour").filter((pl.col("device") != "") & (pl.col("hour") >= 0))
    rows = evening_rows(reading, frame)
    if not rows:
        return Empty("Use by hour and scanner", f"No exam took place on a known scanner: {reading.sentence}.")
    rows = rows[:MOST_DEVICES]
    least = min(rows, key=lambda row: row["share"])
    title = f"{least['name']} starts {numbers.shown(least['share'], '%')} of its exams from 17:00, the least"
    columns = (
        Column("name", "Scanner", link=lambda row: device_link(reading, row)),
        Column("total", "Exams", "number"),
        Column("evening", "From 17:00", "number"),
        Column("share", "Share from 17:00", "number", "%", 1),
    )
    table = pl.DataFrame([{key: row[key] for key in ("device", "name", "total", "evening", "share")} for row in rows])
    figure = figures.device_heat([row["name"] for row in rows], [row["hours"] for row in rows], reading.look)
    return Card(
        title,
        "Exam starts by local hour, average day",
        _table(columns, table, reading),
        figure,
        (measure("exams"), measure("evening_exams")),
        exams=urls.exams(reading.filters),
    )


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
        f"<b>{word}</b> {row['name']}<br>n = {numbers.count(row['n'])}"
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
        Column(
            "name", "Procedure", link=lambda row: urls.exams(reading.filters.narrowed(procedure=(row["procedure"],)))
        ),
        Column("modality", "Modality"),
        Column("value", "Median", "number", "min"),
        Column("n", "Exams", "number"),
    )
    return Card(
        f"{first['name']} takes the scanner longest, {words[0]}", f"Median scanner minutes of the {top.height} procedures with most scanner time", _table(columns, frame, reading), figure,
        (measure("exam_minutes_p50"),), exams=urls.exams(reading.filters),
    )  # fmt: skip


def device_rows(reading: Reading) -> list[dict[str, Any]]:
    """Utilization with names, sites and words, the most used first."""
    names = reading.names
    frame = reading.frame("scanner_utilization", "device").drop_nulls("value").sort("value", descending=True)
    return [
        row | {
            "name": names.devices.get(row["device"], row["device"]), "modality": names.device_modalities.get(row["device"], ""),
            "site": names.sites.get(names.device_sites.get(row["device"], ""), ""), "shown": reading.shown("scanner_utilization", row["value"]),
        }
        for row in frame.iter_rows(named=True)
    ]  # fmt: skip


def evening_rows(reading: Reading, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """One row a scanner: exams, those from 17:00, their share, and each hour of an average day; by modality and name."""
    rows = []
    for (device,), part in frame.partition_by("device", as_dict=True, maintain_order=True).items():
        by_hour = {row["hour"]: row["value"] or 0 for row in part.iter_rows(named=True)}
        total, evening = sum(by_hour.values()), sum(value for hour, value in by_hour.items() if hour >= 17)
        if total >= FEW:
            hours_of_day = [by_hour.get(hour, 0) / reading.filters.days for hour in range(24)]
            code = str(device)
            rows.append(
                {
                    "device": code,
                    "name": reading.names.devices.get(code, code),
                    "modality": reading.names.device_modalities.get(code, ""),
                    "total": total,
                    "evening": evening,
                    "share": 100 * evening / total,
                    "hours": hours_of_day,
                }
            )
    return sorted(rows, key=lambda row: (row["modality"], row["name"]))


def procedure_minutes(reading: Reading) -> pl.DataFrame:
    """Median minutes of procedures with enough exams, those with most scanner time in all first."""
    frame = (
        reading.frame("exam_minutes_p50", "procedure", "modality")
        .filter((pl.col("n") >= FEW) & (pl.col("procedure") != 0))
        .drop_nulls("value")
    )
    return frame.with_columns(
        procedure=pl.col("procedure").cast(pl.Utf8),
        name=pl.col("procedure")
        .cast(pl.Utf8)
        .replace_strict(dict(reading.names.procedures), default="Procedure unknown", return_dtype=pl.Utf8),
    ).sort(pl.col("value") * pl.col("n"), descending=True)


def device_link(reading: Reading, row: Row) -> str:
    """This page, narrowed to one scanner."""
    return urls.page(urls.UTILIZATION, reading.filters.narrowed(device=(row["device"],)))


def _volume_title(parts: list[tuple[str, Weekly]]) -> str:
    moved = [
        f"{name} {statement(found)}" for name, found in parts if found.since is not None and not found.behaviour.trial
    ]
    if not moved:
        return "Weekly volumes are within their normal variation"
    return f"Volume of {moved[0]}" + (f"; {len(moved) - 1} more moved" if len(moved) > 1 else "")


def _table(columns: tuple[Column, ...], frame: pl.DataFrame, reading: Reading) -> Table:
    return Table(columns, frame, reading.scope.small_count, reading.zone)
