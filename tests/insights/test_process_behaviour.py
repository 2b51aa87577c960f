"""Process behaviour against the published numbers of NHSRplotthedots, and what must hold for any series."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights.process_behaviour import (
    NEAR,
    ONE_SIDE,
    OUTSIDE,
    RUN,
    TREND,
    Direction,
    assurance,
    process_behaviour,
    variation,
)

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("nhsr_plot_the_dots.json").read_text())

STEADY = [10, 12] * 10
"""Mean 11, every moving range 2: limits 11 ± 5.32, near limits 11 ± 3.547."""

values = st.lists(st.integers(-1000, 1000).map(float), max_size=40)


@pytest.mark.parametrize("case", GOLDEN["limits"])
def test_limits_are_those_published(case: dict[str, Any]) -> None:
    behaviour = process_behaviour(case["values"], screen_outliers=case["screen_outliers"])
    assert (behaviour.mean, behaviour.lower, behaviour.upper) == pytest.approx(
        (case["mean"], case["lower"], case["upper"])
    )
    assert [point.rule for point in behaviour.points].count(OUTSIDE) == 1


def _flagged(ends: list[int]) -> list[bool]:
    """Every point of a run of seven, where the published table marks only the seventh."""
    return [any(ends[index : index + RUN]) for index in range(len(ends))]


@pytest.mark.parametrize("case", GOLDEN["trend_ends"])
def test_seven_rising_or_falling_are_those_published(case: dict[str, Any]) -> None:
    for point, flagged in zip(process_behaviour(case["values"]).points, _flagged(case["ends"]), strict=True):
        assert point.rule in ({TREND, OUTSIDE} if flagged else {None, OUTSIDE})


@pytest.mark.parametrize("case", GOLDEN["one_side_ends"])
def test_seven_on_one_side_are_those_published(case: dict[str, Any]) -> None:
    values = [side * (15 if index % 2 else 5) for index, side in enumerate(case["sides"])]
    points = process_behaviour([*values, -sum(values)]).points  # one more value puts the mean at 0
    assert [point.rule == ONE_SIDE for point in points[:-1]] == _flagged(case["ends"])


def test_two_of_three_near_a_limit_on_the_same_side() -> None:
    # mean 11 stays, for what is added above is added below
    rules = [point.rule for point in process_behaviour([*STEADY, 15, 12, 15, 7, 10, 7, *STEADY]).points]
    assert rules[20:26] == [NEAR, None, NEAR, NEAR, None, NEAR]
    assert set(rules[:20]) == set(rules[26:]) == {None}


def test_a_trend_inside_the_limits_is_named() -> None:
    rules = [point.rule for point in process_behaviour([10, 20, 10, 20, 11, 12, 13, 14, 15, 16, 17]).points]
    assert rules == [None] * 4 + [TREND] * 7


def test_a_point_outside_is_said_to_be_outside_first() -> None:
    points = process_behaviour([*STEADY, 30]).points
    assert points[-1].rule == OUTSIDE
    assert points[-1].side == "high"


@pytest.mark.parametrize(
    ("series", "since"),
    [
        ([], None),
        ([None, None], None),
        (STEADY, None),
        ([*STEADY, 30], 20),
        ([*STEADY, 30, None], 20),
        ([*STEADY, 30, 12, 10], None),
        ([*STEADY, *[20, 22] * 5], 20),
        ([*STEADY, 20, 22, None, *[20, 22] * 4], 20),
        ([*STEADY, 90, -70], 21),
    ],
)
def test_since_is_where_the_lasting_change_began(series: list[float | None], since: int | None) -> None:
    assert process_behaviour(series).since == since


@pytest.mark.parametrize(
    ("series", "direction", "expected"),
    [
        (STEADY, "up", "common"),
        ([], "up", "common"),
        ([*STEADY, 30], "up", "improvement"),
        ([*STEADY, 30], "down", "concern"),
        ([*STEADY, 30], "neither", "neutral"),
        ([*STEADY, -9], "up", "concern"),
        ([*STEADY, -9, None], "down", "improvement"),
    ],
)
def test_variation_takes_the_good_direction_into_account(
    series: list[float | None], direction: Direction, expected: str
) -> None:
    assert variation(process_behaviour(series), direction) == expected


@pytest.mark.parametrize(
    ("target", "direction", "expected"),
    [
        (11, "up", "hit_or_miss"),
        (5, "up", "pass"),
        (17, "up", "fail"),
        (5, "down", "fail"),
        (17, "down", "pass"),
        (None, "up", None),
        (5, "neither", None),
    ],
)
def test_assurance_compares_the_target_with_the_limits(
    target: float | None, direction: Direction, expected: str | None
) -> None:
    assert assurance(process_behaviour(STEADY), target, direction) == expected


def test_too_few_values_have_no_limits_and_few_have_trial_limits() -> None:
    assert process_behaviour([]).mean is None
    single = process_behaviour([4.0])
    assert (single.mean, single.lower, single.points[0].special, single.trial) == (4.0, None, False, True)
    assert process_behaviour(STEADY[:11]).trial
    assert not process_behaviour(STEADY[:12]).trial


@pytest.mark.parametrize("value", [0.1, 3.3, 1e9 / 3, 0.0])
def test_equal_values_are_never_special(value: float) -> None:
    assert not any(point.special for point in process_behaviour([value] * 30).points)


@given(values, st.integers(-50, 50), st.sampled_from([0.25, 2.0, 1024.0]))
def test_a_change_of_unit_changes_no_verdict(series: list[float], shift: int, scale: float) -> None:
    before = process_behaviour(series)
    after = process_behaviour([value * scale + shift for value in series])
    assert [(p.rule, p.side) for p in before.points] == [(p.rule, p.side) for p in after.points]


@given(values)
def test_the_mirror_image_has_the_same_rules_on_the_other_side(series: list[float]) -> None:
    other = {"high": "low", "low": "high", None: None}
    mirrored = process_behaviour([-value for value in series]).points
    assert [(p.rule, other[p.side]) for p in process_behaviour(series).points] == [(p.rule, p.side) for p in mirrored]


@given(values, st.integers(0, 40))
def test_a_gap_changes_nothing_but_its_own_place(series: list[float], where: int) -> None:
    where = min(where, len(series))
    gapped = process_behaviour([*series[:where], None, *series[where:]]).points
    assert gapped[where] == (None, False, None, None)
    assert [*gapped[:where], *gapped[where + 1 :]] == list(process_behaviour(series).points)
