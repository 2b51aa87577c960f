"""Orders that wait for their exam: how many and how long, how many days of work they are, and which will pass their target."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from sqlalchemy import Select, and_, func, or_, select

from warehouse.access import openings
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures.measure import percentile
from warehouse.schema import dim_procedure, dim_site, fact_exam
from warehouse.scope import Scope

_exam = fact_exam.c
WAITING = ("ordered", "scheduled")
AGE_BANDS: tuple[tuple[str, float], ...] = (
    ("up to 1 day", 1),
    ("1–7 days", 7),
    ("1–4 weeks", 28),
    ("4–13 weeks", 91),
    ("over 13 weeks", float("inf")),
)
"""Name, and age in days at which the next begins."""
USUAL_DAYS = 90
"""Days before now whose exams give the minutes of a procedure."""
PACE_DAYS = 28
"""Days before now whose exams give how much is done in a day."""
PRIORITIES = ("stat", "urgent", "routine", "unknown")


def waiting(star: Star, filters: Filters, scope: Scope, as_of: datetime, stale_days: int) -> pl.DataFrame:
    """Orders whose exam was neither made nor cancelled by `as_of`, oldest first.

    Args:
        filters: the choice; its days are not used.
        as_of: newest time of the data, UTC.
        stale_days: age from which an order that nothing happened to counts no longer.

    Returns:
        `exam_key, exam_id, modality, site, procedure_key, procedure, priority, ordered_at, slot_at, waited_days, band,
        minutes`: `slot_at` is a slot that is still ahead; `minutes` is what such an exam usually takes on the scanner.
    """
    found = star.frame(_orders(filters, scope, as_of, stale_days)).with_columns(
        pl.col("ordered_at", "slot_at").dt.convert_time_zone("UTC")
    )
    usual = star.frame(_usual_minutes(filters, scope, as_of))
    by_procedure = usual.drop_nulls("minutes").select("modality", "procedure_key", own="minutes")
    by_modality = usual.group_by("modality").agg(pl.col("minutes").median().alias("like"))
    waited = (pl.lit(as_of.astimezone(UTC)) - pl.col("ordered_at")).dt.total_seconds() / 86_400
    band = pl.lit(AGE_BANDS[-1][0])
    for name, below in reversed(AGE_BANDS[:-1]):
        band = pl.when(waited < below).then(pl.lit(name)).otherwise(band)
    return (
        found.with_columns(waited_days=waited, band=band)
        .join(by_procedure, on=["modality", "procedure_key"], how="left")
        .join(by_modality, on="modality", how="left")
        .with_columns(minutes=pl.coalesce("own", "like"))
        .drop("own", "like")
        .sort("ordered_at", "exam_key")
    )


def days_of_work(star: Star, orders: pl.DataFrame, filters: Filters, scope: Scope, as_of: datetime) -> pl.DataFrame:
    """How many days the waiting orders of each modality and site take at the pace of the last four weeks.

    Returns:
        `modality, site, orders, unbooked, hours, hours_a_day, days`, most days first; `days` is null where nothing was
        done in these weeks.
    """
    pace = star.frame(_pace(filters, scope, as_of))
    asked = orders.group_by("modality", "site").agg(
        pl.len().alias("orders"),
        pl.col("slot_at").is_null().sum().alias("unbooked"),
        (pl.col("minutes").sum() / 60).alias("hours"),
    )
    return (
        asked.join(pace, on=["modality", "site"], how="left")
        .with_columns(days=pl.when(pl.col("hours_a_day") > 0).then(pl.col("hours") / pl.col("hours_a_day")))
        .sort("days", "modality", "site", descending=[True, False, False], nulls_last=True)
    )


def breaches(
    star: Star, orders: pl.DataFrame, filters: Filters, scope: Scope, as_of: datetime, wait_days: Mapping[str, float]
) -> pl.DataFrame:
    """When each waiting order can be expected, and whether that is past its target.

    A booked order is expected at its slot. The others get the open slots of their modality and site one after the other,
    by priority, then age: the best case, in which nobody else is booked in between.

    Args:
        orders: of `waiting`.
        wait_days: days from the order within which the exam shall be made, by priority.

    Returns:
        `orders` with `due_at`, `expected_at` (null where no slot is open), `is_late` (the target is past already),
        `will_breach` (it is not past, and will be).
    """
    due = pl.col("ordered_at") + pl.duration(
        seconds=pl.col("priority").replace_strict(dict(wait_days), default=None, return_dtype=pl.Float64) * 86_400
    )
    rank = pl.col("priority").replace_strict(
        {name: number for number, name in enumerate(PRIORITIES)}, default=len(PRIORITIES), return_dtype=pl.Int32
    )
    place = ["modality", "site"]
    unbooked = (
        orders.filter(pl.col("slot_at").is_null())
        .sort(rank, "ordered_at", "exam_key")
        .with_columns(number=pl.int_range(pl.len()).over(place))
    )
    free = openings(star, filters, scope, as_of).with_columns(number=pl.int_range(pl.len()).over(place))
    given = unbooked.join(free.select(*place, "number", "starts_at"), on=[*place, "number"], how="left").select(
        "exam_key", "starts_at"
    )
    late = (pl.col("due_at") < as_of).fill_null(value=False)
    return (
        orders.join(given, on="exam_key", how="left")
        .with_columns(due_at=due, expected_at=pl.coalesce("slot_at", "starts_at"))
        .drop("starts_at")
        .with_columns(
            is_late=late,
            will_breach=~late
            & ((pl.col("expected_at") > pl.col("due_at")) | pl.col("expected_at").is_null())
            & pl.col("due_at").is_not_null(),
        )
        .sort("due_at", "exam_key", nulls_last=True)
    )


def _orders(filters: Filters, scope: Scope, as_of: datetime, stale_days: int) -> Select[Any]:
    oldest = as_of - timedelta(days=stale_days)
    ahead = filters.over(oldest.date() - timedelta(days=1), as_of.date() + timedelta(days=366))
    return (
        select(
            _exam.exam_key, _exam.exam_id, _exam.modality, dim_site.c.site_code.label("site"), _exam.procedure_key, dim_procedure.c.procedure_text.label("procedure"), _exam.priority, _exam.ordered_at,
            func.nullif(func.greatest(_exam.scheduled_for_at, as_of), as_of).label("slot_at"),
        )
        .select_from(
            fact_exam.join(dim_site, _exam.site_key == dim_site.c.site_key).join(dim_procedure, _exam.procedure_key == dim_procedure.c.procedure_key)
        )
        .where(
            ahead.clauses(fact_exam, scope),
            _exam.state.in_(WAITING),
            _exam.is_performed.is_(False),
            or_(_exam.ordered_at.between(oldest, as_of), and_(_exam.scheduled_for_at > as_of, _exam.ordered_at <= as_of)),
        )
    )  # fmt: skip


def _usual_minutes(filters: Filters, scope: Scope, as_of: datetime) -> Select[Any]:
    recent = filters.over(as_of.date() - timedelta(days=USUAL_DAYS), as_of.date())
    return (
        select(_exam.modality, _exam.procedure_key, percentile(0.5, _exam.machine_minutes).label("minutes"))
        .where(recent.clauses(fact_exam, scope), _exam.is_performed, _exam.machine_minutes > 0)
        .group_by(_exam.modality, _exam.procedure_key)
    )


def _pace(filters: Filters, scope: Scope, as_of: datetime) -> Select[Any]:
    recent = filters.over(as_of.date() - timedelta(days=PACE_DAYS), as_of.date() - timedelta(days=1))
    return (
        select(
            _exam.modality,
            dim_site.c.site_code.label("site"),
            (func.sum(_exam.machine_minutes) / 60.0 / PACE_DAYS).label("hours_a_day"),
        )
        .select_from(fact_exam.join(dim_site, _exam.site_key == dim_site.c.site_key))
        .where(recent.clauses(fact_exam, scope), _exam.is_performed)
        .group_by(_exam.modality, dim_site.c.site_code)
    )
