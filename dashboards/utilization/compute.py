"""Numbers of the utilization pages from rows alone: no query, no picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, sqrt

SLOT_STEP = 5
"""Slots are booked in steps of so many minutes."""
LEAST_UNITS = 5
"""Over-dispersion is estimated from at least so many units."""
WINSORED = 0.1
"""Share of the units at either end that do not stretch the estimate of over-dispersion."""
LIMIT = 3.09
"""Standard errors of 99.8 % limits."""
FEWEST_DAYS = 20
RATE_LIMIT = 2.58
"""Standard errors of 99 % limits."""


@dataclass(frozen=True)
class Funnel:
    """What units of one kind share: their common proportion, and how much more they vary than chance alone makes them."""

    centre: float
    """Percent."""
    dispersion: float
    """Variance over the binomial one, at least 1 (Spiegelhalter, Stat Med 2005;24:1185)."""

    def limits(self, n: float, sigmas: float = LIMIT) -> tuple[float, float]:
        """Percent between which a unit of n cases lies by chance."""
        share = self.centre / 100
        half = 100 * sigmas * sqrt(self.dispersion * share * (1 - share) / n)
        return max(self.centre - half, 0.0), min(self.centre + half, 100.0)

    def is_outside(self, value: float, n: float) -> bool:
        """Whether a unit differs by more than chance (99.8 % limits)."""
        low, high = self.limits(n)
        return not low <= value <= high


def funnel(values: Sequence[float], n: Sequence[float]) -> Funnel:
    """The funnel of proportions in percent, each over its n cases; every n is above 0."""
    centre = sum(value * size for value, size in zip(values, n, strict=True)) / sum(n)
    share = centre / 100
    if len(values) < LEAST_UNITS or not 0 < share < 1:
        return Funnel(centre, 1.0)
    z = sorted((value / 100 - share) / sqrt(share * (1 - share) / size) for value, size in zip(values, n, strict=True))
    cut = floor(WINSORED * len(z))
    held = [min(max(each, z[cut]), z[-1 - cut]) for each in z]
    return Funnel(centre, max(1.0, sum(each * each for each in held) / len(held)))


@dataclass(frozen=True)
class Rate:
    """Work done in an hour, and between what it lies (99 %)."""

    value: float
    low: float
    high: float


def rate_of_days(done: Sequence[float], hours: Sequence[float]) -> Rate | None:
    """Work an hour over days that are alike, with the interval of a ratio of two sums.

    A busy day is not two independent halves, so days are the units and not exams: the variance of the ratio is that of the
    days' residuals (Cochran, Sampling Techniques, 3rd ed. 1977, section 6.4), and the limits are 2.58 standard errors.

    Args:
        done: of each day.
        hours: of each day in which it could be done.

    Returns:
        None for fewer than `FEWEST_DAYS` days with hours, or where no hour was there.
    """
    days = [(work, hour) for work, hour in zip(done, hours, strict=True) if hour > 0]
    if len(days) < FEWEST_DAYS:
        return None
    whole = sum(hour for _, hour in days)
    value = sum(work for work, _ in days) / whole
    residuals = sum((work - value * hour) ** 2 for work, hour in days)
    half = RATE_LIMIT * sqrt(residuals * len(days) / (len(days) - 1)) / whole
    return Rate(value, max(value - half, 0.0), value + half)


def proposed_slot(p90_minutes: float) -> float:
    """The slot that nine of ten exams keep, in the steps in which slots are booked."""
    return float(SLOT_STEP * max(ceil(p90_minutes / SLOT_STEP - 1e-9), 1))


def freed_share(slot: float, proposed: float) -> float:
    """How many more (or fewer) exams the same booked time holds with the proposed slot, in percent."""
    return 100 * (slot / proposed - 1)


def clock(minute: float) -> str:
    """A minute of the day on the clock: `08:05`; the day's end is `24:00`."""
    whole = int(minute)
    return f"{whole // 60:02d}:{whole % 60:02d}"
