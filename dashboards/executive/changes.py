"""What changed: measures and their parts whose latest weeks are more than the usual ups and downs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

import polars as pl

from dashboards._shell import urls
from dashboards._shell.reading import Reading
from dashboards._shell.weekly import Weekly, statement, weekly, weekly_by
from insights.process_behaviour import variation

RECENT_WEEKS = 26
"""Changes that began earlier are how things are now."""
LEAST_STRENGTH = 1.0
"""Shift in standard deviations of the usual weeks below which nothing is said."""
SHOWN = 8
OF_ONE_MEASURE = 3
"""Statements on one measure at most, so that one story does not fill the list."""
WAYS = ("site", "modality")
PAGE_OF = {
    "view_turnaround": urls.TURNAROUND,
    "view_dose": urls.DOSE,
    "view_utilization": urls.UTILIZATION,
    "view_executive": urls.UTILIZATION,
}


@dataclass(frozen=True)
class Change:
    """One measure, whole or part, whose level moved."""

    weekly: Weekly
    way: str | None
    """Breakdown of the part, None for the whole."""
    part: str | None
    strength: float
    """Shift in standard deviations of the usual weeks."""
    before: float
    after: float

    @property
    def kind(self) -> str:
        """`concern`, `improvement` or `neutral`."""
        return variation(self.weekly.behaviour, self.weekly.measure.direction)

    def href(self, reading: Reading) -> str:
        """The page of the measure with this part chosen."""
        path = PAGE_OF.get(self.weekly.measure.permission, urls.EXECUTIVE)
        filters = reading.filters.narrowed(**{self.way: (self.part,)}) if self.way and self.part else reading.filters
        return urls.page(path, filters)

    def sentence(self, reading: Reading) -> str:
        """`Report turnaround, median, CT: above its usual level since 21 Sep 2026`."""
        where = f", {reading.names.all.get(self.part, self.part)}" if self.part else ""
        return f"{self.weekly.measure.title}{where}: {statement(self.weekly)}"


def changes(reading: Reading, names: tuple[str, ...]) -> list[Change]:
    """The strongest changes of these measures; of one measure and part only the strongest statement."""
    found = [change for name in names for change in _candidates(reading, name)]
    best: dict[tuple[str, str | None], Change] = {}
    for change in sorted(found, key=lambda each: -each.strength):
        best.setdefault((_family(change.weekly.measure.name), change.part), change)
    kept: list[Change] = []
    for change in sorted(best.values(), key=lambda each: (each.kind != "concern", -each.strength)):
        if (
            sum(_family(each.weekly.measure.name) == _family(change.weekly.measure.name) for each in kept)
            < OF_ONE_MEASURE
        ):
            kept.append(change)
    return kept[:SHOWN]


def judged(found: Weekly, way: str | None = None, part: str | None = None) -> Change | None:
    """The change of one series, if its latest weeks show one that is recent, strong and rests on enough exams."""
    since, levels, behaviour = found.since, found.level_since(), found.behaviour
    if since is None or levels is None or behaviour.trial or behaviour.upper is None or behaviour.mean is None:
        return None
    spread = (behaviour.upper - behaviour.mean) / 3
    usual_n = median([n or 0 for n in found.n])
    if spread <= 0 or usual_n < found.measure.minimum_n or since < found.weeks[-1] - timedelta(weeks=RECENT_WEEKS):
        return None
    strength = abs(levels[1] - levels[0]) / spread
    return Change(found, way, part, strength, *levels) if strength >= LEAST_STRENGTH else None


def changes_frame(found: list[Change], reading: Reading) -> pl.DataFrame:
    """The changes as rows for a file."""
    rows = [
        {
            "what": change.sentence(reading),
            "since": change.weekly.since,
            "before": change.before,
            "after": change.after,
            "unit": change.weekly.measure.unit,
            "kind": change.kind,
        }
        for change in found
    ]
    return pl.DataFrame(
        rows,
        schema={
            "what": pl.Utf8,
            "since": pl.Date,
            "before": pl.Float64,
            "after": pl.Float64,
            "unit": pl.Utf8,
            "kind": pl.Utf8,
        },
    )


def _candidates(reading: Reading, name: str) -> Iterator[Change]:
    if whole := judged(weekly(reading, name)):
        yield whole
    for way in WAYS:
        parts = weekly_by(reading, name, way)
        if len(parts) > 1:  # the only part is the whole
            yield from (change for part, found in parts.items() if (change := judged(found, way, part)))


def _family(name: str) -> str:
    """Median and tail of one thing are one family: saying both says it twice."""
    return name.removesuffix("_p50").removesuffix("_p90")
