"""Planted dose outliers: exams that got more or less than others like them, each with its cause, all written to the truth."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl

from etl.demo.history import History
from etl.demo.uids import uids

PREFERRED = 0.009
"""Share of CT exams with dose that something is planted in."""


class _Cause(NamedTuple):
    """One way in which a CT exam comes to stand out."""

    name: str
    weight: float
    low: float
    high: float
    """Between which the factor of its dose lies."""


CAUSES = (
    _Cause("modulation", 2, 1.9, 2.6),
    _Cause("off_centre", 1, 1.8, 2.2),
    _Cause("extra_phase", 2, 2.0, 2.0),
    _Cause("long_range", 2, 1.8, 2.2),
    _Cause("wrong_phantom", 1, 2.0, 2.0),
    _Cause("low", 2, 0.3, 0.42),
)
COMPLEX = _Cause("complex", 1, 4.0, 8.0)
"""Angiography that took long."""
COMPLEX_SHARE = 0.02
MISTYPED = _Cause("data_error", 1, 1.9, 2.6)
"""An activity that was typed wrongly."""
MISTYPED_SHARE = 0.015
QA_PROTOCOL = "QA DAILY CONSTANCY"
QA_SHARE = 0.0015


def planted(history: History, exposures: pl.DataFrame) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """The exposures with outliers among them, and what was planted: exam, cause, factor.

    Args:
        exposures: of `dose.exposures`, figures as integers of the last digit.
    """
    rng = np.random.default_rng([history.seed, 21])
    plan = _plan(rng, exposures)
    if plan.is_empty():
        return exposures, []
    marked = exposures.join(plan, on="exam", how="left", maintain_order="left")
    changed = _relabelled(_lengthened(_scaled(marked)))
    more = changed.filter((pl.col("cause") == "extra_phase") & (pl.col("acquisition_type") == "spiral"))
    again = more.with_columns(
        pl.Series("event_uid", uids(np.random.default_rng([history.seed, 22]), more.height), dtype=pl.Utf8),
        place=pl.col("place") + 100,
    )
    whole = pl.concat([changed, again]).sort("started", "exam", "place")
    return whole.drop("cause", "factor"), plan.sort("exam").to_dicts()


def _plan(rng: np.random.Generator, exposures: pl.DataFrame) -> pl.DataFrame:
    """One row an exam that something is planted in: `exam, cause, factor`."""
    stated = exposures.filter(pl.col("carrier") != "lost")
    names, weights = [one.name for one in CAUSES], np.array([one.weight for one in CAUSES], float)
    ct = stated.filter((pl.col("kind") == "ct") & (pl.col("acquisition_type") == "spiral"))["exam"].unique().sort()
    chosen = _some(rng, ct, PREFERRED)
    drawn = rng.choice(len(names), chosen.len(), p=weights / weights.sum())
    rows = [(int(exam), names[index], *_factor(rng, CAUSES[index])) for exam, index in zip(chosen, drawn, strict=True)]
    xa = stated.filter((pl.col("kind") == "projection") & (pl.col("modality") == "XA"))["exam"].unique().sort()
    rows += [(int(exam), COMPLEX.name, *_factor(rng, COMPLEX)) for exam in _some(rng, xa, COMPLEX_SHARE)]
    nuclear = stated.filter(pl.col("kind") == "administration")["exam"].unique().sort()
    rows += [(int(exam), MISTYPED.name, *_factor(rng, MISTYPED)) for exam in _some(rng, nuclear, MISTYPED_SHARE)]
    free = ct.filter(~ct.is_in([row[0] for row in rows]))
    rows += [(int(exam), "qa", 1.0) for exam in _some(rng, free, QA_SHARE)]
    schema = {"exam": pl.Int64, "cause": pl.Utf8, "factor": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("exam").cast(exposures["exam"].dtype))


def _some(rng: np.random.Generator, exams: pl.Series, share: float) -> pl.Series:
    return exams.filter(pl.Series(rng.random(exams.len()) < share))


def _factor(rng: np.random.Generator, cause: _Cause) -> tuple[float]:
    return (round(float(rng.uniform(cause.low, cause.high)), 2),)


def _scaled(marked: pl.DataFrame) -> pl.DataFrame:
    """Dose figures times the factor where the cause changes the dose itself."""
    scales = pl.col("cause").is_in(["modulation", "off_centre", "wrong_phantom", "low", "complex", "data_error"])
    factor = pl.when(scales & (pl.col("acquisition_type").fill_null("") != "constant")).then("factor").otherwise(1.0)
    figures = [
        name
        for name in ("ctdivol_mgy", "dlp_mgycm", "ssde_stated_mgy", "dap_gycm2", "rp_air_kerma_mgy", "activity_mbq")
        if name in marked.columns
    ]
    return marked.with_columns((pl.col(name) * factor).round(0).cast(pl.Int64) for name in figures)


def _lengthened(marked: pl.DataFrame) -> pl.DataFrame:
    longer = (pl.col("cause") == "long_range") & (pl.col("acquisition_type") == "spiral")
    factor = pl.when(longer).then("factor").otherwise(1.0)
    return marked.with_columns(
        (pl.col(name) * factor).round(0).cast(pl.Int64) for name in ("scan_length_mm", "dlp_mgycm")
    )


def _relabelled(marked: pl.DataFrame) -> pl.DataFrame:
    """What the scanner writes differently: phantom, current that does not vary, the name of a test protocol."""
    cause = pl.col("cause")
    swapped = pl.when(pl.col("ctdi_phantom") == "body32").then(pl.lit("head16")).otherwise(pl.lit("body32"))
    return marked.with_columns(
        ctdi_phantom=pl.when(cause == "wrong_phantom").then(swapped).otherwise("ctdi_phantom"),
        tube_current_max_ma=pl.when(cause == "modulation").then("tube_current_ma").otherwise("tube_current_max_ma"),
        acquisition_protocol=pl.when((cause == "qa") & (pl.col("kind") == "ct"))
        .then(pl.lit(QA_PROTOCOL))
        .otherwise("acquisition_protocol"),
    )
