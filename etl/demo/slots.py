"""The booked slots as they stand at the end of the history."""

from __future__ import annotations

from datetime import date

import polars as pl

from etl.demo.appointments import Diary, SlotEnd
from etl.demo.booking import SLOT_MINUTES
from etl.demo.clocks import to_time


def slots_known(diary: Diary, exams: pl.DataFrame, until: date) -> pl.DataFrame:
    """The diary as it stands at the end of the history, for the exams of the history."""
    end = pl.datetime(until.year, until.month, until.day, time_zone="UTC", time_unit="us")
    columns = {
        "order": diary.order,
        "device": diary.device,
        "slot_at": diary.slot_at,
        "booked_at": diary.booked_at,
        "ended_at": diary.ended_at,
        "outcome": diary.outcome,
        "reason": diary.reason,
    }
    booked = pl.DataFrame(columns, schema_overrides={"order": pl.Int64, "device": pl.Int64}).with_row_index("number")
    known = exams.filter(~pl.col("is_second") & pl.col("order").is_not_null())
    found = booked.join(known.select("exam", "order", "arrived", "modality"), on="order").sort("exam", "number")
    found = found.with_columns(to_time(name) for name in ("slot_at", "booked_at", "ended_at"))
    found = found.filter(pl.col("booked_at") < end)
    ahead = pl.when(pl.col("slot_at") < end).then(pl.lit(SlotEnd.UNRESOLVED)).otherwise(pl.lit(SlotEnd.OPEN))
    visited = pl.col("outcome").is_in([SlotEnd.KEPT, SlotEnd.BROKEN_OFF])
    unknown = pl.when(visited).then(pl.col("arrived").is_null()).otherwise(pl.col("ended_at") >= end)
    renewed = (pl.col("outcome").shift(1) == SlotEnd.NO_SHOW).fill_null(value=False).cum_sum().over("exam")
    return found.select(
        "exam",
        "device",
        "slot_at",
        "booked_at",
        slot_number=pl.int_range(1, pl.len() + 1).over("exam"),
        slot_minutes=pl.col("modality").replace_strict(SLOT_MINUTES, return_dtype=pl.Int64).cast(pl.Float64),
        ended_at=pl.when(~unknown).then("ended_at"),
        outcome=pl.when(unknown).then(ahead).otherwise(pl.col("outcome")),
        reason=pl.when(~unknown).then("reason").fill_null(""),
        appointment=pl.concat_str(pl.lit("AP"), pl.col("exam").cast(pl.Utf8).str.zfill(8), pl.lit("-"), renewed + 1),
    )
