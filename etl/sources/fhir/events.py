"""Which element of a FHIR resource gives which time of an exam's life.

FHIR R4, status value sets of the resources. A status without a time of its own (an appointment's `arrived`) happened
when the resource was last changed, which is what `meta.lastUpdated` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from etl.sources.contract import Row
from etl.sources.fhir.context import ResourceContext

CHANGED = "meta.lastUpdated"
FINE = frozenset(("us", "s", "min"))
"""Precisions that may time an exam: a date alone must not become midnight."""

STATUSES: dict[str, frozenset[str]] = {
    "ServiceRequest": frozenset(
        ("draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown")
    ),
    "Appointment": frozenset(
        (
            "proposed", "pending", "booked", "arrived", "fulfilled", "cancelled", "noshow", "entered-in-error",
            "checked-in", "waitlist",
        )
    ),
    "ImagingStudy": frozenset(("registered", "available", "cancelled", "entered-in-error", "unknown")),
    "Procedure": frozenset(
        (
            "preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown",
        )
    ),
    "DiagnosticReport": frozenset(
        (
            "registered", "partial", "preliminary", "final", "amended", "corrected", "appended", "cancelled",
            "entered-in-error", "unknown",
        )
    ),
    "Encounter": frozenset(
        (
            "planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error",
            "unknown",
        )
    ),
    "ChargeItem": frozenset(
        ("planned", "billable", "not-billable", "aborted", "billed", "entered-in-error", "unknown")
    ),
    "Communication": frozenset(
        (
            "preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown",
        )
    ),
}  # fmt: skip
"""Value set of each resource's status."""


class Step(NamedTuple):
    """One time of an exam's life that a resource gives."""

    event: str
    paths: tuple[str, ...]
    """The first that has a usable time."""
    statuses: frozenset[str] | None = None
    """Statuses that tell of it; any where None."""
    is_fine: bool = False
    """Whether a date alone is too coarse."""
    instead: tuple[str, ...] = ()
    """Paths for an end whose own time is unknown: the time is marked as no finer than a day."""


def _steps(resource: str, *steps: Step) -> tuple[str, tuple[Step, ...]]:
    return resource, steps


def _of(*statuses: str) -> frozenset[str]:
    return frozenset(statuses)


_STANDING = STATUSES["Appointment"] - {"proposed", "waitlist", "entered-in-error"}

STEPS: dict[str, tuple[Step, ...]] = dict(
    (
        _steps(
            "ServiceRequest",
            Step("order_placed", ("authoredOn",), STATUSES["ServiceRequest"] - {"draft", "entered-in-error"}),
            Step("order_cancelled", (CHANGED,), _of("revoked", "entered-in-error"), instead=("authoredOn",)),
        ),
        _steps(
            "Appointment",
            Step("scheduling_done", ("created",), _STANDING),
            Step("exam_scheduled_for", ("start",), _STANDING),
            Step("patient_arrived", (CHANGED,), _of("arrived", "checked-in")),
            Step("patient_no_show", (CHANGED,), _of("noshow"), instead=("start",)),
            Step("order_cancelled", (CHANGED,), _of("cancelled", "entered-in-error"), instead=("created", "start")),
        ),
        _steps(
            "ImagingStudy",
            Step("exam_started", ("started", "series.started"), STATUSES["ImagingStudy"], is_fine=True),
            Step("images_stored", (CHANGED,), _of("available")),
            Step("exam_discontinued", (CHANGED,), _of("cancelled"), instead=("started",)),
        ),
        _steps(
            "Procedure",
            Step(
                "exam_started",
                ("performedPeriod.start", "performedDateTime"),
                _of("in-progress", "on-hold", "stopped", "completed", "unknown"),
                is_fine=True,
            ),
            Step("exam_completed", ("performedPeriod.end",), _of("completed"), is_fine=True),
            Step(
                "exam_discontinued",
                ("performedPeriod.end", CHANGED),
                _of("stopped", "not-done"),
                instead=("performedDateTime", "performedPeriod.start"),
            ),
        ),
        _steps(
            "DiagnosticReport",
            Step("report_dictated", ("issued", CHANGED), _of("partial")),
            Step("report_preliminary", ("issued", CHANGED), _of("preliminary")),
            Step("report_final", ("issued", CHANGED), _of("final")),
            Step("report_corrected", ("issued", CHANGED), _of("amended", "corrected")),
            Step("report_addendum", ("issued", CHANGED), _of("appended")),
            Step("order_cancelled", (CHANGED, "issued"), _of("cancelled"), instead=("effectiveDateTime",)),
        ),
        _steps(
            "ChargeItem",
            Step(
                "charge_posted",
                ("occurrenceDateTime", "occurrencePeriod.start", "occurrenceTiming.event", "enteredDate"),
            ),
        ),
        _steps("Communication", Step("result_communicated", ("sent",), _of("completed", "in-progress"))),
    )
)
"""Resource type to the times that it gives. `DiagnosticReport.effective[x]` is the exam's time and never the report's.
A report that is `cancelled` was never made (as OBR-25 X); one that is `entered-in-error` was withdrawn, which ends
neither the order nor the exam."""


def events(context: ResourceContext, status: str) -> list[Row]:
    """The times that the resource gives under its status, each with the path that it stands in."""
    found: list[Row] = []
    for step in STEPS[context.type]:
        if step.statuses is None or status in step.statuses:
            found += _event(context, step)
    return found


def _event(context: ResourceContext, step: Step) -> Iterator[Row]:
    path, moment = context.first_moment(*step.paths)
    precision = moment.precision if moment else ""
    if moment is None and step.instead:
        path, moment = context.first_moment(*step.instead)
        precision = "d"
        context.flags.append(
            f"{context.type}.{step.paths[0]}: missing, the day of {step.event} is that of another time"
        )
    if moment is None:
        context.flags.append(f"{context.type}.{step.paths[0]}: missing, so {step.event} has no time")
    elif step.is_fine and precision not in FINE:
        context.flags.append(f"{path}: a date alone, so {step.event} has no time")
    else:
        yield event(step.event, path, moment.at, precision)


def event(name: str, path: str, at: object, precision: str) -> Row:
    """An event as the landing row holds it."""
    return {"event": name, "at": at, "precision": precision, "field": path}
