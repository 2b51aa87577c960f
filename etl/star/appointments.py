"""The slots that were booked for each exam, and how each ended.

The source that plans best (`SOURCE_PRECEDENCE`) tells an exam's slots, in the order of its statements: a statement of
another time is another slot. A slot ends when its exam is moved, cancelled or missed, by what is said while it holds.
"""

from __future__ import annotations

import polars as pl

from etl.sources.events import COARSE, SOURCE_PRECEDENCE
from etl.star.site_time import date_key, local_day, local_hour, on_site
from warehouse.schema import UNKNOWN

_PLANS = SOURCE_PRECEDENCE["exam_scheduled_for"]


def slots(found: pl.DataFrame, workflow: pl.DataFrame) -> pl.DataFrame:
    """The slots of exams in the order in which they were booked.

    Args:
        found: candidates of `milestones.choose`.
        workflow: landing rows; `station`, `ae_title` and `scheduled_minutes` of the planning ones are taken.

    Returns:
        `exam_key`, `slot_number`, `slot_at`, `slot_minutes`, `station`, `booked_at`, `next_booked_at`, and of what ended it while it
        held `missed_at`, `cancelled_at`, `reason_code`, `reason_text`.
    """
    rank = {source: place for place, source in enumerate(_PLANS)}
    said = found.filter(pl.col("passed_over").is_null())
    plans = said.filter((pl.col("event") == "exam_scheduled_for") & ~pl.col("precision").is_in(COARSE)).with_columns(
        rank=pl.col("source").replace_strict(rank, default=len(_PLANS), return_dtype=pl.Int32)
    )
    plans = plans.filter(pl.col("rank") == pl.col("rank").min().over("exam_key")).join(
        workflow.select("digest", pl.coalesce("station", "ae_title").alias("station"), "scheduled_minutes"),
        on="digest",
        how="left",
    )
    stated = pl.col("stated_at").dt.epoch("us").fill_null(0)
    plans = plans.sort("exam_key", stated, "event_at", "digest").with_columns(
        run=(pl.col("event_at") != pl.col("event_at").shift(1)).fill_null(value=True).cum_sum().over("exam_key")
    )
    booked = (
        plans.group_by("exam_key", "run", maintain_order=True)
        .agg(
            pl.col("event_at").first().alias("slot_at"),
            pl.col("scheduled_minutes").drop_nulls().last().alias("slot_minutes"),
            pl.col("station").drop_nulls().last(),
            pl.col("stated_at").min().alias("booked_at"),
            pl.col("source").first(),
        )
        .with_columns(slot_number=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("exam_key"))
        .drop("run")
    )
    made = (
        said.filter(pl.col("event") == "scheduling_done")
        .group_by("exam_key")
        .agg(pl.col("event_at").min().alias("made_at"))
    )
    is_first = pl.col("slot_number") == 1
    booked = booked.join(made, on="exam_key", how="left").with_columns(
        booked_at=pl.when(is_first & (pl.col("made_at") <= pl.col("slot_at")))
        .then(pl.min_horizontal("made_at", "booked_at"))
        # The first look at a worklist tells that a slot was booked before, and not when.
        .when(~is_first | (pl.col("source") != "mwl"))
        .then("booked_at")
    )
    booked = booked.with_columns(next_booked_at=pl.col("booked_at").shift(-1).over("exam_key")).drop("made_at")
    return booked.join(_ends(said, booked), on=["exam_key", "slot_number"], how="left")


def _ends(said: pl.DataFrame, booked: pl.DataFrame) -> pl.DataFrame:
    """What was said of each slot's end while it held: from its booking to that of the next."""
    ends = said.filter(pl.col("event").is_in(["order_cancelled", "patient_no_show"])).select(
        "exam_key",
        "event",
        pl.when(pl.col("precision").is_in(COARSE))
        .then(pl.coalesce("stated_at", "event_at"))
        .otherwise("event_at")
        .alias("end_at"),
        "reason_code",
        "reason_text",
        "digest",
    )
    inside = (
        ends.join(booked.select("exam_key", "slot_number", "booked_at", "next_booked_at"), on="exam_key")
        .filter(
            (pl.col("booked_at").is_null() | (pl.col("end_at") >= pl.col("booked_at")))
            & (pl.col("next_booked_at").is_null() | (pl.col("end_at") <= pl.col("next_booked_at")))
        )
        .sort("exam_key", "slot_number", "end_at", "digest")
        # Said in the very moment of the next booking, it ended the slot before: it belongs to one slot only.
        .unique(["exam_key", "event", "digest"], keep="first", maintain_order=True)
    )
    return inside.group_by("exam_key", "slot_number", maintain_order=True).agg(
        pl.col("end_at").filter(pl.col("event") == "patient_no_show").min().alias("missed_at"),
        pl.col("end_at").filter(pl.col("event") == "order_cancelled").max().alias("cancelled_at"),
        pl.col("reason_code").drop_nulls().last(),
        pl.col("reason_text").drop_nulls().last(),
    )


def fact_appointment(
    booked: pl.DataFrame, exams: pl.DataFrame, stations: pl.DataFrame, zones: dict[str, str], late_cancel_hours: float
) -> pl.DataFrame:
    """The slots with how each ended, in the columns of the star.

    A cancelled last slot whose exam was done on its day was kept after all: images and reports win over what was clicked. A
    missed one stays missed, also where its patient came later that day. Of a moved slot the move is its end.

    Args:
        booked: `slots`.
        exams: rows of `fact_exam`, with `site`.
        stations: `site`, `station` (upper case), `device_key`: which device a station name or AE title means.
        zones: site code to IANA zone.
    """
    columns = (
        "exam_key", "month", "site", "site_key", "device_key", "procedure_key", "protocol_key", "department_key", "modality", "patient_class",
        "priority", "section", "not_patient", "state", "is_performed", "arrived_at", "started_at",
    )  # fmt: skip
    rows = (
        booked.join(exams.select(columns), on="exam_key")
        .with_columns(station_name=pl.col("station").str.strip_chars().str.to_uppercase())
        .join(
            stations.select(
                "site", pl.col("station").alias("station_name"), pl.col("device_key").alias("named_device")
            ),
            on=["site", "station_name"],
            how="left",
        )
    )
    rows = rows.with_columns(
        local_day=on_site("slot_at", zones, local_day),
        time_key=on_site("slot_at", zones, local_hour),
        started_day=on_site("started_at", zones, local_day),
    )
    rows = rows.with_columns(outcome=_outcome(late_cancel_hours))
    kept = pl.col("outcome") == "kept"
    ended = (
        pl.when(pl.col("outcome") == "no_show")
        .then("missed_at")
        .when(pl.col("outcome").is_in(["cancelled", "late_cancelled"]))
        .then("cancelled_at")
        .when(pl.col("outcome") == "moved")
        .then("next_booked_at")
    )
    return rows.with_columns(
        ended.alias("ended_at"),
        device_key=pl.when(kept & (pl.col("device_key") != UNKNOWN))
        .then("device_key")
        .otherwise(pl.coalesce("named_device", "device_key")),
        lead_days=(pl.col("slot_at") - pl.col("booked_at")).dt.total_seconds() / 86400,
        arrived_late_minutes=pl.when(kept).then(_minutes("slot_at", "arrived_at")),
        started_late_minutes=pl.when(kept).then(_minutes("slot_at", "started_at")),
        date_key=date_key(pl.col("local_day")),
    )


def _outcome(late_cancel_hours: float) -> pl.Expr:
    """How a slot ended, of the columns of `fact_appointment`'s rows; the first that fits."""
    is_last = pl.col("next_booked_at").is_null()
    same_day = is_last & pl.col("is_performed") & (pl.col("started_day") == pl.col("local_day")).fill_null(value=False)
    late = pl.col("cancelled_at") > pl.col("slot_at") - pl.duration(seconds=late_cancel_hours * 3600)
    return (
        pl.when(same_day & pl.col("missed_at").is_null() & (pl.col("state") == "discontinued"))
        .then(pl.lit("broken_off"))
        .when(same_day & pl.col("missed_at").is_null())
        .then(pl.lit("kept"))
        .when(pl.col("missed_at").is_not_null())
        .then(pl.lit("no_show"))
        .when(pl.col("cancelled_at").is_not_null() & late)
        .then(pl.lit("late_cancelled"))
        .when(pl.col("cancelled_at").is_not_null())
        .then(pl.lit("cancelled"))
        .when(~is_last)
        .then(pl.lit("moved"))
        .when(pl.col("is_performed"))
        .then(pl.lit("kept"))
        .otherwise(pl.lit("open"))
    )


def _minutes(start: str, end: str) -> pl.Expr:
    return (pl.col(end) - pl.col(start)).dt.total_microseconds() / 60e6
