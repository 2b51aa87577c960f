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
from insights.finding import TOPICS, Evidence, Finding
from insights.findings import findings, told_once
from insights.names import Device, Names
from insights.watched import WATCHED, Watched
from insights.weekly import Series, judged, series_of
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
UTILIZATION = Watched("scanner", "scanner_utilization", (("device",),), 5.0)
READING = Watched("turnaround", "report_minutes_p50", (("section",),), 50.0, least_weeks=2, drifts=True)


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


def test_a_change_may_be_too_small_or_too_short_to_be_told() -> None:
    changed = _series([*[60, 62] * 10, 40, 41])
    assert judged(UTILIZATION, changed, NAMES, AS_OF) is not None
    assert judged(UTILIZATION._replace(least=25.0), changed, NAMES, AS_OF) is None
    assert judged(UTILIZATION._replace(least_weeks=3), changed, NAMES, AS_OF) is None


def test_an_episode_of_the_past_makes_no_finding_of_its_end() -> None:
    share = Watched("charges", "unbilled_share", (("site",),), 8.0, is_share=True)
    values = [*[1.0, 2.0] * 6, 50.0, 55.0, 60.0, 52.0, *[1.0, 2.0] * 8]
    assert judged(share, _series(values), NAMES, AS_OF) is None


def test_a_queue_that_grows_slowly_is_found_over_the_latest_weeks() -> None:
    chance = random.Random(4)
    usual = [chance.choice((300, 900, 1500)) for _ in range(36)]
    slow = [chance.choice((900, 1500, 4000, 5000)) + 400 for _ in range(12)]
    found = judged(READING, _series([float(value) for value in (*usual, *slow)]), NAMES, AS_OF)
    assert found is not None
    assert found.until is None
    assert found.evidence.p < 0.01
    assert abs((found.since - WEEKS[36]).days) <= 42
    as_usual = judged(READING, _series([float(value) for value in usual]), NAMES, AS_OF)
    assert as_usual is None or as_usual.evidence.p > 0.1


def test_weeks_without_exams_are_zero_in_a_count_and_a_gap_elsewhere() -> None:
    frame = pl.DataFrame({"week": [WEEKS[1], WEEKS[2], WEEKS[4]], "value": [3, 7, 9], "n": [3, 7, 9]})
    counted, measured = (next(series_of(frame, (), WEEKS[:6], counts=counts)) for counts in (True, False))
    assert counted.values == (None, None, 7.0, 0.0, 9.0, 0.0)
    assert measured.values == (None, None, 7.0, None, 9.0, None)


def test_every_watched_measure_and_split_exists() -> None:
    for watched in WATCHED:
        assert watched.measure in CATALOGUE
        assert watched.topic in TOPICS
        assert {way for split in watched.splits for way in split} <= set(BREAKDOWNS)


def test_the_json_has_the_keys_that_are_promised(slower: Star) -> None:
    first = findings(slower, AS_OF, EVERYTHING)[0].as_json()
    assert {"kind", "measure", "scope", "since", "size", "unit", "evidence", "text"} <= set(first)
    assert {"because", "advice", "concerns", "others", "exams"} <= set(first)
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


def found_of(
    topic: str, scope: dict[str, str], weight: float, *, since: date = WEEKS[40], until: date | None = None
) -> Finding:
    evidence = Evidence((), (), (), "", 0.0, 0.0, 0.0)
    text = f"{topic} {scope}"
    return Finding(
        "concern", topic, "exams", "view_data", scope, since, until, 1.0, "", evidence, 1.0, text, "", weight
    )


PLACES = Names(
    {"MAIN": "Main", "WEST": "West"},
    {"ct1": Device("CT1", "MAIN", "CT"), "ct2": Device("CT2", "MAIN", "CT"), "xr": Device("XR", "MAIN", "XR")}, {}, {},
)  # fmt: skip
CT1, CT2, CT, WEST = {"device": "ct1"}, {"device": "ct2"}, {"site": "MAIN", "modality": "CT"}, {"site": "WEST"}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        pytest.param([("charges", CT, 2), ("charges", {"modality": "CT"}, 1)], [["charges", 1]], id="the same, coarser"),
        pytest.param([("charges", CT, 2), ("charges", WEST, 1)], [["charges", 0], ["charges", 0]], id="another site"),
        pytest.param([("charges", CT, 2), ("dose", CT1, 1)], [["charges", 0], ["dose", 0]], id="unrelated topics"),
        pytest.param([("access", CT, 5), ("failing scanner", CT1, 2)], [["failing scanner", 1]], id="the cause leads"),
        pytest.param([("failing scanner", CT1, 5), ("scanner", CT2, 2)], [["failing scanner", 1]], id="patients go next door"),
        pytest.param([("wrong entry", {"device": "xr"}, 5), ("scanner", CT2, 2)], [["wrong entry", 0], ["scanner", 0]], id="not this one"),
        pytest.param(
            [("failing scanner", CT1, 5), ("volume", CT1, 3), ("access", CT, 2)], [["failing scanner", 2]], id="a chain of causes"
        ),
    ],
)  # fmt: skip
def test_one_cause_is_told_once(found: list[tuple[str, dict[str, str], float]], told: list[list[Any]]) -> None:
    listed = told_once([found_of(*one) for one in found], PLACES, AS_OF)
    assert [[one.topic, len(one.others)] for one in listed] == told


def test_a_failing_scanner_explains_more_exams_next_door_and_not_more_of_the_whole_site() -> None:
    failing = found_of("failing scanner", CT1, 5)
    assert len(told_once([failing, found_of("volume", CT2, 2)], PLACES, AS_OF)) == 1
    assert len(told_once([failing, found_of("volume", {"site": "MAIN"}, 2)], PLACES, AS_OF)) == 2


def test_what_was_over_long_before_explains_nothing() -> None:
    cause = found_of("failing scanner", CT1, 5, since=WEEKS[10], until=WEEKS[20])
    effect = found_of("access", CT, 2, since=WEEKS[40])
    assert len(told_once([cause, effect], PLACES, AS_OF)) == 2


def test_the_order_is_that_of_weight() -> None:
    listed = told_once(
        [found_of("dose", CT1, 1), found_of("charges", WEST, 3), found_of("clock", CT2, 2)], PLACES, AS_OF
    )
    assert [one.weight for one in listed] == [3, 2, 1]
