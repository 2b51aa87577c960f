"""Where people decide about the data: one guarded route for all kinds, and what the pages show of decisions.

A page says with `deciding` how a kind of decision is taken: from the fields of a form to subjects and values, with an
error a field. Deciding the same again is no second decision, so that a form sent twice does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dash import html
from dash.development.base_component import Component
from flask import Flask, Response, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from dashboards._access.guard import for_everybody, may_open_page, refused
from dashboards._access.people import Person, current_person
from dashboards._access.services import Services
from dashboards._shell import numbers, urls
from dashboards._shell.forms import MOST_REASON, Field, Form, html_form
from dashboards._shell.publishing import Effect, Publishing, effect
from dashboards._shell.reading import Reading, Served, reading_of
from dashboards._shell.routes import refused_fields
from dashboards._shell.subpages import subpages
from state.decisions import Decision, DecisionError, DecisionKind, Decisions
from state.roles import Permission

Fields = Mapping[str, str]
Made = tuple[str, dict[str, Any]]
"""Subject and value of a decision."""

EXTENSION = "isocenter_publishing"
STEWARD_PAGES = (
    (urls.DATA, "Sources and loads"),
    (urls.QUALITY, "Quality"),
    (urls.QUALITY_DEVICES, "Scanners and clocks"),
    (urls.PROCEDURES, "Procedures"),
    (urls.HOURS, "Hours and closures"),
    (urls.DECISIONS, "Decisions"),
)


class FieldError(Exception):
    """What is wrong with the fields of a form: messages by name, the empty name for the whole."""

    def __init__(self, **messages: str) -> None:
        super().__init__(messages)
        self.messages = messages


@dataclass(frozen=True)
class Deciding:
    """How one kind of decision is taken, who may see one, and what it says."""

    kind: DecisionKind
    take: Callable[[Fields, Reading], Sequence[Made]]
    """From a form to subjects and values; raises `FieldError`."""
    opens: Callable[[Decision, Reading], bool]
    """Whether it lies in the reader's scope."""
    words: Callable[[Decision, Reading], str]
    """What was decided, in a sentence."""
    permission: Permission = Permission.DECIDE_DATA
    """What taking one needs, and taking it back."""


DECIDING: dict[str, Deciding] = {}
"""Every kind that the pages decide, by its name."""


def deciding(how: Deciding) -> None:
    """Registers how a kind of decision is taken."""
    DECIDING[how.kind.value] = how


def register(server: Flask) -> None:
    """Adds the routes that take decisions, take them back, and say whether they are in the star."""
    server.extensions[EXTENSION] = Publishing(Served.of(server).settings.data_directory)
    server.add_url_rule(f"{urls.DECIDE}<kind>", "decide", decide, methods=["POST"])
    server.add_url_rule(urls.REVOKE, "revoke", revoke, methods=["POST"])
    server.add_url_rule(urls.PUBLISH, "publish", publish, methods=["POST"])
    server.add_url_rule(urls.EFFECT, "effect", effect_now, methods=["GET"])


@for_everybody
def decide(kind: str) -> ResponseReturnValue:
    """Takes the decision of a form; 422 with a message a field where it cannot be taken."""
    how, person = DECIDING.get(kind), current_person()
    if how is None or person is None:
        abort(404)
    if not person.may(how.permission):
        return refused(request.path, how.permission)
    given, wrong = _fields(), _reason_errors(request.form.get("reason", ""))
    try:
        made = how.take(given, _reading())
    except FieldError as error:
        wrong = error.messages | wrong
    if wrong:
        return refused_fields(wrong)
    kept = decisions_of(current_app)
    known = {one.subject: one.value for one in kept.standing(how.kind)}
    fresh = [(how.kind, subject, value) for subject, value in made if known.get(subject) != value]
    if not fresh:
        return jsonify(message="This is decided already.", effect=_effect_json())
    kept.decide(person.username, fresh, given["reason"])
    return _taken("1 decision is kept." if len(fresh) == 1 else f"{len(fresh)} decisions are kept.")


@for_everybody
def revoke() -> ResponseReturnValue:
    """Takes a decision back."""
    person = current_person()
    if person is None or not _may_decide(person):
        return refused(request.path, Permission.DECIDE_DATA)
    given = _fields()
    if wrong := _reason_errors(given.get("reason", "")):
        return refused_fields(wrong)
    kept, reading = decisions_of(current_app), _reading()
    found = next((one for one in kept.standing() if str(one.id) == given.get("number")), None)
    gone = {"": "This decision was taken back or replaced already. Load the page again."}
    if found is None or not may_open(found, reading):
        return refused_fields(gone)
    needed = DECIDING[found.kind.value].permission
    if not person.may(needed):
        return refused(request.path, needed)
    try:
        kept.revoke(person.username, found.id, given["reason"])
    except DecisionError:  # another was quicker
        return refused_fields(gone)
    return _taken("Taken back: what held before holds again.")


@for_everybody
def publish() -> ResponseReturnValue:
    """Begins to bring what was decided into the star."""
    if not _may_decide(current_person()):
        return refused(request.path, Permission.DECIDE_DATA)
    return _taken("Started.")


@for_everybody
def effect_now() -> ResponseReturnValue:
    """Whether what was decided is in the star, for those who decide and those who see the data."""
    person = current_person()
    if not _may_decide(person) and not (person and person.may(Permission.VIEW_DATA)):
        return refused(request.path, Permission.VIEW_DATA)
    return jsonify(_effect_json())


def decisions_of(server: Flask) -> Decisions:
    """The decisions of this server's state."""
    services = Services.of(server)
    return Decisions(services.engine, services.audit)


def publishing_of(server: Flask) -> Publishing:
    """The publishing of this server's data directory."""
    found: Publishing = server.extensions[EXTENSION]
    return found


def may_open(found: Decision, reading: Reading) -> bool:
    """Whether a decision lies in the reader's scope."""
    how = DECIDING.get(found.kind.value)
    return how is not None and how.opens(found, reading)


def in_words(found: Decision, reading: Reading) -> str:
    """What a decision says."""
    return DECIDING[found.kind.value].words(found, reading)


def standing(reading: Reading, *kinds: DecisionKind) -> list[Decision]:
    """Decisions that stand and lie in the reader's scope, newest first."""
    return [one for one in reversed(decisions_of(current_app).standing(*kinds)) if may_open(one, reading)]


def effect_of(reading: Reading) -> Effect:
    """Whether what was decided is in the star that is served."""
    return effect(publishing_of(current_app), decisions_of(current_app), reading)


def parts_of_data(reading: Reading, here: str) -> list[Component]:
    """Links between the pages about the data, and whether what people decided is in the star."""
    pages = [
        (path, name) for path, name in STEWARD_PAGES if reading.person is None or may_open_page(path, reading.person)
    ]
    return [subpages(pages, here, reading), effect_words(reading)]


def effect_words(reading: Reading) -> Component:
    """Whether what people decided is in the star, and the way to bring it there."""
    now = effect_of(reading)
    shown: list[Component] = [html.P(now.words, className="effect-words", role="status")]
    if now.state in {"waiting", "failed"} and _may_decide(reading.person):
        shown.append(
            html_form(Form(urls.PUBLISH, "Bring into the star now", is_quiet=True), "Bring decisions into the star")
        )
    return html.Div(shown, className=f"effect {now.state}", **{"data-effect": now.state})


def decision_list(found: Sequence[Decision], reading: Reading, nothing: str) -> Component:
    """Decisions with who took them, when and why, each with its way back."""
    if not found:
        return html.P(nothing, className="subtitle")
    hold = {one.id for one in decisions_of(current_app).standing()}
    return html.Ul(
        [
            _entry(one, reading, may_end=one.id in hold and reading.may(DECIDING[one.kind.value].permission))
            for one in found
        ],
        className="decisions",
    )


def undo_form(found: Decision) -> Component:
    """The way back from a decision."""
    back = Form(
        urls.REVOKE,
        "Take back",
        (Field("reason", "Why it is taken back"),),
        hidden={"number": str(found.id)},
        is_quiet=True,
    )
    return html.Details([html.Summary("Take back"), html_form(back, f"Take decision {found.id} back")])


def _may_decide(person: Person | None) -> bool:
    """Whether a person may take decisions of any kind."""
    return person is None or any(person.may(how.permission) for how in DECIDING.values())


def _entry(one: Decision, reading: Reading, *, may_end: bool) -> Component:
    when = numbers.moment(one.decided_at, reading.zone)
    ended = f" · taken back {numbers.moment(one.revoked_at, reading.zone)}" if one.revoked_at else ""
    parts: list[Component] = [
        html.P(in_words(one, reading), className="decision-words"),
        html.P([f"{one.decided_by}, {when}: ", html.Q(one.reason), ended], className="subtitle"),
    ]
    if may_end:
        parts.append(undo_form(one))
    return html.Li(parts)


def _fields() -> dict[str, str]:
    """The form's fields; several values of one name are joined by commas."""
    return {name: ",".join(one.strip() for one in values) for name, values in request.form.lists()}


def _reason_errors(text: str) -> dict[str, str]:
    """What is wrong with a reason."""
    if not text.strip():
        return {"reason": "Give a reason: it is kept with the decision."}
    if len(text) > MOST_REASON:
        return {"reason": f"At most {MOST_REASON} characters; these are {len(text)}."}
    return {}


def _reading() -> Reading:
    """The reading that forms are judged by; it needs no filters."""
    return reading_of("")


def _taken(message: str) -> Response:
    publishing_of(current_app).start(decisions_of(current_app))
    return jsonify(
        message=message, effect={"state": "running", "words": "Taking effect: the star is being brought up to date."}
    )


def _effect_json() -> dict[str, str]:
    now = effect_of(_reading())
    return {"state": now.state, "words": now.words}
