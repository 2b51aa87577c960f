"""Episodes of days in which something goes wrong with more exams than usual: what weeks are too long for.

The share of wrong exams of every stretch of days that begins in the last six weeks and ends in the last two is held
against the same place's own past, by an exact test that counts how many stretches were tried.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

import polars as pl

from insights.chance import rate_rise
from insights.finding import Evidence, monday

DAYS_BACK, BEGAN_DAYS, ENDED_DAYS = 364, 42, 15
"""Days that are looked at; how long ago an episode may have begun, and ended."""
LEAST_EXAMS, LEAST_BEFORE = 3, 50
"""Wrong exams that make an episode, and exams before it that tell the usual."""
OVER_AFTER = 3.0
"""Wrong exams that would be expected after an episode, had it not ended: then their absence tells that it has."""


class Episode(NamedTuple):
    """Days with too many wrong exams."""

    first: date
    last: date
    wrong: int
    exams: int
    wrong_before: int
    exams_before: int
    is_over: bool
    chance: float

    @property
    def share(self) -> float:
        """Percent of its exams that are wrong."""
        return 100 * self.wrong / self.exams

    @property
    def usual(self) -> float:
        """The same before it."""
        return 100 * self.wrong_before / self.exams_before

    @property
    def until(self) -> date | None:
        """Its last day where it is over."""
        return self.last if self.is_over else None


def episode(days: pl.DataFrame, last: date) -> Episode | None:
    """The stretch of days that chance gives least; None where there is none.

    Args:
        days: `day, n` (exams), `wrong` (of them), in order.
    """
    rows = list(days.select("day", "n", "wrong").iter_rows())
    suspects = [day for day, _, wrong in rows if wrong and day > last - timedelta(days=BEGAN_DAYS)]
    windows = [
        (start, end)
        for start in suspects
        for end in suspects
        if start <= end and end > last - timedelta(days=ENDED_DAYS)
    ]
    episodes = []
    for start, end in windows:
        exams, wrong = _summed([row for row in rows if start <= row[0] <= end])
        exams_before, wrong_before = _summed([row for row in rows if row[0] < start])
        if wrong < LEAST_EXAMS or exams_before < LEAST_BEFORE or wrong * exams_before <= wrong_before * exams:
            continue
        after = sum(n for day, n, _ in rows if day > end)
        p = min(1.0, len(windows) * rate_rise(wrong, exams, wrong_before, exams_before))
        is_over = after * wrong / exams >= OVER_AFTER
        episodes.append(Episode(start, end, wrong, exams, wrong_before, exams_before, is_over, p))
    return min(episodes, key=lambda one: (one.chance, -one.wrong), default=None)


def evidence(days: pl.DataFrame, one: Episode, rule: str) -> Evidence:
    """The share of wrong exams week by week, in percent."""
    by_week = days.group_by(pl.col("day").dt.truncate("1w").alias("week")).agg(pl.col("n", "wrong").sum()).sort("week")
    weeks = tuple(monday(day) for day in by_week["week"])
    shares = tuple((100 * by_week["wrong"] / by_week["n"]).to_list())
    return Evidence(weeks, shares, tuple(by_week["n"].to_list()), rule, one.chance, one.usual, one.share)


def _summed(rows: list[tuple[date, int, int]]) -> tuple[int, int]:
    return sum(n for _, n, _ in rows), sum(wrong for _, _, wrong in rows)
