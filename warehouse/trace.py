"""The story of one exam: each step of its life, the statement that gives its time, and the statements passed over."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from warehouse.engines import Star
from warehouse.filters import visible_exam
from warehouse.schema import fact_exam_event
from warehouse.scope import Scope

STEPS = {
    "order_placed": "Ordered",
    "scheduling_done": "Booked",
    "exam_scheduled_for": "Planned for",
    "emergency_arrival": "Came through the door",
    "patient_arrived": "Arrived in imaging",
    "patient_in_room": "In the room",
    "exam_started": "Exam started",
    "exam_completed": "Exam ended",
    "exam_discontinued": "Broken off",
    "patient_left_room": "Left the room",
    "images_stored": "Images stored",
    "read_started": "Reading began",
    "report_dictated": "Dictated",
    "report_preliminary": "Preliminary report",
    "report_final": "Final report",
    "report_corrected": "Corrected report",
    "report_addendum": "Addendum",
    "result_communicated": "Critical result told",
    "charge_posted": "Charged",
    "worklist_left": "Left the worklist",
    "cancel_requested": "Cancellation asked for",
    "cancel_refused": "Cancellation refused",
    "order_cancelled": "Cancelled",
    "patient_no_show": "Did not come",
}
"""Events in the order of an exam's life, in the words of the pages."""


@dataclass(frozen=True)
class Statement:
    """One time that one source gives for a step."""

    at: datetime
    is_chosen: bool
    precision: str
    source: str
    source_name: str | None
    file: str | None
    position: str | None
    field: str
    match_rule: str | None
    digest: str
    stated_at: datetime | None
    """When the source said it."""
    stated_event_at: datetime | None
    """The time as the scanner's clock stated it, where it was corrected."""
    passed_over: str | None
    """Why it counts for nothing, where that is more than another source being better."""


@dataclass(frozen=True)
class Step:
    """One step of an exam's life with all that is said of it, the chosen statement first."""

    event: str
    statements: tuple[Statement, ...]

    @property
    def name(self) -> str:
        """The step in words."""
        return STEPS.get(self.event, self.event.replace("_", " "))

    @property
    def chosen(self) -> Statement | None:
        """The statement that gives the step its time; None where none counts."""
        return next((one for one in self.statements if one.is_chosen), None)

    @property
    def at(self) -> datetime:
        """The time of the step, or of the first statement where none counts."""
        return (self.chosen or self.statements[0]).at

    @property
    def others(self) -> tuple[Statement, ...]:
        """The statements passed over."""
        return tuple(one for one in self.statements if not one.is_chosen)

    @property
    def spread(self) -> timedelta:
        """Between the earliest and the latest time that is said."""
        times = [one.at for one in self.statements]
        return max(times) - min(times)


def exam_trace(star: Star, exam_key: int, scope: Scope) -> list[Step]:
    """The steps of an exam in the order of their times; none where the scope does not open it."""
    event = fact_exam_event.c
    frame = star.frame(
        select(fact_exam_event)
        .where(event.exam_key.in_(visible_exam(exam_key, scope)))
        .order_by(event.event, event.is_chosen.desc(), event.event_at, event.digest, event.field)
    )
    by_event: dict[str, list[Statement]] = {}
    for row in frame.iter_rows(named=True):
        by_event.setdefault(row["event"], []).append(_statement(row))
    order = {name: place for place, name in enumerate(STEPS)}
    steps = [Step(name, tuple(said)) for name, said in by_event.items()]
    return sorted(steps, key=lambda step: (step.at, order.get(step.event, len(order))))


def _statement(row: dict[str, Any]) -> Statement:
    return Statement(at=row["event_at"], **{name: row[name] for name in _TAKEN})


_TAKEN = [field.name for field in fields(Statement) if field.name != "at"]
