"""Durations of which some are still running: the Kaplan–Meier estimate, in SQL for measures and on frames for curves.

An exam that is unread when the data ends has waited at least so long. Leaving it out makes the newest days look best;
taking its wait for its turnaround makes them look worse than they are. The product-limit estimate (Kaplan and Meier,
J Am Stat Assoc 1958;53:457) takes it as waiting until observation ended, and as unknown from there on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from typing import Any

import polars as pl
from sqlalchemy import BigInteger, ColumnElement, Double, Select, case, cast, func, literal_column, select

from warehouse.filters import Filters
from warehouse.measures.measure import Query, broken_down, minutes_between
from warehouse.schema import fact_exam, fact_load_run
from warehouse.scope import Scope

_TOLERANCE = 1e-9
"""A survival of one half is 0.5000000001 after a thousand logarithms."""
_ALL_GONE = "-50.0"
"""Stands for the logarithm of 0: nobody is left."""


@dataclass(frozen=True)
class Duration:
    """A duration of exams that may still run."""

    minutes: ColumnElement[Any]
    """To its end, or to where observation ended."""
    is_over: ColumnElement[bool]
    """Whether the end was seen."""
    where: ColumnElement[bool]
    """Exams that have it."""


def data_time() -> ColumnElement[Any]:
    """The newest exam or report time of the publication, UTC: up to there it is known what had not happened yet.

    Times ahead of the last load come from a wrong clock and do not move it.
    """
    anything, run = fact_exam.alias("anything").c, fact_load_run.c
    loaded = select(func.max(func.coalesce(run.finished_at, run.started_at))).correlate(None).scalar_subquery()
    newest = func.greatest(*(func.max(anything[f"{name}_at"]) for name in ("arrived", "started", "ended", "final")))
    # LEAST and GREATEST pass over null in DuckDB and PostgreSQL alike.
    return select(func.least(newest, loaded)).correlate(None).scalar_subquery()


def minutes_waited(since: ColumnElement[Any], until: ColumnElement[Any]) -> ColumnElement[Any]:
    """Minutes from one time to another, 0 where the order of the two is impossible."""
    return func.greatest(literal_column("0.0"), minutes_between(since, until))


def observed(duration: Duration) -> Query:
    """A query of one row an exam: the breakdowns' columns, `minutes`, `is_over`."""

    def build(filters: Filters, scope: Scope, by: Sequence[str]) -> Select[Any]:
        columns, source = broken_down(fact_exam, fact_exam, by)
        minutes, is_over = cast(duration.minutes, Double).label("minutes"), duration.is_over.label("is_over")
        rows = select(*columns, minutes, is_over).select_from(source)
        return rows.where(filters.clauses(fact_exam, scope), duration.where)

    return build


def kaplan_meier_quantile(share: float, duration: Duration) -> Query:
    """A query of the least time by which that share is over; null where too many still run to tell.

    `n` counts the exams behind it, those still running among them.
    """

    def build(filters: Filters, scope: Scope, by: Sequence[str]) -> Select[Any]:
        rows = observed(duration)(filters, scope, by).cte("observed")
        ways = [rows.c[name] for name in by]
        ends = func.sum(case((rows.c.is_over, 1), else_=0)).label("ends")
        times = select(*ways, rows.c.minutes, ends, func.count().label("exams")).group_by(*ways, rows.c.minutes)
        at = times.cte("at").c
        ways = [at[name] for name in by]
        at_risk = func.sum(at.exams).over(partition_by=ways or None, order_by=at.minutes.desc()).label("at_risk")
        risk = select(*ways, at.minutes, at.ends, at.exams, at_risk).cte("risk").c
        ways = [risk[name] for name in by]
        left: ColumnElement[Any] = literal_column("1.0") - cast(risk.ends, Double) / cast(risk.at_risk, Double)
        step = case((risk.ends < risk.at_risk, func.ln(left)), else_=literal_column(_ALL_GONE))
        survival = func.exp(func.sum(step).over(partition_by=ways or None, order_by=risk.minutes)).label("survival")
        curve = select(*ways, risk.minutes, risk.exams, survival).cte("curve").c
        ways = [curve[name] for name in by]
        reached = curve.survival <= literal_column(str(1 - share + _TOLERANCE))
        value = func.min(curve.minutes).filter(reached).label("value")
        n = cast(func.coalesce(func.sum(curve.exams), 0), BigInteger).label("n")
        return select(*ways, value, n).group_by(*ways).order_by(*ways)

    return build


def curve(frame: pl.DataFrame, by: Sequence[str] = ()) -> pl.DataFrame:
    """The Kaplan–Meier curve of each group: `minutes`, `at_risk` just before, `ends` then, `survival` from then on.

    Args:
        frame: one row an exam with the columns of `by`, `minutes` and `is_over`, as `observed` gives.
    """
    times = frame.group_by(*by, "minutes").agg(ends=pl.col("is_over").sum(), exams=pl.len()).sort(*by, "minutes")
    at_risk = _within(pl.col("exams").cum_sum(reverse=True), by)
    with_risk = times.with_columns(at_risk=at_risk)
    survival = _within((1 - pl.col("ends") / pl.col("at_risk")).cum_prod(), by)
    return with_risk.select(*by, "minutes", "at_risk", "ends", survival=survival)


def quantile(curves: pl.DataFrame, share: float, by: Sequence[str] = ()) -> pl.DataFrame:
    """The least minutes by which that share is over: the columns of `by` and `value`, null where it is not reached."""
    reached = pl.col("minutes").filter(pl.col("survival") <= 1 - share + _TOLERANCE).min().alias("value")
    return curves.group_by(*by, maintain_order=True).agg(reached) if by else curves.select(reached)


def survival_at(curves: pl.DataFrame, minutes: Sequence[float], by: Sequence[str] = ()) -> pl.DataFrame:
    """Each curve at these times: the columns of `by`, `minutes`, `survival` then, `at_risk` then."""
    asked = pl.DataFrame({"minutes": sorted(minutes)}, schema={"minutes": pl.Float64})
    groups = curves.select(by).unique(maintain_order=True) if by else pl.DataFrame({"all": [0]})
    wanted = groups.join(asked, how="cross").sort("minutes")
    known = curves.sort("minutes")
    options: dict[str, Any] = {"on": "minutes", "by": list(by) or None, "check_sortedness": False}
    before = wanted.join_asof(known.select(*by, "minutes", "survival"), strategy="backward", **options)
    both = before.join_asof(known.select(*by, "minutes", "at_risk"), strategy="forward", **options)
    return both.select(*by, "minutes", pl.col("survival").fill_null(1.0), pl.col("at_risk").fill_null(0)).sort(
        *by, "minutes"
    )


def log_rank(frame: pl.DataFrame, group: str, first: Any, second: Any) -> tuple[float, float]:
    """Chi-square (1 degree of freedom) and p of the log-rank test (Mantel 1966) that two groups have one curve.

    Args:
        frame: as of `curve`, with the column `group`.
    """
    is_first, is_second = pl.col(group) == first, pl.col(group) == second
    times = (
        frame.filter(is_first | is_second)
        .group_by("minutes")
        .agg(
            ends=pl.col("is_over").sum(), exams=pl.len(),
            own_ends=pl.col("is_over").filter(is_first).sum(), own=is_first.sum(),
        )
        .sort("minutes")
        .with_columns(pl.col("exams", "own").cast(pl.Int64).cum_sum(reverse=True))
        .filter((pl.col("ends") > 0) & (pl.col("exams") > 1))
    )  # fmt: skip
    share = pl.col("own") / pl.col("exams")
    spread = pl.col("ends") * share * (1 - share) * (pl.col("exams") - pl.col("ends")) / (pl.col("exams") - 1)
    gap, variance = times.select(gap=(pl.col("own_ends") - pl.col("ends") * share).sum(), variance=spread.sum()).row(0)
    if not variance:
        return 0.0, 1.0
    chi_square = float(gap) ** 2 / float(variance)
    return chi_square, erfc(sqrt(chi_square / 2))


def _within(expression: pl.Expr, by: Sequence[str]) -> pl.Expr:
    return expression.over(*by) if by else expression
