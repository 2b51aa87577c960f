"""`check-source`: what would be loaded, what is missing for which measure, what to ask for; nothing is stored."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from etl.__main__ import main
from etl.lake.schema import LANDING
from etl.pull.needs import NEEDS, SOURCES, judged
from etl.pull.trial import remarks, try_paths
from etl.sources.contract import Verdict
from etl.sources.events import EVENT_BY_NAME
from settings import Settings
from tests.etl.conftest import order, result

CONFIG = """
sites = [{code = "NORTH", name = "North", time_zone = "Europe/Berlin", aliases = ["North Hospital"]}]

[[extracts]]
name = "exams"
files = "exams_*.csv"
[extracts.columns]
accession = "acc"
patient = "mrn"
"event:exam_started" = "started"
"event:exam_completed" = "ended"

[[sources]]
kind = "folder"
name = "inbox"
path = "INBOX"

[[sources]]
kind = "sql"
name = "ris"
url = "sqlite:///RIS"
query = "SELECT * FROM exams WHERE changed >= :since ORDER BY changed"
watermark = "changed"
extract = "exams"
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "inbox").mkdir()
    text = CONFIG.replace("INBOX", str(tmp_path / "inbox")).replace("RIS", str(tmp_path / "ris.db"))
    (tmp_path / "isocenter.toml").write_text(text)
    monkeypatch.setenv("ISOCENTER_CONFIG", str(tmp_path / "isocenter.toml"))
    monkeypatch.setenv("ISOCENTER_DATA", str(tmp_path / "data"))
    return tmp_path


def check(capsys: pytest.CaptureFixture[str], name: str) -> tuple[int, dict[str, Any]]:
    code = main(["check-source", name, "--json"])
    return code, json.loads(capsys.readouterr().out)


def texts(answer: dict[str, Any], kind: str) -> str:
    return "\n".join(remark["text"] for remark in answer["remarks"] if remark["kind"] == kind)


def test_every_need_is_an_event_or_a_landing_column_and_has_a_source() -> None:
    names = {name for need in NEEDS for alternative in need.alternatives for name in alternative}
    for name in names:
        table, _, column = name.partition(".")
        known = name.removeprefix("event:") in EVENT_BY_NAME or any(
            each.name == column for each in LANDING.get(table, ())
        )
        assert known, name
    assert names == set(SOURCES)


@pytest.mark.parametrize(
    ("given", "group", "works", "lacking"),
    [
        (["event:exam_completed", "event:report_final"], "report turnaround", True, ()),
        (["series.ended_at", "event:report_final"], "report turnaround", True, ()),
        (["event:exam_completed"], "report turnaround", False, ("event:report_final",)),
        (["event:patient_in_room", "workflow.station"], "room utilisation", False, ("event:patient_left_room",)),
        (["series.started_at", "series.ended_at", "series.station"], "room utilisation", True, ()),
        ([], "no-shows", False, ("event:patient_no_show",)),
    ],
)
def test_measures_are_judged_by_what_lacks_least(
    given: list[str], group: str, works: bool, lacking: tuple[str, ...]
) -> None:
    (found,) = (each for each in judged(given) if each.group == group)
    assert (found.works, found.lacking) == (works, lacking)


def test_folder_of_messages(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "inbox" / "a.hl7").write_text(order("1", "NW", at="20260310080000"))
    (place / "inbox" / "b.hl7").write_text(result("2", "F", exam_at="20260310083000", report_at="20260310113000"))
    (place / "inbox" / "c.hl7").write_text(
        "MSH|^~\\&|RIS|North Hospital|||20260311||ORM^O01|9|P|2.3\rPID|1\rORC|NW\rOBR|1\r"
    )
    code, answer = check(capsys, str(place / "inbox"))
    assert code == 1
    hl7 = answer["by_source"]["hl7"]
    assert (hl7["accepted"], hl7["rejected"]) == (2, 1)
    assert hl7["rejects"][0]["number"] == 1
    assert hl7["filled"]["workflow"]["event:report_final"] == 0.5
    assert "no-shows: lacks patient_no_show." in texts(answer, "missing")
    assert "patient_no_show: SIU^S26" in texts(answer, "ask")
    assert not (place / "data").exists()
    text = json.dumps(answer)
    assert "DOE" not in text
    assert not re.search(r"\bP1\b", text)


def test_file_of_an_extract_shows_what_rows_become(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = place / "exams_1.csv"
    file.write_text("acc,mrn,started,ended\nA1,P1,2026-03-10 08:00,2026-03-10 08:20\nA2,P1,soon,\n")
    code, answer = check(capsys, str(file))
    assert code == 1
    extract = answer["by_source"]["extract"]
    assert (extract["accepted"], extract["rejected"]) == (1, 1)
    assert extract["rejects"][0]["field"] == "started"
    assert extract["examples"][0]["events"][0]["event"] == "exam_started"
    file.rename(place / "other.csv")
    code, answer = check(capsys, str(place / "other.csv"))
    assert code == 0
    assert "[[extracts]] with name" in texts(answer, "missing")


def test_words_stand_one_a_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "inbox" / "a.hl7").write_text(order("1", "NW", at="20260310080000"))
    assert main(["check-source", str(place / "inbox")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == {"works", "gives", "missing", "ask"}


def test_named_sources(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "inbox" / "a.hl7").write_text(order("1", "NW", at="20260310080000"))
    code, answer = check(capsys, "inbox")
    assert (code, answer["kind"]) == (0, "folder")
    assert "holds 1 files" in texts(answer, "works")
    assert "quiet_seconds" in texts(answer, "missing")
    code, answer = check(capsys, "ris")
    assert code == 4
    assert "can be reached" in texts(answer, "fails")
    with sqlite3.connect(place / "ris.db") as database:
        database.execute("CREATE TABLE exams(acc, mrn, started, ended, changed)")
    code, answer = check(capsys, "ris")
    assert (code, texts(answer, "missing")[:12]) == (0, "no row since")
    with sqlite3.connect(place / "ris.db") as database:
        database.execute("INSERT INTO exams VALUES ('A1', 'P', '2026-03-10 08:00', '', '2026-03-10 08:00')")
        database.execute("INSERT INTO exams VALUES ('A2', 'P', 'soon', '', '2026-03-10 08:00')")
    code, answer = check(capsys, "ris")
    assert code == 0
    assert "extract: 1 accepted, 1 rejected." in texts(answer, "works")
    assert "bad-time" in texts(answer, "missing")


def test_unknown_name_is_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-source", "pacs"]) == 2
    assert "sources are: inbox, ris" in capsys.readouterr().err


def test_trial_reads_few_inputs_of_many(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "day.hl7").write_text(
        "\r".join(order(str(n), "NW", at="20260310080000", accession=f"A{n}") for n in range(900))
    )
    for number in range(3):
        (tmp_path / f"{number}.hl7").write_text(order(str(number), "NW", at="20260310080000"))
    trial = try_paths([tmp_path], settings)
    assert trial.files == 4
    assert trial.total(Verdict.ACCEPTED) == 50 + 3
    for number in range(450):
        (tmp_path / f"more{number}.hl7").write_text(order(str(number), "NW", at="20260310080000"))
    assert try_paths([tmp_path], settings).total(Verdict.ACCEPTED) <= 200


def test_empty_folder(tmp_path: Path, settings: Settings) -> None:
    assert all(remark.kind in {"missing", "ask"} for remark in remarks(try_paths([tmp_path], settings)))
