"""What changed: weekly series of the watched measures that left their usual range, most consequential first.

A finding is a run of weeks with special cause (`insights.process_behaviour`) on one side that reaches into the last
four weeks. It is told where the run's mean differs from the weeks before it by more than single weeks usually spread.
Only full weeks that ended before `as_of` enter, and of measures that settle late only weeks that have settled, so that
the findings of a past day are those that could be seen on that day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from math import log1p, sqrt
from statistics import fmean
from typing import Any

import polars as pl

from insights.names import Names, names_of
from insights.process_behaviour import OUTSIDE, Behaviour, process_behaviour, run_to_end
from insights.watched import WATCHED, Watched
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures import CATALOGUE, Measure, evaluate
from warehouse.scope import Scope

WEEKS = 52
RECENT_WEEKS = 4
MINIMUM_WEEK_N = 5
"""A week with fewer exams or events behind its value is a gap; counts are taken as they are."""
MINIMUM_BASELINE_WEEKS = 8
LEAST_POINTS, LEAST_SHARE = 2.0, 0.05
"""Smaller sizes are not told: percentage points of shares, and share of the baseline of all else. Rare events give weeks
of exact zeros, whose process limits would make a change of everything."""
WEIGHTS = {"concern": 1.0, "change": 0.7, "improvement": 0.5}
"""How much each kind counts in the order of findings."""
LONG_MINUTES = 120
"""From here on a duration is told in hours."""
DAY_MINUTES = 1440
"""From here on it is told in whole hours."""
OVER = 0.4
"""How much a change counts that is over, against one that lasts."""
MOST_SPREADS, MOST_RELATIVE = 6.0, 1.0
"""Sizes beyond count alike, so that quiet series and tiny baselines do not lead the list."""

Place = tuple[tuple[str, str], ...]
"""Where a series belongs: breakdown and value, as (("site", "NORTH"), ("modality", "CT"))."""


@dataclass(frozen=True)
class Series:
    """A measure in one place, week by week; None is a gap."""

    place: Place
    weeks: tuple[date, ...]
    values: tuple[float | None, ...]
    n: tuple[int, ...]


@dataclass(frozen=True)
class Evidence:
    """What a finding rests on."""

    weeks: tuple[date, ...]
    """Mondays."""
    values: tuple[float | None, ...]
    n: tuple[int, ...]
    mean: float
    lower: float
    upper: float
    rule: str
    """The first rule that the run breaks."""
    baseline: float
    """Mean of the weeks before the run."""
    recent: float
    """Mean of the run."""


@dataclass(frozen=True)
class Finding:
    """One thing that changed."""

    kind: str
    """concern, improvement, or change where no direction is good."""
    measure: str
    scope: dict[str, str]
    """site, modality, device, protocol, procedure: codes and keys as filters take them."""
    since: date
    """Monday of the run's first week."""
    until: date | None
    """Sunday of the run's last week where later weeks are usual again; None while it lasts."""
    size: float
    """Mean of the run less mean of the weeks before it, in `unit`."""
    unit: str
    evidence: Evidence
    text: str
    weight: float
    """What the findings are ordered by: size against spread and baseline, weeks, n, whether it lasts, kind."""

    def as_json(self) -> dict[str, Any]:
        """The finding with days as ISO text and figures rounded to what can be read."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def findings(
    star: Star,
    as_of: date,
    scope: Scope,
    *,
    filters: Filters | None = None,
    permissions: Collection[str] | None = None,
    limit: int = 10,
) -> list[Finding]:
    """What changed as of a day, most consequential first.

    Args:
        filters: narrows what is looked at to its sites, modalities and so on; its period plays no part.
        permissions: leaves out measures that belong to a permission outside of these; None leaves out none.
        limit: findings at most.
    """
    allowed = [w for w in WATCHED if permissions is None or CATALOGUE[w.measure].permission in permissions]
    end = _last_full_week(star, as_of)
    names = names_of(star, scope)
    found = [
        (watched.topic, names.around(dict(series.place)), finding)
        for watched in allowed
        for series in weekly(star, watched, end, scope, filters)
        if (finding := judged(CATALOGUE[watched.measure], series, names, as_of)) is not None
    ]
    return _told(found)[:limit]


def weekly(star: Star, watched: Watched, end: date, scope: Scope, narrowed: Filters | None = None) -> Iterator[Series]:
    """The weekly series of a measure in all its splits, the last week beginning on `end` or where it has settled."""
    last = end - timedelta(weeks=watched.settles_in_weeks)
    weeks = [last - timedelta(weeks=back) for back in range(WEEKS - 1, -1, -1)]
    first_day, last_day = weeks[0], last + timedelta(days=6)
    filters = narrowed.over(first_day, last_day) if narrowed else Filters(first_day, last_day)
    for split in watched.splits:
        frame = evaluate(star, watched.measure, filters, scope, by=("week", *split))
        yield from series_of(frame, split, weeks, counts=CATALOGUE[watched.measure].additive)


def series_of(frame: pl.DataFrame, split: Sequence[str], weeks: Sequence[date], *, counts: bool) -> Iterator[Series]:
    """One series a combination of the split's values.

    A week without rows is a gap. In a count it is 0 from the first week on, which is left out itself: it may be a part
    of a week, as when a scanner arrives.
    """
    groups = frame.partition_by(*split, as_dict=True) if split else {(): frame}
    for key, rows in sorted(groups.items(), key=str):
        if any(part is None for part in key):
            continue
        by_week = {row["week"]: (row["value"], row["n"] or 0) for row in rows.iter_rows(named=True)}
        if counts and by_week:
            first = min(by_week)
            by_week = {week: by_week.get(week, (0, 0)) for week in weeks if week > first or first == weeks[0]}
        cells = [by_week.get(week, (None, 0)) for week in weeks]
        values = tuple(
            float(value) if value is not None and (counts or n >= MINIMUM_WEEK_N) else None for value, n in cells
        )
        place = tuple((way, str(part)) for way, part in zip(split, key, strict=True))
        yield Series(place, tuple(weeks), values, tuple(int(n) for _, n in cells))


def judged(measure: Measure, series: Series, names: Names, as_of: date) -> Finding | None:
    """The finding in a series, None where it behaves as usual or tells too little."""
    behaviour = process_behaviour(series.values)
    run = _latest_run(behaviour)
    if run is None or behaviour.trial or behaviour.mean is None or behaviour.lower is None or behaviour.upper is None:
        return None
    before = [value for value in series.values[: run.start] if value is not None]
    during = [value for value in series.values[run] if value is not None]
    enough = min(sum(series.n[: run.start]), sum(series.n[run])) >= measure.minimum_n
    if len(before) < MINIMUM_BASELINE_WEEKS or not (enough or measure.additive):
        return None
    baseline, recent = fmean(before), fmean(during)
    size = recent - baseline
    least = LEAST_POINTS if measure.unit == "%" else LEAST_SHARE * abs(baseline)
    if size == 0 or abs(size) < max(least, (behaviour.upper - behaviour.mean) / 3):
        return None
    rules = [point.rule for point in behaviour.points[run] if point.rule]
    rule = OUTSIDE if OUTSIDE in rules else rules[0]
    evidence = Evidence(
        series.weeks, series.values, series.n, behaviour.mean, behaviour.lower, behaviour.upper, rule, baseline, recent
    )
    since, lasts = series.weeks[run.start], behaviour.since == run.start
    until = None if lasts else series.weeks[run.stop - 1] + timedelta(days=6)
    kind = _kind(measure, size)
    scope = dict(series.place)
    text = sentence(measure, names.words(scope), evidence, since, until, as_of)
    weight = WEIGHTS[kind] * (1 if lasts else OVER) * _strength(evidence, len(during)) * log1p(sum(series.n[run]))
    return Finding(kind, measure.name, scope, since, until, size, measure.unit, evidence, text, weight)


def sentence(measure: Measure, where: str, evidence: Evidence, since: date, until: date | None, as_of: date) -> str:
    """The finding in plain words: `Exams at NORTH: above the usual range since 4 Aug, 310 against 250 a week`."""
    way = "above" if evidence.recent > evidence.baseline else "below"
    usual = "range" if evidence.rule == OUTSIDE else "level"
    days = f"since {_day(since, as_of)}" if until is None else f"from {_day(since, as_of)} to {_day(until, as_of)}"
    figures = f"{_figures(measure, evidence)} {'a week' if measure.additive else measure.unit}".rstrip()
    if measure.unit == "min" and min(evidence.recent, evidence.baseline) >= LONG_MINUTES:
        whole = max(evidence.recent, evidence.baseline) >= DAY_MINUTES
        figures = f"{_hours(evidence.recent, whole=whole)} against {_hours(evidence.baseline, whole=whole)}"
    title = f"{measure.title}," if where and "," in measure.title else measure.title
    return f"{title} {where}".rstrip() + f": {way} the usual {usual} {days}, {figures}"


def _figures(measure: Measure, evidence: Evidence) -> str:
    """The two levels with as many decimals as tell them apart."""
    decimals = measure.decimals
    while decimals < 3 and round(evidence.recent, decimals) == round(evidence.baseline, decimals):
        decimals += 1
    return f"{evidence.recent:,.{decimals}f} against {evidence.baseline:,.{decimals}f}"


def _hours(minutes: float, *, whole: bool) -> str:
    """`2 h 10 min`, or whole hours."""
    hours, rest = divmod(round(minutes), 60)
    return f"{round(minutes / 60)} h" if whole else f"{hours} h {rest} min"


def _latest_run(behaviour: Behaviour) -> slice | None:
    """The weeks of the last run of special cause that reaches into the recent ones."""
    points = behaviour.points
    recent = range(max(0, len(points) - RECENT_WEEKS), len(points))
    last = max((index for index in recent if points[index].special), default=None)
    if last is None:
        return None
    start = run_to_end(points[: last + 1])
    return None if start is None else slice(start, last + 1)


def _strength(evidence: Evidence, weeks: int) -> float:
    """How much a change is: against the spread of single weeks, against the baseline, and for how many weeks."""
    size = abs(evidence.recent - evidence.baseline)
    spread = (evidence.upper - evidence.mean) / 3
    spreads = min(MOST_SPREADS, size / spread) if spread else MOST_SPREADS
    relative = min(MOST_RELATIVE, size / abs(evidence.baseline)) if evidence.baseline else MOST_RELATIVE
    return spreads * sqrt(relative) * log1p(weeks)


def _kind(measure: Measure, size: float) -> str:
    if measure.direction == "neither":
        return "change"
    return "improvement" if (size > 0) == (measure.direction == "up") else "concern"


def _told(found: list[tuple[str, dict[str, str], Finding]]) -> list[Finding]:
    """Findings in order of weight; of those on one topic in overlapping places only the first."""
    told: list[tuple[str, set[tuple[str, str]], Finding]] = []
    for topic, around, finding in sorted(found, key=lambda each: (-each[2].weight, each[2].text)):
        place = set(around.items())
        if not any(topic == other and (place <= known or known <= place) for other, known, _ in told):
            told.append((topic, place, finding))
    return [finding for _, _, finding in told]


def _last_full_week(star: Star, as_of: date) -> date:
    """Monday of the last week that ended before the day, and before the data end."""
    newest = star.publication.as_of
    day = as_of if newest is None else min(as_of, newest.date() + timedelta(days=1))
    return day - timedelta(days=day.weekday() + 7)


def _day(day: date, as_of: date) -> str:
    return f"{day.day} {day:%b}" if day.year == as_of.year else f"{day.day} {day:%b %Y}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, date):
        return value.isoformat()
    return float(f"{value:.6g}") if isinstance(value, float) else value
