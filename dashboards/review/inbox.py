"""The review inbox: what crossed a rule, gravest first, closed one by one or many at once, by keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from statistics import median

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.filter_bar import choice
from dashboards._shell.forms import Field, Form, Row, html_form
from dashboards._shell.kpi import fact_card
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards._shell.views import saved_views
from dashboards.dose.parts import dose_pages
from dashboards.review import words
from dashboards.review.cases import READERS, SEVERITIES, Case, cases
from dashboards.review.queries import exams_with_dose
from state.reviews import ACTIONS, REASONS
from state.roles import Permission

MOST_ROWS = 40
"""Cases on one screen; closing them brings the next."""
SHOWN = {
    "open": "Open",
    "today": "To act on today",
    "mine": "Handed to me",
    "awaiting_signature": "Awaiting a second signature",
    "resting": "Resting",
    "closed": "Closed",
    "all": "All",
}
EVERY_READER = "any"

dash.register_page(
    __name__,
    path=urls.DOSE_INBOX,
    name="Review",
    title="Dose review – Isocenter",
    permission=Permission.REVIEW_DOSE,
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("review.parts", height=220, is_wide=True),
        slot("review.list", height=640, is_wide=True),
        slot("review.closed", height=120, is_wide=True),
    ]
    return page(
        "Dose review",
        urls.DOSE_INBOX,
        query,
        content,
        intro="Exams and protocols that crossed a rule, gravest first. Each was raised once, with its evidence as it was then.",
    )


@section("review.parts")
def parts(reading: Reading) -> Drawn:
    """Links, and how much is to be done."""
    found, today = _all(reading), reading.data_to.date()
    still = [one for one in found if one.status.is_open]
    overdue = sum(one.status.due_on is not None and one.status.due_on < today for one in still)
    exams = exams_with_dose(reading)
    rate = f"{numbers.rounded(1000 * len(found) / exams, 2)}" if exams else numbers.NOTHING
    cards = [
        fact_card("Open", numbers.count(len(still)), f"{_n(sum(one.severity == 3 for one in still), 'case')} to act on today"),
        fact_card("Awaiting a second signature", numbers.count(sum(one.status.state == "awaiting_signature" for one in still)), "closed by one person, to be signed by another"),
        fact_card("Overdue", numbers.count(overdue), "actions past the day they were due"),
        fact_card("Raised", numbers.count(len(found)), f"{rate} in a thousand exams with dose"),
        fact_card("Time to close", _days_to_close(found), f"median of {_n(sum(not one.status.is_open for one in found), 'closed case')}"),
    ]  # fmt: skip
    return html.Div(
        [
            dose_pages(urls.DOSE_INBOX, reading),
            html.Div(cards, className="kpis five"),
            saved_views(reading, urls.DOSE_INBOX),
        ]
    )


@section("review.list")
def listed(reading: Reading) -> Drawn:
    """The cases that the choices keep; open ones can be closed from here."""
    controls = (
        choice("show", "Show", list(SHOWN.items()), _show(reading), "open"),
        choice("reader", "Found by", [(EVERY_READER, "Any reader"), *READERS.items()], _reader(reading), EVERY_READER),
    )
    found = _chosen(reading)
    if not found:
        return Empty(
            SHOWN[_show(reading)],
            f"No case fits: {reading.sentence}.",
            "Clear the filters",
            is_wide=True,
            controls=controls,
        )
    if _show(reading) in {"closed", "all", "awaiting_signature"}:
        return _table(found, reading, controls)
    more = f" The first {MOST_ROWS} are shown." if len(found) > MOST_ROWS else ""
    note = (
        f"Enter opens a case, Space ticks it; J and K go down and up.{more} "
        "Cases to act on today are closed on their own page."
    )
    form = Form(
        urls.DOSE_REVIEW,
        "Close what is ticked",
        (
            Field("action", "Action for all that are ticked", "select", "none", list(ACTIONS.items())),
            Field("text", "Comment", required=False, help="Kept with each, and signed with your name."),
        ),
        head=("Case", "Day and place", "What", "Likeliest cause", "Where it stands", "Reason"),
        rows=tuple(_row(one, reading) for one in found[:MOST_ROWS]),
    )
    heading = [
        html.Div(
            [
                html.H2(f"{_n(len(found), 'case')}: {SHOWN[_show(reading)].lower()}"),
                html.P(note, className="subtitle"),
            ]
        ),
        *controls,
    ]
    return html.Section(
        [
            html.Header(heading, className="card-header"),
            html.Div(html_form(form, "Cases to review"), **{"data-keys": "rows"}),
        ],
        className="card wide review-list",
    )


@section("review.closed")
def workload(reading: Reading) -> Drawn:
    """How much of the work each rule makes, and how much of it size explains."""
    found = _all(reading)
    if not found:
        return html.Div()
    rows = [
        {
            "rule": rule,
            "reader": READERS.get(group[0].first.reader, group[0].first.reader),
            "n": len(group),
            "size": 100 * sum(_is_size(one) for one in group) / len(group),
            "closed": sum(not one.status.is_open for one in group),
        }
        for rule, group in _by_rule(found).items()
    ]
    columns = (
        Column("rule", "Rule", link=lambda _: urls.DOSE_RULES), Column("reader", "Found by"), Column("n", "Cases", "number"),
        Column("size", "Explained by size", "number", "%", 0), Column("closed", "Closed", "number"),
    )  # fmt: skip
    frame = pl.DataFrame(rows).sort("n", descending=True)
    return Card(
        f"{frame['rule'][0]} raises the most cases",
        "Cases of the period by the rule that raised the gravest alert",
        Table(columns, frame),
        formula="A case is all alerts of one exam, or one change of a protocol. Explained by size: closed with the reason large patient, or, while it is open, size is its likeliest cause.",
        is_wide=True,
    )


def _row(one: Case, reading: Reading) -> Row:
    alert, evidence = one.first, one.evidence
    suggested = evidence.why[0].cause if evidence.why and evidence.why[0].cause in REASONS else ""
    reasons = [("", "Choose …"), *REASONS.items()]
    choose = Field(f"choice-{one.id}", f"Reason of case {one.id}", "select", suggested, reasons)
    return Row(
        str(one.id),
        f"{one.id} · {SEVERITIES[one.severity]}",
        (
            f"{numbers.day(alert.happened_on)} · {words.place_words(alert, reading)}",
            f"{words.protocol_words(alert, reading)}: {words.value_words(evidence)} ({words.readers_words(one)})",
            words.why_words(evidence),
            words.state_words(one),
        ),
        choose,
        urls.dose_case(one.id, reading.filters.to_query()),
    )


def _table(found: Sequence[Case], reading: Reading, controls: tuple[Component, ...]) -> Card:
    rows = [
        {
            "id": str(one.id),
            "severity": SEVERITIES[one.severity],
            "day": one.first.happened_on,
            "place": words.place_words(one.first, reading),
            "protocol": words.protocol_words(one.first, reading),
            "what": words.value_words(one.evidence),
            "state": words.state_words(one),
            "reason": REASONS.get(one.status.reason or "", None),
            "closed_by": one.status.closed_by,
            "signed_by": one.status.signed_by,
        }
        for one in found
    ]
    columns = (
        Column("id", "Case", link=lambda row: urls.dose_case(int(row["id"]), reading.filters.to_query())), Column("severity", "Severity"), Column("day", "Day", "day"), Column("place", "Place"), Column("protocol", "Protocol"),
        Column("what", "What"), Column("state", "Where it stands"), Column("reason", "Reason"), Column("closed_by", "Closed by"), Column("signed_by", "Signed by"),
    )  # fmt: skip
    return Card(
        f"{_n(len(found), 'case')}: {SHOWN[_show(reading)].lower()}",
        "Each opens with all that was seen and decided",
        Table(columns, pl.DataFrame(rows, infer_schema_length=None), 0, reading.zone),
        is_wide=True,
        rows_shown=MOST_ROWS,
        controls=controls,
    )


def _all(reading: Reading) -> list[Case]:
    return cases(reading, reading.filters.start, max(reading.filters.end, reading.data_to.date()))


def _chosen(reading: Reading) -> list[Case]:
    """The cases that the choices keep."""
    show, reader, today = _show(reading), _reader(reading), reading.data_to.date()
    found = _all(reading)
    if reader != EVERY_READER:
        found = [one for one in found if any(alert.reader == reader for alert in one.alerts)]
    if show == "mine":
        return [one for one in found if one.status.is_open and _is_with(one, reading)]
    return [one for one in found if _is_shown(one, show, today)]


def _is_with(one: Case, reading: Reading) -> bool:
    """Whether a case was handed to the reader, by user name or name."""
    person, assignee = reading.person, (one.status.assignee or "").casefold()
    return person is not None and assignee in {person.username.casefold(), person.display_name.casefold()}


def _is_shown(one: Case, show: str, today: date) -> bool:
    waits = one.status.state == "awaiting_signature"
    match show:
        case "all":
            return True
        case "closed":
            return not one.status.is_open
        case "awaiting_signature":
            return waits
        case "resting":
            return one.status.is_open and one.rests(today)
        case "today":
            return one.status.is_open and not waits and one.severity == max(SEVERITIES)
    return one.status.is_open and not waits and not one.rests(today)


def _show(reading: Reading) -> str:
    asked = reading.extra.get("show", "open")
    return asked if asked in SHOWN else "open"


def _reader(reading: Reading) -> str:
    asked = reading.extra.get("reader", EVERY_READER)
    return asked if asked in READERS else EVERY_READER


def _by_rule(found: Sequence[Case]) -> dict[str, list[Case]]:
    groups: dict[str, list[Case]] = {}
    for one in found:
        groups.setdefault(one.evidence.rule_text, []).append(one)
    return groups


def _is_size(one: Case) -> bool:
    if one.status.reason is not None:
        return one.status.reason == "large_patient"
    return bool(one.evidence.why) and one.evidence.why[0].cause == "large_patient"


def _days_to_close(found: Sequence[Case]) -> str:
    waited = [
        (one.status.closed_at - one.first.raised_at).total_seconds() / 60
        for one in found
        if one.status.closed_at is not None and not one.status.is_open
    ]
    return numbers.duration(median(waited)) if waited else numbers.NOTHING


def _n(count: int, what: str) -> str:
    return f"{numbers.count(count)} {what}{'' if count == 1 else 's'}"
