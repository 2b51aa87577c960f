"""Hours and closures: a month of each scanner's days, the entries that people made, and a form for another."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.decisions import decision_list, parts_of_data, standing
from dashboards._shell.filter_bar import choice
from dashboards._shell.forms import Field, Form, html_form, reason
from dashboards._shell.layout import page
from dashboards._shell.reading import WEEKDAYS, Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards.calendar import queries
from dashboards.calendar.decide import KINDS, places
from state.decisions import DecisionKind
from state.roles import Permission

MONTHS_BEFORE, MONTHS_AFTER = 13, 3
MOST_DEVICES = 60
BASES = {
    "calendar": "calendar",
    "configuration": "configuration",
    "inferred": "inferred from use",
    "none": "not known",
}
MARKS = {"closed": "C", "planned_down": "P", "unplanned_down": "X"}

dash.register_page(
    __name__, path=urls.HOURS, name="Hours and closures", title="Hours and closures – Isocenter", permission="view_data"
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("calendar.parts", height=60, is_wide=True), slot("calendar.month", height=560, is_wide=True), slot("calendar.entry", height=260),
        slot("calendar.entries", height=260),
    ]  # fmt: skip
    return page(
        "Hours and closures",
        urls.HOURS,
        query,
        content,
        intro="When each scanner is staffed, closed or down: what utilization is measured against.",
    )


@section("calendar.parts")
def parts(reading: Reading) -> Drawn:
    """Links to the other pages about the data, and whether decisions are in the star."""
    return parts_of_data(reading, urls.HOURS)


@section("calendar.month")
def month(reading: Reading) -> Drawn:
    """Staffed hours, closures and downtime of each scanner, day by day."""
    shown = queries.month_of(reading.extra.get("month", ""), reading.as_of)
    controls = (_month_choice(reading, shown),)
    frame = queries.days(reading, shown)
    frame = frame.filter(pl.col("device").is_in(list(reading.names.devices)))
    title = f"{shown:%B %Y}"
    if frame.is_empty():
        return Empty(
            f"No scanner's day is known in {title}",
            "The star has days of scanners from the first exam to the newest, where hours are known or the scanner was used. Entries for days to come are listed below.",
            "This month of the data",
            is_wide=True,
            controls=controls,
        )
    frame = _named(frame, reading)
    devices = list(dict.fromkeys(frame["name"]))[:MOST_DEVICES]
    days = [shown + timedelta(days=index) for index in range(queries.last_of(shown).day)]
    down = float(frame.select(pl.sum_horizontal("closed", "planned_down", "unplanned_down").sum()).item())
    unknown = frame.filter(pl.col("basis") == "none")["device"].n_unique()
    inferred = frame.filter(pl.col("basis") == "inferred")["device"].n_unique()
    words = [
        f"{numbers.shown(float(frame['staffed'].sum()), 'h')} staffed",
        f"{numbers.shown(down, 'h')} closed or down" if down else "nothing closed or down",
        f"{inferred} scanners with inferred hours" if inferred else "",
        f"{unknown} with no hours known" if unknown else "",
    ]
    count = frame["device"].n_unique()
    more = (
        f" The first {MOST_DEVICES} of {count} scanners are drawn; filters choose others."
        if count > MOST_DEVICES
        else ""
    )
    columns = (
        Column("name", "Scanner"), Column("site", "Site"), Column("day", "Day", "day"), Column("staffed", "Staffed", "number", "h", 1), Column("basis_words", "Hours from"),
        Column("in_use", "In use", "number", "h", 1), Column("closed", "Closed", "number", "h", 1), Column("planned_down", "Planned downtime", "number", "h", 1),
        Column("unplanned_down", "Outage", "number", "h", 1), Column("reasons", "Words of the calendar"),
    )  # fmt: skip
    return Card(
        f"{title}: {', '.join(word for word in words if word)}",
        "Staffed hours a day by scanner; C closed, P planned downtime, X outage",
        Table(columns, frame, reading.scope.small_count, reading.zone),
        _figure(frame, devices, days, reading),
        note=f"The month chosen here takes the place of the period above.{more}",
        formula="Staffed hours come from calendars, else from the configuration, else they are inferred from when the scanner was used. Closures and planned downtime are taken out of them; outages stay in.",
        period=title,
        is_wide=True,
        controls=controls,
    )


@section("calendar.entry")
def entry(reading: Reading) -> Drawn:
    """The form for another entry."""
    options = places(reading)
    if not reading.may(Permission.DECIDE_DATA) or not options:
        return html.Div()
    fields = (
        Field("place", "For", "select", options={"": [("", "Choose …")], **options}),
        Field("kind", "What", "select", "closed", options=tuple(KINDS.items())),
        Field("starts", "From", "datetime-local", help="On the clock of the site."),
        Field("ends", "To", "datetime-local", help="The first minute that it is over."),
        Field("words", "Words", help="What pages show, as “Public holiday”. No names of people."),
        reason("Reason of the entry", "Who said so, or where it stands; kept in the history."),
    )
    return html.Section(
        [
            html.H2("Add a closure, downtime or hours"),
            html.P(
                "Closures and planned downtime leave the time that utilization is measured against; an outage stays in it.",
                className="subtitle",
            ),
            html_form(Form(f"{urls.DECIDE}{DecisionKind.CALENDAR}", "Add", fields), "Add an entry to the calendar"),
        ],
        className="card",
    )


@section("calendar.entries")
def entries(reading: Reading) -> Drawn:
    """Entries that people made on these pages."""
    found = standing(reading, DecisionKind.CALENDAR)
    return html.Section(
        [
            html.H2(f"Entries made here: {len(found)}" if found else "No entry was made here"),
            html.P(
                "Calendars that are loaded from files stand in the month above; they are changed where they come from.",
                className="subtitle",
            ),
            decision_list(found, reading, "What is added here is listed with who, when and why."),
        ],
        className="card",
    )


def _month_choice(reading: Reading, shown: date) -> Component:
    latest = reading.as_of.replace(day=1)
    months = [_shifted(latest, index) for index in range(MONTHS_AFTER, -MONTHS_BEFORE, -1)]
    if shown not in months:
        months.append(shown)
    options = [(f"{one:%Y-%m}", f"{one:%B %Y}") for one in months]
    return choice("month", "Month", options, f"{shown:%Y-%m}", f"{latest:%Y-%m}")


def _shifted(month: date, by: int) -> date:
    index = month.year * 12 + month.month - 1 + by
    return date(index // 12, index % 12 + 1, 1)


def _named(frame: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    names = reading.names
    sites = {one: names.sites.get(site, site) for one, site in names.device_sites.items()}
    return frame.with_columns(
        name=pl.col("device").replace_strict(dict(names.devices), default=pl.col("device"), return_dtype=pl.Utf8),
        site=pl.col("device").replace_strict(sites, default=None, return_dtype=pl.Utf8),
        basis_words=pl.col("basis").replace_strict(BASES, default=pl.col("basis"), return_dtype=pl.Utf8),
    ).sort("site", "name", "day")


def _figure(frame: pl.DataFrame, devices: list[str], days: list[date], reading: Reading) -> dict[str, Any]:
    """The month as a map; a letter marks what is closed or down."""
    rows = {(row["name"], row["day"]): row for row in frame.iter_rows(named=True)}
    across = [f"{WEEKDAYS[day.weekday()]} {day.day}" for day in days]
    values = [[rows[(name, day)]["staffed"] if (name, day) in rows else None for day in days] for name in devices]
    words = [[_cell_words(rows.get((name, day)), name, day) for day in days] for name in devices]
    figure = charts.heat(values, across, devices, words, reading.look, height=100 + 22 * len(devices))
    marks = [[_mark(rows.get((name, day))) for day in days] for name in devices]
    figure["data"].append({
        "type": "scatter", "mode": "markers+text", "hoverinfo": "skip", "textfont": {"color": reading.look.text, "size": 12, "weight": 700},
        "marker": {"symbol": "square", "size": 15, "color": reading.look.card, "line": {"width": 1, "color": reading.look.line}},
        "x": [across[index] for line in marks for index, mark in enumerate(line) if mark],
        "y": [name for name, line in zip(devices, marks, strict=True) for mark in line if mark],
        "text": [mark for line in marks for mark in line if mark],
    })  # fmt: skip
    figure["layout"]["xaxis"] |= {
        "tickvals": [words for words, day in zip(across, days, strict=True) if day.weekday() == 0]
    }
    return figure


def _mark(row: dict[str, Any] | None) -> str:
    return "".join(letter for kind, letter in MARKS.items() if row is not None and row[kind] > 0)


def _cell_words(row: dict[str, Any] | None, name: str, day: date) -> str:
    if row is None:
        return f"{name}, {numbers.day(day)}<br>not known"
    parts = [
        f"<b>{numbers.shown(row['staffed'], 'h')}</b> staffed ({row['basis_words']})",
        f"{name}, {numbers.day(day)}",
    ]
    parts += [f"{KINDS[kind].lower()} {numbers.shown(row[kind], 'h')}" for kind in queries.DOWN_KINDS if row[kind] > 0]
    return "<br>".join([*parts, *([row["reasons"]] if row["reasons"] else [])])
