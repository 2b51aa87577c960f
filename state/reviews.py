"""What people did about alerts, step by step: append-only, each step sealed by a row of the audit's chain.

A step is kept in the same transaction as the audit's row that carries its digest: a step that is changed, removed or
slipped in no longer agrees with the audit, and the audit's own chain shows where that was changed. Nothing can be undone;
a mistake is mended by a further step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select

from state.audit import AuditTrail
from state.errors import StateError
from state.tables import audit, reviews


class Step(StrEnum):
    """One step of a review."""

    ASSIGN = "assign"
    """Value: `to`, a user name."""
    EXPLAIN = "explain"
    """Value: `reason`, a code of `REASONS`."""
    ACT = "act"
    """Value: `action`, a code of `ACTIONS`; `due_on` an ISO day or absent."""
    COMMENT = "comment"
    SNOOZE = "snooze"
    """Value: `until`, an ISO day: it is not shown before."""
    CLOSE = "close"
    """Value: `reason` and `action`, as they were found in the end."""
    COUNTERSIGN = "countersign"
    """A second person agrees with the close."""
    REOPEN = "reopen"
    FOLLOW_UP = "follow_up"
    """Substantial dose: value `called_on`, `called_by`, `skin_checked_on`, `skin_result`."""
    SIGN_OFF = "sign_off"
    """Of a period, no alert. Value: `site` or empty, `first`, `last`, `gaps`: what is open or missing, in words."""


REASONS: Mapping[str, str] = {
    "large_patient": "Large patient",
    "repeat": "Repeat: motion, contrast or failed",
    "wrong_protocol": "Wrong protocol",
    "extra_phase": "Extra phase ordered",
    "long_range": "Long range",
    "off_centre": "Off centre",
    "modulation": "Tube current modulation off or faulty",
    "complex": "Complex procedure",
    "trauma": "Trauma or resuscitation",
    "implant": "Implant or arms in the field",
    "protocol_changed": "Protocol changed on purpose",
    "qa": "Phantom or quality assurance",
    "data_error": "Data error",
    "unexplained": "True outlier, unexplained",
}
ACTIONS: Mapping[str, str] = {
    "none": "None needed",
    "protocol_change": "Protocol change",
    "training": "Training",
    "service_call": "Service call",
    "patient_follow_up": "Patient follow-up",
    "incident_report": "Incident report",
    "mend_data": "Mend the data",
}


class ReviewError(StateError):
    """A step that cannot be taken; the message says why."""


@dataclass(frozen=True)
class Review:
    """One step that was taken."""

    id: int
    alert_id: int | None
    step: Step
    value: dict[str, Any]
    text: str
    actor: str
    at: datetime
    audit_seq: int
    digest: str


@dataclass(frozen=True)
class Status:
    """Where an alert stands after its steps."""

    state: str
    """new, assigned, explained, action, awaiting_signature or closed."""
    assignee: str | None = None
    reason: str | None = None
    action: str | None = None
    due_on: date | None = None
    snoozed_until: date | None = None
    closed_by: str | None = None
    closed_at: datetime | None = None
    signed_by: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done."""
        return self.state != "closed"


def status_of(steps: Sequence[Review], *, second_signature: bool) -> Status:
    """Where an alert stands after its steps, in their order.

    Args:
        second_signature: whether a close holds only once another person countersigned it.
    """
    now = Status("new")
    for one in steps:
        now = _after(now, one, second_signature=second_signature)
    return now


def _after(now: Status, one: Review, *, second_signature: bool) -> Status:
    """The status after one more step."""
    kept = vars(now)
    match one.step:
        case Step.ASSIGN:
            state = "assigned" if now.state == "new" else now.state
            return Status(**kept | {"state": state, "assignee": one.value["to"], "snoozed_until": None})
        case Step.EXPLAIN:
            return Status(**kept | {"state": "explained", "reason": one.value["reason"]})
        case Step.ACT:
            due = date.fromisoformat(one.value["due_on"]) if one.value.get("due_on") else None
            return Status(**kept | {"state": "action", "action": one.value["action"], "due_on": due})
        case Step.SNOOZE:
            return Status(**kept | {"snoozed_until": date.fromisoformat(one.value["until"])})
        case Step.CLOSE:
            ends = {
                "state": "awaiting_signature" if second_signature else "closed",
                "reason": one.value["reason"],
                "action": one.value["action"],
                "closed_by": one.actor,
                "closed_at": one.at,
                "signed_by": None,
                "snoozed_until": None,
            }
            return Status(**kept | ends)
        case Step.COUNTERSIGN:
            return Status(**kept | {"state": "closed", "signed_by": one.actor})
        case Step.REOPEN:
            return Status("assigned" if now.assignee else "new", assignee=now.assignee)
    return now


@dataclass(frozen=True)
class Reviews:
    """The reviews of one database."""

    engine: Engine
    trail: AuditTrail
    second_signature: bool = False

    def take(
        self, actor: str, alert_ids: Sequence[int], step: Step, value: Mapping[str, Any], text: str = ""
    ) -> list[int]:
        """Takes one step about each of some alerts; the steps' numbers.

        Raises:
            ReviewError: the step does not fit where an alert stands, a code is unknown, or words are missing.
            StoreBusyError: the database was busy; steps before it are kept.
        """
        _check_value(step, value, text)
        standing = self.statuses(alert_ids)
        for number in alert_ids:
            _check_step(step, actor, standing[number])
        return [self._keep(actor, number, step, dict(value), text.strip()) for number in alert_ids]

    def sign_off(self, actor: str, site: str, first: date, last: date, gaps: Sequence[str], text: str) -> int:
        """Signs a period off; `gaps` name what is open or missing in it.

        Raises:
            ReviewError: gaps are named and no words say why it is signed nevertheless, or the period is reversed.
        """
        if last < first:
            raise ReviewError("The period ends before it begins.")
        if gaps and not text.strip():
            raise ReviewError("Something is open or missing in this period: say why it is signed nevertheless.")
        value = {"site": site, "first": first.isoformat(), "last": last.isoformat(), "gaps": list(gaps)}
        return self._keep(actor, None, Step.SIGN_OFF, value, text.strip())

    def of(self, alert_ids: Sequence[int]) -> dict[int, list[Review]]:
        """The steps of some alerts by alert, each in order."""
        found: dict[int, list[Review]] = {number: [] for number in alert_ids}
        query = select(reviews).where(reviews.c.alert_id.in_(alert_ids)).order_by(reviews.c.audit_seq)
        with self.engine.connect() as connection:
            for row in connection.execute(query):
                found[row.alert_id].append(_review(row))
        return found

    def statuses(self, alert_ids: Sequence[int]) -> dict[int, Status]:
        """Where some alerts stand."""
        return {
            number: status_of(steps, second_signature=self.second_signature)
            for number, steps in self.of(alert_ids).items()
        }

    def sign_offs(self) -> list[Review]:
        """All sign-offs of periods, newest first."""
        query = select(reviews).where(reviews.c.step == Step.SIGN_OFF.value).order_by(reviews.c.audit_seq.desc())
        with self.engine.connect() as connection:
            return [_review(row) for row in connection.execute(query)]

    def verify(self) -> list[str]:
        """What is wrong with the kept steps, in words; empty where every step agrees with the audit that seals it."""
        query = select(reviews, audit.c.detail).join(audit, reviews.c.audit_seq == audit.c.seq)
        with self.engine.connect() as connection:
            found = list(connection.execute(query))
            kept = set(connection.execute(select(reviews.c.audit_seq)).scalars())
            sealed = connection.execute(select(audit.c.seq).where(audit.c.action.like("review %"))).scalars()
            gone = [f"step sealed by audit row {seq} is missing" for seq in sealed if seq not in kept]
        changed = [
            f"step {row.id} was changed after it was signed"
            for row in found
            if row.digest != _digest(row.alert_id, row.step, row.value, row.text, row.actor)
            or json.loads(row.detail).get("digest") != row.digest
        ]
        return [*gone, *changed]

    def _keep(self, actor: str, alert_id: int | None, step: Step, value: dict[str, Any], text: str) -> int:
        digest = _digest(alert_id, step.value, value, text, actor)
        numbers: list[int] = []

        def also(connection: Connection, seq: int) -> None:
            row = {
                "alert_id": alert_id, "step": step.value, "value": value, "text": text, "actor": actor,
                "at": self.trail.clock(), "audit_seq": seq, "digest": digest,
            }  # fmt: skip
            numbers.append(connection.execute(insert(reviews).values(row).returning(reviews.c.id)).scalar_one())

        target = f"alert {alert_id}" if alert_id is not None else f"{value['first']} to {value['last']} {value['site']}"
        self.trail.append(actor, f"review {step.value}", target.strip(), {"digest": digest}, also)
        return numbers[-1]


def _check_value(step: Step, value: Mapping[str, Any], text: str) -> None:
    """Codes are known, words are there where a step needs them."""
    if step in {Step.EXPLAIN, Step.CLOSE} and value.get("reason") not in REASONS:
        raise ReviewError(f"Choose a reason: one of {', '.join(REASONS)}.")
    if step in {Step.ACT, Step.CLOSE} and value.get("action") not in ACTIONS:
        raise ReviewError(f"Choose an action: one of {', '.join(ACTIONS)}.")
    if step is Step.ASSIGN and not str(value.get("to", "")).strip():
        raise ReviewError("Name the person whom it is given to.")
    if (step in {Step.COMMENT, Step.REOPEN} or value.get("reason") == "unexplained") and not text.strip():
        raise ReviewError("Say it in words: a comment, a reopening and an unexplained outlier need them.")
    for name in ("due_on", "until", "called_on", "skin_checked_on"):
        if value.get(name):
            try:
                date.fromisoformat(str(value[name]))
            except ValueError as error:
                raise ReviewError(f"{name.replace('_', ' ')}: {value[name]!r} is no day such as 2026-11-30.") from error
    if step is Step.SNOOZE and not value.get("until"):
        raise ReviewError("Name the day until which it rests.")


def _check_step(step: Step, actor: str, now: Status) -> None:
    """The step fits where the alert stands."""
    if step is Step.COUNTERSIGN and now.state != "awaiting_signature":
        raise ReviewError("There is nothing to countersign: the alert is not closed, or was signed already.")
    if step is Step.COUNTERSIGN and actor == now.closed_by:
        raise ReviewError("The second signature is another person's: you closed this alert yourself.")
    if step is Step.REOPEN and now.is_open and now.state != "awaiting_signature":
        raise ReviewError("The alert is open.")
    closed = not now.is_open or now.state == "awaiting_signature"
    if closed and step in {Step.ASSIGN, Step.EXPLAIN, Step.ACT, Step.SNOOZE, Step.CLOSE}:
        raise ReviewError("The alert is closed. Reopen it first: what was signed stays.")


def _digest(alert_id: int | None, step: str, value: Mapping[str, Any], text: str, actor: str) -> str:
    return sha256(json.dumps([alert_id, step, value, text, actor], sort_keys=True).encode()).hexdigest()


def _review(row: Row[Any]) -> Review:
    fields = dict(row._mapping)
    return Review(**fields | {"step": Step(fields["step"])})
