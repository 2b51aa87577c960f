"""The day board: each scanner's day as one lane, what was booked above what took place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dash
import polars as pl
from dash import dcc, html
from dash.development.base_component import Component

from dashboards._shell import numbers, urls
from dashboards._shell.cards import Card
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, rendered, section, slot
from dashboards._shell.subpages import subpages
from dashboards._shell.tables import Column
from dashboards.utilization import queries
from dashboards.utilization.compute import clock
from dashboards.utilization.parts import (
    BASES,
    CAUSES,
    PAGES,
    day_address,
    day_of,
    no_scanner_time,
    rows_frame,
    spoken,
    table,
    with_devices,
)
from warehouse.measures import measure

KINDS = {
    "in_use": "In the room", "turnover": "Turnover", "idle": "Idle", "planned_down": "Planned downtime", "unplanned_down": "Breakdown", "closed": "Closed",
}  # fmt: skip
OUTCOMES = {
    "kept": "kept",
    "no_show": "did not come",
    "late_cancelled": "cancelled late",
    "broken_off": "broken off",
    "open": "to come",
}
LEGEND = (
    ("slot", "Booked slot"), ("slot missed", "Slot not kept"), ("in_use measured", "In the room, as stated"), ("in_use", "In the room, modelled"), ("scanning", "Scanning"),
    ("turnover", "Turnover"), ("idle", "Idle"), ("planned_down", "Planned downtime"), ("unplanned_down", "Breakdown"), ("closed", "Closed"),
)  # fmt: skip
TICK_MINUTES = 120
LEAST_WIDTH = 0.35
"""Percent of the lane that a stretch takes at least, so that a short exam can be hit."""

dash.register_page(
    __name__,
    path=urls.UTILIZATION_DAY,
    name="Day board",
    title="Day board – Isocenter",
    permission="view_utilization",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [slot("utilization.day", height=560, is_wide=True), slot("utilization.daily", height=240, is_wide=True)]
    return page(
        "Day board",
        urls.UTILIZATION_DAY,
        query,
        content,
        intro="One lane a scanner, drawn from headers and messages. The period does not count here, the other filters do.",
    )


@section("utilization.day")
def board(reading: Reading) -> Drawn:
    """The lanes of a day, and the ways to its neighbours."""
    day = day_of(reading)
    stretches = with_devices(queries.day_stretches(reading, day), reading)
    head = [subpages(PAGES, urls.UTILIZATION_DAY, reading), _neighbours(reading, day)]
    if stretches.is_empty():
        empty = no_scanner_time(f"{day:%A} {numbers.day(day)}", reading.over(reading.filters.over(day, day)), "No scanner was staffed or used on this day")  # fmt: skip
        return html.Div([*head, rendered(empty, "utilization.day", reading)])
    slots = with_devices(_local(queries.day_slots(reading, day)), reading)
    opens, closes = _span(stretches, slots)
    order = stretches.select("device", "name", "modality", "site_name").unique().sort("site_name", "modality", "name")
    may_open = reading.may("see_exam_rows") and reading.scope.rows
    lanes = [
        _lane(
            row, stretches.filter(pl.col("device") == row["device"]).to_dicts(), slots.filter(pl.col("device") == row["device"]).to_dicts(),
            (opens, closes), may_open=may_open,
        )
        for row in order.iter_rows(named=True)
    ]  # fmt: skip
    legend = html.Ul(
        [html.Li([html.Span(className=f"swatch {css}"), words]) for css, words in LEGEND], className="day-legend"
    )
    modelled = stretches.filter((pl.col("kind") == "in_use") & (pl.col("room_basis") != "measured")).height
    use = stretches.filter(pl.col("kind") == "in_use").height
    said = f"{_title(stretches)}."
    notes = [
        f"Hatched: {modelled} of {use} stretches in the room are modelled from acquisition times and the configured patient change. Scanning is drawn as its share of the stretch, not at its exact place."
        if may_open
        else "Single exams are not shown to your role: use is drawn without what was done."
    ]
    card = html.Section(
        [
            html.H2(_title(stretches)),
            html.P(f"{day:%A}, {numbers.day(day)}, local time of each site", className="subtitle"),
            legend,
            html.Div(
                [_axis(opens, closes), *lanes],
                className="day-lanes",
                role="group",
                **{"aria-label": f"Day board. {said} The table below says the same."},
            ),
            html.P(notes, className="note"),
        ],
        className="card wide",
        **{"aria-label": "Lanes of the day"},
    )
    return html.Div([*head, card], className="day-board")


@section("utilization.daily")
def daily(reading: Reading) -> Drawn:
    """The same day as a table."""
    day = day_of(reading)
    frame = with_devices(queries.day_stretches(reading, day), reading)
    if frame.is_empty():
        return html.Div()
    may_open = reading.may("see_exam_rows") and reading.scope.rows
    kind = pl.col("kind").replace_strict(KINDS, return_dtype=pl.Utf8)
    words = pl.concat_str([kind, pl.when(pl.col("cause").is_in(["turnover", "unplanned_down"]) | pl.col("cause").is_null()).then(pl.lit("")).otherwise(pl.concat_str([pl.lit(": "), pl.col("cause").replace_strict(CAUSES, default=None, return_dtype=pl.Utf8).str.to_lowercase()], ignore_nulls=True))])  # fmt: skip
    shown = frame.sort("site_name", "modality", "name", "start_minute").with_columns(
        start=pl.col("start_minute").map_elements(clock, return_dtype=pl.Utf8), end=pl.col("end_minute").map_elements(clock, return_dtype=pl.Utf8),
        minutes=pl.col("end_minute") - pl.col("start_minute"), what=words, hours=pl.col("basis").replace_strict(BASES, default=None, return_dtype=pl.Utf8),
        detail=pl.coalesce(pl.when(pl.col("kind") == "in_use").then(pl.col("procedure")), pl.col("reason")) if may_open else pl.col("reason"),
    )  # fmt: skip
    columns = (
        Column("name", "Scanner"), Column("start", "From"), Column("end", "To"), Column("minutes", "Length", "number", "min", 0), Column("what", "What"),
        Column("detail", "Exam or reason", link=lambda row: urls.exam(row["exam_key"]) if may_open and row["kind"] == "in_use" and row["exam_key"] else None), Column("hours", "Staffed hours from"),
    )  # fmt: skip
    return Card(
        "The day as a table", "Every stretch of every scanner", table(columns, shown, reading), measures=(measure("room_utilization"), measure("lost_minutes")),
        period=numbers.day(day), rows_shown=12, is_wide=True, exams=urls.exams(reading.filters.over(day, day)),
    )  # fmt: skip


def _title(frame: pl.DataFrame) -> str:
    """What the day shows, as a sentence."""
    staffed = frame.filter(
        pl.col("is_staffed")
        & (pl.col("kind") != "planned_down")
        & ((pl.col("kind") == "in_use") | pl.col("cause").is_not_null())
    )
    whole = float((staffed["end_minute"] - staffed["start_minute"]).sum() or 0)
    if not whole:
        return "No staffed time has passed on this day"
    use = staffed.filter(pl.col("kind") == "in_use")
    share = 100 * float((use["end_minute"] - use["start_minute"]).sum() or 0) / whole
    lost = (
        staffed.drop_nulls("cause")
        .group_by("cause")
        .agg(minutes=(pl.col("end_minute") - pl.col("start_minute")).sum())
        .sort("minutes", descending=True)
    )
    most = (
        f"; most was lost to {spoken(lost['cause'][0])}, {numbers.duration(float(lost['minutes'][0]))}"
        if lost.height
        else ""
    )
    return f"Rooms were in use for {share:.0f} % of {whole / 60:,.0f} available hours{most}"


def _neighbours(reading: Reading, day: date) -> Component:
    before, after = day - timedelta(days=1), day + timedelta(days=1)
    links = [
        dcc.Link("← Previous day", href=day_address(reading, before), className="button day-previous"),
        html.Strong(f"{day:%a} {numbers.day(day)}", className="day-name"),
        dcc.Link("Next day →", href=day_address(reading, after), className="button day-next"),
        dcc.Link("Last full day", href=urls.page(urls.UTILIZATION_DAY, reading.filters), className="button quiet"),
        html.Span("Keys ← and → turn the day.", className="day-keys"),
    ]
    return html.Nav(links, className="day-nav", **{"aria-label": "Days"})


def _local(slots: pl.DataFrame) -> pl.DataFrame:
    """The slots with `start_minute` and `end_minute` of their local day."""
    rows = []
    for row in slots.iter_rows(named=True):
        at = row["slot_at"].astimezone(ZoneInfo(row["time_zone"]))
        start = at.hour * 60 + at.minute + at.second / 60
        rows.append(row | {"start_minute": start, "end_minute": min(start + (row["slot_minutes"] or 15.0), 1440.0)})
    return rows_frame(rows) if rows else slots.with_columns(start_minute=pl.lit(0.0), end_minute=pl.lit(0.0))


def _span(stretches: pl.DataFrame, slots: pl.DataFrame) -> tuple[int, int]:
    """First and last minute that the lanes show: full hours around all that there is."""
    starts = [*stretches["start_minute"], *slots["start_minute"]]
    ends = [*stretches["end_minute"], *slots["end_minute"]]
    return int(min(starts) // 60) * 60, min(-int(-max(ends) // 60) * 60, 1440)


def _axis(opens: int, closes: int) -> Component:
    first = -(-opens // 60) * 60
    step = 60 if closes - opens <= 14 * 60 else TICK_MINUTES
    ticks = [
        html.Span(f"{minute // 60:02d}", className="tick" if place % 2 == 0 else "tick minor", style={"left": f"{100 * (minute - opens) / (closes - opens):.2f}%"})
        for place, minute in enumerate(range(first, closes, step))
    ]  # fmt: skip
    return html.Div([html.Div(className="lane-name"), html.Div(ticks, className="day-axis")], className="lane axis", **{"aria-hidden": "true"})  # fmt: skip


def _lane(row: dict[str, Any], stretches: Sequence[dict[str, Any]], slots: Sequence[dict[str, Any]], span: tuple[int, int], *, may_open: bool) -> Component:  # fmt: skip
    booked = [_slot(each, span, may_open=may_open) for each in slots]
    done = [_stretch(each, span, may_open=may_open) for each in stretches]
    name = html.Div(
        [html.Strong(row["name"]), html.Span(f" {row['modality']} · {row['site_name']}", className="period")],
        className="lane-name",
    )
    return html.Div([name, html.Div([html.Div(booked, className="lane-slots"), html.Div(done, className="lane-done")], className="lane-track")], className="lane")  # fmt: skip


def _slot(slot: dict[str, Any], span: tuple[int, int], *, may_open: bool) -> Component:
    missed = slot["outcome"] in {"no_show", "late_cancelled"}
    what = f"{slot['procedure'] or 'Slot'}, " if may_open else "Slot, "
    words = f"{clock(slot['start_minute'])}–{clock(slot['end_minute'])} {what}{OUTCOMES[slot['outcome']]}"
    return _block(
        words, "slot missed" if missed else "slot", slot, span, urls.exam(slot["exam_key"]) if may_open else None
    )


def _stretch(each: dict[str, Any], span: tuple[int, int], *, may_open: bool) -> Component:
    css = each["kind"]
    words = f"{clock(each['start_minute'])}–{clock(each['end_minute'])} {KINDS[each['kind']]}"
    if each["cause"] and each["kind"] == "idle":
        words += f": {CAUSES[each['cause']].lower()}"
    if each["reason"]:
        words += f": {each['reason']}"
    if each["kind"] != "in_use":
        return _block(words, css, each, span, None)
    if not may_open:
        return _block(words, f"{css} measured", each, span, None)
    is_measured = each["room_basis"] == "measured"
    length = each["end_minute"] - each["start_minute"]
    scanning = 100 * (each["scanning_minutes"] or 0) / length if length else 0
    words += f": {each['procedure'] or 'procedure unknown'}{'' if is_measured else ' (modelled)'}, scanning {each['scanning_minutes'] or 0:.0f} min"
    inner = html.Span(className="scanning", style={"width": f"{min(scanning, 100):.1f}%"})
    address = urls.exam(each["exam_key"]) if each["exam_key"] else None
    return _block(words, f"{css} measured" if is_measured else css, each, span, address, inner)


def _block(words: str, css: str, at: dict[str, Any], span: tuple[int, int], address: str | None, inner: Component | None = None) -> Component:  # fmt: skip
    """A stretch at its place in the lane: a link where it leads to an exam."""
    opens, closes = span
    whole = closes - opens
    left = 100 * (at["start_minute"] - opens) / whole
    width = max(100 * (at["end_minute"] - at["start_minute"]) / whole, LEAST_WIDTH)
    style = {"left": f"{left:.3f}%", "width": f"{min(width, 100 - left):.3f}%"}
    content = [*([inner] if inner is not None else []), html.Span(words, className="visually-hidden")]
    if address:
        # The table below has the same links: the keyboard goes there, and not through hundreds of narrow blocks.
        return html.A(content, href=address, className=f"block {css}", style=style, title=words, tabIndex="-1")
    return html.Span(content, className=f"block {css}", style=style, title=words)
