"""Typical values and local reference levels by the method of ICRP Publication 135.

The typical value of a facility is the median over its patients of standard size; a local reference level is the third
quartile of the medians of ten or more rooms. Medians are compared with levels, never single patients, and fewer exams
than the smallest sample give none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

SMALLEST_SAMPLE = 20
SMALLEST_BY_MODALITY = {"MG": 50, "XA": 30, "RF": 30}
"""Exams that a typical value needs where the spread is large: mammography 50, complex fluoroscopy 30."""
FEWEST_ROOMS = 10
RESAMPLES = 999
SEED = 135
"""Intervals reproduce: the same exams give the same interval."""


class Typical(NamedTuple):
    """The distribution of one quantity over some exams."""

    n: int
    p25: float
    median: float
    p75: float
    p95: float
    low: float
    """Lower end of the 95 % bootstrap interval of the median."""
    high: float


class Difference(NamedTuple):
    """The difference of two medians with its 95 % bootstrap interval, as a share of the first."""

    share: float
    low: float
    high: float

    @property
    def is_certain(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def typical(values: ArrayLike, smallest: int = SMALLEST_SAMPLE) -> Typical | None:
    """Quartiles by linear interpolation, and the interval of the median; None below the smallest sample."""
    known = _known(values)
    if known.size < smallest:
        return None
    p25, median, p75, p95 = (float(one) for one in np.quantile(known, (0.25, 0.5, 0.75, 0.95)))
    low, high = (float(one) for one in np.quantile(_medians(known), (0.025, 0.975)))
    return Typical(int(known.size), p25, median, p75, p95, low, high)


def local_level(medians: Sequence[float]) -> float | None:
    """The local reference level of some rooms' medians; None of fewer than ten rooms, which have typical values only."""
    return float(np.quantile(np.asarray(medians), 0.75)) if len(medians) >= FEWEST_ROOMS else None


def difference(before: ArrayLike, after: ArrayLike) -> Difference | None:
    """How far the median of `after` is from that of `before`; None where either has fewer than five values."""
    first, second = _known(before), _known(after)
    if min(first.size, second.size) < 5:
        return None
    base = float(np.median(first))
    spread = (_medians(second, seed=SEED + 1) - _medians(first)) / base
    low, high = (float(one) for one in np.quantile(spread, (0.025, 0.975)))
    return Difference(float(np.median(second)) / base - 1, low, high)


def _known(values: ArrayLike) -> NDArray[np.float64]:
    every = np.asarray(values, dtype=float)
    kept: NDArray[np.float64] = every[np.isfinite(every)]
    return kept


def _medians(values: NDArray[np.float64], seed: int = SEED) -> NDArray[np.float64]:
    """Medians of resamples with replacement."""
    rng = np.random.default_rng(seed)
    # In parts, so that a large group takes no more memory than a small one.
    part = max(1, min(RESAMPLES, 2_000_000 // values.size))
    made = []
    for start in range(0, RESAMPLES, part):
        rows = min(part, RESAMPLES - start)
        made.append(np.median(values[rng.integers(0, values.size, (rows, values.size))], axis=1))
    return np.concatenate(made)
