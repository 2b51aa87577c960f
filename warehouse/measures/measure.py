"""What a measure is: one number defined once, with everything that "how is this computed?" says about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, extract, func, literal_column, select, true
from sqlalchemy.sql import FromClause

from warehouse.filters import OWN_FACTS, Filters
from warehouse.schema import (
    dim_date,
    dim_department,
    dim_device,
    dim_procedure,
    dim_protocol,
    dim_site,
    fact_appointment,
    fact_device_span,
    fact_exam,
)
from warehouse.scope import Scope

Direction = Literal["up", "down", "neither"]
"""Which way is good."""


@dataclass(frozen=True)
class Breakdown:
    """A way to split a measure: the column that is shown, and the dimension to join for it.

    A fact that has a column of that name itself is split by its own.
    """

    column: ColumnElement[Any]
    dimension: FromClause | None = None
    key: str | None = None
    """Column of the fact that joins the dimension; the dimension's key has the same name."""


BREAKDOWNS: dict[str, Breakdown] = {
    "day": Breakdown(fact_exam.c.local_day),
    "week": Breakdown(dim_date.c.week_starts_on, dim_date, "date_key"),
    "month": Breakdown(dim_date.c.month_starts_on, dim_date, "date_key"),
    "weekday": Breakdown(dim_date.c.iso_weekday, dim_date, "date_key"),
    "hour": Breakdown(fact_exam.c.time_key),
    "site": Breakdown(dim_site.c.site_code, dim_site, "site_key"),
    "device": Breakdown(dim_device.c.device_id, dim_device, "device_key"),
    "modality": Breakdown(fact_exam.c.modality),
    "patient_class": Breakdown(fact_exam.c.patient_class),
    "priority": Breakdown(fact_exam.c.priority),
    "section": Breakdown(fact_exam.c.section),
    "department": Breakdown(dim_department.c.department_name, dim_department, "department_key"),
    "state": Breakdown(fact_exam.c.state),
    "procedure": Breakdown(dim_procedure.c.procedure_key, dim_procedure, "procedure_key"),
    "protocol": Breakdown(dim_protocol.c.protocol_key, dim_protocol, "protocol_key"),
    "cause": Breakdown(fact_device_span.c.cause),
    "outcome": Breakdown(fact_appointment.c.outcome),
}
"""Names that `by` accepts; the answer has a column of the same name. No fact knows all of them (`broken_down`)."""


Query = Callable[[Filters, Scope, Sequence[str]], Select[Any]]


@dataclass(frozen=True)
class Measure:
    """One number: what it means, and the query that gives it."""

    name: str
    title: str
    unit: str
    """`min`, `%`, `mGy·cm`, … or empty for counts."""
    direction: Direction
    formula: str
    """In words, for a reader who knows the hospital and not the tables."""
    sources: str
    """Messages, tags and columns that it rests on."""
    exclusions: str
    query: Query
    """Select with the breakdowns' columns, then `value` and `n` (exams or events behind the value)."""
    minimum_n: int = 1
    """Below this the value is shown in grey with its n, and draws no conclusion."""
    version: int = 1
    permission: str = "view_utilization"
    """Who may ask: the page permission that it belongs to."""
    decimals: int = 0
    additive: bool = False
    """Whether values of parts add up to the whole."""
    notes: str = ""
    counts_patients: bool = True
    """Whether n counts exams of patients, so that small ones are withheld; false where it counts days of rooms."""


def minutes_between(start: ColumnElement[Any], end: ColumnElement[Any]) -> ColumnElement[Any]:
    """Minutes from one UTC column to another."""
    return extract("epoch", end - start) / literal_column("60.0")


def percentile(share: float, of: ColumnElement[Any]) -> ColumnElement[float]:
    """The exact percentile with linear interpolation (SQL's `percentile_cont`)."""
    return func.percentile_cont(literal_column(str(share))).within_group(of)


def share(part: ColumnElement[bool]) -> ColumnElement[Any]:
    """Percent of the rows for which the condition holds."""
    return literal_column("100.0") * func.count().filter(part) / func.nullif(func.count(), 0)


def over_exams(
    value: ColumnElement[Any], where: ColumnElement[bool] | None = None, n: ColumnElement[Any] | None = None
) -> Query:
    """A query that aggregates exams."""
    return over(fact_exam, value, where, n)


def broken_down(
    fact: FromClause, source: FromClause, by: Sequence[str], owner: FromClause | None = None, keys: Sequence[str] = ()
) -> tuple[list[ColumnElement[Any]], FromClause]:
    """The breakdowns' columns, labelled with their names, and the source with the dimensions that they need.

    Args:
        fact: the table that is split.
        source: what is selected from; contains `fact`, and `owner`.
        owner: table that has the columns and keys which the fact lacks; the fact itself where absent.
        keys: dimension keys that the fact has of its own, although an owner has them too.

    Raises:
        ValueError: the fact does not know a breakdown.
    """
    owner = fact if owner is None else owner
    columns: list[ColumnElement[Any]] = []
    joined: set[str] = set()
    for name in by:
        way = BREAKDOWNS[name]
        table = fact if way.key in keys else owner
        own = getattr(way.column, "name", "")
        if own in table.c:
            columns.append(table.c[own].label(name))
            continue
        if way.dimension is None or way.key is None or way.key not in table.c:
            raise ValueError(f"this measure cannot be split by {name}")
        if way.key not in joined:
            source = source.join(way.dimension, table.c[way.key] == way.dimension.c[way.key])
            joined.add(way.key)
        columns.append(way.column.label(name))
    return columns, source


def over(
    fact: FromClause,
    value: ColumnElement[Any],
    where: ColumnElement[bool] | None = None,
    n: ColumnElement[Any] | None = None,
    keys: Sequence[str] = (),
) -> Query:
    """A query that aggregates one of `warehouse.filters.OWN_FACTS` by itself, any other fact with its exams.

    `keys` names dimension keys that the fact has of its own (an event's protocol rather than its exam's).
    """

    def build(filters: Filters, scope: Scope, by: Sequence[str]) -> Select[Any]:
        owner, source = fact, fact
        if fact not in OWN_FACTS:
            owner = fact_exam
            source = fact.join(
                fact_exam, and_(fact.c.exam_key == fact_exam.c.exam_key, fact.c.month == fact_exam.c.month)
            )
        columns, source = broken_down(fact, source, by, owner, keys)
        query = select(*columns, value.label("value"), (func.count() if n is None else n).label("n"))
        wanted = and_(filters.clauses(fact, scope), true() if where is None else where)
        return query.select_from(source).where(wanted).group_by(*columns).order_by(*columns)

    return build
