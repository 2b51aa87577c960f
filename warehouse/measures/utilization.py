"""How well scanners, rooms and their staffed hours are used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal_column, select, true

from warehouse.filters import Filters
from warehouse.measures.measure import Measure, broken_down, minutes_between, over_exams, percentile, share
from warehouse.measures.scanner_time import (
    MINUTES_PER_HOUR,
    Columns,
    OfSpans,
    available,
    exams_in,
    idle,
    over_gaps,
    over_room_days,
    over_spans,
    percent,
    room_days,
    staffed,
    stretches,
    total,
    used,
)
from warehouse.schema import fact_exam
from warehouse.scope import Scope

EVENING_MINUTE = 1020
"""17:00, from when on staffed time counts as the evening."""

_exam = fact_exam.c
_ROOM = minutes_between(_exam.room_started_at, _exam.room_ended_at)
_ALONE = and_(_exam.is_performed, _ROOM > 0, func.coalesce(_exam.sharers, 1) == 1)
_SLOTTED = and_(_ALONE, _exam.slot_minutes > 0)

_TIME_SOURCES = (
    "Staffed hours, closures and downtime: calendars, else the configuration, else inferred from when the scanner was used. "
    "Use: patient in and out of the room where stated, else acquisition times and the configured patient change (a model)."
)
_AVAILABLE = "staffed minutes less closures and planned downtime; unplanned downtime stays in"
_UNSTAFFED = (
    "Time outside staffed hours; staffed time still to come; scanners without staffed hours; phantom and service exams."
)


def _hours(where: OfSpans) -> OfSpans:
    return lambda span: total(span.minutes, where(span)) / MINUTES_PER_HOUR


def _staffed_hours(span: Columns) -> ColumnElement[Any]:
    return total(span.minutes, staffed(span)) / MINUTES_PER_HOUR


def _evening(span: Columns) -> ColumnElement[Any]:
    """Minutes of a stretch from 17:00 on."""
    opens = func.greatest(span.start_minute, literal_column(f"{EVENING_MINUTE}.0"))
    late: ColumnElement[Any] = (span.end_minute - opens) / (span.end_minute - span.start_minute)
    minutes: ColumnElement[Any] = span.minutes * func.greatest(literal_column("0.0"), late)
    return minutes


def _throughput(span: Columns) -> ColumnElement[Any]:
    return exams_in(span) / func.nullif(total(span.minutes, available(span)) / MINUTES_PER_HOUR, literal_column("0.0"))


def _mix_adjusted(filters: Filters, scope: Scope, by: Sequence[str]) -> Select[Any]:
    """Throughput of each group times how much longer its mix of procedures takes than that of everything asked for."""
    kept = and_(filters.clauses(fact_exam, scope), _exam.is_performed)
    usual = (
        select(_exam.procedure_key, _exam.modality, percentile(0.5, _ROOM).label("minutes"))
        .where(kept, _ALONE)
        .group_by(_exam.procedure_key, _exam.modality)
        .cte("usual")
    )
    expected = fact_exam.join(
        usual, and_(usual.c.procedure_key == _exam.procedure_key, usual.c.modality == _exam.modality)
    )
    columns, source = broken_down(fact_exam, expected, by)
    mix = (
        select(*columns, func.avg(usual.c.minutes).label("minutes"))
        .select_from(source)
        .where(kept)
        .group_by(*columns)
        .cte("mix")
    )
    whole = select(func.avg(usual.c.minutes)).select_from(expected).where(kept).scalar_subquery()
    spans = stretches(filters, scope, by)
    span_columns, span_source = broken_down(spans, spans, by)
    done = (
        select(*span_columns, _throughput(spans.c).label("rate"), exams_in(spans.c).label("n"))
        .select_from(span_source)
        .group_by(*span_columns)
        .cte("done")
    )
    same = and_(true(), *(done.c[name].is_not_distinct_from(mix.c[name]) for name in by))
    shown = [done.c[name] for name in by]
    value = done.c.rate * mix.c.minutes / func.nullif(whole, literal_column("0.0"))
    return select(*shown, value.label("value"), done.c.n).select_from(done.join(mix, same)).order_by(*shown)


def _opens_in_the_day(day: Columns) -> ColumnElement[bool]:
    return and_(day.opens_minute > 0, day.used_minutes > 0)


def _closes_in_the_day(day: Columns) -> ColumnElement[bool]:
    return and_(day.closes_minute < 1440, day.used_minutes + day.overrun_minutes > 0)


_UTILIZATION = (
    Measure(
        "room_utilization",
        "Room utilization",
        "%",
        "neither",
        f"Minutes in which the room was taken inside staffed hours, divided by its available minutes: {_AVAILABLE}. "
        "Several exams of one acquisition, and exams that overlap, take the room once.",
        _TIME_SOURCES,
        _UNSTAFFED,
        over_spans(
            lambda s: percent(total(s.minutes, used(s)), total(s.minutes, available(s))),
            exams_in,
            staffed_hours=_staffed_hours,
        ),
        minimum_n=20,
        decimals=1,
    ),
    Measure(
        "scanner_utilization",
        "Scanner utilization",
        "%",
        "neither",
        f"Minutes of acquisition inside staffed hours, divided by the scanner's available minutes: {_AVAILABLE}. "
        "Several exams of one acquisition, and exams that overlap, count once.",
        "First and last acquisition of image headers and steps (MPPS); staffed hours as for room utilization.",
        f"{_UNSTAFFED} Patient change, positioning and preparation.",
        over_spans(
            lambda s: percent(total(s.scanning_minutes, used(s)), total(s.minutes, available(s))),
            exams_in,
            staffed_hours=_staffed_hours,
        ),
        minimum_n=20,
        version=2,
        notes="Pauses between the series of an exam belong to it.",
    ),
    Measure(
        "throughput",
        "Exams per staffed hour",
        "/h",
        "neither",
        "Exams that began in staffed hours, divided by the available hours.",
        _TIME_SOURCES,
        _UNSTAFFED,
        over_spans(_throughput, exams_in),
        minimum_n=20,
        decimals=2,
    ),
    Measure(
        "throughput_mix_adjusted",
        "Exams per staffed hour, adjusted for mix",
        "/h",
        "neither",
        "Exams per staffed hour, times the expected length of the group's exams over that of all exams asked for. An exam is "
        "expected to take the median room time of its procedure.",
        _TIME_SOURCES,
        f"{_UNSTAFFED} Procedures of which no exam had a room to itself.",
        _mix_adjusted,
        minimum_n=20,
        decimals=2,
        notes="Over everything that was asked for it equals the exams per staffed hour; it serves to compare parts.",
    ),
)

_HOURS = (
    Measure(
        "staffed_hours",
        "Staffed hours",
        "h",
        "neither",
        "Hours in which the scanner was staffed, planned downtime included.",
        _TIME_SOURCES,
        "Closures; staffed time still to come.",
        over_spans(_staffed_hours, room_days, staffed),
        additive=True,
        counts_patients=False,
        notes="In a period that reaches into the future, planned downtime still to come counts.",
    ),
    Measure(
        "available_hours",
        "Available hours",
        "h",
        "neither",
        f"Hours in which the scanner could have been used: {_AVAILABLE}.",
        _TIME_SOURCES,
        _UNSTAFFED,
        over_spans(_hours(available), room_days, available),
        additive=True,
        counts_patients=False,
    ),
    Measure(
        "planned_downtime_hours",
        "Planned downtime",
        "h",
        "down",
        "Staffed hours in which a calendar has maintenance, quality control or other planned downtime, and no exam took place.",
        "Calendars of kind planned_down.",
        "Downtime outside staffed hours.",
        over_spans(_hours(lambda s: and_(s.is_staffed, s.kind == "planned_down")), room_days, staffed),
        decimals=1,
        additive=True,
        counts_patients=False,
        notes="In a period that reaches into the future, planned downtime still to come counts.",
    ),
    Measure(
        "unplanned_downtime_hours",
        "Unplanned downtime",
        "h",
        "down",
        "Staffed hours in which a calendar has a recorded breakdown, and no exam took place.",
        "Calendars of kind unplanned_down.",
        "Breakdowns that nobody recorded; downtime outside staffed hours.",
        over_spans(_hours(lambda s: and_(available(s), s.kind == "unplanned_down")), room_days, staffed),
        decimals=1,
        additive=True,
        counts_patients=False,
    ),
    Measure(
        "idle_hours",
        "Idle staffed hours",
        "h",
        "down",
        "Staffed hours with nobody in the room, neither in turnover nor down.",
        _TIME_SOURCES,
        _UNSTAFFED,
        over_spans(_hours(idle), room_days, available),
        decimals=1,
        additive=True,
        counts_patients=False,
    ),
    Measure(
        "bookable_idle_hours",
        "Idle hours long enough to book",
        "h",
        "down",
        "Idle staffed hours in stretches of at least the configured bookable_minutes.",
        _TIME_SOURCES,
        _UNSTAFFED,
        over_spans(_hours(lambda s: and_(idle(s), s.is_bookable)), room_days, available),
        decimals=1,
        additive=True,
        counts_patients=False,
    ),
    Measure(
        "sliver_idle_hours",
        "Idle hours in slivers",
        "h",
        "down",
        "Idle staffed hours in stretches shorter than the configured bookable_minutes.",
        _TIME_SOURCES,
        _UNSTAFFED,
        over_spans(_hours(lambda s: and_(idle(s), ~s.is_bookable)), room_days, available),
        decimals=1,
        additive=True,
        counts_patients=False,
    ),
    Measure(
        "evening_idle_share",
        "Idle staffed time from 17:00",
        "%",
        "down",
        "Idle minutes from 17:00 local time, divided by the available minutes from 17:00.",
        _TIME_SOURCES,
        _UNSTAFFED,
        over_spans(
            lambda s: percent(total(_evening(s), idle(s)), total(_evening(s), available(s))),
            room_days,
            lambda s: and_(available(s), s.end_minute > EVENING_MINUTE),
        ),
        minimum_n=5,
        decimals=1,
        counts_patients=False,
    ),
    Measure(
        "lost_minutes",
        "Lost staffed minutes",
        "min",
        "down",
        "Available minutes in which the room was not taken, each with one cause: late start, turnover, no-show, late "
        "cancellation, early end, unplanned downtime or unfilled.",
        f"{_TIME_SOURCES} Missed slots: appointments and how they ended.",
        _UNSTAFFED,
        over_spans(
            lambda s: total(s.minutes, s.cause.is_not(None)),
            room_days,
            lambda s: and_(available(s), s.cause.is_not(None)),
        ),
        additive=True,
        counts_patients=False,
        notes="Split it by cause.",
    ),
    Measure(
        "overlap_minutes",
        "Minutes claimed twice",
        "min",
        "down",
        "Minutes in which two separate acquisitions claim the room at the same time.",
        _TIME_SOURCES,
        "Exams that share one acquisition.",
        over_spans(
            lambda s: func.coalesce(func.sum(s.overlap_minutes), literal_column("0.0")),
            lambda s: func.coalesce(func.sum(s.exams), 0),
            lambda s: s.kind == "in_use",
        ),
        additive=True,
        notes="Overlap comes from a patient change modelled too long, rooms with two places, and wrong clocks.",
    ),
)


def _turnover_minutes(name: str, title: str, of: float, words: str) -> Measure:
    return Measure(
        name,
        title,
        "min",
        "down",
        f"{words} of the minutes between one patient's leaving the room and the next one's entering it, where both are in "
        "staffed hours and the gap is at most the configured turnover_minutes.",
        _TIME_SOURCES,
        "Longer gaps, which are idle time; gaps over midnight; the time of missed slots in a gap.",
        over_gaps(lambda gap: percentile(of, gap.gap_minutes)),
        minimum_n=20,
        decimals=1,
        notes="Where room times are modelled, the configured patient change is part of the exam and not of the gap.",
    )


def _overrun_minutes(name: str, title: str, of: float, words: str) -> Measure:
    return Measure(
        name,
        title,
        "min",
        "down",
        f"{words}, over days of rooms, of the minutes in which the room was taken after its last staffed minute of the day.",
        _TIME_SOURCES,
        "Rooms staffed to midnight; days without use; exams that begin after midnight.",
        over_room_days(lambda d: percentile(of, d.overrun_minutes), _closes_in_the_day),
        minimum_n=20,
        counts_patients=False,
    )


_DAY_SHAPE = (
    _turnover_minutes("turnover_minutes_p50", "Turnover, median", 0.5, "Median"),
    _turnover_minutes("turnover_minutes_p90", "Turnover, 9 of 10 gaps", 0.9, "90th percentile"),
    Measure(
        "first_case_on_time_share",
        "First case on time",
        "%",
        "up",
        "Days of rooms on which no staffed time was lost to a late start, divided by all on which an exam took place in staffed "
        "hours. A start is late where it is more than the configured grace after the first slot whose patient came, or after "
        "opening where nothing was booked.",
        f"{_TIME_SOURCES} Appointments.",
        "Rooms staffed at midnight, which have no first case; days without an exam in staffed hours.",
        over_room_days(lambda d: share(d.late_minutes == 0), _opens_in_the_day),
        minimum_n=20,
        decimals=1,
        counts_patients=False,
    ),
    Measure(
        "first_case_late_minutes_p50",
        "Late first case, median",
        "min",
        "down",
        "Median, over days of rooms with a late start, of the staffed minutes lost to it.",
        f"{_TIME_SOURCES} Appointments.",
        "Days that began on time; time of missed slots.",
        over_room_days(
            lambda d: percentile(0.5, d.late_minutes), lambda d: and_(_opens_in_the_day(d), d.late_minutes > 0)
        ),
        minimum_n=20,
        counts_patients=False,
    ),
    _overrun_minutes("overrun_minutes_p50", "Overrun, median", 0.5, "Median"),
    _overrun_minutes("overrun_minutes_p90", "Overrun, 9 of 10 days", 0.9, "90th percentile"),
)

_EXAMS = (
    Measure(
        "exam_minutes_p50",
        "Scanner minutes per exam, median",
        "min",
        "neither",
        "Median of the minutes from first to last acquisition, pauses over 30 minutes left out.",
        "Acquisition times of ORIGINAL image headers.",
        "Reprocessed and secondary series; exams without acquisition times.",
        over_exams(percentile(0.5, _exam.machine_minutes), and_(_exam.machine_minutes > 0)),
        minimum_n=20,
        decimals=1,
    ),
    Measure(
        "exam_minutes_p90",
        "Scanner minutes per exam, 9 of 10 exams",
        "min",
        "neither",
        "90th percentile of the minutes from first to last acquisition, pauses over 30 minutes left out.",
        "Acquisition times of ORIGINAL image headers.",
        "Reprocessed and secondary series; exams without acquisition times.",
        over_exams(percentile(0.9, _exam.machine_minutes), and_(_exam.machine_minutes > 0)),
        minimum_n=20,
        decimals=1,
    ),
    Measure(
        "room_minutes_p50",
        "Room minutes per exam, median",
        "min",
        "neither",
        "Median of the minutes for which an exam takes the room.",
        _TIME_SOURCES,
        "Exams that share an acquisition with others; exams without room times.",
        over_exams(percentile(0.5, _ROOM), _ALONE),
        minimum_n=20,
        decimals=1,
    ),
    Measure(
        "room_minutes_p90",
        "Slot length that nine of ten exams keep",
        "min",
        "neither",
        "90th percentile of the minutes for which an exam takes the room: booked so long, one exam in ten overruns.",
        _TIME_SOURCES,
        "Exams that share an acquisition with others; exams without room times.",
        over_exams(percentile(0.9, _ROOM), _ALONE),
        minimum_n=20,
        decimals=1,
        notes="Split it by procedure.",
    ),
    Measure(
        "slot_minutes_p50",
        "Booked minutes per exam, median",
        "min",
        "neither",
        "Median booked length of exams that took place.",
        "SCH-9, AIS-7, Appointment.minutesDuration; extract.",
        "Exams without a booked length; exams that share an acquisition with others.",
        over_exams(percentile(0.5, _exam.slot_minutes), _SLOTTED),
        minimum_n=20,
    ),
    Measure(
        "slot_overrun_share",
        "Exams longer than their slot",
        "%",
        "down",
        "Exams that took the room for longer than was booked, divided by all exams with a booked length and room times.",
        f"{_TIME_SOURCES} Booked length: SCH-9, AIS-7, Appointment.minutesDuration.",
        "Exams without a booked length; exams that share an acquisition with others.",
        over_exams(share(_exam.slot_minutes < _ROOM), _SLOTTED),
        minimum_n=20,
        decimals=1,
    ),
    Measure(
        "evening_exams",
        "Exams from 17:00",
        "",
        "neither",
        "Exams that started at 17:00 or later, local time.",
        "Start of the exam.",
        "Exams without a start time.",
        over_exams(func.count(), and_(_exam.is_performed, _exam.time_key >= 17)),
        additive=True,
    ),
)

MEASURES = (*_UTILIZATION, *_HOURS, *_DAY_SHAPE, *_EXAMS)
