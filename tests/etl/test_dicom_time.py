"""DICOM dates, times and offsets as files in the field write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.sources.dicom.time import clock_of, parse_date, parse_offset

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(("text", "expected"), [
    ("20260301", date(2026, 3, 1)), ("2026.03.01", date(2026, 3, 1)), ("2026-03-01", date(2026, 3, 1)),
    ("20260230", None), ("202603", None), ("", None), ("about", None), ("20260301x", None), ("00000000", None),
])  # fmt: skip
def test_dates(text: str, expected: date | None) -> None:
    assert parse_date(text) == expected


@pytest.mark.parametrize(("text", "minutes"), [
    ("+0100", 60), ("-0500", -300), ("UTC-04:00", -240), ("+05:30", 330), ("Z", None), ("+9900", None), ("Berlin", None),
])  # fmt: skip
def test_offsets(text: str, minutes: int | None) -> None:
    zone = parse_offset(text)
    assert (zone.utcoffset(None) if zone else None) == (None if minutes is None else timedelta(minutes=minutes))


@pytest.mark.parametrize(("text", "expected", "flagged"), [
    ("101530", "10:15:30", False),
    ("101530.25", "10:15:30.250000", False),
    ("10:15:30", "10:15:30", False),
    ("1015", "10:15:00", False),
    ("10", "10:00:00", False),
    ("235960", "00:00:00", False),
    ("250000", None, True),
    ("106000", None, True),
    ("noon", None, True),
    ("", None, False),
])  # fmt: skip
def test_times(text: str, expected: str | None, flagged: bool) -> None:
    flags: list[str] = []
    at = clock_of("", ZoneInfo("UTC"), NOW, flags).day_and_time("20260301", text, "(0008,0032)")
    assert (at.time().isoformat() if at else None) == expected
    assert flags == (["(0008,0032): bad-time"] if flagged else [])


@pytest.mark.parametrize(("text", "expected", "flag"), [
    ("20260301101530.5-0500", datetime(2026, 3, 1, 15, 15, 30, 500_000, UTC), None),
    ("2026030110", datetime(2026, 3, 1, 9, tzinfo=UTC), None),
    ("20260301", None, "bad-time"),
    ("2026", None, "bad-time"),
    ("20260230101500", None, "bad-time"),
    ("19000101101500", None, "implausible-time 1900-01-01"),
    ("21000101101500", None, "implausible-time 2100-01-01"),
    ("20260329023000", datetime(2026, 3, 29, 1, 30, tzinfo=UTC), "nonexistent-local-time"),
    ("20251026023000", datetime(2025, 10, 26, 0, 30, tzinfo=UTC), "ambiguous-local-time"),
])  # fmt: skip
def test_date_times_in_berlin(text: str, expected: datetime | None, flag: str | None) -> None:
    flags: list[str] = []
    assert clock_of("", ZoneInfo("Europe/Berlin"), NOW, flags).date_time(text, "DT") == expected
    assert flags == ([f"DT: {flag}"] if flag else [])


@given(st.text(max_size=30), st.text(max_size=20))
def test_any_text_is_a_time_or_none(day: str, time: str) -> None:
    clock = clock_of(time, ZoneInfo("Europe/Berlin"), NOW, [])
    for at in (clock.day_and_time(day, time, "x"), clock.date_time(day, "x")):
        assert at is None or at.tzinfo is UTC
