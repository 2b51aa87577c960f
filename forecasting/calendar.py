"""What the calendar does to demand: weekdays, the year, public holidays, the length of months.

Each effect is one column of a regression; a column belongs to one of `PARTS`, so that a forecast can be explained in its words.
Public holidays come from the package `holidays`, for the country and subdivision of the site, without any network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import holidays
import numpy as np
from numpy.typing import NDArray

from forecasting.errors import SeriesError
from forecasting.grain import Dates, Grain, weekday

Floats = NDArray[np.float64]
PARTS = ("weekday", "annual", "holiday", "month_length")
ANNUAL_DAYS = 365.25
FULL_YEAR_DAYS = 548
"""History from which a daily series shows its year: a year and a half."""
MONTHS_FOR_DUMMIES = 60
_NAMED = {
    "New Year's Day": "new year", "Christmas Day": "christmas", "Boxing Day": "boxing day", "Good Friday": "easter", "Easter Monday": "easter", "Thanksgiving Day": "thanksgiving",
    "Thanksgiving": "thanksgiving", "Independence Day": "independence day",
}  # fmt: skip
"""Holidays with an effect of their own; all others share one."""
OTHER = "public holiday"
_EVES = {(12, 24): "christmas eve", (12, 31): "new year's eve"}
_FIXED = {(1, 1): "new year", (12, 25): "christmas", (12, 26): "boxing day"}
"""The feast itself where the public holiday is moved to a working day beside it."""


@dataclass(frozen=True)
class Place:
    """Whose public holidays hold: ISO 3166 codes; no country is none at all."""

    country: str = ""
    subdivision: str = ""

    @classmethod
    def of(cls, code: str) -> Place:
        """From `GB-ENG`, `DE` or nothing.

        Raises:
            SeriesError: a country or subdivision that is not known.
        """
        country, _, subdivision = code.partition("-")
        place = cls(country.upper(), subdivision.upper())
        if country:
            _holidays(place, 2024)
        return place


@dataclass(frozen=True)
class Design:
    """The columns of the regression."""

    x: Floats
    """One row a period."""
    parts: tuple[str, ...]
    """Which of `PARTS` each column belongs to."""


@lru_cache(maxsize=512)
def _holidays(place: Place, year: int) -> dict[np.datetime64, str]:
    """Public holidays of a year, in English where the package has it."""
    if not place.country:
        return {}
    try:
        found = holidays.country_holidays(
            place.country, subdiv=place.subdivision or None, years=year, language="en_US", observed=True
        )
    except NotImplementedError as error:
        raise SeriesError(f"no public holidays are known for {place.country}-{place.subdivision}: give ISO 3166 codes such as GB-ENG, US or DE-BY.") from error  # fmt: skip
    return {np.datetime64(day): name.partition(" (")[0].partition(";")[0] for day, name in found.items()}


@lru_cache(maxsize=64)
def _kinds(place: Place, first: int, last: int) -> tuple[NDArray[np.datetime64], dict[str, NDArray[np.bool_]]]:
    """Every day of some years, and on which of them each kind of holiday falls."""
    days = np.arange(f"{first}-01-01", f"{last + 1}-01-01", dtype="datetime64[D]")
    kinds = {name: np.zeros(len(days), bool) for name in (*dict.fromkeys(_NAMED.values()), OTHER, *_EVES.values(), "day after")}  # fmt: skip
    for year in range(first, last + 1):
        for day, name in _holidays(place, year).items():
            at = int((day - days[0]).astype(int))
            kinds[_NAMED.get(name, OTHER)][at] = True
        for (month, number), name in (*_EVES.items(), *_FIXED.items()):
            kinds[name][int((np.datetime64(f"{year}-{month:02}-{number:02}") - days[0]).astype(int))] = True
    free = np.any([marks for name, marks in kinds.items() if name not in _EVES.values()], axis=0)
    kinds["day after"][1:] = free[:-1] & ~free[1:]
    return days, kinds


def design(starts: Dates, grain: Grain, place: Place, history: int) -> Design:
    """The calendar's columns for periods of a day or longer.

    Args:
        starts: first day of each period.
        history: periods that the model is fitted to: short histories get fewer columns.
    """
    if grain is Grain.DAY:
        return _joined(_weekdays(starts), *_year(starts, 6 if history > FULL_YEAR_DAYS else 0), _of_days(starts, place))
    if grain is Grain.WEEK:
        return _joined(*_year(starts, 4), _in_periods(starts, starts + 7, place))
    return _joined(_months(starts, history), _lengths(starts, place))


def is_working_day(days: Dates, place: Place) -> NDArray[np.bool_]:
    """Monday to Friday and no public holiday."""
    every, kinds = _around(days, place)
    free = np.any([marks for name, marks in kinds.items() if name not in {*_EVES.values(), "day after"}], axis=0)
    at = (days - every[0]).astype(np.int64)
    return np.asarray((weekday(days) < 5) & ~free[at])


def _around(days: Dates, place: Place) -> tuple[NDArray[np.datetime64], dict[str, NDArray[np.bool_]]]:
    years = days[[0, -1]].astype("datetime64[Y]").astype(int) + 1970
    return _kinds(place, int(years[0]), int(years[1]) + 1)


def _joined(*blocks: tuple[Floats, str]) -> Design:
    kept = [(x, part) for x, part in blocks if x.shape[1]]
    return Design(np.column_stack([x for x, _ in kept]), tuple(part for x, part in kept for _ in range(x.shape[1])))


def _weekdays(days: Dates) -> tuple[Floats, str]:
    return np.eye(7)[weekday(days)], "weekday"


def _year(starts: Dates, pairs: int) -> list[tuple[Floats, str]]:
    """Sines and cosines of the year."""
    if not pairs:
        return []
    angle = 2 * np.pi * starts.astype("datetime64[D]").astype(np.int64) / ANNUAL_DAYS
    waves = [wave(k * angle) for k in range(1, pairs + 1) for wave in (np.sin, np.cos)]
    return [(np.column_stack(waves), "annual")]


def _of_days(days: Dates, place: Place) -> tuple[Floats, str]:
    every, kinds = _around(days, place)
    at = (days - every[0]).astype(np.int64)
    return np.column_stack([marks[at].astype(float) for marks in kinds.values()]), "holiday"


def _in_periods(starts: Dates, ends: Dates, place: Place) -> tuple[Floats, str]:
    """How many days of each kind of holiday lie in each period."""
    every, kinds = _around(np.array([starts[0], ends[-1]]), place)
    first, last = ((edge - every[0]).astype(np.int64) for edge in (starts, ends))
    counts = []
    for marks in kinds.values():
        before = np.concatenate([[0], np.cumsum(marks)])
        counts.append((before[last] - before[first]).astype(float))
    return np.column_stack(counts), "holiday"


def _months(starts: Dates, history: int) -> tuple[Floats, str]:
    """A column a month of the year where the history is long, else two waves."""
    month = starts.astype("datetime64[M]").astype(np.int64) % 12
    if history >= MONTHS_FOR_DUMMIES:
        return np.eye(12)[month], "annual"
    waves = [wave(2 * np.pi * k * month / 12) for k in (1, 2) for wave in (np.sin, np.cos)]
    return np.column_stack(waves), "annual"


def _lengths(starts: Dates, place: Place) -> tuple[Floats, str]:
    """Days and working days of each month about their usual number."""
    edges = np.append(starts.astype("datetime64[M]"), starts[-1].astype("datetime64[M]") + 1).astype("datetime64[D]")
    days = np.arange(edges[0], edges[-1], dtype="datetime64[D]")
    worked = np.concatenate([[0], np.cumsum(is_working_day(days, place))])
    at = (edges - edges[0]).astype(np.int64)
    return np.column_stack([np.diff(at) - 30.4, np.diff(worked[at]) - 21.0]), "month_length"
