"""What changed, found in small histories whose changes are known."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from insights.__main__ import main
from insights.findings import Series, findings, judged, series_of
from insights.names import Device, Names
from insights.watched import WATCHED
from tests.insights.conftest import exam, star_of
from warehouse.engines import Star
from warehouse.measures import BREAKDOWNS, CATALOGUE
from warehouse.scope import EVERYTHING, Scope

MONDAY = date(2025, 11, 3)
WEEKS = [MONDAY + timedelta(weeks=week) for week in range(52)]
AS_OF = WEEKS[-1] + timedelta(days=7)
STEP = 44
"""Week from which the changed scanner is slower."""


def history(*, slow: float = 1.0, busy: float = 1.0) -> Iterator[dict[str, Any]]:
    """A year in which, from the step on, CT2's exams take longer by a factor, or there are more of them."""
    chance, keys = random.Random(11), count(1)
    for number, monday in enumerate(WEEKS):
        late = number >= STEP
        for device, usual in (("ct1", 40), ("ct2", 30), ("mr1", 20)):
            changed = late and device == "ct2"
            exams = round(usual * (busy if changed else 1)) + chance.choice((-2, -1, 0, 1, 2))
            for index in range(exams):
                minutes = 10 * (slow if changed else 1) + chance.random()
                yield exam(next(keys), monday + timedelta(days=index % 5), device, machine_minutes=minutes)


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> Star:
    return star_of(tmp_path_factory.mktemp("slower"), list(history(slow=1.3)))


def test_a_slower_scanner_is_found_with_its_place_time_and_size(slower: Star) -> None:
    first = findings(slower, AS_OF, EVERYTHING)[0]
    assert (first.kind, first.measure, first.scope) == ("change", "exam_minutes_p50", {"device": "ct2"})
    assert (first.since, first.until, first.unit) == (WEEKS[STEP], None, "min")
    assert first.size == pytest.approx(3.0, abs=0.2)
    assert first.text == (
        "Scanner minutes per exam, median, at CT2 (West): above the usual range since 7 Sep, 13.5 against 10.5 min"
    )
    assert first.evidence.rule == "outside limits"
    assert sum(first.evidence.n[STEP:]) == pytest.approx(8 * 30, abs=16)


def test_more_exams_are_told_once_and_where_they_weigh_most(tmp_path: Path) -> None:
    star = star_of(tmp_path, list(history(busy=1.5)))
    found = [each for each in findings(star, AS_OF, EVERYTHING) if each.measure == "exams"]
    assert len(found) == 1
    assert set(found[0].scope.values()) <= {"WEST", "CT", "ct2"}
    assert found[0].text.startswith("Exams ")
    assert found[0].text.endswith("a week")


def test_nothing_is_found_before_it_happened_or_where_nothing_did(slower: Star, tmp_path: Path) -> None:
    assert findings(slower, WEEKS[STEP], EVERYTHING) == []
    assert findings(star_of(tmp_path, list(history())), AS_OF, EVERYTHING) == []


def test_the_first_changed_week_is_seen_on_the_day_after_it(slower: Star) -> None:
    assert findings(slower, WEEKS[STEP] + timedelta(days=6), EVERYTHING) == []
    assert findings(slower, WEEKS[STEP] + timedelta(days=7), EVERYTHING)[0].since == WEEKS[STEP]


def test_a_reader_is_told_only_of_sites_and_measures_that_are_theirs(slower: Star) -> None:
    assert findings(slower, AS_OF, Scope(sites=frozenset({"NORTH"}))) == []
    assert findings(slower, AS_OF, EVERYTHING, permissions={"view_dose"}) == []


def _series(values: list[float], n: int = 30) -> Series:
    return Series((("device", "ct2"),), tuple(WEEKS[: len(values)]), tuple(values), (n,) * len(values))


NAMES = Names({"MAIN": "Main Hospital"}, {"ct2": Device("CT2", "MAIN", "CT")}, {}, {})
UTILIZATION = CATALOGUE["scanner_utilization"]


def test_a_run_that_is_over_says_from_when_to_when() -> None:
    found = judged(UTILIZATION, _series([*[60, 62] * 10, 40, 41, 61, 60]), NAMES, date(2027, 1, 4))
    assert found is not None
    assert found.text == (
        "Scanner utilization at CT2 (Main Hospital): below the usual range from 23 Mar 2026 to 5 Apr 2026, 40 against 61 %"
    )


@pytest.mark.parametrize(
    ("values", "n"),
    [
        pytest.param([60, 62] * 20, 30, id="usual ups and downs"),
        pytest.param([*[60, 62] * 3, 90, 90], 30, id="too few weeks"),
        pytest.param([*[60, 62] * 20, 90], 1, id="too few exams"),
        pytest.param([*[60, 62] * 10, 90, *[60, 62] * 10], 30, id="long ago"),
        pytest.param([*[60, 66] * 10, *[64, 64.2] * 5], 30, id="on one side, but by less than the usual spread"),
    ],
)
def test_no_finding(values: list[float], n: int) -> None:
    assert judged(UTILIZATION, _series(values, n), NAMES, AS_OF) is None


def test_weeks_without_exams_are_zero_in_a_count_and_a_gap_elsewhere() -> None:
    frame = pl.DataFrame({"week": [WEEKS[1], WEEKS[2], WEEKS[4]], "value": [3, 7, 9], "n": [3, 7, 9]})
    counted, measured = (next(series_of(frame, (), WEEKS[:6], counts=counts)) for counts in (True, False))
    assert counted.values == (None, None, 7.0, 0.0, 9.0, 0.0)
    assert measured.values == (None, None, 7.0, None, 9.0, None)


def test_every_watched_measure_and_split_exists() -> None:
    for watched in WATCHED:
        assert watched.measure in CATALOGUE
        assert {way for split in watched.splits for way in split} <= set(BREAKDOWNS)


def test_the_json_has_the_keys_that_are_promised(slower: Star) -> None:
    first = findings(slower, AS_OF, EVERYTHING)[0].as_json()
    assert {"kind", "measure", "scope", "since", "size", "unit", "evidence", "text"} <= set(first)
    assert json.loads(json.dumps(first)) == first
    assert first["since"] == "2026-09-07"


def test_the_command_says_what_to_do_before_the_first_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ISOCENTER_DATA", str(tmp_path))
    assert main(["findings", "--as-of", "2026-11-16", "--json"]) == 3
    assert "python -m etl load" in capsys.readouterr().err
    with pytest.raises(SystemExit) as refused:
        main(["findings", "--as-of", "yesterday"])
    assert refused.value.code == 2
