"""Half-open intervals of time on frames: `starts <= t < ends`, whole microseconds since 1970, one group a device.

Every function gives the same rows for the same intervals in any order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl


def union(frame: pl.DataFrame, by: Sequence[str], keys: Sequence[str] = ()) -> pl.DataFrame:
    """The least set of intervals that covers the same time; intervals that only touch stay apart.

    Args:
        frame: `by`, `starts`, `ends`, `keys`.
        by: columns of the groups within which intervals are joined.
        keys: columns of which each interval keeps the least value.
    """
    ordered = frame.sort(*by, "starts", "ends").with_columns(
        pl.col("ends").cum_max().shift(1).over(by).alias("_before")
    )
    begins = (pl.col("_before").is_null() | (pl.col("starts") >= pl.col("_before"))).cast(pl.UInt32)
    numbered = ordered.with_columns(begins.cum_sum().alias("_number"))
    return (
        numbered.group_by(*by, "_number")
        .agg(pl.col("starts").min(), pl.col("ends").max(), *(pl.col(key).min() for key in keys))
        .drop("_number")
        .sort(*by, "starts")
    )


def disjoint(frame: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    """The intervals of each device without overlap: what begins first keeps its time, the next has what is left of its own.

    Args:
        frame: `device`, `starts`, `ends` and whatever else.
        order: columns that decide between intervals of one start.
    """
    ordered = frame.sort("device", "starts", *order, "ends", nulls_last=True)
    taken = pl.col("ends").cum_max().shift(1).over("device")
    return (
        ordered.with_columns(starts=pl.max_horizontal("starts", taken))
        .filter(pl.col("starts") < pl.col("ends"))
        .sort("device", "starts")
    )


def sweep(layers: Mapping[str, pl.DataFrame], cuts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The time of each device, cut wherever an interval begins or ends: how many of each layer cover every piece.

    Args:
        layers: intervals (`device`, `starts`, `ends`) by the name of their column in the answer.
        cuts: further instants (`device`, `at`) at which to cut.

    Returns:
        `device`, `starts`, `ends` and a count a layer; consecutive pieces touch.
    """
    marks = [
        frame.select("device", pl.col(edge).alias("at"), pl.lit(step, pl.Int32).alias(name))
        for name, frame in layers.items()
        for edge, step in (("starts", 1), ("ends", -1))
    ]
    names = list(layers)
    return (
        pl.concat([*marks, *(cut.select("device", "at") for cut in cuts)], how="diagonal")
        .group_by("device", "at")
        .agg(pl.col(names).sum())
        .sort("device", "at")
        .with_columns(pl.col(names).cum_sum().over("device"), pl.col("at").shift(-1).over("device").alias("ends"))
        .rename({"at": "starts"})
        .drop_nulls("ends")
    )


def covered(pieces: pl.DataFrame, intervals: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The pieces, in their order, with columns of the interval that covers each whole; null where none does.

    Args:
        pieces: `device`, `starts`, `ends`, sorted by device and start; cut at the ends of the intervals.
        intervals: disjoint, sorted by device and start.
        columns: columns of the intervals to take.
    """
    near = pieces.join_asof(
        intervals.select("device", "starts", pl.col("ends").alias("_until"), *columns),
        on="starts",
        by="device",
        strategy="backward",
        check_sortedness=False,
    )
    inside = pl.col("ends") <= pl.col("_until")
    return near.with_columns(pl.when(inside).then(pl.col(column)).alias(column) for column in columns).drop("_until")
