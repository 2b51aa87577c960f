"""The commands as their user sees them: help, exit codes, stable keys, messages without a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etl.__main__ import main
from etl.commands import COMMANDS
from tests.etl.conftest import order
from warehouse.__main__ import main as warehouse_main

CONFIG = 'sites = [{code = "NORTH", name = "North", time_zone = "Europe/Berlin", aliases = ["North Hospital"]}]\n'


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "isocenter.toml").write_text(CONFIG)
    monkeypatch.setenv("ISOCENTER_CONFIG", str(tmp_path / "isocenter.toml"))
    monkeypatch.setenv("ISOCENTER_DATA", str(tmp_path / "data"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "good.hl7").write_text(order("1", "NW", at="20260310080000"))
    (tmp_path / "in" / "bad.hl7").write_text(
        "MSH|^~\\&|RIS|North Hospital|||20260310||ORM^O01|9|P|2.3\rPID|1\rORC|NW\rOBR|1\r"
    )
    return tmp_path


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "--json" in text
    assert "--config" in text


def test_load_answers_with_stable_keys_on_standard_output_alone(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["load", str(place / "in"), "--json"]) == 1  # something was rejected
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {
        "offered",
        "accepted",
        "duplicate",
        "rejected",
        "not_applicable",
        "by_source",
        "run_id",
        "seconds",
        "publication",
    }
    assert answer["offered"] == 2
    assert answer["by_source"]["hl7"]["accepted"] == 1


def test_corrected_input_resolves_its_reject(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["load", str(place / "in"), "--json"])
    capsys.readouterr()
    main(["rejects", "--json"])
    (reject,) = json.loads(capsys.readouterr().out)
    assert {"file", "position", "field", "reason", "message", "remedy", "digest", "status"} <= set(reject)
    assert main(["rejects", "--export", reject["digest"][:12], "--out", str(place / "out.hl7")]) == 0
    assert (place / "out.hl7").read_bytes().startswith(b"MSH|")
    (place / "in" / "bad.hl7").write_text(order("2", "NW", at="20260311080000", accession="B1"))
    assert main(["rejects", "--retry"]) == 0
    capsys.readouterr()
    main(["rejects", "--json"])
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["load", "absent"], 2, "no such file or folder"),
        (["rejects"], 3, "load something first"),
        (["status"], 3, "load something first"),
        (["publications", "--use", "x"], 3, "load something first"),
        (["load", "in", "--config", "absent.toml"], 2, "cannot be read"),
        (["demo", "--out", "x", "--scale", "9"], 2, "--scale"),
    ],
)
def test_wrong_use_is_said_in_plain_words(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_rebuild_check_verify_and_status_after_a_load(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["load", str(place / "in")])
    assert main(["rebuild", "--index"]) == 0
    assert main(["check"]) == 0
    assert main(["verify"]) == 0
    capsys.readouterr()
    assert main(["status", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["rows"]["fact_exam"] == 1
    assert status["open_rejects"] == 1
    assert main(["publications"]) == 0


def test_data_without_its_key_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["load", str(place / "in")])
    (place / "data" / "key").rename(place / "key")
    assert main(["load", str(place / "in")]) == 3
    assert "key" in capsys.readouterr().err


def test_star_is_asked_and_only_read(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["load", str(place / "in")])
    capsys.readouterr()
    assert warehouse_main(["query", "SELECT count(*) AS exams FROM fact_exam", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"exams": 1}]
    for statement in (
        "DROP VIEW fact_exam",
        "SELECT 1; SELECT 2",
        "COPY fact_exam TO 'x.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT nonsense",
        "ATTACH 'x.db'",
    ):
        assert warehouse_main(["query", statement]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "Traceback" not in captured.err


def test_measures_are_listed_and_evaluated(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["load", str(place / "in")])
    capsys.readouterr()
    assert warehouse_main(["measures", "--format", "csv"]) == 0
    assert "report_minutes_p50" in capsys.readouterr().out
    assert (
        warehouse_main(["measure", "exams", "--by", "site", "--from", "2026-03-01", "--to", "2026-03-31", "--json"])
        == 0
    )
    assert warehouse_main(["measure", "nothing"]) == 2
    assert "there are" in capsys.readouterr().err
