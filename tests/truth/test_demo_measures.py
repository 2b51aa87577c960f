"""Every measure of the pages on a small simulated hospital, against a recomputation from the simulator's own event log.

The recomputation (`tests/truth/measures.py` and the modules beside it) reads what the simulator says that was written and
when, its appointments, its calendars and its configuration. It never sees the star or what builds it. Counts must agree
exactly, minutes, hours and shares but for what floating point does to them.

The history has all of the usual dirt: clocks some seconds off, images under another patient's entry, images without an
order, lost and late statements, breakdowns. Summer time begins in it, and one scanner's clock is not put forward: the star
has to recover its true times.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from etl.__main__ import main
from settings import load_settings
from state.home import DataHome
from tests.truth.hours import ONE_DAY, read_entries, scanner
from tests.truth.log import Log, read_log
from tests.truth.measures import MEASURES, Answer, Part
from tests.truth.rooms import Day, days_of
from tests.truth.rules import Rules, read_rules
from warehouse.engines import Star, StarReader
from warehouse.filters import Filters
from warehouse.measures import Measure, appointments, evaluate, targets, turnaround, utilization, volume
from warehouse.measures.targets import within_target
from warehouse.scope import EVERYTHING

DAYS, UNTIL = 60, date(2026, 4, 16)
"""Length of the history, and the first day that is not simulated."""
SHOWN = {
    measure.name for module in (utilization, appointments, turnaround, targets, volume) for measure in module.MEASURES
}
NOT_COMPARED = {"planned_exams": "people enter the plan; its sums are held against the file in test_star_decisions.py"}
"""Measures that cannot be recomputed from the log, each with the reason."""
UNSEEN_DAYS = 28
"""A scanner that was not seen for so long when the data ends is out of use; so many days of silence still count."""
CLOSE = 1e-6
"""Relative difference that floating point may make."""


PARTS: dict[str | None, Callable[[Any], str]] = {
    None: lambda _: "",
    "site": lambda of: str(of.site),
    "modality": lambda of: str(of.modality),
}
"""How a measure is split, and to which part an exam or a scanner belongs."""


class Hospital(NamedTuple):
    """The star that was made of what was written, and what the log says."""

    star: Star
    log: Log
    parts: dict[str | None, dict[str, Part]]
    """What measures count, by how they are split and name of the part."""
    filters: Filters
    targets: Measure


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    """A small hospital, loaded by the command."""
    folder = tmp_path_factory.mktemp("hospital")
    size = ["--seed", "11", "--scale", "0.02", "--days", str(DAYS), "--file-days", "1", "--until", str(UNTIL)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISOCENTER_DATA", str(folder / "data"))
        assert main(["demo", "--out", str(folder / "demo"), *size]) == 0
    rules = read_rules(folder / "demo" / "isocenter.toml")
    log = read_log(folder / "demo", rules)
    filters = Filters(UNTIL - timedelta(days=DAYS), UNTIL - timedelta(days=1))
    days = scanner_days(log, folder / "demo" / "files" / "calendars", filters, rules)
    everything = part_of(log, days, filters)
    return Hospital(
        StarReader(DataHome.open(folder / "data").star).current(),
        log,
        {
            by: {name: part_of(log, days, filters, place, name, everything) for name in {*map(place, log.exams)}}
            for by, place in PARTS.items()
        },
        filters,
        within_target(load_settings(folder / "demo" / "isocenter.toml").turnaround.targets),
    )


def scanner_days(log: Log, calendars: Path, filters: Filters, rules: Rules) -> list[Day]:
    """The days of every scanner in the period, from when it was first seen on."""
    entries = read_entries(calendars)
    ends = datetime.combine(filters.end, time(), UTC)
    found = []
    for station, seen in log.sightings.items():
        zone = rules.zones[seen.site]
        first, last = seen.first.astimezone(zone).date(), seen.last.astimezone(zone).date()
        is_gone = last < log.data_ends.date() - timedelta(days=UNSEEN_DAYS)
        until = min(filters.end, last + timedelta(days=UNSEEN_DAYS)) if is_gone else filters.end
        days = [
            filters.start + n * ONE_DAY for n in range(filters.days) if first <= filters.start + n * ONE_DAY <= until
        ]
        found += days_of(
            scanner(
                station, seen.site, seen.modality, entries, (datetime.combine(filters.start, time(), UTC), ends), rules
            ),
            [exam for exam in log.exams if exam.station == station],
            [slot for slot in log.slots if slot.station == station],
            days,
            log.data_ends,
            rules,
        )
    return found


def part_of(
    log: Log,
    days: list[Day],
    filters: Filters,
    place: Callable[[Any], str] = PARTS[None],
    name: str = "",
    whole: Part | None = None,
) -> Part:
    """What measures count: of the period everything, or what belongs to one part."""

    def fits(of: Any, day: date) -> bool:
        return filters.start <= day <= filters.end and place(of) == name

    return Part(
        [exam for exam in log.exams if fits(exam, exam.local_day)],
        [slot for slot in log.slots if fits(slot.exam, slot.local_day)],
        [day for day in days if fits(day.scanner, day.day)],
        log.data_ends,
        log.slots,
        whole,
    )


def agree(said: Answer | None, told: Answer) -> bool:
    """Whether the star's value and n are those of the log; a part of which nothing counts may have no row."""
    if said is None:
        return told[1] == 0
    if said[0] is None or told[0] is None:
        return said == told
    return said[1] == told[1] and said[0] == pytest.approx(told[0], rel=CLOSE, abs=CLOSE)


def answers(hospital: Hospital, name: str, by: str | None) -> dict[str, Answer]:
    """What the star says of each part."""
    asked = hospital.targets if name == hospital.targets.name else name
    frame = evaluate(hospital.star, asked, hospital.filters, EVERYTHING, (by,) if by else ())
    return {
        str(row[by]) if by else "": (None if row["value"] is None else float(row["value"]), int(row["n"]))
        for row in frame.to_dicts()
    }


def differences(hospital: Hospital, name: str) -> list[str]:
    """Where the star and the log disagree about a measure, in words."""
    found = []
    for by, parts in hospital.parts.items():
        said = answers(hospital, name, by)
        told = {part: MEASURES[name](counted) for part, counted in parts.items()}
        found += [
            f"{name} of {part or 'everything'}: star {said.get(part)}, log {told.get(part, (None, 0))}"
            for part in sorted(told.keys() | said.keys())
            if not agree(said.get(part), told.get(part, (None, 0)))
        ]
    return found


def test_every_measure_of_the_pages_is_compared_or_excused() -> None:
    assert set(MEASURES) | set(NOT_COMPARED) == SHOWN
    assert not set(MEASURES) & set(NOT_COMPARED)


@pytest.mark.parametrize("name", MEASURES)
def test_the_star_says_what_the_log_says(name: str, hospital: Hospital) -> None:
    wrong = differences(hospital, name)
    assert not wrong, "\n".join(wrong)


def test_a_wrong_clock_is_among_what_the_star_puts_right(hospital: Hospital) -> None:
    assert hospital.log.put_right > 10


@pytest.mark.parametrize("name", MEASURES)
def test_there_is_something_to_count(name: str, hospital: Hospital) -> None:
    value, n = MEASURES[name](hospital.parts[None][""])
    assert value is not None
    assert n > 0


def test_lost_minutes_have_the_cause_that_the_log_gives_them(hospital: Hospital) -> None:
    told: dict[str, float] = defaultdict(float)
    for piece in hospital.parts[None][""].pieces:
        if piece.staffed and piece.cause:
            told[piece.cause] += piece.length
    said = {cause: value for cause, (value, _) in answers(hospital, "lost_minutes", "cause").items()}
    assert len(told) == 7
    assert said == pytest.approx(told, rel=CLOSE)


def test_slots_ended_as_the_log_says(hospital: Hospital) -> None:
    told = Counter(slot.outcome for slot in hospital.parts[None][""].slots)
    assert answers(hospital, "slots", "outcome") == {outcome: (n, n) for outcome, n in told.items()}
