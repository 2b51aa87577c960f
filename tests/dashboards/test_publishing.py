"""Bringing decisions into the star: one run at a time, seen from everywhere, its failure told."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from dashboards._shell.publishing import Publishing, effect
from dashboards._shell.reading import Reading
from state.audit import AuditTrail
from state.database import open_state
from state.decisions import DecisionKind, Decisions
from state.home import DataHome
from warehouse.publication import Publication, Publications, new_id, schema_digest

# Stands for `python -m etl publish`: notes that it ran, fails where another runs, and publishes what stands when it begins.
SCRIPT = """
import json, os, pathlib, sys, time
data = pathlib.Path(os.environ["ISOCENTER_DATA"])
runs = data / "runs"
with (data / "alone").open("x"):
    pass
standing = json.loads((data / "standing").read_text())
runs.write_text(str(int(runs.read_text()) + 1) if runs.exists() else "1")
time.sleep(0.4)
if (data / "fail").exists():
    print("reading the lake", file=sys.stderr)
    print("the disk is full; make room", file=sys.stderr)
    (data / "alone").unlink()
    sys.exit(3)
current = data / "star" / "publications" / (json.loads((data / "star" / "current.json").read_text())["id"] + ".json")
publication = json.loads(current.read_text()) | {"decided": {"standing": standing}}
current.write_text(json.dumps(publication))
(data / "alone").unlink()
"""


@pytest.fixture
def place(tmp_path: Path) -> DataHome:
    made = DataHome.initialise(tmp_path / "data")
    publications = Publications(made.star)
    publication = Publication(new_id(), "2026-11-16T06:00:00+00:00", {}, schema_digest(), "test", "test", 1, None)
    publications.write(publication)
    publications.use(publication.id)
    return made


@pytest.fixture
def decisions(place: DataHome) -> Decisions:
    engine = open_state(place.state_file)
    return Decisions(engine, AuditTrail(engine, place.derived("audit")))


@pytest.fixture
def publishing(place: DataHome) -> Publishing:
    return Publishing(place.path, (sys.executable, "-c", SCRIPT))


def decide(place: DataHome, decisions: Decisions, subject: str) -> None:
    decisions.decide("steward", [(DecisionKind.EXCLUDE_EXAM, subject, {})], "a test patient")
    (place.path / "standing").write_text(json.dumps([str(one.id) for one in decisions.standing()]))


def test_a_decision_is_brought_into_the_star(
    place: DataHome, decisions: Decisions, publishing: Publishing, reading: Reading
) -> None:
    assert effect(publishing, decisions, reading).state == "settled"
    decide(place, decisions, "1")
    assert publishing.missing(decisions) == {"1"}
    assert effect(publishing, decisions, reading).state == "waiting"
    thread = publishing.start(decisions)
    while not publishing.is_running() and thread.is_alive():
        time.sleep(0.01)
    assert Publishing(place.path).is_running()  # as another serving process sees it
    assert effect(publishing, decisions, reading).state == "running"
    thread.join()
    assert effect(publishing, decisions, reading).state == "settled"


def test_runs_never_overlap_and_one_takes_all_along(
    place: DataHome, decisions: Decisions, publishing: Publishing
) -> None:
    decide(place, decisions, "1")
    threads = [publishing.start(decisions)]
    while not (place.path / "runs").exists():
        time.sleep(0.02)
    for subject in ("2", "3", "4"):  # decided while the first run is under way
        decide(place, decisions, subject)
        threads.append(publishing.start(decisions))
    for thread in threads:
        thread.join()
    assert publishing.missing(decisions) == set()
    assert publishing.failure() is None
    assert int((place.path / "runs").read_text()) == 2


def test_taking_back_is_a_change_too(place: DataHome, decisions: Decisions, publishing: Publishing) -> None:
    decide(place, decisions, "1")
    publishing.start(decisions).join()
    decisions.revoke("steward", 1, "it was a patient")
    assert publishing.missing(decisions) == {"1"}


def test_a_failed_run_says_why_and_the_next_one_may_do_better(
    place: DataHome, decisions: Decisions, publishing: Publishing, reading: Reading
) -> None:
    decide(place, decisions, "1")
    (place.path / "fail").touch()
    publishing.start(decisions).join()
    found = effect(publishing, decisions, reading)
    assert found.state == "failed"
    assert found.words.endswith("the disk is full; make room")
    (place.path / "fail").unlink()
    publishing.start(decisions).join()
    assert effect(publishing, decisions, reading).state == "settled"
    assert publishing.failure() is None


def test_nothing_runs_where_nothing_was_decided(place: DataHome, decisions: Decisions, publishing: Publishing) -> None:
    publishing.start(decisions).join()
    assert not (place.path / "runs").exists()
    assert not publishing.is_running()
