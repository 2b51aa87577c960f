"""Weekly series of the watched measures that left their usual range.

A finding is a run of weeks with special cause (`insights.process_behaviour`) on one side that reaches into the last four
weeks, and that chance hardly gives: the run's mean against the median of the weeks before it, by the spread of these
weeks, a wider one where each week is like the last; for counts and shares also against the counts themselves. The median
makes an episode of the past no part of the usual, so that its end is no finding. Of measures that drift, as waiting for a
reader does when reading hours are lost, the latest six to twenty weeks are judged in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from math import sqrt
from statistics import fmean, median, stdev

import polars as pl

from insights.chance import rank_tail, rate_rise, student_tail
from insights.finding import WEEKS, Evidence, Finding, chance, over, when
from insights.names import Names
from insights.process_behaviour import OUTSIDE, Behaviour, process_behaviour, run_to_end
from insights.watched import Watched
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures import CATALOGUE, Measure, evaluate
from warehouse.scope import Scope

RECENT_WEEKS = 4
MINIMUM_WEEK_N = 5
"""A week with fewer exams or events behind its value is a gap; counts are taken as they are."""
MINIMUM_BASELINE_WEEKS = 8
LEAST_EXAMS = 3.0
"""A change of counts or shares by fewer exams a week is not told."""
LOOKS = 8
"""In how many places and lengths a run that reaches into the last weeks could have been seen."""
DRIFT_WEEKS, DRIFT_LOOKS, DRIFT = (6, 9, 12, 16, 20), 3, "mean of the latest weeks"
"""Lengths of the stretches that are held against all before where a measure drifts, how many independent ones that is
worth, and what it is called."""
LONG_MINUTES = 120
"""From here on a duration is told in hours."""
DAY_MINUTES = 1440
"""From here on it is told in whole hours."""

Place = tuple[tuple[str, str], ...]
"""Where a series belongs: breakdown and value, as (("site", "NORTH"), ("modality", "CT"))."""


@dataclass(frozen=True)
class Series:
    """A measure in one place, week by week; None is a gap."""

    place: Place
    weeks: tuple[date, ...]
    values: tuple[float | None, ...]
    n: tuple[int, ...]


def weekly(star: Star, watched: Watched, end: date, scope: Scope, narrowed: Filters | None = None) -> Iterator[Series]:
    """The weekly series of a measure in all its splits, the last week beginning on `end` or where it has settled."""
    measure = CATALOGUE[watched.measure]
    last = end - timedelta(weeks=watched.settles_in_weeks)
    weeks = [last - timedelta(weeks=back) for back in range(WEEKS - 1, -1, -1)]
    filters = over(narrowed, weeks[0], last + timedelta(days=6))
    if not (measure.additive or watched.is_share):
        for split in watched.splits:
            yield from series_of(evaluate(star, measure, filters, scope, ("week", *split)), split, weeks, counts=False)
        return
    ways = tuple(dict.fromkeys(way for split in watched.splits for way in split))
    finest = evaluate(star, measure, filters, replace(scope, small_count=0), ("week", *ways))
    for split in watched.splits:
        frame = _rolled_up(finest, split, measure, scope.small_count)
        yield from series_of(frame, split, weeks, counts=measure.additive)


def _rolled_up(finest: pl.DataFrame, split: Sequence[str], measure: Measure, small_count: int) -> pl.DataFrame:
    """A count, or a share of its n, of coarser parts: one question answers all of them. Small ones are withheld."""
    n = pl.col("n").sum()
    value = pl.col("value").sum() if measure.additive else (pl.col("value") * pl.col("n")).sum() / n
    frame = finest.group_by("week", *split).agg(value=value, n=n)
    small = pl.lit(measure.counts_patients) & (pl.col("n") > 0) & (pl.col("n") < small_count)
    return frame.with_columns(pl.when(~small).then(pl.col(name)).alias(name) for name in ("value", "n"))


def series_of(frame: pl.DataFrame, split: Sequence[str], weeks: Sequence[date], *, counts: bool) -> Iterator[Series]:
    """One series a combination of the split's values; what is unknown is left out.

    A week without rows is a gap. In a count it is 0 from the first week on, which is left out itself: it may be a part
    of a week, as when a scanner arrives.
    """
    groups = frame.partition_by(*split, as_dict=True) if split else {(): frame}
    for key, rows in sorted(groups.items(), key=str):
        if any(part in {None, "unknown", 0} for part in key):
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


def judged(watched: Watched, series: Series, names: Names, as_of: date) -> Finding | None:
    """The finding in a series, None where it behaves as usual or tells too little."""
    behaviour = process_behaviour(series.values)
    if behaviour.trial or behaviour.mean is None:
        return None
    runs = [run for run in (_latest_run(behaviour), *_latest_weeks(watched, series)) if run is not None]
    found = [one for run in runs if (one := _judged_run(watched, series, behaviour, run, names, as_of)) is not None]
    return min(found, key=lambda one: one.evidence.p, default=None)


def _judged_run(
    watched: Watched, series: Series, behaviour: Behaviour, run: slice, names: Names, as_of: date
) -> Finding | None:
    """The finding in some weeks at the end or near it."""
    measure = CATALOGUE[watched.measure]
    before = [value for value in series.values[: run.start] if value is not None]
    during = [value for value in series.values[run] if value is not None]
    n_before, n_during = sum(series.n[: run.start]), sum(series.n[run])
    enough = min(n_before, n_during) >= measure.minimum_n
    if len(before) < MINIMUM_BASELINE_WEEKS or len(during) < watched.least_weeks or not (enough or measure.additive):
        return None
    baseline, recent = median(before), median(during)
    size = recent - baseline
    if not _matters(watched, measure, size, baseline, n_during / len(during)):
        return None
    rules = [point.rule for point in behaviour.points[run] if point.rule]
    rule = OUTSIDE if OUTSIDE in rules else next(iter(rules), DRIFT)
    evidence = Evidence(
        series.weeks, series.values, series.n, rule,
        _chance(watched, measure, series, run, before, during), baseline, recent,
        behaviour.mean, behaviour.lower, behaviour.upper,
    )  # fmt: skip
    since, lasts = series.weeks[run.start], behaviour.since == run.start or run.stop == len(series.weeks)
    until = None if lasts else series.weeks[run.stop - 1] + timedelta(days=6)
    where = names.words(dict(series.place))
    return Finding(
        _kind(measure, size), watched.topic, measure.name, measure.permission, dict(series.place), since, until, size,
        measure.unit, evidence, _touched(watched, measure, evidence, series.n[run]),
        sentence(measure, where, evidence, since, until, as_of), _because(evidence, len(during)),
    )  # fmt: skip


def sentence(measure: Measure, where: str, evidence: Evidence, since: date, until: date | None, as_of: date) -> str:
    """The finding in plain words: `Exams at NORTH: above the usual range since 4 Aug, 310 against 250 a week`."""
    way = "above" if evidence.recent > evidence.baseline else "below"
    usual = "range" if evidence.rule == OUTSIDE else "level"
    figures = f"{_figures(measure, evidence)} {'a week' if measure.additive else measure.unit}".rstrip()
    if measure.unit == "min" and min(evidence.recent, evidence.baseline) >= LONG_MINUTES:
        whole = max(evidence.recent, evidence.baseline) >= DAY_MINUTES
        figures = f"{_hours(evidence.recent, whole=whole)} against {_hours(evidence.baseline, whole=whole)}"
    title = f"{measure.title}," if where and "," in measure.title else measure.title
    return f"{title} {where}".rstrip() + f": {way} the usual {usual} {when(since, until, as_of)}, {figures}"


def _because(evidence: Evidence, weeks: int) -> str:
    known = sum(value is not None for value in evidence.values)
    how = "against all weeks before" if evidence.rule == DRIFT else "on a process behaviour chart"
    return f"{weeks} of the last {known} weeks: {evidence.rule}, {how}; by chance {chance(evidence.p)}."


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


def _latest_weeks(watched: Watched, series: Series) -> Iterator[slice]:
    """Longer stretches up to the end, of measures that drift: single weeks of few exams say too little by themselves."""
    if watched.drifts:
        for weeks in DRIFT_WEEKS:
            yield slice(len(series.values) - weeks, len(series.values))


def _matters(watched: Watched, measure: Measure, size: float, baseline: float, n_a_week: float) -> bool:
    """Whether a change is large enough to be told."""
    if measure.unit == "%":
        return abs(size) >= watched.least and (not watched.is_share or abs(size) / 100 * n_a_week >= LEAST_EXAMS / 2)
    return abs(size) >= watched.least / 100 * abs(baseline) > 0 and (not measure.additive or abs(size) >= LEAST_EXAMS)


def _chance(
    watched: Watched, measure: Measure, series: Series, run: slice, before: Sequence[float], during: Sequence[float]
) -> float:
    """How likely chance alone gives such a run somewhere near the end."""
    centre = fmean(before)  # not the median, which a skewed series exceeds on average
    if len(during) >= DRIFT_WEEKS[0] and watched.drifts:
        return min(1.0, DRIFT_LOOKS * rank_tail(during, before, _stickiness(before, centre)))
    spread = max(stdev(before), _moving_spread(before))
    error = spread * sqrt((1 / len(during) + 1 / len(before)) * _stickiness(before, centre))
    p = student_tail((fmean(during) - centre) / error, len(before) - 1) if error else 0.0
    if measure.additive:
        p = max(p, 2 * _counts_differ(sum(during), len(during), sum(before), len(before)))
    elif watched.is_share:
        weeks = range(len(series.values))
        hit = [(value or 0.0) / 100 * n for value, n in zip(series.values, series.n, strict=True)]
        rises = fmean(during) > centre
        events = hit if rises else [n - part for n, part in zip(series.n, hit, strict=True)]
        inside, outside = weeks[run], weeks[: run.start]
        p = max(
            p,
            2 * rate_rise(
                round(sum(events[w] for w in inside)), sum(series.n[w] for w in inside),
                round(sum(events[w] for w in outside)), sum(series.n[w] for w in outside),
            ),
        )  # fmt: skip
    return min(1.0, LOOKS * p)


def _counts_differ(now: float, weeks: int, before: float, weeks_before: int) -> float:
    """One-sided p of the side to which the counts differ."""
    if now / weeks >= before / weeks_before:
        return rate_rise(round(now), weeks, round(before), weeks_before)
    return rate_rise(round(before), weeks_before, round(now), weeks)


def _moving_spread(values: Sequence[float]) -> float:
    """Standard deviation of single weeks by their median moving range, which one wild week does not widen."""
    ranges = [abs(after - first) for first, after in pairwise(values)]
    return median(ranges) / 0.954 if ranges else 0.0  # the median of |N(0, 2)|


def _stickiness(values: Sequence[float], centre: float) -> float:
    """By how much the variance of a mean grows where each week is like the last (first-order autocorrelation)."""
    away = [value - centre for value in values]
    whole = sum(part * part for part in away)
    alike = sum(first * after for first, after in pairwise(away)) / whole if whole else 0.0
    alike = min(0.8, max(0.0, alike))
    return (1 + alike) / (1 - alike)


def _touched(watched: Watched, measure: Measure, evidence: Evidence, n: Sequence[int]) -> float:
    """Exams of the run's last four weeks that would have been otherwise; of durations and doses by how far they moved."""
    size, weeks = abs(evidence.recent - evidence.baseline), min(RECENT_WEEKS, len(n))
    if measure.additive:
        return size * weeks
    exams = sum(n[-RECENT_WEEKS:])
    if watched.is_share:
        return size / 100 * exams
    return exams * min(1.0, size / abs(evidence.baseline) if evidence.baseline else 1.0)


def _kind(measure: Measure, size: float) -> str:
    if measure.direction == "neither":
        return "change"
    return "improvement" if (size > 0) == (measure.direction == "up") else "concern"
