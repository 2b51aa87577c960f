"""The network's own demand: exams a day by site, modality and patient class, forecast at the bottom and added up.

All levels agree, since each is a sum. What is forecast is activity: exams that took place, which are capped by what the
scanners could do. A series whose model was no better than the seasonal naive forecast over the back-test is given that instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product

import numpy as np
import polars as pl

from forecasting.backtest import SCHEMA, judged, said_before
from forecasting.calendar import Place
from forecasting.grain import RHYTHMS, Grain
from forecasting.intervals import half_widths
from forecasting.metrics import scales
from forecasting.models import forecast, seasonal_naive
from forecasting.series import Series, series_of
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures import evaluate
from warehouse.scope import EVERYTHING

EVERY, UNKNOWN = "*", "unknown"
WAYS = ("site", "modality", "patient_class")
"""What a `unique_id` names, in this order, with `/` between; `*` is all of them."""
DAYS_A_WEEK = 7
HORIZON, ORIGINS = 28, 6
ADDED, REPEATED = "added up", "last week"
NAIVE = "seasonal naive: no model was better"
LEAST_DAYS = 56
"""Days of history below which nothing is forecast."""


@dataclass(frozen=True)
class NetworkForecast:
    """Forecasts of every site and modality, of every sum over them, and how good such forecasts were."""

    forecast: pl.DataFrame
    """`unique_id` (`WAYS`), `ds`, `horizon`, `mean, q025, q10, q90, q975`, `model`: one row a day."""
    parts: pl.DataFrame
    """`unique_id, ds, part, value`: what each day's mean is made of; the values of a day add up to it."""
    weeks: pl.DataFrame
    """`unique_id`, `week` (1 is the next seven days), `mean, q025, q10, q90, q975` of their sum."""
    backtest: pl.DataFrame
    """One row a series with the scores of `Backtest.series`."""


def network_series(star: Star, first: date, last: date) -> list[Series]:
    """Exams a day of each site, modality and patient class; a day without an exam is 0 from the first on that has one."""
    frame = evaluate(star, "exams", Filters(start=first, end=last), EVERYTHING, (*WAYS, "day"))
    counted = frame.drop_nulls(("site", "modality")).select(
        unique_id=pl.concat_str("site", "modality", pl.col("patient_class").fill_null(UNKNOWN), separator="/"),
        ds="day",
        y=pl.col("value").cast(pl.Float64),
    )
    days = pl.DataFrame({"ds": pl.date_range(first, last, eager=True)})
    begun = counted.group_by("unique_id").agg(begun=pl.col("ds").min())
    full = begun.join(days, how="cross").filter(pl.col("ds") >= pl.col("begun")).drop("begun")
    filled = full.join(counted, on=["unique_id", "ds"], how="left").with_columns(pl.col("y").fill_null(0.0))
    return [one for one in series_of(filled, Grain.DAY) if len(one.y) >= LEAST_DAYS] if filled.height else []


def network_forecast(
    series: Sequence[Series], places: Mapping[str, Place], horizon: int = HORIZON, origins: int = ORIGINS, workers: int | None = None
) -> NetworkForecast:  # fmt: skip
    """The next days of every series and of their sums.

    Args:
        series: of `network_series`, all to the same day.
        places: whose public holidays hold, by site code.
    """
    told = pl.concat(
        [
            said_before([one for one in series if _site(one) == site], horizon, origins, places[site], workers)[0]
            for site in sorted({_site(one) for one in series})
        ]
    )
    alone = judged(told, Grain.DAY, {}).series
    poor = alone.filter(pl.col("mase") >= pl.col("mase_seasonal_naive"))["unique_id"].to_list()
    told = told.with_columns(mean=pl.when(pl.col("unique_id").is_in(poor)).then("naive").otherwise("mean"))
    said = [_next_days(one, horizon, places[_site(one)], naive=one.unique_id in poor) for one in series]
    next_days, parts = (pl.concat([pair[at] for pair in said]) for at in (0, 1))
    sums = {name: _added(part) for name, part in _by_node(series).items()}
    past = _rolled_up(told, ["origin", "ds", "horizon", "is_scored"], ["y", "mean", "naive", "seconds"])
    past = past.join(_scales(sums, past), on=["unique_id", "origin"]).with_columns(
        model=pl.lit(""), variance=pl.lit(None, pl.Float64)
    )
    levels = [judged(part.select(told.columns), Grain.DAY, {}) for part in past.partition_by("level")]
    ahead = _rolled_up(next_days, ["ds", "horizon"], ["mean"])
    scale = {
        name: scales(node.y[-RHYTHMS[Grain.DAY].history :], RHYTHMS[Grain.DAY].season)[0] for name, node in sums.items()
    }
    models = next_days.select("unique_id", "model").unique()
    days = _with_intervals(ahead.with_columns(_bucket()), past.with_columns(_bucket()), scale).drop("bucket")
    named = days.join(models, on="unique_id", how="left").with_columns(pl.col("model").fill_null(ADDED))
    weeks = _with_intervals(_weekly(ahead, []), _weekly(past, ["origin", "scale"]), scale).rename({"bucket": "week"})
    return NetworkForecast(
        named.sort("unique_id", "ds"),
        _rolled_up(parts, ["ds", "part"], ["value"]).drop("level").sort("unique_id", "ds", "part"),
        weeks.with_columns(pl.col("week") + 1).sort("unique_id", "week"),
        pl.concat([one.series for one in levels]).sort("unique_id"),
    )


def nodes_of(unique_id: str) -> list[str]:
    """The series itself and every sum that it is part of."""
    own = unique_id.split("/")
    return ["/".join(part if kept else EVERY for part, kept in zip(own, keeps, strict=True)) for keeps in _LEVELS]


_LEVELS = tuple(product((True, False), repeat=len(WAYS)))
"""Which of `WAYS` each level keeps."""


def _site(series: Series) -> str:
    return series.unique_id.partition("/")[0]


def _next_days(series: Series, horizon: int, place: Place, *, naive: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The forecast of a series by day, and the parts that it is made of."""
    told = forecast(series, horizon, place)
    mean, model, parts = told.mean, told.model, dict(told.parts)
    if naive:
        mean, model = seasonal_naive(series.y, horizon, RHYTHMS[Grain.DAY].season), NAIVE
        parts = {REPEATED: mean}
    missing = mean - sum(parts.values())  # what was cut at zero, and rounding
    parts["adjustment"] = parts.get("adjustment", np.zeros(horizon)) + missing
    days = (series.starts[-1] + np.arange(1, horizon + 1)).astype("datetime64[us]")
    own = {"unique_id": [series.unique_id] * horizon, "ds": days}
    by_part = [pl.DataFrame(own | {"part": [name] * horizon, "value": values}) for name, values in parts.items()]
    shown = pl.DataFrame(own | {"horizon": np.arange(1, horizon + 1), "mean": mean, "model": [model] * horizon})
    return shown, pl.concat(by_part)


def _by_node(series: Sequence[Series]) -> dict[str, list[Series]]:
    found: dict[str, list[Series]] = {}
    for one in series:
        for name in nodes_of(one.unique_id):
            found.setdefault(name, []).append(one)
    return found


def _added(parts: Sequence[Series]) -> Series:
    """The sum of series that end on the same day, from the earliest start on."""
    longest = max(parts, key=lambda one: len(one.y))
    total = np.zeros(len(longest.y))
    for one in parts:
        total[len(total) - len(one.y) :] += one.y
    return Series("", Grain.DAY, longest.starts, total)


def _rolled_up(rows: pl.DataFrame, keys: list[str], sums: list[str]) -> pl.DataFrame:
    """The rows of every node, with its `level`: sums over what it is made of."""
    own = [pl.col("unique_id").str.split("/").list.get(at) for at in range(len(WAYS))]
    parts = []
    for keeps in _LEVELS:
        named = [part if kept else pl.lit(EVERY) for part, kept in zip(own, keeps, strict=True)]
        level = " and ".join(way for way, kept in zip(WAYS, keeps, strict=True) if kept)
        parts.append(
            rows.with_columns(unique_id=pl.concat_str(named, separator="/"), level=pl.lit(level))
            .group_by("level", "unique_id", *keys, maintain_order=True)
            .agg(pl.col(sums).sum())
        )
    return pl.concat(parts)


def _bucket() -> pl.Expr:
    """Days ahead that share the width of their intervals: weeks, from 0."""
    return ((pl.col("horizon") - 1) // DAYS_A_WEEK).alias("bucket")


def _weekly(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Sums of whole weeks ahead."""
    known = [name for name in ("y", "mean") if name in rows.columns]
    summed = rows.with_columns(_bucket()).group_by("level", "unique_id", "bucket", *keys, maintain_order=True)
    whole = summed.agg(pl.col(known).sum(), days=pl.len())
    return whole.filter(pl.col("days") == DAYS_A_WEEK).drop("days")


def _scales(sums: Mapping[str, Series], past: pl.DataFrame) -> pl.DataFrame:
    """The scale of each node at each origin, from what lay before it."""
    rhythm = RHYTHMS[Grain.DAY]
    rows = []
    for name, origin in past.select("unique_id", "origin").unique().iter_rows():
        node = sums[name]
        known = node.y[: int((np.datetime64(origin, "D") - node.starts[0]).astype(int)) + 1]
        rows.append((name, origin, *scales(known[-rhythm.history :], rhythm.season)))
    schema = {name: SCHEMA[name] for name in ("unique_id", "origin", "scale", "square_scale")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _with_intervals(ahead: pl.DataFrame, past: pl.DataFrame, scale: Mapping[str, float]) -> pl.DataFrame:
    """Forecasts with intervals from all errors that are known by now: of the node, else of all nodes of its level.

    Args:
        ahead: `level, unique_id, bucket, mean`, and what is kept.
        past: `level, unique_id, bucket, y, mean, scale`.
        scale: of each node's days now.
    """
    errors = past.filter(pl.col("scale") > 0).select(
        "level", "unique_id", "bucket", error=(pl.col("y") - pl.col("mean")).abs() / pl.col("scale")
    )
    pools, own = (
        {key: part["error"].to_numpy() for key, part in errors.partition_by([of, "bucket"], as_dict=True).items()}
        for of in ("level", "unique_id")
    )
    nothing = np.array([])
    made = []
    for (level, name, at), part in ahead.partition_by(["level", "unique_id", "bucket"], as_dict=True).items():
        widths = half_widths(own.get((name, at), nothing), pools.get((level, at), nothing))
        narrow, wide = (width * scale[str(name)] for width in widths)
        mean = pl.col("mean")
        made.append(
            part.with_columns(
                q025=(mean - wide).clip(0), q10=(mean - narrow).clip(0), q90=mean + narrow, q975=mean + wide
            )
        )
    return pl.concat(made).drop("level")
