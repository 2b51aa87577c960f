"""Each exam beside its group: what patients like this one got in the year before the exam's month.

The group is the narrowest that has enough exams for a robust z: protocol, scanner, age and weight; then without weight;
then over all scanners; where none has, the narrowest that has a few. Children and adults are never in one group. All is reckoned on logarithms, in which doses spread evenly.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

DAYS = 365
ENOUGH, LEAST = 20, 5
"""From how many exams on a robust z is taken; and below how many the next wider group (dose reference, section 10)."""
TO_SIGMA = 0.6745
"""Median absolute deviation of a normal distribution, in standard deviations (Iglewicz and Hoaglin)."""
LEAST_MAD = 0.03
"""Doses that hardly vary at all are told apart no finer than this, about 3 %."""
LEVELS: tuple[tuple[str, ...], ...] = (
    ("protocol_key", "projections", "device_id", "age_band", "weight_band"),
    ("protocol_key", "projections", "device_id", "age_band"),
    ("protocol_key", "projections", "age_band"),
)


def with_group(rows: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """Exams from `first` to `last` with the group they are compared with.

    Adds `group` (0 narrowest; null where even the widest group is too small), `n, median, mad, p5, p95, base_first,
    base_last, z` and `ratio` of value to median.

    Args:
        rows: of `exam_rows`, reaching a year further back.
    """
    usable = rows.filter(pl.col("value").is_not_null() & (pl.col("protocol_key") != 0)).with_columns(
        log=pl.col("value").log()
    )
    wanted = usable.filter(pl.col("local_day").is_between(first, last)).with_columns(
        month_start=pl.col("local_day").dt.truncate("1mo")
    )
    months: list[date] = wanted["month_start"].unique().sort().to_list()
    if not months:
        return wanted.with_columns(_nothing())
    for number, level in enumerate(LEVELS):
        bases = pl.concat([_base(usable, month, level) for month in months])
        renamed = bases.rename({name: f"{name}_{number}" for name in _FIGURES})
        wanted = wanted.join(renamed, on=[*level, "month_start"], how="left", nulls_equal=True)
    return _judged(wanted)


_FIGURES = ("n", "median", "mad", "p5", "p95", "base_first", "base_last")


def _base(usable: pl.DataFrame, month: date, level: tuple[str, ...]) -> pl.DataFrame:
    """Figures of every group of a level over the year before a month."""
    year = usable.filter(pl.col("local_day").is_between(month - timedelta(days=DAYS), month, closed="left"))
    deviation = (pl.col("log") - pl.col("log").median()).abs().median()
    return (
        year.group_by(level)
        .agg(
            pl.len().alias("n"),
            pl.col("log").median().exp().alias("median"),
            deviation.alias("mad"),
            pl.col("value").quantile(0.05, "linear").alias("p5"),
            pl.col("value").quantile(0.95, "linear").alias("p95"),
            pl.col("local_day").min().alias("base_first"),
            pl.col("local_day").max().alias("base_last"),
        )
        .with_columns(month_start=pl.lit(month))
    )


def _judged(wanted: pl.DataFrame) -> pl.DataFrame:
    chosen_level = pl.coalesce(
        *(
            pl.when(pl.col(f"n_{number}") >= least).then(pl.lit(number))
            for least in (ENOUGH, LEAST)
            for number in range(len(LEVELS))
        )
    )
    chosen = {
        name: pl.coalesce(
            *(pl.when(chosen_level == number).then(pl.col(f"{name}_{number}")) for number in range(len(LEVELS)))
        )
        for name in _FIGURES
    }
    return (
        wanted.with_columns(group=chosen_level, **chosen)
        .drop([f"{name}_{number}" for name in _FIGURES for number in range(len(LEVELS))])
        .with_columns(
            z=pl.when(pl.col("n") >= ENOUGH).then(
                TO_SIGMA * (pl.col("log") - pl.col("median").log()) / pl.max_horizontal("mad", pl.lit(LEAST_MAD))
            ),
            ratio=pl.col("value") / pl.col("median"),
        )
    )


def _nothing() -> list[pl.Expr]:
    kinds: dict[str, pl.DataType | type[pl.DataType]] = {
        "group": pl.Int32, "n": pl.UInt32, "median": pl.Float64, "mad": pl.Float64, "p5": pl.Float64, "p95": pl.Float64,
        "base_first": pl.Date, "base_last": pl.Date, "z": pl.Float64, "ratio": pl.Float64,
    }  # fmt: skip
    return [pl.lit(None, kind).alias(name) for name, kind in kinds.items()]


def stands_out(threshold: float) -> pl.Expr:
    """Far above its group; of a small group twice its median and above its 95th percentile."""
    return (pl.col("z") >= threshold).fill_null(value=False) | (
        pl.col("z").is_null() & (pl.col("n") >= LEAST) & (pl.col("ratio") >= 2) & (pl.col("value") > pl.col("p95"))
    ).fill_null(value=False)


def falls_short(threshold: float) -> pl.Expr:
    """Far below its group; of a small group half its median and below its 5th percentile."""
    return (pl.col("z") <= -threshold).fill_null(value=False) | (
        pl.col("z").is_null() & (pl.col("n") >= LEAST) & (pl.col("ratio") <= 0.5) & (pl.col("value") < pl.col("p5"))
    ).fill_null(value=False)
