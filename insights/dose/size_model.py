"""What a patient of this size usually gets: robust regression of log dose on size within protocol and scanner."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import statsmodels.api as sm
from numpy.typing import NDArray

from insights.dose.baselines import DAYS, ENOUGH

LEAST_SCALE = 0.045
"""Residuals are told apart no finer than this, about 4.5 %: the spread of a scanner that always gives the same."""
LEAST_RANGE_CM = 4.0
"""Sizes nearer together than this teach nothing about size."""


def with_size_model(rows: pl.DataFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    """Adds `expected`, what an exam of this protocol, scanner and size usually gets, and `size_z`, how far it is off.

    Null where size is not known or the protocol has too few sized exams on the scanner in the year before the month.

    Args:
        rows: of `exam_rows`, reaching a year further back than `wanted`.
        wanted: of `with_group`.
    """
    sized = rows.filter((pl.col("value") > 0) & (pl.col("size_cm") > 0) & (pl.col("dose_kind") == "ct"))
    history = {
        key: (group["local_day"].to_numpy(), group["size_cm"].to_numpy(), np.log(group["value"].to_numpy()))
        for key, group in sized.group_by("protocol_key", "device_id")
    }
    parts = []
    todo = wanted.filter((pl.col("size_cm") > 0) & (pl.col("dose_kind") == "ct"))
    for (protocol, device, month), group in todo.group_by("protocol_key", "device_id", "month_start"):
        assert isinstance(month, date)
        known = history.get((protocol, device))
        fit = None if known is None else _fitted(*known, month)
        if fit is None:
            continue
        level, slope, scale = fit
        expected = np.exp(level + slope * group["size_cm"].to_numpy())
        z = np.log(group["value"].to_numpy() / expected) / scale
        parts.append(pl.DataFrame({"exam_key": group["exam_key"], "expected": expected, "size_z": z}))
    schema = {"exam_key": pl.Int64, "expected": pl.Float64, "size_z": pl.Float64}
    return wanted.join(pl.concat(parts) if parts else pl.DataFrame(schema=schema), on="exam_key", how="left")


def _fitted(
    days: NDArray[np.datetime64], sizes: NDArray[np.float64], logs: NDArray[np.float64], month: date
) -> tuple[float, float, float] | None:
    """Level, slope by cm and residual scale over the year before the month."""
    within = (days >= np.datetime64(month - timedelta(days=DAYS))) & (days < np.datetime64(month))
    size, log = sizes[within], logs[within]
    if size.size < ENOUGH or np.ptp(size) < LEAST_RANGE_CM:
        return None
    fit = sm.RLM(log, sm.add_constant(size), M=sm.robust.norms.TukeyBiweight()).fit(maxiter=30)
    level, slope = (float(one) for one in fit.params)
    return level, slope, max(float(fit.scale), LEAST_SCALE)
