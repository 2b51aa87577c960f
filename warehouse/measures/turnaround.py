"""How long patients, referrers and reports wait.

Every interval is a row of `INTERVALS` and gives two measures, its median and its 90th percentile. Where an exam that
lacks the end of an interval is still waiting for it, both are read off the Kaplan–Meier curve, so that open exams do not
make the newest days look fast; elsewhere a missing end says nothing, and the exams that have both times count.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, literal_column, or_, select

from warehouse.measures.measure import Measure, Query, minutes_between, over_exams, percentile, share
from warehouse.measures.survival import Duration, data_time, kaplan_meier_quantile, minutes_waited
from warehouse.schema import fact_exam, fact_exam_event

_exam = fact_exam.c

DAY_MINUTES = 1440
MEAN_CAP_MINUTES = 3 * DAY_MINUTES
"""Waits count up to this in means, which few very long ones would rule otherwise."""

UNREAD = and_(
    _exam.ended_at.is_not(None),
    _exam.final_at.is_(None),
    _exam.state.not_in(("discontinued", "cancelled")),
    _exam.has_order,
)
"""Completed and not reported: what waits for a reader. Images without an order wait for their order first."""

_MILESTONES_OF = {"first_report": ("prelim", "final")}
_AFTER = {"read_started": ("read_started", "prelim", "final"), "first_report": ("prelim", "final"), "final": ("final",)}
"""What an exam lacks that still waits for a step of reading: the step and all that follow it."""


def time_of(step: str) -> ColumnElement[Any]:
    """When a milestone was, UTC; `first_report` is the earlier of the preliminary and the final report."""
    # LEAST passes over null in DuckDB and PostgreSQL alike: a report without a preliminary one is its own first.
    return func.least(_exam.prelim_at, _exam.final_at) if step == "first_report" else _exam[f"{step}_at"]


def without_day_only(*steps: str) -> ColumnElement[bool]:
    """Exams whose times of these steps, where there are any, are known better than to the day or hour."""
    names = [name for step in steps for name in _MILESTONES_OF.get(step, (step,))]
    return and_(*(_exam[f"{name}_confidence"].is_distinct_from("coarse") for name in names))


class Interval(NamedTuple):
    """One stretch of an exam's life between two milestones."""

    name: str
    title: str
    start: str
    end: str
    words: str
    """From what to what."""
    sources: str
    waits: bool = False
    """Whether an exam without the end is still waiting for it."""

    @property
    def minutes(self) -> ColumnElement[Any]:
        """Its length where both ends are known."""
        return minutes_between(time_of(self.start), time_of(self.end))

    @property
    def is_over(self) -> ColumnElement[bool]:
        """Both ends are known and in order."""
        return and_(time_of(self.end) >= time_of(self.start), without_day_only(self.start, self.end))

    @property
    def duration(self) -> Duration:
        """The interval with the exams that are still in it."""
        start = time_of(self.start)
        lacks = [_exam[f"{step}_at"].is_(None) for step in _AFTER[self.end]]
        is_open = and_(*lacks, start.is_not(None), without_day_only(self.start), _exam.has_order)
        broken_off = _exam.state.in_(("cancelled", "discontinued"))
        # A cancelled exam waited until it was cancelled; of a broken-off one it is not known how long anybody did.
        until = case((broken_off, func.coalesce(_exam.cancelled_at, start)), else_=data_time())
        minutes = case((time_of(self.end).is_not(None), self.minutes), else_=minutes_waited(start, until))
        where = and_(_exam.ended_at.is_not(None), or_(self.is_over, is_open))
        return Duration(minutes, time_of(self.end).is_not(None), where)


_ORDERED = "Order: ORC-9, ORC-15, MSH-7 of ORC-1 NW."
_BOOKED = "Booking: first SIU^S12, Appointment.created."
_DOOR = "Door: ADT^A04, A01; Encounter.period.start."
_STARTED = "Start: MPPS, first acquisition, ORC-5 IP."
_ENDED = "End: ORC-5 CM, MPPS end, last acquisition."
_OPENED = "Reading begun: RIS or reading system."
_PRELIM = "Preliminary: first OBR-25 P, OBR-22."
_FINAL = "Final: first OBR-25 F, OBR-22."
REPORT_SOURCES = f"{_ENDED} {_FINAL}"

INTERVALS = (
    Interval("order_to_booking", "Order to booking", "ordered", "booked", "the order to the first booking of an appointment", f"{_ORDERED} {_BOOKED}"),
    Interval("order_to_start", "Order to exam", "ordered", "started", "the order to the start of the exam", f"{_ORDERED} {_STARTED}"),
    Interval("booking_to_start", "Booking to exam", "booked", "started", "the first booking to the start of the exam", f"{_BOOKED} {_STARTED}"),
    Interval("door_to_start", "Door to exam", "door", "started", "the patient's arrival at the hospital's door to the start of the exam", f"{_DOOR} {_STARTED}"),
    Interval("door_to_first_report", "Door to first report", "door", "first_report", "the patient's arrival at the hospital's door to the first report, preliminary or final", f"{_DOOR} {_PRELIM} {_FINAL}", waits=True),
    Interval("arrival_wait", "Wait after arrival", "arrived", "started", "arrival in imaging to the start of the exam", f"Arrival: SIU^S14 arrived, RIS status. {_STARTED}"),
    Interval("start_to_end", "Exam from start to end", "started", "ended", "the start of the exam to its end", f"{_STARTED} {_ENDED}"),
    Interval("read_queue", "Wait for a reader", "ended", "read_started", "the end of the exam to the time when a reader opened it", f"{_ENDED} {_OPENED}", waits=True),
    Interval("read", "Reading", "read_started", "first_report", "the opening of the exam by a reader to the first report, preliminary or final", f"{_OPENED} {_PRELIM} {_FINAL}", waits=True),
    Interval("first_report", "First report of any kind", "ended", "first_report", "the end of the exam to the first report, preliminary or final", f"{_ENDED} {_PRELIM} {_FINAL}", waits=True),
    Interval("sign", "Preliminary to final report", "prelim", "final", "the first preliminary report to the first final report", f"{_PRELIM} {_FINAL}", waits=True),
    Interval("report", "Report turnaround", "ended", "final", "the end of the exam to its first final report", REPORT_SOURCES, waits=True),
    Interval("order_to_report", "Order to report", "ordered", "final", "the order to the first final report: the referrer's view", f"{_ORDERED} {_FINAL}", waits=True),
    Interval("communication", "Final report to communication", "final", "communicated", "the first final report to the time when a critical result was told to the referrer", f"{_FINAL} Communication.sent; extract."),
)  # fmt: skip
INTERVAL: dict[str, Interval] = {interval.name: interval for interval in INTERVALS}

_REPORT = INTERVAL["report"]
REPORT_MINUTES = _REPORT.minutes
REPORTED = _REPORT.is_over
KNOWN = or_(REPORTED, UNREAD)
"""Exams with a report, and those that wait for one."""

_QUANTILES = ((0.5, "p50", "median", "Median"), (0.9, "p90", "9 of 10 exams", "90th percentile of the"))
_OPEN = (
    "Exams that are not over count as waiting up to the time of the data (Kaplan–Meier); cancelled ones up to then. "
    "There is no value where too many are still open to tell."
)
_EXCLUDED = "Times known to the day only; intervals that run backwards."
_EXCLUDED_WAITING = (
    "Open exams without an order, which no report can reach; times known to the day only; intervals that run backwards. "
    "Addenda and corrections never restart the clock."
)


def _pair(interval: Interval) -> list[Measure]:
    return [
        Measure(
            f"{interval.name}_minutes_{suffix}",
            f"{interval.title}, {words}",
            "min",
            "down",
            f"{begins} minutes from {interval.words}, by the day of the exam.",
            interval.sources,
            _EXCLUDED_WAITING if interval.waits else f"Exams without both times. {_EXCLUDED}",
            _quantile(interval, at),
            minimum_n=20,
            version=2 if interval.name in {"report", "order_to_report"} else 1,
            permission="view_turnaround",
            notes=_OPEN if interval.waits else "",
        )
        for at, suffix, words, begins in _QUANTILES
    ]


def _quantile(interval: Interval, at: float) -> Query:
    if interval.waits:
        return kaplan_meier_quantile(at, interval.duration)
    return over_exams(percentile(at, interval.minutes), interval.is_over)


def _passed(minutes: float) -> ColumnElement[bool]:
    """Known exams that ended so long before the end of the data that it is known what had happened by then."""
    return and_(
        KNOWN, without_day_only("ended", "final"), minutes_between(_exam.ended_at, data_time()) >= _number(minutes)
    )


def _within(interval: Interval, minutes: float) -> ColumnElement[Any]:
    return share(and_(interval.is_over, interval.minutes <= _number(minutes)))


def _number(value: float) -> ColumnElement[Any]:
    return literal_column(repr(float(value)))


def _told_after(event: str, days: int | None = None) -> ColumnElement[bool]:
    """Whether such an event followed the first final report, within so many days where that is given."""
    step = fact_exam_event.c
    terms = [
        step.exam_key == _exam.exam_key,
        step.month == _exam.month,
        step.event == event,
        step.event_at >= _exam.final_at,
    ]
    if days is not None:
        terms.append(minutes_between(_exam.final_at, step.event_at) <= _number(days * DAY_MINUTES))
    return select(step.exam_key).where(*terms).correlate(fact_exam).exists()


def _settled(days: int) -> ColumnElement[bool]:
    since_final = minutes_between(_exam.final_at, data_time())
    return and_(_exam.final_at.is_not(None), since_final >= _number(days * DAY_MINUTES))


NIGHT = and_(_exam.time_key >= 0, _exam.time_key <= 6)
"""Exams that started from 0:00 to 6:59 on the site's clock: the shift `night` of `dim_time`."""
EMERGENCY_CT = and_(_exam.patient_class == "ED", _exam.modality == "CT")


def _at_night(interval: Interval, name: str, title: str) -> Measure:
    duration = interval.duration
    night = Duration(duration.minutes, duration.is_over, and_(duration.where, NIGHT))
    return Measure(
        name,
        title,
        "min",
        "down",
        f"Median minutes from {interval.words}, of exams that started from 0:00 to 6:59 local time.",
        interval.sources,
        _EXCLUDED_WAITING,
        kaplan_meier_quantile(0.5, night),
        minimum_n=20,
        permission="view_turnaround",
        notes=_OPEN,
    )


def _share(
    name: str, title: str, formula: str, sources: str, excluded: str, query: Query, direction: Any = "up", **more: Any
) -> Measure:
    return Measure(
        name, title, "%", direction, formula, sources, excluded, query,
        minimum_n=20, decimals=1, permission="view_turnaround", **more,
    )  # fmt: skip


_ADDENDUM = "Event report_addendum: a further OBR-25 F or A after the first final report, an amended DiagnosticReport."
_LATER = "Exams whose final report is younger than that at the time of the data; exams without a final report."

MEASURES = (
    *(measure for interval in INTERVALS for measure in _pair(interval)),
    Measure(
        "report_minutes_mean",
        "Report turnaround, mean up to 3 days",
        "min",
        "down",
        "Mean minutes from the end of the exam to its first final report, each counted up to 3 days; unread exams count 3 days.",
        REPORT_SOURCES,
        "Exams that ended less than 3 days before the end of the data; times known to the day only; intervals that run backwards.",
        over_exams(
            func.avg(
                case((REPORTED, func.least(REPORT_MINUTES, _number(MEAN_CAP_MINUTES))), else_=_number(MEAN_CAP_MINUTES))
            ),
            _passed(MEAN_CAP_MINUTES),
        ),
        minimum_n=20,
        permission="view_turnaround",
        notes="A mean adds up over parts, which a median does not: it serves to split a change into mix and speed.",
    ),
    _share(
        "report_within_day_share",
        "Reported within 24 hours",
        "Exams with a first final report within 24 hours of their end, divided by all exams that ended at least 24 hours before the end of the data.",
        REPORT_SOURCES,
        "Exams that ended in the last 24 hours of the data; times known to the day only; intervals that run backwards.",
        over_exams(_within(_REPORT, DAY_MINUTES), _passed(DAY_MINUTES)),
        version=2,
        notes="Unread exams older than 24 hours count as late.",
    ),
    Measure(
        "unread",
        "Completed, not reported yet",
        "",
        "down",
        "Exams that are completed and have no final report.",
        REPORT_SOURCES,
        "Discontinued and cancelled exams; exams without an order, which no report can reach and which have a measure of their own.",
        over_exams(func.count(), UNREAD),
        additive=True,
        version=2,
        permission="view_turnaround",
    ),
    _share(
        "ct_door_to_start_25_share",
        "Emergency CT within 25 minutes of the door",
        "Emergency CT exams that started within 25 minutes of the patient's arrival at the door, divided by those with both times.",
        f"{_DOOR} {_STARTED}",
        f"Exams without both times. {_EXCLUDED}",
        over_exams(_within(INTERVAL["door_to_start"], 25), and_(INTERVAL["door_to_start"].is_over, EMERGENCY_CT)),
        notes="25 min is what AHA (2010) asked for stroke. Nothing in the messages marks a stroke: choose its procedures to see them alone.",
    ),
    _share(
        "ct_door_to_report_45_share",
        "Emergency CT read within 45 minutes of the door",
        "Emergency CT exams with a report of any kind within 45 minutes of the patient's arrival at the door, divided by those with both times.",
        f"{_DOOR} {_PRELIM} {_FINAL}",
        f"Exams without both times. {_EXCLUDED}",
        over_exams(
            _within(INTERVAL["door_to_first_report"], 45), and_(INTERVAL["door_to_first_report"].is_over, EMERGENCY_CT)
        ),
        notes="45 min is what AHA (2010) asked for stroke. Nothing in the messages marks a stroke: choose its procedures to see them alone.",
    ),
    _share(
        "communication_60_share",
        "Critical results told within 60 minutes",
        "Exams whose result was told to the referrer within 60 minutes of the first final report, divided by all with a communication.",
        INTERVAL["communication"].sources,
        f"Exams without a communication: nothing says that they needed one. {_EXCLUDED}",
        over_exams(_within(INTERVAL["communication"], 60), INTERVAL["communication"].is_over),
    ),
    _at_night(INTERVAL["first_report"], "night_first_report_minutes_p50", "First report at night, median"),
    _at_night(_REPORT, "night_report_minutes_p50", "Final report of night exams, median"),
    *(
        _share(
            f"addendum_{days}d_share",
            f"Addendum within {days} days",
            f"Exams with an addendum within {days} days of the first final report, divided by all reported exams.",
            _ADDENDUM,
            _LATER,
            over_exams(share(_told_after("report_addendum", days)), _settled(days)),
            "neither",
        )
        for days in (7, 30)
    ),
    _share(
        "correction_30d_share",
        "Report corrected within 30 days",
        "Exams with a corrected report within 30 days of the first final report, divided by all reported exams.",
        "Event report_corrected: OBR-25 C.",
        _LATER,
        over_exams(share(_told_after("report_corrected", 30)), _settled(30)),
        "down",
    ),
    _share(
        "prelim_corrected_share",
        "Preliminary read, later corrected",
        "Exams with a preliminary report whose final report was corrected within 30 days, divided by all reported exams with a preliminary report.",
        "OBR-25 P, F, C.",
        f"{_LATER[:-1]}; exams without a preliminary report.",
        over_exams(share(_told_after("report_corrected", 30)), and_(_settled(30), _exam.prelim_at <= _exam.final_at)),
        "down",
        notes="Messages do not say whether the final text contradicts the preliminary one; a correction is the sign that they give.",
    ),
)
