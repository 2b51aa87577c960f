"""Calendars laid out in time; the hours in the tables are worked out by hand."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from etl.lake.schema import polars_schema
from etl.sources.calendars.reader import READER
from etl.sources.contract import Context, Input
from etl.star.calendar import SCHEMA, expand
from settings import Settings, Site
from state.identity import Pseudonymiser

SETTINGS = Settings(
    sites=(
        Site(code="NORTH", name="North", time_zone="Europe/Berlin"),
        Site(code="WEST", name="West", time_zone="America/New_York"),
    )
)


def row(starts: str, ends: str, rule: str | None = None, **more: Any) -> dict[str, Any]:
    """A landing row; times as `2026-03-02 08:00`."""
    return {
        "calendar": "rota",
        "site": "NORTH",
        "device": "CT1",
        "modality": "CT",
        "kind": "staffed",
        "starts_local": datetime.fromisoformat(starts),
        "ends_local": datetime.fromisoformat(ends),
        "time_zone": "Europe/Berlin",
        "rule": rule,
        "entry": "1",
        "cancelled": False,
        "input_digest": "a",
        "stated_at": datetime(2026, 1, 1, tzinfo=UTC),
        "received_at": datetime(2026, 1, 2, tzinfo=UTC),
        **more,
    }


def landing(*found: dict[str, Any]) -> pl.DataFrame:
    names = polars_schema("calendar")
    numbered = [{"digest": f"{number:032x}", **each} for number, each in enumerate(found)]
    return pl.DataFrame([{name: each.get(name) for name in names} for each in numbered], schema=names)


def laid_out(found: pl.DataFrame, first: str, last: str, zone: str = "UTC") -> list[str]:
    """Occurrences as `03-02 08:00/16:00` on the wall clock of a zone."""
    frame = expand(found, date.fromisoformat(first), date.fromisoformat(last), SETTINGS)
    assert frame.schema == SCHEMA
    return [
        f"{starts.astimezone(ZoneInfo(zone)):%m-%d %H:%M}/{ends.astimezone(ZoneInfo(zone)):%H:%M}"
        for starts, ends in frame.sort("starts_at").select("starts_at", "ends_at").iter_rows()
    ]


WEEKLY = "RRULE:FREQ=WEEKLY;BYDAY=MO"
UTC_HOURS = [
    # once; a day; the zone of the site where the row has none; New York is five hours behind in winter
    (row("2026-03-02 08:00", "2026-03-02 16:00"), ["03-02 07:00/15:00"]),
    (row("2026-03-02 00:00", "2026-03-03 00:00", time_zone=None), ["03-01 23:00/23:00"]),
    (row("2026-03-02 08:00", "2026-03-02 16:00", time_zone=None, site="WEST"), ["03-02 13:00/21:00"]),
    (row("2026-03-02 08:00", "2026-03-02 16:00", time_zone="UTC"), ["03-02 08:00/16:00"]),
    # summer time begins on 29 March 2026 in Berlin: Mondays at 08:00 are 07:00 UTC before and 06:00 UTC after
    (
        row("2026-03-16 08:00", "2026-03-16 16:00", f"{WEEKLY};COUNT=4"),
        ["03-16 07:00/15:00", "03-23 07:00/15:00", "03-30 06:00/14:00"],
    ),
    (
        row("2026-03-16 08:00", "2026-03-16 16:00", f"{WEEKLY}\nEXDATE:20260323T080000\nRDATE:20260318T090000"),
        ["03-16 07:00/15:00", "03-18 08:00/16:00", "03-30 06:00/14:00"],
    ),
    (row("2026-03-16 08:00", "2026-03-16 16:00", f"{WEEKLY};UNTIL=20260323T080000"), ["03-16 07:00/15:00", "03-23 07:00/15:00"]),
    # the night of the change: 22:00 to 06:00 on the wall clock is seven hours
    (row("2026-03-28 22:00", "2026-03-29 06:00"), ["03-28 21:00/04:00"]),
    (row("2026-03-02 08:00", "2026-03-02 16:00", cancelled=True), []),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "hours"), UTC_HOURS)
def test_hours_in_utc(entry: dict[str, Any], hours: list[str]) -> None:
    assert laid_out(landing(entry), "2026-03-01", "2026-03-31") == hours


def test_night_on_which_the_hour_comes_twice_is_longer() -> None:
    entry = row("2026-10-24 22:00", "2026-10-25 06:00")
    frame = expand(landing(entry), date(2026, 10, 24), date(2026, 10, 25), SETTINGS)
    assert (frame["ends_at"] - frame["starts_at"]).to_list() == [timedelta(hours=9)]


def test_window_is_of_local_days_and_keeps_what_touches_it() -> None:
    """02:30 on 3 March in Berlin is still 2 March in New York; a night shift belongs to both its days."""
    night = row("2026-03-02 22:00", "2026-03-03 06:00")
    assert laid_out(landing(night), "2026-03-03", "2026-03-03") == ["03-02 21:00/05:00"]
    assert laid_out(landing(night), "2026-03-02", "2026-03-02") == ["03-02 21:00/05:00"]
    assert laid_out(landing(night), "2026-03-04", "2026-03-09") == []
    early = row("2026-03-03 02:30", "2026-03-03 03:30")
    assert laid_out(landing({**early, "site": "WEST"}), "2026-03-02", "2026-03-02") == ["03-03 01:30/02:30"]
    assert laid_out(landing(early), "2026-03-02", "2026-03-02") == []


MASTER = row("2026-03-02 08:00", "2026-03-02 16:00", f"{WEEKLY};COUNT=5")
"""2, 9, 16, 23 and 30 March."""


def changed(entry: str, starts: str, ends: str, **more: Any) -> dict[str, Any]:
    return row(starts, ends, entry=f"1\n{entry}", **more)


@pytest.mark.parametrize(
    ("override", "hours"),
    [
        (
            changed("RECURRENCE-ID:20260309T070000Z", "2026-03-10 10:00", "2026-03-10 12:00"),
            ["03-02 08:00/16:00", "03-10 10:00/12:00", "03-16 08:00/16:00", "03-23 08:00/16:00", "03-30 08:00/16:00"],
        ),
        (
            changed("RECURRENCE-ID:20260309T070000Z", "2026-03-09 08:00", "2026-03-09 16:00", cancelled=True),
            ["03-02 08:00/16:00", "03-16 08:00/16:00", "03-23 08:00/16:00", "03-30 08:00/16:00"],
        ),
        (  # 30 March is in summer time: the same wall clock
            changed("RECURRENCE-ID;RANGE=THISANDFUTURE:20260316T070000Z", "2026-03-17 09:00", "2026-03-17 12:00"),
            ["03-02 08:00/16:00", "03-09 08:00/16:00", "03-17 09:00/12:00", "03-24 09:00/12:00", "03-31 09:00/12:00"],
        ),
        (
            changed("RECURRENCE-ID;RANGE=THISANDFUTURE:20260316T070000Z", "2026-03-16 08:00", "2026-03-16 16:00", cancelled=True),
            ["03-02 08:00/16:00", "03-09 08:00/16:00"],
        ),
    ],
)  # fmt: skip
def test_moved_and_cancelled_occurrences(override: dict[str, Any], hours: list[str]) -> None:
    assert laid_out(landing(MASTER, override), "2026-03-01", "2026-03-31", "Europe/Berlin") == hours
    assert laid_out(landing(override, MASTER), "2026-03-01", "2026-03-31", "Europe/Berlin") == hours


def test_newest_statement_replaces_the_older_whole() -> None:
    old = [MASTER, row("2026-03-03 08:00", "2026-03-03 16:00", entry="2")]
    later = {"input_digest": "b", "stated_at": datetime(2026, 2, 1, tzinfo=UTC)}
    new = row("2026-03-04 08:00", "2026-03-04 16:00", entry="3", **later)
    other = row("2026-03-05 08:00", "2026-03-05 16:00", calendar="other")
    for order in ([*old, new, other], [new, other, *old]):
        assert laid_out(landing(*order), "2026-03-01", "2026-03-31") == ["03-04 07:00/15:00", "03-05 07:00/15:00"]
    emptied = {
        **row("2026-03-04 08:00", "2026-03-04 16:00", cancelled=True, **later),
        "starts_local": None,
        "ends_local": None,
    }
    assert laid_out(landing(*old, emptied), "2026-03-01", "2026-03-31") == []


def test_of_two_made_at_the_same_time_the_one_received_later_holds() -> None:
    first = row("2026-03-03 08:00", "2026-03-03 16:00", input_digest="z")
    second = row("2026-03-04 08:00", "2026-03-04 16:00", received_at=datetime(2026, 1, 3, tzinfo=UTC))
    assert laid_out(landing(first, second), "2026-03-01", "2026-03-31") == ["03-04 07:00/15:00"]


def test_rule_that_explodes_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    hours = ",".join(map(str, range(24)))
    minutes = ",".join(map(str, range(60)))
    entry = row("2026-03-01 00:00", "2026-03-01 00:01", f"RRULE:FREQ=DAILY;BYHOUR={hours};BYMINUTE={minutes}")
    frame = expand(landing(entry), date(2026, 3, 1), date(2026, 3, 31), SETTINGS)
    assert 9_000 < frame.height <= 10_000
    assert "cut" in caplog.text


def test_rule_that_is_none_is_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    bad = [
        row("2026-03-02 08:00", "2026-03-02 16:00", rule, entry=str(number))
        for number, rule in enumerate(("RRULE:FREQ=SECONDLY", "RRULE:FREQ=DAILY;INTERVAL=0", "nonsense"))
    ]
    assert laid_out(
        landing(*bad, row("2026-03-03 08:00", "2026-03-03 16:00", entry="good")), "2026-03-01", "2026-03-31"
    ) == ["03-03 07:00/15:00"]
    assert "cannot be laid out" in caplog.text


def test_no_calendar_gives_no_hours() -> None:
    assert expand(landing(), date(2026, 3, 1), date(2026, 3, 31), SETTINGS).is_empty()


def test_entries_that_people_entered_without_digests_are_laid_out() -> None:
    found = landing(
        {
            **row("2026-03-03 08:00", "2026-03-03 16:00"),
            "input_digest": None,
            "received_at": None,
            "digest": None,
            "entry": None,
        }
    )
    assert laid_out(found, "2026-03-01", "2026-03-31") == ["03-03 07:00/15:00"]


@effort(max_examples=60, deadline=None)
@given(
    st.dates(date(2025, 1, 1), date(2027, 12, 31)),
    st.integers(0, 23),
    st.integers(1, 20),
    st.sampled_from(["DAILY", "WEEKLY"]),
    st.integers(1, 4),
    st.integers(1, 30),
)
def test_plain_rules_agree_with_counting_by_hand(
    day: date, hour: int, length: int, freq: str, interval: int, count: int
) -> None:
    """Every nth day or week on the wall clock, counted here without the library."""
    starts = datetime(day.year, day.month, day.day, hour)
    entry = row(
        f"{starts}", f"{starts + timedelta(hours=length)}", f"RRULE:FREQ={freq};INTERVAL={interval};COUNT={count}"
    )
    frame = expand(landing(entry), day - timedelta(days=1), day + timedelta(days=1000), SETTINGS)
    step = timedelta(days=interval * (7 if freq == "WEEKLY" else 1))
    zone = ZoneInfo("Europe/Berlin")
    expected = [((starts + step * n).replace(tzinfo=zone).astimezone(UTC)) for n in range(count)]
    assert frame.sort("starts_at")["starts_at"].to_list() == expected


def test_file_to_hours() -> None:
    """The whole way: CT staffed on weekdays, one Monday moved, a day off taken out."""
    text = b"""BEGIN:VCALENDAR
VERSION:2.0
X-WR-CALNAME:CT
BEGIN:VEVENT
UID:1
DTSTAMP:20260101T000000Z
DTSTART;TZID=Europe/Berlin:20260323T080000
DTEND;TZID=Europe/Berlin:20260323T180000
RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;UNTIL=20260331T215959Z
EXDATE;TZID=Europe/Berlin:20260327T080000
CATEGORIES:staffed
END:VEVENT
BEGIN:VEVENT
UID:1
DTSTAMP:20260101T000000Z
RECURRENCE-ID;TZID=Europe/Berlin:20260330T080000
DTSTART;TZID=Europe/Berlin:20260330T120000
DTEND;TZID=Europe/Berlin:20260330T180000
CATEGORIES:staffed
END:VEVENT
END:VCALENDAR
"""
    source = Input("ct.ics", len(text), lambda: io.BytesIO(text))
    (one,) = READER.read(source, Context(SETTINGS, Pseudonymiser(b"k" * 32), datetime(2026, 2, 1, tzinfo=UTC)))
    found = landing(*({**each, "input_digest": one.digest} for each in one.rows["calendar"]))
    assert laid_out(found, "2026-03-01", "2026-04-30", "Europe/Berlin") == [
        "03-23 08:00/18:00", "03-24 08:00/18:00", "03-25 08:00/18:00", "03-26 08:00/18:00", "03-30 12:00/18:00", "03-31 08:00/18:00",
    ]  # fmt: skip
