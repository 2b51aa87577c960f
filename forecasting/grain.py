"""Grains of time: how long a period is, what repeats in it, and how much history its models are given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Dates = NDArray[np.datetime64]


class Grain(StrEnum):
    """Length of a period."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class Rhythm:
    """What the models need to know of a grain."""

    unit: str
    """Of NumPy's dates."""
    season: int
    """Periods after which the seasonal naive forecast repeats itself."""
    history: int
    """Periods of history that models are given."""
    step: int
    """Periods between the origins of a back-test."""
    half_life: float
    """Periods in which the weight of a value in the trend halves: a sixth of a window of 365 days, 53 weeks or 13 months."""
    bucket: int
    """Periods ahead that share the width of their intervals."""


RHYTHMS: dict[Grain, Rhythm] = {
    Grain.HOUR: Rhythm("h", 168, 104 * 168, 168, 365 / 6, 168),
    Grain.DAY: Rhythm("D", 7, 3 * 365, 28, 365 / 6, 7),
    Grain.WEEK: Rhythm("W", 52, 6 * 52, 8, 53 / 6, 4),
    Grain.MONTH: Rhythm("M", 12, 120, 3, 13 / 6, 3),
}
"""Seasons, histories and steps as measured to serve best on real series; an hour's calendar is that of its day."""


def weekday(days: Dates) -> NDArray[np.int64]:
    """Monday is 0: 1 January 1970 was a Thursday."""
    return np.asarray((days.astype("datetime64[D]").astype(np.int64) + 3) % 7)


def first_day(dates: Dates, grain: Grain) -> NDArray[np.datetime64]:
    """First day of each period: weeks begin on Monday."""
    days = np.asarray(dates.astype("datetime64[D]"))
    if grain is Grain.MONTH:
        return np.asarray(dates.astype("datetime64[M]").astype("datetime64[D]"))
    if grain is Grain.WEEK:
        return np.asarray(days - weekday(days).astype("timedelta64[D]"))
    return days


def ahead(last: np.datetime64, horizon: int, grain: Grain) -> Dates:
    """The `horizon` periods after `last`, each by its start."""
    steps = np.arange(1, horizon + 1)
    if grain is Grain.MONTH:
        return np.asarray((last.astype("datetime64[M]") + steps).astype("datetime64[D]"))
    if grain is Grain.WEEK:
        return np.asarray(last.astype("datetime64[D]") + 7 * steps)
    return np.asarray(last.astype(f"datetime64[{RHYTHMS[grain].unit}]") + steps)
