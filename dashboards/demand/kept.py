"""The forecast that is kept, as far as a reader may see it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from dashboards._shell.reading import Reading
from forecasting.network import EVERY, WAYS
from forecasting.store import Forecasts, Kept
from warehouse.filters import LISTS


@dataclass(frozen=True)
class Shown:
    """The forecast of what the reader chose."""

    kept: Kept
    unique_id: str

    @property
    def days(self) -> pl.DataFrame:
        """The next days: `ds` and the forecast."""
        return self._of(self.kept.found.forecast).with_columns(pl.col("ds").cast(pl.Date)).sort("ds")

    @property
    def weeks(self) -> pl.DataFrame:
        """The next weeks, seven days each."""
        return self._of(self.kept.found.weeks).sort("week")

    @property
    def parts(self) -> tuple[str, ...]:
        """Site, modality and patient class of the choice, each `*` for all."""
        return tuple(self.unique_id.split("/"))

    def _of(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.filter(pl.col("unique_id") == self.unique_id)


def shown(reading: Reading) -> Shown | str:
    """The forecast of the chosen site, modality and patient class, or why there is none."""
    kept = Forecasts(reading.settings.data_directory).latest()
    if kept is None:
        return "No forecast was made yet: `python -m forecasting run` makes one after a load."
    if reading.scope.departments is not None:
        return "Forecasts are of sites and modalities, and your access is limited to departments: no forecast speaks of them alone."
    filters = reading.filters
    other = [name.replace("_", " ") for name in LISTS if name not in WAYS and getattr(filters, name)]
    if other:
        return f"A forecast is made by site, modality and patient class, not by {' and '.join(other)}."
    own = tuple(sorted(reading.scope.sites)) if reading.scope.sites is not None else ()
    chosen = {way: getattr(filters, way) for way in WAYS} | {"site": filters.site or own}
    for way, values in chosen.items():
        if len(values) > 1:
            return f"Choose one {way.replace('_', ' ')}: a sum over some of them has no interval of its own."
    if reading.scope.sites is not None and not set(chosen["site"]) <= reading.scope.sites:
        return "This site is not in your scope."
    node = "/".join(chosen[way][0] if chosen[way] else EVERY for way in WAYS)
    if node not in set(kept.found.forecast["unique_id"]):
        return f"There is no forecast for this choice: {reading.sentence}. It takes eight weeks of exams."
    return Shown(kept, node)


def parts_of(found: Shown, way: str) -> pl.DataFrame:
    """The forecasts that the choice is made of, by one of `WAYS`: `part`, `next`, `model`, and their scores."""
    at = WAYS.index(way)
    own = pl.col("unique_id").str.split("/")
    same = [own.list.get(place) == part for place, part in enumerate(found.parts) if place != at]
    return (
        found.kept.found.forecast.with_columns(part=own.list.get(at))
        .filter(pl.col("part") != EVERY, *same)
        .group_by("part", "unique_id")
        .agg(next=pl.col("mean").sum(), model=pl.col("model").first())
        .join(found.kept.found.backtest, on="unique_id", how="left")
        .sort("next", descending=True)
    )
