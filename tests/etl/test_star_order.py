"""The star is a pure function of the set of landing rows: any order, repetition and cut into loads gives the same."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from etl.lake.store import Lake
from etl.load import Loader
from etl.star.build import StarBuilder
from etl.star.index import LakeIndex, surviving
from settings import Settings, Site
from state.home import DataHome
from tests.etl.conftest import assert_same, facts, merge, order, result, star_of

SETTINGS = Settings(sites=(Site(code="NORTH", name="North", time_zone="Europe/Berlin", aliases=("North Hospital",)),))

EXAM = [
    order("1", "NW", at="20260310080000"),
    order("2", "XO", at="20260310081000", more="IP"),
    result("3", "P", exam_at="20260310083000", report_at="20260310091500", text="early"),
    result("4", "F", exam_at="20260310083000", report_at="20260310113000", text="final"),
    result("5", "C", exam_at="20260310083000", report_at="20260311103000", text="changed"),
    merge("6", "P9", "P1", at="20260312080000"),
    order("7", "NW", at="20260401080000", accession="B2", patient="P1"),
]


def _home(folder: Path, key_from: DataHome | None) -> DataHome:
    home = DataHome.initialise(folder)
    if key_from is None:
        return home
    for name in ("key", "key.fingerprint"):
        shutil.copy(key_from.path / name, home.path / name)
    return DataHome.open(folder)


def _loaded(folder: Path, loads: list[list[str]], key_from: DataHome | None = None) -> DataHome:
    home = _home(folder / "data", key_from)
    for number, messages in enumerate(loads):
        place = folder / f"in{number}"
        place.mkdir(parents=True)
        for position, message in enumerate(messages):
            (place / f"{position}.hl7").write_text(message)
        Loader(home, SETTINGS).load([place])
    return home


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> DataHome:
    return _loaded(tmp_path_factory.mktemp("reference"), [EXAM])


@hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_repetition_and_cut_gives_the_same_star(
    data: st.DataObject, reference: DataHome, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shuffled = data.draw(st.permutations(EXAM))
    repeated = shuffled + data.draw(st.lists(st.sampled_from(EXAM), max_size=3))
    cuts = sorted(data.draw(st.lists(st.integers(1, len(repeated) - 1), max_size=3, unique=True)))
    loads = [repeated[start:end] for start, end in itertools.pairwise([0, *cuts, len(repeated)])]
    home = _loaded(tmp_path_factory.mktemp("permuted"), loads, reference)
    assert_same(facts(star_of(reference)), facts(star_of(home)))


def test_rebuild_equals_incremental_loads(reference: DataHome, tmp_path: Path) -> None:
    home = _loaded(tmp_path, [[message] for message in EXAM], reference)
    incremental = facts(star_of(home))
    lake = Lake(home.lake)
    LakeIndex(lake).drop()
    index = LakeIndex(lake)
    index.catch_up()
    StarBuilder(lake, index, home.star, SETTINGS).publish(everything=True)
    index.close()
    assert_same(incremental, facts(star_of(home)))


def test_milestones_of_the_example_are_those_worked_by_hand(reference: DataHome) -> None:
    """Berlin is UTC+1 on 10 March 2026: ordered 08:00 is 07:00 UTC, the first final report 11:30 is 10:30 UTC."""
    star = star_of(reference)
    exam = star.text("SELECT * FROM fact_exam WHERE month = '2026-03'").row(0, named=True)
    assert f"{exam['ordered_at']:%H:%M}" == "07:00"
    assert f"{exam['prelim_at']:%H:%M}" == "08:15"
    assert f"{exam['final_at']:%H:%M}" == "10:30"
    assert (exam["state"], exam["addenda"], exam["patient_class"], exam["priority"], exam["modality"]) == (
        "corrected",
        1,
        "ED",
        "stat",
        "CT",
    )
    assert exam["final_source"] == "hl7"
    assert str(exam["local_day"]) == "2026-03-10"


def test_merge_brings_both_exams_under_the_surviving_patient(reference: DataHome) -> None:
    star = star_of(reference)
    assert star.text("SELECT count(DISTINCT patient_key) AS n FROM fact_exam")["n"][0] == 1
    assert star.text("SELECT max(identities) AS n FROM dim_patient")["n"][0] == 2


@pytest.mark.parametrize(
    ("merges", "survivor_of"),
    [
        ([("B", "A")], {"A": "A", "B": "A"}),
        ([("B", "A"), ("C", "B")], {"A": "A", "B": "A", "C": "A"}),
        ([("A", "B"), ("B", "C")], {"A": "C", "B": "C", "C": "C"}),
        ([("A", "B"), ("B", "A")], {"A": "A", "B": "A"}),  # a cycle ends, at the least identity
    ],
)
def test_survivors(merges: list[tuple[str, str]], survivor_of: dict[str, str]) -> None:
    for permuted in itertools.permutations(merges):
        frame = pl.DataFrame(permuted, schema={"patient": pl.Utf8, "survivor": pl.Utf8}, orient="row")
        assert dict(surviving(frame).iter_rows()) == survivor_of


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        (["NW"], "ordered"),
        (["NW", "CA"], "ordered"),  # a request to cancel is a wish
        (["NW", "CA", "UC"], "ordered"),  # refused
        (["NW", "CA", "CR"], "cancelled"),
        (["NW", "OC"], "cancelled"),
    ],
)
def test_state_follows_the_set_of_messages(kinds: list[str], state: str, tmp_path: Path) -> None:
    messages = [order(str(number), kind, at=f"2026031008{number:02d}00") for number, kind in enumerate(kinds)]
    star = star_of(_loaded(tmp_path, [list(reversed(messages))]))
    assert star.text("SELECT state FROM fact_exam")["state"].to_list() == [state]


def test_result_makes_a_cancelled_exam_performed_and_says_so(tmp_path: Path) -> None:
    messages = [
        order("1", "NW", at="20260310080000"),
        order("2", "CR", at="20260310080500"),
        result("3", "F", exam_at="20260310083000", report_at="20260310113000"),
    ]
    exam = (
        star_of(_loaded(tmp_path, [messages]))
        .text("SELECT state, is_performed, flags FROM fact_exam")
        .row(0, named=True)
    )
    assert exam["state"] == "final"
    assert exam["is_performed"]
    assert "cancelled, yet performed" in exam["flags"]
