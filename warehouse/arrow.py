"""The star's tables as Polars frames: types by column, and the checks that every publication passes."""

from __future__ import annotations

import polars as pl
from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Double, Integer, Numeric, Text

from warehouse.schema import TABLES

_TYPES: tuple[tuple[type, pl.DataType | type[pl.DataType]], ...] = (
    (BigInteger, pl.Int64),
    (Integer, pl.Int32),
    (Boolean, pl.Boolean),
    (DateTime, pl.Datetime("us", "UTC")),
    (Date, pl.Date),
    (Double, pl.Float64),
    (Numeric, pl.Decimal(18, 4)),
    (Text, pl.Utf8),
)


class CheckError(Exception):
    """Rows break a check of `warehouse/schema.py`; the message names table, column and an example."""


def polars_type(column: Column[object]) -> pl.DataType | type[pl.DataType]:
    """The Polars type of a star column."""
    return next(kind for sql, kind in _TYPES if isinstance(column.type, sql))


def frame_schema(table: str) -> dict[str, pl.DataType | type[pl.DataType]]:
    """Columns and types of a table, in order."""
    return {column.name: polars_type(column) for column in TABLES[table].columns}


def conform(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with exactly the table's columns and types, sorted by what is unique in it; absent columns are null."""
    shaped = frame.select(
        [
            (pl.col(name) if name in frame.columns else pl.lit(None)).cast(kind).alias(name)
            for name, kind in frame_schema(table).items()
        ]
    )
    return shaped.sort(TABLES[table].info["unique"], nulls_last=True)


def check(table: str, frame: pl.DataFrame, dimensions: dict[str, pl.DataFrame]) -> None:
    """Checks not null, unique, values, lower bounds and references.

    Raises:
        CheckError: the first check that fails.
    """
    schema = TABLES[table]
    unique = list(schema.info["unique"])
    repeated = frame.height - frame.select(unique).n_unique() if frame.height else 0
    if repeated:
        example = frame.filter(pl.struct(unique).is_duplicated()).head(1).select(unique).to_dicts()
        raise CheckError(f"{table}: {repeated} rows repeat {', '.join(unique)}, for example {example}")
    for column in schema.columns:
        values = frame[column.name]
        if not column.nullable and values.null_count():
            raise CheckError(f"{table}.{column.name}: {values.null_count()} rows have no value, and each must")
        allowed, low, target = column.info["values"], column.info["low"], column.info["references"]
        if allowed and not (odd := values.drop_nulls().filter(~values.drop_nulls().is_in(list(allowed)))).is_empty():
            raise CheckError(f"{table}.{column.name}: {odd[0]!r} is none of {', '.join(allowed)}")
        if low is not None and (values < low).any():
            raise CheckError(f"{table}.{column.name}: {values.min()!r} is below {low:g}")
        if target:
            dimension, key = target.split(".")
            if (
                dimension in dimensions
                and not (
                    lost := values.drop_nulls()
                    .unique()
                    .filter(~values.drop_nulls().unique().is_in(dimensions[dimension][key].implode()))
                ).is_empty()
            ):
                raise CheckError(f"{table}.{column.name}: {lost[0]} is not in {target}")
