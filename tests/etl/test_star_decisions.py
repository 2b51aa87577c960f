"""What people decide changes the star at the next publication, and taking it back restores what was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from etl.lake.store import Lake
from etl.load import Loader
from etl.star.build import StarBuilder
from etl.star.decided import Decided
from etl.star.index import LakeIndex
from settings import Settings, Site, StaffedHours
from state.audit import AuditTrail
from state.database import open_state
from state.decisions import DecisionKind, Decisions
from state.home import DataHome
from tests.etl.conftest import assert_same, facts, merge, order, result, star_of

SETTINGS = Settings(
    sites=(
        Site(
            code="NORTH",
            name="North",
            time_zone="Europe/Berlin",
            aliases=("North Hospital",),
            hours=(StaffedHours(modality="CT", opens=time(8), closes=time(18)),),
        ),
    )
)


@pytest.fixture
def home(tmp_path: Path) -> DataHome:
    made = DataHome.initialise(tmp_path / "data")
    (tmp_path / "in").mkdir()
    messages = [
        order("1", "NW", at="20260310080000"),
        result("2", "F", exam_at="20260310083000", report_at="20260310113000"),
        merge("3", "P9", "P1", at="20260312080000"),
        order("4", "NW", at="20260401080000", accession="B2", patient="P9"),
    ]
    for number, message in enumerate(messages):
        (tmp_path / "in" / f"{number}.hl7").write_text(message)
    Loader(made, SETTINGS).load([tmp_path / "in"])
    return made


@pytest.fixture
def decide(home: DataHome) -> Callable[..., int]:
    """Takes a decision, publishes, and gives its number; with a number, takes that one back."""
    engine = open_state(home.state_file)
    decisions = Decisions(engine, AuditTrail(engine, home.derived("audit")))

    def run(kind: DecisionKind | int, subject: str = "", value: dict[str, Any] | None = None) -> int:
        number = 0
        if isinstance(kind, int):
            decisions.revoke("ada", kind, "not so")
        else:
            [number] = decisions.decide("ada", [(kind, subject, value or {})], "seen")
        publish(home)
        return number

    return run


def publish(home: DataHome, *, everything: bool = False) -> None:
    lake = Lake(home.lake)
    index = LakeIndex(lake)
    try:
        index.catch_up()
        StarBuilder(lake, index, home.star, SETTINGS, decided=Decided.of(home)).publish(everything=everything)
    finally:
        index.close()


def exams(home: DataHome) -> pl.DataFrame:
    return star_of(home).text("SELECT * FROM fact_exam ORDER BY local_day")


def test_an_exam_taken_out_and_taken_back(home: DataHome, decide: Callable[..., int]) -> None:
    before = facts(star_of(home))
    number = decide(DecisionKind.EXCLUDE_EXAM, str(exams(home)["exam_key"][0]))
    assert exams(home)["not_patient"].to_list() == ["taken out by a person", None]
    with_decision = facts(star_of(home))
    publish(home, everything=True)
    assert_same(with_decision, facts(star_of(home)))
    decide(number)
    assert_same(before, facts(star_of(home)))


def test_a_merge_taken_apart_and_put_together(home: DataHome, decide: Callable[..., int]) -> None:
    before = facts(star_of(home))
    assert exams(home)["patient_key"].n_unique() == 1
    ended, survivor = (home.pseudonymiser.pseudonym("patient", name) for name in ("P1", "P9"))
    number = decide(DecisionKind.UNDO_MERGE, f"{ended} {survivor}", {"merged": ended, "survivor": survivor})
    assert exams(home)["patient_key"].n_unique() == 2
    decide(number)
    assert_same(before, facts(star_of(home)))


def test_a_mapping_changes_the_procedure_and_no_exam(home: DataHome, decide: Callable[..., int]) -> None:
    key = str(exams(home)["procedure_key"][0])
    files = star_of(home).publication.tables["fact_exam"].files
    value = {"status": "confirmed", "code": "CT-HEAD", "scheme": "own", "name": "CT of the head"}
    decide(DecisionKind.MAP_PROCEDURE, key, value)
    star = star_of(home)
    mapped = star.text(
        f"SELECT mapping_status, standard_code, standard_name FROM dim_procedure WHERE procedure_key = {key}"
    )
    assert mapped.row(0) == ("confirmed", "CT-HEAD", "CT of the head")
    assert star.publication.tables["fact_exam"].files == files


def test_a_closure_entered_by_a_person_takes_the_day_out(
    home: DataHome, decide: Callable[..., int], tmp_path: Path
) -> None:
    from tests.etl.test_star_images import image

    image(tmp_path / "images", day="20260310", at="090000", AccessionNumber="A1")
    image(
        tmp_path / "images",
        day="20260311",
        at="090000",
        AccessionNumber="C3",
        StudyInstanceUID="2.25.77",
        SeriesInstanceUID="2.25.78",
    )
    Loader(home, SETTINGS).load([tmp_path / "images"])
    before = facts(star_of(home))
    assert _staffed(home, date(2026, 3, 11)) == 600
    closure = {
        "site": "NORTH", "device": None, "modality": "CT", "kind": "closed", "starts_local": "2026-03-11T00:00",
        "ends_local": "2026-03-12T00:00", "reason": "Flood",
    }  # fmt: skip
    number = decide(DecisionKind.CALENDAR, "NORTH CT closed 2026-03-11", closure)
    assert _staffed(home, date(2026, 3, 11)) < 60
    assert _staffed(home, date(2026, 3, 10)) == 600
    decide(number)
    assert_same(before, facts(star_of(home)))


def test_a_volume_plan_stands_in_the_star_until_it_is_taken_back(home: DataHome, decide: Callable[..., int]) -> None:
    def planned() -> list[tuple[str, float]]:
        query = "SELECT month, sum(planned_exams) FROM fact_planned_volume GROUP BY month ORDER BY month"
        return [(month, round(exams, 6)) for month, exams in star_of(home).text(query).iter_rows()]

    def rows(exams: int) -> list[dict[str, str]]:
        return [
            {"site": "NORTH", "modality": "CT", "month": f"2027-{month:02}", "exams": str(exams + month)}
            for month in range(1, 13)
        ]

    assert planned() == []
    decide(DecisionKind.VOLUME_PLAN, "2027", {"rows": rows(0)})
    assert planned() == [(f"2027-{month:02}", month) for month in range(1, 13)]
    days = star_of(home).text("SELECT count(*) FROM fact_planned_volume JOIN dim_date USING (date_key)")
    assert days.item() == 365
    number = decide(DecisionKind.VOLUME_PLAN, "2027", {"rows": rows(500)})
    assert planned() == [(f"2027-{month:02}", 500 + month) for month in range(1, 13)]
    decide(number)
    assert planned() == [(f"2027-{month:02}", month) for month in range(1, 13)]


def _with_dose(home: DataHome, folder: Path) -> str:
    """Loads a mammogram with dose under a protocol that sounds like a test; its exam's key."""
    from tests.etl.test_star_images import image

    image(
        folder, day="20260310", at="090000", AccessionNumber="A1", Modality="MG", SOPClassUID="1.2.840.10008.5.1.4.1.1.1.2", ProtocolName="QA Daily", OrganDose="0.012", KVP="29",
        ImageLaterality="L", ViewPosition="CC",
    )  # fmt: skip
    Loader(home, SETTINGS).load([folder])
    return str(star_of(home).text("SELECT exam_key FROM fact_exam_dose")["exam_key"][0])


def test_a_person_says_whose_exposure_it_was(home: DataHome, decide: Callable[..., int], tmp_path: Path) -> None:
    key = _with_dose(home, tmp_path / "images")
    before = facts(star_of(home))
    said = "SELECT exposure_class, class_reason FROM fact_exam_dose"
    assert star_of(home).text(said).row(0) == ("suspected", "protocol QA Daily")
    number = decide(DecisionKind.EXPOSURE_CLASS, key, {"exposure_class": "patient"})
    assert star_of(home).text(said).row(0) == ("patient", "a person said so")
    with_decision = facts(star_of(home))
    publish(home, everything=True)
    assert_same(with_decision, facts(star_of(home)))
    decide(number)
    assert_same(before, facts(star_of(home)))


def test_protocols_levels_factors_and_ranges_change_dimensions_alone(
    home: DataHome, decide: Callable[..., int], tmp_path: Path
) -> None:
    _with_dose(home, tmp_path / "images")
    files = star_of(home).publication.tables["fact_exam_dose"].files
    key = str(star_of(home).text("SELECT protocol_key FROM dim_protocol WHERE protocol_name = 'QA Daily'").item())
    value = {"status": "confirmed", "code": "MG-BREAST", "scheme": "own", "name": "Mammogram"}
    mapped = decide(DecisionKind.MAP_PROTOCOL, key, value)
    level = {
        "authority": "Ministry", "year": "2024", "population": "adult", "age_band": "adult", "weight_band": "", "modality": "MG", "procedure_name": "Mammography", "indication": "", "standard_code": "MG-BREAST", "metric": "agd_mgy",
        "level": "2.5", "percentile": "", "phantom": "", "source": "Gazette 3/2024", "valid_from": "2024-01-01", "valid_to": "",
    }  # fmt: skip
    imported = decide(DecisionKind.DOSE_TABLE, "Gazette", {"kind": "reference_levels", "rows": [level]})
    factor = {"quantity": "dlp_mgycm", "region": "chest", "agent": "", "phantom": "body32", "age_band": "adult", "factor": "0.014", "source": "a table"}  # fmt: skip
    decide(DecisionKind.DOSE_TABLE, "Factors", {"kind": "coefficients", "rows": [factor]})
    plan = {"agent": "fluorodeoxyglucose f^18^", "age_band": "", "mbq_per_kg": "3.5", "least_mbq": "", "most_mbq": "400", "tolerance_percent": "10", "source": "own"}  # fmt: skip
    decide(DecisionKind.DOSE_TABLE, "Activity", {"kind": "activity_plans", "rows": [plan]})
    bounds = {"protocol_key": key, "device_id": "", "metric": "agd_mgy", "low": 0.5, "high": 3.0}
    decide(DecisionKind.EXPECTED_RANGE, f"{key}||agd_mgy", bounds)
    decide(DecisionKind.DOSE_RULE, "group", {"active": False, "threshold": 3.5, "severity": 2})
    star = star_of(home)
    assert star.text(f"SELECT standard_code FROM dim_protocol WHERE protocol_key = {key}").item() == "MG-BREAST"
    assert star.text("SELECT level, source FROM dim_reference_level WHERE origin = 'imported'").row(0) == (2.5, "Gazette 3/2024")  # fmt: skip
    assert star.text("SELECT count(*) FROM dim_reference_level WHERE origin = 'shipped'").item() == 21
    assert star.text("SELECT factor FROM dim_dose_coefficient").item() == 0.014
    assert star.text("SELECT mbq_per_kg, least_mbq, most_mbq FROM dim_activity_plan").row(0) == (3.5, None, 400.0)
    assert star.text("SELECT low, high, set_by FROM dim_expected_range").row(0) == (0.5, 3.0, "ada")
    assert star.publication.tables["fact_exam_dose"].files == files
    decide(mapped)
    decide(imported)
    assert star_of(home).text(f"SELECT mapping_status FROM dim_protocol WHERE protocol_key = {key}").item() == "unmapped"  # fmt: skip
    assert star_of(home).text("SELECT count(*) FROM dim_reference_level WHERE origin = 'imported'").item() == 0


def _staffed(home: DataHome, day: date) -> float:
    frame = star_of(home).text(
        f"SELECT coalesce(sum(minutes), 0) AS m FROM fact_device_span WHERE is_staffed AND local_day = DATE '{day}'"
    )
    return float(frame["m"][0])
