"""Surges of unplanned demand: days on which the emergency department asks for more exams than usual.

Weeks of a calendar cut an epidemic of two or three weeks in pieces, so that every stretch of one to four weeks that ended
in the last two is held against all days before, by site and reading section. The test is that of two Poisson rates, by
as much wider as the weeks before vary more than Poisson's, and it counts how many stretches were tried. Only exams that
nobody books are looked at: booked ones follow the slots.
"""

from __future__ import annotations

from datetime import date, timedelta
from statistics import fmean, variance
from typing import NamedTuple

import polars as pl

from insights.chance import rate_rise
from insights.episodes import DAYS_BACK, ENDED_DAYS
from insights.finding import Evidence, Finding, Found, chance, monday, over, when
from insights.names import Names
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures import CATALOGUE, evaluate
from warehouse.scope import Scope

LENGTHS = (7, 10, 14, 21, 28)
"""Days of the stretches that are tried."""
LEAST_BEFORE_DAYS, LEAST_BEFORE = 84, 50
"""Days, and exams in them, that tell the usual."""
LEAST_RISE = 0.25
"""Share of the usual by which more exams are told."""
OVER_DAYS = 4
"""Days after it, from which on it is over: a quiet day or two end nothing."""
UNBOOKED = "ED"
_EXAMS = CATALOGUE["exams"]


class Surge(NamedTuple):
    """A stretch of days with more exams than usual."""

    first: date
    last: date
    exams: int
    usual: float
    """Exams that so many days usually have."""
    is_over: bool
    chance: float


def find(star: Star, last: date, as_of: date, scope: Scope, narrowed: Filters | None, names: Names) -> Found:
    """Surges at all sites and sections, `last` being the last day whose exams are known."""
    filters = over(narrowed, last - timedelta(days=DAYS_BACK - 1), last)
    if filters.patient_class and UNBOOKED not in filters.patient_class:
        return Found([], 0)
    asked = filters.narrowed(patient_class=(UNBOOKED,))
    days = evaluate(star, _EXAMS, asked, scope, ("site", "section", "day")).drop_nulls("section")
    if days.is_empty():
        return Found([], 0)
    first: date = days.select(pl.col("day").min()).item()
    found, parts = [], days.partition_by("site", "section", as_dict=True, maintain_order=True)
    for (site, section), part in parts.items():
        counts = dict(part.select("day", pl.col("value").fill_null(0).cast(pl.Int64)).iter_rows())
        daily = [counts.get(first + timedelta(days=number), 0) for number in range((last - first).days + 1)]
        one = surge(daily, last)
        if one is not None and one.exams >= scope.small_count:
            place = {"site": str(site), "section": str(section), "patient_class": UNBOOKED}
            found.append(_finding(place, daily, one, last, as_of, names))
    return Found(found, len(parts))


def surge(daily: list[int], last: date) -> Surge | None:
    """The surge that chance gives least; None where there is none.

    Args:
        daily: exams of consecutive days up to `last`.
    """
    ends = range(len(daily) - ENDED_DAYS + 1, len(daily) + 1)
    windows = [(end - length, end) for length in LENGTHS for end in ends if end - length >= LEAST_BEFORE_DAYS]
    surges = []
    for start, end in windows:
        now, before = sum(daily[start:end]), sum(daily[:start])
        usual = before / start * (end - start)
        parts = [(daily[start:end], usual), (daily[end - 7 : end], before / start * 7)]
        if before < LEAST_BEFORE or any(sum(part) < (1 + LEAST_RISE) * as_usual for part, as_usual in parts):
            continue  # a stretch whose last week is as usual reaches beyond the surge's end
        wider = _dispersion(daily[:start])
        p = rate_rise(int(now / wider), end - start, round(before / wider), start)
        first, until = (last - timedelta(days=len(daily) - 1 - place) for place in (start, end - 1))
        surges.append(Surge(first, until, now, usual, len(daily) - end >= OVER_DAYS, min(1.0, len(windows) * p)))
    return min(surges, key=lambda one: one.chance, default=None)


def _dispersion(daily: list[int]) -> float:
    """By how much the weekly counts vary more than Poisson's, at least 1."""
    weeks = [sum(daily[end - 7 : end]) for end in range(len(daily), 6, -7)]
    return max(1.0, variance(weeks) / fmean(weeks)) if any(weeks) else 1.0


def _finding(place: dict[str, str], daily: list[int], one: Surge, last: date, as_of: date, names: Names) -> Finding:
    until = one.last if one.is_over else None
    days = (one.last - one.first).days + 1
    return Finding(
        "change", "volume", _EXAMS.name, _EXAMS.permission, place, one.first, until, (one.exams - one.usual) / days * 7, "",
        _evidence(daily, one, days, last), one.exams - one.usual,
        f"Surge of exams {names.words(place)}: {one.exams} {when(one.first, until, as_of)}, {one.usual:.0f} would be usual",
        f"{one.exams / days:.1f} exams a day against {one.usual / days:.1f} on all days before: by chance {chance(one.chance)}.",
    )  # fmt: skip


def _evidence(daily: list[int], one: Surge, days: int, last: date) -> Evidence:
    """Exams week by week."""
    dates = [last - timedelta(days=len(daily) - 1 - place) for place in range(len(daily))]
    weeks = pl.DataFrame({"week": [monday(day) for day in dates], "n": daily}).group_by("week").sum().sort("week")
    counts = tuple(weeks["n"].to_list())
    rule = "exams of a stretch of days, against all days before"
    return Evidence(
        tuple(weeks["week"].to_list()), tuple(float(n) for n in counts), counts, rule, one.chance, one.usual / days * 7, one.exams / days * 7
    )  # fmt: skip
