"""Scanner protocols with how much they are used; the reader's scope is in every query."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import and_, case, func, or_, select

from dashboards._shell.reading import Reading
from dashboards.mapping.used import VOLUME_DAYS, Used, target_of, text
from insights.procedures import Local
from warehouse.filters import exam_clause
from warehouse.schema import dim_procedure, dim_protocol, fact_exam, fact_exam_dose

_exam, _dose, _protocol = fact_exam.c, fact_exam_dose.c, dim_protocol.c


def protocols(reading: Reading) -> list[Used]:
    """Every protocol that the scope has doses of, the most used first.

    The procedure that it serves most helps to tell it; of a localizer alone it tells nothing.
    """
    recent = (_exam.local_day > reading.as_of - timedelta(days=VOLUME_DAYS)) & (_exam.local_day <= reading.as_of)
    of_exam = and_(_dose.exam_key == _exam.exam_key, _dose.month == _exam.month)
    was_scanned = or_(_dose.acquisitions > 0, _dose.events == 0)  # reports of totals alone have no events
    volume = (
        select(
            _dose.protocol_key,
            func.count().filter(recent).label("n"),
            func.mode(case((was_scanned, dim_procedure.c.procedure_text))).label("procedure_text"),
        )
        .select_from(
            fact_exam_dose.join(fact_exam, of_exam).join(
                dim_procedure, _exam.procedure_key == dim_procedure.c.procedure_key
            )
        )
        .where(exam_clause(reading.scope), _dose.exposure_class == "patient")
        .group_by(_dose.protocol_key)
        .subquery()
    )
    query = (
        select(dim_protocol, volume.c.n, volume.c.procedure_text)
        .select_from(dim_protocol.join(volume, volume.c.protocol_key == _protocol.protocol_key))
        .where(_protocol.protocol_key != 0)
        .order_by(volume.c.n.desc(), _protocol.protocol_name, _protocol.protocol_key)
    )
    return [_used(row) for row in reading.star.frame(query).iter_rows(named=True)]


def _used(row: dict[str, object]) -> Used:
    local = Local(
        int(str(row["protocol_key"])),
        None,
        text(row["protocol_name"]),
        text(row["modality"]),
        text(row["procedure_text"]),
    )
    return Used(local, int(str(row["n"])), text(row["mapping_status"]) or "unmapped", target_of(row))
