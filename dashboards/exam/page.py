"""One exam: its life, and for each value the message, file and field that gave it."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import numbers, urls
from dashboards._shell.cards import Card
from dashboards._shell.freshness import SOURCE_NAMES
from dashboards._shell.layout import message, page
from dashboards._shell.reading import PATIENT_CLASSES, PRIORITIES, Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table, definition_table
from dashboards.exam.queries import exam_parts, one_exam
from warehouse.schema import fact_exam_event, fact_irradiation_event, fact_series
from warehouse.trace import STEPS, Statement, Step, exam_trace

_FINE = ("us", "s", "min")
_COARSE = {"h": "hour", "d": "day"}
PROBABLE_RULES = ("request", "cut", "near")
"""Rules by which a statement is joined with doubt (`etl/star/matching.py`)."""
CONFIDENCES = {
    "certain": "certain", "strong": "strong: by an order number of another system", "probable": "probable: a fall-back joined them", "alone": "nothing to join",
}  # fmt: skip

dash.register_page(__name__, path=urls.EXAM, name="Exam", title="Exam – Isocenter", permission="see_exam_rows")


def layout(**query: str) -> Component:
    """The page of the exam that the address names."""
    content = [
        slot("exam.life", height=420),
        slot("exam.facts", height=420),
        slot("exam.events", height=360, is_wide=True),
        slot("exam.dose", height=160, is_wide=True),
        slot("exam.series", height=160, is_wide=True),
    ]
    return page("Exam", urls.EXAMS, query, content, has_filters=False)


@section("exam.life")
def life(reading: Reading) -> Drawn:
    """The steps in time: for each the statement that counts, and what others say."""
    exam = _exam(reading)
    if exam is None:
        return message(
            "No such exam", "The address names no exam that your role and sites open.", urls.EXAMS, "To the exams"
        )
    zone = ZoneInfo(exam["time_zone"] or "UTC")
    items, before = [], None
    for step in exam_trace(reading.star, exam["exam_key"], reading.scope):
        gap = (
            f"{numbers.duration((step.at - before).total_seconds() / 60)} later"
            if before is not None and step.at > before
            else ""
        )
        items.append(_step_item(step, gap, zone))
        before = step.at
    body = (
        html.Ol(items, className="timeline")
        if items
        else html.P("No time of this exam is known.", className="subtitle")
    )
    return html.Section(
        [
            html.H2(f"Exam {exam['exam_id']}: {exam['state'].replace('_', ' ')}"),
            html.P(f"On the clock of {exam['site_name']}", className="subtitle"),
            body,
        ],
        className="card",
    )


def _step_item(step: Step, gap: str, zone: ZoneInfo) -> Component:
    """One step: its time, where it comes from, and the statements passed over with how far they lie off."""
    chosen = step.chosen
    parts: list[Component] = [html.Span(step.name, className="step")]
    if chosen is None:
        parts.append(html.Div("Stated, and counts for nothing", className="origin"))
    else:
        doubt = (
            "" if chosen.precision in _FINE else f"known to the {_COARSE.get(chosen.precision, chosen.precision)} only"
        )
        rule = f"joined by {chosen.match_rule}" if chosen.match_rule in PROBABLE_RULES else ""
        clock = (
            f"the scanner said {numbers.moment(chosen.stated_event_at, zone)}, its clock is corrected"
            if chosen.stated_event_at is not None
            else ""
        )
        origin = (gap, f"from {_place(chosen)}", doubt, rule, clock)
        parts.append(html.Div(" · ".join(part for part in origin if part), className="origin"))
    if step.others:
        parts.append(html.Ul([html.Li(_other(one, step, zone)) for one in step.others], className="others"))
    return html.Li([html.Time(numbers.moment(step.at, zone), dateTime=step.at.isoformat()), html.Div(parts)])


def _place(said: Statement) -> str:
    """Source, sender and field of a statement."""
    return " ".join(part for part in (SOURCE_NAMES.get(said.source, said.source), said.source_name, said.field) if part)


def _other(said: Statement, step: Step, zone: ZoneInfo) -> str:
    """A statement passed over: its time or how far it lies off, and why."""
    apart = (said.at - step.at).total_seconds() / 60
    when = (
        "the same time"
        if abs(apart) < 1 / 60
        else f"{numbers.moment(said.at, zone)}, {numbers.duration(abs(apart))} {'later' if apart > 0 else 'earlier'}"
    )
    return " · ".join(part for part in (_place(said), when, said.passed_over or "") if part)


@section("exam.facts")
def facts(reading: Reading) -> Drawn:
    """What is known of the exam besides its times."""
    exam = _exam(reading)
    if exam is None:
        return html.Div()
    pairs: list[tuple[str, Any]] = [
        ("Procedure", _joined(exam["procedure_text"], exam["procedure_code"])), ("Modality", exam["modality"] or numbers.NOTHING), ("Protocol", exam["protocol_name"] or numbers.NOTHING), ("Site", exam["site_name"]),
        ("Scanner", _joined(exam["device_name"], exam["model"], f"software {exam['software']}" if exam["software"] else None)), ("Class, priority", _joined(PATIENT_CLASSES.get(exam["patient_class"] or ""), PRIORITIES.get(exam["priority"] or ""))),
        ("Department", exam["department_name"] or numbers.NOTHING), ("Patient", _joined(f"{exam['age_years']:.0f} years" if exam["age_years"] is not None else None, exam["sex"])),
        ("On the scanner", numbers.shown(exam["machine_minutes"], "min")), ("Images", f"{numbers.count(exam['instances'])} in {exam['series']} series, {numbers.size(exam['bytes'])}"),
        ("Known from", ", ".join(words for key, words in (("has_order", "order"), ("has_images", "images"), ("has_dose_report", "dose"), ("has_charge", "charge")) if exam[key]) or numbers.NOTHING),
        ("Joined by", f"{exam['match_rule']}, {CONFIDENCES[exam['match_confidence']]}"), ("Shared acquisition", f"with {exam['sharers'] - 1} other exams" if exam["sharers"] > 1 else "no"),
        ("In the room", _room(exam)), ("Scanner's clock", f"corrected by {exam['clock_offset_s']:+,.0f} s" if exam["clock_offset_s"] is not None else "taken as right"),
        ("Appointment", _slot(exam)), ("Why it ended", _joined(exam["reason_text"], exam["reason_code"])), ("Reading section", _joined(exam["section"], exam["reader_group"])),
        ("Addenda", exam["addenda"]), ("Doubts", exam["flags"] or "none"),
    ]  # fmt: skip
    return html.Section(
        [html.H2("What is known"), definition_table(pairs, "What is known of the exam")], className="card"
    )


def _room(exam: dict[str, Any]) -> str:
    """How long the room was taken, and how that is known."""
    if exam["room_started_at"] is None:
        return numbers.NOTHING
    minutes = (exam["room_ended_at"] - exam["room_started_at"]).total_seconds() / 60
    return f"{numbers.shown(minutes, 'min')}, {'as the RIS states it' if exam['room_basis'] == 'measured' else 'acquisition and a modelled patient change'}"


def _slot(exam: dict[str, Any]) -> str:
    """The last slot that was booked, its length, and how often it was moved."""
    if exam["slot_at"] is None:
        return numbers.NOTHING
    zone = ZoneInfo(exam["time_zone"] or "UTC")
    length = numbers.shown(exam["slot_minutes"], "min") if exam["slot_minutes"] is not None else ""
    moved = f"moved {numbers.count(exam['moves'])} times" if exam["moves"] else ""
    return _joined(numbers.moment(exam["slot_at"], zone), length, moved)


@section("exam.events")
def events(reading: Reading) -> Drawn:
    """Every time that a source gave for a step, chosen or passed over."""
    exam = _exam(reading)
    if exam is None:
        return html.Div()
    frame = exam_parts(reading, fact_exam_event, exam["exam_key"])
    passed = frame.height - int(frame["is_chosen"].sum())
    shown = frame.with_columns(
        step=pl.col("event").replace_strict(STEPS, default=pl.col("event")),
        used=pl.when("is_chosen").then(pl.lit("counts")).otherwise(pl.coalesce("passed_over", pl.lit("passed over"))),
        sent_by=pl.col("source").replace(SOURCE_NAMES),
    )
    columns = (
        Column("step", "Step"), Column("event_at", "When", "moment"), Column("used", "Used"), Column("sent_by", "Source"), Column("source_name", "Sender"), Column("file", "File", "place"), Column("position", "Where"), Column("field", "Field"),
        Column("match_rule", "Joined by"), Column("stated_at", "Said at", "moment"), Column("stated_event_at", "By the scanner's clock", "moment"), Column("precision", "Precision"), Column("digest", "Landing row", "place"),
    )  # fmt: skip
    table = Table(columns, shown, zone=ZoneInfo(exam["time_zone"] or "UTC"))
    return Card(
        f"{frame.height} statements, {passed} passed over",
        "Each time that a message or object gives for a step of this exam",
        table,
        is_wide=True,
        rows_shown=40,
        period="one exam",
        formula="For each step the best source counts; the others stay here.",
    )


@section("exam.dose")
def dose(reading: Reading) -> Drawn:
    """The exposures of the exam."""
    exam = _exam(reading)
    frame = (
        exam_parts(reading, fact_irradiation_event, exam["exam_key"])
        if exam and reading.may("view_dose")
        else pl.DataFrame()
    )
    if frame.is_empty():
        return html.Div()
    columns = (
        Column("started_at", "Started", "moment", link=lambda row: urls.dose_event(row["event_key"])), Column("event_kind", "Kind"), Column("acquisition_protocol", "Protocol"), Column("ctdivol_mgy", "CTDIvol", "number", "mGy"),
        Column("ctdi_phantom", "Phantom"), Column("dlp_mgycm", "DLP", "number", "mGy·cm"), Column("dap_gycm2", "DAP", "number", "Gy·cm²"), Column("agd_mgy", "AGD", "number", "mGy"), Column("activity_mbq", "Activity", "number", "MBq"), Column("object_class", "From"), Column("file", "File", "place"),
    )  # fmt: skip
    used = tuple(column for column in columns if column.kind != "number" or frame[column.name].is_not_null().any())
    return Card(
        f"{frame.height} irradiation events",
        "Each exposure once, with the object that its figures come from",
        Table(used, frame, zone=ZoneInfo((exam or {}).get("time_zone") or "UTC")),
        is_wide=True,
        rows_shown=40,
        period="one exam",
        formula="As stated by the objects.",
    )


@section("exam.series")
def series(reading: Reading) -> Drawn:
    """The image series of the exam."""
    exam = _exam(reading)
    frame = exam_parts(reading, fact_series, exam["exam_key"]) if exam else pl.DataFrame()
    if frame.is_empty():
        return html.Div()
    columns = (
        Column("series_text", "Series"), Column("modality", "Modality"), Column("started_at", "From", "moment"), Column("ended_at", "To", "moment"), Column("times_from", "Times from"), Column("instances", "Images", "number"), Column("file", "First file", "place"), Column("series_uid", "Series UID", "place"),
    )  # fmt: skip
    return Card(
        f"{frame.height} image series",
        "Times of the scanner where it acquired them",
        Table(columns, frame, zone=ZoneInfo((exam or {}).get("time_zone") or "UTC")),
        is_wide=True,
        rows_shown=40,
        period="one exam",
        formula="From the headers of the images.",
    )


def _exam(reading: Reading) -> dict[str, Any] | None:
    key = reading.extra.get("exam", "")
    return one_exam(reading, int(key)) if key.lstrip("-").isdigit() and reading.scope.rows else None


def _joined(*parts: str | None) -> str:
    return " · ".join(part for part in parts if part) or numbers.NOTHING
