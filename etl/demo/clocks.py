"""Simulated time: minutes since 1970 in UTC, and the wall clocks of the sites."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

Minutes = NDArray[np.float64]
EPOCH = date(1970, 1, 1)
DAY = 1440.0


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def day_of(number: float) -> date:
    """The date of a day number."""
    return EPOCH + timedelta(days=int(number))


class SiteClock:
    """Offsets of one zone from UTC, by the hour, over the simulated span."""

    def __init__(self, zone: ZoneInfo, first: date, last: date) -> None:
        self._zone = zone
        self._first_hour = (day_number(first) - 2) * 24
        self._hours = (day_number(last) - day_number(first) + 400) * 24

    @cached_property
    def _offsets(self) -> Minutes:
        start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=self._first_hour)
        shifts = [(start + timedelta(hours=h)).astimezone(self._zone).utcoffset() for h in range(self._hours)]
        return np.array([shift.total_seconds() / 60 if shift is not None else 0.0 for shift in shifts])

    @cached_property
    def offsets(self) -> list[float]:
        """The same as a list, which a loop reads faster."""
        return list(self._offsets.tolist())

    def offset(self, utc: float) -> float:
        """Minutes that local time is ahead of UTC."""
        return self.offsets[int(utc // 60) - self._first_hour]

    def local(self, utc: float) -> float:
        """Local minutes."""
        return utc + self.offset(utc)

    def locals(self, utc: Minutes) -> Minutes:
        """Local minutes of many instants."""
        return utc + self._offsets[(utc // 60).astype(np.int64) - self._first_hour]

    def utc(self, local: float) -> float:
        """The instant of local minutes; near a change of clocks the offset of the guess is taken."""
        guess = local - self.offset(local)
        return local - self.offset(guess)

    def utcs(self, local: Minutes) -> Minutes:
        """The instants of many local times."""
        first = (local // 60).astype(np.int64) - self._first_hour
        guess = local - self._offsets[first]
        return local - self._offsets[(guess // 60).astype(np.int64) - self._first_hour]


def weekday(local: float) -> int:
    """ISO weekday of local minutes: 1970-01-01 was a Thursday."""
    return int(local // DAY + 3) % 7 + 1


def hour(local: float) -> float:
    """Hour of the day of local minutes."""
    return local % DAY / 60


def to_time(minutes: str) -> pl.Expr:
    """A column of UTC minutes as a time, to the whole second; NaN and infinity as null."""
    column = pl.col(minutes)
    return (
        pl.when(column.is_finite())
        .then((column * 60).round(0).cast(pl.Int64, strict=False) * 1_000_000)
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone("UTC")
        .alias(minutes)
    )
