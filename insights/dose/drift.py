"""A protocol whose level on a scanner changed: a self-starting CUSUM over its exams, adjusted for the patient's size.

Each exam's logarithm is compared with the mean and spread of all before it since the last change (Hawkins 1987), so that
no training period is needed and a crossing never moves when later exams arrive. Two decision intervals run side by
side: a slow one for small shifts and a quick one for large ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import exp, sqrt

import numpy as np
import polars as pl
from numpy.typing import NDArray

from insights.dose.size_model import MOSTLY, size_of
from warehouse.dosimetry.bands import ADULT

WARM_UP = 20
"""Exams of a level before it is watched."""
WINSOR = 3.0
"""A single exam counts no more than this many standard deviations: one outlier is no change of level."""
QUICK_SHARE, QUICK_SLACK, SLACK = 0.55, 1.1, 0.5
"""Decision interval of the quick sum as a share of the slow one's, and what is taken off each step, in σ."""
LEAST_CHANGE = 0.08
"""Changes of the median smaller than this are not worth a person's time."""
LEAST_SEEN = 4
"""Exams of the new level that must have been seen: two outliers in a row are none."""
LEAST_STEP_CM = 0.5
"""Neighbours of nearly the same size tell nothing of the slope."""
LEAST_SPREAD = 0.03
MOST_SLOPE = 0.12
"""Dose follows size no more steeply than this, by cm; a doubling takes 6 cm."""


@dataclass(frozen=True)
class Drift:
    """One change of level."""

    exam_key: int
    """Exam at which it was seen."""
    began: int
    """Position of the first exam of the new level."""
    seen: int
    """Position of the exam at which it was seen."""
    before: float
    after: float
    """Medians, for a patient of the protocol's usual size, in the quantity's unit."""
    n_before: int


def drifts(rows: pl.DataFrame, threshold: float) -> list[tuple[tuple[int, str], pl.DataFrame, Drift]]:
    """Changes of level by protocol and scanner, with the protocol's exams in order.

    Args:
        rows: of `exam_rows`, in the order in which they began, from the beginning of the data.
        threshold: decision interval in standard deviations.
    """
    found: list[tuple[tuple[int, str], pl.DataFrame, Drift]] = []
    usable = rows.filter((pl.col("level") > 0) & (pl.col("protocol_key") != 0) & (pl.col("age_band") == ADULT))
    for (protocol, device), group in usable.group_by("protocol_key", "device_id", maintain_order=True):
        if group.height < WARM_UP + LEAST_SEEN:
            continue
        key = (int(str(protocol)), str(device))
        found.extend((key, group, change) for change in _changes(group, threshold))
    return found


def _changes(group: pl.DataFrame, threshold: float) -> list[Drift]:
    log = adjusted(group)
    keys = group["exam_key"].to_list()
    found, start = [], 0
    while (hit := first_crossing(log[start:], threshold)) is not None:
        began, seen = start + hit[0], start + hit[1]
        before, after = log[start:began], log[began : seen + 1]
        shift = float(np.median(after) - np.median(before)) if before.size else 0.0
        if before.size >= WARM_UP // 2 and abs(exp(shift) - 1) >= LEAST_CHANGE:
            levels = (exp(float(np.median(before))), exp(float(np.median(after))))
            found.append(Drift(keys[seen], began, seen, *levels, int(before.size)))
        start = began if began > start else seen + 1
    return found


def adjusted(group: pl.DataFrame) -> NDArray[np.float64]:
    """Logarithms of the values as if every patient had the protocol's usual size; by weight where size is not known.

    The slope is taken from differences between neighbours in time, which a change of level hardly touches.
    """
    log = np.log(group["level"].to_numpy())
    sizes, _ = size_of(group)
    known = sizes.cast(pl.Float64).to_numpy()
    given = np.isfinite(known) & (known > 0)
    if given.mean() < MOSTLY:
        return np.asarray(log)
    size = np.where(given, known, np.median(known[given]))
    x, y = np.diff(size), np.diff(log)
    moved = np.abs(x) > LEAST_STEP_CM
    if moved.sum() < WARM_UP:
        return np.asarray(log)
    slope = float(np.clip(np.median(y[moved] / x[moved]), 0, MOST_SLOPE))
    return np.asarray(log - slope * (size - np.median(size)))


def first_crossing(log: NDArray[np.float64], threshold: float) -> tuple[int, int] | None:
    """Positions at which a change began and was seen; None where nothing changed."""
    mean, squares = 0.0, 0.0
    sums = {(side, slack): 0.0 for side in (1, -1) for slack in (SLACK, QUICK_SLACK)}
    begins = dict.fromkeys(sums, 0)
    limits = {SLACK: threshold, QUICK_SLACK: threshold * QUICK_SHARE}
    for n, value in enumerate(log):
        counted = value
        if n >= WARM_UP:
            spread = max(sqrt(squares / (n - 1)), LEAST_SPREAD)
            # What an outlier counts, and what it teaches, is bounded.
            counted = max(mean - WINSOR * spread, min(mean + WINSOR * spread, value))
            z = (counted - mean) / (spread * sqrt(1 + 1 / n))
            for (side, slack), before in sums.items():
                sums[side, slack] = max(0.0, before + side * z - slack)
                if before == 0.0 and sums[side, slack] > 0.0:
                    begins[side, slack] = n
            crossed = [key for key, now in sums.items() if now > limits[key[1]]]
            if crossed and n - begins[crossed[0]] + 1 >= LEAST_SEEN:
                return begins[crossed[0]], n
        step = counted - mean
        mean += step / (n + 1)
        squares += step * (counted - mean)
    return None


def first_day(group: pl.DataFrame, change: Drift) -> date:
    """Local day of the first exam of the new level."""
    found: date = group["local_day"][change.began]
    return found
