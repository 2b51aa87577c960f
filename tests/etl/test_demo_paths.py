"""What surrounds the simulated exams: doors, rooms, uploads, calls, phantoms, performed steps, calendars."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest

from etl.demo import landing_rows, simulate
from etl.demo import messages as said
from etl.demo.calendars import calendar_rows, downtime, entries
from etl.demo.calibration import rate, spread
from etl.demo.network import SITE_BY_CODE, devices, is_holiday
from etl.demo.procedures import PORTABLE, PROCEDURES, STROKE, index_of
from etl.demo.scheduling import EQUIPMENT_FAILURE
from etl.demo.series_rows import series
from etl.demo.staffing import staffed
from etl.demo.steps import AT_SHIFT_END, IN_TWO, NEVER_CLOSED, SHIFTS, lost_steps, senders, steps
from etl.demo.stories import of_kind
from etl.demo.truth import truth, truth_events, truth_exams
from etl.demo.worklist import entries as on_worklist
from state.identity import Pseudonymiser

UNTIL = date(2026, 11, 24)


@pytest.fixture(scope="module")
def history():
    return simulate(seed=11, scale=0.06, until=UNTIL, days=300)


@pytest.fixture(scope="module")
def exams(history):
    return history.exams


def minutes(later, earlier):
    return (pl.col(later) - pl.col(earlier)).dt.total_seconds() / 60


# --- the emergency path -----------------------------------------------------------------------------------------------


def test_emergency_exams_follow_a_door_of_their_visit(exams):
    mine = exams.filter(pl.col("patient_class") == "E")
    assert mine.filter(pl.col("door") >= pl.col("ordered")).is_empty()
    assert mine["visit"].null_count() == 0
    assert exams.filter(pl.col("patient_class") != "E")["visit"].null_count() == len(exams) - len(mine)
    assert (mine.group_by("visit").agg(pl.col("patient").n_unique())["patient"] == 1).all()


def test_stroke_alerts_are_quick(exams):
    """Calibrated: 14 min from order to start and 12 min to the reading, so the door is not far."""
    mine = exams.filter((pl.col("procedure") == index_of(STROKE)) & pl.col("prelim").is_not_null())
    assert len(mine) > 50
    assert set(mine["priority"]) == {"S"}
    assert mine.select(minutes("started", "ordered").median()).item() == pytest.approx(
        spread("order_to_start", "stroke CT").median, rel=0.4
    )
    assert (
        mine.select(minutes("prelim", "completed").median()).item()
        < 2 * spread("complete_to_report", "stroke CT read").median
    )
    assert mine.select((minutes("started", "door") <= 25).mean()).item() > 0.5


def test_calls_follow_the_reading_of_some_emergency_cts(exams):
    told = exams.filter(pl.col("communicated").is_not_null())
    assert set(told.select("patient_class", "modality").unique().rows()) == {("E", "CT")}
    assert told.filter(pl.col("communicated") <= pl.col("prelim")).is_empty()
    read = exams.filter(
        (pl.col("patient_class") == "E") & (pl.col("modality") == "CT") & pl.col("prelim").is_not_null()
    )
    assert 0.08 < len(told) / len(read) < 0.2


# --- rooms ------------------------------------------------------------------------------------------------------------


def test_rooms_surround_the_scan_and_are_never_taken_twice(exams):
    mine = exams.filter(pl.col("in_room").is_not_null() & ~pl.col("is_second")).sort("device", "started")
    assert set(mine["site"]) == {"TEACH"}
    assert set(mine["modality"]) == {"CT", "MR", "XA"}
    assert mine.filter((pl.col("in_room") > pl.col("started")) | (pl.col("left_room") < pl.col("ended"))).is_empty()
    assert mine.filter(pl.col("in_room") < pl.col("arrived")).is_empty()
    same = pl.col("device") == pl.col("device").shift(1)
    assert mine.filter(same & (pl.col("in_room") < pl.col("left_room").shift(1))).is_empty()
    assert 0.01 < (mine["room_typed"] != mine["in_room"]).mean() < 0.08


def test_staffed_hours_fit_the_volume():
    """A larger network has more scanners, and none is staffed longer than its widest hours."""
    for scale in (0.02, 0.08, 0.5):
        for device in staffed(devices(scale), scale):
            assert device.hours.opens <= device.staffed.opens < device.staffed.closes <= device.hours.closes
            assert set(device.staffed.weekdays) <= set(device.hours.weekdays)


def test_booked_exams_take_place_while_the_scanner_is_staffed(history):
    """But for the last ones of a day, which may run over, and emergencies, for which somebody is on call."""
    for device in history.fleet:
        if device.hours.closes == 24:
            continue
        zone = SITE_BY_CODE[device.site].zone_name
        mine = history.exams.filter(
            (pl.col("device") == device.index)
            & pl.col("started").is_not_null()
            & (pl.col("patient_class") != "E")
            & ~pl.col("is_phantom")
        ).with_columns(local=pl.col("started").dt.convert_time_zone(zone))
        hour = mine["local"].dt.hour() + mine["local"].dt.minute() / 60
        assert ((hour >= device.staffed.opens - 0.1) & (hour < device.staffed.closes + 1)).all()
        assert set(mine["local"].dt.weekday()) <= set(device.staffed.weekdays)


# --- odd images -------------------------------------------------------------------------------------------------------


def test_some_mobile_radiographs_are_uploaded_late_and_keep_their_time(history):
    waits = history.exams.filter("waits")
    assert set(waits["procedure"]) == {index_of(PORTABLE)}
    sent = waits.filter(pl.col("uploaded").is_not_null())
    assert sent.filter(pl.col("uploaded") <= pl.col("ended")).is_empty()
    shown = series(history).filter("waits")
    assert shown.filter(pl.col("series_at") <= pl.col("started")).is_empty()
    assert (shown["started"] - shown["true_started"]).dt.total_seconds().abs().median() < 300


def test_phantoms_are_scanned_before_the_day_begins(history, exams):
    phantoms = exams.filter("is_phantom")
    for device in history.fleet:
        mine = phantoms.filter(pl.col("device") == device.index)
        days = (UNTIL - history.first).days
        expected = {"CT": days, "MG": days / 7}.get(device.modality, 0)
        assert len(mine) == pytest.approx(expected, rel=0.15)
    assert not phantoms["has_order"].any()
    assert phantoms["completed"].null_count() == len(phantoms)
    assert set(series(history).filter("is_phantom")["patient_name"].str.slice(0, 7)) == {"PHANTOM"}


def test_long_accession_numbers_are_cut_in_images_alone(history, exams):
    long = exams.filter(pl.col("site") == "CLINIC")["accession"]
    assert (long.str.len_chars() > 16).all()
    assert long.str.slice(0, 16).n_unique() == exams.filter(pl.col("site") == "CLINIC").height
    assert (series(history)["accession"].str.len_chars() <= 16).all()


def test_late_orders_come_after_the_exam_and_before_its_report(exams):
    late = exams.filter("late_order")
    assert late.filter(pl.col("placed") < pl.col("completed")).is_empty()
    assert late.filter(pl.col("placed") >= pl.coalesce("prelim", "final")).is_empty()
    assert late["orderless"].all()


def test_orders_that_came_late_are_told_late(history, exams):
    told = said.messages(history).join(exams.filter("late_order").select("exam"), on="exam")
    assert told.filter(pl.col("sent") < pl.col("placed")).is_empty()


# --- performed steps --------------------------------------------------------------------------------------------------


def test_about_half_of_the_scanners_send_performed_steps(history):
    fits = [d for d in history.fleet if d.modality in ("CT", "MR", "XA")]
    assert 0.3 < len(senders(history)) / len(fits) < 0.8


def test_performed_steps_are_closed_with_the_known_habits(history):
    found = steps(history)
    done = history.exams.filter(
        pl.col("device").is_in(senders(history))
        & pl.col("ended").is_not_null()
        & ~pl.col("is_second")
        & ~pl.col("is_phantom")
    )
    missing = 1 - found["exam"].n_unique() / len(done)
    assert missing == pytest.approx(rate("MPPS missing share of exams"), abs=0.03)
    shares = {habit: count / len(found) for habit, count in found["habit"].value_counts().rows()}
    assert shares["never"] == pytest.approx(NEVER_CLOSED, abs=0.012)
    assert shares["at_shift_end"] == pytest.approx(AT_SHIFT_END, abs=0.015)
    assert found.group_by("exam").len().filter(pl.col("len") == 2).height / found["exam"].n_unique() == pytest.approx(
        IN_TWO, abs=0.01
    )
    late = found.filter((pl.col("habit") == "at_shift_end") & pl.col("closed").is_not_null())
    local = (late["closed"] - timedelta(seconds=3)).dt.convert_time_zone("America/New_York")
    assert set(local.dt.hour()) <= {int(hour) for hour in SHIFTS}


def test_the_steps_of_one_scanner_are_lost_for_some_days(history):
    lost = lost_steps(history)
    day = pl.col("started").dt.date()
    during = (pl.col("device") == lost.device) & (day >= lost.starts_on) & (day < lost.ends_on)
    assert history.exams.filter(during & pl.col("started").is_not_null()).height > 0
    assert steps(history).filter(during).is_empty()
    told = truth(history)["steps"]
    assert told["lost"]["starts_on"] == lost.starts_on.isoformat()


def test_exams_are_broken_off_at_the_calibrated_rate_and_for_known_reasons(exams):
    broken = exams.filter(pl.col("reason") > 0)
    scanned = exams.filter(pl.col("started").is_not_null() & ~pl.col("is_phantom"))
    assert len(broken) / len(scanned) == pytest.approx(rate("DISCONTINUED share of MPPS"), rel=0.25)
    equipment = (broken["reason"] == EQUIPMENT_FAILURE).mean()
    assert equipment == pytest.approx(rate("equipment-failure share of DISCONTINUED"), abs=0.04)
    assert set(broken["reason"].cast(pl.Utf8)) <= {str(code) for code in said.WHY}


def test_the_second_of_two_steps_begins_after_the_first(history):
    both = steps(history).filter(pl.col("parts") == 2).sort("exam", "part")
    pairs = both.group_by("exam", maintain_order=True).agg(
        pl.col("true_ended").first(), pl.col("true_started").last(), pl.len()
    )
    assert pairs.filter((pl.col("len") == 2) & (pl.col("true_ended") > pl.col("true_started"))).is_empty()


# --- worklist and calendars -------------------------------------------------------------------------------------------


def test_the_worklist_has_the_mornings_appointments(history):
    found = on_worklist(history)
    assert found["sent_at"].n_unique() <= 3
    zone = "America/New_York"
    assert (
        found["slot_at"].dt.convert_time_zone(zone).dt.date() == found["sent_at"].dt.convert_time_zone(zone).dt.date()
    ).all()
    assert found.filter(pl.col("booked_at") > pl.col("sent_at")).is_empty()
    assert found.filter(pl.col("ended_at") < pl.col("sent_at")).is_empty()


def test_calendars_say_what_the_scanners_keep_to(history):
    stations = {device.station: device for device in history.fleet}
    told = entries(history)
    assert {entry.site for entry in told if entry.kind == "staffed"} == {"TEACH", "COMM"}
    for entry in told:
        device = stations[entry.device]
        assert entry.site == device.site
        if entry.kind == "staffed":
            assert (entry.starts.hour + entry.starts.minute / 60) == device.staffed.opens
            assert entry.starts.isoweekday() in device.staffed.weekdays
        if entry.kind == "closed":
            assert is_holiday(entry.starts.date())
    assert {entry.kind for entry in told} >= {"staffed", "planned_down", "unplanned_down"}
    assert calendar_rows(history)["calendar"].n_unique() == len({entry.file for entry in told})


def test_the_service_log_has_the_failures_of_the_failing_scanner(history):
    story = of_kind(history.stories, "failing_scanner")
    logged = [e for e in entries(history) if e.kind == "unplanned_down" and e.device == story.device]
    stops = [stop for stop in downtime(history) if stop.device.station == story.device and not stop.planned]
    assert len(logged) == len(stops) > 3
    clock = history.clocks[story.site]
    for entry, stop in zip(logged, stops, strict=True):
        assert abs((entry.starts - datetime(1970, 1, 1)).total_seconds() / 60 - clock.local(stop.starts)) <= 0.5
    told = truth(history)["downtime"]
    assert sum(stop["recorded"] for stop in told) < len(told)


# --- truth ------------------------------------------------------------------------------------------------------------


def test_the_truth_lists_every_exam_with_what_is_odd_about_it(history, exams):
    told = truth_exams(history)
    assert told.height == exams.height
    assert {"outcome", "reason", "late_order", "is_phantom", "waits", "steps", "habit", "section"} <= set(told.columns)
    codes = {procedure.code: procedure.section for procedure in PROCEDURES}
    assert all(codes[code] == section for code, section in told.select("procedure_code", "section").unique().rows())


def test_the_truth_has_the_events_of_every_kind_of_source(history):
    told = truth_events(history, series(history))
    known = set(told.filter(pl.col("source").is_not_null()).select("event", "source").unique().rows())
    assert known >= {
        ("emergency_arrival", "hl7"), ("patient_in_room", "hl7"), ("patient_left_room", "hl7"), ("result_communicated", "extract"),
        ("exam_started", "mpps"), ("exam_completed", "mpps"), ("exam_discontinued", "mpps"), ("exam_discontinued", "hl7"),
        ("scheduling_done", "siu"), ("patient_no_show", "siu"), ("exam_started", "dicom"),
    }  # fmt: skip
    rooms = told.filter(pl.col("event") == "patient_in_room")
    assert (rooms["true_at"] <= rooms["emitted_at"]).all()


def test_rows_of_a_calendar_came_together():
    """A calendar is replaced whole, so that its rows share one input."""
    rows = pl.concat(
        [
            c["calendar"]
            for c in landing_rows(simulate(2, 0.004, UNTIL, 40), Pseudonymiser(b"k" * 32))
            if "calendar" in c
        ]
    )
    assert rows["input_digest"].n_unique() == rows["calendar"].n_unique()
    assert rows["digest"].n_unique() == len(rows)
