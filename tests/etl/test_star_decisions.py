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


def _staffed(home: DataHome, day: date) -> float:
    frame = star_of(home).text(
        f"SELECT coalesce(sum(minutes), 0) AS m FROM fact_device_span WHERE is_staffed AND local_day = DATE '{day}'"
    )
    return float(frame["m"][0])
