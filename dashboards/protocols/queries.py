"""How a protocol is run on each scanner; the reader's scope is in every query."""

from __future__ import annotations

import polars as pl
from sqlalchemy import and_, func, select

from dashboards._shell.reading import Reading
from warehouse.measures.measure import percentile
from warehouse.schema import dim_device, dim_expected_range, fact_exam, fact_irradiation_event

_event, _exam = fact_irradiation_event.c, fact_exam.c


def technique(reading: Reading, protocol_key: int) -> pl.DataFrame:
    """Median technique of a protocol's events by scanner, localizers left out."""

    def middle(name: str) -> object:
        return percentile(0.5, _event[name]).label(name)

    figures = ("kvp", "exposure_mas", "tube_current_mean_ma", "pitch", "scan_length_mm", "ctdivol_mgy")
    query = (
        select(
            dim_device.c.device_id,
            dim_device.c.device_name,
            func.count().label("events"),
            *(middle(name) for name in figures),
        )
        .select_from(
            fact_irradiation_event.join(
                fact_exam, and_(_event.exam_key == _exam.exam_key, _event.month == _exam.month)
            ).join(dim_device, _event.device_key == dim_device.c.device_key)
        )
        .where(
            reading.filters.clauses(fact_irradiation_event, reading.scope),
            _event.protocol_key == protocol_key,
            _event.is_localizer.is_(False),
        )
        .group_by(dim_device.c.device_id, dim_device.c.device_name)
        .order_by(dim_device.c.device_name)
    )
    return reading.star.frame(query)


def ranges(reading: Reading) -> pl.DataFrame:
    """Ranges that physicists set, by protocol, scanner and metric."""
    return reading.star.frame(select(dim_expected_range))
