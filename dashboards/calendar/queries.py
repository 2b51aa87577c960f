"""Days of scanners as the star has them; the reader's scope is in every query."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, func, select

from dashboards._shell.reading import Reading
from warehouse.schema import fact_device_span

_span = fact_device_span.c
DOWN_KINDS = ("closed", "planned_down", "unplanned_down")
MINUTES_PER_HOUR = 60


def month_of(text: str, fallback: date) -> date:
    """The first day of a month as `2026-11`; that of the fallback where it is none."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        return fallback.replace(day=1)


def last_of(month: date) -> date:
    """The last day of a month."""
    return (month + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def days(reading: Reading, month: date) -> pl.DataFrame:
    """One row a device and day: hours staffed, in use, closed and down; where the hours come from; reasons."""

    def hours(condition: ColumnElement[bool]) -> ColumnElement[Any]:
        return func.coalesce(func.sum(_span.minutes).filter(condition), 0.0) / MINUTES_PER_HOUR

    filters = reading.filters.over(month, last_of(month))
    query = (
        select(
            _span.device_id.label("device"),
            _span.local_day.label("day"),
            func.max(_span.staffed_basis).label("basis"),
            hours(_span.is_staffed & _span.kind.not_in(("closed", "planned_down"))).label("staffed"),
            hours(_span.kind == "in_use").label("in_use"),
            *(hours(_span.kind == kind).label(kind) for kind in DOWN_KINDS),
            func.string_agg(_span.reason.distinct(), "; ").label("reasons"),
        )
        .where(filters.clauses(fact_device_span, reading.scope))
        .group_by(_span.device_id, _span.local_day)
        .order_by(_span.device_id, _span.local_day)
    )
    return reading.star.frame(query)
