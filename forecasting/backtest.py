"""Back-tests with rolling origins: what the models would have said on past days, beside what came.

Each origin fits everything anew from what lies before it. Beside each forecast stands the seasonal naive one; intervals come
from errors that were known at the origin, for which a few origins before the first scored one are forecast as well.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import process_time

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forecasting.calendar import Place
from forecasting.grain import RHYTHMS, Grain
from forecasting.hours import forecast_hours
from forecasting.intervals import count_interval, half_widths
from forecasting.metrics import scales, weighted_interval_score
from forecasting.models import forecast, seasonal_naive
from forecasting.series import Series

EARLIER = 3
"""Origins before the scored ones that give the first intervals."""
LEAST_HISTORY = 12
"""Periods before an origin."""
MANY_FITS = 24
"""Fits from which on other processes are worth their start."""
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "unique_id": pl.Utf8, "origin": pl.Datetime("us"), "ds": pl.Datetime("us"), "horizon": pl.Int64, "model": pl.Utf8, "y": pl.Float64, "mean": pl.Float64, "naive": pl.Float64,
    "scale": pl.Float64, "square_scale": pl.Float64, "variance": pl.Float64, "is_scored": pl.Boolean, "seconds": pl.Float64,
}  # fmt: skip
METRICS = ("mase", "mase_seasonal_naive", "rmsse", "wis", "bias", "coverage80", "coverage95", "seconds")


@dataclass(frozen=True)
class Backtest:
    """What a back-test gave."""

    rows: pl.DataFrame
    """One row a series, origin and period: `SCHEMA`, with `q025, q10, q90, q975`; scored origins only."""
    series: pl.DataFrame
    """One row a series with `METRICS`; `wis` in the series' own unit, `bias` in percent of what came, `seconds` of processor time."""
    left_out: dict[str, str]
    """Series that cannot be judged, and why."""

    @property
    def overall(self) -> dict[str, float]:
        """Means over the series; `wis` in units of each series' scale, `seconds` in all."""
        means = {name: _mean(self.series[name]) for name in METRICS}
        scaled = self.rows.group_by("unique_id").agg((pl.col("wis") / pl.col("scale")).mean().alias("wis"))
        return means | {"wis": _mean(scaled["wis"]), "seconds": float(self.series["seconds"].sum())}


def backtest(
    series: Sequence[Series], horizon: int, origins: int, place: Place, workers: int | None = None
) -> Backtest:
    """Forecasts of `horizon` periods from each of `origins` past days, the last one `horizon` periods before a series' end.

    Args:
        series: of one grain.
        workers: processes; as many as there are processors where it is None.
    """
    told, left_out = said_before(series, horizon, origins, place, workers)
    return judged(told, series[0].grain if series else Grain.DAY, left_out)


def said_before(
    series: Sequence[Series], horizon: int, origins: int, place: Place, workers: int | None = None
) -> tuple[pl.DataFrame, dict[str, str]]:
    """What would have been forecast on past days, in the columns of `SCHEMA`, and why of some series nothing."""
    work = partial(_of_series, horizon=horizon, origins=origins, place=place)
    count = workers or os.cpu_count() or 1
    if count > 1 and len(series) * (origins + EARLIER) >= MANY_FITS and len(series) > 1:
        with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
            parts = list(pool.map(work, series, chunksize=max(1, len(series) // (4 * count))))
    else:
        parts = [work(one) for one in series]
    told = pl.concat([part for part, _ in parts]) if parts else pl.DataFrame(schema=SCHEMA)
    return told, {one.unique_id: why for one, (_, why) in zip(series, parts, strict=True) if why}


def judged(told: pl.DataFrame, grain: Grain, left_out: dict[str, str]) -> Backtest:
    """Intervals and scores of past forecasts; those of one call share the errors that their intervals come from."""
    known = told.filter(pl.col("y").is_not_nan() & (pl.col("scale") > 0))
    rows = _with_intervals(known, grain) if known.height else known
    return Backtest(rows, _judged(rows), left_out)


def _of_series(series: Series, horizon: int, origins: int, place: Place) -> tuple[pl.DataFrame, str]:
    """The forecasts of one series from each origin, and why there is none."""
    rhythm = RHYTHMS[series.grain]
    ends = [len(series.y) - horizon - rhythm.step * back for back in range(origins + EARLIER)]
    possible = [(back, end) for back, end in enumerate(ends) if end >= LEAST_HISTORY]
    empty = pl.DataFrame(schema=SCHEMA)
    if not any(back < origins for back, _ in possible):
        return empty, f"{len(series.y)} periods are too few: {horizon + LEAST_HISTORY} are needed for one origin"
    parts = [_of_origin(series, end, horizon, place, is_scored=back < origins) for back, end in possible]
    told = pl.concat(parts)
    if not (told.filter("is_scored")["scale"] > 0).any():
        return empty, "it never changes: errors have no scale"
    if told.filter(pl.col("is_scored") & pl.col("y").is_not_nan()).is_empty():
        return empty, "no value is known in the periods that would be judged"
    return told, ""


def _of_origin(series: Series, end: int, horizon: int, place: Place, *, is_scored: bool) -> pl.DataFrame:
    rhythm, known = RHYTHMS[series.grain], series.upto(end)
    began = process_time()
    told = (forecast_hours if series.grain is Grain.HOUR else forecast)(known, horizon, place)
    took = process_time() - began
    scale, square = scales(known.y[-rhythm.history :], rhythm.season)
    columns = {
        "unique_id": [series.unique_id] * horizon, "origin": [known.starts[-1]] * horizon, "ds": series.starts[end : end + horizon], "horizon": np.arange(1, horizon + 1), "model": [told.model] * horizon,
        "y": series.y[end : end + horizon], "mean": told.mean, "naive": seasonal_naive(known.y, horizon, rhythm.season), "scale": [scale] * horizon, "square_scale": [square] * horizon,
        "variance": [told.variance] * horizon, "is_scored": [is_scored] * horizon, "seconds": [took / horizon] * horizon,
    }  # fmt: skip
    made = {name: np.asarray(values).astype("datetime64[us]") if name in {"origin", "ds"} else values for name, values in columns.items()}  # fmt: skip
    return pl.DataFrame(made, schema=SCHEMA)


def _with_intervals(told: pl.DataFrame, grain: Grain) -> pl.DataFrame:
    """The scored rows with their intervals and interval scores."""
    bucket = RHYTHMS[grain].bucket
    rows = told.with_columns(bucket=(pl.col("horizon") - 1) // bucket, error=(pl.col("y") - pl.col("mean")).abs() / pl.col("scale"))  # fmt: skip
    widths = pl.DataFrame(
        list(_widths(rows)), schema={"unique_id": pl.Utf8, "origin": pl.Datetime("us"), "bucket": pl.Int64, "narrow": pl.Float64, "wide": pl.Float64}, orient="row",
    )  # fmt: skip
    scored = rows.filter("is_scored").join(widths, on=["unique_id", "origin", "bucket"]).drop("bucket", "error")
    mean, scale, variance = (scored[name].to_numpy() for name in ("mean", "scale", "variance"))
    bounds = {}
    for level, name, low_name, high_name in ((0.8, "narrow", "q10", "q90"), (0.95, "wide", "q025", "q975")):
        half = scored[name].to_numpy() * scale
        low, high = np.maximum(mean - half, 0.0), mean + half
        for spread in np.unique(variance[~np.isnan(variance)]):
            at = variance == spread
            low[at], high[at] = count_interval(mean[at], float(spread), level)
        bounds[low_name], bounds[high_name] = low, high
    y = scored["y"].to_numpy()
    wis = weighted_interval_score(y, mean, (bounds["q10"], bounds["q90"]), (bounds["q025"], bounds["q975"]))
    return scored.drop("narrow", "wide").with_columns(
        *(pl.Series(name, values) for name, values in bounds.items()), pl.Series("wis", wis)
    )


def _widths(rows: pl.DataFrame) -> Iterator[tuple[str, object, int, float, float]]:
    """Half widths for each series, scored origin and distance, from errors that were known at that origin."""
    for (bucket,), part in rows.partition_by(["bucket"], as_dict=True).items():
        names, ds, errors = part["unique_id"].to_numpy(), part["ds"].to_numpy(), part["error"].to_numpy()
        known: dict[object, NDArray[np.bool_]] = {}
        for name, origin in part.filter("is_scored").select("unique_id", "origin").unique().sort("unique_id", "origin").iter_rows():  # fmt: skip
            if origin not in known:
                known[origin] = ds <= np.datetime64(origin)
            before = known[origin]
            yield (name, origin, int(str(bucket)), *half_widths(errors[before & (names == name)], errors[before]))


def _judged(rows: pl.DataFrame) -> pl.DataFrame:
    """`METRICS` of each series."""
    if rows.is_empty():
        return pl.DataFrame(schema={"unique_id": pl.Utf8, **dict.fromkeys(METRICS, pl.Float64)})
    error = pl.col("y") - pl.col("mean")
    return (
        rows.group_by("unique_id", maintain_order=True)
        .agg(
            mase=(error.abs() / pl.col("scale")).mean(),
            mase_seasonal_naive=((pl.col("y") - pl.col("naive")).abs() / pl.col("scale")).mean(),
            rmsse=((error**2 / pl.col("square_scale")).mean()).sqrt(),
            wis=pl.col("wis").mean(),
            bias=-100 * error.sum() / pl.col("y").sum(),
            coverage80=pl.col("y").is_between("q10", "q90").mean(),
            coverage95=pl.col("y").is_between("q025", "q975").mean(),
            seconds=pl.col("seconds").sum(),
        )
        .sort("unique_id")
    )


def _mean(values: pl.Series) -> float:
    finite = values.filter(values.is_finite())
    found = finite.mean()
    return float(found) if isinstance(found, int | float) else float("nan")
