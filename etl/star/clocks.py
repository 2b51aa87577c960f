"""Scanners whose clock is wrong: how far, since when, and what is done about it.

A scanner's last image and the moment at which the RIS says that the exam is done lie minutes apart, and as far apart on
one scanner as on the next of its kind. Where one scanner's usual distance (the median of a day) differs from its kind's,
its clock is off. Both are compared on the scanner's own times, so that a correction never feeds back into the estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from etl.star.site_time import local_day, on_site
from settings import Clocks

_REFERENCE = ("hl7", "extract", "fhir")
"""Sources whose end of the exam a person or the RIS states, on the network's clock."""
HOUR_S = 3600.0
_NEAR_HOUR_S = 600.0
"""An offset this near to whole hours is a missed change to summer or winter time, or a wrong zone."""
_WINDOW_DAYS = 3
"""Days before and after that speak for a day with too few exams of its own."""


@dataclass(frozen=True)
class Approval:
    """A person's word that a scanner's clock was off."""

    device_id: str
    first_day: date
    last_day: date | None
    """None: until further notice."""
    offset_s: float


def device_clocks(
    exams: pl.LazyFrame, devices: pl.DataFrame, zones: dict[str, str], approvals: tuple[Approval, ...], clocks: Clocks
) -> pl.DataFrame:
    """One row a device and day on which its clock could be compared, in the columns of `fact_device_clock`.

    Args:
        exams: `fact_exam`.
        devices: `device_key`, `device_id`, `site`, `site_key`, `modality`.
        zones: site code to IANA zone.
    """
    compared = (
        exams.filter(
            pl.col("machine_ended_at").is_not_null()
            & pl.col("ended_source").is_in(_REFERENCE)
            & (pl.col("ended_confidence") != "coarse")
            & pl.col("not_patient").is_null()
        )
        .select(
            "device_key",
            "machine_ended_at",
            lag_s=(pl.col("ended_at") - pl.col("machine_ended_at")).dt.total_microseconds() / 1e6,
        )
        .collect()
        .join(devices.select("device_key", "device_id", "site", "site_key", "modality"), on="device_key")
        .filter(pl.col("device_id") != "unknown")
    )
    compared = compared.with_columns(local_day=on_site("machine_ended_at", zones, local_day))
    days = (
        compared.group_by("device_id", "local_day")
        .agg(
            pl.col("site_key", "modality").first(),
            pl.col("lag_s").median(),
            ((pl.col("lag_s").quantile(0.75) - pl.col("lag_s").quantile(0.25)) / 2).alias("spread_s"),
            pl.len().alias("exams"),
            pl.col("lag_s").alias("lags"),
        )
        .sort("device_id", "local_day")
    )
    usual = (
        days.group_by("device_id", "modality")
        .agg(pl.col("lag_s").median())
        .group_by("modality")
        .agg(pl.col("lag_s").median().alias("usual_s"))
    )
    own = days.join(usual, on="modality").with_columns(offset_s=pl.col("lag_s") - pl.col("usual_s"))
    few = own.filter(pl.col("exams") < clocks.minimum_exams)
    enough = own.filter(pl.col("exams") >= clocks.minimum_exams)
    estimated = pl.concat([enough, _by_neighbours(few, own, clocks.minimum_exams)]).sort("device_id", "local_day")
    return _ruled(estimated, approvals, clocks).select(
        "device_id",
        "site_key",
        "modality",
        "local_day",
        "offset_s",
        "spread_s",
        pl.col("exams").cast(pl.Int64),
        "applied_s",
        "rule",
    )


def _by_neighbours(few: pl.DataFrame, days: pl.DataFrame, minimum: int) -> pl.DataFrame:
    """Days with few exams, estimated with those of the days around; left out where these are too few as well."""
    around = few.select("device_id", "local_day").join(
        days.select("device_id", pl.col("local_day").alias("near_day"), "lags"), on="device_id"
    )
    width = pl.duration(days=_WINDOW_DAYS)
    pooled = (
        around.filter((pl.col("near_day") - pl.col("local_day")).abs() <= width)
        .explode("lags")
        .group_by("device_id", "local_day")
        .agg(pl.col("lags").median().alias("pooled_s"), pl.len().alias("pooled"))
        .filter(pl.col("pooled") >= minimum)
    )
    joined = few.join(pooled, on=["device_id", "local_day"])
    return joined.with_columns(offset_s=pl.col("pooled_s") - pl.col("usual_s")).select(few.columns)


def _ruled(days: pl.DataFrame, approvals: tuple[Approval, ...], clocks: Clocks) -> pl.DataFrame:
    """What is applied, and by which rule: a person's word; or whole hours, on at least two days in a row."""
    hours = (pl.col("offset_s") / HOUR_S).round(0)
    is_whole = (hours != 0) & ((pl.col("offset_s") - hours * HOUR_S).abs() <= _NEAR_HOUR_S)
    marked = days.with_columns(hours=pl.when(is_whole).then(hours))
    same_before = (pl.col("hours") == pl.col("hours").shift(1).over("device_id")).fill_null(value=False)
    same_after = (pl.col("hours") == pl.col("hours").shift(-1).over("device_id")).fill_null(value=False)
    automatic = pl.lit(clocks.correct == "whole_hours") & (same_before | same_after)
    approved = pl.lit(None, pl.Float64)
    for one in approvals if clocks.correct != "none" else ():
        fits = (pl.col("device_id") == one.device_id) & (pl.col("local_day") >= one.first_day)
        if one.last_day is not None:
            fits &= pl.col("local_day") <= one.last_day
        approved = pl.when(fits).then(pl.lit(one.offset_s)).otherwise(approved)
    return marked.with_columns(approved_s=approved).with_columns(
        applied_s=pl.coalesce("approved_s", pl.when(automatic).then(pl.col("hours") * HOUR_S)),
        rule=pl.when(pl.col("approved_s").is_not_null())
        .then(pl.lit("approved"))
        .when(automatic)
        .then(pl.lit("whole_hours")),
    )
