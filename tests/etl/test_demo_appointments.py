"""Simulated appointments: slots that are moved, cancelled, missed and filled again, and the truth about them."""

from datetime import date, timedelta

import polars as pl
import pytest

from etl.demo import messages as said
from etl.demo import simulate
from etl.demo.appointments import LATE_MINUTES
from etl.demo.arrivals import no_show_rate
from etl.demo.calibration import rate
from etl.demo.network import is_holiday
from etl.demo.truth import truth_appointments

UNTIL = date(2026, 11, 24)
GONE = ["moved", "cancelled", "late_cancelled", "no_show"]


@pytest.fixture(scope="module")
def history():
    return simulate(seed=11, scale=0.06, until=UNTIL, days=300)


@pytest.fixture(scope="module")
def slots(history):
    return truth_appointments(history)


def test_every_appointment_has_a_row_a_slot_in_the_order_of_booking(slots):
    first = slots.group_by("exam").agg(pl.col("slot_number").min(), pl.col("slot_number").max().alias("most"), pl.len())
    assert (first["slot_number"] == 1).all()
    assert (first["most"] == first["len"]).all()
    assert slots.filter(pl.col("booked_at") < pl.col("booked_at").shift(1).over("exam")).is_empty()
    assert slots.filter(pl.col("booked_at") >= pl.col("slot_at")).is_empty()


def test_a_slot_is_left_before_the_next_is_booked(slots):
    left = slots.with_columns(before=pl.col("ended_at").shift(1).over("exam")).filter(pl.col("slot_number") > 1)
    assert left["before"].null_count() == 0
    assert left.filter(pl.col("before") > pl.col("booked_at")).is_empty()


def test_only_slots_that_are_gone_have_an_end(slots):
    assert set(slots.filter(pl.col("ended_at").is_not_null())["outcome"]) == set(GONE)
    assert slots.filter(pl.col("outcome").is_in(GONE) & pl.col("ended_at").is_null()).is_empty()


def test_no_two_patients_hold_a_slot_at_the_same_time(slots):
    held = slots.with_columns(until=pl.coalesce("ended_at", pl.col("slot_at") + timedelta(days=1))).sort(
        "station", "slot_at", "booked_at"
    )
    same = (pl.col("station") == pl.col("station").shift(1)) & (pl.col("slot_at") == pl.col("slot_at").shift(1))
    assert held.filter(same & (pl.col("booked_at") < pl.col("until").shift(1))).is_empty()


def test_cancellations_have_the_calibrated_rate_and_reasons(slots):
    last = slots.filter(pl.col("slot_at").dt.date() < UNTIL).group_by("exam", maintain_order=True).last()
    off = last.filter(pl.col("outcome").is_in(["cancelled", "late_cancelled"]))
    assert len(off) / len(last) == pytest.approx(rate("cancel all", "cancel_rate"), rel=0.12)
    for reason, key in (("PATIENT", "cancel by patient"), ("PROVIDER", "cancel by provider")):
        assert (off["reason"] == reason).mean() == pytest.approx(rate(key, "cancel_rate"), abs=0.04)


def test_no_shows_have_the_calibrated_rate(slots):
    first = slots.filter((pl.col("slot_number") == 1) & (pl.col("slot_at").dt.date() < UNTIL))
    expected = first.select(
        pl.col("modality").replace_strict({m: no_show_rate(m) for m in first["modality"].unique()}).mean()
    ).item()
    assert (first["outcome"] == "no_show").mean() == pytest.approx(expected, rel=0.25)


def test_a_cancellation_within_the_last_day_is_late(slots):
    notice = (pl.col("slot_at") - pl.col("ended_at")).dt.total_seconds() / 60
    off = slots.filter(pl.col("outcome").is_in(["cancelled", "late_cancelled"]))
    assert off.filter((notice < LATE_MINUTES) != (pl.col("outcome") == "late_cancelled")).is_empty()
    assert 0.2 < (off["outcome"] == "late_cancelled").mean() < 0.5


def test_slots_are_moved_with_and_without_notice(slots):
    moved = slots.filter(pl.col("outcome") == "moved")
    notice = moved.select((pl.col("slot_at") - pl.col("ended_at")).dt.total_hours() < 24)["slot_at"]
    assert 0.04 < len(moved) / slots["exam"].n_unique() < 0.16
    assert 0.1 < notice.mean() < 0.6


def test_free_slots_are_filled_again_and_the_truth_says_so(slots):
    freed = slots.filter(pl.col("outcome").is_in(["moved", "cancelled", "late_cancelled"]))
    assert 0.3 < freed["is_backfilled"].mean() < 0.8
    some = freed.filter("is_backfilled").head(40)
    for row in some.iter_rows(named=True):
        others = slots.filter(
            (pl.col("station") == row["station"])
            & (pl.col("slot_at") == row["slot_at"])
            & (pl.col("exam") != row["exam"])
        )
        assert (others["booked_at"] >= row["ended_at"]).any()


def test_some_who_missed_their_slot_come_later_or_are_booked_anew(history, slots):
    missed = slots.filter(pl.col("outcome") == "no_show").join(
        history.exams.select("exam", "started", "scheduled"), on="exam"
    )
    walked_in = missed.filter(
        (pl.col("slot_at") == pl.col("scheduled")) & (pl.col("started") - pl.col("slot_at") < timedelta(hours=20))
    )
    again = missed.filter(pl.col("slot_at") < pl.col("scheduled"))
    assert 0.1 < len(walked_in) / len(missed) < 0.45
    assert 0.1 < len(again) / len(missed) < 0.45


def test_messages_tell_the_same_slots_as_the_truth(history, slots):
    """S12 and S13 state each slot when it is booked, S15 and S26 when it is lost: to the second."""
    told = said.messages(history).filter(pl.col("message_type").str.starts_with("SIU"))
    stations = {device.index: device.station for device in history.fleet}
    told = told.with_columns(station=pl.col("device").replace_strict(stations, default=None))
    booked = told.filter(pl.col("message_type").is_in(["SIU^S12", "SIU^S13"])).select(
        "exam", "station", slot_at="planned", slot_minutes="scheduled_minutes", booked_at="sent"
    )
    columns = ["exam", "station", "slot_at", "slot_minutes", "booked_at"]
    assert booked.select(columns).sort(columns).equals(slots.select(columns).sort(columns))
    for trigger, outcomes in (("S15", ["cancelled", "late_cancelled"]), ("S26", ["no_show"])):
        lost = told.filter(pl.col("message_type") == f"SIU^{trigger}").select(
            "exam", slot_at="planned", ended_at="sent"
        )
        true = slots.filter(pl.col("outcome").is_in(outcomes)).select("exam", "slot_at", "ended_at")
        assert lost.sort("exam", "slot_at").equals(true.sort("exam", "slot_at"))


def test_nothing_is_booked_into_maintenance_or_onto_a_closed_day(history):
    zone = "America/Chicago"
    closing = [device.index for device in history.fleet if device.closes_on_holidays]
    days = history.appointments.filter(pl.col("device").is_in(closing))["slot_at"].dt.convert_time_zone(zone).dt.date()
    assert not any(is_holiday(day) for day in days.unique().to_list())
    for device in history.fleet:
        mine = history.appointments.filter(pl.col("device") == device.index)
        starts = mine["slot_at"].dt.epoch("s").to_numpy() / 60
        for stop in history.outages[device.index]:
            if stop.planned:
                assert not ((starts >= stop.starts) & (starts < stop.ends)).any()


def test_what_has_not_happened_yet_is_open(history, slots):
    ahead = slots.filter(pl.col("slot_at").dt.date() > UNTIL)
    assert set(ahead["outcome"]) <= {"open", "moved", "cancelled", "late_cancelled"}
    assert len(ahead.filter(pl.col("outcome") == "open")) > 100
