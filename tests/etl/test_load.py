"""Loads: every input is accounted for, once, whatever happens in between."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import duckdb
import polars as pl
import pytest

from etl.faults import POINTS
from etl.inputs import PathError
from etl.lake.store import Lake, LockedError
from etl.load import Loader
from settings import Settings
from state.home import DataHome
from tests.etl.conftest import Load, assert_same, facts, order, result, star_of
from warehouse.publication import Publications

ROOT = Path(__file__).resolve().parents[2]


def _messages(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "order.hl7").write_text(order("1", "NW", at="20260310080000"))
    (folder / "prelim.hl7").write_text(result("2", "P", exam_at="20260310083000", report_at="20260310091500"))
    (folder / "final.hl7").write_text(result("3", "F", exam_at="20260310083000", report_at="20260310113000"))
    return folder


def test_second_load_of_the_same_changes_nothing(load: Load, home: DataHome, tmp_path: Path) -> None:
    folder = _messages(tmp_path / "in")
    first = load(folder)
    before = facts(star_of(home))
    shutil.copytree(folder, folder / "copy")
    second = load(folder)
    assert (first.total("accepted"), first.total("duplicate")) == (3, 0)
    assert (second.total("accepted"), second.total("duplicate")) == (0, 6)
    assert_same(before, facts(star_of(home)))


def test_whole_shared_collection_is_accounted_for(load: Load, home: DataHome, shared_data: Path) -> None:
    first = load(shared_data).as_json()
    assert first["offered"] == sum(
        first[verdict] for verdict in ("accepted", "duplicate", "rejected", "not_applicable")
    )
    for counts in first["by_source"].values():
        assert counts["offered"] == sum(number for verdict, number in counts.items() if verdict != "offered")
    files = sum(1 for path in shared_data.rglob("*") if path.is_file())
    assert first["offered"] >= files
    lake = Lake(home.lake)
    receipts = lake.read("receipt").collect()
    assert receipts["digest"].n_unique() == receipts.height == first["accepted"]
    rejects = lake.read("reject").filter(pl.col("verdict") == "rejected").collect()
    assert rejects.filter(
        pl.any_horizontal(
            pl.col("reason", "message", "remedy").is_null() | (pl.col("reason", "message", "remedy") == "")
        )
    ).is_empty()
    second = load(shared_data).as_json()
    assert second["accepted"] == 0
    assert second["offered"] == first["offered"]


def test_no_identifier_of_the_shared_messages_reaches_lake_or_star(
    load: Load, home: DataHome, shared_data: Path
) -> None:
    """Names and numbers of PID-3 and PID-5 stand in no column; only their pseudonyms do."""
    load(shared_data / "bad" / "hl7", shared_data / "dose")
    texts = set()
    for table in ("workflow", "patient", "series", "irradiation_event", "dose_report"):
        frame = Lake(home.lake).read(table).drop("file").collect()
        for name in frame.columns:
            if frame[name].dtype == pl.Utf8:
                texts.update(frame[name].drop_nulls().to_list())
    joined = "\n".join(texts).upper()
    for identifier in (
        "N10001",
        "N10002",
        "PHY12345",
        "2256329130905364",
        "4885555100963520",
        "OPENREM^",
        "1320419306092891",
    ):
        assert identifier not in joined, identifier


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("passage", [1, 2])
def test_killed_load_leaves_the_published_version_and_the_next_completes_it(
    point: str, passage: int, tmp_path: Path
) -> None:
    """I1, I2, I3, I4, I8: SIGKILL at every named point, then a plain rerun equals a run without a fault."""
    base, data = _messages(tmp_path / "base"), tmp_path / "data"
    more = tmp_path / "more"
    more.mkdir()
    (more / "b.hl7").write_text(
        order("4", "NW", at="20260311080000", accession="B1")
        + "\r"
        + result("5", "F", exam_at="20260311090000", report_at="20260311100000", accession="B1")
    )
    (more / "c.hl7").write_text("MSH|^~\\&|RIS|North Hospital|||20260311||ORM^O01|9|P|2.3\rPID|1||||\r")
    settings, home = Settings(), DataHome.initialise(data)
    Loader(home, settings).load([base])
    before, served = facts(star_of(home)), Publications(home.star).current_id()

    killed = _run_load(data, more, ISOCENTER_FAULT=f"{point}:{passage}")
    assert killed.returncode in {-signal.SIGKILL, 0, 1}
    if killed.returncode == -signal.SIGKILL:
        now = Publications(home.star).current_id()
        if now == served:
            assert_same(before, facts(star_of(home)))
        else:
            assert point == "tidy"
    Loader(home, settings).load([more])

    clean = DataHome.initialise(tmp_path / "clean")
    shutil.copy(home.path / "key", clean.path / "key")
    shutil.copy(home.path / "key.fingerprint", clean.path / "key.fingerprint")
    clean = DataHome.open(clean.path)
    for folder in (base, more):
        Loader(clean, settings).load([folder])
    assert_same(facts(star_of(home)), facts(star_of(clean)))
    for table in ("workflow", "receipt"):
        rows = Lake(home.lake).read(table).collect()
        assert rows["digest"].n_unique() == rows.height
    assert not Lake(home.lake).verify()
    assert not Lake(home.lake).ledger.pending()


def _run_load(data: Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "etl", "load", str(folder), "--json"]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "ISOCENTER_DATA": str(data), "ISOCENTER_CONFIG": "", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    folder, data = _messages(tmp_path / "in"), tmp_path / "data"
    full = _run_load(data, folder, ISOCENTER_FAULT="landing:1:full")
    assert full.returncode == 3
    assert "disk" in full.stderr
    assert "Traceback" not in full.stderr
    again = _run_load(data, folder)
    assert again.returncode == 0
    assert '"accepted": 3' in again.stdout


def test_second_loader_waits_or_says_who_holds_the_lock(home: DataHome, settings: Settings, tmp_path: Path) -> None:
    folder = _messages(tmp_path / "in")
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with Lake(home.lake).locked():
            held.set()
            release.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    with pytest.raises(LockedError, match=f"process {os.getpid()}"):
        Loader(home, settings).load([folder], wait_seconds=0.1)
    release.set()
    holder.join()
    assert Loader(home, settings).load([folder]).total("accepted") == 3


def test_missing_path_loads_nothing(load: Load, home: DataHome, tmp_path: Path) -> None:
    with pytest.raises(PathError, match="no such file"):
        load(_messages(tmp_path / "in") / "absent")
    assert (
        Publications(home.star).current_id() is None
        or star_of(home).text("SELECT count(*) AS n FROM fact_exam")["n"][0] == 0
    )


def test_verify_names_a_flipped_bit_and_an_emptied_commit(load: Load, home: DataHome, tmp_path: Path) -> None:
    load(_messages(tmp_path / "in"))
    lake = Lake(home.lake)
    assert not lake.verify()
    file = next(path for path in (home.lake / "workflow").rglob("*.parquet"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    assert [(damage.table, damage.what) for damage in lake.verify()] == [("workflow", "changed")]
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    load(_messages(tmp_path / "in2"))
    (tmp_path / "in3").mkdir()
    (tmp_path / "in3" / "x.hl7").write_text(order("7", "NW", at="20260312080000", accession="C1"))
    load(tmp_path / "in3")
    commit = max((home.lake / "workflow" / "_delta_log").glob("*.json"))
    commit.write_bytes(b"")
    assert {damage.what for damage in Lake(home.lake).verify()} == {"no longer in the table's log"}


def test_going_back_serves_the_older_publication(load: Load, home: DataHome, tmp_path: Path) -> None:
    load(_messages(tmp_path / "in"))
    publications = Publications(home.star)
    older = publications.current_id()
    assert older is not None
    before = facts(star_of(home))
    (tmp_path / "x.hl7").write_text(order("7", "NW", at="20260312080000", accession="C1"))
    load(tmp_path / "x.hl7")
    assert star_of(home).text("SELECT count(*) AS n FROM fact_exam")["n"][0] == 2
    publications.use(older)
    assert_same(before, facts(star_of(home)))


def test_load_after_going_back_continues_from_the_lake(load: Load, home: DataHome, tmp_path: Path) -> None:
    load(_messages(tmp_path / "in"))
    older = Publications(home.star).current_id()
    assert older is not None
    (tmp_path / "x.hl7").write_text(order("7", "NW", at="20260312080000", accession="C1"))
    load(tmp_path / "x.hl7")
    Publications(home.star).use(older)
    (tmp_path / "y.hl7").write_text(order("8", "NW", at="20260313080000", accession="D1"))
    load(tmp_path / "y.hl7")
    assert star_of(home).text("SELECT count(*) AS n FROM fact_exam")["n"][0] == 3


def test_memory_and_rows_of_one_large_file_are_read_in_batches(load: Load, home: DataHome, tmp_path: Path) -> None:
    big = tmp_path / "day.hl7"
    big.write_text(
        "\r".join(order(str(n), "NW", at="20260310080000", accession=f"A{n}", patient=f"P{n}") for n in range(4500))
    )
    outcome = load(big)
    assert outcome.total("accepted") == 4500
    assert star_of(home).text("SELECT count(*) AS n FROM fact_exam")["n"][0] == 4500


class _Breaking(Executor):
    """An executor whose workers die at once, as a poison file makes them."""

    def submit(self, *_: object, **__: object) -> Future[object]:  # type: ignore[override]
        future: Future[object] = Future()
        future.set_exception(BrokenProcessPool("a worker died"))
        return future


def test_dead_workers_cost_no_file(home: DataHome, settings: Settings, tmp_path: Path) -> None:
    folder = _messages(tmp_path / "in")
    outcome = Loader(home, settings).load([folder], executor=_Breaking())
    assert (outcome.total("accepted"), outcome.total("rejected")) == (3, 0)


def test_any_executor_reads(home: DataHome, settings: Settings, tmp_path: Path) -> None:
    """The seam for a cluster: anything with `submit`, here threads."""
    folder = _messages(tmp_path / "in")
    with ThreadPoolExecutor(2) as threads:
        assert Loader(home, settings).load([folder], executor=threads).total("accepted") == 3


def test_lake_is_read_by_other_engines_without_this_program(load: Load, home: DataHome, tmp_path: Path) -> None:
    load(_messages(tmp_path / "in"))
    own = Lake(home.lake).read("workflow").collect().height
    assert pl.read_delta(str(home.lake / "workflow")).height == own
    files = f"{home.lake}/workflow/**/*.parquet"
    found = duckdb.sql(
        f"SELECT count(*) FROM read_parquet('{files}', hive_partitioning = true, hive_types = {{'month': VARCHAR}}) WHERE month = '2026-03'"
    ).fetchall()
    assert found == [(own,)]
