"""Rows that the utilization pages need besides measures; the reader's scope is in every one."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, and_, case, func, literal_column, select
from sqlalchemy.sql import FromClause

from dashboards._shell.reading import Reading
from warehouse.measures.appointments import DUE
from warehouse.measures.scanner_time import available, staffed
from warehouse.schema import (
    dim_date,
    dim_device,
    dim_procedure,
    dim_site,
    fact_appointment,
    fact_device_span,
    fact_exam,
)

LEAD_BANDS = ((1, "same or next day"), (7, "2 to 7 days"), (28, "8 to 28 days"), (90, "29 to 90 days"))
LONGEST_BAND = "over 90 days"

_span, _slot, _exam = fact_device_span.c, fact_appointment.c, fact_exam.c


def staffed_basis(reading: Reading) -> dict[str, tuple[str, ...]]:
    """Where each device's staffed hours come from, by device: the most used basis first."""
    query = (
        select(_span.device_id, _span.staffed_basis, func.sum(_span.minutes).label("minutes"))
        .where(reading.filters.clauses(fact_device_span, reading.scope), staffed(_span))
        .group_by(_span.device_id, _span.staffed_basis)
        .order_by(_span.device_id, func.sum(_span.minutes).desc())
    )
    found: dict[str, tuple[str, ...]] = {}
    for device, basis, _ in reading.star.frame(query).iter_rows():
        found[device] = (*found.get(device, ()), basis)
    return found


def closures(reading: Reading) -> dict[str, float]:
    """Hours of closure by device: what calendars took out of the staffed hours."""
    query = (
        select(_span.device_id, (func.sum(_span.minutes) / 60).label("hours"))
        .where(reading.filters.clauses(fact_device_span, reading.scope), _span.kind == "closed")
        .group_by(_span.device_id)
    )
    return {device: float(hours) for device, hours in reading.star.frame(query).iter_rows()}


def after_hours(reading: Reading) -> float:
    """Hours in which rooms were taken outside staffed hours."""
    query = select((func.coalesce(func.sum(_span.minutes), 0) / 60).label("hours")).where(
        reading.filters.clauses(fact_device_span, reading.scope), _span.kind == "in_use", ~_span.is_staffed
    )
    return float(reading.star.frame(query)["hours"][0])


def lost_days(reading: Reading, causes: tuple[str, ...], limit: int = 200) -> pl.DataFrame:
    """Days of rooms by what they lost for these causes, the most first: device, day, cause, minutes, exam_key, times."""
    query = (
        select(
            _span.device_id.label("device"), _span.local_day.label("day"), _span.cause, func.sum(_span.minutes).label("minutes"),
            func.count().label("times"), func.min(_span.exam_key).label("exam_key"),
        )
        .where(reading.filters.clauses(fact_device_span, reading.scope), available(_span), _span.cause.in_(causes))
        .group_by(_span.device_id, _span.local_day, _span.cause)
        .order_by(func.sum(_span.minutes).desc(), _span.local_day)
        .limit(limit)
    )  # fmt: skip
    return reading.star.frame(query)


def missed_by_lead(reading: Reading) -> pl.DataFrame:
    """Slots due by how long before they were booked, shortest first: name, n, no_shows, late_cancels."""
    names = [*(name for _, name in LEAD_BANDS), LONGEST_BAND]
    within: list[tuple[ColumnElement[bool], ColumnElement[Any]]] = [
        (_slot.lead_days <= days, literal_column(str(place))) for place, (days, _) in enumerate(LEAD_BANDS)
    ]
    band = case(*within, else_=literal_column(str(len(LEAD_BANDS)))).label("place")
    slots = (
        select(band, _slot.outcome)
        .where(
            reading.filters.clauses(fact_appointment, reading.scope),
            _slot.outcome.in_(DUE),
            _slot.lead_days.is_not(None),
        )
        .subquery()
        .c
    )
    query = (
        select(
            slots.place,
            func.count().label("n"),
            func.count().filter(slots.outcome == "no_show").label("no_shows"),
            func.count().filter(slots.outcome == "late_cancelled").label("late_cancels"),
        )
        .group_by(slots.place)
        .order_by(slots.place)
    )
    frame = reading.star.frame(query)
    return frame.with_columns(name=pl.col("place").replace_strict(dict(enumerate(names)), return_dtype=pl.Utf8))


def booked_by_hour(reading: Reading) -> pl.DataFrame:
    """Slots due by weekday and local hour: weekday, hour, value."""
    query = (
        select(dim_date.c.iso_weekday.label("weekday"), _slot.time_key.label("hour"), func.count().label("value"))
        .select_from(fact_appointment.join(dim_date, _slot.date_key == dim_date.c.date_key))
        .where(reading.filters.clauses(fact_appointment, reading.scope), _slot.outcome.in_((*DUE, "open")))
        .group_by(dim_date.c.iso_weekday, _slot.time_key)
    )
    return reading.star.frame(query)


def demand_by_hour(reading: Reading) -> pl.DataFrame:
    """Exams of the period by the local weekday and hour at which they were ordered: weekday, hour, value."""
    query = (
        select(_exam.ordered_at, dim_site.c.time_zone)
        .select_from(fact_exam.join(dim_site, _exam.site_key == dim_site.c.site_key))
        .where(reading.filters.clauses(fact_exam, reading.scope), _exam.ordered_at.is_not(None))
    )
    frame = reading.star.frame(query)
    parts = [
        part.select(
            weekday=pl.col("ordered_at").dt.convert_time_zone(str(zone)).dt.weekday(),
            hour=pl.col("ordered_at").dt.convert_time_zone(str(zone)).dt.hour(),
        )
        for (zone,), part in frame.partition_by("time_zone", as_dict=True).items()
    ]
    if not parts:
        return pl.DataFrame(schema={"weekday": pl.Int64, "hour": pl.Int64, "value": pl.Int64})
    return pl.concat(parts).group_by("weekday", "hour").agg(value=pl.len()).cast(pl.Int64).sort("weekday", "hour")


def day_stretches(reading: Reading, day: date) -> pl.DataFrame:
    """The stretches of a day, by device and time, with what is known of their exam.

    Columns: device, kind, cause, is_staffed, basis, start_minute, end_minute, scanning_minutes, overlap_minutes, exams,
    exam_key, reason, room_basis, procedure.
    """
    source: FromClause = fact_device_span.outerjoin(fact_exam, and_(_span.exam_key == _exam.exam_key)).outerjoin(
        dim_procedure, _exam.procedure_key == dim_procedure.c.procedure_key
    )
    query = (
        select(
            _span.device_id.label("device"), _span.kind, _span.cause, _span.is_staffed, _span.staffed_basis.label("basis"), _span.start_minute,
            _span.end_minute, _span.scanning_minutes, _span.overlap_minutes, _span.exams, _span.exam_key, _span.reason, _exam.room_basis,
            dim_procedure.c.procedure_text.label("procedure"),
        )
        .select_from(source)
        .where(reading.filters.over(day, day).clauses(fact_device_span, reading.scope))
        .order_by(_span.device_id, _span.start_minute)
    )  # fmt: skip
    return reading.star.frame(query)


def day_slots(reading: Reading, day: date) -> pl.DataFrame:
    """The slots of a day by device and time: device, slot_at, time_zone, slot_minutes, outcome, exam_key, procedure."""
    source = (
        fact_appointment.join(dim_device, _slot.device_key == dim_device.c.device_key)
        .join(dim_site, _slot.site_key == dim_site.c.site_key)
        .join(dim_procedure, _slot.procedure_key == dim_procedure.c.procedure_key)
    )
    query = (
        select(
            dim_device.c.device_id.label("device"), _slot.slot_at, dim_site.c.time_zone, _slot.slot_minutes, _slot.outcome, _slot.exam_key,
            dim_procedure.c.procedure_text.label("procedure"),
        )
        .select_from(source)
        .where(reading.filters.over(day, day).clauses(fact_appointment, reading.scope), _slot.outcome.in_((*DUE, "open")), _slot.device_key != 0)
        .order_by(dim_device.c.device_id, _slot.slot_at)
    )  # fmt: skip
    return reading.star.frame(query)
