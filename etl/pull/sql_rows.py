"""Rows of a database as a Parquet file that the extract reader takes, whatever the driver's types.

A row must look the same in every file that it comes in, because it is told from its repeats by its content: so numbers
are written as text in one form each, and only times keep their type.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from etl.sources.extract.tables import EXTRACT_KEY

_LOCAL = pyarrow.timestamp("us")
_INSTANT = pyarrow.timestamp("us", tz="UTC")


def write_rows(file: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]], extract: str) -> None:
    """Writes rows with the name of the `[[extracts]]` entry that maps them."""
    arrays = [_array([row[place] for row in rows]) for place in range(len(columns))]
    schema = pyarrow.schema(
        [pyarrow.field(name, array.type) for name, array in zip(columns, arrays, strict=True)],
        metadata={EXTRACT_KEY: extract.encode()},
    )
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), file)


def _array(values: list[Any]) -> Any:
    """A column of times where all values are of one kind of time, else of text."""
    present = [value for value in values if value is not None]
    try:
        if present and all(isinstance(value, datetime) for value in present):
            if all(value.tzinfo is None for value in present):
                return pyarrow.array(values, _LOCAL)
            if all(value.tzinfo is not None for value in present):
                return pyarrow.array([None if value is None else value.astimezone(UTC) for value in values], _INSTANT)
        if present and all(type(value) is date for value in present):
            return pyarrow.array(values, pyarrow.date32())
    except (OverflowError, pyarrow.ArrowException):
        pass  # a sentinel at the end of the calendar: the reader says of its text that no such time is plausible
    return pyarrow.array([_text(value) for value in values], pyarrow.string())


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, Decimal) and value.is_finite():
        plain = format(value or abs(value), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=str, sort_keys=True)
    return str(value).encode("utf-8", "backslashreplace").decode()
