"""Hours: the day is forecast, and split by the share that each hour of its weekday had over the last two years.

Hours so made add up to their day, and beat a model of the hours themselves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.calendar import Place
from forecasting.grain import Grain, ahead, weekday
from forecasting.models import Forecast, forecast
from forecasting.series import Series

Floats = NDArray[np.float64]
PROFILE_WEEKS = 104
HOURS = 24


def forecast_hours(series: Series, horizon: int, place: Place) -> Forecast:
    """The next hours of an hourly series on the local clock; a started day is forecast from the whole days before it."""
    days = daily(series)
    future = ahead(series.starts[-1], horizon, Grain.HOUR)
    dates = future.astype("datetime64[D]")
    last = days.starts[-1].astype("datetime64[D]")
    told = forecast(days, int((dates[-1] - last).astype(int)), place)
    share = profile(series)[weekday(dates), _hour(future)]
    at = (dates - last).astype(np.int64) - 1
    parts = {name: values[at] * share for name, values in told.parts.items()}
    return Forecast(told.mean[at] * share, f"{told.model}, by hour", parts)


def daily(series: Series) -> Series:
    """Sums of the whole days of an hourly series; a day without any hour is missing."""
    whole = _whole_days(series)
    y, days = series.y[whole].reshape(-1, HOURS), series.starts[whole][::HOURS].astype("datetime64[D]")
    known = ~np.isnan(y)
    return Series(series.unique_id, Grain.DAY, days, np.where(known.any(axis=1), np.where(known, y, 0.0).sum(axis=1), np.nan))  # fmt: skip


def profile(series: Series) -> Floats:
    """The share of each hour in its weekday, Monday first: 7 rows of 24 that add up to 1."""
    whole, window = _whole_days(series), PROFILE_WEEKS * 7 * HOURS
    y, starts = series.y[whole][-window:], series.starts[whole][-window:]
    sums = np.zeros((7, HOURS))
    np.add.at(sums, (weekday(starts), _hour(starts)), np.where(np.isnan(y), 0.0, y))
    whole = sums.sum(axis=1, keepdims=True)
    usual = sums.sum(axis=0) / sums.sum() if sums.sum() else np.full(HOURS, 1 / HOURS)
    return np.where(whole > 0, sums / np.where(whole > 0, whole, 1.0), usual)


def _whole_days(series: Series) -> slice:
    """The hours from the first midnight to the last."""
    hours = _hour(series.starts)
    first = int(np.argmax(hours == 0)) if (hours == 0).any() else len(hours)
    return slice(first, max(first, len(hours) - (int(hours[-1]) + 1) % HOURS))


def _hour(starts: NDArray[np.datetime64]) -> NDArray[np.int64]:
    return np.asarray(starts.astype("datetime64[h]").astype(np.int64) % HOURS)
