"""How likely chance alone gives what was seen: exact tails, and the limit that keeps false discoveries few."""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, exp, lgamma, log, log1p, sqrt

_STEPS, _EPSILON, _TINY = 500, 1e-14, 1e-300


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (NIST DLMF 8.17.22).

    Args:
        a, b: above 0.
        x: 0 to 1.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side
        return 1.0 - incomplete_beta(b, a, 1.0 - x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    c, d = 1.0, 1.0 / _apart(1.0 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = value
        for step in (even, odd):
            d = 1.0 / _apart(1.0 + step * d)
            c = _apart(1.0 + step / c)
            value *= d * c
        if abs(value - before) < _EPSILON * abs(value):
            break
    return min(1.0, front * value)


def _apart(value: float) -> float:
    """A divisor that is not 0 (Lentz)."""
    return value if abs(value) > _TINY else _TINY


def binomial_tail(k: int, n: int, share: float) -> float:
    """P(at least k of n) where each has this chance."""
    if k <= 0:
        return 1.0
    return 0.0 if k > n else incomplete_beta(k, n - k + 1, share)


def rate_rise(events: int, exposure: float, events_before: int, exposure_before: float) -> float:
    """One-sided p that a rate has not risen: given all events, those now are binomial (Przyborowski and Wilenski 1940).

    Args:
        exposure: time, or number of exams, in which the events fell; `exposure_before` in the same unit.
    """
    whole = exposure + exposure_before
    return binomial_tail(events, events + events_before, exposure / whole) if whole > 0 else 1.0


def student_tail(t: float, freedom: float) -> float:
    """P(|T| > |t|) of Student's distribution with so many degrees of freedom."""
    return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) if freedom > 0 else 1.0


def rank_tail(now: Sequence[float], before: Sequence[float], variance: float = 1.0) -> float:
    """Two-sided p that values come from where those before came from (Mann and Whitney 1947, normal approximation).

    Args:
        variance: how many times wider than of independent values the sum's variance is taken.
    """
    k, m = len(now), len(before)
    wins = sum((one > other) + 0.5 * (one == other) for one in now for other in before)
    away = max(0.0, abs(wins - k * m / 2) - 0.5)
    return erfc(away / sqrt(2 * variance * k * m * (k + m + 1) / 12)) if k and m else 1.0


def discoveries(chances: Sequence[float], tests: int, share: float) -> list[bool]:
    """Which p values count as discoveries, so that at most this share of them is expected to be false.

    Benjamini and Hochberg (J R Stat Soc B 1995;57:289).

    Args:
        chances: p values; those of tests that showed nothing may be left out.
        tests: how many tests were made, those left out included.
    """
    ordered = sorted(chances)
    limit = max((p for rank, p in enumerate(ordered, 1) if p <= share * rank / max(tests, len(ordered))), default=-1.0)
    return [p <= limit for p in chances]
