"""What the demo's hospital plans: a year's work spread over its working days, and activities by weight."""

from __future__ import annotations

from calendar import monthrange
from datetime import date

import polars as pl

from etl.demo.history import History
from etl.demo.procedures import PROCEDURES

GROWTH = 1.02
"""More exams than there were: what the demo's hospital hopes for."""
FEWEST_A_YEAR = 12
USUAL_KG = 75
"""The patient whom the procedures' usual activities are for."""


def volume_plan(history: History) -> dict[str, list[dict[str, str]]]:
    """The rows of a plan for each year that the history touches, in the form of `warehouse/volume_plan.py`."""
    days = (history.until - history.first).days
    made = history.exams.filter(pl.col("started").is_not_null() & ~pl.col("is_phantom"))
    yearly = made.group_by("site", "modality").agg(pl.len() * 365.25 / days * GROWTH).sort("site", "modality")
    return {
        str(year): [
            row
            for site, modality, exams in yearly.iter_rows()
            if exams >= FEWEST_A_YEAR
            for row in _months(str(site), str(modality), exams, year)
        ]
        for year in range(history.first.year, history.until.year + 1)
    }


def _months(site: str, modality: str, exams: float, year: int) -> list[dict[str, str]]:
    working = [_working_days(year, month) for month in range(1, 13)]
    return [
        {
            "site": site,
            "modality": modality,
            "month": f"{year}-{month:02}",
            "exams": str(round(exams * days / sum(working))),
        }
        for month, days in enumerate(working, start=1)
    ]


def _working_days(year: int, month: int) -> int:
    return sum(date(year, month, day).weekday() < 5 for day in range(1, monthrange(year, month)[1] + 1))


def activity_plan() -> list[dict[str, str]]:
    """Activity for a kilogram of each agent, in the form of `warehouse/dosimetry/tables.py`: invented like all of the demo."""
    return [
        {
            "agent": exposure.name.casefold(), "age_band": "", "mbq_per_kg": f"{exposure.dose / USUAL_KG:.1f}", "least_mbq": "", "most_mbq": f"{1.5 * exposure.dose:.0f}",
            "tolerance_percent": "20", "source": "the simulated hospital's own",
        }
        for procedure in PROCEDURES
        if procedure.modality in {"NM", "PT"}
        for exposure in procedure.exposures
    ]  # fmt: skip
