"""How wide forecasts are: from the errors that earlier forecasts made, never from a model's own formula.

Split conformal intervals (Lei et al., JASA 2018;113:1094) of errors in units of the series' own scale: those of the series where it
has enough of them at the same distance, else of all series together. Only errors that were known on the day of the forecast count.
Small counts have the quantiles of a negative binomial distribution instead.
"""

from __future__ import annotations

from math import ceil, isfinite

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
LEVELS = (0.8, 0.95)
ENOUGH = 40
"""Errors at a distance from which a series is judged by its own alone."""
_NORMAL = {level: float(stats.norm.ppf(0.5 + level / 2)) for level in LEVELS}
_MEAN_TO_SD = 1.2533
"""Standard deviation of a normal variable over its mean absolute deviation."""


def half_widths(own: Floats, pool: Floats) -> tuple[float, float]:
    """Half widths of the 80 and 95 % intervals in units of the scale.

    Args:
        own: absolute scaled errors of the series at this distance, made known before.
        pool: those of all series.
    """
    errors = own if own.size >= ENOUGH else pool
    narrow, wide = (_quantile(errors, level) for level in LEVELS)
    if not isfinite(narrow):
        narrow = _NORMAL[0.8] * _MEAN_TO_SD * (float(errors.mean()) if errors.size else 1.0)
    if not isfinite(wide):  # too few errors for so far a tail: as far as a normal one lies from the narrow interval
        wide = max(narrow * _NORMAL[0.95] / _NORMAL[0.8], float(errors.max(initial=0.0)))
    return narrow, max(narrow, wide)


def _quantile(errors: Floats, level: float) -> float:
    """The value that a new error stays below with at least this probability; infinite for too few errors."""
    rank = ceil((errors.size + 1) * level)
    return float(np.partition(errors, rank - 1)[rank - 1]) if 0 < rank <= errors.size else float("inf")


def count_interval(mean: Floats, variance: float, level: float) -> tuple[Floats, Floats]:
    """Quantiles of a negative binomial distribution; of a Poisson one where the variance is no larger than the mean."""
    tails = ((1 - level) / 2, (1 + level) / 2)
    safe = np.maximum(mean, 1e-9)
    poisson = variance <= safe
    size = safe**2 / np.where(poisson, 1.0, variance - safe)
    low, high = (
        np.where(poisson, stats.poisson.ppf(tail, safe), stats.nbinom.ppf(tail, size, size / (size + safe)))
        for tail in tails
    )
    return np.maximum(low, 0.0), high
