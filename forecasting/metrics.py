"""How good forecasts were: scaled errors, interval scores, coverage.

Scaled errors after Hyndman and Koehler, International Journal of Forecasting 2006;22:679; the interval score after Gneiting and
Raftery, JASA 2007;102:359; its weighted sum as in Bracher et al., PLoS Computational Biology 2021;17:e1008618.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def scales(train: Floats, season: int) -> tuple[float, float]:
    """Mean absolute and mean squared seasonal difference of the training part: what errors are divided by.

    The lag is one where there are fewer than `season + 3` values. 0 where the series never changes; NaN where it has no two values.
    """
    lag = season if len(train) >= season + 3 else 1
    steps = train[lag:] - train[:-lag]
    known = steps[~np.isnan(steps)]
    return (float(np.mean(np.abs(known))), float(np.mean(known**2))) if known.size else (float("nan"), float("nan"))


def interval_score(y: Floats, low: Floats, high: Floats, alpha: float) -> Floats:
    """Width of each interval of level 1 − `alpha`, and a fine where the value lies outside."""
    return (high - low) + (2 / alpha) * np.maximum(low - y, 0) + (2 / alpha) * np.maximum(y - high, 0)


def weighted_interval_score(
    y: Floats, median: Floats, within80: tuple[Floats, Floats], within95: tuple[Floats, Floats]
) -> Floats:
    """From the median and the 80 and 95 % intervals: (½·|y − median| + 0.1·IS80 + 0.025·IS95) / 2.5."""
    wide = 0.025 * interval_score(y, *within95, alpha=0.05)
    narrow = 0.1 * interval_score(y, *within80, alpha=0.2)
    return np.asarray((0.5 * np.abs(y - median) + narrow + wide) / 2.5)
