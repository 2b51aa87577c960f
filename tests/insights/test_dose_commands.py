"""The dose office's commands on a small star: what they print, write and refuse."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "dashboards"))

from star_builder import build_star

from insights.__main__ import main
from state.home import DataHome


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = DataHome.initialise(tmp_path_factory.mktemp("office") / "data")
    build_star(home.star)
    return home.path


@pytest.fixture(autouse=True)
def environment(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISOCENTER_DATA", str(data))


def test_alerts_are_raised_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alerts"]) == 0
    first = capsys.readouterr().out
    assert "times what patients of this size get with AbdPel pv on CT 1" in first
    assert main(["alerts", "--quiet"]) == 0
    assert capsys.readouterr().out == "0 new alerts\n"


def test_a_lower_number_fires_more_often(capsys: pytest.CaptureFixture[str]) -> None:
    def fired(number: str) -> int:
        assert main(["preview-rule", "group", number]) == 0
        return int(capsys.readouterr().out.split("fired ")[1].split(" ")[0])

    assert fired("2") > fired("4")
    assert main(["preview-rule", "group", "3", "--from", "2026-11-10", "--to", "2026-11-01"]) == 2


def test_the_pack_of_a_month_is_the_same_each_time(tmp_path: Path) -> None:
    asked = ["inspector-pack", "--from", "2026-10-01", "--to", "2026-10-31", "--out"]
    assert main([*asked, str(tmp_path / "a")]) == 0
    assert main([*asked, str(tmp_path / "b")]) == 0
    for ending in ("pdf", "xlsx"):
        name = f"dose-pack-2026-10-01-2026-10-31.{ending}"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_survey_has_no_identifier_and_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    period = ["--from", "2026-08-01", "--to", "2026-11-15"]
    file = tmp_path / "abdomen.csv"
    main(["dose-survey", "CT-ABDPEL-W", *period, "--out", str(file)])
    said = capsys.readouterr().out
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert f"{len(rows)} exams" in said
    assert len(rows) > 20
    assert not {"exam_id", "exam_key", "patient_key", "accession_pseudonym"} & set(rows[0])
    assert "exams name no phantom" in said  # the small star has sums without phantoms
    assert main(["dose-survey", "CT-NOTHING", *period, "--out", str(file)]) == 1
    assert "protocol dictionary" in capsys.readouterr().err
