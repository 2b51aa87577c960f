"""The two members of a forecast and their mean.

*Calendar regression*: the effects of weekdays, the year, holidays and month lengths about a slow trend, found in turns, and
exponential smoothing of what is left. *Theta* (Assimakopoulos and Nikolopoulos, International Journal of Forecasting 2000;16:521), of
what holidays and month lengths leave: it finds the season by itself, and cannot know that a Christmas is coming.
The mean of two unlike members is better than either. Counts below about eight a period are smoothed instead: their noise
is larger than any season that could be seen in them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter
from statsmodels.tsa.exponential_smoothing.ets import ETSModel
from statsmodels.tsa.forecasting.theta import ThetaModel

from forecasting.calendar import PARTS, Place, design
from forecasting.grain import RHYTHMS, Grain, ahead
from forecasting.series import Series

Floats = NDArray[np.float64]
RIDGE = {Grain.DAY: 0.5, Grain.WEEK: 0.5, Grain.MONTH: 1.0}
TURNS = 3
"""Times that effects and trend are found anew from each other."""
SEASONS_FOR_THETA = 3
NOT_SEASONAL = ("holiday", "month_length")
"""Effects that no season holds: they fall on other dates, or on other lengths, every year."""
LOW_COUNT = 8.0
"""Mean of a period below which a series is smoothed as a count."""
COUNT_WINDOW = 18
SMOOTHING = 0.15
FEWEST = 8
"""Periods of history below which only the mean is forecast."""


@dataclass(frozen=True)
class Forecast:
    """What is expected of the next periods, and what it is made of."""

    mean: Floats
    """Not below 0."""
    model: str
    parts: dict[str, Floats]
    """By name, summing to the mean before it was cut at 0."""
    variance: float | None = None
    """Of a single period, for counts; None where past errors tell the width."""


def forecast(series: Series, horizon: int, place: Place) -> Forecast:
    """The mean of the next `horizon` periods of a daily, weekly or monthly series.

    A pure function of the history: rows after it, the clock and other series play no part. What a member cannot fit is left to
    the other, and where neither can, the seasonal naive forecast stands in and says so.
    """
    rhythm = RHYTHMS[series.grain]
    kept = series.y[-rhythm.history :]
    starts = series.starts[-rhythm.history :]
    known = np.flatnonzero(~np.isnan(kept))
    if known.size == 0:
        return _plain(np.zeros(horizon), "no values")
    kept, starts = kept[known[0] :], starts[known[0] :]
    recent = kept[~np.isnan(kept)][-COUNT_WINDOW:]
    if known.size < FEWEST:
        return _plain(np.full(horizon, np.nanmean(kept)), "mean of few values")
    if series.grain is Grain.MONTH and recent.mean() < LOW_COUNT:
        return _counts(_filled(kept, rhythm.season), horizon)
    filled = _filled(kept, rhythm.season)
    future = ahead(series.starts[-1], horizon, series.grain)
    effects = _calendar_effects(filled, np.concatenate([starts, future]), series.grain, place)
    by_calendar = _by_calendar(filled, effects, horizon)
    by_theta = _by_theta(filled, effects, horizon, rhythm.season)
    members = [member for member in (by_calendar, by_theta) if member is not None]
    if not members:
        return _plain(seasonal_naive(kept, horizon, rhythm.season), "seasonal naive: no model could be fitted")
    mean = np.mean([_sum(member, horizon) for member in members], axis=0)
    parts = dict(members[0])
    parts["adjustment"] = mean - _sum(parts, horizon)
    name = "calendar and theta" if len(members) == 2 else "calendar" if by_calendar else "theta"
    return Forecast(np.maximum(mean, 0.0), name, parts)


def seasonal_naive(y: Floats, horizon: int, season: int) -> Floats:
    """The last season again and again; the last value where there is no whole season. Gaps are filled first."""
    filled = _filled(y, season)
    last = filled[-season:] if len(filled) >= season else filled[-1:]
    return np.asarray(np.resize(last, horizon))


def _plain(mean: Floats, model: str) -> Forecast:
    return Forecast(np.maximum(mean, 0.0), model, {"level": mean})


def _counts(y: Floats, horizon: int) -> Forecast:
    """Exponential smoothing of the level of small counts, with the variance of the last periods."""
    level = float(y[0])
    for value in y[1:].tolist():
        level += SMOOTHING * (float(value) - level)
    mean: Floats = np.full(horizon, level)
    return Forecast(mean, "smoothed counts", {"level": mean}, variance=float(np.var(y[-COUNT_WINDOW:], ddof=1)))


def _filled(y: Floats, season: int) -> Floats:
    """The values with each gap filled by that of a season before, else of a season after, else by the mean."""
    if not np.isnan(y).any():
        return y
    filled = y.copy()
    for index in np.flatnonzero(np.isnan(filled)):
        before, after = index - season, index + season
        if before >= 0 and not np.isnan(filled[before]):
            filled[index] = filled[before]
        elif after < len(y) and not np.isnan(y[after]):
            filled[index] = y[after]
    return np.where(np.isnan(filled), np.nanmean(y), filled)


def two_sided_mean(y: Floats, half_life: float) -> Floats:
    """The mean about each value, weights halving every `half_life` periods to both sides."""
    decay = 0.5 ** (1 / half_life)
    return np.asarray(_both_sides(y, decay) / _both_sides(np.ones(len(y)), decay))


def _both_sides(values: Floats, decay: float) -> Floats:
    forward, backward = (lfilter([1.0], [1.0, -decay], one) for one in (values, values[::-1]))
    return np.asarray(forward + backward[::-1] - values)


def _calendar_effects(y: Floats, starts: NDArray[np.datetime64], grain: Grain, place: Place) -> dict[str, Floats]:
    """What each part of the calendar adds in each period, about a slow trend; `starts` reaches over history and future."""
    columns = design(starts, grain, place, len(y))
    x = columns.x[: len(y)]
    gram = x.T @ x + RIDGE[grain] * np.eye(x.shape[1])
    half_life = RHYTHMS[grain].half_life
    trend, weights = two_sided_mean(y, half_life), np.zeros(x.shape[1])
    for _ in range(TURNS):
        weights = np.asarray(np.linalg.solve(gram, x.T @ (y - trend)), dtype=np.float64)
        trend = two_sided_mean(y - x @ weights, half_life)
    effects = columns.x * weights
    return {
        name: effects[:, [part == name for part in columns.parts]].sum(axis=1)
        for name in PARTS
        if name in columns.parts
    }


def _by_calendar(y: Floats, effects: dict[str, Floats], horizon: int) -> dict[str, Floats] | None:
    """The parts of the calendar regression's forecast; None where what is left cannot be smoothed."""
    n = len(y)
    smoothed = _smoothed(y - _sum(effects, n + horizon)[:n], horizon)
    if smoothed is None:
        return None
    level = {"level": np.full(horizon, smoothed[0]), "trend": smoothed - smoothed[0]}
    return level | {name: values[n:] for name, values in effects.items()}


def _by_theta(y: Floats, effects: dict[str, Floats], horizon: int, season: int) -> dict[str, Floats] | None:
    """Theta's forecast and what holidays and month lengths add to it; None where it cannot be fitted."""
    n = len(y)
    own = {name: effects[name] for name in NOT_SEASONAL if name in effects}
    told = _theta(np.maximum(y - _sum(own, n + horizon)[:n], 0.0), horizon, season)
    return None if told is None else {"level": told} | {name: values[n:] for name, values in own.items()}


def _sum(parts: dict[str, Floats], count: int) -> Floats:
    return np.asarray(sum(parts.values(), np.zeros(count)))


def _smoothed(rest: Floats, horizon: int) -> Floats | None:
    """Exponential smoothing, level alone or with a damped trend, the better by AICc; None where neither fits."""
    best: tuple[float, Floats] | None = None
    scale = float(np.std(rest)) or 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for trend in (None, "add"):
            try:
                fitted = ETSModel(pd.Series(rest / scale), trend=trend, damped_trend=trend is not None).fit(disp=False)
                told = np.asarray(fitted.forecast(horizon)) * scale
            except (ValueError, np.linalg.LinAlgError, FloatingPointError):
                continue
            if np.isfinite(told).all() and np.isfinite(fitted.aicc) and (best is None or fitted.aicc < best[0]):
                best = (float(fitted.aicc), told)
    return None if best is None else best[1]


def _theta(y: Floats, horizon: int, season: int) -> Floats | None:
    """The theta forecast; None where it cannot be fitted or runs away."""
    seasonal = len(y) >= SEASONS_FOR_THETA * season
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = ThetaModel(
                pd.Series(y, index=pd.RangeIndex(len(y))), period=season, deseasonalize=seasonal, use_test=True,
                method="multiplicative" if (y > 0).all() else "additive",
            )  # fmt: skip
            told = np.asarray(model.fit(disp=False).forecast(horizon))
        except (ValueError, np.linalg.LinAlgError, FloatingPointError):
            return None
    runs_away = not np.isfinite(told).all() or np.abs(told).max() > 10 * (np.abs(y).max() + 1)
    return None if runs_away else told
