"""Series of exams, and the time in which the scanner worked on each exam."""

from __future__ import annotations

import polars as pl

from etl.lake.fold import fold_series
from etl.star import naturals
from etl.star.keys import key_column
from warehouse.schema import UNKNOWN

LONGEST_PAUSE_MINUTES = 30
"""A longer pause between two series is not the exam's time."""
LONGEST_GAP_HOURS = 2
"""What comes after a longer gap is another visit or a reprocessing, and does not stretch the exam."""


def exam_series(landed: pl.DataFrame, matches: pl.DataFrame) -> pl.DataFrame:
    """One row a series and exam: the fragments of a series folded, with its keys.

    Args:
        landed: `series` landing rows.
        matches: `digest`, `exam_key`, `match_rule` of imaging rows.
    """
    pairs = (
        landed.select("digest", "series_uid")
        .join(matches, on="digest")
        .group_by("series_uid", "exam_key")
        .agg(pl.col("match_rule").min())
    )
    # Fragments of one series may name different patients or accessions; the series itself is one.
    whole = fold_series(
        landed.sort("order_key", "digest").with_columns(
            pl.col("accession", "patient", "study_uid").first().over("series_uid", order_by="order_key")
        )
    )
    keyed = whole.with_columns(
        _or_unknown(key_column("device", whole.select(naturals.device_version().alias("device"))["device"])).alias(
            "device_key"
        ),
        _or_unknown(
            key_column(
                "protocol",
                whole.select(naturals.protocol("protocol", naturals.modality()).alias("protocol"))["protocol"],
            )
        ).alias("protocol_key"),
        key_column("series", whole["series_uid"]).alias("series_key"),
        # A fragment's own digest depends on what arrived together; the earliest instance's does not.
        pl.col("input_digest").alias("digest"),
        pl.col("instances").list.len().cast(pl.Int64).alias("instance_count"),
    )
    return keyed.join(pairs, on="series_uid").sort("exam_key", "order_key", "series_uid")


def _or_unknown(keys: pl.Series) -> pl.Series:
    return keys.fill_null(UNKNOWN)


def machine_time(series: pl.DataFrame) -> pl.DataFrame:
    """When the scanner worked on each exam, from its acquired series.

    Overlapping series (biplane, PET/CT) count once; the first group of series without a gap of over two hours is the exam.

    Returns:
        `exam_key`, `machine_started_at`, `machine_ended_at`, `machine_minutes`, `sharers` (exams of the same series), with `times_from`, `digest`, `file`, `source_name` and `run_id` of the first and last series.
    """
    shared = series.group_by("series_uid").agg(pl.col("exam_key").n_unique().alias("sharers"))
    acquired = series.filter(pl.col("is_acquired") & pl.col("started_at").is_not_null()).join(shared, on="series_uid")
    spans = acquired.with_columns(
        pl.max_horizontal(pl.col("ended_at").fill_null(pl.col("started_at")), "started_at").alias("until")
    ).sort("exam_key", "started_at", "until", "series_uid")
    reached = pl.col("until").cum_max().shift(1).over("exam_key")
    spans = spans.with_columns(
        gap_minutes=((pl.col("started_at") - reached).dt.total_microseconds() / 60e6).clip(lower_bound=0).fill_null(0.0)
    )
    spans = spans.with_columns(
        visit=(pl.col("gap_minutes") > LONGEST_GAP_HOURS * 60).cum_sum().over("exam_key")
    ).filter(pl.col("visit") == 0)
    pauses = pl.col("gap_minutes").filter(pl.col("gap_minutes") > LONGEST_PAUSE_MINUTES).sum()
    last = pl.col("until").arg_max()
    whole = spans.group_by("exam_key", maintain_order=True).agg(
        pl.col("started_at").min().alias("machine_started_at"),
        pl.col("until").max().alias("machine_ended_at"),
        pauses.alias("pauses"),
        pl.col("sharers").max(),
        *(pl.col(name).first().alias(f"first_{name}") for name in _LINEAGE),
        *(pl.col(name).get(last).alias(f"last_{name}") for name in _LINEAGE),
    )
    minutes = (pl.col("machine_ended_at") - pl.col("machine_started_at")).dt.total_microseconds() / 60e6 - pl.col(
        "pauses"
    )
    return whole.with_columns(machine_minutes=minutes).drop("pauses")


_LINEAGE = ("times_from", "digest", "file", "source_name", "run_id")


def machine_candidates(times: pl.DataFrame, matches: pl.DataFrame) -> pl.DataFrame:
    """First and last acquisition as candidates for the start and the end of the exam."""
    rule = matches.group_by("exam_key").agg(pl.col("match_rule").min())
    parts = []
    for which, event, column in (
        ("first", "exam_started", "machine_started_at"),
        ("last", "exam_completed", "machine_ended_at"),
    ):
        parts.append(
            times.select(
                "exam_key",
                pl.lit(event).alias("event"),
                pl.col(column).alias("event_at"),
                pl.lit("s").alias("precision"),
                pl.col(f"{which}_times_from").fill_null("").alias("field"),
                pl.lit("dicom").alias("source"),
                pl.col(f"{which}_source_name").alias("source_name"),
                pl.col(f"{which}_file").alias("file"),
                pl.lit("").alias("position"),
                pl.col(f"{which}_digest").alias("digest"),
                pl.col(f"{which}_run_id").alias("run_id"),
                pl.col(column).alias("stated_at"),
                pl.lit(None, pl.Utf8).alias("text_digest"),
            )
        )
    return pl.concat(parts).join(rule, on="exam_key", how="left")
