"""Everything that people decided about the data: exams taken out, merges undone, all of it with who, when and why."""

from __future__ import annotations

import dash
from dash import html
from dash.development.base_component import Component
from flask import current_app

from dashboards._shell import urls
from dashboards._shell.decisions import decision_list, decisions_of, may_open, parts_of_data, standing
from dashboards._shell.forms import Field, Form, html_form, reason
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from state.decisions import DecisionKind
from state.roles import Permission

MOST_HISTORY = 100

dash.register_page(
    __name__, path=urls.DECISIONS, name="Decisions", title="Decisions – Isocenter", permission="view_data"
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("decisions.parts", height=60, is_wide=True), slot("decisions.exams", height=220), slot("decisions.merges", height=220),
        slot("decisions.history", height=320, is_wide=True),
    ]  # fmt: skip
    return page(
        "Decisions",
        urls.DECISIONS,
        query,
        content,
        intro="What people decided about the data. Every decision is dated, has a reason, can be taken back, and holds whenever the star is built again.",
        has_filters=False,
    )


@section("decisions.parts")
def parts(reading: Reading) -> Drawn:
    """Links to the other pages about the data, and whether decisions are in the star."""
    return parts_of_data(reading, urls.DECISIONS)


@section("decisions.exams")
def exams(reading: Reading) -> Drawn:
    """Exams that people took out of all measures."""
    found = standing(reading, DecisionKind.EXCLUDE_EXAM)
    content: list[Component] = [decision_list(found, reading, "No exam is taken out.")]
    if reading.may(Permission.DECIDE_DATA) and reading.scope.rows:
        field = Field(
            "exam_id",
            "Exam",
            value=reading.extra.get("exam_id", "")[:32],
            help="Its short name, as its page and the lists of exams show it.",
        )
        form = Form(f"{urls.DECIDE}{DecisionKind.EXCLUDE_EXAM}", "Take the exam out", (field, reason()))
        content.append(html_form(form, "Take an exam out of all measures"))
    return _card(
        f"Exams taken out of all measures: {len(found)}",
        "For test patients and mistakes that no rule finds.",
        content,
    )


@section("decisions.merges")
def merges(reading: Reading) -> Drawn:
    """Merges of patients that people took apart."""
    found = standing(reading, DecisionKind.UNDO_MERGE)
    content: list[Component] = [decision_list(found, reading, "No merge is taken apart.")]
    if reading.may(Permission.DECIDE_DATA) and reading.scope.sites is None and reading.scope.departments is None:
        fields = (
            Field("merged", "Identity that was ended", help="Its pseudonym, 32 hexadecimal digits."),
            Field("survivor", "Identity that it was merged into"),
            reason(),
        )
        form = Form(f"{urls.DECIDE}{DecisionKind.UNDO_MERGE}", "Take the merge apart", fields)
        content.append(html_form(form, "Take a merge of two patients apart"))
    return _card(
        f"Merges of patients taken apart: {len(found)}",
        "HL7 has no message that undoes a merge (A40): it is undone here.",
        content,
    )


@section("decisions.history")
def history(reading: Reading) -> Drawn:
    """All decisions, those taken back too, newest first."""
    found = [one for one in decisions_of(current_app).history(limit=MOST_HISTORY) if may_open(one, reading)]
    return _card(
        "History" if found else "Nothing was decided yet",
        "Newest first; what was taken back or replaced stays here.",
        [decision_list(found, reading, "Decisions on these pages will stand here with who took them, when and why.")],
        css="card wide",
    )


def _card(title: str, subtitle: str, content: list[Component], css: str = "card") -> Component:
    return html.Section([html.H2(title), html.P(subtitle, className="subtitle"), *content], className=css)
