"""Series of exams, and the time in which the scanner worked on each exam."""

from __future__ import annotations

import polars as pl

from etl.lake.fold import fold_series
from etl.star import naturals
from etl.star.keys import key_column
from etl.star.matching import weakest
from etl.star.site_time import local_day, on_site
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
        .agg(weakest(pl.col("match_rule")))
    )
    # Fragments of one series may name different patients or accessions; the series itself is one.
    whole = fold_series(
        landed.sort("order_key", "digest").with_columns(
            pl.col("accession", "patient", "study_uid").first().over("series_uid", order_by="order_key")
        )
    )
    identities = whole.select(naturals.device_identity().alias("identity"))["identity"]
    keyed = whole.with_columns(
        naturals.device_ids(identities),
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


def machine_time(series: pl.DataFrame, offsets: pl.DataFrame, zones: dict[str, str]) -> pl.DataFrame:
    """When the scanner worked on each exam by its own clock, from its acquired series.

    Overlapping series (biplane, PET/CT) count once; the first group of series without a gap of over two hours is the exam.

    Args:
        series: `exam_series`.
        offsets: `device_id`, `local_day`, `applied_s` of `fact_device_clock`, where something is corrected.
        zones: site code to IANA zone.

    Returns:
        `exam_key`, `match_rule`, `machine_started_at`, `machine_ended_at`, `machine_minutes`, `clock_offset_s` (to be added to
        its times; null where its clock is taken as right), with `times_from`, `digest`, `file`, `source_name` and `run_id` of the
        first and last series.
    """
    acquired = series.filter(pl.col("is_acquired") & pl.col("started_at").is_not_null())
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
        weakest(pl.col("match_rule")).alias("match_rule"),
        pl.col("device_id", "site").first(),
        *(pl.col(name).first().alias(f"first_{name}") for name in _LINEAGE),
        *(pl.col(name).get(last).alias(f"last_{name}") for name in _LINEAGE),
    )
    minutes = (pl.col("machine_ended_at") - pl.col("machine_started_at")).dt.total_microseconds() / 60e6 - pl.col(
        "pauses"
    )
    return _with_offsets(whole.with_columns(machine_minutes=minutes).drop("pauses"), offsets, zones)


def _with_offsets(times: pl.DataFrame, offsets: pl.DataFrame, zones: dict[str, str]) -> pl.DataFrame:
    """The correction of each exam's device on the day that its clock showed."""
    known = offsets.select("device_id", "local_day", pl.col("applied_s").alias("clock_offset_s"))
    return (
        times.with_columns(local_day=on_site("machine_started_at", zones, local_day))
        .join(known, on=["device_id", "local_day"], how="left")
        .drop("device_id", "site", "local_day")
    )


def acquisitions(series: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Exams that share an acquisition: `exam_key`, `acquisition_key` (the least exam of them), `sharers`.

    Exams of the same series, or of one performed step under several accessions (PS3.3 C.4.13: several items in
    (0040,0270)), were acquired together.

    Args:
        series: `exam_series`.
        steps: `step_uid`, `exam_key` of performed steps.
    """
    together = pl.concat(
        [
            series.select(pl.col("series_uid").alias("group"), "exam_key"),
            steps.select(pl.col("step_uid").alias("group"), "exam_key"),
        ]
    ).unique()
    least = together.with_columns(pl.col("exam_key").min().over("group").alias("acquisition_key"))
    exams = least.group_by("exam_key").agg(pl.col("acquisition_key").min())
    return exams.with_columns(sharers=pl.len().over("acquisition_key").cast(pl.Int32))


_LINEAGE = ("times_from", "digest", "file", "source_name", "run_id")
