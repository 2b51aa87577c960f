"""Measures of scanner time, on two hand-made days whose minutes are added up in the comments."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.warehouse.small_star import MONDAY, TUESDAY, exam, span, split, star_of
from warehouse.engines import Star
from warehouse.filters import LISTS, Filters
from warehouse.measures import BREAKDOWNS, CATALOGUE, evaluate, number
from warehouse.measures.utilization import MEASURES
from warehouse.scope import EVERYTHING, Scope

WEEK = Filters(MONDAY, MONDAY + timedelta(days=6))
COMING = MONDAY + timedelta(days=4)


def _use(device: str, day: date, starts: str, ends: str, scanning: float, exams: int, **more: Any) -> dict[str, Any]:
    return span(device, day, starts, ends, "in_use", scanning_minutes=scanning, exams=exams, **more)


def _idle(device: str, day: date, starts: str, ends: str, cause: str | None, *, bookable: bool) -> dict[str, Any]:
    return span(device, day, starts, ends, "idle", cause, is_bookable=bookable)


SPANS = [
    # CT 1 on Monday: staffed 600 = 60 planned down + 540 available; of these 355 used (215 acquisition), 60 unplanned down,
    # 35 turnover, 90 idle (60 bookable, 30 in slivers). 11 exams. From 17:00: 60 available, 20 idle. Then 25 of overrun.
    _idle("ct1", MONDAY, "08:00", "08:10", "late_start", bookable=False),
    _use("ct1", MONDAY, "08:10", "09:00", 30, 2, overlap_minutes=5.0),
    span("ct1", MONDAY, "09:00", "09:20", "turnover"),
    _use("ct1", MONDAY, "09:20", "12:00", 100, 4),
    span("ct1", MONDAY, "12:00", "13:00", "planned_down"),
    span("ct1", MONDAY, "13:00", "14:00", "unplanned_down"),
    _idle("ct1", MONDAY, "14:00", "14:20", "no_show", bookable=True),
    _idle("ct1", MONDAY, "14:20", "15:00", "unfilled", bookable=True),
    _use("ct1", MONDAY, "15:00", "16:45", 60, 3),
    span("ct1", MONDAY, "16:45", "17:00", "turnover"),
    _use("ct1", MONDAY, "17:00", "17:30", 20, 1),
    _idle("ct1", MONDAY, "17:30", "17:50", "early_end", bookable=False),
    _use("ct1", MONDAY, "17:50", "18:00", 5, 1),
    _use("ct1", MONDAY, "18:00", "18:25", 20, 0, is_staffed=False),
    # CT 1 on Tuesday: 10 hours without a break, 20 exams, and a closed evening.
    _use("ct1", TUESDAY, "08:00", "18:00", 400, 20),
    span("ct1", TUESDAY, "18:00", "24:00", "closed", is_staffed=False),
    # MR 1 is staffed around the clock and not used on Monday.
    _idle("mr1", MONDAY, "00:00", "24:00", "unfilled", bookable=True),
    # Friday is still to come.
    _idle("ct1", COMING, "08:00", "18:00", None, bookable=True),
]  # fmt: skip

CT1_MONDAY = Filters(MONDAY, MONDAY, device=("ct1",))


@pytest.fixture
def star(tmp_path: Path) -> Star:
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    # Procedure 1 takes 20 min in the room, procedure 2 takes 40: expected over all four, 30.
    exams = [
        exam(1, "ct1", noon, 20, procedure_key=1, slot_minutes=30.0),
        exam(2, "ct1", noon, 40, procedure_key=2, slot_minutes=30.0),
        exam(3, "ct1", noon + timedelta(days=1), 40, procedure_key=2, slot_minutes=45.0),
        exam(4, "ct1", noon + timedelta(days=1), 20, procedure_key=1),
        exam(5, "ct1", noon, 300, procedure_key=1, sharers=2, slot_minutes=20.0, is_performed=False),
    ]
    return star_of(tmp_path, fact_device_span=SPANS, fact_exam=exams)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("room_utilization", 100 * 355 / 540),
        ("scanner_utilization", 100 * 215 / 540),
        ("staffed_hours", 10),
        ("available_hours", 9),
        ("planned_downtime_hours", 1),
        ("unplanned_downtime_hours", 1),
        ("idle_hours", 1.5),
        ("bookable_idle_hours", 1),
        ("sliver_idle_hours", 0.5),
        ("evening_idle_share", 100 * 20 / 60),
        ("lost_minutes", 10 + 35 + 60 + 20 + 40 + 20),
        ("overlap_minutes", 5),
        ("turnover_minutes_p50", 17.5),
        ("turnover_minutes_p90", 19.5),
        ("first_case_on_time_share", 0),
        ("first_case_late_minutes_p50", 10),
        ("overrun_minutes_p50", 25),
        ("throughput", 11 / 9),
    ],
)
def test_a_day_of_one_scanner_by_hand(star: Star, name: str, expected: float) -> None:
    assert number(star, name, CT1_MONDAY, EVERYTHING)[0] == pytest.approx(expected)


def test_the_week_leaves_out_what_is_still_to_come(star: Star) -> None:
    """CT 1: 955 of 1140 minutes; MR 1: 0 of 1440. 70 hours would be staffed with Friday; 20 + 24 have passed."""
    assert number(star, "room_utilization", WEEK, EVERYTHING) == (pytest.approx(100 * 955 / 2580), 31)
    assert number(star, "staffed_hours", WEEK, EVERYTHING) == (44, 3)
    assert number(star, "first_case_on_time_share", WEEK, EVERYTHING) == (50, 2)  # MR 1 does not open in the day
    assert number(star, "overrun_minutes_p50", WEEK, EVERYTHING) == (12.5, 2)


def test_hours_of_the_day_add_up_to_the_day(star: Star) -> None:
    by_hour = evaluate(star, "available_hours", CT1_MONDAY, EVERYTHING, ("hour",))
    assert by_hour["hour"].to_list() == [8, 9, 10, 11, 13, 14, 15, 16, 17]
    assert by_hour["value"].sum() == pytest.approx(9)
    used = dict(
        evaluate(star, "room_utilization", CT1_MONDAY, EVERYTHING, ("hour",)).select("hour", "value").iter_rows()
    )
    assert used[8] == pytest.approx(100 * 50 / 60)
    assert used[16] == pytest.approx(100 * 45 / 60)
    assert used[12] is None  # down as planned
    exams = dict(evaluate(star, "throughput", CT1_MONDAY, EVERYTHING, ("hour",)).select("hour", "n").iter_rows())
    assert (exams[9], exams[10], exams[15]) == (4, 0, 3)  # an exam counts where its stretch begins


def test_lost_time_by_cause(star: Star) -> None:
    found = dict(
        evaluate(star, "lost_minutes", CT1_MONDAY, EVERYTHING, ("cause",)).select("cause", "value").iter_rows()
    )
    assert found == {
        "late_start": 10,
        "turnover": 35,
        "unplanned_down": 60,
        "no_show": 20,
        "unfilled": 40,
        "early_end": 20,
    }


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("device", {"ct1": 1140, "mr1": 1440}),
        ("site", {"NORTH": 1140, "WEST": 1440}),
        ("modality", {"CT": 1140, "MR": 1440}),
        ("weekday", {1: 1980, 2: 600}),
        ("day", {MONDAY: 1980, TUESDAY: 600}),
        ("week", {MONDAY: 2580}),
        ("month", {MONDAY.replace(day=1): 2580}),
    ],
)
def test_breakdowns(star: Star, way: str, expected: dict[Any, float]) -> None:
    found = evaluate(star, "available_hours", WEEK, EVERYTHING, (way,))
    assert {row[way]: pytest.approx(row["value"] * 60) for row in found.iter_rows(named=True)} == expected


def test_mix_adjusted_throughput_by_hand(star: Star) -> None:
    """Over everything asked for it is the plain figure; a part is weighed by the length that its procedures usually take.

    Monday: exams of 20 and 40 expected minutes, 30 on average, as on Tuesday: the factor is 1. With the day's exam of procedure
    1 left out, Monday expects 40 against (40 + 40 + 20) / 3 over both days.
    """
    both = Filters(MONDAY, TUESDAY, device=("ct1",))
    plain = dict(evaluate(star, "throughput", both, EVERYTHING, ("day",)).select("day", "value").iter_rows())
    adjusted = dict(
        evaluate(star, "throughput_mix_adjusted", both, EVERYTHING, ("day",)).select("day", "value").iter_rows()
    )
    assert adjusted == pytest.approx(plain)
    assert number(star, "throughput_mix_adjusted", both, EVERYTHING)[0] == pytest.approx(31 / 19)


def test_mix_adjusted_throughput_favours_the_longer_mix(tmp_path: Path) -> None:
    """Two scanners, two hours and four exams each; CT 1 does procedure 1 (20 min) alone, CT 2 procedure 2 (60 min) alone.

    Expected length over both is 40 min: 2 an hour become 2 × 20/40 = 1 and 2 × 60/40 = 3.
    """
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    star = star_of(
        tmp_path,
        fact_device_span=[_use(name, MONDAY, "08:00", "10:00", 60, 4) for name in ("ct1", "ct2")],
        fact_exam=[
            exam(n, "ct1" if n < 4 else "ct2", noon, 20 if n < 4 else 60, procedure_key=1 if n < 4 else 2)
            for n in range(8)
        ],
    )
    found = evaluate(star, "throughput_mix_adjusted", WEEK, EVERYTHING, ("device",))
    assert found.select("device", "value", "n").rows() == [("ct1", pytest.approx(1), 4), ("ct2", pytest.approx(3), 4)]


def test_booked_against_used_minutes(star: Star) -> None:
    """Room minutes 20, 40, 40, 20; booked 30, 30, 45 for the first three: one of three overruns."""
    assert number(star, "slot_overrun_share", WEEK, EVERYTHING) == (pytest.approx(100 / 3), 3)
    assert number(star, "slot_minutes_p50", WEEK, EVERYTHING) == (30, 3)
    assert number(star, "room_minutes_p50", WEEK, EVERYTHING) == (30, 4)
    by = evaluate(star, "room_minutes_p90", WEEK, EVERYTHING, ("procedure",))
    assert by.select("procedure", "value").rows() == [(1, 20), (2, 40)]


def test_filters_that_scanner_time_cannot_follow_are_told_and_left_out(star: Star) -> None:
    narrowed = CT1_MONDAY.narrowed(patient_class=("ED",), priority=("stat",), procedure=("1",))
    assert number(star, "staffed_hours", narrowed, EVERYTHING)[0] == 10
    assert narrowed.scanner_time_note == (
        "Scanner time is not narrowed by patient class, priority and procedure: idle time belongs to no exam."
    )
    assert CT1_MONDAY.narrowed(site=("NORTH",), modality=("CT",)).scanner_time_note == ""
    assert set(LISTS) == {"site", "modality", "device", "patient_class", "priority", "section", "procedure", "protocol"}


@pytest.mark.parametrize(
    ("scope", "hours"),
    [
        (Scope(), 44),
        (Scope(sites=frozenset({"WEST"})), 24),
        (Scope(sites=frozenset()), None),
        (Scope(departments=frozenset({"Oncology"})), None),  # scanner time has no department: none of it is shown
    ],
)
def test_scopes(star: Star, scope: Scope, hours: float | None) -> None:
    value = number(star, "staffed_hours", WEEK, scope)[0]
    assert value == hours or (hours is None and not value)


def test_small_counts_are_withheld_of_exams_and_not_of_days(star: Star) -> None:
    few = Scope(small_count=12)
    assert evaluate(star, "room_utilization", CT1_MONDAY, few)["withheld"].to_list() == [True]
    assert evaluate(star, "staffed_hours", CT1_MONDAY, few)["withheld"].to_list() == [False]


@pytest.mark.parametrize("measure", MEASURES, ids=lambda each: each.name)
def test_every_measure_is_split_by_place_and_time_and_says_what_it_cannot(star: Star, measure: Any) -> None:
    found = {way: split(star, measure.name, WEEK, way) for way in BREAKDOWNS}
    assert {way for way, answer in found.items() if answer is not None} >= {
        "device",
        "site",
        "modality",
        "weekday",
        "week",
        "month",
        "day",
    }
    for way, answer in found.items():
        if answer is not None:
            assert answer.columns[:3] == [way, "value", "n"]
            assert not answer[way].is_duplicated().any()


def test_names_that_pages_rely_on() -> None:
    assert {"scanner_utilization", "exam_minutes_p50", "evening_exams", "no_show_share"} <= set(CATALOGUE)
