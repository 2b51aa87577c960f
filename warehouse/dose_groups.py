"""Doses of exams in groups: by standard exam, protocol, device and band, with what levels say of them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from sqlalchemy import ColumnElement, and_, func, select, true

from warehouse.dosimetry.icrp135 import SMALLEST_BY_MODALITY, SMALLEST_SAMPLE, typical
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.schema import (
    dim_device,
    dim_procedure,
    dim_protocol,
    dim_reference_level,
    dim_site,
    fact_exam,
    fact_exam_dose,
)
from warehouse.scope import Scope

_exam, _dose = fact_exam.c, fact_exam_dose.c

METRICS: dict[str, tuple[str, str, str]] = {
    "dlp_mgycm": ("dlp_mgycm", "DLP", "mGy·cm"),
    "ctdivol_mgy": ("ctdivol_max_mgy", "CTDIvol, greatest of the exam", "mGy"),
    "ssde_mgy": ("ssde_max_mgy", "SSDE, greatest of the exam", "mGy"),
    "dap_gycm2": ("dap_exam_gycm2", "Dose area product", "Gy·cm²"),
    "rp_air_kerma_mgy": ("rp_exam_mgy", "Air kerma at the reference point", "mGy"),
    "fluoro_time_s": ("fluoro_time_total_s", "Fluoroscopy time", "s"),
    "agd_mgy": ("agd_mgy", "Average glandular dose, both breasts", "mGy"),
    "activity_mbq": ("activity_mbq", "Administered activity", "MBq"),
}
"""Metric to the column of `fact_exam_dose`, its name and unit."""
KIND_METRICS = {
    "CT": ("dlp_mgycm", "ctdivol_mgy", "ssde_mgy"),
    "XA": ("dap_gycm2", "rp_air_kerma_mgy", "fluoro_time_s"),
    "RF": ("dap_gycm2", "rp_air_kerma_mgy", "fluoro_time_s"),
    "XR": ("dap_gycm2",),
    "MG": ("agd_mgy",),
    "NM": ("activity_mbq",),
    "PT": ("activity_mbq",),
}
"""Modality to what its exams are compared by."""

standard_code = func.coalesce(dim_protocol.c.standard_code, dim_procedure.c.standard_code)
standard_name = func.coalesce(dim_protocol.c.standard_name, dim_procedure.c.standard_name)


def exam_values(
    star: Star, filters: Filters, scope: Scope, metric: str, where: ColumnElement[bool] | None = None
) -> pl.DataFrame:
    """Exams of patients with a metric above 0.

    Columns `exam_key, exam_id, local_day, modality, standard_code, standard_name, protocol_key, protocol_name, device_id,
    device_name, site_code, software, age_band, weight_band, size_cm, phantom, value`.
    """
    value = _dose[METRICS[metric][0]]
    chosen = [int(key) for key in filters.protocol if key.lstrip("-").isdigit()]
    of_protocol = _dose.protocol_key.in_(chosen) if chosen else true()  # the exam's own may be a localizer's
    query = (
        select(
            _exam.exam_key, _exam.exam_id, _exam.local_day, _exam.modality, standard_code.label("standard_code"), standard_name.label("standard_name"),
            _dose.protocol_key, dim_protocol.c.protocol_name, dim_device.c.device_id, dim_device.c.device_name, dim_device.c.software, dim_site.c.site_code,
            _dose.age_band, _dose.weight_band, _dose.size_cm, value.label("value"), _dose.dlp_head16_mgycm, _dose.dlp_body32_mgycm,
        )
        .select_from(
            fact_exam_dose.join(fact_exam, and_(_dose.exam_key == _exam.exam_key, _dose.month == _exam.month))
            .join(dim_protocol, _dose.protocol_key == dim_protocol.c.protocol_key).join(dim_procedure, _exam.procedure_key == dim_procedure.c.procedure_key)
            .join(dim_device, _dose.device_key == dim_device.c.device_key).join(dim_site, _exam.site_key == dim_site.c.site_key)
        )
        .where(filters.narrowed(protocol=()).clauses(fact_exam_dose, scope), of_protocol, _dose.exposure_class == "patient", value > 0, true() if where is None else where)
        .order_by(_exam.started_at, _exam.exam_key)
    )  # fmt: skip
    head, body = pl.col("dlp_head16_mgycm") > 0, pl.col("dlp_body32_mgycm") > 0
    phantom = (
        pl.when(head & body.fill_null(value=False))
        .then(pl.lit("both"))
        .when(head)
        .then(pl.lit("head16"))
        .when(body)
        .then(pl.lit("body32"))
    )
    return star.frame(query).with_columns(phantom=phantom).drop("dlp_head16_mgycm", "dlp_body32_mgycm")


def typical_values(values: pl.DataFrame, by: Sequence[str], smallest: int = SMALLEST_SAMPLE) -> pl.DataFrame:
    """Typical value of each group: `n`, and where the sample is large enough `median, p25, p75, p95, low, high`.

    Args:
        values: of `exam_values`.
        by: columns that make a group.
        smallest: exams that a typical value needs; more for mammography and fluoroscopy (ICRP 135).
    """
    rows = []
    for key, group in values.group_by(*by, "modality", maintain_order=True):
        needed = max(smallest, SMALLEST_BY_MODALITY.get(str(key[-1]), 0))
        found = typical(group["value"].to_numpy(), needed)
        figures = found._asdict() if found else {"n": group.height}
        rows.append(dict(zip((*by, "modality"), key, strict=True)) | figures | {"needed": needed})
    schema = {name: values.schema[name] for name in (*by, "modality")} | {
        "n": pl.Int64, "p25": pl.Float64, "median": pl.Float64, "p75": pl.Float64, "p95": pl.Float64, "low": pl.Float64, "high": pl.Float64, "needed": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row").sort("n", descending=True)


def levels(star: Star, metric: str) -> pl.DataFrame:
    """Reference levels of a metric that hold now, newest first."""
    query = (
        select(dim_reference_level)
        .where(dim_reference_level.c.metric == metric, dim_reference_level.c.valid_to.is_(None))
        .order_by(dim_reference_level.c.year.desc(), dim_reference_level.c.authority, dim_reference_level.c.level_key)
    )
    return star.frame(query)


def with_levels(typicals: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Typical values by standard exam beside the newest level for it: adds `level, authority, year, level_source, share`.

    Args:
        typicals: of `typical_values` with `standard_code` and `age_band` among its groups.
        known: of `levels`.
    """
    newest = known.filter(pl.col("standard_code").is_not_null()).unique(
        ["standard_code", "age_band"], keep="first", maintain_order=True
    )
    joined = typicals.join(
        newest.select("standard_code", "age_band", "level", "authority", "year", level_source="source"),
        on=["standard_code", "age_band"],
        how="left",
        nulls_equal=True,
    )
    return joined.with_columns(share=pl.col("median") / pl.col("level"))
