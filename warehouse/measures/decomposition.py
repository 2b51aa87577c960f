"""Why an average changed between two periods: because of what was done (mix), or because of how fast each kind went.

Only averages are split so, for only they are sums over groups: shares in target and means, never medians.
"""

from __future__ import annotations

import polars as pl


def decompose(before: pl.DataFrame, after: pl.DataFrame, group: str) -> pl.DataFrame:
    """One row a group with what it adds to the change of the average; `mix` and `speed` add up to that change exactly.

    With a group's share of exams w and its average x before (0) and after (1), midpoint weights leave no remainder
    (Das Gupta, Standardization and decomposition of rates, US Census Bureau P23-186, 1993, two factors):
    mix = (w1 - w0) · ((x0 + x1) / 2 - X), speed = (x1 - x0) · (w0 + w1) / 2, where X lies halfway between the two
    averages. Taking X off moves nothing in sum, and makes mix say whether a kind slower than usual grew. A group that is
    there in one period only changes the mix alone.

    Args:
        before: columns `group`, `value` (average of the group) and `n`; rows without a value are left out.
        after: the same of the later period.

    Returns:
        Columns of `group`, `n0`, `n1`, `value0`, `value1`, `mix`, `speed`; empty where either period has no exams.
    """
    both = _weighed(before, group, "0").join(
        _weighed(after, group, "1"), on=group, how="full", coalesce=True, nulls_equal=True
    )
    if not both["n0"].sum() or not both["n1"].sum():
        return both.head(0).select(group, "n0", "n1", "value0", "value1", mix=pl.lit(0.0), speed=pl.lit(0.0))
    counted = both.with_columns(pl.col("n0", "n1").fill_null(0), pl.col("w0", "w1").fill_null(0.0))
    x0, x1 = pl.coalesce("value0", "value1"), pl.coalesce("value1", "value0")
    middle = ((pl.col("w0") * x0).sum() + (pl.col("w1") * x1).sum()) / 2
    return counted.select(
        group,
        "n0",
        "n1",
        "value0",
        "value1",
        mix=(pl.col("w1") - pl.col("w0")) * ((x0 + x1) / 2 - middle),
        speed=(x1 - x0) * (pl.col("w0") + pl.col("w1")) / 2,
    ).sort((pl.col("mix") + pl.col("speed")).abs(), group, descending=[True, False])


def average(frame: pl.DataFrame) -> float | None:
    """The average over all groups of a frame with `value` and `n`; None without any."""
    known = frame.drop_nulls(["value", "n"])
    total = int(known["n"].sum())
    return float((known["value"] * known["n"]).sum()) / total if total else None


def _weighed(frame: pl.DataFrame, group: str, suffix: str) -> pl.DataFrame:
    known = frame.drop_nulls(["value", "n"]).filter(pl.col("n") > 0)
    return known.select(
        group,
        pl.col("value").cast(pl.Float64).alias(f"value{suffix}"),
        pl.col("n").cast(pl.Int64).alias(f"n{suffix}"),
        (pl.col("n") / pl.col("n").sum()).alias(f"w{suffix}"),
    )
