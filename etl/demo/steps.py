"""Performed procedure steps: what some scanners report of start and end, with the habits of those who close them."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import polars as pl

from etl.demo.calibration import rate
from etl.demo.clocks import Minutes
from etl.demo.history import History
from etl.demo.imaging import by_scanner_clock, offset_text, scanned
from etl.demo.messages import WHY
from etl.demo.network import SITES, STEP_MODALITIES
from etl.demo.scheduling import Outcome
from etl.demo.series_rows import series
from etl.demo.stories import of_kind
from etl.demo.uids import uids

SHIFTS = (7.0, 15.0, 23.0)
"""Local hours at which shifts change."""
AT_SHIFT_END, NEVER_CLOSED, IN_TWO = 0.04, 0.02, 0.015
"""Shares of steps that are closed only when the shift ends, or never, and of exams done in two steps (append): proposals."""
LOST_DAYS = 0.02
"""Share of the history for which one scanner's steps are lost; the rest of those missing are single ones."""


class LostSteps(NamedTuple):
    """The scanner whose steps are lost for some days."""

    device: int
    starts_on: date
    ends_on: date


def senders(history: History) -> list[int]:
    """Scanners that send performed steps: their own setting, and the failing one where its site has them at all."""
    failing = of_kind(history.stories, "failing_scanner")
    return [
        device.index
        for device in history.fleet
        if device.sends_steps
        or (
            failing is not None
            and device.station == failing.device
            and device.modality in STEP_MODALITIES
            and device.site == "TEACH"
        )
    ]


def lost_steps(history: History) -> LostSteps:
    """Which scanner's steps are lost, and when."""
    rng = np.random.default_rng([history.seed, 22])
    days = max(2, round((history.until - history.first).days * LOST_DAYS))
    device = senders(history)[int(rng.integers(len(senders(history))))]
    starts = history.first + timedelta(days=int((history.until - history.first).days * rng.uniform(0.3, 0.9)))
    return LostSteps(device, starts, starts + timedelta(days=days))


@lru_cache(maxsize=1)
def steps(history: History) -> pl.DataFrame:
    """One row a step that was opened, in order of time.

    `step_started`, `step_ended` are as the scanner's clock says them, `created`, `closed` when they were sent; `closed` is
    null for a step that is still or for ever in progress. `habit` says how it was closed: `at_once`, `at_shift_end`, `never`.
    """
    rng = np.random.default_rng([history.seed, 21])
    exams = scanned(history).filter(
        pl.col("device").is_in(senders(history)) & ~pl.col("is_second") & ~pl.col("is_phantom")
    )
    luck = rng.uniform(0, 1, (len(exams), 4))
    exams = exams.with_columns(
        missing=pl.Series(luck[:, 0] < rate("MPPS missing share of exams") - LOST_DAYS),
        parts=pl.when((pl.col("outcome") == Outcome.PERFORMED) & pl.Series(luck[:, 1] < IN_TWO)).then(2).otherwise(1),
        habit=pl.when(pl.Series(luck[:, 2] < NEVER_CLOSED))
        .then(pl.lit("never"))
        .when(pl.Series(luck[:, 2] < NEVER_CLOSED + AT_SHIFT_END))
        .then(pl.lit("at_shift_end"))
        .otherwise(pl.lit("at_once")),
        closing_s=pl.Series(np.round(15 + 75 * luck[:, 3]).astype(np.int64)),
    )
    lost = lost_steps(history)
    day = pl.col("started").dt.date()
    gone = (pl.col("device") == lost.device) & (day >= lost.starts_on) & (day < lost.ends_on)
    made = exams.filter(~pl.col("missing") & ~gone)
    made = made.with_columns(part=pl.int_ranges(0, "parts")).explode("part")
    return _with_identity(history, rng, _with_times(history, made)).sort("created", "exam", "part")


def _with_times(history: History, made: pl.DataFrame) -> pl.DataFrame:
    """Adds start and end of every step; of two, the second begins some time after the first has ended."""
    span = (pl.col("ended") - pl.col("started")).dt.total_seconds()
    first, second = pl.col("part") == 0, pl.col("part") == 1
    half = pl.col("started") + (span * 0.5).round(0).cast(pl.Int64) * timedelta(seconds=1)
    later = pl.col("started") + (span * 0.6).round(0).cast(pl.Int64) * timedelta(seconds=1)
    closed = pl.col("ended") + pl.col("closing_s") * timedelta(seconds=1)
    made = made.with_columns(
        true_started=pl.when(second).then(later).otherwise("started"),
        true_ended=pl.when(first & (pl.col("parts") == 2)).then(half).otherwise(closed),
    )
    ended = made["true_ended"].dt.epoch("us").to_numpy() / 60e6
    shift_end = pl.Series(_shift_ends(ended, history)) * 60_000_000
    made = made.with_columns(
        step_ended=pl.when(pl.col("habit") == "at_shift_end")
        .then(shift_end.cast(pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
        .otherwise("true_ended"),
        step_started="true_started",
    )
    end = pl.datetime(history.until.year, history.until.month, history.until.day, time_zone="UTC", time_unit="us")
    wait = timedelta(seconds=3)
    made = made.with_columns(
        created=pl.col("step_started") + wait,
        closed=pl.when(pl.col("habit") != "never").then(pl.col("step_ended") + wait),
    )
    made = made.filter(pl.col("created") < end).with_columns(
        pl.when(pl.col("closed") < end).then("closed").alias("closed")
    )
    return by_scanner_clock(made, "step_started", "step_ended")


def _shift_ends(ended: Minutes, history: History) -> Minutes:
    """The change of shift after each end, at the teaching hospital."""
    clock = history.clocks["TEACH"]
    local = clock.locals(ended)
    hour = local % 1440 / 60
    passed = np.searchsorted(np.array(SHIFTS), hour, side="right")
    next_hour = np.array([*SHIFTS, SHIFTS[0] + 24])[passed]
    return np.round(clock.utcs(local // 1440 * 1440 + next_hour * 60))


def _with_identity(history: History, rng: np.random.Generator, made: pl.DataFrame) -> pl.DataFrame:
    """Adds the step's UID, what it was broken off for, and the series that it lists."""
    listed = series(history).group_by("exam", maintain_order=True).agg(series_uids=pl.col("series_uid"))
    made = made.join(listed, on="exam", how="left", maintain_order="left")
    half = (pl.col("series_uids").list.len() + 1) // 2
    whole = pl.col("series_uids").fill_null([])
    share = (
        pl.when(pl.col("parts") == 1)
        .then(whole)
        .when(pl.col("part") == 0)
        .then(whole.list.slice(0, half))
        .otherwise(whole.list.slice(half))
    )
    broken = pl.col("outcome") == Outcome.DISCONTINUED
    return made.with_columns(
        step_uid=pl.Series(uids(rng, len(made)), dtype=pl.Utf8),
        series_uids=share,
        status=pl.when(broken).then(pl.lit("DISCONTINUED")).otherwise(pl.lit("COMPLETED")),
        reason_code=pl.when(broken).then(pl.col("reason").cast(pl.Utf8)),
        reason_text=pl.when(broken).then(pl.col("reason").replace_strict(WHY, default=None, return_dtype=pl.Utf8)),
        offset=offset_text("step_started", [site.zone_name for site in SITES]),
        closing_offset=offset_text("step_ended", [site.zone_name for site in SITES]),
    )
