"""Fixed limits: they need no statistics and always fire, each quantity by a switch of its own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import polars as pl

from insights.dose.rules import Rule


def over_limits(rows: pl.DataFrame, rules: Iterable[Rule], window_weeks: int) -> pl.DataFrame:
    """Exams that cross a fixed limit: `exam_key, rule, quantity, found, limit`, an exam once for each rule.

    Args:
        rows: of `exam_rows`.
        window_weeks: over which air kerma of one patient is summed.
    """
    fixed = [rule for rule in rules if rule.fires and rule.reader in {"limit", "legal"} and rule.quantity]
    parts = [_of_rule(rows, rule, window_weeks) for rule in fixed]
    schema = {"exam_key": pl.Int64, "rule": pl.Utf8, "quantity": pl.Utf8, "found": pl.Float64, "limit": pl.Float64}
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


def _of_rule(rows: pl.DataFrame, rule: Rule, window_weeks: int) -> pl.DataFrame:
    limit = rule.threshold
    assert limit is not None
    mine = rows.filter(_concerned(rule))
    match rule.id:
        case "kerma-window":
            return _crossings(mine, limit, window_weeks).select(_row(rule, pl.col("sum"), limit))
        case "check-alert" | "check-notification":
            ratio = pl.col("alert_ratio" if rule.id == "check-alert" else "notify_ratio")
            return mine.filter(ratio > limit).select(_row(rule, pl.col("dlp_mgycm"), None)).drop_nulls("found")
        case "young-ct":
            return mine.filter(pl.col("age_years") < limit).select(_row(rule, pl.col("age_years"), limit))
    value = pl.col(rule.quantity)
    if rule.quantity == "rp_air_kerma_mgy":
        mine = mine.filter(_comparable())
    return mine.filter(value >= limit).select(_row(rule, value, limit))


def outside_ranges(rows: pl.DataFrame, ranges: pl.DataFrame, rules: dict[str, Rule]) -> pl.DataFrame:
    """Exams outside the range that a physicist set for their protocol, in the columns of `over_limits`.

    A range of one scanner holds before one of every scanner.

    Args:
        ranges: rows of `dim_expected_range`.
    """
    parts = []
    for (metric,), group in ranges.group_by("metric"):
        if str(metric) not in rows.columns:
            continue
        keep = ["protocol_key", "device_id", "low", "high"]
        own = group.filter(pl.col("device_id") != "").select(keep)
        every = group.filter(pl.col("device_id") == "").drop("device_id").select("protocol_key", "low", "high")
        joined = rows.join(own, on=["protocol_key", "device_id"], how="left").join(
            every, on="protocol_key", how="left", suffix="_every"
        )
        low, high = (pl.coalesce(name, f"{name}_every") for name in ("low", "high"))
        value = pl.col(str(metric))
        for rule, crossed, limit in (
            (rules["range-high"], value > high * (rules["range-high"].threshold or 1), high),
            (rules["range-low"], value < low * (rules["range-low"].threshold or 1), low),
        ):
            if rule.fires:
                parts.append(
                    joined.filter(crossed).select(
                        "exam_key",
                        pl.lit(rule.id).alias("rule"),
                        pl.lit(str(metric)).alias("quantity"),
                        value.alias("found"),
                        limit.alias("limit"),
                    )
                )
    schema = {"exam_key": pl.Int64, "rule": pl.Utf8, "quantity": pl.Utf8, "found": pl.Float64, "limit": pl.Float64}
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


def _crossings(rows: pl.DataFrame, limit: float, weeks: int) -> pl.DataFrame:
    """Exams with which a patient's sum over the weeks before crosses a limit: not those after it, until it fell below."""
    known = rows.filter(
        (pl.col("patient_key") != 0) & _comparable() & (pl.col("rp_air_kerma_mgy") > 0) & pl.col("started_at").is_not_null()
    ).sort("patient_key", "started_at", "exam_key")  # fmt: skip
    if known.is_empty():
        return known.with_columns(sum=pl.lit(None, pl.Float64))
    summed = known.with_columns(
        sum=pl.col("rp_air_kerma_mgy")
        .rolling_sum_by("started_at", window_size=timedelta(weeks=weeks), closed="both")
        .over("patient_key")
        .round(6)
    )
    before = pl.col("sum") - pl.col("rp_air_kerma_mgy")
    several = before > 0  # one exam alone is the other rule's
    return summed.filter((pl.col("sum") >= limit) & (before < limit) & several)


def _concerned(rule: Rule) -> pl.Expr:
    """The exams that a rule is about: modality, standard exam, age and day."""
    terms = [pl.lit(value=True)]
    if rule.modalities:
        terms.append(pl.col("modality").is_in(rule.modalities))
    if rule.standard_code:
        terms.append(pl.col("standard_code") == rule.standard_code)
    if rule.age_band:
        terms.append(pl.col("age_band") == rule.age_band)
    if rule.valid_from:
        terms.append(pl.col("local_day") >= rule.valid_from)
    if rule.valid_to:
        terms.append(pl.col("local_day") < rule.valid_to)
    return pl.all_horizontal(terms)


def _comparable() -> pl.Expr:
    """The reference point allows skin-dose rules; where it is not stated, it is presumed to."""
    return pl.col("rp_comparable").fill_null(value=True)


def _row(rule: Rule, found: pl.Expr, limit: float | None) -> list[pl.Expr]:
    return [
        pl.col("exam_key"),
        pl.lit(rule.id).alias("rule"),
        pl.lit(rule.quantity).alias("quantity"),
        found.cast(pl.Float64).alias("found"),
        pl.lit(limit, pl.Float64).alias("limit"),
    ]
