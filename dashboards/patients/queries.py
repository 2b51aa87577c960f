"""A patient's exams with dose; the reader's scope is in every query."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
from sqlalchemy import and_, func, select

from dashboards._shell.reading import Reading
from warehouse.filters import exam_clause
from warehouse.schema import dim_patient, dim_procedure, dim_site, fact_exam, fact_exam_dose

LEAST_RECURRENT = 6
"""CT exams within five years from which a patient is listed: a choice of this program, to keep the list short."""
RECURRENT_DAYS = 5 * 365
MOST_LISTED = 100
_exam, _dose = fact_exam.c, fact_exam_dose.c
_of_exam = and_(_dose.exam_key == _exam.exam_key, _dose.month == _exam.month)


def asked(reading: Reading) -> int | None:
    """Key of the patient that the address names."""
    text = reading.extra.get("patient", "")
    return int(text) if text.lstrip("-").isdigit() else None


def key_of(reading: Reading, pseudonym: str) -> int | None:
    """Key of the patient with this pseudonym, where the scope has an exam of theirs."""
    query = (
        select(dim_patient.c.patient_key)
        .select_from(dim_patient.join(fact_exam, _exam.patient_key == dim_patient.c.patient_key))
        .where(dim_patient.c.patient_pseudonym == pseudonym, exam_clause(reading.scope))
        .limit(1)
    )
    frame = reading.star.frame(query)
    return None if frame.is_empty() else int(frame.item())


def exams_of(reading: Reading, patient_key: int) -> pl.DataFrame:
    """Exams with dose of a patient, newest first."""
    query = (
        select(
            _exam.exam_key, _exam.exam_id, _exam.local_day, _exam.modality, dim_procedure.c.procedure_text, dim_site.c.site_name,
            _dose.dlp_mgycm, _dose.ctdivol_max_mgy, _dose.dap_exam_gycm2, _dose.rp_exam_mgy, _dose.rp_comparable, _dose.agd_mgy, _dose.activity_mbq,
        )
        .select_from(
            fact_exam.join(fact_exam_dose, _of_exam)
            .join(dim_procedure, _exam.procedure_key == dim_procedure.c.procedure_key)
            .join(dim_site, _exam.site_key == dim_site.c.site_key)
        )
        .where(exam_clause(reading.scope), _exam.patient_key == patient_key, _dose.exposure_class == "patient")
        .order_by(_exam.local_day.desc(), _exam.exam_key)
    )  # fmt: skip
    return reading.star.frame(query)


def air_kerma_in_window(frame: pl.DataFrame, last: date, weeks: int) -> float | None:
    """Sum of comparable air kerma over the window in mGy; None where no exam of it states one."""
    within = frame.filter(
        (pl.col("local_day") > last - timedelta(weeks=weeks)) & pl.col("rp_comparable").fill_null(value=True)
    )
    values = within["rp_exam_mgy"].drop_nulls()
    return float(values.sum()) if values.len() else None


def recurrent_ct(reading: Reading) -> pl.DataFrame:
    """Patients with many CT exams, most first: `patient_key, who, age, exams, dlp_mgycm, last_day, procedures`."""
    last = reading.data_to.date()
    query = (
        select(
            _exam.patient_key,
            (last.year - func.max(dim_patient.c.birth_year)).label("age"),
            func.count().label("exams"),
            func.sum(_dose.dlp_mgycm).label("dlp_mgycm"),
            func.max(_exam.local_day).label("last_day"),
            func.min(dim_procedure.c.procedure_text).label("one"),
            func.count(dim_procedure.c.procedure_key.distinct()).label("kinds"),
        )
        .select_from(
            fact_exam.join(fact_exam_dose, _of_exam)
            .join(dim_patient, _exam.patient_key == dim_patient.c.patient_key)
            .join(dim_procedure, _exam.procedure_key == dim_procedure.c.procedure_key)
        )
        .where(
            exam_clause(reading.scope),
            _exam.patient_key != 0,
            _exam.modality == "CT",
            _dose.exposure_class == "patient",
            _exam.local_day > last - timedelta(days=RECURRENT_DAYS),
        )
        .group_by(_exam.patient_key)
        .having(func.count() >= LEAST_RECURRENT)
        .order_by(func.count().desc(), func.sum(_dose.dlp_mgycm).desc(), _exam.patient_key)
        .limit(MOST_LISTED)
    )
    frame = reading.star.frame(query)
    more = pl.col("kinds") - 1
    return frame.with_columns(
        who=pl.format("patient {}", (pl.int_range(pl.len()) + 1).cast(pl.Utf8)),
        procedures=pl.when(more > 0).then(pl.format("{} and {} more", "one", more)).otherwise("one"),
    )
