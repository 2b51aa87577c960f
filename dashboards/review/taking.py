"""Steps of reviews and sign-offs, taken from forms: guarded, refused beside the field that is wrong, kept once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import Response, jsonify, request

from dashboards._access.people import current_person
from dashboards._shell import urls
from dashboards._shell.reading import Reading, reading_of
from dashboards._shell.routes import refused_fields, route
from dashboards.review.cases import Case, case_of, cases, reviews_of_server
from dashboards.review.gaps import gaps_of
from state.reviews import ReviewError, Step
from state.roles import Permission

MOST_TEXT = 2000
VALUES: Mapping[Step, tuple[str, ...]] = {
    Step.ASSIGN: ("to",),
    Step.EXPLAIN: ("reason",),
    Step.ACT: ("action", "due_on"),
    Step.SNOOZE: ("until",),
    Step.CLOSE: ("reason", "action"),
    Step.FOLLOW_UP: ("called_on", "called_by", "skin_checked_on", "skin_result"),
}
"""Fields that a step reads besides its words."""


@route(urls.DOSE_REVIEW, Permission.REVIEW_DOSE)
def review() -> Response:
    """Takes a step about one case, or closes the cases that are ticked."""
    form = {name: ",".join(values) for name, values in request.form.lists()}
    if len(form.get("text", "")) > MOST_TEXT:
        return refused_fields({"text": f"At most {MOST_TEXT} characters."})
    reading = reading_of("")
    try:
        return _close_many(form, reading) if "alert" not in form else _step(form, reading)
    except ReviewError as error:
        return refused_fields({_field_of(str(error), form): str(error)})


@route(urls.DOSE_SIGN, Permission.REVIEW_DOSE)
def sign() -> Response:
    """Signs a period off."""
    reading, person = reading_of(""), current_person()
    assert person is not None  # the guard lets nobody else in
    try:
        first, last = (date.fromisoformat(request.form.get(name, "")) for name in ("first", "last"))
    except ValueError:
        return refused_fields({"first": "Name the first and the last day."})
    site = request.form.get("site", "")
    if site and site not in reading.names.sites:
        return refused_fields({"": "This site is not in your scope."})
    if not site and reading.scope.sites is not None:
        return refused_fields({"": "You see some sites only: sign one of them."})
    found = gaps_of(reading, first, last, site)
    try:
        reviews_of_server().sign_off(
            person.username, site, first, last, [gap.words for gap in found], request.form.get("text", "")
        )
    except ReviewError as error:
        return refused_fields({"text": str(error)})
    return jsonify(message="Signed.")


def _step(form: Mapping[str, str], reading: Reading) -> Response:
    """One step about all alerts of a case that it fits."""
    case = case_of(reading, int(form["alert"])) if form["alert"].isdigit() else None
    try:
        step = Step(form.get("step", ""))
    except ValueError:
        return refused_fields({"": "Choose what to do."})
    person = current_person()
    assert person is not None
    if case is None:
        return refused_fields({"": "This case is not in your scope any more. Load the page again."})
    value = {name: form[name].strip() for name in VALUES.get(step, ()) if form.get(name, "").strip()}
    reviews_of_server().take(person.username, _concerned(case, step), step, value, form.get("text", ""))
    if step is Step.CLOSE and (following := next_open(reading, case)) is not None:
        return jsonify(message="Closed.", go=urls.dose_case(following.id))
    return jsonify(message="Kept and signed.")


def _concerned(case: Case, step: Step) -> list[int]:
    """The alerts of a case that a step is about."""
    if step is Step.COUNTERSIGN:
        return case.alerts_in("awaiting_signature") or [case.id]
    if step is Step.REOPEN:
        return case.alerts_in("awaiting_signature", "closed") or [case.id]
    if step in {Step.COMMENT, Step.FOLLOW_UP}:
        return [case.id]
    return case.open_alerts or [case.id]


def _close_many(form: Mapping[str, str], reading: Reading) -> Response:
    """Closes the ticked cases, each with the reason chosen in its row."""
    chosen = [number for number in form.get("chosen", "").split(",") if number.isdigit()]
    if not chosen:
        return refused_fields({"chosen": "Tick at least one case."})
    person = current_person()
    assert person is not None
    todo: list[tuple[Case, dict[str, Any]]] = []
    wrong: dict[str, str] = {}
    for number in chosen:
        case = case_of(reading, int(number))
        reason = form.get(f"choice-{number}", "")
        if case is None:
            return refused_fields({"": "A case is not in your scope any more. Load the page again."})
        if not reason:
            wrong[f"choice-{number}"] = "Choose the reason, or take the tick away."
        elif case.severity == 3:
            wrong[f"choice-{number}"] = "An alert to act on today is opened and closed by itself."
        todo.append((case, {"reason": reason, "action": form.get("action", "none")}))
    if wrong:
        return refused_fields(wrong)
    kept = reviews_of_server()
    for case, value in todo:
        if case.open_alerts:
            kept.take(person.username, case.open_alerts, Step.CLOSE, value, form.get("text", ""))
    return jsonify(message="1 case is closed." if len(todo) == 1 else f"{len(todo)} cases are closed.")


def next_open(reading: Reading, after: Case) -> Case | None:
    """The open case that the inbox of the last 90 days shows after this one, from its top again at its end."""
    start, end = reading.filters.start, reading.data_to.date()
    found = [
        one
        for one in cases(reading, start, end)
        if one.open_alerts and one.id != after.id and not one.rests(reading.data_to.date())
    ]
    later = [one for one in found if (one.severity, one.first.happened_on) <= (after.severity, after.first.happened_on)]
    return next(iter(later or found), None)


def _field_of(message: str, form: Mapping[str, str]) -> str:
    """The field that an error of the state speaks of."""
    for beginning, name in (("Choose a reason", "reason"), ("Choose an action", "action"), ("Name the person", "to"), ("Name the day", "until"), ("Say it in words", "text")):  # fmt: skip
        if message.startswith(beginning) and name in form:
            return name
    return ""
