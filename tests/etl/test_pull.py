"""Pulls: what is new is fetched, loaded and remembered, whatever happens in between."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from etl.__main__ import main
from etl.faults import PULL_POINTS
from etl.lake.store import Lake, LockedError
from etl.pull import folder as folder_source
from etl.pull.contract import Cursor, Fetched, PullError, Remark
from etl.pull.cursors import CursorFile
from etl.pull.pull import Puller
from etl.pull.registry import kinds
from etl.pull.spool import Spool
from settings import FolderSource, Settings, load_settings
from state.home import DataHome
from tests.etl.conftest import assert_same, facts, order, result, star_of

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """
sites = [{code = "NORTH", name = "North", time_zone = "Europe/Berlin", aliases = ["North Hospital"]}]

[[extracts]]
name = "exams"
files = "nothing fits this"
[extracts.columns]
accession = "acc"
patient = "mrn"
modality = "modality"
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
query = "SELECT acc, mrn, modality, started, ended, changed FROM exams WHERE changed >= :since ORDER BY changed"
watermark = "changed"
extract = "exams"
chunk_rows = 100
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and a database with something in them, and a configuration that names both."""
    _furnish(tmp_path)
    monkeypatch.setenv("ISOCENTER_CONFIG", str(tmp_path / "isocenter.toml"))
    monkeypatch.setenv("ISOCENTER_DATA", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> DataHome:
    """A data directory after one pull of the database without a fault."""
    folder = tmp_path_factory.mktemp("clean")
    _furnish(folder)
    settings = load_settings(folder / "isocenter.toml")
    home = DataHome.initialise(folder / "data")
    Puller(home, settings).pull(settings.sources[1])
    return home


def _furnish(folder: Path) -> None:
    (folder / "inbox").mkdir()
    (folder / "inbox" / "a.hl7").write_text(order("1", "NW", at="20260310080000"))
    database = sqlite3.connect(folder / "ris.db")
    with database:
        database.execute("CREATE TABLE exams(acc, mrn, modality, started, ended, changed)")
        database.executemany("INSERT INTO exams VALUES (?, ?, 'CT', ?, ?, ?)", [_exam(number) for number in range(150)])
    database.close()
    text = CONFIG.replace("INBOX", str(folder / "inbox")).replace("RIS", str(folder / "ris.db"))
    (folder / "isocenter.toml").write_text(text)


def _exam(number: int) -> tuple[str, str, str, str, str]:
    day, minute = 1 + number // 60, number % 60
    at = f"2026-03-{day:02d} 08:{minute:02d}:00"
    return f"A{number}", f"P{number}", at, at.replace(" 08:", " 09:"), at


def pull(capsys: pytest.CaptureFixture[str], *names: str) -> tuple[int, dict[str, Any]]:
    code = main(["pull", *names, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_every_kind_of_source_can_be_asked() -> None:
    assert {"folder", "sql"} <= set(kinds())


def test_pull_of_all_loads_what_is_new_and_the_next_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, first = pull(capsys)
    assert code == 0
    assert first["accepted"] == 151
    assert {name: each["accepted"] for name, each in first["sources"].items()} == {"inbox": 1, "ris": 150}
    assert set(first) == {
        "offered",
        "accepted",
        "duplicate",
        "rejected",
        "not_applicable",
        "by_source",
        "sources",
        "run_id",
        "seconds",
        "publication",
    }
    files = Lake(place / "data" / "lake").read("workflow").select("file").unique().collect()["file"].to_list()
    assert "inbox:a.hl7" in files
    assert sum(file.startswith("ris:") and file.endswith(".parquet") for file in files) == 2
    assert not any(str(place) in file for file in files)
    assert sorted(path.name for path in (place / "data" / "sources").glob("*.json")) == ["inbox.json", "ris.json"]
    assert not any(path.is_file() for path in (place / "data" / "spool").rglob("*"))
    assert (place / "data" / "spool" / "ris").stat().st_mode & 0o077 == 0

    _, second = pull(capsys, "ris")
    assert (second["accepted"], second["sources"]["ris"]["files"] > 0) == (0, True)  # the overlap comes again

    with sqlite3.connect(place / "ris.db") as database:
        database.execute(
            "INSERT INTO exams VALUES ('new', 'P', 'CT', '2026-03-04 08:00:00', '2026-03-04 09:00:00', '2026-03-04 08:00:00')"
        )
    _, third = pull(capsys, "ris")
    assert third["accepted"] == 1
    _, fourth = pull(capsys, "ris", "--again")
    assert (fourth["accepted"], fourth["duplicate"]) == (0, 151)


def test_names_are_checked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "pacs"]) == 2
    assert "there are: inbox, ris" in capsys.readouterr().err
    (place / "isocenter.toml").write_text("")
    assert main(["pull"]) == 2
    assert "[[sources]]" in capsys.readouterr().err


def test_source_that_fails_costs_itself_and_ends_with_4(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(place / "inbox")
    code, answer = pull(capsys)
    assert code == 4
    assert "is no folder" in answer["sources"]["inbox"]["error"]
    assert answer["sources"]["ris"]["accepted"] == 150
    assert main(["pull", "inbox"]) == 4
    assert "is no folder" in capsys.readouterr().out


@pytest.mark.parametrize("point", PULL_POINTS)
def test_killed_pull_is_completed_by_the_next(point: str, place: Path, clean: DataHome) -> None:
    """SIGKILL at every point, then a plain rerun equals a pull without a fault."""
    data = place / "data"
    data.mkdir(mode=0o700)
    for name in ("key", "key.fingerprint"):
        shutil.copy(clean.path / name, data / name)
    environment = {**os.environ, "ISOCENTER_FAULT": f"{point}:1"}
    command = [sys.executable, "-m", "etl", "pull", "ris"]
    killed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    home, settings = DataHome.open(data), load_settings()
    again = Puller(home, settings).pull(settings.sources[1])
    assert (again.error, again.total("rejected")) == (None, 0)
    assert_same(facts(star_of(home)), facts(star_of(clean)))
    rows = Lake(home.lake).read("workflow").collect()
    assert rows.height == rows["digest"].n_unique() == 150
    cursors = [(each.path / "sources" / "ris.json").read_text() for each in (home, clean)]
    assert cursors[0] == cursors[1]


def test_one_pull_of_a_source_runs_at_a_time(place: Path) -> None:
    settings, home = load_settings(), DataHome.initialise(place / "data")
    cursor = CursorFile(home.path / "sources", "inbox")
    with cursor.locked():
        holder = (home.path / "sources" / "inbox.lock").open()
        with pytest.raises(BlockingIOError):
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(LockedError, match=f"process {os.getpid()}"):
            Puller(home, settings).pull(settings.sources[0])
    assert Puller(home, settings).pull(settings.sources[0]).total("accepted") == 1


def test_damaged_cursor_is_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "data" / "sources").mkdir(parents=True)
    (place / "data" / "sources" / "inbox.json").write_text("{")
    DataHome.initialise(place / "other")
    for file in ("key", "key.fingerprint"):
        shutil.copy(place / "other" / file, place / "data" / file)
    code, answer = pull(capsys, "inbox")
    assert code == 4
    assert "is damaged" in answer["sources"]["inbox"]["error"]


class _Scripted:
    """A source that gives one file a round, and fails in the round named."""

    def __init__(self, rounds: int, fails_in: int = 0) -> None:
        self.rounds, self.fails_in = rounds, fails_in
        self.asked: list[Cursor] = []

    def check(self) -> Iterator[Remark]:
        yield Remark("works", "always")

    def fetch(self, cursor: Cursor, spool: Path) -> Fetched:
        self.asked.append(cursor)
        number = cursor.get("done", 0) + 1
        (spool / f"{number}.hl7").write_text(order(str(number), "NW", at="20260310080000", accession=f"A{number}"))
        if number == self.fails_in:
            raise PullError("it stopped answering")
        return Fetched(1, 1, {"done": number}, is_complete=number == self.rounds)


def _scripted(scripted: _Scripted, monkeypatch: pytest.MonkeyPatch) -> FolderSource:
    monkeypatch.setattr("etl.pull.pull.connection", lambda source, settings: scripted)
    return FolderSource(kind="folder", name="scripted", path=Path("unused"))


def test_pull_goes_on_until_the_source_has_no_more(
    home: DataHome, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = _Scripted(3)
    pulled = Puller(home, settings).pull(_scripted(scripted, monkeypatch))
    assert scripted.asked == [{}, {"done": 1}, {"done": 2}]
    assert (pulled.total("accepted"), pulled.files, len(pulled.outcomes)) == (3, 3, 3)


def test_source_that_does_not_move_on_is_left(
    home: DataHome, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = _Scripted(3)
    monkeypatch.setattr(stuck, "fetch", lambda cursor, spool: Fetched(0, 0, cursor, is_complete=False))
    pulled = Puller(home, settings).pull(_scripted(stuck, monkeypatch))
    assert "does not move on" in str(pulled.error)


def test_what_came_before_a_failure_is_loaded_and_asked_for_again(
    home: DataHome, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = _Scripted(3, fails_in=2)
    source = _scripted(failing, monkeypatch)
    pulled = Puller(home, settings).pull(source)
    assert pulled.error == "it stopped answering"
    assert pulled.total("accepted") == 2
    assert CursorFile(home.path / "sources", "scripted").read() == {"done": 1}
    _scripted(_Scripted(3), monkeypatch)
    again = Puller(home, settings).pull(source)
    assert (again.total("duplicate"), again.total("accepted"), again.error) == (1, 1, None)


def test_spool_shows_only_what_is_complete(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    (spool.begin() / "half").write_text("x")
    assert Spool(tmp_path / "spool").waiting() is None
    files = spool.begin()
    assert not any(files.iterdir())
    (files / "whole").write_text("x")
    spool.complete(Fetched(1, 1, {"at": 5}, is_complete=False))
    left = Spool(tmp_path / "spool").waiting()
    assert left is not None
    assert (left.files, left.cursor, left.is_complete) == (1, {"at": 5}, False)
    spool.clear()
    assert spool.waiting() is None


# -- folders -------------------------------------------------------------------------------------------------------------


def _fetch(settings: Settings, path: Path, cursor: Cursor, spool: Path) -> tuple[Fetched, list[str]]:
    source = FolderSource(kind="folder", name="inbox", path=path)
    fetched = folder_source.connect(source, settings).fetch(cursor, spool)
    return fetched, sorted(str(file.relative_to(spool)) for file in spool.rglob("*") if not file.is_dir())


def test_folder_takes_each_file_once_and_again_when_it_changes(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_source, "_SAME_INSTANT_S", 0.05)
    box = tmp_path / "in"
    (box / "sub").mkdir(parents=True)
    (box / "a.hl7").write_text("a")
    (box / "sub" / "b.hl7").write_text("b")
    time.sleep(0.1)
    first, found = _fetch(settings, box, {}, tmp_path / "1")
    assert (found, first.is_complete) == (["a.hl7", "sub/b.hl7"], True)
    assert (tmp_path / "1" / "sub" / "b.hl7").read_text() == "b"
    assert _fetch(settings, box, first.cursor, tmp_path / "2")[1] == []
    old = tmp_path / "old.hl7"
    old.write_text("old")
    os.utime(old, (1, 1))
    old.rename(box / "old.hl7")  # an old date does not hide that it is new here
    (box / "a.hl7").write_text("changed")
    assert _fetch(settings, box, first.cursor, tmp_path / "3")[1] == ["a.hl7", "old.hl7"]


def test_youngest_files_are_taken_and_looked_at_again(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.hl7").write_text("a")
    first, found = _fetch(settings, tmp_path / "in", {}, tmp_path / "1")
    assert (found, first.cursor) == (["a.hl7"], {})


def test_growing_file_waits(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.hl7").write_text("a")
    quiet = Settings.model_validate({"limits": {"quiet_seconds": 30}})
    assert _fetch(quiet, tmp_path / "in", {}, tmp_path / "1")[1] == []


def test_large_folder_comes_in_rounds_that_miss_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_source, "ROUND_FILES", 4)
    monkeypatch.setattr(folder_source, "_SAME_INSTANT_S", 0.05)
    (tmp_path / "in").mkdir()
    for number in range(10):
        (tmp_path / "in" / f"{number}.hl7").write_text("x")
    time.sleep(0.1)
    cursor: Cursor = {}
    seen: list[str] = []
    for number in range(3):
        fetched, found = _fetch(settings, tmp_path / "in", cursor, tmp_path / f"round{number}")
        cursor, seen = fetched.cursor, [*seen, *found]
        assert fetched.is_complete == (number == 2)
    assert sorted(seen) == sorted(f"{number}.hl7" for number in range(10))


def test_folder_that_may_not_be_read_is_said(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(PullError, match=r"inbox: .* is no folder"):
        _fetch(settings, tmp_path / "absent", {}, tmp_path / "1")


def test_members_of_archives_are_named_by_source(home: DataHome, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "day.zip", "w") as archive:
        archive.writestr("sub/a.hl7", order("1", "NW", at="20260310080000"))
    Puller(home, settings).pull(FolderSource(kind="folder", name="inbox", path=tmp_path / "in"))
    assert Lake(home.lake).read("receipt").collect()["file"].to_list() == ["inbox:day.zip!sub/a.hl7"]


def test_reject_of_a_pulled_file_can_be_exported(home: DataHome, settings: Settings, tmp_path: Path) -> None:
    """Its file is gone with the spool, but the quarantine has it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.hl7").write_text(
        "MSH|^~\\&|RIS|North Hospital|||20260311||ORM^O01|9|P|2.3\rPID|1\rORC|NW\rOBR|1\r"
    )
    (tmp_path / "in" / "good.hl7").write_text(result("5", "F", exam_at="20260311090000", report_at="20260311100000"))
    pulled = Puller(home, settings).pull(FolderSource(kind="folder", name="inbox", path=tmp_path / "in"))
    assert (pulled.total("accepted"), pulled.total("rejected")) == (1, 1)
    rejects = Lake(home.lake).read("reject").filter(pl.col("verdict") == "rejected").collect()
    assert rejects["file"].to_list() == ["inbox:bad.hl7"]
    assert any(path.is_file() for path in home.quarantine.rglob("*"))
