"""A measure week by week over about a year, judged by the process-behaviour rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import polars as pl

from dashboards._shell import numbers
from dashboards._shell.reading import Reading
from insights.process_behaviour import OUTSIDE, Behaviour, Variation, process_behaviour, variation
from warehouse.filters import Filters
from warehouse.measures import Measure, measure

WEEKS = 52
RECENT_WEEKS = 8
"""A special cause that ended within these is still worth a word."""
LATE_WEEKS = {"unbilled_share": 2}
"""Weeks at the end that a measure leaves out, because what it counts comes days later: charges follow the report."""

Side = Literal["high", "low"]


@dataclass(frozen=True)
class Weekly:
    """One measure, full weeks only, oldest first."""

    measure: Measure
    weeks: tuple[date, ...]
    """Mondays."""
    values: tuple[float | None, ...]
    n: tuple[int | None, ...]
    behaviour: Behaviour

    @property
    def known(self) -> int:
        """Weeks with a value that may be shown."""
        return sum(value is not None for value in self.values)

    @property
    def variation(self) -> Variation:
        """What the latest week means."""
        return variation(self.behaviour, self.measure.direction)

    @property
    def side(self) -> Side | None:
        """The side on which the special cause that lasts to the end lies."""
        since = self.behaviour.since
        return None if since is None else self.behaviour.points[since].side

    @property
    def since(self) -> date | None:
        """The week in which the special cause began that lasts to the end."""
        return None if self.behaviour.since is None else self.weeks[self.behaviour.since]

    @property
    def period(self) -> str:
        """`52 weeks to 15 Nov 2026`."""
        return (
            f"{len(self.weeks)} weeks to {numbers.day(self.weeks[-1] + timedelta(days=6))}"
            if self.weeks
            else "no full week"
        )

    def frame(self) -> pl.DataFrame:
        """One row a week with value, n and what the rules say."""
        words = [point.rule or "" for point in self.behaviour.points]
        return pl.DataFrame(
            {"week": list(self.weeks), "value": list(self.values), "n": list(self.n), "variation": words},
            schema={"week": pl.Date, "value": pl.Float64, "n": pl.Int64, "variation": pl.Utf8},
        )


def weekly_filters(filters: Filters, weeks: int = WEEKS) -> Filters:
    """The same choice over the last full weeks, up to the end of the filters' period."""
    end = filters.end - timedelta(days=(filters.end.weekday() + 1) % 7)
    return filters.over(end - timedelta(days=7 * weeks - 1), end)


def weekly(reading: Reading, name: str | Measure, filters: Filters | None = None) -> Weekly:
    """The measure over the last 52 full weeks, with the reader's scope."""
    span = weekly_filters(filters or reading.filters)
    return from_frame(reading.frame(name, "week", filters=span), name, span)


def weekly_by(reading: Reading, name: str, way: str) -> dict[str, Weekly]:
    """The measure week by week for each value of a breakdown."""
    span = weekly_filters(reading.filters)
    frame = reading.frame(name, way, "week", filters=span)
    parts = frame.drop_nulls(way).partition_by(way, as_dict=True, maintain_order=True)
    return {str(key[0]): from_frame(part, name, span) for key, part in parts.items()}


def from_frame(frame: pl.DataFrame, name: str | Measure, span: Filters) -> Weekly:
    """Weeks in order, gaps as None, without the half week at the start of the data."""
    rows = {row["week"]: row for row in frame.iter_rows(named=True)}
    weeks = [span.start + timedelta(days=7 * index) for index in range((span.end - span.start).days // 7 + 1)]
    known = [week for week in weeks if week in rows and rows[week]["n"] != 0]
    if not known:
        return Weekly(measure(name), (), (), (), process_behaviour(()))
    first = weeks.index(known[0]) + (1 if known[0] > weeks[0] and len(known) > 1 else 0)
    kept = weeks[first : len(weeks) - LATE_WEEKS.get(measure(name).name, 0)]
    if not kept:
        return Weekly(measure(name), (), (), (), process_behaviour(()))
    values = tuple(_number(rows, week, "value") for week in kept)
    n = tuple(None if (found := _number(rows, week, "n")) is None else int(found) for week in kept)
    return Weekly(measure(name), tuple(kept), values, n, process_behaviour(values))


def statement(found: Weekly) -> str:
    """What the weeks say of the latest one, in words."""
    if not found.weeks or all(value is None for value in found.values):
        return "no full week yet"
    if found.behaviour.trial:
        return "too few weeks to judge"
    since = found.since
    if since is None or found.side is None:
        return _calm(found)
    where = "above" if found.side == "high" else "below"
    last = found.behaviour.points[-1]
    if since == found.weeks[-1]:
        return f"{where} its usual range in the week of {numbers.day(since)}"
    kind = "range" if last.rule == OUTSIDE else "level"
    return f"{where} its usual {kind} since {numbers.day(since)}"


def _calm(found: Weekly) -> str:
    """Words for a latest week without special cause: since when it is so, if some of the weeks before had one."""
    recent = found.behaviour.points[-RECENT_WEEKS:]
    last = max((index for index, point in enumerate(recent) if point.special), default=None)
    if last is None:
        return "within normal variation"
    return f"within normal variation again since {numbers.day(found.weeks[last + 1 - len(recent)])}"


def _number(rows: dict[date, dict[str, object]], week: date, column: str) -> float | None:
    value = rows.get(week, {}).get(column)
    return float(value) if isinstance(value, int | float) else None
