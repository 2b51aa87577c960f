"""How many reports keep their target: targets are agreements of a hospital and stand in its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Double, and_, case, cast, literal_column, null, true

from settings import Turnaround, TurnaroundTarget
from warehouse.measures.measure import Measure, minutes_between, over_exams, share
from warehouse.measures.survival import data_time
from warehouse.measures.turnaround import KNOWN, REPORT_MINUTES, REPORT_SOURCES, REPORTED, without_day_only
from warehouse.schema import fact_exam

_exam = fact_exam.c
Targets = Sequence[TurnaroundTarget]


def target_number(targets: Targets) -> ColumnElement[Any]:
    """Place in the list of the target that holds for an exam: the last that fits it; null where none does."""
    fits: list[tuple[ColumnElement[bool], ColumnElement[Any]]] = [
        (_fits(target), literal_column(str(number))) for number, target in enumerate(targets)
    ]
    return case(*reversed(fits), else_=null()) if fits else cast(null(), Double)


def target_minutes(targets: Targets) -> ColumnElement[Any]:
    """Minutes from the end of an exam in which its report is due; null where no target fits."""
    fits: list[tuple[ColumnElement[bool], ColumnElement[Any]]] = [
        (_fits(target), literal_column(repr(float(target.minutes)))) for target in targets
    ]
    return case(*reversed(fits), else_=null()) if fits else cast(null(), Double)


def decided(targets: Targets) -> ColumnElement[bool]:
    """Exams of which it is known whether they keep their target: it has passed by the end of the data.

    A newer exam is left out even where its report is there: of the newest only the quick ones are known.
    """
    due = minutes_between(_exam.ended_at, data_time()) >= target_minutes(targets)
    return and_(KNOWN, without_day_only("ended", "final"), due)


def kept(targets: Targets) -> ColumnElement[bool]:
    """Exams whose first final report came within their target."""
    return and_(REPORTED, target_minutes(targets) >= REPORT_MINUTES)


def within_target(targets: Targets) -> Measure:
    """The share of reports within their targets."""
    return Measure(
        "within_target_share",
        "Reported within target",
        "%",
        "up",
        "Exams with a first final report within the minutes of the target that holds for them, divided by all exams whose target has passed.",
        f"{REPORT_SOURCES} Targets: [[turnaround.targets]] of the configuration, by priority, class, modality and day.",
        "Exams whose target has not passed at the time of the data; exams for which there is no target; times known to the day only; intervals that run backwards.",
        over_exams(share(kept(targets)), decided(targets)),
        minimum_n=20,
        decimals=1,
        permission="view_turnaround",
        notes="Unread exams whose target has passed count as late. Targets are local agreements.",
    )


def _fits(target: TurnaroundTarget) -> ColumnElement[bool]:
    named = [
        _exam[column].in_(values)
        for column in ("priority", "patient_class", "modality")
        if (values := getattr(target, column))
    ]
    return and_(true(), _exam.local_day >= target.starts_on, *named)


MEASURES = (within_target(Turnaround().targets),)
