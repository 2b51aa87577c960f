"""Events from several objects, their sources, sizes and classes: on landing rows made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import polars as pl
import pytest

from etl.lake.store import conform
from etl.star.dose_events import dose_sources, irradiation_events
from etl.star.dose_exams import exam_doses, of_patients
from etl.star.dose_regions import body_region
from settings import Dose

AT = datetime(2026, 5, 4, 10, tzinfo=UTC)


def stated(event: str, dlp: float | None, *, uid: str = "2.25.1", rank: int = 1, later: int = 0, **more: Any) -> dict[str, Any]:  # fmt: skip
    return {
        "digest": f"{uid}/{event}/{rank}", "input_digest": uid, "source": "rdsr", "file": f"{uid}.dcm", "month": "2026-05", "study_uid": "2.25.9", "manufacturer": "Aster", "model": "CT", "serial": "1", "station": "CT1",
        "object_uid": uid, "object_class": "rdsr" if rank == 1 else "header", "object_rank": rank, "object_at": AT + timedelta(minutes=later), "event_uid": event, "event_uid_derived": False, "event_kind": "ct", "event_number": 1,
        "started_at": AT + timedelta(seconds=len(event)), "acquisition_type": "116152004", "acquisition_protocol": "CHEST ROUTINE", "ctdivol_mgy": None if dlp is None else dlp / 40, "ctdi_phantom": "body32", "dlp_mgycm": dlp, "kvp": 120.0,
        "flags": [], "stated": [],
    } | more  # fmt: skip


def landed(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return conform("irradiation_event", pl.DataFrame(rows, infer_schema_length=None))


def matched(frame: pl.DataFrame, exam: int = 1) -> pl.DataFrame:
    return frame.select("digest").with_columns(exam_key=pl.lit(exam, pl.Int64))


def built(rows: list[dict[str, Any]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    frame = landed(rows)
    events = irradiation_events(frame, matched(frame))
    return events, dose_sources(frame, matched(frame), events)


def test_continued_reports_again_and_in_any_order_give_four_events() -> None:
    """The continuation of the reference: 60.17 and 56.44 mGy·cm are 116.61, however often they come."""
    first = [stated("1.1", 1.79, uid="2.25.1"), stated("1.2", 58.38, uid="2.25.1")]
    second = [stated("1.3", 1.84, uid="2.25.2", later=30), stated("1.4", 54.60, uid="2.25.2", later=30)]
    cumulative = [row | {"object_uid": "2.25.3", "digest": f"c{row['digest']}", "object_at": AT + timedelta(hours=1)} for row in (*first, *second)]  # fmt: skip
    for parts in permutations((first, second, cumulative)):
        events, _ = built([row for part in parts for row in part])
        assert events.height == 4
        assert events["dlp_mgycm"].sum() == pytest.approx(116.61)
        assert set(events["objects"]) == {2}
        assert not events["is_disputed"].any()


def test_every_statement_is_kept_with_why_it_was_passed_over() -> None:
    rows = [
        stated("1.1", 300.0, uid="2.25.1"),
        stated("1.1", 310.0, uid="2.25.2", later=60),  # corrected
        stated("1.1", 310.0, uid="2.25.3", later=30),  # stated before, the same as what holds
        stated("1.1", None, uid="2.25.4", rank=4, ctdivol_mgy=7.5),
    ]
    events, sources = built(rows)
    assert events.row(0, named=True)["dlp_mgycm"] == 310.0
    assert events.row(0, named=True)["is_disputed"]
    told = {row["object_uid"]: (row["is_used"], row["passed_over"]) for row in sources.iter_rows(named=True)}
    assert told == {
        "2.25.2": (True, None),
        "2.25.1": (False, "an older statement"),
        "2.25.3": (False, "the same figures, stated again"),
        "2.25.4": (False, "a better kind of object states it"),
    }
    assert sources["exam_key"].unique().to_list() == [1]


def test_all_images_of_an_acquisition_are_one_statement() -> None:
    slices = [stated("1.1", None, uid=f"2.25.{n}", rank=4, ctdivol_mgy=8.0) for n in range(5)]
    _, sources = built(slices)
    assert sources.height == 1


def test_the_same_exposure_under_two_uids_is_flagged_and_not_merged() -> None:
    events, _ = built([stated("1.1", 300.0), stated("2.2", 300.0, uid="2.25.7"), stated("3.3", 301.0)])
    doubts = {row["event_uid"]: row["flags"] for row in events.iter_rows(named=True)}
    assert "probably the same exposure under another UID" in doubts["1.1"]
    assert "probably the same exposure under another UID" in doubts["2.2"]
    assert doubts["3.3"] == []


def test_size_comes_from_the_best_way_and_gives_a_size_specific_dose() -> None:
    rows = [
        stated("1.1", 400.0, ctdivol_mgy=10.0, size_ap_mm=200.0, size_lateral_mm=312.5),
        stated("1.2", 400.0, ctdivol_mgy=10.0, size_ap_mm=200.0, water_equivalent_diameter_mm=289.4463),
        stated("1.3", 400.0, ctdivol_mgy=10.0, size_effective_diameter_mm=250.0, ctdi_phantom=None),
        stated("1.4", 400.0, ctdivol_mgy=10.0, ssde_stated_mgy=14.0),
        stated("1.5", 40.0, ctdivol_mgy=1.0, acquisition_type="113805", size_effective_diameter_mm=250.0),
    ]
    events = {row["event_uid"]: row for row in built(rows)[0].iter_rows(named=True)}
    assert events["1.1"]["ssde_mgy"] == pytest.approx(14.7924, abs=5e-5)
    assert (events["1.1"]["size_cm"], events["1.1"]["size_method"]) == (25.0, "effective diameter from AP and lateral")
    assert events["1.2"]["ssde_mgy"] == pytest.approx(12.7978, abs=5e-5)
    assert events["1.2"]["ssde_method"] == "AAPM 220"
    assert events["1.3"]["ssde_mgy"] is None  # the phantom is unknown
    assert (events["1.4"]["ssde_mgy"], events["1.4"]["ssde_method"]) == (14.0, "stated")
    assert events["1.5"]["is_localizer"]
    assert events["1.5"]["ssde_mgy"] is None


@pytest.mark.parametrize(
    ("texts", "region"),
    [
        (("Chest", "X", "Y"), "chest"),
        (("Unknown", "ABD PELVIS ROUTINE", ""), "abdomen and pelvis"),
        ((None, "CT TAP mit KM", ""), "chest abdomen pelvis"),
        ((None, None, "CT HEAD WITHOUT CONTRAST"), "head"),
        (("Entire body", "", ""), "whole body"),
        (("Lower limb", "", ""), "extremity"),
        ((None, "L-SPINE", None), "spine"),
        (("Breast", "", ""), "breast"),
        ((None, "QA DAILY", None), None),
    ],
)
def test_a_region_is_told_by_words(texts: tuple[str | None, ...], region: str | None) -> None:
    frame = pl.DataFrame([texts], schema=dict.fromkeys(("a", "b", "c"), pl.Utf8), orient="row")
    assert frame.select(body_region("a", "b", "c")).item() == region


def doses_of(rows: list[dict[str, Any]], decided: dict[int, str] | None = None, **exam: Any) -> dict[str, Any]:
    events, _ = built(rows)
    reports = conform("dose_report", pl.DataFrame([{"digest": "x"}]))[:0]
    doses = exam_doses(events, reports, matched(reports), landed(rows))
    about = {
        "exam_key": 1,
        "age_years": 61.0,
        "weight_kg": 82.0,
        "height_m": 1.8,
        "sex": "M",
        "not_patient": None,
    } | exam
    kinds = {"not_patient": pl.Utf8, "age_years": pl.Float64, "weight_kg": pl.Float64, "sex": pl.Utf8}
    exams = pl.DataFrame([about], schema_overrides=kinds)
    return of_patients(doses, exams, events, decided or {}, Dose()).row(0, named=True)


def test_localizers_count_for_length_but_not_for_the_greatest_output() -> None:
    rows = [
        stated("1.1", 4.0, acquisition_type="113805", ctdivol_mgy=99.0),
        stated("1.2", 300.0),
        stated("1.3", 200.0, ctdi_phantom="head16"),
    ]
    made = doses_of(rows)
    assert (made["events"], made["acquisitions"]) == (3, 2)
    assert made["ctdivol_max_mgy"] == 7.5
    assert (made["dlp_mgycm"], made["dlp_body32_mgycm"], made["dlp_head16_mgycm"]) == (504.0, 304.0, 200.0)
    assert (made["age_band"], made["weight_band"]) == ("adult", "80–110 kg")


@pytest.mark.parametrize(
    ("more", "exam", "decided", "expected"),
    [
        ({}, {}, {}, ("patient", None)),
        ({}, {"not_patient": "name *phantom*"}, {}, ("phantom", "name *phantom*")),
        ({"acquisition_protocol": "QA Daily head"}, {}, {}, ("suspected", "protocol QA Daily head")),
        ({"acquisition_protocol": "QA Daily head"}, {}, {1: "patient"}, ("patient", "a person said so")),
        ({}, {}, {1: "service"}, ("service", "a person said so")),
        ({}, {"sex": "O", "age_years": 126.0}, {}, ("suspected", "a record of other sex and more than 100 years")),
        ({}, {"not_patient": "taken out by a person"}, {}, ("service", "taken out by a person")),
    ],
)
def test_whose_exposure_it_was(
    more: dict[str, Any], exam: dict[str, Any], decided: dict[int, str], expected: tuple[str, str | None]
) -> None:
    made = doses_of([stated("1.1", 300.0, **more)], decided, **exam)
    assert (made["exposure_class"], made["class_reason"]) == expected


def test_planes_and_the_reference_point_of_fluoroscopy() -> None:
    def shot(event: str, plane: str, kerma: float, point: str = "113860") -> dict[str, Any]:
        return stated(event, None, event_kind="projection", plane=plane, rp_air_kerma_mgy=kerma, dap_gycm2=kerma / 10, reference_point=point, ctdi_phantom=None)  # fmt: skip

    made = doses_of([shot("1.1", "A", 100.0), shot("1.2", "B", 40.0)])
    assert (made["rp_exam_mgy"], made["rp_plane_a_mgy"], made["rp_plane_b_mgy"]) == (140.0, 100.0, 40.0)
    assert made["rp_comparable"]
    assert not doses_of([shot("1.1", "single", 100.0, "113941")])["rp_comparable"]


def test_a_view_made_twice_is_a_repeat() -> None:
    def view(event: str, side: str, name: str) -> dict[str, Any]:
        return stated(event, None, event_kind="mammography", laterality=side, view=name, agd_mgy=1.2, ctdi_phantom=None)

    views = [view("1.1", "L", "CC"), view("1.2", "L", "MLO"), view("1.3", "R", "CC"), view("1.4", "L", "CC")]
    assert doses_of(views)["repeats"] == 1
    assert doses_of([*views[:3], stated("1.5", 5.0, is_repeat=True)])["repeats"] == 1


def test_a_steps_total_counts_only_where_no_report_does() -> None:
    def report(uid: str, object_class: str, dap: float) -> dict[str, Any]:
        return {"digest": uid, "object_uid": uid, "object_class": object_class, "object_at": AT, "procedure_reported": "projection", "dap_total_gycm2": dap, "events_found": 0}  # fmt: skip

    nothing = landed([stated("1.1", 1.0)])[:0]
    events = irradiation_events(nothing, matched(nothing))
    for objects, dap, n in (([report("a", "mpps", 5.0)], 5.0, 1), ([report("a", "mpps", 5.0), report("b", "rdsr", 6.0)], 6.0, 1)):  # fmt: skip
        frame = conform("dose_report", pl.DataFrame(objects))
        made = exam_doses(events, frame, matched(frame), nothing).row(0, named=True)
        assert (made["dap_exam_gycm2"], made["reports"], made["dose_kind"]) == (dap, n, "projection")
