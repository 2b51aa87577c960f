"""Rows that the review pages need; the reader's scope is in every query."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
from sqlalchemy import and_, func, select

from dashboards._shell.reading import Reading
from warehouse.filters import exam_clause, visible_exam
from warehouse.schema import (
    dim_device,
    dim_dose_coefficient,
    dim_procedure,
    dim_protocol,
    dim_site,
    fact_dose_source,
    fact_exam,
    fact_exam_dose,
    fact_irradiation_event,
)

_exam, _dose, _event, _source = fact_exam.c, fact_exam_dose.c, fact_irradiation_event.c, fact_dose_source.c
_of_exam = and_(_dose.exam_key == _exam.exam_key, _dose.month == _exam.month)
HISTORY_DAYS = 5 * 365
"""How far back a patient's earlier exams are listed."""


def exams_with_dose(reading: Reading) -> int:
    """Exams of patients with dose within the filters."""
    query = (
        select(func.count())
        .select_from(fact_exam_dose.join(fact_exam, _of_exam))
        .where(reading.filters.clauses(fact_exam_dose, reading.scope), _dose.exposure_class == "patient")
    )
    return int(reading.star.frame(query).item())


def one_exam(reading: Reading, exam_key: int) -> dict[str, Any] | None:
    """An exam with its dose, device, protocol and procedure; None where the scope does not open it."""
    source = (
        fact_exam.outerjoin(fact_exam_dose, _of_exam)
        .join(dim_site, _exam.site_key == dim_site.c.site_key)
        .join(dim_device, _exam.device_key == dim_device.c.device_key)
        .join(dim_procedure, _exam.procedure_key == dim_procedure.c.procedure_key)
        .outerjoin(dim_protocol, _dose.protocol_key == dim_protocol.c.protocol_key)
    )
    dose = [column for column in _dose if column.name not in fact_exam.c] + [
        _dose.protocol_key.label("dose_protocol_key")
    ]
    query = (
        select(
            *_exam, *dose, dim_site.c.site_name, dim_site.c.time_zone, dim_device.c.device_id, dim_device.c.device_name,
            dim_device.c.manufacturer, dim_device.c.model, dim_device.c.software, dim_procedure.c.procedure_text,
            dim_protocol.c.protocol_name, dim_protocol.c.standard_name,
        ).select_from(source).where(_exam.exam_key == exam_key, exam_clause(reading.scope))
    )  # fmt: skip
    frame = reading.star.frame(query)
    return None if frame.is_empty() else frame.row(0, named=True)


def events_of(reading: Reading, exam_key: int) -> pl.DataFrame:
    """All events of an exam in the order in which they began."""
    query = (
        select(fact_irradiation_event, dim_protocol.c.protocol_name)
        .select_from(fact_irradiation_event.join(dim_protocol, _event.protocol_key == dim_protocol.c.protocol_key))
        .where(_event.exam_key.in_(visible_exam(exam_key, reading.scope)))
        .order_by(_event.started_at, _event.event_number, _event.event_key)
    )
    return reading.star.frame(query)


def factors(reading: Reading) -> pl.DataFrame:
    """Conversion factors that a physicist imported."""
    return reading.star.frame(select(dim_dose_coefficient))


def sources_of(reading: Reading, exam_key: int) -> pl.DataFrame:
    """Every object that states an event of an exam, the ones used first."""
    query = (
        select(fact_dose_source, _event.event_number)
        .select_from(fact_dose_source.join(fact_irradiation_event, _source.event_key == _event.event_key))
        .where(_source.exam_key.in_(visible_exam(exam_key, reading.scope)))
        .order_by(_event.event_number, _source.is_used.desc(), _source.object_at)
    )
    return reading.star.frame(query)


def patient_history(reading: Reading, exam: dict[str, Any]) -> pl.DataFrame:
    """The patient's exams with dose over five years to this exam, newest first; empty where the patient is not known."""
    if not exam["patient_key"]:
        return pl.DataFrame()
    day = exam["local_day"]
    query = (
        select(
            _exam.exam_key, _exam.exam_id, _exam.local_day, _exam.modality, dim_procedure.c.procedure_text,
            _dose.headline_value, _dose.headline_unit, _dose.dlp_mgycm, _dose.rp_exam_mgy, _dose.rp_comparable,
        )
        .select_from(
            fact_exam.join(fact_exam_dose, _of_exam).join(
                dim_procedure, _exam.procedure_key == dim_procedure.c.procedure_key
            )
        )
        .where(
            exam_clause(reading.scope),
            _exam.patient_key == exam["patient_key"],
            _exam.local_day > day - timedelta(days=HISTORY_DAYS),
            _dose.exposure_class == "patient",
        )
        .order_by(_exam.local_day.desc(), _exam.exam_key)
    )  # fmt: skip
    return reading.star.frame(query)


def peers(reading: Reading, exam: dict[str, Any], column: str) -> pl.DataFrame:
    """The same quantity of other patients' exams of the protocol and age band over the year before: `exam_key, size_cm, value, device_id`."""
    day = exam["local_day"]
    value = _dose[column]
    query = (
        select(
            _exam.exam_key, _exam.exam_id, _dose.size_cm, _dose.weight_kg, value.label("value"), dim_device.c.device_id
        )
        .select_from(
            fact_exam_dose.join(fact_exam, _of_exam).join(dim_device, _dose.device_key == dim_device.c.device_key)
        )
        .where(
            exam_clause(reading.scope),
            _dose.protocol_key == exam["dose_protocol_key"],
            _dose.age_band.is_not_distinct_from(exam["age_band"]),
            _dose.exposure_class == "patient",
            value > 0,
            _exam.local_day > day - timedelta(days=365),
            _exam.local_day <= day,
        )
        .order_by(_exam.exam_key)
    )
    return reading.star.frame(query)


def suspected(reading: Reading, limit: int = 40) -> pl.DataFrame:
    """Exams that a hint calls a phantom or test, and nobody decided yet, newest first."""
    query = (
        select(
            _exam.exam_key, _exam.exam_id, _exam.local_day, _exam.modality, dim_site.c.site_name,
            dim_device.c.device_name, dim_protocol.c.protocol_name, _dose.class_reason,
        )
        .select_from(
            fact_exam_dose.join(fact_exam, _of_exam)
            .join(dim_site, _exam.site_key == dim_site.c.site_key)
            .join(dim_device, _exam.device_key == dim_device.c.device_key)
            .join(dim_protocol, _dose.protocol_key == dim_protocol.c.protocol_key)
        )
        .where(exam_clause(reading.scope), _dose.exposure_class == "suspected")
        .order_by(_exam.local_day.desc(), _exam.exam_key)
        .limit(limit)
    )  # fmt: skip
    return reading.star.frame(query)
