"""Scores and intervals against worked figures, SciPy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forecasting.intervals import count_interval, half_widths
from forecasting.metrics import interval_score, scales, weighted_interval_score


def test_scaled_errors_of_the_worked_example() -> None:
    """Train 10 14 8 12 11 15 9 13 with a season of 4: each seasonal step is 1. The six errors of size 1 of seven give 6/7."""
    scale, square = scales(np.array([10.0, 14, 8, 12, 11, 15, 9, 13]), 4)
    assert (scale, square) == (1.0, 1.0)
    short, _ = scales(np.array([1.0, 3, 2, 6]), 4)  # too short for its season: steps of 2, 1 and 4
    assert short == pytest.approx(7 / 3)
    assert np.isnan(scales(np.array([5.0]), 4)[0])


def test_interval_scores_of_the_worked_example() -> None:
    """y 17, median 12, 80 % from 8 to 15, 95 % from 6 to 18: 27, 12 and 2.2."""
    one = np.ones(1)
    assert interval_score(17 * one, 8 * one, 15 * one, 0.2)[0] == pytest.approx(27)
    assert interval_score(17 * one, 6 * one, 18 * one, 0.05)[0] == pytest.approx(12)
    told = weighted_interval_score(17 * one, 12 * one, (8 * one, 15 * one), (6 * one, 18 * one))
    assert told[0] == pytest.approx(2.2)


def test_half_widths_are_order_statistics_and_far_tails_are_never_infinite() -> None:
    errors = np.arange(1.0, 100.0)  # of 99 errors the 80th and the 95th
    assert half_widths(errors, np.array([7.0])) == (80.0, 95.0)
    narrow, wide = half_widths(np.array([]), np.arange(1.0, 11.0))  # the 9th of 10; too few for 95 %
    assert narrow == 9.0
    assert wide == pytest.approx(9 * stats.norm.ppf(0.975) / stats.norm.ppf(0.9))
    assert all(np.isfinite(half_widths(np.array([]), np.array([]))))


@given(st.lists(st.floats(0, 1e6), max_size=120))
def test_the_wide_interval_holds_the_narrow_one(errors: list[float]) -> None:
    narrow, wide = half_widths(np.array(errors), np.array(errors))
    assert 0 <= narrow <= wide < float("inf")


def test_intervals_cover_what_they_say_on_data_of_any_shape() -> None:
    """400 series of skewed errors: the 80 and 95 % intervals of each from its own 60 earlier ones hold the next."""
    draw = np.random.default_rng(3)
    errors = np.abs(draw.gamma(1.5, 2.0, (400, 61)) - 3)
    inside = np.array([[row[60] <= width for width in half_widths(row[:60], row[:60])] for row in errors])
    assert np.abs(inside.mean(axis=0) - (0.8, 0.95)).max() < 0.03


@pytest.mark.parametrize(
    ("mean", "variance", "low", "high", "cover"),
    [(4.0, 4.0, 2, 7, 0.857), (4.0, 12.0, 0, 9, 0.925), (12.0, 40.8, 5, 21, 0.826)],
)
def test_counts_have_the_quantiles_of_their_distribution(mean: float, variance: float, low: int, high: int, cover: float) -> None:  # fmt: skip
    """Poisson of mean 4; negative binomial of mean 4 and size 2, of mean 12 and size 5: discrete, so that they cover more."""
    found = [float(bound[0]) for bound in count_interval(np.array([mean]), variance, 0.8)]
    assert found == [low, high]
    size = mean**2 / (variance - mean) if variance > mean else None
    known = stats.nbinom(size, size / (size + mean)) if size else stats.poisson(mean)
    assert known.cdf(high) - known.cdf(low - 1) == pytest.approx(cover, abs=0.002)


@given(st.floats(0, 1000), st.floats(0, 1e5))
def test_count_intervals_are_ordered(mean: float, variance: float) -> None:
    low, high = count_interval(np.array([mean]), variance, 0.95)
    assert 0 <= low[0] <= high[0]
