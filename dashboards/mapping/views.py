"""How mapping local names to standard exams is shown and taken: the same for procedures and for scanner protocols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
from dash import html
from dash.development.base_component import Component
from flask import current_app

from dashboards._shell import numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.decisions import decision_list, decisions_of, may_open
from dashboards._shell.forms import Field, Form, Row, html_form, reason
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn
from dashboards._shell.tables import Column, Table
from dashboards.mapping.choices import NO_EXAM, SCHEMES, UNDECIDED, choice_of
from dashboards.mapping.used import VOLUME_DAYS, Used, coverage, still_open
from insights.procedures import LIKELY, OWN, Local, Suggestion, Target, looks_like_no_exam, of_modality, suggest
from state.decisions import DecisionKind
from state.roles import Permission

MOST_OPEN = 40
"""Names to decide on one screen; deciding them brings the next."""
MOST_HISTORY = 40


@dataclass(frozen=True)
class Subject:
    """What is mapped."""

    kind: DecisionKind
    noun: str
    """Of one: `local procedure`, `protocol`."""
    standard: str
    """What it is mapped to: `standard procedure`, `standard exam`."""
    found: Callable[[Reading], list[Used]]
    permission: Permission
    who: str
    """Who maps them, for those who may not."""

    @property
    def action(self) -> str:
        """Address of its forms."""
        return f"{urls.DECIDE}{self.kind}"

    @property
    def nouns(self) -> str:
        """Several of them."""
        return f"{self.noun}s"


def queue(subject: Subject, reading: Reading) -> Drawn:
    """Procedures that nobody decided yet, each with what it is likely to be."""
    found = subject.found(reading)
    if not found:
        return Empty(
            subject.nouns.capitalize(),
            f"There is no exam of a named {subject.noun} in your scope.",
            "To the data",
            is_wide=True,
        )
    open_ones = still_open(found, _decided_keys(subject))
    share, total = coverage(found)
    covered = f"{numbers.shown(share, '%', 1)} of {numbers.count(total)} exams of the last {VOLUME_DAYS} days have a {subject.standard} in the star"
    if not open_ones:
        return html.Section(
            [html.H2(f"Every {subject.noun} is decided"), html.P(covered, className="subtitle")], className="card wide"
        )
    heading: list[Component] = [
        html.H2(f"{subject.nouns.capitalize()} not mapped yet: {numbers.count(len(open_ones))}"),
        html.P(covered, className="subtitle"),
    ]
    if not reading.may(subject.permission):
        heading.append(html.P(subject.who, className="note"))
        return html.Section(heading, className="card wide")
    form = Form(
        subject.action,
        "Confirm what is ticked",
        (reason("Reason for all that are ticked"),),
        head=(subject.noun.capitalize(), f"Exams in {VOLUME_DAYS} days", "Why the first suggestion", "Is"),
        rows=tuple(_row(one, found, reading) for one in open_ones[:MOST_OPEN]),
    )
    note = "What you confirm holds from the next publication of the star, which starts at once, for all exams of the past too. Tick many rows and give one reason; another choice in a row replaces the suggestion."
    return html.Section(
        [*heading, html.P(note, className="note"), html_form(form, f"{subject.nouns.capitalize()} to map")],
        className="card wide",
    )


def other(subject: Subject, reading: Reading) -> Drawn:
    """Mapping one procedure to a code that is not in the lists."""
    if not reading.may(subject.permission) or not (found := subject.found(reading)):
        return html.Div()
    options = [(str(one.local.key), _name(one.local)) for one in sorted(found, key=lambda one: _name(one.local))]
    fields = (
        Field("name_key", subject.noun.capitalize(), "select", options=[("", "Choose …"), *options]),
        Field("scheme", "Scheme", "select", "LN", options=SCHEMES),
        Field("code", "Code", help="As the scheme writes it."),
        Field("name", "Name", help="In the words that pages shall show."),
        reason(),
    )
    return html.Section(
        [
            html.H2("Another code, or a mapping to change"),
            html.P(
                "LOINC and RadLex are not shipped with this program: type the code that your radiology information system uses.",
                className="subtitle",
            ),
            html_form(Form(subject.action, f"Map the {subject.noun}", fields), f"Map one {subject.noun} to a code"),
        ],
        className="card wide",
    )


def everything(subject: Subject, reading: Reading) -> Drawn:
    """All local procedures and their mapping in the star."""
    found = subject.found(reading)
    if not found:
        return html.Div()
    small = reading.scope.small_count
    frame = pl.DataFrame(
        [
            {
                "name": one.local.text,
                "code": one.local.code,
                "modality": one.local.modality,
                "n": one.n,
                "withheld": 0 < one.n < small,
                "status": one.status,
                "standard": one.target.name if one.target else None,
                "standard_code": f"{one.target.scheme} {one.target.code}" if one.target else None,
                "stated": " ".join(filter(None, (one.local.stated_scheme, one.local.stated_code))) or None,
            }
            for one in found
        ],
        schema_overrides=dict.fromkeys(("name", "code", "modality", "standard", "standard_code", "stated"), pl.Utf8),
    ).with_columns(n=pl.when("withheld").then(None).otherwise("n"))
    mapped = sum(one.status == "confirmed" for one in found)
    columns = (
        Column("name", subject.noun.capitalize()), Column("code", "Code"), Column("modality", "Modality"), Column("n", f"Exams in {VOLUME_DAYS} days", "number"), Column("status", "Mapping"),
        Column("standard", subject.standard.capitalize()), Column("standard_code", "Its code"), Column("stated", "Code in messages"),
    )  # fmt: skip
    return Card(
        f"{mapped} of {len(found)} {subject.nouns} are mapped in the star",
        f"{subject.nouns.capitalize()} with exams, the most used first",
        Table(columns, frame, small, reading.zone),
        formula=f"Volume: exams that took place in the last {VOLUME_DAYS} days of the data. Coverage counts exams, not names; what is no exam is left out.",
        period=f"{VOLUME_DAYS} days to {numbers.day(reading.as_of)}",
        is_wide=True,
        rows_shown=15,
    )


def history(subject: Subject, reading: Reading) -> Drawn:
    """Who mapped what, when and why, with the way back."""
    all_of_kind = decisions_of(current_app).history(subject.kind, limit=MOST_HISTORY)
    found = [one for one in all_of_kind if may_open(one, reading)]
    return html.Section(
        [
            html.H2("Who mapped what"),
            html.P("Newest first. Taking a mapping back makes what held before hold again.", className="subtitle"),
            decision_list(found, reading, f"No {subject.noun} was mapped by anybody yet."),
        ],
        className="card wide",
    )


def _decided_keys(subject: Subject) -> set[str]:
    return {one.subject for one in decisions_of(current_app).standing(subject.kind)}


def _row(one: Used, found: list[Used], reading: Reading) -> Row:
    local = one.local
    mapped = [(each.local, each.target) for each in found if each.target is not None]
    suggestions = suggest(local, mapped)
    small = 0 < one.n < reading.scope.small_count
    count = numbers.withheld(reading.scope.small_count) if small else numbers.count(one.n)
    return Row(str(local.key), _name(local), (count, _why(local, suggestions)), _choice(local, suggestions))


def _choice(local: Local, suggestions: list[Suggestion]) -> Field:
    """The list of a row: suggestions first, then all of the modality, then that it is no exam."""
    suggested = {choice_of(one): _target_words(one.target) for one in suggestions}
    rest = {f"{OWN}|{one.code}": one.name for one in of_modality(local.modality)}
    groups = {
        "": [(UNDECIDED, "Choose …")],
        "Suggestions": list(suggested.items()),
        f"All of {local.modality or 'all modalities'}": [pair for pair in rest.items() if pair[0] not in suggested],
        "Otherwise": [(NO_EXAM, "Not an exam: leave it out")],
    }
    first = UNDECIDED
    if looks_like_no_exam(local):
        first = NO_EXAM
    elif suggestions and suggestions[0].score >= LIKELY:
        first = choice_of(suggestions[0])
    options = {heading: pairs for heading, pairs in groups.items() if pairs}
    return Field(f"choice-{local.key}", f"{_name(local)} is", "select", first, options)


def _why(local: Local, suggestions: list[Suggestion]) -> str:
    if looks_like_no_exam(local):
        return "its words are those of a phantom or a test"
    return suggestions[0].why if suggestions else "nothing fits its words"


def _target_words(target: Target) -> str:
    return target.name if target.scheme == OWN else f"{target.name} ({target.scheme} {target.code})"


def _name(local: Local) -> str:
    parts = (local.code, local.text, local.modality)
    return " · ".join(part for part in parts if part) or "without a name"
