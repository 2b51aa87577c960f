"""The exams that outliers are looked for in: one row an exam with its dose, its patient's size and what the scanner did."""

from __future__ import annotations

from datetime import date

import polars as pl
from sqlalchemy import and_, case, func, select

from warehouse.dose_groups import standard_code
from warehouse.engines import Star
from warehouse.schema import (
    dim_device,
    dim_procedure,
    dim_protocol,
    dim_site,
    fact_exam,
    fact_exam_dose,
    fact_irradiation_event,
)

_exam, _dose, _event = fact_exam.c, fact_exam_dose.c, fact_irradiation_event.c

QUANTITIES = {
    "ct": ("dlp_mgycm", "mGy·cm"),
    "projection": ("dap_gycm2", "Gy·cm²"),
    "mammography": ("agd_mgy", "mGy"),
    "administration": ("activity_mbq", "MBq"),
}
"""What an exam of each kind is compared by, and its unit."""
QUANTITY_WORDS = {
    "ctdivol_mgy": "CTDIvol",
    "dlp_mgycm": "DLP",
    "ssde_mgy": "size-specific dose",
    "dap_gycm2": "dose area product",
    "rp_air_kerma_mgy": "air kerma at the reference point",
    "agd_mgy": "average glandular dose",
    "activity_mbq": "activity",
    "fluoro_time_s": "fluoroscopy time",
    "age_years": "age",
}


def exam_rows(star: Star, first: date, last: date) -> pl.DataFrame:
    """Exams of patients with dose from `first` to `last`, in the order in which they began.

    Columns: keys and names of exam, site, device, protocol, procedure and patient; `age_band, weight_band, size_cm,
    weight_kg`; the figures; `value`, what the exam is compared by;
    `level`, what a protocol's level is judged by (for CT its output, apart from length); `projections` of a radiograph; `length_mm, phantoms, modulation, current_ratio,
    alert_ratio, notify_ratio` of its CT events, localizers left out.
    """
    query = (
        select(
            _exam.exam_key, _exam.exam_id, _exam.local_day, _exam.started_at, _exam.modality, _exam.patient_key, _exam.age_years, _exam.weight_kg,
            dim_site.c.site_code, dim_device.c.device_id, dim_device.c.device_name, dim_device.c.software,
            _dose.protocol_key, dim_protocol.c.protocol_name, _exam.procedure_key, dim_procedure.c.procedure_text, standard_code.label("standard_code"),
            _dose.dose_kind, _dose.age_band, _dose.weight_band, _dose.size_cm, _dose.size_method, _dose.acquisitions, _dose.events, _dose.repeats,
            _dose.dlp_mgycm, _dose.ctdivol_max_mgy.label("ctdivol_mgy"), _dose.ssde_max_mgy.label("ssde_mgy"), _dose.dap_exam_gycm2.label("dap_gycm2"),
            _dose.rp_exam_mgy.label("rp_air_kerma_mgy"), _dose.rp_comparable, _dose.agd_mgy, _dose.activity_mbq, _dose.fluoro_time_total_s.label("fluoro_time_s"), _dose.flags,
        )
        .select_from(
            fact_exam_dose.join(fact_exam, and_(_dose.exam_key == _exam.exam_key, _dose.month == _exam.month))
            .join(dim_site, _exam.site_key == dim_site.c.site_key).join(dim_device, _dose.device_key == dim_device.c.device_key)
            .join(dim_protocol, _dose.protocol_key == dim_protocol.c.protocol_key).join(dim_procedure, _exam.procedure_key == dim_procedure.c.procedure_key)
        )
        .where(_dose.exposure_class == "patient", _exam.not_patient.is_(None), _exam.local_day.between(first, last))
        .order_by(_exam.started_at, _exam.exam_key)
    )  # fmt: skip
    kind = pl.col("dose_kind")
    value = pl.coalesce(*(pl.when(kind == name).then(pl.col(column)) for name, (column, _) in QUANTITIES.items()))
    # The projections of a radiograph add up: exams are like each other if they have as many.
    projections = pl.when(pl.col("modality") == "XR").then("acquisitions").otherwise(0)
    level = pl.when(kind == "ct").then("ctdivol_mgy").otherwise(value)
    rows = star.frame(query).with_columns(
        value=pl.when(value > 0).then(value), level=pl.when(level > 0).then(level), projections=projections
    )
    return rows.join(_of_events(star, first, last), on="exam_key", how="left")


def _of_events(star: Star, first: date, last: date) -> pl.DataFrame:
    """What the CT events of each exam tell of how it was scanned."""
    scanned = case((_event.is_localizer, None), else_=1)
    mean_ma = func.coalesce(_event.tube_current_mean_ma, _event.tube_current_ma)
    ratio = _event.tube_current_max_ma / func.nullif(mean_ma, 0)
    alert = func.greatest(
        func.coalesce(_event.alert_dlp_forward_mgycm / func.nullif(_event.alert_dlp_mgycm, 0), 0),
        func.coalesce(_event.alert_ctdivol_forward_mgy / func.nullif(_event.alert_ctdivol_mgy, 0), 0),
    )
    notify = func.greatest(
        func.coalesce(_event.notify_dlp_forward_mgycm / func.nullif(_event.notify_dlp_mgycm, 0), 0),
        func.coalesce(_event.notify_ctdivol_forward_mgy / func.nullif(_event.notify_ctdivol_mgy, 0), 0),
    )
    query = (
        select(
            _event.exam_key,
            func.sum(_event.scan_length_mm * scanned).label("length_mm"),
            func.max(case((_event.is_localizer, None), else_=_event.ctdi_phantom)).label("phantom"),
            func.count(case((_event.is_localizer, None), else_=_event.ctdi_phantom).distinct()).label("phantoms"),
            func.max(case((_event.is_localizer, None), else_=_event.modulation)).label("modulation"),
            func.max(ratio * scanned).label("current_ratio"),
            func.max(alert).label("alert_ratio"),
            func.max(notify).label("notify_ratio"),
        )
        .select_from(
            fact_irradiation_event.join(fact_exam, and_(_event.exam_key == _exam.exam_key, _event.month == _exam.month))
        )
        .where(_event.event_kind == "ct", _exam.local_day.between(first, last))
        .group_by(_event.exam_key)
    )
    return star.frame(query)
