"""How long patients, referrers and reports wait."""

from __future__ import annotations

from sqlalchemy import and_, func

from warehouse.measures.measure import Measure, minutes_between, over_exams, percentile, share
from warehouse.schema import fact_exam

_exam = fact_exam.c

_REPORT = minutes_between(_exam.ended_at, _exam.final_at)
_READ = and_(_exam.final_at >= _exam.ended_at, _exam.ended_confidence != "coarse", _exam.final_confidence != "coarse")
_ORDER = minutes_between(_exam.ordered_at, _exam.started_at)
_ORDERED = and_(
    _exam.started_at >= _exam.ordered_at, _exam.ordered_confidence != "coarse", _exam.started_confidence != "coarse"
)
_TOTAL = minutes_between(_exam.ordered_at, _exam.final_at)
_WAIT = minutes_between(_exam.arrived_at, _exam.started_at)
_WAITED = and_(
    _exam.started_at >= _exam.arrived_at, _exam.arrived_confidence != "coarse", _exam.started_confidence != "coarse"
)

_EXCLUDED = "Exams not reported yet, times known to the day only, and intervals that run backwards; addenda and corrections never restart the clock."
_REPORT_SOURCES = "Exam end: ORC-5 CM, MPPS end, last acquisition. Report: first OBR-25 F, OBR-22."

UNREAD = and_(_exam.ended_at.is_not(None), _exam.final_at.is_(None), _exam.state != "discontinued", _exam.has_order)
"""Completed and not reported: what waits for a reader. Images without an order wait for their order first."""

MEASURES = (
    Measure(
        "report_minutes_p50",
        "Report turnaround, median",
        "min",
        "down",
        "Median minutes from the end of the exam to its first final report, by the day of the exam.",
        _REPORT_SOURCES,
        _EXCLUDED,
        over_exams(percentile(0.5, _REPORT), _READ),
        minimum_n=20,
        permission="view_turnaround",
        notes="Exams still unread are missing, so the newest days look better than they will.",
    ),
    Measure(
        "report_minutes_p90",
        "Report turnaround, 9 of 10 exams",
        "min",
        "down",
        "90th percentile of the minutes from the end of the exam to its first final report.",
        _REPORT_SOURCES,
        _EXCLUDED,
        over_exams(percentile(0.9, _REPORT), _READ),
        minimum_n=20,
        permission="view_turnaround",
        notes="Exams still unread are missing, so the newest days look better than they will.",
    ),
    Measure(
        "order_to_start_minutes_p50",
        "Order to exam, median",
        "min",
        "down",
        "Median minutes from the order to the start of the exam.",
        "Order: ORC-9, ORC-15, MSH-7 of ORC-1 NW. Start: MPPS, first acquisition, ORC-5 IP.",
        "Exams without an order time; times known to the day only; intervals that run backwards.",
        over_exams(percentile(0.5, _ORDER), _ORDERED),
        minimum_n=20,
        permission="view_turnaround",
    ),
    Measure(
        "order_to_report_minutes_p50",
        "Order to report, median",
        "min",
        "down",
        "Median minutes from the order to the first final report: the referrer's view.",
        "ORC-9, ORC-15, MSH-7; OBR-22 with OBR-25 F.",
        _EXCLUDED,
        over_exams(
            percentile(0.5, _TOTAL), and_(_exam.final_at >= _exam.ordered_at, _exam.ordered_confidence != "coarse")
        ),
        minimum_n=20,
        permission="view_turnaround",
    ),
    Measure(
        "order_to_report_minutes_p90",
        "Order to report, 9 of 10 exams",
        "min",
        "down",
        "90th percentile of the minutes from the order to the first final report.",
        "ORC-9, ORC-15, MSH-7; OBR-22 with OBR-25 F.",
        _EXCLUDED,
        over_exams(
            percentile(0.9, _TOTAL), and_(_exam.final_at >= _exam.ordered_at, _exam.ordered_confidence != "coarse")
        ),
        minimum_n=20,
        permission="view_turnaround",
    ),
    Measure(
        "arrival_wait_minutes_p50",
        "Wait after arrival, median",
        "min",
        "down",
        "Median minutes from arrival in imaging to the start of the exam.",
        "Arrival: SIU^S14 arrived, RIS status. Start: MPPS, first acquisition, ORC-5 IP.",
        "Exams without an arrival; intervals that run backwards.",
        over_exams(percentile(0.5, _WAIT), _WAITED),
        minimum_n=20,
        permission="view_turnaround",
    ),
    Measure(
        "report_within_day_share",
        "Reported within 24 hours",
        "%",
        "up",
        "Exams with a first final report within 24 hours of their end, divided by all completed exams.",
        _REPORT_SOURCES,
        "Exams without an end; times known to the day only.",
        over_exams(
            share(and_(_exam.final_at.is_not(None), _REPORT <= 1440)),
            and_(_exam.ended_at.is_not(None), _exam.ended_confidence != "coarse"),
        ),
        minimum_n=20,
        decimals=1,
        permission="view_turnaround",
    ),
    Measure(
        "unread",
        "Completed, not reported yet",
        "",
        "down",
        "Exams that are completed and have no final report.",
        _REPORT_SOURCES,
        "Discontinued exams; exams without an order, which no report can reach and which have a measure of their own.",
        over_exams(func.count(), UNREAD),
        additive=True,
        permission="view_turnaround",
    ),
)
