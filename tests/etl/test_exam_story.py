"""One exam from many sources: rules of matching, performed steps, slots, visits and clocks, on hand-made landing rows."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from etl.lake.store import conform
from etl.star.clocks import Approval, device_clocks
from etl.star.derive import Known, Landed, derive
from settings import Clocks, Settings, Site

SETTINGS = Settings(sites=(Site(code="NORTH", name="North", time_zone="Europe/Berlin"),))
DAY = datetime(2026, 3, 10, tzinfo=UTC)
_numbers = itertools.count(1)


def at(clock: str, day: int = 0) -> datetime:
    """A UTC time of 10 March 2026, or of days after it."""
    hour, minute = clock.split(":")
    return DAY + timedelta(days=day, hours=int(hour), minutes=int(minute))


def said(*events: tuple[str, datetime], source: str = "hl7", **columns: Any) -> dict[str, Any]:
    """A workflow row; its statement is as old as its latest event unless it says otherwise."""
    return {
        "digest": f"{next(_numbers):064d}",
        "source": source,
        "site": "NORTH",
        "patient": "P1",
        "modality": "CT",
        "imaging": True,
        "stated_at": max((when for _, when in events), default=None),
        "events": [{"event": name, "at": when, "precision": "s", "field": "F"} for name, when in events],
        **columns,
    }


def acquired(start: datetime, minutes: float, uid: str = "1", **columns: Any) -> dict[str, Any]:
    """A series row."""
    digest = f"{next(_numbers):064d}"
    return {
        "digest": digest,
        "input_digest": digest,
        "source": "dicom",
        "site": "NORTH",
        "patient": "P1",
        "modality": "CT",
        "manufacturer": "Maker",
        "model": "One",
        "serial": "77",
        "station": "CT1",
        "study_uid": f"2.25.{uid}",
        "series_uid": f"2.25.{uid}.1",
        "is_acquired": True,
        "order_key": f"{start.isoformat()}",
        "started_at": start,
        "ended_at": start + timedelta(minutes=minutes),
        "instances": [1],
        "frames": 1,
        "bytes": 1,
        **columns,
    }


def derived(
    workflow: list[dict[str, Any]], series: list[dict[str, Any]] | None = None, **known: Any
) -> dict[str, pl.DataFrame]:
    """All facts of some rows."""
    frames = {
        "workflow": conform("workflow", pl.DataFrame(workflow, infer_schema_length=None)),
        "series": conform("series", pl.DataFrame(series or [{"digest": None}], infer_schema_length=None)).drop_nulls(
            "digest"
        ),
    }
    return derive(Landed.of(frames), Known(SETTINGS, **known))


def only(facts: dict[str, pl.DataFrame]) -> dict[str, Any]:
    """The one exam."""
    assert facts["fact_exam"].height == 1, facts["fact_exam"].select("match_rule", "state", "has_order", "has_images")
    return facts["fact_exam"].row(0, named=True)


ORDER = {"accession": "A1", "filler": "A1", "placer": "PL1", "study_uid": "2.25.1"}

MATCHES = [
    ("accession", {"accession": "A1"}, "certain"),
    ("study", {"study_uid": "2.25.1"}, "certain"),
    ("placer", {"placer": "PL1"}, "strong"),
    ("request", {"procedure_request": "RP1"}, "probable"),
]


@pytest.mark.parametrize(("rule", "keys", "confidence"), MATCHES)
def test_a_report_joins_its_order_by_whatever_they_share(rule: str, keys: dict[str, str], confidence: str) -> None:
    found = only(
        derived(
            [
                said(("order_placed", at("08:00")), procedure_request="RP1", **ORDER),
                said(("report_final", at("11:00")), **keys),
            ]
        )
    )
    assert (found["match_rule"], found["match_confidence"]) == (rule, confidence)
    assert found["final_at"] == at("11:00")


def test_a_requested_procedure_of_another_patient_is_another_one() -> None:
    facts = derived(
        [
            said(("order_placed", at("08:00")), procedure_request="RP1", **ORDER),
            said(("report_final", at("11:00")), procedure_request="RP1", patient="P2", placer="PL9"),
        ]
    )
    assert facts["fact_exam"].height == 2


def test_an_accession_number_that_dicom_cut_to_16_characters_joins_where_it_is_the_only_one() -> None:
    one = said(("order_placed", at("08:00")), accession="LONG-1", accession_cut="CUT")
    images = acquired(at("09:00"), 5, accession="CUT", accessions=["CUT"])
    found = only(derived([one], [images]))
    assert (found["match_rule"], found["has_images"]) == ("cut", True)
    two = said(("order_placed", at("08:00")), accession="LONG-2", accession_cut="CUT", patient="P2")
    assert derived([one, two], [images])["fact_exam"].height == 3


NEAR = [
    ("89 minutes before", at("07:31"), {}, 1),
    ("91 minutes before", at("07:29"), {}, 2),
    ("another patient", at("09:00"), {"patient": "P2"}, 2),
    ("another modality", at("09:00"), {"modality": "MR"}, 2),
    ("another site", at("09:00"), {"site": "SOUTH"}, 2),
]


@pytest.mark.parametrize(("_case", "planned", "columns", "exams"), NEAR)
def test_images_without_a_number_join_the_one_order_that_is_near(
    _case: str, planned: datetime, columns: dict[str, str], exams: int
) -> None:
    order = said(("exam_scheduled_for", planned), accession="A1", **columns)
    facts = derived([order], [acquired(at("09:00"), 5)])
    assert facts["fact_exam"].height == exams
    if exams == 1:
        assert only(facts)["match_confidence"] == "probable"
        assert only(facts)["started_confidence"] == "probable"


def test_of_two_near_orders_neither_is_guessed() -> None:
    orders = [
        said(("exam_scheduled_for", at(clock)), accession=name) for clock, name in (("08:50", "A1"), ("09:20", "A2"))
    ]
    assert derived(orders, [acquired(at("09:00"), 5)])["fact_exam"].height == 3


def test_a_visit_gives_the_door_time_to_all_its_exams_and_makes_none() -> None:
    door = said(("emergency_arrival", at("07:40")), visit="V1", imaging=None, modality=None, patient_class="E")
    other = said(("emergency_arrival", at("05:00")), visit="V2", imaging=None, modality=None)
    facts = derived(
        [
            door,
            other,
            said(("order_placed", at("08:00")), accession="A1", visit="V1"),
            said(("order_placed", at("08:05")), accession="A2", visit="V1"),
        ]
    )
    assert facts["fact_exam"]["door_at"].to_list() == [at("07:40")] * 2
    assert facts["fact_exam"]["patient_class"].to_list() == ["ED"] * 2
    assert facts["fact_exam"]["match_rule"].to_list() == ["accession"] * 2


def test_a_step_that_only_names_itself_follows_its_creation() -> None:
    found = only(
        derived(
            [
                said(("order_placed", at("08:00")), accession="A1"),
                said(("exam_started", at("09:00")), source="mpps", accession="A1", step_uid="2.25.9"),
                said(("exam_completed", at("09:20")), source="mpps", step_uid="2.25.9"),
            ]
        )
    )
    assert (found["started_at"], found["ended_at"], found["ended_source"]) == (at("09:00"), at("09:20"), "mpps")
    assert (found["match_rule"], found["state"]) == ("step", "completed")


def test_a_step_under_two_accessions_is_one_acquisition() -> None:
    rows = [said(("order_placed", at("08:00")), accession=name) for name in ("A1", "A2")]
    rows += [
        said(("exam_started", at("09:00")), source="mpps", accession=name, step_uid="2.25.9") for name in ("A1", "A2")
    ]
    rows.append(said(("exam_completed", at("09:20")), source="mpps", step_uid="2.25.9"))
    exams = derived(rows)["fact_exam"]
    assert exams["sharers"].to_list() == [2, 2]
    assert exams["acquisition_key"].unique().to_list() == [exams["exam_key"].min()]
    assert exams["ended_at"].to_list() == [at("09:20")] * 2


def test_of_appended_steps_the_last_ends_the_exam() -> None:
    rows = [said(("order_placed", at("08:00")), accession="A1")]
    for uid, begins, ends in (("2.25.8", "09:00", "09:20"), ("2.25.9", "09:25", "09:40")):
        rows.append(
            said(
                ("exam_started", at(begins)), ("exam_completed", at(ends)), source="mpps", accession="A1", step_uid=uid
            )
        )
    found = only(derived(rows))
    assert (found["started_at"], found["ended_at"]) == (at("09:00"), at("09:40"))


def test_a_step_closed_long_after_the_last_image_ends_nothing() -> None:
    rows = [
        said(("order_placed", at("08:00")), **ORDER),
        said(("exam_started", at("09:00")), source="mpps", accession="A1", step_uid="2.25.9"),
        said(("exam_completed", at("15:00")), source="mpps", step_uid="2.25.9"),
    ]
    facts = derived(rows, [acquired(at("09:00"), 12, accession="A1", accessions=["A1"])])
    assert only(facts)["ended_at"] == at("09:12")
    passed = facts["fact_exam_event"].filter(pl.col("passed_over").is_not_null())
    assert passed["passed_over"].to_list() == ["closed long after the last image"]


def test_a_step_of_the_wrong_worklist_entry_is_no_exam() -> None:
    rows = [
        said(("order_placed", at("08:00")), accession="A1"),
        said(
            ("exam_started", at("09:00")), ("exam_discontinued", at("09:01")),
            source="mpps", accession="A1", step_uid="2.25.9", reason_code="110514", reason_text="Incorrect worklist entry selected",
        ),
    ]  # fmt: skip
    found = only(derived(rows))
    assert (found["state"], found["is_performed"], found["started_at"]) == ("ordered", False, None)


def test_broken_off_with_its_reason_unless_it_was_begun_anew_and_completed() -> None:
    broken = said(
        ("exam_started", at("09:00")), ("exam_discontinued", at("09:05")),
        source="mpps", accession="A1", step_uid="2.25.8", reason_code="110501", reason_text="Equipment failure",
    )  # fmt: skip
    order = said(("order_placed", at("08:00")), accession="A1")
    found = only(derived([order, broken]))
    assert (found["state"], found["reason_code"]) == ("discontinued", "110501")
    again = said(
        ("exam_started", at("10:00")), ("exam_completed", at("10:15")), source="mpps", accession="A1", step_uid="2.25.9"
    )
    assert only(derived([order, broken, again]))["state"] == "completed"


def test_a_worklist_entry_without_a_time_of_its_own_never_outlives_a_cancellation() -> None:
    rows = [
        said(("order_placed", at("08:00")), accession="A1"),
        said(("order_cancelled", at("09:00")), accession="A1"),
        said(("exam_scheduled_for", at("15:00")), source="mwl", accession="A1", stated_at=None),
    ]
    assert only(derived(rows))["state"] == "cancelled"


def slots_of(*rows: dict[str, Any], series: list[dict[str, Any]] | None = None) -> list[tuple[str, str]]:
    """Slot and outcome of each appointment, in order."""
    found = derived(list(rows), series)["fact_appointment"].sort("slot_number")
    return [(f"{when:%d %H:%M}", outcome) for when, outcome in found.select("slot_at", "outcome").iter_rows()]


def booking(slot: datetime, said_at: datetime, *more: tuple[str, datetime], **columns: Any) -> dict[str, Any]:
    return said(("exam_scheduled_for", slot), *more, source="siu", accession="A1", stated_at=said_at, **columns)


SLOT = at("10:00", day=5)


def test_slots_end_as_it_is_said() -> None:
    booked = booking(SLOT, at("08:00"), ("scheduling_done", at("08:00")))
    assert slots_of(booked) == [("15 10:00", "open")]
    missed = said(("patient_no_show", at("11:00", 5)), source="siu", accession="A1")
    assert slots_of(booked, missed) == [("15 10:00", "no_show")]
    early = said(("order_cancelled", at("09:59", 4)), source="siu", accession="A1")
    late = said(("order_cancelled", at("10:01", 4)), source="siu", accession="A1")
    assert slots_of(booked, early) == [("15 10:00", "cancelled")]
    assert slots_of(booked, late) == [("15 10:00", "late_cancelled")]
    moved = booking(at("14:00", 6), at("09:00", 3))
    assert slots_of(booked, moved) == [("15 10:00", "moved"), ("16 14:00", "open")]
    assert slots_of(booked, missed, booking(at("14:00", 6), at("12:00", 5))) == [
        ("15 10:00", "no_show"),
        ("16 14:00", "open"),
    ]


def test_a_kept_slot_knows_how_late_it_began_and_on_which_device() -> None:
    rows = [
        booking(SLOT, at("08:00"), scheduled_minutes=30.0),
        said(("patient_arrived", at("09:50", 5)), accession="A1"),
    ]
    facts = derived(rows, [acquired(at("10:12", 5), 12, accession="A1", accessions=["A1"])])
    row = facts["fact_appointment"].row(0, named=True)
    assert (row["outcome"], row["slot_minutes"], row["started_late_minutes"]) == ("kept", 30.0, 12.0)
    assert row["arrived_late_minutes"] == -10.0
    assert row["device_key"] == facts["fact_exam"]["device_key"][0] != 0
    assert row["lead_days"] == pytest.approx(5 + 2 / 24)


def test_a_missed_slot_belongs_to_the_device_that_its_station_means() -> None:
    rows = [
        booking(SLOT, at("08:00"), station="ct1 "),
        said(("patient_no_show", at("11:00", 5)), source="siu", accession="A1"),
    ]
    stations = pl.DataFrame({"site": ["NORTH"], "station": ["CT1"], "device_key": [7]})
    facts = derived(rows, stations=stations)
    assert facts["fact_appointment"]["device_key"].to_list() == [7]


def test_the_room_is_taken_from_in_to_out_where_both_are_stated_and_by_the_model_otherwise() -> None:
    images = acquired(at("09:05"), 10, accession="A1", accessions=["A1"])
    order = said(("order_placed", at("08:00")), accession="A1")
    modelled = only(derived([order], [images]))
    assert (modelled["room_started_at"], modelled["room_ended_at"], modelled["room_basis"]) == (
        at("09:05"),
        at("09:22"),
        "modelled",
    )
    inside = said(("patient_in_room", at("08:58")), ("patient_left_room", at("09:19")), accession="A1")
    measured = only(derived([order, inside], [images]))
    assert (measured["room_started_at"], measured["room_ended_at"], measured["room_basis"]) == (
        at("08:58"),
        at("09:19"),
        "measured",
    )
    elsewhere = said(("patient_in_room", at("12:00")), ("patient_left_room", at("12:10")), accession="A1")
    assert only(derived([order, elsewhere], [images]))["room_basis"] == "modelled"


def test_an_exam_that_a_person_took_out_enters_no_measure() -> None:
    key = only(derived([said(("order_placed", at("08:00")), accession="A1")]))["exam_key"]
    found = only(derived([said(("order_placed", at("08:00")), accession="A1")], excluded=frozenset([key])))
    assert found["not_patient"] == "taken out by a person"


def test_a_corrected_clock_moves_the_scanner_s_times_and_keeps_what_it_said() -> None:
    """The scanner is an hour early: 08:00 by its clock is 09:00."""
    rows = [said(("order_placed", at("07:30")), accession="A1"), said(("exam_completed", at("09:14")), accession="A1")]
    images = [acquired(at("08:00"), 12, accession="A1", accessions=["A1"])]
    plain = derived(rows, images)
    device = pl.DataFrame({"device_id": [_device_id()], "local_day": [date(2026, 3, 10)], "applied_s": [3600.0]})
    found = derived(rows, images, offsets=device)
    assert only(plain)["started_at"] == at("08:00")
    assert (only(found)["started_at"], only(found)["machine_started_at"]) == (at("09:00"), at("08:00"))
    assert (only(found)["clock_offset_s"], only(found)["ended_at"]) == (3600.0, at("09:14"))
    started = found["fact_exam_event"].filter(pl.col("event") == "exam_started").row(0, named=True)
    assert (started["event_at"], started["stated_event_at"]) == (at("09:00"), at("08:00"))


def _device_id() -> str:
    from etl.star import naturals

    row = pl.DataFrame([{"site": "NORTH", "manufacturer": "Maker", "model": "One", "serial": "77", "station": "CT1"}])
    return str(naturals.device_ids(row.select(naturals.device_identity().alias("i"))["i"])[0])


def _days(shift_s: dict[tuple[str, int], float], exams_a_day: int = 8, days: int = 10) -> pl.LazyFrame:
    """Exams of three CTs whose RIS end lies 4 to 6 minutes after the last image, with a scanner's clock moved on some days."""
    rows = []
    for device, key in (("A", 1), ("B", 2), ("C", 3)):
        for day in range(days):
            for number in range(exams_a_day):
                ended = at("09:00", day) + timedelta(minutes=20 * number, seconds=30 * (number % 5))
                true_last = ended - timedelta(minutes=4 + number % 3)
                rows.append(
                    {
                        "device_key": key, "machine_ended_at": true_last - timedelta(seconds=shift_s.get((device, day), 0.0)), "ended_at": ended,
                        "ended_source": "hl7", "ended_confidence": "exact", "not_patient": None,
                    }
                )  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"not_patient": pl.Utf8}).lazy()


DEVICES = pl.DataFrame(
    {
        "device_key": [1, 2, 3],
        "device_id": ["A", "B", "C"],
        "site": ["NORTH"] * 3,
        "site_key": [5] * 3,
        "modality": ["CT"] * 3,
    }
)
ZONES = {"NORTH": "Europe/Berlin"}


def test_a_clock_an_hour_off_is_found_day_by_day_and_put_right() -> None:
    exams = _days({("B", day): 3600.0 for day in range(4, 8)})
    found = device_clocks(exams, DEVICES, ZONES, (), Clocks())
    put_right = found.filter(pl.col("applied_s").is_not_null())
    assert put_right.select("device_id", "applied_s", "rule").unique().rows() == [("B", 3600.0, "whole_hours")]
    assert put_right["local_day"].to_list() == [date(2026, 3, 14 + day) for day in range(4)]
    assert found.filter(pl.col("device_id") != "B")["offset_s"].abs().max() < 60


def test_one_odd_day_and_a_few_minutes_are_left_alone() -> None:
    found = device_clocks(_days({("B", 4): 3600.0, ("C", 2): 300.0, ("C", 3): 300.0}), DEVICES, ZONES, (), Clocks())
    assert found["applied_s"].null_count() == found.height
    assert found.filter((pl.col("device_id") == "C") & (pl.col("offset_s") > 250)).height == 2


def test_a_person_approves_a_correction_of_minutes_or_none_is_made_at_all() -> None:
    exams = _days({("C", day): 300.0 for day in range(10)})
    word = Approval("C", date(2026, 3, 12), None, 300.0)
    found = device_clocks(exams, DEVICES, ZONES, (word,), Clocks())
    assert found.filter(pl.col("rule") == "approved")["local_day"].min() == date(2026, 3, 12)
    off = device_clocks(exams, DEVICES, ZONES, (word,), Clocks(correct="none"))
    assert off["applied_s"].null_count() == off.height


def test_days_with_few_exams_borrow_from_the_days_around() -> None:
    exams = _days({("B", day): 3600.0 for day in range(10)}, exams_a_day=2)
    found = device_clocks(exams, DEVICES, ZONES, (), Clocks())
    assert found.filter(pl.col("device_id") == "B")["applied_s"].to_list() == [3600.0] * 10


def test_a_fhir_request_that_is_known_by_its_name_follows_its_placer_number() -> None:
    rows = [
        said(("order_placed", at("08:00")), accession="A1", placer="PL1"),
        said(("order_placed", at("08:00")), source="fhir", filler="ServiceRequest/7", placer="PL1"),
        said(("report_final", at("11:00")), source="fhir", filler="ServiceRequest/7", placer="PL1"),
    ]
    assert only(derived(rows))["final_at"] == at("11:00")
    assert only(derived(rows))["match_confidence"] == "strong"


def test_a_charge_found_by_a_fall_back_leaves_the_exam_certain() -> None:
    rows = [
        said(("order_placed", at("08:00")), accession="A1", procedure_request="RP1"),
        said(("charge_posted", at("18:00")), procedure_request="RP1", imaging=None),
    ]
    assert only(derived(rows))["match_confidence"] == "certain"


def test_an_unscheduled_step_follows_its_images_to_the_order_that_comes_later() -> None:
    step = [
        said(("exam_started", at("08:58")), source="mpps", study_uid="2.25.1", step_uid="2.25.9", imaging=None),
        said(("exam_completed", at("09:06")), source="mpps", step_uid="2.25.9", imaging=None, patient=None),
    ]
    images = [acquired(at("09:00"), 5)]
    assert only(derived(step, images))["match_rule"] in {"study", "step"}
    late = said(("order_placed", at("11:00")), ("exam_scheduled_for", at("09:00")), accession="A1")
    found = only(derived([*step, late], images))
    assert (found["has_order"], found["started_at"], found["match_confidence"]) == (True, at("08:58"), "probable")


def test_images_of_another_patient_than_the_order_are_flagged_unless_the_two_were_merged() -> None:
    order = said(("order_placed", at("08:00")), accession="A1")
    images = acquired(at("09:00"), 5, accession="A1", accessions=["A1"], patient="P2")
    assert only(derived([order], [images]))["flags"] == "images of another patient than the order"
    assert only(derived([order], [images], survivors={"P2": "P1"}))["flags"] is None
