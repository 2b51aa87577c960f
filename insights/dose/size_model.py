"""What a patient of this size usually gets: robust regression of log dose on size within protocol and scanner.

Size is the effective or water-equivalent diameter where the scanner states it for most of the protocol's exams, else the
square root of weight, to which the diameter of a body is nearly proportional.
"""

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
MOSTLY = 0.8
CM_BY_ROOT_KG = 3.3
"""Diameter in cm of a trunk by the root of its weight: 75 kg are about 28.5 cm. Only differences count."""
FIGURES = ("value", "ctdivol_mgy")
"""What is modelled: what the exam is compared by, and for CT the output apart from its length."""


def size_of(rows: pl.DataFrame) -> tuple[pl.Series, str]:
    """Size in cm of the exams of one protocol and scanner, and what it is from; null where it is not known."""
    known = rows["size_cm"].is_not_null().sum() / max(rows.height, 1)
    if known >= MOSTLY:
        return rows["size_cm"], "size"
    return rows.select((CM_BY_ROOT_KG * pl.col("weight_kg").sqrt()).alias("size"))["size"], "weight"


def with_size_model(rows: pl.DataFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    """Adds for each of `FIGURES` what an exam of this protocol, scanner and size usually gets, and how far it is off.

    Columns `value_expected, value_z, ctdivol_mgy_expected, ctdivol_mgy_z` and `size_by` (size or weight); null where
    size is not known or the protocol has too few sized exams on the scanner in the year before the month.

    Args:
        rows: of `exam_rows`, reaching a year further back than `wanted`.
        wanted: of `with_group`.
    """
    ct = rows.filter((pl.col("value") > 0) & (pl.col("dose_kind") == "ct"))
    groups = dict(ct.group_by("protocol_key", "device_id"))
    parts = []
    todo = wanted.filter(pl.col("dose_kind") == "ct")
    for (protocol, device, month), exams in todo.group_by("protocol_key", "device_id", "month_start"):
        assert isinstance(month, date)
        known = groups.get((protocol, device))
        if known is not None:
            parts.append(_of_group(known, exams, month))
    schema = {"exam_key": pl.Int64, "size_by": pl.Utf8} | {
        f"{name}_{what}": pl.Float64 for name in FIGURES for what in ("expected", "z")
    }
    made = pl.concat(parts, how="diagonal") if parts else pl.DataFrame(schema=schema)
    return wanted.join(made.select(list(schema)), on="exam_key", how="left")


def _of_group(known: pl.DataFrame, exams: pl.DataFrame, month: date) -> pl.DataFrame:
    """Expected figures of some exams of a month from those of the same protocol and scanner."""
    sizes, by = size_of(known)
    year = known.with_columns(size=sizes).filter(
        pl.col("local_day").is_between(month - timedelta(days=DAYS), month, closed="left") & (pl.col("size") > 0)
    )
    own = exams["size_cm"] if by == "size" else exams.select(CM_BY_ROOT_KG * pl.col("weight_kg").sqrt()).to_series()
    columns: list[pl.Series] = []
    for name in FIGURES:
        usable = year.filter(pl.col(name) > 0)
        fit = _fitted(usable["size"].to_numpy(), np.log(usable[name].to_numpy()))
        if fit is None:
            columns += [pl.Series(f"{name}_{what}", [None] * exams.height, dtype=pl.Float64) for what in ("expected", "z")]  # fmt: skip
            continue
        level, slope, scale = fit
        expected = (level + slope * own).exp()
        z = (exams[name].log() - expected.log()) / scale
        columns += [expected.alias(f"{name}_expected"), z.alias(f"{name}_z")]
    return exams.select("exam_key").with_columns(*columns, size_by=pl.lit(by))


def _fitted(size: NDArray[np.float64], log: NDArray[np.float64]) -> tuple[float, float, float] | None:
    """Level, slope by cm and residual scale."""
    if size.size < ENOUGH or np.ptp(size) < LEAST_RANGE_CM:
        return None
    fit = sm.RLM(log, sm.add_constant(size), M=sm.robust.norms.TukeyBiweight()).fit(maxiter=30)
    level, slope = (float(one) for one in fit.params)
    return level, slope, max(float(fit.scale), LEAST_SCALE)
