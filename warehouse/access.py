"""Open time ahead: what could still be booked, and how long somebody who asks now has to wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from sqlalchemy import Select, select

from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures.appointments import DUE
from warehouse.measures.measure import percentile
from warehouse.schema import dim_site, fact_appointment, fact_device_span
from warehouse.scope import Scope

AHEAD_DAYS = 365
USUAL_DAYS = 90
"""Days before now whose slots give the usual length of a modality's slot."""
THIRD = 3
"""The first and second opening are often a cancellation that will not last: the third says what patients meet."""


def openings(star: Star, filters: Filters, scope: Scope, as_of: datetime) -> pl.DataFrame:
    """Slots that could still be booked, soonest first.

    Staffed time after `as_of` that is neither booked, closed nor down for maintenance, in pieces of the modality's usual slot: the
    median booked length of slots due in the 90 days before. Rests that are shorter are no opening.

    Args:
        star: what is asked.
        filters: the choice; its days are not used.
        scope: what the reader may see; openings hold nobody's data.
        as_of: newest time of the data, UTC.

    Returns:
        `modality, site, device, starts_at, slot_minutes`.
    """
    usual = star.frame(_usual_slots(filters.over(as_of.date() - timedelta(days=USUAL_DAYS), as_of.date()), scope))
    free = star.frame(_free_time(filters.over(as_of.date(), as_of.date() + timedelta(days=AHEAD_DAYS)), scope, as_of))
    slot_us = (pl.col("slot_minutes") * 60e6).round().cast(pl.Int64)
    room_us = (pl.col("minutes") * 60e6).round().cast(pl.Int64)
    return (
        free.join(usual, on="modality")
        .with_columns(number=pl.int_ranges(room_us // slot_us))
        .explode("number")
        .drop_nulls("number")
        .with_columns(
            pl.col("starts_at").dt.convert_time_zone("UTC") + pl.duration(microseconds=pl.col("number") * slot_us)
        )
        .select("modality", "site", "device", "starts_at", "slot_minutes")
        .sort("starts_at", "modality", "site", "device")
    )


def third_next_available(
    star: Star, filters: Filters, scope: Scope, as_of: datetime, by: Sequence[str] = ("modality",)
) -> pl.DataFrame:
    """Days from `as_of` to the third opening: how long somebody who asks now has to wait.

    Args:
        star: what is asked.
        filters: the choice; its days are not used.
        scope: what the reader may see.
        as_of: newest time of the data, UTC.
        by: any of `modality`, `site`, `device`; slots of several modalities are only compared where it is among them.

    Returns:
        One row a combination that has openings: `by`, `third_at` and `days` (null with fewer than three), `openings`.
    """
    found = openings(star, filters, scope, as_of)
    third = pl.col("starts_at").sort().get(THIRD - 1, null_on_oob=True)
    return (
        found.group_by(list(by))
        .agg(third_at=third, openings=pl.len())
        .with_columns(days=(pl.col("third_at") - as_of).dt.total_microseconds() / 86_400e6)
        .select(*by, "third_at", "days", "openings")
        .sort(list(by))
    )


def _usual_slots(filters: Filters, scope: Scope) -> Select[Any]:
    slot = fact_appointment.c
    return (
        select(slot.modality, percentile(0.5, slot.slot_minutes).label("slot_minutes"))
        .where(filters.clauses(fact_appointment, scope), slot.outcome.in_(DUE), slot.slot_minutes > 0)
        .group_by(slot.modality)
    )


def _free_time(filters: Filters, scope: Scope, as_of: datetime) -> Select[Any]:
    span = fact_device_span.c
    return (
        select(
            span.modality,
            dim_site.c.site_code.label("site"),
            span.device_id.label("device"),
            span.starts_at,
            span.minutes,
        )
        .select_from(fact_device_span.join(dim_site, dim_site.c.site_key == span.site_key))
        .where(
            filters.clauses(fact_device_span, scope),
            span.kind == "idle",
            span.is_staffed,
            span.cause.is_(None),
            span.exam_key.is_(None),
            span.starts_at >= as_of,
        )
    )
