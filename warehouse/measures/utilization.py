"""How well scanners and their staffed hours are used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, Select, and_, case, func, literal_column, select

from warehouse.filters import Filters, site_clause
from warehouse.measures.measure import Measure, over_exams, percentile
from warehouse.schema import dim_date, dim_device, dim_site, dim_staffed_hours, fact_exam
from warehouse.scope import Scope

_exam = fact_exam.c


def _staffed(filters: Filters, scope: Scope) -> CTE:
    """Staffed spans of each device and local day of the period; a device counts from the day it was first seen."""
    seen = (
        select(
            dim_device.c.device_id,
            func.max(dim_device.c.site_key).label("site_key"),
            func.max(dim_device.c.modality).label("modality"),
            func.min(dim_device.c.valid_from).label("since"),
        )
        .where(dim_device.c.modality.is_not(None))
        .group_by(dim_device.c.device_id)
        .cte("devices")
    )
    hours = dim_staffed_hours.c
    query = select(
        seen.c.device_id,
        seen.c.site_key,
        seen.c.modality,
        dim_date.c.day,
        dim_date.c.date_key,
        hours.opens_minute,
        hours.closes_minute,
    ).select_from(
        seen.join(dim_staffed_hours, and_(hours.site_key == seen.c.site_key, hours.modality == seen.c.modality)).join(
            dim_date,
            and_(
                dim_date.c.iso_weekday == hours.iso_weekday,
                dim_date.c.day >= filters.start,
                dim_date.c.day <= filters.end,
            ),
        )
    )
    query = query.where(
        dim_date.c.day >= func.date_trunc(literal_column("'day'"), seen.c.since), site_clause(seen.c.site_key, scope)
    )
    if filters.device:
        query = query.where(seen.c.device_id.in_(filters.device))
    if filters.modality:
        query = query.where(seen.c.modality.in_(filters.modality))
    if filters.site:
        query = query.where(
            seen.c.site_key.in_(select(dim_site.c.site_key).where(dim_site.c.site_code.in_(filters.site)))
        )
    return query.cte("staffed")


def _utilization(filters: Filters, scope: Scope, by: Sequence[str]) -> Select[Any]:
    """Room minutes inside staffed spans over all staffed minutes; a device-day without exams counts with zero."""
    staffed = _staffed(filters, scope)
    span = staffed.c
    start = _exam.local_start_minute
    inside = func.greatest(
        literal_column("0.0"),
        func.least(start + _exam.room_minutes, span.closes_minute) - func.greatest(start, span.opens_minute),
    )
    used = (
        select(span.device_id, span.day, span.opens_minute, func.sum(inside).label("used"), func.count().label("exams"))
        .select_from(
            staffed.join(dim_device, dim_device.c.device_id == span.device_id).join(
                fact_exam, and_(_exam.device_key == dim_device.c.device_key, _exam.local_day == span.day)
            )
        )
        .where(filters.clauses(fact_exam, scope), _exam.room_minutes.is_not(None))
        .group_by(span.device_id, span.day, span.opens_minute)
        .cte("used")
    )
    date = dim_date.alias("staffed_date")
    ways: dict[str, Any] = {
        "day": span.day,
        "week": date.c.week_starts_on,
        "month": date.c.month_starts_on,
        "weekday": date.c.iso_weekday,
        "site": dim_site.c.site_code,
        "device": span.device_id,
        "modality": span.modality,
    }
    unknown = [name for name in by if name not in ways]
    if unknown:
        raise ValueError(f"scanner_utilization cannot be split by {', '.join(unknown)}; it can by {', '.join(ways)}")
    columns = [ways[name].label(name) for name in by]
    minutes = func.sum(span.closes_minute - span.opens_minute)
    percent = literal_column("100.0") * func.sum(func.coalesce(used.c.used, literal_column("0.0"))) / minutes
    # LEAST passes over null, so days without staffed minutes are told apart first.
    value = case((minutes > 0, func.least(literal_column("100.0"), percent)))
    source = (
        staffed.join(date, date.c.date_key == span.date_key)
        .join(dim_site, dim_site.c.site_key == span.site_key)
        .outerjoin(
            used,
            and_(used.c.device_id == span.device_id, used.c.day == span.day, used.c.opens_minute == span.opens_minute),
        )
    )
    exams = func.coalesce(func.sum(used.c.exams), 0)
    return (
        select(
            *columns, value.label("value"), exams.label("n"), (minutes / literal_column("60.0")).label("staffed_hours")
        )
        .select_from(source)
        .group_by(*columns)
        .order_by(*columns)
    )


MEASURES = (
    Measure(
        "scanner_utilization",
        "Scanner utilization",
        "%",
        "neither",
        "Minutes of acquisition and of a configured patient change after it, inside staffed hours, divided by the scanner's staffed minutes. "
        "An acquisition that serves several exams counts once.",
        "First and last acquisition of image headers; staffed hours and change_minutes of the configuration (a model).",
        "Time outside staffed hours; devices and weekdays without staffed hours.",
        _utilization,
        minimum_n=20,
        notes="Downtime is not taken out of the staffed hours yet.",
    ),
    Measure(
        "exam_minutes_p50",
        "Scanner minutes per exam, median",
        "min",
        "neither",
        "Median of the minutes from first to last acquisition, pauses over 30 minutes left out.",
        "Acquisition times of ORIGINAL image headers.",
        "Reprocessed and secondary series; exams without acquisition times.",
        over_exams(percentile(0.5, _exam.machine_minutes), and_(_exam.machine_minutes > 0)),
        minimum_n=20,
        decimals=1,
    ),
    Measure(
        "evening_exams",
        "Exams from 17:00",
        "",
        "neither",
        "Exams that started at 17:00 or later, local time.",
        "Start of the exam.",
        "Exams without a start time.",
        over_exams(func.count(), and_(_exam.is_performed, _exam.time_key >= 17)),
        additive=True,
    ),
)
