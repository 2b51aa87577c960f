"""Local procedures with how much they are used; the reader's scope is in every query."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select

from dashboards._shell.reading import Reading
from dashboards.mapping.used import VOLUME_DAYS, Used, target_of, text
from insights.procedures import Local
from warehouse.filters import exam_clause
from warehouse.schema import dim_procedure, dim_protocol, fact_exam

_exam, _procedure = fact_exam.c, dim_procedure.c


def procedures(reading: Reading) -> list[Used]:
    """Every local procedure that the scope has exams of, the most used first."""
    recent = (_exam.local_day > reading.as_of - timedelta(days=VOLUME_DAYS)) & (_exam.local_day <= reading.as_of)
    volume = (
        select(_exam.procedure_key, func.count().filter(recent).label("n"))
        .where(exam_clause(reading.scope), _exam.is_performed, _exam.not_patient.is_(None))
        .group_by(_exam.procedure_key)
        .subquery()
    )
    query = (
        select(dim_procedure, volume.c.n)
        .select_from(dim_procedure.join(volume, volume.c.procedure_key == _procedure.procedure_key))
        .where(_procedure.procedure_key != 0)
        .order_by(volume.c.n.desc(), _procedure.procedure_text, _procedure.procedure_key)
    )
    protocols = _usual_protocols(reading)
    return [_used(row, protocols.get(row["procedure_key"])) for row in reading.star.frame(query).iter_rows(named=True)]


def _usual_protocols(reading: Reading) -> dict[int, str]:
    """The scanner protocol most often used for each procedure."""
    query = (
        select(_exam.procedure_key, dim_protocol.c.protocol_name, func.count().label("n"))
        .select_from(fact_exam.join(dim_protocol, _exam.protocol_key == dim_protocol.c.protocol_key))
        .where(
            exam_clause(reading.scope),
            _exam.protocol_key != 0,
            _exam.local_day > reading.as_of - timedelta(days=VOLUME_DAYS),
        )
        .group_by(_exam.procedure_key, dim_protocol.c.protocol_name)
    )
    frame = reading.star.frame(query).sort("n", "protocol_name", descending=[True, False])
    first = frame.unique("procedure_key", keep="first", maintain_order=True).drop_nulls("protocol_name")
    return dict(first.select("procedure_key", "protocol_name").iter_rows())


def _used(row: dict[str, object], protocol: str | None) -> Used:
    local = Local(
        int(str(row["procedure_key"])),
        text(row["procedure_code"]),
        text(row["procedure_text"]),
        text(row["modality"]),
        protocol,
        text(row["stated_code"]),
        text(row["stated_scheme"]),
    )
    return Used(local, int(str(row["n"])), text(row["mapping_status"]) or "unmapped", target_of(row))
