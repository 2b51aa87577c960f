"""What became of booked slots, and how long people wait for one.

A slot is *due* when it still stood shortly before its time: it was kept, missed, cancelled late or broken off. What was
moved or cancelled in good time could be given to somebody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, literal_column, select, union_all

from warehouse.filters import Filters
from warehouse.measures.measure import Measure, broken_down, minutes_between, over, percentile, share
from warehouse.measures.scanner_time import available, percent, stretches, total
from warehouse.schema import dim_device, fact_appointment
from warehouse.scope import Scope

DUE = ("kept", "no_show", "late_cancelled", "broken_off")
"""Outcomes of slots that stood until shortly before their time."""
FREED = ("moved", "cancelled", "late_cancelled")
"""Outcomes that left the slot free before its time."""

_slot = fact_appointment.c
_other = fact_appointment.alias("other").c
_own_version, _other_version = dim_device.alias("own_version").c, dim_device.alias("other_version").c
_DUE = _slot.outcome.in_(DUE)
_PAST = _slot.outcome != "open"

_REFILLED = exists().where(
    # A scanner is one device over all its versions.
    _own_version.device_key == _slot.device_key,
    _other_version.device_id == _own_version.device_id,
    _other.device_key == _other_version.device_key,
    _other.local_day == _slot.local_day,
    _other.exam_key != _slot.exam_key,
    _other.outcome.in_((*DUE, "open")),
    _other.booked_at >= _slot.ended_at,
    minutes_between(_slot.slot_at, _other.slot_at) < _slot.slot_minutes,
    minutes_between(_other.slot_at, _slot.slot_at) < _other.slot_minutes,
)
"""Another exam was booked into the slot's time on its device after it fell free."""

_SOURCES = "SIU^S12 to S26, ORC-5, worklist, FHIR Appointment, extract; late is less than the configured hours before the slot."
_OPEN = "Slots still to come, or of which nothing tells how they ended; phantom and service exams."


def _slot_fill(filters: Filters, scope: Scope, by: Sequence[str]) -> Select[Any]:
    """Booked minutes of due slots over available minutes, each from its own fact."""
    spans = stretches(filters, scope, by)
    span_columns, span_source = broken_down(spans, spans, by)
    slot_columns, slot_source = broken_down(fact_appointment, fact_appointment, by)
    none: ColumnElement[Any] = literal_column("0.0")
    offered = select(
        *span_columns,
        total(spans.c.minutes, available(spans.c)).label("offered"),
        none.label("booked"),
        literal_column("0").label("slots"),
    )
    counted = and_(filters.clauses(fact_appointment, scope), _DUE, _slot.slot_minutes > 0, _slot.device_key != 0)
    booked = select(
        *slot_columns, none.label("offered"), func.sum(_slot.slot_minutes).label("booked"), func.count().label("slots")
    )
    both = union_all(
        offered.select_from(span_source).group_by(*span_columns),
        booked.select_from(slot_source).where(counted).group_by(*slot_columns),
    ).subquery("both")
    shown = [both.c[name] for name in by]
    value = percent(func.sum(both.c.booked), func.sum(both.c.offered))
    return (
        select(*shown, value.label("value"), func.coalesce(func.sum(both.c.slots), 0).label("n"))
        .group_by(*shown)
        .order_by(*shown)
    )


MEASURES = (
    Measure(
        "slots",
        "Booked slots",
        "",
        "neither",
        "Slots that were booked, by the day of the slot; a moved appointment has several.",
        _SOURCES,
        "Phantom and service exams.",
        over(fact_appointment, func.count()),
        additive=True,
        notes="Split it by outcome.",
    ),
    Measure(
        "no_show_share",
        "No-shows",
        "%",
        "down",
        "Slots whose patient did not come, divided by all slots due that day.",
        _SOURCES,
        f"Slots moved or cancelled in good time. {_OPEN}",
        over(fact_appointment, share(_slot.outcome == "no_show"), _DUE),
        minimum_n=20,
        decimals=1,
        version=2,
    ),
    Measure(
        "late_cancel_share",
        "Late cancellations",
        "%",
        "down",
        "Slots cancelled late, divided by all slots due that day.",
        _SOURCES,
        f"Slots moved or cancelled in good time. {_OPEN}",
        over(fact_appointment, share(_slot.outcome == "late_cancelled"), _DUE),
        minimum_n=20,
        decimals=1,
    ),
    Measure(
        "cancel_share",
        "Cancelled slots",
        "%",
        "down",
        "Slots cancelled, in good time or late, divided by all slots of the day that were not moved.",
        _SOURCES,
        f"Moved slots. {_OPEN}",
        over(
            fact_appointment,
            share(_slot.outcome.in_(("cancelled", "late_cancelled"))),
            and_(_PAST, _slot.outcome != "moved"),
        ),
        minimum_n=20,
        decimals=1,
    ),
    Measure(
        "move_share",
        "Moved slots",
        "%",
        "down",
        "Slots given up because the appointment was moved, divided by all slots of the day.",
        _SOURCES,
        _OPEN,
        over(fact_appointment, share(_slot.outcome == "moved"), _PAST),
        minimum_n=20,
        decimals=1,
    ),
    Measure(
        "backfill_share",
        "Freed slots used again",
        "%",
        "up",
        "Slots moved or cancelled into whose time on the same device another patient was booked, divided by all slots moved or cancelled.",
        _SOURCES,
        f"Missed slots, which fall free only when it is too late; slots without a length, a device or a time at which they fell free. {_OPEN}",
        over(
            fact_appointment,
            share(_REFILLED),
            and_(_slot.outcome.in_(FREED), _slot.slot_minutes > 0, _slot.device_key != 0, _slot.ended_at.is_not(None)),
        ),
        minimum_n=20,
        decimals=1,
    ),
    Measure(
        "lead_days_p50",
        "Days from booking to slot, median",
        "days",
        "down",
        "Median days from the booking to the slot, of slots due that day.",
        _SOURCES,
        f"Slots moved or cancelled in good time; slots whose booking is not known. {_OPEN}",
        over(fact_appointment, percentile(0.5, _slot.lead_days), and_(_DUE, _slot.lead_days.is_not(None))),
        minimum_n=20,
        decimals=1,
        notes="By the day of the slot: what was waited, not what is waited for now (third next available).",
    ),
    Measure(
        "arrival_late_minutes_p50",
        "Arrival after the slot, median",
        "min",
        "down",
        "Median minutes from the beginning of a kept slot to the patient's arrival; negative is early.",
        _SOURCES,
        "Slots that were not kept; patients without an arrival.",
        over(fact_appointment, percentile(0.5, _slot.arrived_late_minutes), _slot.arrived_late_minutes.is_not(None)),
        minimum_n=20,
    ),
    Measure(
        "start_late_minutes_p50",
        "Start after the slot, median",
        "min",
        "down",
        "Median minutes from the beginning of a kept slot to the start of its exam; negative is early.",
        _SOURCES,
        "Slots that were not kept; exams without a start.",
        over(fact_appointment, percentile(0.5, _slot.started_late_minutes), _slot.started_late_minutes.is_not(None)),
        minimum_n=20,
    ),
    Measure(
        "slot_fill_share",
        "Booked share of available time",
        "%",
        "up",
        "Booked minutes of slots due that day, divided by available minutes: staffed minutes less closures and planned downtime.",
        f"{_SOURCES} Staffed hours as for room utilization.",
        f"Slots without a length or device; slots moved or cancelled in good time. {_OPEN}",
        _slot_fill,
        minimum_n=20,
        decimals=1,
        notes="Over 100 % where slots overlap or lie outside staffed hours: overbooking is not hidden.",
    ),
)
