"""What surrounds an exam: the hospital's door, the scanner's room, the upload of mobile images, the call about a finding.

Columns are minutes since 1970 in UTC, NaN where something did not happen.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from etl.demo.clocks import DAY, Minutes, SiteClock
from etl.demo.procedures import PORTABLE, STROKE, index_of
from etl.demo.scheduling import Outcome

VISIT_MINUTES = 12 * 60
"""Emergency exams of one patient that follow each other within this belong to one visit."""
ROOM_SITE, ROOM_MINUTES = "TEACH", {"CT": (5.0, 4.0), "MR": (8.0, 5.0), "XA": (20.0, 12.0)}
"""Where the RIS has buttons for the scanner's room, and medians of the minutes before and after the scan: proposals."""
TYPED_LATE = 0.04
"""Share of arrivals in the room that are entered only after the scan began."""
UPLOADS_LATE, DOCK_HOURS = 0.35, 4
"""Share of mobile radiographs that wait for the unit to be docked, and how often that is."""
CALLED = {"CTST": 0.3, "CT": 0.12}
"""Share of emergency exams whose finding is told by telephone: of stroke alerts, of other CT. Proposals."""


def with_visits(rng: np.random.Generator, exams: pl.DataFrame) -> pl.DataFrame:
    """Adds `visit` and `door` to emergency exams: when the patient came through the hospital's door."""
    mine = exams.filter(pl.col("patient_class") == "E").sort("patient", "ordered", "exam")
    n = len(mine)
    stroke = mine["procedure"].to_numpy() == index_of(STROKE)
    before = np.exp(rng.normal(np.log(np.where(stroke, 6.0, 32.0)), np.where(stroke, 0.4, 0.6), n))
    gap = pl.col("ordered") - pl.col("ordered").shift(1).over("patient")
    mine = mine.select(
        "exam",
        first=pl.when((gap > VISIT_MINUTES) | gap.is_null()).then("exam"),
        came=pl.col("ordered") - pl.Series(before),
    )
    mine = mine.with_columns(pl.col("first").forward_fill()).with_columns(door=pl.col("came").first().over("first"))
    visit = pl.concat_str(pl.lit("V"), pl.col("first").cast(pl.Utf8).str.zfill(8)).alias("visit")
    return exams.join(mine.select("exam", visit, "door"), on="exam", how="left", maintain_order="left").with_columns(
        pl.col("door").fill_null(float("nan"))
    )


def with_rooms(rng: np.random.Generator, exams: pl.DataFrame) -> pl.DataFrame:
    """Adds `in_room`, `left_room`, and when the first was typed, for scanners whose room the RIS knows.

    The room is never taken by two: of the gap between two scans at most the first half belongs to the one that ends.
    """
    scans = exams.filter(pl.col("started").is_finite() & (pl.col("device") >= 0)).sort("device", "started")
    scans = scans.with_columns(
        before=(pl.col("started") - pl.col("ended").shift(1).over("device")).fill_null(DAY),
        after=(pl.col("started").shift(-1).over("device") - pl.col("ended")).fill_null(DAY),
    )
    mine = scans.filter((pl.col("site") == ROOM_SITE) & pl.col("modality").is_in(list(ROOM_MINUTES)))
    n = len(mine)
    draws = np.exp(rng.normal(0, 0.45, (n, 2)))
    luck = rng.uniform(0, 1, n)
    set_up, clean = (
        mine["modality"].replace_strict({m: pair[k] for m, pair in ROOM_MINUTES.items()}, return_dtype=pl.Float64)
        for k in range(2)
    )
    mine = mine.with_columns(set_up=set_up * draws[:, 0], clean=clean * draws[:, 1], luck=pl.Series(luck))
    came = pl.col("started") - pl.min_horizontal(pl.col("set_up"), pl.col("before") * 0.48)
    mine = mine.select(
        "exam",
        in_room=pl.max_horizontal(came, pl.col("arrived") + 0.5),
        left_room=pl.col("ended") + pl.min_horizontal(pl.col("clean"), pl.col("after") * 0.48),
        room_typed=pl.when(pl.col("luck") < TYPED_LATE)
        .then(pl.col("started") + 1.5)
        .otherwise(pl.max_horizontal(came, pl.col("arrived") + 0.5)),
    )
    return exams.join(mine, on="exam", how="left", maintain_order="left").with_columns(
        pl.col("in_room", "left_room", "room_typed").fill_null(float("nan"))
    )


def with_uploads(rng: np.random.Generator, exams: pl.DataFrame, clocks: dict[str, SiteClock]) -> pl.DataFrame:
    """Adds `uploaded`: when the images left the scanner; of some mobile radiographs only when the unit was docked."""
    luck = rng.uniform(0, 1, (len(exams), 2))
    started, site = exams["started"].to_numpy(), exams["site"].to_numpy()
    waits = (exams["procedure"].to_numpy() == index_of(PORTABLE)) & (luck[:, 0] < UPLOADS_LATE) & np.isfinite(started)
    uploaded: Minutes = started.copy()
    for code, clock in clocks.items():
        mine = np.flatnonzero(waits & (site == code))
        step = DOCK_HOURS * 60.0
        docked = np.ceil((clock.locals(exams["ended"].to_numpy()[mine]) + 20) / step) * step
        uploaded[mine] = clock.utcs(docked) + 12 * luck[mine, 1]
    return exams.with_columns(uploaded=pl.Series(uploaded), waits=pl.Series(waits))


def with_calls(rng: np.random.Generator, exams: pl.DataFrame) -> pl.DataFrame:
    """Adds `communicated`: when a critical finding of an emergency CT was told to the referrer."""
    n = len(exams)
    stroke = exams["procedure"].to_numpy() == index_of(STROKE)
    fits = (exams["patient_class"].to_numpy() == "E") & (exams["modality"].to_numpy() == "CT")
    fits &= (exams["outcome"].to_numpy() == Outcome.PERFORMED) & ~exams["is_second"].to_numpy()
    share = np.where(stroke, CALLED["CTST"], CALLED["CT"])
    called = fits & (rng.uniform(0, 1, n) < share)
    minutes = np.exp(rng.normal(np.log(9), 0.8, n))
    return exams.with_columns(communicated=np.where(called, exams["prelim"].to_numpy() + minutes, np.nan))


def with_late_orders(rng: np.random.Generator, exams: pl.DataFrame, share: float) -> pl.DataFrame:
    """Adds `late_order` and `placed`: an exam without an order gets one in most cases, before it is read.

    `placed` is when the order was entered, which for all others is when it was given.
    """
    luck = rng.uniform(0, 1, (len(exams), 2))
    late = exams["orderless"].to_numpy() & (luck[:, 0] < share) & np.isfinite(exams["completed"].to_numpy())
    read = pl.coalesce(pl.col("prelim").fill_nan(None), pl.col("final").fill_nan(None), pl.col("completed") + 6 * 60)
    after = pl.Series(5 + 110 * luck[:, 1])
    entered = pl.col("completed") + pl.min_horizontal(after, (read - pl.col("completed")) * 0.6)
    return exams.with_columns(
        late_order=pl.Series(late), has_order=pl.Series(late) | ~pl.col("orderless")
    ).with_columns(placed=pl.when("late_order").then(entered).otherwise(pl.col("ordered")))
