"""Rows that the dose pages need besides measures; the reader's scope is in every one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, and_, func, literal_column, select
from sqlalchemy.sql import FromClause

from dashboards._shell.reading import Reading
from warehouse.filters import exam_clause, visible_exam
from warehouse.measures import dose as population
from warehouse.measures.measure import percentile
from warehouse.schema import dim_device, dim_protocol, dim_site, fact_exam, fact_exam_dose, fact_irradiation_event

_event = fact_irradiation_event.c
_dose = fact_exam_dose.c
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Quantity:
    """One dose quantity that can be looked at."""

    name: str
    title: str
    unit: str
    fact: FromClause
    value: ColumnElement[Any]
    where: ColumnElement[bool]
    measure: str
    """Measure of the catalogue whose median it is."""
    event_column: str
    """Column of an event that ranks the highest ones."""
    of: str
    """What is counted: exams or events."""


QUANTITIES = {
    quantity.name: quantity
    for quantity in (
        Quantity("dlp", "CT dose length product", "mGy·cm", fact_exam_dose, _dose.dlp_mgycm, population.EXAMS_WITH_DLP, "dlp_p50", "dlp_mgycm", "exams"),
        Quantity("ctdivol", "CTDIvol, body phantom", "mGy", fact_irradiation_event, _event.ctdivol_mgy, population.EVENTS_WITH_BODY_CTDI, "ctdivol_p50", "ctdivol_mgy", "events"),
        Quantity("ctdivol_head", "CTDIvol, head phantom", "mGy", fact_irradiation_event, _event.ctdivol_mgy, population.EVENTS_WITH_HEAD_CTDI, "ctdivol_head_p50", "ctdivol_mgy", "events"),
        Quantity("dap", "Dose area product", "Gy·cm²", fact_exam_dose, _dose.headline_value, population.EXAMS_WITH_DAP, "dap_p50", "dap_gycm2", "exams"),
        Quantity("agd", "Average glandular dose", "mGy", fact_irradiation_event, _event.agd_mgy, population.EVENTS_WITH_AGD, "agd_p50", "agd_mgy", "events"),
    )
}  # fmt: skip


def _joined(fact: FromClause) -> FromClause:
    return fact.join(fact_exam, and_(fact.c.exam_key == fact_exam.c.exam_key, fact.c.month == fact_exam.c.month))


def spread_by_protocol_and_device(reading: Reading, quantity: Quantity) -> pl.DataFrame:
    """Quantiles and n by protocol and device, those with most first: `protocol, device, q0 … q4, n`."""
    fact = quantity.fact
    columns = [dim_protocol.c.protocol_key.label("protocol"), dim_device.c.device_id.label("device")]
    spans = [percentile(share, quantity.value).label(f"q{index}") for index, share in enumerate(QUANTILES)]
    source = (
        _joined(fact)
        .join(dim_protocol, fact.c.protocol_key == dim_protocol.c.protocol_key)
        .join(dim_device, fact.c.device_key == dim_device.c.device_key)
    )
    query = (
        select(*columns, *spans, func.count().label("n")).select_from(source)
        .where(reading.filters.clauses(fact, reading.scope), quantity.where, dim_protocol.c.protocol_key != 0)
        .group_by(*columns).order_by(literal_column("n").desc(), *columns)
    )  # fmt: skip
    return reading.star.frame(query)


def highest_events(reading: Reading, quantity: Quantity, limit: int = 25) -> pl.DataFrame:
    """The events with the most of a quantity, one row each."""
    value = _event[quantity.event_column]
    of_exam = and_(population.EVENTS_OF_PATIENTS, value > 0)
    of_quantity = quantity.where if quantity.fact is fact_irradiation_event else of_exam
    source = (
        _joined(fact_irradiation_event).join(dim_protocol, _event.protocol_key == dim_protocol.c.protocol_key)
        .join(dim_device, _event.device_key == dim_device.c.device_key).join(dim_site, _event.site_key == dim_site.c.site_key)
    )  # fmt: skip
    query = (
        select(_event.event_key, _event.exam_key, fact_exam.c.exam_id, _event.started_at, value.label("value"), dim_protocol.c.protocol_name, dim_device.c.device_name, dim_site.c.site_name, _event.is_disputed, _event.flags)
        .select_from(source).where(reading.filters.clauses(fact_irradiation_event, reading.scope), of_quantity).order_by(value.desc(), _event.event_key).limit(limit)
    )  # fmt: skip
    return reading.star.frame(query)


def one_event(reading: Reading, event_key: int) -> dict[str, Any] | None:
    """One irradiation event with its exam, device, protocol and site; None where the scope does not open it."""
    source = (
        _joined(fact_irradiation_event).join(dim_protocol, _event.protocol_key == dim_protocol.c.protocol_key)
        .join(dim_device, _event.device_key == dim_device.c.device_key).join(dim_site, _event.site_key == dim_site.c.site_key)
    )  # fmt: skip
    device = dim_device.c
    query = (
        select(*_event, fact_exam.c.exam_id, fact_exam.c.local_day, dim_protocol.c.protocol_name, device.device_id, device.device_name, device.manufacturer, device.model, device.software, dim_site.c.site_name, dim_site.c.time_zone)
        .select_from(source).where(_event.event_key == event_key, exam_clause(reading.scope))
    )  # fmt: skip
    frame = reading.star.frame(query)
    return None if frame.is_empty() else frame.row(0, named=True)


def exam_dose(reading: Reading, exam_key: int) -> dict[str, Any] | None:
    """The sums of an exam beside what its reports state."""
    frame = reading.star.frame(select(fact_exam_dose).where(_dose.exam_key.in_(visible_exam(exam_key, reading.scope))))
    return None if frame.is_empty() else frame.row(0, named=True)


def peers(reading: Reading, column: str, protocol_key: int) -> list[float]:
    """The same figure of patients' events of the same protocol over the last year, in order."""
    value = _event[column]
    everything = reading.filters.over(reading.as_of.replace(year=reading.as_of.year - 1), reading.as_of).narrowed(
        **dict.fromkeys(("site", "modality", "patient_class", "priority", "device", "procedure", "protocol"), ())
    )
    query = (
        select(value.label("value"))
        .select_from(_joined(fact_irradiation_event))
        .where(
            everything.clauses(fact_irradiation_event, reading.scope),
            population.EVENTS_OF_PATIENTS,
            _event.protocol_key == protocol_key,
            value > 0,
        )
        .order_by(value)
    )
    return [float(each) for each in reading.star.frame(query)["value"]]
