"""Rows of exams; the reader's scope is in every query."""

from __future__ import annotations

from typing import Any

import polars as pl
from sqlalchemy import Select, Table, func, select

from dashboards._shell.reading import Reading
from warehouse.filters import exam_clause, visible_exam
from warehouse.measures.measure import minutes_between
from warehouse.measures.turnaround import UNREAD
from warehouse.schema import (
    dim_department,
    dim_device,
    dim_procedure,
    dim_protocol,
    dim_site,
    fact_exam,
    fact_exam_event,
    fact_irradiation_event,
    fact_series,
)

PAGE_ROWS = 100
_exam = fact_exam.c
_report = minutes_between(_exam.ended_at, _exam.final_at)
SORTS = {
    "newest": _exam.started_at.desc().nulls_last(),
    "oldest": _exam.started_at.asc().nulls_last(),
    "slowest": _report.desc().nulls_last(),
    "longest": _exam.machine_minutes.desc().nulls_last(),
}
SORT_NAMES = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "slowest": "Slowest report first",
    "longest": "Longest on the scanner first",
}


def _source() -> Any:
    return (
        fact_exam.join(dim_site, _exam.site_key == dim_site.c.site_key).join(dim_device, _exam.device_key == dim_device.c.device_key)
        .join(dim_procedure, _exam.procedure_key == dim_procedure.c.procedure_key)
    )  # fmt: skip


def _kept(reading: Reading, query: Select[Any]) -> Select[Any]:
    """The filters, and what a chart adds: exams with dose only, or unread ones only."""
    query = query.where(reading.filters.clauses(fact_exam, reading.scope))
    if reading.extra.get("dose") == "1":
        query = query.where(_exam.has_dose_report)
    if reading.extra.get("unread") == "1":
        query = query.where(UNREAD)
    return query


def exam_count(reading: Reading) -> int:
    """How many exams the filters keep."""
    return int(reading.star.frame(_kept(reading, select(func.count().label("n")).select_from(fact_exam)))["n"][0])


def exam_rows(reading: Reading, page: int, sort: str) -> pl.DataFrame:
    """One page of exams, in order."""
    columns = (
        _exam.exam_key, _exam.exam_id, _exam.local_day, _exam.started_at, _exam.modality, dim_procedure.c.procedure_text, dim_site.c.site_name, dim_device.c.device_name, _exam.patient_class, _exam.state,
        _exam.machine_minutes, _report.label("report_minutes"), _exam.flags,
    )  # fmt: skip
    query = _kept(reading, select(*columns).select_from(_source())).order_by(
        SORTS.get(sort, SORTS["newest"]), _exam.exam_key
    )
    return reading.star.frame(query.limit(PAGE_ROWS).offset((page - 1) * PAGE_ROWS))


def one_exam(reading: Reading, exam_key: int) -> dict[str, Any] | None:
    """One exam with the names of its dimensions; None where the scope does not open it."""
    source = (
        _source()
        .join(dim_protocol, _exam.protocol_key == dim_protocol.c.protocol_key)
        .join(dim_department, _exam.department_key == dim_department.c.department_key)
    )
    names = (
        dim_site.c.site_name,
        dim_site.c.time_zone,
        dim_device.c.device_name,
        dim_device.c.model,
        dim_device.c.software,
        dim_procedure.c.procedure_text,
        dim_procedure.c.procedure_code,
        dim_protocol.c.protocol_name,
        dim_department.c.department_name,
    )
    frame = reading.star.frame(
        select(*_exam, *names).select_from(source).where(_exam.exam_key == exam_key, exam_clause(reading.scope))
    )
    return None if frame.is_empty() else frame.row(0, named=True)


def exam_parts(reading: Reading, fact: Table, exam_key: int) -> pl.DataFrame:
    """The rows of another fact that belong to one exam."""
    order = {
        fact_exam_event: (fact_exam_event.c.event_at, fact_exam_event.c.is_chosen.desc(), fact_exam_event.c.source),
        fact_series: (fact_series.c.started_at, fact_series.c.series_uid),
        fact_irradiation_event: (fact_irradiation_event.c.started_at, fact_irradiation_event.c.event_number),
    }
    return reading.star.frame(
        select(fact).where(fact.c.exam_key.in_(visible_exam(exam_key, reading.scope))).order_by(*order[fact])
    )
