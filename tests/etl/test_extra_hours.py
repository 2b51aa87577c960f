"""Staffed hours that people entered come on top of what holds on that day, and change no other day."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from tests.etl.device_day_cases import DAY, entry, hours, settings_of, spans

MONDAY = DAY - timedelta(days=DAY.weekday())
WEEK = (MONDAY, MONDAY + timedelta(days=6))
WORKDAYS = ("mon", "tue", "wed", "thu", "fri")
SATURDAY = MONDAY + timedelta(days=5)


def week(*entries: dict[str, object], configured: bool = True) -> list[float]:
    """Staffed hours of the seven days, a device having 08:00 to 18:00 from Monday to Friday in the configuration."""
    settings = settings_of(*((hours(days=WORKDAYS),) if configured else ()), infer_hours=False)
    found = spans([], [], list(entries), settings=settings, days=WEEK)
    days = {
        day: minutes / 60
        for day, minutes in found.filter("is_staffed").group_by("local_day").agg(pl.col("minutes").sum()).iter_rows()
    }
    return [days.get(MONDAY + timedelta(days=index), 0.0) for index in range(7)]


def extra(starts: str, ends: str, day: object = SATURDAY, **more: object) -> dict[str, object]:
    return entry("staffed", starts, ends, day, calendar="decision 7", **more)  # type: ignore[arg-type]


def test_an_extra_saturday_leaves_the_other_days_as_they_were() -> None:
    assert week() == [10, 10, 10, 10, 10, 0, 0]
    assert week(extra("08:00", "12:00")) == [10, 10, 10, 10, 10, 4, 0]


def test_hours_that_are_staffed_anyway_count_once() -> None:
    assert week(extra("16:00", "20:00", MONDAY)) == [12, 10, 10, 10, 10, 0, 0]


def test_extra_hours_come_on_top_of_a_calendar_too() -> None:
    ruling = [entry("staffed", "09:00", "15:00", MONDAY + timedelta(days=index)) for index in range(3)]
    assert week(*ruling) == [6, 6, 6, 0, 0, 0, 0]
    assert week(*ruling, extra("08:00", "12:00")) == [6, 6, 6, 0, 0, 4, 0]


@pytest.mark.parametrize("where", [{"device": "d1"}, {"modality": "CT"}, {}])
def test_they_may_speak_of_a_device_a_modality_or_a_site(where: dict[str, str]) -> None:
    assert week(extra("08:00", "12:00", **where)) == [10, 10, 10, 10, 10, 4, 0]


def test_a_device_without_any_hours_has_those_alone() -> None:
    assert week(extra("08:00", "12:00"), configured=False) == [0, 0, 0, 0, 0, 4, 0]
