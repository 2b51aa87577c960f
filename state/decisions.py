"""What people decided about the data: dated, reasoned, reversible, and replayed whenever the star is built.

A decision is never changed: another one about the same subject takes its place, and revoking it makes what held before
hold again. `etl/star` reads those that stand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, Row, insert, select, update

from state.audit import AuditTrail, utc_now
from state.database import writing
from state.errors import StateError
from state.tables import decisions


class DecisionKind(StrEnum):
    """What can be decided."""

    MAP_PROCEDURE = "map_procedure"
    """Subject: procedure key. Value: `status` confirmed or rejected, and `code`, `scheme`, `name` of the standard procedure."""
    EXCLUDE_EXAM = "exclude_exam"
    """Subject: exam key. The exam enters no measure. Value: empty."""
    CLOCK_OFFSET = "clock_offset"
    """Subject: device id and first day. Value: `device_id`, `first_day`, `last_day` or null, `offset_s`."""
    UNDO_MERGE = "undo_merge"
    """Subject: pseudonym that a merge ended, and the survivor. Value: `merged`, `survivor`."""
    CALENDAR = "calendar"
    """Subject: site or device, kind and start. Value: `site`, `device`, `modality`, `kind`, `starts_local`, `ends_local`, `reason`."""
    MAP_PROTOCOL = "map_protocol"
    """Subject: protocol key. Value: `status` confirmed or rejected, and `code`, `scheme`, `name` of the standard exam."""
    EXPOSURE_CLASS = "exposure_class"
    """Subject: exam key. Value: `exposure_class`: patient, phantom or service."""
    DOSE_TABLE = "dose_table"
    """Subject: name of an imported table. Value: `kind` (`reference_levels` or `coefficients`), `rows`: a list of the
    table's rows as `warehouse/dosimetry/tables.py` reads them."""
    EXPECTED_RANGE = "expected_range"
    """Subject: protocol key, device id or empty, metric, joined by `|`. Value: `protocol_key`, `device_id`, `metric`, `low`, `high`."""
    VOLUME_PLAN = "volume_plan"
    """Subject: year. Value: `rows`: a list of the rows of a plan as `warehouse/volume_plan.py` reads them."""
    DOSE_RULE = "dose_rule"
    """Subject: rule id. Value: `active`, and what it overrides of the shipped rule; the star does not depend on it."""
    DOSE_PROJECT = "dose_project"
    """Subject: name of an optimisation project. Value: `protocol_key`, `device_id` or empty, `metric`, `baseline_from`,
    `changed_on`, `target`, `stop_rule`, `note`, `outcome`; the star does not depend on it."""


class DecisionError(StateError):
    """A decision that cannot be taken; the message says why."""


@dataclass(frozen=True)
class Decision:
    """One decision that stands, or stood."""

    id: int
    kind: DecisionKind
    subject: str
    value: dict[str, Any]
    reason: str
    decided_by: str
    decided_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True)
class Decisions:
    """The decisions of one database; every change is audited."""

    engine: Engine
    audit: AuditTrail
    clock: Callable[[], datetime] = utc_now

    def standing(self, *kinds: DecisionKind) -> list[Decision]:
        """The decision that holds for each subject, oldest first; of some kinds where named."""
        query = select(decisions).where(decisions.c.revoked_at.is_(None)).order_by(decisions.c.id)
        if kinds:
            query = query.where(decisions.c.kind.in_(kinds))
        with self.engine.connect() as connection:
            latest = {(row.kind, row.subject): _decision(row) for row in connection.execute(query)}
        return sorted(latest.values(), key=lambda one: one.id)

    def history(self, *kinds: DecisionKind, limit: int = 200) -> list[Decision]:
        """All decisions, revoked ones too, newest first."""
        query = select(decisions).order_by(decisions.c.id.desc()).limit(limit)
        if kinds:
            query = query.where(decisions.c.kind.in_(kinds))
        with self.engine.connect() as connection:
            return [_decision(row) for row in connection.execute(query)]

    def decide(self, actor: str, made: Sequence[tuple[DecisionKind, str, dict[str, Any]]], reason: str) -> list[int]:
        """Takes some decisions for one reason, all or none; their numbers.

        Raises:
            DecisionError: no reason is given, or a subject is empty.
            StoreBusyError: the database was busy; nothing was kept.
        """
        if not reason.strip():
            raise DecisionError("Give a reason: it is kept with the decision.")
        if any(not subject.strip() for _, subject, _ in made):
            raise DecisionError("A decision needs a subject.")
        now, numbers = self.clock(), []
        with writing(self.engine) as connection:
            for kind, subject, value in made:
                row = {
                    "kind": kind.value, "subject": subject, "value": value, "reason": reason.strip(), "decided_by": actor, "decided_at": now,
                }  # fmt: skip
                numbers.append(
                    int(connection.execute(insert(decisions).values(row).returning(decisions.c.id)).scalar_one())
                )
        for number, (kind, subject, value) in zip(numbers, made, strict=True):
            detail = {
                "number": number,
                "reason": reason.strip(),
                **{k: v for k, v in value.items() if not isinstance(v, dict)},
            }
            self.audit.append(actor, f"decide {kind.value}", subject, detail)
        return numbers

    def revoke(self, actor: str, number: int, reason: str) -> None:
        """Takes a decision back; what held before it holds again.

        Raises:
            DecisionError: there is no such decision, it is revoked already, or no reason is given.
        """
        if not reason.strip():
            raise DecisionError("Give a reason: it is kept with the decision.")
        with writing(self.engine) as connection:
            done = connection.execute(
                update(decisions)
                .where(decisions.c.id == number, decisions.c.revoked_at.is_(None))
                .values(revoked_by=actor, revoked_at=self.clock(), revoked_reason=reason.strip())
            )
            if done.rowcount == 0:
                raise DecisionError(f"There is no decision {number} that stands.")
        self.audit.append(actor, "revoke decision", str(number), {"reason": reason.strip()})


def _decision(row: Row[Any]) -> Decision:
    return Decision(
        row.id,
        DecisionKind(row.kind),
        row.subject,
        row.value,
        row.reason,
        row.decided_by,
        row.decided_at,
        row.revoked_at,
    )
