"""Queries over the stretches of scanners' days (`fact_device_span`): what a measure of scanner time is made of.

Staffed time that has passed is in use, down as planned, or lost for a `cause`; staffed time still to come is idle without
one. So the time that was available is what was used or has a cause, and a period that reaches into the future counts none
of it as idle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, func, literal_column, or_, select, true
from sqlalchemy.sql import FromClause

from warehouse.filters import Filters
from warehouse.measures.measure import Query, broken_down
from warehouse.schema import dim_time, fact_device_span
from warehouse.scope import Scope

Columns = Any
"""The columns of the stretches, as `fact_device_span` names them."""
OfSpans = Callable[[Columns], ColumnElement[Any]]

MINUTES_PER_HOUR: ColumnElement[Any] = literal_column("60.0")
_SHARED = (
    "device_id",
    "device_key",
    "site_key",
    "modality",
    "date_key",
    "local_day",
    "kind",
    "is_staffed",
    "cause",
    "is_bookable",
)
_NOTHING: ColumnElement[Any] = literal_column("0.0")


def available(span: Columns) -> ColumnElement[bool]:
    """Staffed time that has passed and in which the scanner could have been used."""
    return and_(span.is_staffed, or_(span.kind == "in_use", span.cause.is_not(None)))


def staffed(span: Columns) -> ColumnElement[bool]:
    """Staffed time that has passed, planned downtime included; a closure is not staffed."""
    return or_(available(span), and_(span.is_staffed, span.kind == "planned_down"))


def used(span: Columns) -> ColumnElement[bool]:
    """Staffed time in which the room was taken."""
    return and_(span.is_staffed, span.kind == "in_use")


def idle(span: Columns) -> ColumnElement[bool]:
    """Staffed time that has passed with nobody in the room, turnover left out."""
    return and_(available(span), span.kind == "idle")


def total(column: ColumnElement[Any], where: ColumnElement[bool]) -> ColumnElement[Any]:
    """Sum of a column over the rows for which the condition holds, 0 where none does."""
    return func.coalesce(func.sum(column).filter(where), _NOTHING)


def percent(part: ColumnElement[Any], whole: ColumnElement[Any]) -> ColumnElement[Any]:
    """A part in percent of the whole; null where there is no whole."""
    return literal_column("100.0") * part / func.nullif(whole, _NOTHING)


def exams_in(span: Columns) -> ColumnElement[Any]:
    """Exams that began in staffed time."""
    return func.coalesce(func.sum(span.exams).filter(used(span)), 0)


def room_days(span: Columns) -> ColumnElement[Any]:
    """Days of rooms."""
    return func.count(func.distinct(func.concat(span.device_id, "|", span.local_day)))


def over_spans(value: OfSpans, n: OfSpans, where: OfSpans | None = None, **beside: OfSpans) -> Query:
    """A query that aggregates stretches; by hour each is shared among the hours that it touches.

    Args:
        value: aggregate of the stretches' columns.
        n: what the value rests on.
        where: stretches that count; all where absent.
        beside: further columns of the answer, by name.
    """

    def build(filters: Filters, scope: Scope, by: Sequence[str]) -> Select[Any]:
        spans = stretches(filters, scope, by)
        columns, source = broken_down(spans, spans, by)
        shown = [
            value(spans.c).label("value"),
            n(spans.c).label("n"),
            *(of(spans.c).label(name) for name, of in beside.items()),
        ]
        query = select(*columns, *shown).select_from(source).where(true() if where is None else where(spans.c))
        return query.group_by(*columns).order_by(*columns)

    return build


def stretches(filters: Filters, scope: Scope, by: Sequence[str]) -> Subquery:
    """The stretches inside filters and scope; split at full hours, with a `time_key`, where `by` asks for hours.

    Column besides those of the fact: `begins`, true for the part in which the stretch begins. Acquisition and overlap of a stretch that is split are spread over it evenly; its exams count where it begins.
    """
    span = fact_device_span.c
    source: FromClause = fact_device_span
    share: ColumnElement[Any] = literal_column("1.0")
    begins: ColumnElement[Any] = literal_column("true")
    hour: list[ColumnElement[Any]] = []
    if "hour" in by:
        opens, closes = dim_time.c.hour * MINUTES_PER_HOUR, (dim_time.c.hour + 1) * MINUTES_PER_HOUR
        source = fact_device_span.join(dim_time, and_(span.start_minute < closes, span.end_minute > opens))
        inside = func.least(span.end_minute, closes) - func.greatest(span.start_minute, opens)
        share, begins = inside / (span.end_minute - span.start_minute), span.start_minute >= opens
        hour = [dim_time.c.time_key]
    return (
        select(
            *(span[name] for name in _SHARED),
            *hour,
            span.start_minute,
            span.end_minute,
            begins.label("begins"),
            (span.minutes * share).label("minutes"),
            (span.scanning_minutes * share).label("scanning_minutes"),
            (span.overlap_minutes * share).label("overlap_minutes"),
            case((begins, span.exams), else_=0).label("exams"),
        )
        .select_from(source)
        .where(filters.clauses(fact_device_span, scope))
        .subquery("stretches")
    )


def over_gaps(value: OfSpans) -> Query:
    """A query that aggregates turnovers, with n as their number; each belongs to the hour in which it begins.

    `value` sees one row a gap between two uses of a day: `gap_minutes`, the missed slots inside it left out.
    """

    def build(filters: Filters, scope: Scope, by: Sequence[str]) -> Select[Any]:
        spans = stretches(filters, scope, by)
        of_day = (spans.c.device_id, spans.c.local_day)
        is_use = case((spans.c.kind == "in_use", 1), else_=0)
        uses = func.sum(is_use).over(partition_by=of_day, order_by=spans.c.start_minute)
        part = select(spans, uses.label("uses_before")).subquery("parts").c
        gap = (part.device_id, part.local_day, part.uses_before)
        first = func.min(part.start_minute).over(partition_by=gap)
        gaps = (
            select(
                *part,
                func.sum(part.minutes).over(partition_by=gap).label("gap_minutes"),
                and_(part.begins, part.start_minute == first).label("opens_gap"),
            )
            .where(part.kind == "turnover")
            .subquery("gaps")
        )
        columns, source = broken_down(gaps, gaps, by)
        query = select(*columns, value(gaps.c).label("value"), func.count().label("n")).select_from(source)
        return query.where(gaps.c.opens_gap).group_by(*columns).order_by(*columns)

    return build


def over_room_days(value: OfSpans, where: OfSpans) -> Query:
    """A query that aggregates days of rooms, with n as their number.

    `value` and `where` see one row a device and local day: `opens_minute` and `closes_minute` of its staffed time,
    `used_minutes` in it, `late_minutes` lost to a late first case, `overrun_minutes` of use after its last staffed minute.
    """

    def build(filters: Filters, scope: Scope, by: Sequence[str]) -> Select[Any]:
        spans = stretches(filters, scope, ())
        day = (spans.c.device_id, spans.c.site_key, spans.c.modality, spans.c.date_key, spans.c.local_day)
        closes = func.max(case((spans.c.is_staffed, spans.c.end_minute))).over(partition_by=day[:1] + day[4:])
        parts = select(spans, closes.label("closes_minute")).subquery("parts")
        part = parts.c
        after = and_(~part.is_staffed, part.kind == "in_use", part.start_minute >= part.closes_minute)
        days = (
            select(
                *(part[column.name] for column in day),
                func.min(part.start_minute).filter(part.is_staffed).label("opens_minute"),
                func.max(part.closes_minute).label("closes_minute"),
                total(part.minutes, used(part)).label("used_minutes"),
                total(part.minutes, part.cause == "late_start").label("late_minutes"),
                total(part.minutes, after).label("overrun_minutes"),
            )
            .group_by(*(part[column.name] for column in day))
            .subquery("room_days")
        )
        columns, source = broken_down(days, days, by)
        query = select(*columns, value(days.c).label("value"), func.count().label("n")).select_from(source)
        return query.where(where(days.c)).group_by(*columns).order_by(*columns)

    return build
