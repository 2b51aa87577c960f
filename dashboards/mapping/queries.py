"""Local procedures with how much they are used; the reader's scope is in every query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl
from sqlalchemy import func, select

from dashboards._shell.reading import Reading
from insights.procedures import Local, Target
from warehouse.filters import exam_clause
from warehouse.schema import dim_procedure, dim_protocol, fact_exam

VOLUME_DAYS = 90
"""Days before the end of the data over which procedures are counted."""
_exam, _procedure = fact_exam.c, dim_procedure.c


@dataclass(frozen=True)
class Used:
    """A local procedure, its volume and what it is mapped to in the star."""

    local: Local
    n: int
    """Exams in the last 90 days of the data."""
    status: str
    """unmapped, confirmed or rejected."""
    target: Target | None


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
        _text(row["procedure_code"]),
        _text(row["procedure_text"]),
        _text(row["modality"]),
        protocol,
        _text(row["stated_code"]),
        _text(row["stated_scheme"]),
    )
    code, scheme, name = (_text(row[f"standard_{part}"]) for part in ("code", "scheme", "name"))
    target = Target(code, scheme or "", name or code) if code else None
    return Used(local, int(str(row["n"])), _text(row["mapping_status"]) or "unmapped", target)


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "") else None


def coverage(found: list[Used]) -> tuple[float | None, int]:
    """Percent of exams, the rejected procedures left out, whose procedure is mapped; and the exams behind it."""
    frame = pl.DataFrame(
        [(one.n, one.status) for one in found if one.status != "rejected"],
        schema={"n": pl.Int64, "status": pl.Utf8},
        orient="row",
    )
    total = int(frame["n"].sum())
    mapped = int(frame.filter(pl.col("status") == "confirmed")["n"].sum())
    return (100 * mapped / total if total else None), total


def still_open(found: list[Used], decided: set[str]) -> list[Used]:
    """What is unmapped in the star and not decided since."""
    return [one for one in found if one.status == "unmapped" and str(one.local.key) not in decided]
