"""What a measure is: one number defined once, with everything that "how is this computed?" says about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, extract, func, literal_column, select, true
from sqlalchemy.sql import FromClause

from warehouse.filters import Filters
from warehouse.schema import dim_date, dim_device, dim_procedure, dim_protocol, dim_site, fact_exam
from warehouse.scope import Scope

Direction = Literal["up", "down", "neither"]
"""Which way is good."""


@dataclass(frozen=True)
class Breakdown:
    """A way to split a measure: the column that is shown, and the dimension to join for it."""

    column: ColumnElement[Any]
    dimension: FromClause | None = None
    key: str | None = None
    """Column of `fact_exam` that joins the dimension; the dimension's key has the same name."""


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
    "state": Breakdown(fact_exam.c.state),
    "procedure": Breakdown(dim_procedure.c.procedure_key, dim_procedure, "procedure_key"),
    "protocol": Breakdown(dim_protocol.c.protocol_key, dim_protocol, "protocol_key"),
}
"""Names that `by` accepts; the answer has a column of the same name."""

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


def over(
    fact: FromClause,
    value: ColumnElement[Any],
    where: ColumnElement[bool] | None = None,
    n: ColumnElement[Any] | None = None,
    keys: Sequence[str] = (),
) -> Query:
    """A query that aggregates a fact with its exams.

    `keys` names dimension keys that the fact has of its own (an event's protocol rather than its exam's).
    """

    def build(filters: Filters, scope: Scope, by: Sequence[str]) -> Select[Any]:
        columns = [BREAKDOWNS[name].column.label(name) for name in by]
        source: FromClause = (
            fact_exam
            if fact is fact_exam
            else fact.join(fact_exam, and_(fact.c.exam_key == fact_exam.c.exam_key, fact.c.month == fact_exam.c.month))
        )
        joined: set[str] = set()
        for name in by:
            way = BREAKDOWNS[name]
            if way.dimension is not None and way.key is not None and way.key not in joined:
                owner = fact if way.key in keys else fact_exam
                source = source.join(way.dimension, owner.c[way.key] == way.dimension.c[way.key])
                joined.add(way.key)
        conditions = filters.clauses(fact, scope)
        query = select(*columns, value.label("value"), (func.count() if n is None else n).label("n")).select_from(
            source
        )
        return query.where(conditions, true() if where is None else where).group_by(*columns).order_by(*columns)

    return build
