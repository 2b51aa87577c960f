"""The forecast that is kept, as far as a reader may see it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from dashboards._shell.reading import Reading
from forecasting.network import EVERY
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
        forecast = self.kept.found.forecast
        return (
            forecast.filter(pl.col("unique_id") == self.unique_id).with_columns(pl.col("ds").cast(pl.Date)).sort("ds")
        )


def shown(reading: Reading) -> Shown | str:
    """The forecast of the chosen site and modality, or why there is none."""
    kept = Forecasts(reading.settings.data_directory).latest()
    if kept is None:
        return "No forecast was made yet: `python -m forecasting run` makes one after a load."
    if reading.scope.departments is not None:
        return "Forecasts are of sites and modalities, and your access is limited to departments: no forecast speaks of them alone."
    filters = reading.filters
    other = [name.replace("_", " ") for name in LISTS if name not in {"site", "modality"} and getattr(filters, name)]
    if other:
        return f"A forecast is made by site and modality, not by {' and '.join(other)}."
    if len(filters.modality) > 1:
        return "Choose one modality, or all: a sum over some of them has no interval of its own."
    sites = filters.site or (tuple(sorted(reading.scope.sites)) if reading.scope.sites is not None else ())
    if len(sites) > 1:
        return "Choose one site: a sum over some of them has no interval of its own."
    if reading.scope.sites is not None and not set(sites) <= reading.scope.sites:
        return "This site is not in your scope."
    node = f"{sites[0] if sites else EVERY}/{filters.modality[0] if filters.modality else EVERY}"
    if node not in set(kept.found.forecast["unique_id"]):
        return f"There is no forecast for this choice: {reading.sentence}. It takes eight weeks of exams."
    return Shown(kept, node)


def parts_of(found: Shown, way: str) -> pl.DataFrame:
    """The forecasts that those of the choice are made of, by modality or site: `part`, `next`, `model`, and their scores."""
    site, _, modality = found.unique_id.partition("/")
    left, right = pl.col("unique_id").str.split("/").list.get(0), pl.col("unique_id").str.split("/").list.get(1)
    of, fixed, value = (right, left, site) if way == "modality" else (left, right, modality)
    return (
        found.kept.found.forecast.with_columns(part=of)
        .filter((pl.col("part") != EVERY) & (fixed == value))
        .group_by("part", "unique_id")
        .agg(next=pl.col("mean").sum(), model=pl.col("model").first())
        .join(found.kept.found.backtest, on="unique_id", how="left")
        .sort("next", descending=True)
    )
