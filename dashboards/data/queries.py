"""Rows of loads and rejects; they belong to no exam, so the filters do not apply to them."""

from __future__ import annotations

import polars as pl
from sqlalchemy import func, literal, select, union_all

from warehouse.engines import Star
from warehouse.schema import TABLES, fact_load_run, fact_reject

_run = fact_load_run.c
_reject = fact_reject.c
COUNTS = ("offered", "accepted", "duplicate", "rejected", "not_applicable")


def runs(star: Star, limit: int = 50) -> pl.DataFrame:
    """Load runs over all kinds of source, newest first."""
    sums = [func.sum(_run[name]).label(name) for name in COUNTS]
    query = (
        select(_run.run_id, func.min(_run.started_at).label("started_at"), func.max(_run.finished_at).label("finished_at"), func.max(_run.seconds).label("seconds"), *sums)
        .group_by(_run.run_id).order_by(func.min(_run.started_at).desc(), _run.run_id).limit(limit)
    )  # fmt: skip
    return star.frame(query)


def by_source(star: Star) -> pl.DataFrame:
    """What each kind of source gave in all loads, the most first."""
    sums = [func.sum(_run[name]).label(name) for name in COUNTS]
    return star.frame(
        select(_run.source, *sums).group_by(_run.source).order_by(func.sum(_run.offered).desc(), _run.source)
    )


def table_rows(star: Star) -> pl.DataFrame:
    """Rows of each table of the star, the most first."""
    counts = [
        select(literal(name).label("table"), func.count().label("rows")).select_from(table)
        for name, table in TABLES.items()
    ]
    return star.frame(union_all(*counts)).sort("rows", "table", descending=[True, False])


def reject_reasons(star: Star) -> pl.DataFrame:
    """Open rejects by source and reason, the most first, with one remedy of them."""
    query = (
        select(_reject.source, _reject.reason, func.count().label("n"), func.min(_reject.remedy).label("remedy"), func.max(_reject.seen_at).label("seen_at"))
        .where(_reject.status == "open").group_by(_reject.source, _reject.reason).order_by(func.count().desc(), _reject.reason)
    )  # fmt: skip
    return star.frame(query)


def rejects(star: Star, limit: int = 500) -> pl.DataFrame:
    """Open rejects, newest first."""
    return star.frame(
        select(fact_reject)
        .where(_reject.status == "open")
        .order_by(_reject.seen_at.desc(), _reject.file, _reject.position)
        .limit(limit)
    )
