"""`publish` brings into the star what people decided, and only what changed is derived again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from etl.__main__ import main
from state.audit import AuditTrail
from state.database import open_state
from state.decisions import DecisionKind, Decisions
from state.home import DataHome
from tests.etl.conftest import order, star_of

CONFIG = 'sites = [{code = "NORTH", name = "North", time_zone = "Europe/Berlin", aliases = ["North Hospital"]}]\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataHome:
    (tmp_path / "isocenter.toml").write_text(CONFIG)
    monkeypatch.setenv("ISOCENTER_CONFIG", str(tmp_path / "isocenter.toml"))
    monkeypatch.setenv("ISOCENTER_DATA", str(tmp_path / "data"))
    (tmp_path / "in").mkdir()
    for number in (1, 2):
        message = order(str(number), "NW", at=f"2026031{number}080000", accession=f"A{number}", patient=f"P{number}")
        (tmp_path / "in" / f"{number}.hl7").write_text(message)
    assert main(["load", str(tmp_path / "in")]) == 0
    return DataHome.open(tmp_path / "data")


@pytest.fixture
def decisions(home: DataHome) -> Decisions:
    engine = open_state(home.state_file)
    return Decisions(engine, AuditTrail(engine, home.derived("audit")))


def publish(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["publish", "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_nothing_is_published_where_nothing_changed(home: DataHome, capsys: pytest.CaptureFixture[str]) -> None:
    before = star_of(home).publication.id
    assert publish(capsys)["publication"] is None
    assert star_of(home).publication.id == before


def test_decisions_take_effect_and_are_named_by_the_publication(
    home: DataHome, decisions: Decisions, capsys: pytest.CaptureFixture[str]
) -> None:
    exams = star_of(home).text("SELECT exam_key, procedure_key FROM fact_exam ORDER BY local_day")
    first, procedure = str(exams["exam_key"][0]), str(exams["procedure_key"][0])
    mapping = {"status": "confirmed", "code": "CT-HEAD-WO", "scheme": "own", "name": "CT head without contrast"}
    numbers = decisions.decide(
        "steward",
        [(DecisionKind.EXCLUDE_EXAM, first, {}), (DecisionKind.MAP_PROCEDURE, procedure, mapping)],
        "a test patient; the usual meaning",
    )
    assert publish(capsys)["publication"] == star_of(home).publication.id
    star = star_of(home)
    assert star.publication.decided["standing"] == [str(number) for number in numbers]
    taken = star.text("SELECT exam_key, not_patient FROM fact_exam WHERE not_patient IS NOT NULL")
    assert taken.rows() == [(int(first), "taken out by a person")]
    mapped = star.text("SELECT standard_code, mapping_status FROM dim_procedure WHERE mapping_status <> 'unmapped'")
    assert mapped.rows() == [("CT-HEAD-WO", "confirmed")]

    decisions.revoke("steward", numbers[0], "it was a patient")
    publish(capsys)
    star = star_of(home)
    assert star.publication.decided["standing"] == [str(numbers[1])]
    assert star.text("SELECT count(*) AS n FROM fact_exam WHERE not_patient IS NOT NULL")["n"][0] == 0


def test_the_result_equals_a_rebuild(home: DataHome, decisions: Decisions, capsys: pytest.CaptureFixture[str]) -> None:
    exam = str(star_of(home).text("SELECT min(exam_key) AS exam FROM fact_exam")["exam"][0])
    decisions.decide("steward", [(DecisionKind.EXCLUDE_EXAM, exam, {})], "a test patient")
    publish(capsys)
    published = star_of(home).text("SELECT * FROM fact_exam ORDER BY exam_key")
    assert main(["rebuild"]) == 0
    assert star_of(home).text("SELECT * FROM fact_exam ORDER BY exam_key").equals(published)
