from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from insights import devices
from insights.devices import Clock, doubtful_devices, moved

DAY = date(2026, 3, 1)


def clocks(frame: pl.DataFrame) -> list[Clock]:
    return devices.clocks(frame, 120)


def compared(offsets: list[float], device: str = "ct1", applied: dict[int, float] | None = None) -> pl.DataFrame:
    given = applied or {}
    return pl.DataFrame(
        {
            "device_id": [device] * len(offsets),
            "local_day": [DAY + timedelta(days=index) for index in range(len(offsets))],
            "offset_s": offsets,
            "applied_s": [given.get(index) for index in range(len(offsets))],
            "rule": ["whole_hours" if index in given else None for index in range(len(offsets))],
        },
        schema={
            "device_id": pl.Utf8,
            "local_day": pl.Date,
            "offset_s": pl.Float64,
            "applied_s": pl.Float64,
            "rule": pl.Utf8,
        },
    )


def test_a_clock_that_jumped_is_off_since_that_day() -> None:
    rng = random.Random(3)
    offsets = [rng.gauss(0, 40) for _ in range(60)] + [3600 + rng.gauss(0, 40) for _ in range(20)]
    found = clocks(compared(offsets))[0]
    assert found.since == DAY + timedelta(days=60)
    assert abs(found.now_s - 3600) < 60
    assert found.is_open
    assert found.left_s == found.now_s


def test_a_clock_that_was_put_right_is_not_off_and_keeps_its_corrected_days() -> None:
    found = clocks(compared([0.0] * 10 + [3600.0] * 10 + [5.0] * 10, applied=dict.fromkeys(range(10, 20), 3600.0)))[0]
    assert not found.is_off
    assert (len(found.corrected), found.corrected[0]) == (10, DAY + timedelta(days=10))


def test_one_odd_day_is_noise() -> None:
    assert not clocks(compared([10.0] * 30 + [900.0]))[0].is_off
    assert not clocks(compared([10.0] * 20 + [150.0, 10.0, 150.0, 10.0, 150.0, 10.0, 150.0]))[0].is_off


def test_a_slow_drift_is_off_from_where_it_passed_two_minutes() -> None:
    found = clocks(compared([float(2 * index) for index in range(120)]))[0]
    assert found.since is not None
    assert abs((found.since - DAY).days - 60) <= 2


def test_the_least_corrected_clock_comes_first() -> None:
    corrected = compared([3600.0] * 10, "ct2", dict.fromkeys(range(10), 3600.0))
    assert [one.device_id for one in clocks(pl.concat([corrected, compared([300.0] * 10)]))] == ["ct1", "ct2"]
    assert clocks(compared([])) == []


def version(key: int, serial: str | None, station: str | None, **more: Any) -> dict[str, Any]:
    return {"device_key": key, "device_id": f"d{key}", "site_key": 1, "serial": serial, "station": station} | more


def test_one_machine_under_two_names_and_one_name_of_two_are_candidates() -> None:
    rows = [
        version(1, "A7", "CT1"), version(2, "a7 ", "CT1-ER"), version(3, "B1", "MR1"), version(4, "B2", "mr1"),
        version(5, "0", "XR1"), version(6, "0", "XR2"), version(7, None, "US1"), version(8, "C", None),
        version(9, "B9", "MR1", site_key=2),
    ]  # fmt: skip
    found = [(one.kind, one.what, one.device_keys) for one in doubtful_devices(pl.DataFrame(rows))]
    assert found == [
        ("same serial at two stations", "A7", (1, 2)),
        ("same station with two serials", "MR1", (3, 4)),
    ]


def test_stations_that_come_and_go_are_told_with_their_day() -> None:
    def seen(device: str, first: date, last: date) -> dict[str, Any]:
        at = [datetime(day.year, day.month, day.day, 9, tzinfo=UTC) for day in (first, last)]
        return {"device_id": device, "valid_from": at[0], "last_seen": at[1]}

    end = date(2026, 6, 30)
    rows = [
        seen("always", date(2026, 1, 1), end),
        seen("new", date(2026, 5, 3), end),
        seen("gone", date(2026, 1, 1), date(2026, 6, 1)),
        seen("upgraded", date(2026, 1, 1), date(2026, 5, 1)),
        seen("upgraded", date(2026, 5, 1), end),
        seen("quiet", date(2026, 1, 1), date(2026, 6, 20)),
    ]
    found = moved(pl.DataFrame(rows), date(2026, 4, 1), end, date(2026, 1, 1))
    assert [(one.device_id, one.what, one.at.date()) for one in found] == [
        ("gone", "vanished", date(2026, 6, 1)),
        ("new", "appeared", date(2026, 5, 3)),
    ]
