"""Layout and sections of the dose page."""

from __future__ import annotations

from datetime import timedelta
from statistics import fmean
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
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards._shell.weekly import statement, weekly
from dashboards.dose import figures
from dashboards.dose.parts import dose_pages
from dashboards.dose.queries import QUANTITIES, Quantity, highest_events, spread_by_protocol_and_device
from insights.process_behaviour import process_behaviour
from warehouse.measures import measure

HEADLINES = ("dose_capture_share", "dlp_p50", "dap_p50", "agd_p50")
FIRST = "dlp"
MOST_BOXES = 22
FEW = 20
MONTHS = 12
LEAST_SHIFT = 0.10
"""Change of a protocol's median that is worth saying, as a share."""

dash.register_page(
    __name__, path=urls.DOSE, name="Dose", title="Dose – Isocenter", order=4, icon="radioactive", permission="view_dose"
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("dose.parts", height=60, is_wide=True), slot("dose.headlines", height=140, is_wide=True), slot("dose.spread", height=560, is_wide=True), slot("dose.trend"), slot("dose.moved"), slot("dose.highest", height=480, is_wide=True),
    ]  # fmt: skip
    return page(
        "Dose",
        urls.DOSE,
        query,
        content,
        intro="Dose quantities as the devices state them, each exposure counted once. None of them is the dose of a patient's organs.",
    )


@section("dose.parts")
def parts(reading: Reading) -> Drawn:
    """Links to the other dose pages."""
    return dose_pages(urls.DOSE, reading)


@section("dose.headlines")
def headlines(reading: Reading) -> Drawn:
    """The headline cards."""
    return html.Div([kpi_card(kpi(reading, name), reading) for name in HEADLINES], className="kpis")


@section("dose.spread")
def spread(reading: Reading) -> Drawn:
    """How the chosen quantity spreads by protocol and scanner."""
    quantity, controls = _chosen(reading)
    rows = spread_rows(reading, quantity)
    if not rows:
        return Empty(
            f"{quantity.title} by protocol and scanner",
            f"No protocol has {max(reading.scope.small_count, 2)} {quantity.of} with this quantity on one scanner: {reading.sentence}.",
            is_wide=True,
            controls=controls,
        )
    shown = sorted(rows[:MOST_BOXES], key=lambda row: (-row["protocol_median"], row["protocol"], -row["q2"]))
    columns = (
        Column("protocol_name", "Protocol"), Column("device_name", "Scanner"), Column("n", quantity.of.capitalize(), "number"),
        *[Column(f"q{index}", title, "number", quantity.unit) for index, title in enumerate(("5th percentile", "25th percentile", "Median", "75th percentile", "95th percentile"))],
    )  # fmt: skip
    note = f"Box: middle half with the median; whiskers: 5th to 95th percentile. Grey: fewer than {FEW}. " + (
        f"The {len(shown)} groups with most {quantity.of}; the table has all {len(rows)}."
        if len(rows) > len(shown)
        else ""
    )
    return Card(
        spread_title(rows, quantity), f"{quantity.title} by protocol and scanner, {quantity.unit}", _table(columns, pl.DataFrame(rows, infer_schema_length=None), reading), figures.protocol_boxes(shown, quantity.unit, reading.look),
        (measure(quantity.measure),), note, exams=urls.exams(reading.filters, dose="1"), is_wide=True, controls=controls,
    )  # fmt: skip


@section("dose.trend")
def trend(reading: Reading) -> Drawn:
    """The weekly median of the chosen quantity with its limits."""
    quantity, _ = _chosen(reading)
    found = weekly(reading, quantity.measure)
    if not found.weeks:
        return Empty(found.measure.title, f"No full week with data: {reading.sentence}.")
    columns = (
        Column("week", "Week from", "day"),
        Column("value", "Median", "number", found.measure.unit),
        Column("n", quantity.of.capitalize(), "number"),
        Column("variation", "Rule"),
    )
    return Card(
        f"{found.measure.title}: {statement(found)}", f"Weekly median, mean and natural process limits, {quantity.unit}", Table(columns, found.frame(), reading.scope.small_count), charts.xmr(found, reading.look),
        (found.measure,), note="A median over all protocols also moves when the mix of protocols does: the table beside it goes by protocol and scanner.", period=found.period, exams=urls.exams(reading.filters, dose="1"),
    )  # fmt: skip


@section("dose.moved")
def moved(reading: Reading) -> Drawn:
    """Protocols on one scanner whose monthly median left its usual level."""
    quantity, _ = _chosen(reading)
    rows = moved_rows(reading, quantity)
    if not rows:
        text = html.P(
            f"No protocol on a scanner left its usual level of {quantity.title} by {100 * LEAST_SHIFT:.0f} % or more over the last 12 months.",
            className="subtitle",
        )
        return html.Section([html.H2("No protocol moved"), text], className="card")
    first = rows[0]
    title = f"{first['protocol']} on {first['device']}: {'up' if first['change'] > 0 else 'down'} {abs(first['change']):.0f} % since {numbers.day(first['since'])}"
    columns = (
        Column("protocol", "Protocol"), Column("device", "Scanner"), Column("since", "Since", "day"), Column("before", "Before", "number", quantity.unit), Column("after", "After", "number", quantity.unit),
        Column("change", "Change", "number", "%", 0),
    )  # fmt: skip
    formula = "Monthly median of each protocol on each scanner, judged by the process-behaviour rules; before and after are means of the months before and since the special cause began."
    return Card(
        title,
        f"Protocols whose monthly median of {quantity.title} left its usual level",
        _table(columns, pl.DataFrame(rows), reading),
        None,
        (measure(quantity.measure),),
        formula=formula,
        period="last 12 full months",
        rows_shown=8,
    )


@section("dose.highest")
def highest(reading: Reading) -> Drawn:
    """The highest events, each leading to all its figures."""
    quantity, _ = _chosen(reading)
    if not reading.may("see_exam_rows") or not reading.scope.rows:
        return html.Section(
            [
                html.H2("Highest events"),
                html.P("Single events are open to roles that may see exam rows.", className="subtitle"),
            ],
            className="card wide",
        )
    frame = highest_events(reading, quantity)
    if frame.is_empty():
        return Empty("Highest events", f"No event with this quantity: {reading.sentence}.", is_wide=True)
    columns = (
        Column("started_at", "Started", "moment", link=lambda row: urls.dose_event(row["event_key"])), Column("value", quantity.title, "number", quantity.unit), Column("protocol_name", "Protocol"), Column("device_name", "Scanner"),
        Column("site_name", "Site"), Column("exam_id", "Exam", link=lambda row: urls.exam(row["exam_key"])), Column("flags", "Doubts"),
    )  # fmt: skip
    top = frame.row(0, named=True)
    title = f"Highest event: {numbers.shown(top['value'], quantity.unit)}, {top['protocol_name'] or 'protocol unknown'} on {top['device_name'] or 'an unknown scanner'}"
    return Card(
        title,
        f"The {frame.height} events with the most {quantity.title}, {quantity.unit}",
        _table(columns, frame, reading),
        None,
        (),
        formula="Single events in order of the stated figure; implausible figures, phantoms and exposures in doubt stand aside and are not in it.",
        is_wide=True,
        rows_shown=10,
    )


def spread_rows(reading: Reading, quantity: Quantity) -> list[dict[str, Any]]:
    """Quantiles with names; groups below the small count left out; each with the median of its protocol's scanners."""
    frame = spread_by_protocol_and_device(reading, quantity).filter(pl.col("n") >= max(reading.scope.small_count, 2))
    frame = frame.with_columns(
        protocol_median=(pl.col("q2") * pl.col("n")).sum().over("protocol") / pl.col("n").sum().over("protocol")
    )
    names = reading.names
    rows = []
    for row in frame.iter_rows(named=True):
        protocol, device = (
            names.protocols.get(str(row["protocol"]), "Protocol unknown"),
            names.devices.get(row["device"], row["device"] or "Scanner unknown"),
        )
        rows.append(row | {"protocol": str(row["protocol"]), "protocol_name": protocol, "device_name": device})
    return rows


def spread_title(rows: list[dict[str, Any]], quantity: Quantity) -> str:
    """The group farthest above the other scanners of its protocol, where there is one."""
    best: tuple[float, str] | None = None
    for row in rows:
        others = [
            other for other in rows if other["protocol"] == row["protocol"] and other is not row and other["n"] >= FEW
        ]
        if row["n"] >= FEW and others:
            usual = sum(other["q2"] * other["n"] for other in others) / sum(other["n"] for other in others)
            gap = 100 * (row["q2"] / usual - 1) if usual else 0.0
            if gap >= 100 * LEAST_SHIFT and (best is None or gap > best[0]):
                best = (gap, f"{row['protocol_name']} on {row['device_name']} is {gap:.0f} % above its other scanners")
    return best[1] if best else f"{quantity.title}: no scanner stands out within a protocol"


def moved_rows(reading: Reading, quantity: Quantity) -> list[dict[str, Any]]:
    """Protocols on a scanner with a lasting special cause in their monthly medians, the greatest change first.

    Months, for a week of one protocol on one scanner has too few events to judge.
    """
    first_of_month = reading.filters.end.replace(day=1)
    start = first_of_month.replace(year=first_of_month.year - 1)
    span = reading.filters.over(start, first_of_month - timedelta(days=1))
    frame = reading.frame(quantity.measure, "protocol", "device", "month", filters=span).filter(pl.col("protocol") != 0)
    rows = []
    for (protocol, device), part in frame.partition_by("protocol", "device", as_dict=True).items():
        months, values = part["month"].to_list(), part["value"].to_list()
        behaviour = process_behaviour(values)
        since = behaviour.since
        if behaviour.trial or since is None or not _known(values[:since]) or int(part["n"].sum()) < MONTHS * FEW:
            continue
        before, after = fmean(_known(values[:since])), fmean(_known(values[since:]))
        change = 100 * (after / before - 1)
        if abs(change) >= 100 * LEAST_SHIFT:
            shown = reading.names
            rows.append({
                "protocol": shown.protocols.get(str(protocol), str(protocol)), "device": shown.devices.get(str(device), str(device)),
                "since": months[since], "before": before, "after": after, "change": change,
            })  # fmt: skip
    return sorted(rows, key=lambda row: -abs(row["change"]))


def _known(values: list[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _chosen(reading: Reading) -> tuple[Quantity, tuple[Component, ...]]:
    name = reading.extra.get("measure", FIRST)
    quantity = QUANTITIES.get(name, QUANTITIES[FIRST])
    return quantity, (
        choice(
            "measure",
            "Quantity",
            [(each.name, f"{each.title}, {each.unit}") for each in QUANTITIES.values()],
            quantity.name,
            FIRST,
        ),
    )


def _table(columns: tuple[Column, ...], frame: pl.DataFrame, reading: Reading) -> Table:
    return Table(columns, frame, reading.scope.small_count, reading.zone)
