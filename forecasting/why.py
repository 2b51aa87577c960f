"""Why a forecast is what it is: its parts, and the day that stands out, in words."""

from __future__ import annotations

import polars as pl

from forecasting.network import REPEATED, NetworkForecast

WORDS = {
    "level": "Level", "trend": "Trend", "weekday": "Weekday", "annual": "Time of year", "holiday": "Holidays", "month_length": "Month length", REPEATED: "Last week repeated",
    "adjustment": "Theta less calendar",
}  # fmt: skip
"""Parts as people say them, in the order in which they are shown."""
LEAST = 0.5
"""Exams from which a part is worth a word."""


def parts_by_day(found: NetworkForecast, unique_id: str) -> pl.DataFrame:
    """One row a day: `ds`, `mean`, and a column for each part that there is, in the order of `WORDS`."""
    mine = found.parts.filter(pl.col("unique_id") == unique_id)
    wide = mine.pivot("part", index="ds", values="value", aggregate_function="sum").fill_null(0.0)
    mean = found.forecast.filter(pl.col("unique_id") == unique_id).select("ds", "mean")
    return mean.join(wide, on="ds").select("ds", "mean", *(name for name in WORDS if name in wide.columns)).sort("ds")


def standing_out(days: pl.DataFrame) -> tuple[int, list[tuple[str, float]]]:
    """The day that is furthest from the mean of the days, and the two parts that put it there most, largest first.

    Args:
        days: of `parts_by_day`, at least one.

    Returns:
        Its row, and each part's name with how many exams it is above or below its own mean.
    """
    away = days["mean"] - days["mean"].mean()
    row = int(away.abs().arg_max() or 0)
    names = [name for name in WORDS if name in days.columns]
    moved = [(name, float(days[name][row]) - float(days[name].mean())) for name in names]  # type: ignore[arg-type]
    told = sorted((part for part in moved if abs(part[1]) >= LEAST), key=lambda part: -abs(part[1]))
    return row, told[:2]
