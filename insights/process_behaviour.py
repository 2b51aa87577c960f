"""Process behaviour (XmR) charts: is a change more than the usual ups and downs?

The rules are those of NHS England's "Making Data Count", as NHSRplotthedots 0.2.2 (MIT) computes them: the centre at
the mean, limits 2.66 average moving ranges away, near limits at two thirds of that. The tests hold them to the numbers
that this package publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Literal, NamedTuple

LIMIT = 2.66
"""Average moving ranges from the mean to a limit: 3 / 1.128."""
NEAR_LIMIT = LIMIT * 2 / 3
SCREEN = 3.267
"""A moving range of this many averages is left out, once, so that one wild point does not widen its own limits."""
RUN = 7
"""Points in a row on one side of the mean, or all rising, or all falling, that chance hardly gives."""
TRIAL = 12
"""With fewer points than this the limits are a first guess."""

Side = Literal["high", "low"]
Direction = Literal["up", "down", "neither"]
Variation = Literal["improvement", "concern", "neutral", "common"]
Assurance = Literal["pass", "fail", "hit_or_miss"]

OUTSIDE = "outside limits"
TREND = f"{RUN} points rising or falling"
NEAR = "2 of 3 near a limit"
ONE_SIDE = f"{RUN} points on one side"


class Point(NamedTuple):
    """One value of the series, and what the rules say of it."""

    value: float | None
    special: bool = False
    rule: str | None = None
    """The first rule that it breaks, in the order of this module's names."""
    side: Side | None = None
    """Side of the mean; None on it and in a gap."""


@dataclass(frozen=True)
class Behaviour:
    """A series with its centre and limits; these are None where there are too few values to say (1 and 2)."""

    mean: float | None
    lower: float | None
    upper: float | None
    near_lower: float | None
    near_upper: float | None
    points: tuple[Point, ...]
    trial: bool
    """Fewer than 12 values: limits are a first guess."""
    since: int | None
    """Index at which the special cause that lasts to the end began; None where the last value shows none."""


def process_behaviour(values: Sequence[float | None], *, screen_outliers: bool = True) -> Behaviour:
    """The behaviour of a series in time order.

    None is a gap: the values on both sides of it count as neighbours.

    Args:
        screen_outliers: leave out moving ranges of 3.267 averages and more, once (NHSRplotthedots' default).
    """
    observed = [value for value in values if value is not None]
    mean = fmean(observed) if observed else None
    spread = _average_range(observed, screen_outliers=screen_outliers)
    judged = iter(_judged(observed, mean, spread) if mean is not None else ())
    points = tuple(Point(None) if value is None else next(judged) for value in values)
    lower, upper, near_lower, near_upper = (
        None if mean is None or spread is None else mean + way * spread
        for way in (-LIMIT, LIMIT, -NEAR_LIMIT, NEAR_LIMIT)
    )
    return Behaviour(mean, lower, upper, near_lower, near_upper, points, len(observed) < TRIAL, run_to_end(points))


def variation(behaviour: Behaviour, direction: Direction) -> Variation:
    """What the latest value means for a measure for which `direction` is good."""
    last = next((point for point in reversed(behaviour.points) if point.value is not None), None)
    if last is None or not last.special:
        return "common"
    if direction == "neither" or last.side is None:
        return "neutral"
    return "improvement" if (last.side == "high") == (direction == "up") else "concern"


def assurance(behaviour: Behaviour, target: float | None, direction: Direction) -> Assurance | None:
    """Whether the process, left as it is, meets a target always, never or by chance; None where that has no meaning."""
    if target is None or direction == "neither" or behaviour.lower is None or behaviour.upper is None:
        return None
    if behaviour.lower <= target <= behaviour.upper:
        return "hit_or_miss"
    return "pass" if (target < behaviour.lower) == (direction == "up") else "fail"


def run_to_end(points: Sequence[Point]) -> int | None:
    """Index of the first point of the special cause on one side that lasts to the end of the points, gaps included."""
    start: int | None = None
    side: Side | None = None
    for index in range(len(points) - 1, -1, -1):
        point = points[index]
        if point.value is None:
            continue
        if not point.special or (start is not None and point.side != side):
            break
        start, side = index, point.side
    return start


def _average_range(values: Sequence[float], *, screen_outliers: bool) -> float | None:
    """Mean of the moving ranges, wild ones left out; None with fewer than two values."""
    ranges = [abs(after - before) for before, after in pairwise(values)]
    if not ranges:
        return None
    average = fmean(ranges)
    usual = [moving for moving in ranges if moving < SCREEN * average]
    return fmean(usual) if screen_outliers and usual else average


def _judged(values: Sequence[float], mean: float, spread: float | None) -> list[Point]:
    """Each value with the first rule that it breaks."""
    hair = 1e-9 * max(1.0, abs(mean))  # so that rounding alone never puts equal values on a side or outside
    sides = [0 if abs(value - mean) <= hair else 1 if value > mean else -1 for value in values]
    away = [abs(value - mean) - hair for value in values]
    if spread is None:
        outside = near = [False] * len(values)
    else:
        outside = [distance > LIMIT * spread for distance in away]
        near = [LIMIT * spread >= distance > NEAR_LIMIT * spread for distance in away]
    two_of_three = _in_window(3, len(values), lambda w: sum(near[w]) >= 2 and _one_side(sides[w]))
    broken = (
        (OUTSIDE, outside),
        (TREND, _in_window(RUN, len(values), lambda w: _steady(values[w]))),
        (NEAR, [here and close for here, close in zip(two_of_three, near, strict=True)]),
        (ONE_SIDE, _in_window(RUN, len(values), lambda w: _one_side(sides[w]))),
    )
    names: dict[int, Side | None] = {1: "high", -1: "low", 0: None}
    rules = [next((rule for rule, flags in broken if flags[index]), None) for index in range(len(values))]
    return [
        Point(value, rule is not None, rule, names[side])
        for value, rule, side in zip(values, rules, sides, strict=True)
    ]


def _in_window(width: int, length: int, holds: Callable[[slice], bool]) -> list[bool]:
    """For each position, whether some window of that width around it holds."""
    flags = [False] * length
    for start in range(length - width + 1):
        if holds(slice(start, start + width)):
            flags[start : start + width] = [True] * width
    return flags


def _one_side(sides: Sequence[int]) -> bool:
    return abs(sum(sides)) == len(sides)


def _steady(values: Sequence[float]) -> bool:
    steps = [after - before for before, after in pairwise(values)]
    return all(step > 0 for step in steps) or all(step < 0 for step in steps)
