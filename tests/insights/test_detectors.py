"""Each detector on rows made by hand: with a planted trouble, without it, and with one that is nearly so."""

from __future__ import annotations

import random
from datetime import date, timedelta

import polars as pl
import pytest

from insights.episodes import episode
from insights.failing import risen, silent
from insights.idle_hours import idle_blocks
from insights.surges import surge

LAST = date(2026, 11, 15)


def days_ago(*numbers: int) -> list[date]:
    return sorted(LAST - timedelta(days=number) for number in numbers)


def seeded(mean: float, days: int, seed: int = 5) -> list[int]:
    """Poisson counts of some days (by waiting times, so that no library is trusted)."""
    chance, counts = random.Random(seed), []
    for _ in range(days):
        count, at = 0, chance.expovariate(mean)
        while at < 1:
            count, at = count + 1, at + chance.expovariate(mean)
        counts.append(count)
    return counts


def test_a_surge_is_found_while_it_lasts_and_after() -> None:
    one = surge(seeded(10, 200) + seeded(20, 21, seed=6), LAST)
    assert one is not None
    assert abs((one.first - (LAST - timedelta(days=20))).days) <= 4
    assert (one.last, one.is_over) == (LAST, False)
    assert one.chance < 1e-4
    later = surge(seeded(10, 200) + seeded(20, 21, seed=6) + seeded(10, 10, seed=7), LAST)
    assert later is not None
    assert later.is_over
    assert abs((later.last - (LAST - timedelta(days=10))).days) <= 4
    assert later.usual == pytest.approx(10 * ((later.last - later.first).days + 1), rel=0.1)


@pytest.mark.parametrize(
    "daily",
    [
        pytest.param(seeded(3, 220), id="as usual"),
        pytest.param(seeded(3, 180) + seeded(6, 20, seed=6) + seeded(3, 45, seed=7), id="ended six weeks ago"),
        pytest.param(([9] * 7 + [1] * 7) * 15 + [9] * 7, id="weeks that always vary so"),
        pytest.param(seeded(3, 60) + seeded(9, 20), id="too few days before it"),
        pytest.param(seeded(0.1, 200) + [1] * 14, id="too few exams before it"),
        pytest.param([], id="nothing known"),
    ],
)
def test_no_surge(daily: list[int]) -> None:
    one = surge(daily, LAST)
    assert one is None or one.chance > 0.01


def staffed(*, idle_from: int | None = None, share: float = 0.4, weekdays: int = 5) -> pl.DataFrame:
    """Four weeks of days staffed from 8 to 18, idle for a share of each hour, and altogether from an hour on."""
    rows = []
    for number in range(28):
        day = LAST - timedelta(days=number)
        if day.isoweekday() > weekdays:
            continue
        for hour in range(8, 18):
            empty = idle_from is not None and hour >= idle_from
            rows.append(
                {"day": day, "weekday": day.isoweekday(), "hour": hour, "available": 60.0,
                 "value": 60.0 if empty else 60 * share, "n": 0 if empty else 2}
            )  # fmt: skip
    return pl.DataFrame(rows)


def test_idle_evenings_are_found_with_their_hour_and_weekdays() -> None:
    (block,) = idle_blocks(staffed(idle_from=15))
    assert (block.end, block.hour, block.weekdays) == ("evening", 15, (1, 2, 3, 4, 5))
    assert block.chance < 1e-9


def test_idle_mornings_are_found_alike() -> None:
    turned = staffed(idle_from=15).with_columns(hour=25 - pl.col("hour"))  # 8 becomes 17
    (block,) = idle_blocks(turned)
    assert (block.end, block.hour) == ("morning", 11)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(staffed(), id="used throughout"),
        pytest.param(staffed(share=0.95), id="idle throughout: no hour stands out"),
        pytest.param(staffed(idle_from=17, weekdays=3), id="three hours a week"),
        pytest.param(staffed(idle_from=15).filter(pl.col("day") > LAST - timedelta(days=8)), id="a single week"),
    ],
)
def test_no_standing_waste(frame: pl.DataFrame) -> None:
    assert [block for block in idle_blocks(frame) if block.chance < 0.01] == []


def test_failures_that_come_closer_are_found_with_their_beginning() -> None:
    rise = risen(days_ago(300, 200, 120, 40, 33, 27, 22, 17, 13, 9, 6, 3, 1), LAST - timedelta(days=350), LAST)
    assert rise is not None
    assert (rise.since, rise.failures, rise.before) == (LAST - timedelta(days=40), 10, 3)
    assert rise.chance < 1e-4


@pytest.mark.parametrize(
    ("failures", "known"),
    [
        pytest.param(list(range(1, 340, 30)), 350, id="at their usual rate"),
        pytest.param([40, 38, 36, 34, 32, 30, 29], 350, id="over for four weeks"),
        pytest.param([3, 2, 1], 350, id="too few"),
        pytest.param([9, 7, 5, 3, 1], 50, id="a new scanner, whose usual nobody knows"),
        pytest.param([], 350, id="none"),
    ],
)
def test_no_rise_of_failures(failures: list[int], known: int) -> None:
    rise = risen(days_ago(*failures), LAST - timedelta(days=known), LAST)
    assert rise is None or rise.chance > 0.01


def worked(exams: list[int], *, minutes: float = 480.0) -> pl.DataFrame:
    days = [LAST - timedelta(days=len(exams) - 1 - number) for number in range(len(exams))]
    return pl.DataFrame({"day": days, "value": [minutes] * len(days), "n": exams})


def test_staffed_days_without_an_exam_are_a_silence() -> None:
    silence = silent(worked([8] * 40 + [0] * 3))
    assert silence is not None
    assert (silence.since, silence.days) == (LAST - timedelta(days=2), 3)
    assert silence.usual_exams == pytest.approx(24.0)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(worked([8] * 40), id="in use"),
        pytest.param(worked([8] * 40 + [0]), id="one day, which may be a holiday"),
        pytest.param(worked([1] * 40 + [0] * 3), id="rare exams"),
        pytest.param(worked([8] * 5 + [0] * 3), id="hardly known"),
        pytest.param(worked([8] * 40 + [0] * 3, minutes=0.0), id="nobody staffed it"),
    ],
)
def test_no_silence(frame: pl.DataFrame) -> None:
    assert silent(frame) is None


def daily(wrong: dict[int, int], n: int = 10, length: int = 120) -> pl.DataFrame:
    """Days with n exams; `wrong` of them so many days ago."""
    days = [LAST - timedelta(days=number) for number in range(length - 1, -1, -1)]
    return pl.DataFrame({"day": days, "n": [n] * length, "wrong": [wrong.get((LAST - day).days, 0) for day in days]})


@pytest.mark.parametrize(
    ("wrong", "first", "last", "is_over"),
    [
        pytest.param({3: 4, 2: 5, 1: 3, 0: 4}, 3, 0, False, id="goes on"),
        pytest.param({20: 4, 18: 5, 17: 3, 14: 4}, 20, 14, True, id="ended two weeks ago"),
        pytest.param({100: 1, 60: 1, 5: 6, 4: 5}, 5, 4, True, id="single ones before are its past"),
    ],
)
def test_an_episode_is_found_while_it_lasts_and_for_two_weeks_after(
    wrong: dict[int, int], first: int, last: int, is_over: bool
) -> None:
    one = episode(daily(wrong), LAST)
    assert one is not None
    assert (one.first, one.last) == (LAST - timedelta(days=first), LAST - timedelta(days=last))
    assert one.is_over is is_over
    assert one.wrong == sum(number for ago, number in wrong.items() if last <= ago <= first)
    assert one.chance < 1e-6
    assert one.until == (one.last if is_over else None)


@pytest.mark.parametrize(
    ("wrong", "length"),
    [
        pytest.param({}, 120, id="nothing wrong"),
        pytest.param({2: 1, 1: 1}, 120, id="two exams"),
        pytest.param({30: 5, 29: 5, 28: 5}, 120, id="ended four weeks ago"),
        pytest.param(dict.fromkeys(range(120), 5), 120, id="always so: a site whose images do not come here"),
        pytest.param({2: 5, 1: 5}, 6, id="too little before it"),
    ],
)
def test_no_episode(wrong: dict[int, int], length: int) -> None:
    one = episode(daily(wrong, length=length), LAST)
    assert one is None or one.chance > 0.01
