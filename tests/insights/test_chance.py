"""Exact tails against a second library, and the limit of false discoveries against its paper's example."""

from __future__ import annotations

import random

import pytest
from scipy import stats

from insights.chance import binomial_tail, discoveries, incomplete_beta, rank_tail, rate_rise, student_tail


def test_tails_are_those_of_scipy() -> None:
    chance = random.Random(3)
    for _ in range(300):
        n = chance.randint(1, 3000)
        k, share = chance.randint(0, n + 1), chance.random()
        assert binomial_tail(k, n, share) == pytest.approx(stats.binom.sf(k - 1, n, share), rel=1e-6, abs=1e-12)
        t, freedom = chance.gauss(0, 5), chance.randint(1, 80)
        assert student_tail(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("x", "expected"), [(-1.0, 0.0), (0.0, 0.0), (1.0, 1.0), (2.0, 1.0)])
def test_the_beta_function_ends_at_its_ends(x: float, expected: float) -> None:
    assert incomplete_beta(2, 3, x) == expected


def test_a_rate_that_rises_is_judged_given_all_events() -> None:
    # 9 of 10 events in a quarter of the time: P(at least 9 of 10) at 1/4 = 10 * (1/4)^9 * 3/4 + (1/4)^10
    assert rate_rise(9, 1.0, 1, 3.0) == pytest.approx(10 * 0.25**9 * 0.75 + 0.25**10)
    assert rate_rise(0, 1.0, 5, 3.0) == 1.0
    assert rate_rise(3, 0.0, 0, 0.0) == 1.0


def test_ranks_are_judged_as_scipy_does() -> None:
    now, before = [5.1, 6.2, 7.3, 8.4, 9.5, 6.6], [1.0, 2.1, 3.2, 4.3, 5.4, 2.5, 3.6, 1.7, 2.8]
    wanted = stats.mannwhitneyu(now, before, method="asymptotic", use_continuity=True).pvalue
    assert rank_tail(now, before) == pytest.approx(wanted)
    assert rank_tail(now, before, variance=4.0) > rank_tail(now, before)
    assert rank_tail([], before) == 1.0


def test_discoveries_are_those_of_the_paper() -> None:
    # Benjamini and Hochberg 1995, section 3.2: of 15 p values the four least are rejected at 0.05.
    chances = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]  # fmt: skip
    assert discoveries(chances, 15, 0.05) == [True] * 4 + [False] * 11
    assert discoveries(chances[:5], 15, 0.05) == [True] * 4 + [False], "tests that showed nothing may be left out"
    assert discoveries([], 100, 0.05) == []
