"""Folds instances and fragments of a series to one row: the same row however the series was split and in any order."""

from __future__ import annotations

import polars as pl

from etl.lake.schema import polars_schema

KEYS = ("study_uid", "series_uid", "accession", "patient")
"""A series under two accessions or patients stays two rows: which of them holds is for `etl/star` to decide."""

_EARLIEST = ("started_at", "study_at", "series_at", "step_started_at")
_LATEST = ("ended_at", "step_ended_at", "calibrated_on", "worklist_used")
_UNIONS = ("instances", "accessions", "flags")
_SUMS = ("frames", "bytes")
_NO_MONTH = "0000-00"


def fold_series(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a series of `rows`, which have the columns of the landing table `series` or some of them.

    Associative, commutative, and without effect on what is folded already. Times are the first and last of all rows,
    lists are united, frames and bytes added: the loader drops an input that came before, so no instance is added twice.
    All else is said by the row with the least `order_key`, the earliest instance.
    """
    schema = polars_schema("series")
    names = [name for name in schema if name in rows.columns]
    least = [name for name in ("order_key", "input_digest", "digest") if name in names]
    return (
        rows.lazy()
        .select(pl.col(name).cast(schema[name]) for name in names)
        .sort(least, nulls_last=True)
        .group_by([name for name in KEYS if name in names], maintain_order=True)
        .agg(_folded(name) for name in names if name not in KEYS)
        .select(names)
        .collect()
    )


def _folded(name: str) -> pl.Expr:
    column = pl.col(name)
    if name in _EARLIEST:
        return column.min()
    if name in _LATEST:
        return column.max()
    if name in _SUMS:
        return column.sum()
    if name in _UNIONS:
        return column.explode().drop_nulls().unique().sort()
    if name == "month":
        return column.filter(column != _NO_MONTH).min().fill_null(_NO_MONTH)
    return column.first()
