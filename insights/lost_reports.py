"""Scanners that stopped sending dose reports, for days or up to now.

The share of exams without dose is held against the scanner's own past (`insights.episodes`).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
from sqlalchemy import func, not_, select

from insights.episodes import DAYS_BACK, Episode, episode, evidence
from insights.finding import Finding, Found, chance, over, when
from insights.names import Names
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures import CATALOGUE
from warehouse.measures.dose import IONISING
from warehouse.schema import dim_device, fact_exam
from warehouse.scope import Scope

LEAST_SHARE = 30.0
"""Percent of exams without dose, more than usual, below which single reports went missing and no scanner is silent."""
_CAPTURE = CATALOGUE["dose_capture_share"]
_exam, _device = fact_exam.c, dim_device.c


def find(star: Star, last: date, as_of: date, scope: Scope, narrowed: Filters | None, names: Names) -> Found:
    """Episodes at all scanners, `last` being the last day whose dose reports have come."""
    days = star.frame(_days(over(narrowed, last - timedelta(days=DAYS_BACK - 1), last), scope))
    parts = days.partition_by("device", as_dict=True, maintain_order=True)
    found = []
    for (device,), part in parts.items():
        one = episode(part, last)
        if one is not None and one.wrong >= scope.small_count and one.share - one.usual >= LEAST_SHARE:
            found.append(_finding({"device": str(device)}, part, one, as_of, names))
    return Found(found, len(parts))


def _days(filters: Filters, scope: Scope) -> Any:
    return (
        select(
            _device.device_id.label("device"),
            _exam.local_day.label("day"),
            func.count().label("n"),
            func.count().filter(not_(_exam.has_dose_report)).label("wrong"),
        )
        .select_from(fact_exam.join(dim_device, _exam.device_key == _device.device_key))
        .where(filters.clauses(fact_exam, scope), _exam.has_images, _exam.modality.in_(IONISING), _exam.device_key != 0)
        .group_by(_device.device_id, _exam.local_day)
        .order_by(_device.device_id, _exam.local_day)
    )


def _finding(place: dict[str, str], days: pl.DataFrame, one: Episode, as_of: date, names: Names) -> Finding:
    return Finding(
        "concern", "dose capture", _CAPTURE.name, _CAPTURE.permission, place, one.first, one.until, one.usual - one.share, "%",
        evidence(days, one, "share of exams without dose, against the scanner's own past"), float(one.wrong),
        f"Dose reports missing {names.words(place)}: {one.wrong} of {one.exams} exams {when(one.first, one.until, as_of)} "
        "are without dose",
        f"{one.share:.0f} % against {one.usual:.1f} % before: by chance {chance(one.chance)}.",
    )  # fmt: skip
