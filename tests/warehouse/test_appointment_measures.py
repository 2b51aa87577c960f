"""Measures of booked slots and of open time ahead, on hand-made rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.warehouse.small_star import MONDAY, exam, slot, span, split, star_of
from warehouse.access import openings, third_next_available
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures import BREAKDOWNS, evaluate, number
from warehouse.measures.appointments import MEASURES
from warehouse.scope import EVERYTHING, Scope

WEEK = Filters(MONDAY, MONDAY + timedelta(days=6))
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
SUNDAY = NINE - timedelta(days=1)


def _half_hours(index: int) -> datetime:
    return NINE + timedelta(minutes=30 * index)


SLOTS = [
    # Six kept, one missed, one late, one broken off: nine due. Two cancelled, one moved, two open.
    *(
        slot(n, "ct1", _half_hours(n), "kept", lead_days=float(n), arrived_late_minutes=5.0 - n, started_late_minutes=1.0 * n)
        for n in range(6)
    ),
    slot(6, "ct1", _half_hours(6), "no_show", lead_days=20.0, priority="urgent", section="neuro"),
    slot(7, "ct1", _half_hours(7), "late_cancelled", ended_at=SUNDAY),
    slot(8, "mr1", _half_hours(8), "broken_off"),
    slot(9, "ct1", _half_hours(0), "cancelled", ended_at=SUNDAY - timedelta(days=20)),  # 0 was booked into it afterwards
    slot(10, "ct1", _half_hours(1), "cancelled", ended_at=SUNDAY),  # 1 had been booked before that
    slot(11, "mr1", _half_hours(3), "moved", ended_at=SUNDAY),
    slot(11, "mr1", _half_hours(4) + timedelta(days=40), "open", slot_number=2, month="2026-03"),
    slot(12, "ct1", _half_hours(30), "open"),
    slot(13, "ct1", _half_hours(2), "no_show", not_patient="qa*"),
]  # fmt: skip


@pytest.fixture
def star(tmp_path: Path) -> Star:
    staffed = [
        span("ct1", MONDAY, "08:00", "18:00", "idle", "unfilled", is_bookable=True),
        span("mr1", MONDAY, "09:00", "14:00", "idle", "unfilled", is_bookable=True),
    ]
    exams = [exam(n, "ct1", _half_hours(n), 20) for n in range(14)]
    return star_of(tmp_path, fact_appointment=SLOTS, fact_device_span=staffed, fact_exam=exams)


@pytest.mark.parametrize(
    ("name", "expected", "n"),
    [
        ("slots", 13, 13),  # of the week: the phantom's and the one 40 days on are not
        ("no_show_share", 100 / 9, 9),
        ("late_cancel_share", 100 / 9, 9),
        ("cancel_share", 100 * 3 / 11, 11),  # two in time and one late, of all that passed and were not moved
        ("move_share", 100 / 12, 12),
        ("backfill_share", 100 / 4, 4),  # of 7, 9, 10 and 11 only 9
        ("lead_days_p50", 3, 7),  # 0 1 2 3 4 5 20
        ("arrival_late_minutes_p50", 2.5, 6),
        ("start_late_minutes_p50", 2.5, 6),
        ("slot_fill_share", 100 * 9 * 30 / 900, 9),
    ],
)
def test_slots_by_hand(star: Star, name: str, expected: float, n: int) -> None:
    assert number(star, name, WEEK, EVERYTHING) == (pytest.approx(expected), n)


def test_slots_by_outcome(star: Star) -> None:
    found = dict(evaluate(star, "slots", WEEK, EVERYTHING, ("outcome",)).select("outcome", "value").iter_rows())
    assert found == {
        "kept": 6,
        "no_show": 1,
        "late_cancelled": 1,
        "broken_off": 1,
        "cancelled": 2,
        "moved": 1,
        "open": 1,
    }


def test_a_slot_counts_on_its_own_day_though_its_exam_lies_in_another_month(star: Star) -> None:
    april = Filters(MONDAY + timedelta(days=39), MONDAY + timedelta(days=41))
    assert number(star, "slots", april, EVERYTHING)[0] == 1


def test_fill_is_split_by_what_both_facts_know(star: Star) -> None:
    """CT 1: 8 due slots of 30 minutes in 600; MR 1: one in 300."""
    by = evaluate(star, "slot_fill_share", WEEK, EVERYTHING, ("device",))
    assert by.select("device", "value", "n").rows() == [("ct1", pytest.approx(40), 8), ("mr1", pytest.approx(10), 1)]
    hours = evaluate(star, "slot_fill_share", WEEK, EVERYTHING, ("site", "hour"))
    assert dict(hours.select("hour", "value").iter_rows())[9] is not None
    with pytest.raises(ValueError, match="cannot be split by priority"):
        evaluate(star, "slot_fill_share", WEEK, EVERYTHING, ("priority",))


@pytest.mark.parametrize(
    ("choice", "due"),
    [
        ({"priority": ("urgent",)}, 1),
        ({"section": ("neuro",)}, 1),
        ({"section": ("body",)}, 8),
        ({"modality": ("MR",)}, 1),
        ({"device": ("ct1",)}, 8),
        ({"site": ("WEST",)}, 1),
        ({"patient_class": ("IP",)}, 0),
    ],
)
def test_filters_of_slots(star: Star, choice: dict[str, tuple[str, ...]], due: int) -> None:
    assert number(star, "no_show_share", WEEK.narrowed(**choice), EVERYTHING)[1] == due


def test_section_narrows_and_splits_exams_too(star: Star) -> None:
    assert number(star, "exams", WEEK.narrowed(section=("body",)), EVERYTHING)[0] == 14
    assert evaluate(star, "exams", WEEK, EVERYTHING, ("section",))["section"].to_list() == ["body"]


def test_a_reader_of_one_department_sees_its_slots_alone(star: Star) -> None:
    assert number(star, "slots", WEEK, Scope(departments=frozenset({"Oncology"})))[0] == 13
    assert not number(star, "slots", WEEK, Scope(departments=frozenset({"Surgery"})))[0]
    assert not number(star, "slots", WEEK, Scope(sites=frozenset()))[0]


def test_an_unknown_split_of_exams_is_refused(star: Star) -> None:
    with pytest.raises(ValueError, match="cannot be split by cause"):
        evaluate(star, "exams", WEEK, EVERYTHING, ("cause",))


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
        "hour",
    }
    for way, answer in found.items():
        if answer is not None:
            assert answer.columns[:3] == [way, "value", "n"]
            assert not answer[way].is_duplicated().any()


# -- access ---------------------------------------------------------------------------------------------------------------

AS_OF = datetime(2026, 3, 3, 18, tzinfo=UTC)
NEXT = MONDAY + timedelta(days=2)


@pytest.fixture
def ahead(tmp_path: Path) -> Star:
    """CT slots usually take 30 minutes. Wednesday: 09:00–09:20 is too short, 10:00–11:10 holds two; Thursday holds two on CT 2."""
    coming = [
        span("ct1", MONDAY, "08:00", "18:00", "idle", "unfilled"),
        span("ct1", NEXT, "09:00", "09:20", "idle"),
        span("ct1", NEXT, "09:20", "10:00", "idle", exam_key=5),  # booked
        span("ct1", NEXT, "10:00", "11:10", "idle"),
        span("ct1", NEXT, "12:00", "13:00", "planned_down"),
        span("ct2", NEXT + timedelta(days=1), "08:00", "09:00", "idle"),
        span("mr1", NEXT, "08:00", "18:00", "idle"),
    ]
    slots = [
        slot(1, "ct1", NINE, "kept"),
        slot(2, "ct1", NINE, "kept", slot_minutes=20.0),
        slot(3, "ct1", NINE, "no_show", slot_minutes=45.0),
    ]
    return star_of(tmp_path, fact_device_span=coming, fact_appointment=slots, fact_exam=[exam(1, "ct1", NINE, 20)])


def test_openings_are_whole_slots_of_unbooked_staffed_time_to_come(ahead: Star) -> None:
    found = openings(ahead, WEEK, EVERYTHING, AS_OF)
    assert found.select("device", "starts_at", "slot_minutes").rows() == [
        ("ct1", datetime(2026, 3, 4, 10, 0, tzinfo=UTC), 30),
        ("ct1", datetime(2026, 3, 4, 10, 30, tzinfo=UTC), 30),
        ("ct2", datetime(2026, 3, 5, 8, 0, tzinfo=UTC), 30),
        ("ct2", datetime(2026, 3, 5, 8, 30, tzinfo=UTC), 30),
    ]  # nothing is known of MR slots


def test_the_third_opening_says_how_long_one_waits(ahead: Star) -> None:
    """Tuesday 18:00 to Thursday 08:00 is 38 hours; on CT 1 alone there are two openings only."""
    found = third_next_available(ahead, WEEK, EVERYTHING, AS_OF)
    assert found.select("modality", "days", "openings").rows() == [("CT", pytest.approx(38 / 24), 4)]
    by_device = third_next_available(ahead, WEEK, EVERYTHING, AS_OF, ("modality", "device"))
    assert by_device["days"].to_list() == [None, None]
    assert third_next_available(ahead, WEEK, Scope(departments=frozenset({"Oncology"})), AS_OF).is_empty()
