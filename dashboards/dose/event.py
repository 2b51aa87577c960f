"""One irradiation event in full: every figure with its unit and origin, its peers, its report's totals, its files."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import dash
import polars as pl
from dash import dcc, html
from dash.development.base_component import Component

from dashboards._shell import numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.layout import message, page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table, definition_table
from dashboards.dose import figures
from dashboards.dose.parts import scanner_words
from dashboards.dose.queries import exam_dose, one_event, peers
from warehouse.dose_columns import EVENT_COLUMNS, TOTALS_TOLERANCE

KINDS = {
    "ct": "CT exposure",
    "projection": "Projection exposure",
    "mammography": "Mammography exposure",
    "administration": "Administration",
}
HEADLINE = {
    "ct": ("dlp_mgycm", "mGy·cm"),
    "projection": ("dap_gycm2", "Gy·cm²"),
    "mammography": ("agd_mgy", "mGy"),
    "administration": ("activity_mbq", "MBq"),
}
TOTALS = (("DLP", "dlp_mgycm", "dlp_total_mgycm", "mGy·cm"), ("DAP", "dap_gycm2", "dap_total_gycm2", "Gy·cm²"), ("Dose (RP)", "rp_air_kerma_mgy", "rp_air_kerma_total_mgy", "mGy"),
          ("AGD left", "agd_left_mgy", "agd_total_left_mgy", "mGy"), ("AGD right", "agd_right_mgy", "agd_total_right_mgy", "mGy"), ("Events", "events", "events_stated", ""))  # fmt: skip
FEWEST_PEERS = 5

dash.register_page(
    __name__, path=urls.DOSE_EVENT, name="Dose event", title="Dose event – Isocenter", permission="see_exam_rows"
)


def layout(**query: str) -> Component:
    """The page of the event that the address names."""
    content = [
        slot("dose.event", height=220, is_wide=True),
        slot("dose.event-peers", height=320),
        slot("dose.event-totals", height=320),
        slot("dose.event-figures", height=420, is_wide=True),
    ]
    return page("Dose event", urls.DOSE, query, content, has_filters=False)


@section("dose.event")
def summary(reading: Reading) -> Drawn:
    """What, when, where, and the files that state it."""
    event = _event(reading)
    if event is None:
        return message(
            "No such event",
            "The address names no irradiation event that your role and sites open.",
            urls.DOSE,
            "To the dose page",
        )
    zone = ZoneInfo(event["time_zone"] or "UTC")
    pairs: list[tuple[str, Any]] = [
        ("Started", numbers.moment(event["started_at"], zone) if event["started_at"] else numbers.NOTHING),
        ("Exam", dcc.Link(event["exam_id"], href=urls.exam(event["exam_key"]))),
        ("Protocol", event["acquisition_protocol"] or event["protocol_name"] or numbers.NOTHING),
        ("Scanner", scanner_words(event)),
        ("Stated by", f"{event['objects']} object{'s' if event['objects'] > 1 else ''}, figures from {event['object_class']}" + (" – they disagree; all stand in the lake" if event["is_disputed"] else "")),
        ("File", html.Code(event["file"] or numbers.NOTHING)), ("Object", html.Code(event["object_uid"] or numbers.NOTHING)), ("Event", html.Code(event["event_uid"] + (" (made from device, time and figures)" if event["event_uid_derived"] else ""))),
        ("Landing row", html.Code(event["digest"])), ("Doubts", event["flags"] or "none"),
    ]  # fmt: skip
    return html.Section(
        [
            html.H2(
                f"{KINDS.get(event['event_kind'], 'Event')} {event['event_number'] or ''}: {_headline_words(event)}"
            ),
            definition_table(pairs, "The event"),
        ],
        className="card wide",
    )


@section("dose.event-peers")
def beside_peers(reading: Reading) -> Drawn:
    """The event among the others of its protocol."""
    event = _event(reading)
    if event is None:
        return html.Div()
    column, unit = HEADLINE[event["event_kind"]]
    values = peers(reading, column, event["protocol_key"]) if event[column] else []
    if len(values) < FEWEST_PEERS:
        return Empty(
            "Among its peers",
            "Fewer than 5 events of the same protocol in the last year state this figure.",
            "To the dose page",
        )
    below = sum(value < event[column] for value in values)
    share = 100 * below / len(values)
    title = (
        f"Among the highest of {numbers.count(len(values))} events of its protocol"
        if share >= 99.5
        else f"Higher than {share:.0f} % of {numbers.count(len(values))} events of its protocol"
    )
    table = Table((Column("value", "Figure", "number", unit),), pl.DataFrame({"value": values}))
    return Card(
        title,
        f"{_name(column)}, {unit}, events of the same protocol",
        table,
        figures.peer_histogram(values, float(event[column]), unit, reading.look),
        formula="All events of the same protocol and modality within your sites, last 12 months; the last 1 % stands in the last bar.",
        period="last 12 months",
    )


@section("dose.event-totals")
def totals(reading: Reading) -> Drawn:
    """What the exam's reports state in sum, against the sum of its events."""
    event = _event(reading)
    dose = exam_dose(reading, event["exam_key"]) if event else None
    if dose is None:
        return html.Div()
    rows = [
        {"what": what, "sum": _float(dose[own]), "stated": _float(dose[stated]), "unit": unit}
        for what, own, stated, unit in TOTALS
        if dose[own] is not None or dose[stated] is not None
    ]
    frame = pl.DataFrame(
        rows, schema={"what": pl.Utf8, "sum": pl.Float64, "stated": pl.Float64, "unit": pl.Utf8}
    ).with_columns(difference=pl.col("stated") - pl.col("sum"))
    title = totals_title(frame)
    shown = frame.with_columns(
        pl.Series(column, [None if value is None else f"{value:,.6g}" for value in frame[column]], dtype=pl.Utf8)
        for column in ("sum", "stated", "difference")
    )
    columns = (
        Column("what", "Quantity"),
        Column("sum", "Sum of events"),
        Column("stated", "Stated total"),
        Column("difference", "Difference"),
        Column("unit", "Unit"),
    )
    return Card(
        title,
        f"Exam {event['exam_id'] if event else ''}, {dose['reports']} report{'s' if dose['reports'] != 1 else ''}",
        Table(columns, shown),
        formula="Sum over distinct events of the exam, and what its dose reports state over all events.",
        note=dose["flags"] or "",
        period="one exam",
    )


def totals_title(frame: pl.DataFrame) -> str:
    """Whether stated totals and sums of events agree, each within its own last digits: a share, for units differ."""
    both = frame.drop_nulls(["sum", "stated"])
    if both.is_empty():
        return "No stated total to compare with its events"
    off = (both["stated"] - both["sum"]).abs() > TOTALS_TOLERANCE * both["stated"].abs() + 1e-9
    return "The report's totals differ from its events" if off.any() else "The report's totals agree with its events"


@section("dose.event-figures")
def every_figure(reading: Reading) -> Drawn:
    """Every figure of the event, with unit, origin path and the text that the object holds."""
    event = _event(reading)
    if event is None:
        return html.Div()
    rows = figure_rows(event)
    columns = (
        Column("figure", "Figure"),
        Column("value", "Value"),
        Column("unit", "Unit"),
        Column("text", "As written"),
        Column("path", "Where in the object"),
        Column("source", "Concept or tag"),
    )
    return Card(
        f"{len(rows)} figures of this event",
        "Value in the column's unit, and the text, unit and place that gave it",
        Table(
            columns,
            pl.DataFrame(rows, schema=dict.fromkeys(("figure", "value", "unit", "text", "path", "source"), pl.Utf8)),
        ),
        is_wide=True,
        rows_shown=60,
        period="one event",
        formula="As stated by the object; units converted by the unit written beside the figure.",
    )


def figure_rows(event: dict[str, Any]) -> list[dict[str, str]]:
    """The known figures in the order of the schema, then those that have no column of ours."""
    stated = json.loads(event["stated"] or "[]")
    by_column: dict[str, dict[str, Any]] = {}
    for one in stated:
        if one.get("column"):
            by_column.setdefault(one["column"], one)
    rows = [
        {
            "figure": column.doc.rstrip(".").partition(";")[0].partition(":")[0], "value": numbers.exact(event[column.name]), "unit": column.unit or "", "text": _written(by_column.get(column.name)),
            "path": (by_column.get(column.name) or {}).get("path") or "", "source": column.source,
        }
        for column in EVENT_COLUMNS
        if event.get(column.name) is not None
    ]  # fmt: skip
    rows += [
        {
            "figure": "",
            "value": numbers.exact(one.get("value")),
            "unit": "",
            "text": _written(one),
            "path": one.get("path") or "",
            "source": "no column of ours",
        }
        for one in stated
        if not one.get("column")
    ]
    return rows


def _written(one: dict[str, Any] | None) -> str:
    return f"{one.get('text') or ''} {one.get('unit') or ''}".strip() if one else ""


def _headline_words(event: dict[str, Any]) -> str:
    column, unit = HEADLINE[event["event_kind"]]
    return numbers.exact(event[column], unit) if event[column] is not None else "no headline figure stated"


def _float(value: float | int | None) -> float | None:
    return None if value is None else float(value)


def _name(column: str) -> str:
    return next(each.doc.partition(";")[0].rstrip(".") for each in EVENT_COLUMNS if each.name == column)


def _event(reading: Reading) -> dict[str, Any] | None:
    key = reading.extra.get("event", "")
    return one_event(reading, int(key)) if key.lstrip("-").isdigit() and reading.scope.rows else None
