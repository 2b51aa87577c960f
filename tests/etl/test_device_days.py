"""What a device's day was made of, against minutes worked by hand and a minute-by-minute recount in plain Python."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from etl.star.keys import key64
from settings import Settings, Site
from tests.etl.device_day_cases import DAY, FAR, ZONE, at, device, entry, exam, hours, settings_of, slot, spans, told

WORKDAYS = ("mon", "tue", "wed", "thu", "fri")


def minutes(found: pl.DataFrame, *where: pl.Expr | bool) -> float:
    return float(found.filter(*where)["minutes"].sum())


def staffed(found: pl.DataFrame) -> float:
    return minutes(found, pl.col("is_staffed"))


# -- use ----------------------------------------------------------------------------------------------------------------


def test_a_plain_day_is_tiled_by_hand() -> None:
    """Staffed 08:00 to 18:00, 600 min: 12 late, 28 + 30 + 30 in use, 10 turnover, 100 idle between, 390 early end."""
    found = spans(
        [exam(1, "08:12", "08:40"), exam(2, "08:50", "09:20"), exam(3, "11:00", "11:30")],
        [slot(1, "08:00", 30, "kept")],
    )
    assert told(found, "exam_key", "exams", "is_bookable") == [
        ("08:00", "08:12", "idle", "late_start", None, 0, False),
        ("08:12", "08:40", "in_use", None, 1, 1, None),
        ("08:40", "08:50", "turnover", "turnover", 1, 0, None),
        ("08:50", "09:20", "in_use", None, 2, 1, None),
        ("09:20", "11:00", "idle", "unfilled", 2, 0, True),
        ("11:00", "11:30", "in_use", None, 3, 1, None),
        ("11:30", "18:00", "idle", "early_end", 3, 0, True),
    ]
    assert staffed(found) == 600
    assert found["staffed_basis"].unique().to_list() == ["configuration"]


def test_three_accessions_of_one_acquisition_take_the_room_once() -> None:
    group = [exam(key, "09:00", "09:30", acquisition_key=4, sharers=3) for key in (4, 5, 6)]
    used = spans(group).filter(pl.col("kind") == "in_use")
    assert used.select("minutes", "scanning_minutes", "overlap_minutes", "exams", "exam_key").rows() == [
        (30, 30, 0, 3, 4)
    ]


def test_separate_acquisitions_that_overlap_are_one_use_and_their_overlap_is_told() -> None:
    """09:00–09:30 and 09:20–09:45: 45 minutes taken, 10 of them twice."""
    used = spans([exam(1, "09:00", "09:30"), exam(2, "09:20", "09:45")]).filter(pl.col("kind") == "in_use")
    assert used.select("minutes", "scanning_minutes", "overlap_minutes", "exams").rows() == [(45, 45, 10, 2)]


def test_exams_that_only_touch_are_two_uses_without_turnover() -> None:
    found = spans([exam(1, "09:00", "09:30"), exam(2, "09:30", "10:00")])
    assert [row[:3] for row in told(found) if row[2] in {"in_use", "turnover"}] == [
        ("09:00", "09:30", "in_use"),
        ("09:30", "10:00", "in_use"),
    ]


def test_acquisition_is_moved_by_the_offset_of_the_clock_and_counts_inside_the_use_alone() -> None:
    """The scanner's clock is an hour behind: 08:05–08:25 on it is 09:05–09:25; acquisition after the room was left does not count."""
    found = spans(
        [
            exam(
                1, "09:00", "09:30", machine_started_at=at("08:05"), machine_ended_at=at("08:25"), clock_offset_s=3600.0
            ),
            exam(2, "10:00", "10:30", machine_started_at=at("10:20"), machine_ended_at=at("10:40")),
        ]
    )
    assert found.filter(pl.col("kind") == "in_use")["scanning_minutes"].to_list() == [20, 10]


@pytest.mark.parametrize(
    ("why", "row"),
    [
        ("a phantom", exam(1, "09:00", "09:30", not_patient="*phantom*")),
        ("not performed", exam(1, "09:00", "09:30", is_performed=False)),
        ("no device", exam(1, "09:00", "09:30", device=0)),
        ("no room time", exam(1, "09:00", "09:30", room_ended_at=None)),
        ("longer than a day", exam(1, "09:00", "+1 09:01")),
        ("backwards", exam(1, "09:00", "08:30")),
    ],
)
def test_what_takes_no_room(why: str, row: dict[str, Any]) -> None:
    assert told(spans([row])) == [("08:00", "18:00", "idle", "unfilled")], why


def test_use_outside_staffed_hours_is_a_row_and_nothing_else_there_is() -> None:
    """07:30–08:10 is cut at opening, 17:50–18:20 at closing; 20:00–20:30 stands alone."""
    found = spans([exam(1, "07:30", "08:10"), exam(2, "17:50", "18:20"), exam(3, "20:00", "20:30")])
    assert told(found, "is_staffed", "exams") == [
        ("07:30", "08:00", "in_use", None, False, 1),
        ("08:00", "08:10", "in_use", None, True, 0),
        ("08:10", "17:50", "idle", "unfilled", True, 0),
        ("17:50", "18:00", "in_use", None, True, 1),
        ("18:00", "18:20", "in_use", None, False, 0),
        ("20:00", "20:30", "in_use", None, False, 1),
    ]


# -- midnight and summer time -------------------------------------------------------------------------------------------


def test_an_exam_over_midnight_ends_there_and_goes_on_the_next_day() -> None:
    around = settings_of(hours("00:00", "00:00"))
    days = (DAY, DAY + timedelta(days=1))
    found = spans([exam(1, "23:40", "+1 00:25")], settings=around, days=days)
    assert found.filter(pl.col("kind") == "in_use").select(
        "local_day", "start_minute", "end_minute", "exams"
    ).rows() == [
        (DAY, 1420, 1440, 1),
        (days[1], 0, 25, 0),
    ]
    assert staffed(found) == 2 * 1440
    # The day before is not asked for; what runs into the day is.
    next_alone = spans([exam(1, "23:40", "+1 00:25")], settings=around, days=(days[1], days[1]))
    assert next_alone.equals(found.filter(pl.col("local_day") == days[1]))


def test_a_device_staffed_over_midnight_neither_opens_nor_closes_there() -> None:
    found = spans([exam(1, "03:00", "04:00")], settings=settings_of(hours("00:00", "00:00")))
    assert told(found) == [
        ("00:00", "03:00", "idle", "unfilled"),
        ("03:00", "04:00", "in_use", None),
        ("04:00", "24:00", "idle", "unfilled"),
    ]


def test_the_night_that_summer_time_ends_has_25_hours_and_the_exam_80_minutes() -> None:
    """01:50 CEST to 02:10 CET on 25 October 2026: 70 minutes to 03:00 CEST, which is 02:00 CET, and 10 more."""
    night = date(2026, 10, 25)
    row = exam(
        1,
        "01:50",
        "01:50",
        night,
        room_ended_at=at("02:10", night, fold=1),
        machine_ended_at=at("02:10", night, fold=1),
    )
    found = spans([row], settings=settings_of(hours("00:00", "00:00")), days=(night, night))
    assert staffed(found) == 25 * 60
    used = found.filter(pl.col("kind") == "in_use").sort("starts_at")
    assert used["minutes"].to_list() == [70, 10]
    assert used.select("start_minute", "end_minute").rows() == [(110, 180), (120, 130)]
    assert used["exams"].to_list() == [1, 0]


def test_the_night_that_summer_time_begins_has_23_hours_and_the_exam_20_minutes() -> None:
    night = date(2026, 3, 29)
    found = spans(
        [exam(1, "01:50", "03:10", night)], settings=settings_of(hours("00:00", "00:00")), days=(night, night)
    )
    assert staffed(found) == 23 * 60
    used = found.filter(pl.col("kind") == "in_use")
    assert used.select("start_minute", "end_minute", "minutes").rows() == [(110, 120, 10), (180, 190, 10)]


# -- where staffed hours come from ---------------------------------------------------------------------------------------


def test_without_any_hours_all_use_is_outside_them() -> None:
    found = spans([exam(1, "09:00", "09:30")], settings=settings_of())
    assert told(found, "is_staffed", "staffed_basis") == [("09:00", "09:30", "in_use", None, False, "none")]


def test_a_weekday_without_configured_hours_is_not_staffed() -> None:
    sunday = date(2026, 3, 15)
    found = spans(
        [exam(1, "09:00", "09:30", sunday)], settings=settings_of(hours(days=WORKDAYS)), days=(sunday, sunday)
    )
    assert told(found, "is_staffed", "staffed_basis") == [("09:00", "09:30", "in_use", None, False, "configuration")]


STAFFED = {
    "of the device, by station in any case": (entry("staffed", "10:00", "12:00", device="ct1"), 120, "calendar"),
    "of the device, by id": (entry("staffed", "10:00", "12:00", device="d1"), 120, "calendar"),
    "of its modality": (entry("staffed", "10:00", "13:00", modality="CT"), 180, "calendar"),
    "of its site": (entry("staffed", "10:00", "14:00"), 240, "calendar"),
    "of another device": (entry("staffed", "10:00", "12:00", device="CT9"), 600, "configuration"),
    "of another modality": (entry("staffed", "10:00", "12:00", modality="MR"), 600, "configuration"),
    "of another site": (entry("staffed", "10:00", "12:00", site="WEST"), 600, "configuration"),
    "that week, with nothing that day": (entry("staffed", "10:00", "12:00", DAY + timedelta(days=2)), 0, None),
    "of the week before": (entry("staffed", "10:00", "12:00", DAY - timedelta(days=7)), 600, "configuration"),
}


@pytest.mark.parametrize(("row", "minutes_", "basis"), STAFFED.values(), ids=STAFFED.keys())
def test_a_calendar_replaces_the_configuration(row: dict[str, Any], minutes_: float, basis: str | None) -> None:
    found = spans(calendar=[row])
    assert staffed(found) == minutes_
    assert found["staffed_basis"].unique().to_list() == ([basis] if basis else [])


def test_the_most_precise_calendar_rules() -> None:
    calendar = [
        entry("staffed", "08:00", "20:00"),
        entry("staffed", "09:00", "15:00", modality="CT"),
        entry("staffed", "10:00", "11:00", device="CT1"),
        entry("staffed", "10:30", "12:00", device="CT1"),
    ]
    found = spans(calendar=calendar, devices=[device(1), device(2)])
    assert {
        row["device_id"]: row["minutes"] for row in found.group_by("device_id").agg(pl.col("minutes").sum()).to_dicts()
    } == {"d1": 120, "d2": 360}


@pytest.mark.parametrize(
    ("stations", "at_site", "expected"),
    [
        (
            ("CT1", "CT2"),
            "WEST",
            {"d1": 120, "d2": 600},
        ),  # one device of that name: a calendar that names no site means it
        (("CT1", "CT1"), "WEST", {"d1": 600, "d2": 120}),
        (("CT1", "CT1"), "NORTH", {"d1": 120, "d2": 600}),
    ],
)
def test_a_device_is_found_by_its_name_and_of_several_by_the_site(
    stations: tuple[str, str], at_site: str, expected: dict[str, float]
) -> None:
    one = settings_of(hours())
    both = one.model_copy(
        update={"sites": (*one.sites, one.sites[0].model_copy(update={"code": "WEST", "name": "West"}))}
    )
    found = spans(
        calendar=[entry("staffed", "10:00", "12:00", device="CT1", site=at_site)],
        devices=[
            device(1, station=stations[0], device_name="A"),
            device(2, station=stations[1], device_name="B", site="WEST"),
        ],
        settings=both,
    )
    assert dict(found.group_by("device_id").agg(pl.col("minutes").sum()).sort("device_id").iter_rows()) == expected


def test_hours_are_inferred_from_use_and_marked() -> None:
    """Twenty Tuesdays' worth of use: one exam an hour from 07:00 to 15:59 on 8 Tuesdays, ten minutes each: 72 uses, 720 minutes.

    5 % are 36 minutes: the 36th minute in order. Each minute of 07:00–07:09 counts 8, so the 40th is in 07:04. 95 % are 684:
    the last hour begins after 640, and 44 more are reached in its sixth minute, 15:05; the hours end with it, at 15:06.
    """
    tuesdays = [DAY - timedelta(weeks=n) for n in range(8)]
    rows = [
        exam(100 * n + hour, f"{hour:02d}:00", f"{hour:02d}:10", day)
        for n, day in enumerate(tuesdays)
        for hour in range(7, 16)
    ]
    found = spans(rows, settings=settings_of())
    in_hours = found.filter(pl.col("is_staffed"))
    assert found["staffed_basis"].unique().to_list() == ["inferred"]
    assert (in_hours["start_minute"].min(), in_hours["end_minute"].max()) == (7 * 60 + 4, 15 * 60 + 6)
    assert staffed(found) == 482
    assert spans(rows, settings=settings_of(infer_hours=False))["staffed_basis"].unique().to_list() == ["none"]
    few = [row for row in rows if row["exam_key"] % 100 < 9]  # 16 uses
    assert spans(few, settings=settings_of())["staffed_basis"].unique().to_list() == ["none"]


# -- closures and downtime ------------------------------------------------------------------------------------------------


def test_a_closure_takes_the_staffed_hours_away() -> None:
    found = spans([exam(1, "09:00", "09:30")], calendar=[entry("closed", "00:00", "+1 00:00", reason="Holiday")])
    assert told(found, "is_staffed", "reason") == [
        ("00:00", "09:00", "closed", None, False, "Holiday"),
        ("09:00", "09:30", "in_use", None, False, None),
        ("09:30", "24:00", "closed", None, False, "Holiday"),
    ]


def test_planned_downtime_is_staffed_and_has_no_cause_and_unplanned_is_lost() -> None:
    calendar = [
        entry("planned_down", "07:30", "09:00", device="CT1", reason="QC"),
        entry("unplanned_down", "12:00", "13:00", device="CT1", reason="Tube"),
        entry("unplanned_down", "17:30", "19:00", device="CT1"),
    ]
    found = spans([exam(1, "09:03", "12:30")], calendar=calendar)
    assert told(found, "is_staffed", "reason") == [
        ("07:30", "08:00", "planned_down", None, False, "QC"),
        ("08:00", "09:00", "planned_down", None, True, "QC"),
        ("09:00", "09:03", "idle", "unfilled", True, None),  # within the grace of opening, which is after the downtime
        ("09:03", "12:30", "in_use", None, True, None),  # use is believed over the calendar
        ("12:30", "13:00", "unplanned_down", "unplanned_down", True, "Tube"),
        ("13:00", "17:30", "idle", "early_end", True, None),
        ("17:30", "18:00", "unplanned_down", "unplanned_down", True, None),
        ("18:00", "19:00", "unplanned_down", None, False, None),
    ]


def test_of_reasons_that_overlap_the_first_begun_stands() -> None:
    calendar = [
        entry("closed", "08:00", "18:00", reason="Holiday"),
        entry("closed", "10:00", "11:00", device="CT1", reason="Building work"),
    ]
    assert told(spans(calendar=calendar), "reason") == [("08:00", "18:00", "closed", None, "Holiday")]


# -- causes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("starts", "slots", "late"),
    [
        ("08:05", [], 0),  # within the grace
        ("08:06", [], 6),
        ("09:20", [slot(1, "09:00", 30, "kept")], 20),  # due at the first slot, not at opening
        ("08:20", [slot(1, "07:45", 30, "kept")], 20),  # a slot before opening is due at opening
        ("09:02", [slot(1, "09:00", 30, "kept")], 0),
        (
            "09:20",
            [slot(9, "08:00", 30, "no_show"), slot(1, "09:00", 30, "kept")],
            20,
        ),  # the first patient did not come
        ("09:20", [slot(9, "08:00", 30, "no_show")], 0),  # nobody who was booked came
        ("09:20", [slot(9, "08:00", 30, "open")], 0),  # nothing tells
        ("09:20", [slot(1, "08:00", 30, "moved")], 80),  # as if nothing had been booked
    ],
)
def test_late_starts(starts: str, slots: list[dict[str, Any]], late: float) -> None:
    found = spans([exam(1, starts, "12:00")], slots)
    assert minutes(found, pl.col("cause") == "late_start") == late


def test_a_first_use_after_closing_is_no_late_start() -> None:
    assert minutes(spans([exam(1, "20:00", "20:30")]), pl.col("cause") == "late_start") == 0


def test_a_missed_slot_takes_its_time_out_of_the_turnover() -> None:
    """08:00–09:00 and 09:55–18:00 with 09:10–09:40 missed: 30 lost to the no-show, 10 + 15 of turnover, though the gap is 55."""
    found = spans([exam(1, "08:00", "09:00"), exam(2, "09:55", "18:00")], [slot(9, "09:10", 30, "no_show")])
    assert told(found, "exam_key") == [
        ("08:00", "09:00", "in_use", None, 1),
        ("09:00", "09:10", "turnover", "turnover", 1),
        ("09:10", "09:40", "idle", "no_show", 9),
        ("09:40", "09:55", "turnover", "turnover", 1),
        ("09:55", "18:00", "in_use", None, 2),
    ]


MISSED = {
    "missed and left empty": ([slot(9, "10:00", 60, "no_show")], "no_show", 60),
    "cancelled late and left empty": ([slot(9, "10:00", 60, "late_cancelled")], "late_cancel", 60),
    "cancelled in time": ([slot(9, "10:00", 60, "cancelled")], "late_cancel", 0),
    "without a length": ([slot(9, "10:00", None, "no_show")], "no_show", 0),
    "given to another patient": (
        [
            slot(9, "10:00", 60, "late_cancelled", ended_at=at("20:00", DAY - timedelta(days=1))),
            slot(8, "10:30", 30, "kept", booked_at=at("07:00")),
        ],
        "late_cancel",
        0,
    ),
    "overlapped by a slot that was there before": (
        [
            slot(9, "10:00", 60, "late_cancelled", ended_at=at("20:00", DAY - timedelta(days=1))),
            slot(8, "10:30", 30, "kept"),
        ],
        "late_cancel",
        60,
    ),
    "missed by a phantom": ([slot(9, "10:00", 60, "no_show", not_patient="qa*")], "no_show", 0),
    "two that overlap": ([slot(9, "10:00", 60, "no_show"), slot(8, "10:30", 60, "late_cancelled")], "late_cancel", 30),
}


@pytest.mark.parametrize(("slots", "cause", "lost"), MISSED.values(), ids=MISSED.keys())
def test_missed_slots(slots: list[dict[str, Any]], cause: str, lost: float) -> None:
    found = spans([exam(1, "08:00", "09:00"), exam(2, "16:00", "17:00")], slots)
    assert minutes(found, pl.col("cause") == cause) == lost
    assert staffed(found) == 600


def test_a_missed_slot_that_a_walk_in_fills_loses_what_is_left_of_it() -> None:
    """Missed 10:00–11:00, a walk-in from 10:15 to 10:50: 15 and 10 minutes are lost."""
    found = spans([exam(1, "08:00", "09:00"), exam(2, "10:15", "10:50")], [slot(9, "10:00", 60, "no_show")])
    assert found.filter(pl.col("cause") == "no_show")["minutes"].to_list() == [15, 10]


def test_early_end_leaves_out_what_was_booked() -> None:
    """Last use ends 15:00, a slot 16:00–16:30 was kept, ahead of its time: that half hour is unfilled."""
    found = spans([exam(1, "08:00", "15:00")], [slot(1, "16:00", 30, "kept")])
    assert told(found)[1:] == [
        ("15:00", "16:00", "idle", "early_end"),
        ("16:00", "16:30", "idle", "unfilled"),
        ("16:30", "18:00", "idle", "early_end"),
    ]


@pytest.mark.parametrize(("gap", "kind"), [(60, "turnover"), (61, "idle")])
def test_a_gap_is_turnover_up_to_the_configured_length(gap: int, kind: str) -> None:
    found = spans([exam(1, "08:00", "10:00"), exam(2, f"{10 + gap // 60}:{gap % 60:02d}", "18:00")])
    assert told(found)[1][2] == kind


def test_idle_time_is_bookable_by_its_whole_stretch() -> None:
    """15 missed and 20 unfilled minutes are one stretch of 35; with the limit at 40 they are slivers."""
    rows = [exam(1, "08:00", "09:00"), exam(2, "09:35", "18:00")]
    missed = [slot(9, "09:00", 15, "no_show")]
    for bookable, expected in ((30, True), (40, False)):
        rules = settings_of(hours(), turnover_minutes=10, bookable_minutes=bookable)
        idle = spans(rows, missed, settings=rules).filter(pl.col("kind") == "idle")
        assert idle["minutes"].to_list() == [15, 20]
        assert idle["is_bookable"].to_list() == [expected, expected]


# -- time to come ---------------------------------------------------------------------------------------------------------


def test_what_lies_behind_the_data_is_to_come_and_lost_to_nothing() -> None:
    """Data to 12:00: 14:00–14:30 is booked, the rest open."""
    found = spans(
        [exam(1, "08:00", "11:00")],
        [slot(5, "14:00", 30, "open"), slot(6, "15:00", 30, "late_cancelled")],
        data_to=at("12:00"),
    )
    assert told(found, "exam_key", "is_bookable") == [
        ("08:00", "11:00", "in_use", None, 1, None),
        ("11:00", "12:00", "idle", "unfilled", 1, True),
        ("12:00", "14:00", "idle", None, None, True),
        ("14:00", "14:30", "idle", None, 5, False),
        ("14:30", "18:00", "idle", None, None, True),
    ]


# -- devices --------------------------------------------------------------------------------------------------------------


def test_a_device_counts_from_its_first_day_and_28_days_beyond_its_last() -> None:
    seen = device(valid_from=at("12:00"), last_seen=at("09:00", DAY + timedelta(days=2)))
    around = (DAY - timedelta(days=3), DAY + timedelta(days=60))
    days = spans(devices=[seen], days=around)["local_day"]
    assert (days.min(), days.max()) == (DAY, DAY + timedelta(days=30))
    still_there = spans(devices=[seen], days=around, data_to=at("09:00", DAY + timedelta(days=20)))["local_day"]
    assert still_there.max() == around[1]


def test_each_day_has_the_version_of_the_device_that_was_current() -> None:
    versions = [device(1), device(2, device_id="d1", valid_from=at("09:00"))]
    found = spans([exam(1, "10:00", "11:00", device=2)], devices=versions, days=(DAY - timedelta(days=1), DAY))
    assert found.select("local_day", "device_key").unique().sort("local_day")["device_key"].to_list() == [1, 2]
    assert staffed(found) == 1200


def test_nothing_is_needed() -> None:
    assert spans(devices=[device(modality=None)]).is_empty()
    assert spans(devices=[device(site=None, site_key=0)]).is_empty()


# -- properties -----------------------------------------------------------------------------------------------------------

OUTCOMES = ("kept", "broken_off", "no_show", "late_cancelled", "cancelled", "moved", "open")


@st.composite
def _days(draw: st.DrawFn) -> dict[str, Any]:
    """A random day or night of summer time's end, with exams, slots and calendar entries anywhere in and around it."""
    day = draw(st.sampled_from([DAY, date(2026, 10, 25), date(2026, 3, 29)]))
    opens = datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC)

    def span(longest: int) -> tuple[datetime, datetime]:
        starts = opens + timedelta(minutes=draw(st.integers(-300, 1500)))
        return starts, starts + timedelta(minutes=draw(st.integers(1, longest)))

    exams, slots, calendar = [], [], []
    for key in range(1, 1 + draw(st.integers(0, 7))):
        room, machine = span(200), span(60)
        exams.append(
            exam(key, "00:00", "00:00", day, room_started_at=room[0], room_ended_at=room[1], machine_started_at=machine[0],
                 machine_ended_at=machine[1], acquisition_key=draw(st.sampled_from([key, 1])))
        )  # fmt: skip
    for key in range(11, 11 + draw(st.integers(0, 6))):
        starts, ends = span(90)
        local = starts.astimezone(ZONE).date()
        slots.append(
            slot(key, "00:00", (ends - starts) / timedelta(minutes=1), draw(st.sampled_from(OUTCOMES)), day)
            | {"slot_at": starts, "local_day": local}
        )
    for _ in range(draw(st.integers(0, 4))):
        starts, ends = span(600)
        kind = draw(st.sampled_from(["staffed", "closed", "planned_down", "unplanned_down"]))
        calendar.append(
            entry(
                kind, "00:00", "00:00", day, starts_at=starts, ends_at=ends, device=draw(st.sampled_from([None, "CT1"]))
            )
        )
    data_to = draw(st.sampled_from([FAR, opens + timedelta(minutes=700)]))
    shape = draw(st.sampled_from([hours("08:00", "18:00"), hours("00:00", "00:00"), hours("02:30", "03:30")]))
    return {
        "exams": exams,
        "slots": slots,
        "calendar": calendar,
        "days": (day, day),
        "settings": settings_of(shape),
        "data_to": data_to,
    }


def _recounted(case: dict[str, Any]) -> dict[str, int]:
    """Minutes of the day in use, staffed and staffed in use, minute by minute in UTC with the standard library alone."""
    day = case["days"][0]
    opens, closes = (
        datetime(d.year, d.month, d.day, tzinfo=ZONE).astimezone(UTC) for d in (day, day + timedelta(days=1))
    )
    grouped: dict[int, list[tuple[datetime, datetime]]] = {}
    for row in case["exams"]:
        grouped.setdefault(row["acquisition_key"], []).append((row["room_started_at"], row["room_ended_at"]))
    rules = [row for row in case["calendar"] if row["kind"] == "staffed"]
    precise = [row for row in rules if row["device"]]
    shape = case["settings"].sites[0].hours[0]
    week = day.isocalendar()[:2]

    def reaches(rows: list[dict[str, Any]]) -> bool:
        """Whether the weeks of these entries hold the day's."""
        edges = [row["starts_at"] for row in rows] + [row["ends_at"] - timedelta(microseconds=1) for row in rows]
        weeks = sorted(edge.astimezone(ZONE).isocalendar()[:2] for edge in edges)
        return bool(weeks) and weeks[0] <= week <= weeks[-1]

    counted = {"in_use": 0, "staffed": 0, "staffed_in_use": 0, "overlap": 0}
    broad = [row for row in rules if not row["device"]]
    chosen = precise if reaches(precise) else broad if reaches(broad) else None
    starts_local = datetime(day.year, day.month, day.day, shape.opens.hour, shape.opens.minute, tzinfo=ZONE).astimezone(
        UTC
    )
    ends_local = (
        closes
        if shape.closes.hour == 0
        else datetime(day.year, day.month, day.day, shape.closes.hour, shape.closes.minute, tzinfo=ZONE).astimezone(UTC)
    )
    minute = opens
    while minute < closes:
        claims = sum(any(starts <= minute < ends for starts, ends in found) for found in grouped.values())
        is_staffed = (
            starts_local <= minute < ends_local
            if chosen is None
            else any(r["starts_at"] <= minute < r["ends_at"] for r in chosen)
        )
        is_staffed &= not any(
            r["kind"] == "closed" and r["starts_at"] <= minute < r["ends_at"] for r in case["calendar"]
        )
        counted["in_use"] += claims > 0
        counted["staffed"] += is_staffed
        counted["staffed_in_use"] += is_staffed and claims > 0
        counted["overlap"] += claims > 1
        minute += timedelta(minutes=1)
    return counted


@given(_days())
@hypothesis_settings(max_examples=60, deadline=None)
def test_every_day_is_tiled_and_agrees_with_a_recount_by_the_minute(case: dict[str, Any]) -> None:
    found = spans(**case)
    for _, rows in found.group_by("local_day", "device_id"):
        ordered = rows.sort("starts_at")
        ends = ordered["starts_at"] + (ordered["minutes"] * 60e6).round().cast(pl.Int64).cast(pl.Duration("us"))
        assert (ends.shift(1).drop_nulls() <= ordered["starts_at"][1:]).all(), "stretches overlap"
        assert (abs(ordered["end_minute"] - ordered["start_minute"] - ordered["minutes"]) < 1e-6).all()
    expected = _recounted(case)
    in_use = pl.col("kind") == "in_use"
    assert minutes(found, in_use) == pytest.approx(expected["in_use"])
    assert staffed(found) == pytest.approx(expected["staffed"])
    assert minutes(found, in_use, pl.col("is_staffed")) == pytest.approx(expected["staffed_in_use"])
    assert found["overlap_minutes"].sum() == pytest.approx(expected["overlap"])
    assert found.filter(in_use, pl.col("scanning_minutes") > pl.col("minutes") + 1e-6).is_empty()
    lost = found.filter(
        pl.col("is_staffed"), pl.col("starts_at") < case["data_to"], ~pl.col("kind").is_in(["in_use", "planned_down"])
    )
    assert lost["cause"].null_count() == 0, "staffed time that passed is used, down as planned or lost to something"
    assert found.filter(~pl.col("is_staffed"))["cause"].null_count() == found.filter(~pl.col("is_staffed")).height


@given(_days(), st.randoms())
@hypothesis_settings(max_examples=20, deadline=None)
def test_order_of_the_rows_does_not_matter(case: dict[str, Any], random: Any) -> None:
    shuffled = dict(case)
    for name in ("exams", "slots", "calendar"):
        shuffled[name] = random.sample(case[name], len(case[name]))
    assert spans(**shuffled).equals(spans(**case))


# -- place --------------------------------------------------------------------------------------------------------------


def _two_sites(zone: str = "Europe/Berlin") -> Settings:
    """North is staffed from 08:00 to 18:00, South from 10:00 to 12:00."""
    return Settings(
        sites=(
            Site(code="NORTH", name="North", time_zone="Europe/Berlin", hours=(hours(),)),
            Site(code="SOUTH", name="South", time_zone=zone, hours=(hours("10:00", "12:00"),)),
        )
    )


def test_a_van_spends_each_day_where_most_of_its_exams_took_place() -> None:
    north, south = key64("site", "NORTH"), key64("site", "SOUTH")
    nights = [DAY + timedelta(days=count) for count in range(3)]
    exams = [
        exam(1, "10:10", "10:30", nights[0], local_day=nights[0], site_key=south),
        exam(2, "11:00", "11:30", nights[0], local_day=nights[0], site_key=south),
        exam(3, "15:00", "15:20", nights[0], local_day=nights[0], site_key=north),
        exam(4, "09:00", "09:30", nights[1], local_day=nights[1], site_key=north),
    ]
    van = device(site_key=north)
    found = spans(exams, settings=_two_sites(), devices=[van], days=(nights[0], nights[2]))
    by_day = {
        day: (part["site_key"].unique().to_list(), staffed(part))
        for (day,), part in found.partition_by("local_day", as_dict=True).items()
    }
    assert by_day == {nights[0]: ([south], 120), nights[1]: ([north], 600), nights[2]: ([north], 600)}


def test_phantoms_and_places_of_another_clock_move_no_device() -> None:
    north, south = key64("site", "NORTH"), key64("site", "SOUTH")
    test = exam(1, "10:10", "10:30", local_day=DAY, site_key=south, not_patient="phantom")
    assert spans([test], settings=_two_sites(), devices=[device(site_key=north)])["site_key"].unique().to_list() == [north]  # fmt: skip
    far = exam(1, "10:10", "10:30", local_day=DAY, site_key=south)
    found = spans([far], settings=_two_sites("Europe/Lisbon"), devices=[device(site_key=north)])
    assert found["site_key"].unique().to_list() == [north]
