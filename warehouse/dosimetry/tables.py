"""Tables that doses are compared with: reference levels and conversion factors, shipped with a source or imported.

Shipped are only rows that were read in the publication named. Everything else a physicist imports from the original, as a
CSV with the columns below; a wrong cell is refused with its line, column and what to do, and then nothing is imported.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import Any

import polars as pl

from warehouse.arrow import frame_schema
from warehouse.dosimetry.bands import AGE_BANDS, WEIGHT_BANDS

REFERENCE_LEVELS, COEFFICIENTS = "reference_levels", "coefficients"
METRICS = {
    "ctdivol_mgy": "mGy",
    "dlp_mgycm": "mGy·cm",
    "dap_gycm2": "Gy·cm²",
    "rp_air_kerma_mgy": "mGy",
    "agd_mgy": "mGy",
    "activity_mbq": "MBq",
    "fluoro_time_s": "s",
}
"""What a level can be of, with the unit that it is written in."""
QUANTITIES = ("dlp_mgycm", "dap_gycm2", "activity_mbq")
PHANTOMS = ("", "head16", "body32")
MODALITIES = ("CT", "XA", "RF", "XR", "MG", "NM", "PT")
MOST_ROWS = 5000
MOST_TEXT = 300


class TableError(Exception):
    """An imported table that cannot be used; the message names line and column."""


def _text(value: str) -> str:
    if len(value) > MOST_TEXT:
        raise ValueError(f"at most {MOST_TEXT} characters")
    return value


def _needed(value: str) -> str:
    if not value:
        raise ValueError("may not be empty")
    return _text(value)


def _one_of(allowed: Iterable[str]) -> Callable[[str], str]:
    names = tuple(allowed)

    def check(value: str) -> str:
        if value not in names:
            raise ValueError(f"is {value!r}; allowed are {', '.join(name or 'empty' for name in names)}")
        return value

    return check


def _positive(value: str) -> str:
    """A decimal with point or comma, as a point decimal."""
    plain = value.replace(",", ".")
    try:
        number = float(plain)
    except ValueError:
        raise ValueError(f"is {value[:40]!r}; a number such as 660 or 8.5 is expected") from None
    if not (math.isfinite(number) and number > 0) or "_" in plain:
        raise ValueError(f"is {value[:40]!r}; a number above 0 is expected")
    return plain


def _year(value: str) -> str:
    if not (value.isascii() and value.isdigit() and 1980 <= int(value) <= 2100):
        raise ValueError(f"is {value[:40]!r}; a year such as 2022 is expected")
    return value


def _day(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError(f"is {value[:40]!r}; a day such as 2022-01-01 is expected") from None


def _or_empty(check: Callable[[str], str]) -> Callable[[str], str]:
    return lambda value: check(value) if value else ""


@dataclass(frozen=True)
class _Shape:
    """Columns of a kind of table with the check of each."""

    columns: Mapping[str, Callable[[str], str]]
    optional: frozenset[str]


_SHAPES = {
    REFERENCE_LEVELS: _Shape(
        {
            "authority": _needed,
            "year": _year,
            "population": _needed,
            "age_band": _or_empty(_one_of(AGE_BANDS)),
            "weight_band": _or_empty(_one_of(WEIGHT_BANDS)),
            "modality": _one_of(MODALITIES),
            "procedure_name": _needed,
            "indication": _text,
            "standard_code": _text,
            "metric": _one_of(METRICS),
            "level": _positive,
            "percentile": _text,
            "phantom": _one_of(PHANTOMS),
            "source": _needed,
            "valid_from": _day,
            "valid_to": _or_empty(_day),
        },
        frozenset({"age_band", "weight_band", "indication", "standard_code", "percentile", "phantom", "valid_to"}),
    ),
    COEFFICIENTS: _Shape(
        {
            "quantity": _one_of(QUANTITIES),
            "region": _text,
            "agent": lambda value: _text(value).casefold(),
            "phantom": _one_of(PHANTOMS),
            "age_band": _one_of(AGE_BANDS),
            "factor": _positive,
            "source": _needed,
        },
        frozenset({"region", "agent", "phantom"}),
    ),
}


def columns_of(kind: str) -> tuple[tuple[str, bool], ...]:
    """The columns of a kind of table, each with whether it must be there."""
    shape = _SHAPES[kind]
    return tuple((name, name not in shape.optional) for name in shape.columns)


def read_table(kind: str, content: str) -> list[dict[str, str]]:
    """The rows of an imported CSV, checked and in plain form.

    Args:
        kind: `reference_levels` or `coefficients`.
        content: CSV with a header line, separated by commas, semicolons or tabs.

    Raises:
        TableError: line and column that are wrong, and what is expected.
    """
    shape = _SHAPES[kind]
    lines = content.removeprefix("\ufeff")
    if not lines.strip():
        raise TableError("The file is empty. Its first line names the columns.")
    head = lines.lstrip().splitlines()[0]
    separator = max(",;\t", key=head.count)
    try:
        reader = csv.reader(io.StringIO(lines.lstrip()), delimiter=separator, strict=True)
        names = [name.strip().casefold() for name in next(reader)]
        _check_head(names, shape)
        rows = [_row(number, cells, names, shape) for number, cells in enumerate(reader, start=2) if any(cells)]
    except csv.Error as error:
        raise TableError(f"The file is no CSV: {error}. Save it as CSV (UTF-8) again.") from error
    if not rows:
        raise TableError("The file has a header and no row.")
    if len(rows) > MOST_ROWS:
        raise TableError(f"The file has {len(rows)} rows; at most {MOST_ROWS} are taken.")
    _check_repeats(kind, rows)
    return rows


def _check_head(names: list[str], shape: _Shape) -> None:
    missing = [name for name in shape.columns if name not in names and name not in shape.optional]
    if missing:
        raise TableError(f"Line 1: the column {missing[0]} is missing. Needed are: {', '.join(n for n in shape.columns if n not in shape.optional)}.")  # fmt: skip
    unknown = [name for name in names if name not in shape.columns]
    if unknown:
        raise TableError(f"Line 1: the column {unknown[0][:40]!r} is not known. Known are: {', '.join(shape.columns)}.")
    if len(set(names)) < len(names):
        raise TableError("Line 1: a column stands twice.")


def _row(number: int, cells: list[str], names: list[str], shape: _Shape) -> dict[str, str]:
    if len(cells) != len(names):
        raise TableError(f"Line {number}: {len(cells)} cells where the header has {len(names)} columns.")
    given = {name: " ".join(cell.split()) for name, cell in zip(names, cells, strict=True)}
    row = {}
    for name, check in shape.columns.items():
        try:
            row[name] = check(given.get(name, ""))
        except ValueError as error:
            raise TableError(f"Line {number}, column {name}: {error}.") from None
    return row


def _check_repeats(kind: str, rows: list[dict[str, str]]) -> None:
    if kind != COEFFICIENTS:
        return
    seen: set[tuple[str, ...]] = set()
    for number, row in enumerate(rows, start=2):
        key = tuple(row[name] for name in ("quantity", "region", "agent", "phantom", "age_band"))
        if key in seen:
            raise TableError(f"Line {number}: the factor of {', '.join(part or 'any' for part in key)} stands twice.")
        seen.add(key)


def shipped_reference_levels() -> pl.DataFrame:
    """The levels that come with the program, in the columns of `dim_reference_level`."""
    content = Path(__file__).with_name("reference_levels.csv").read_text(encoding="utf-8")
    return reference_levels(read_table(REFERENCE_LEVELS, content), "shipped")


def reference_levels(rows: Iterable[Mapping[str, str]], origin: str) -> pl.DataFrame:
    """Levels in the columns of `dim_reference_level`.

    Args:
        rows: of `read_table`.
        origin: shipped or imported.
    """
    made = [
        {
            **row,
            "level_key": _key(row, origin),
            "year": int(row["year"]),
            "age_band": row["age_band"] or None,
            "weight_band": row["weight_band"] or None,
            "indication": row["indication"] or None,
            "standard_code": row["standard_code"] or None,
            "unit": METRICS[row["metric"]],
            "level": float(row["level"]),
            "phantom": row["phantom"] or None,
            "valid_from": date.fromisoformat(row["valid_from"]),
            "valid_to": date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
            "origin": origin,
        }
        for row in rows
    ]
    return _frame("dim_reference_level", made).unique("level_key", keep="first", maintain_order=True)


def coefficients(rows: Iterable[Mapping[str, str]]) -> pl.DataFrame:
    """Factors in the columns of `dim_dose_coefficient`; of the same factor in two tables the later one holds."""
    made = [{**row, "factor": float(row["factor"])} for row in rows]
    unique = ["quantity", "region", "agent", "phantom", "age_band"]
    return _frame("dim_dose_coefficient", made).unique(unique, keep="last", maintain_order=True)


def _frame(table: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=frame_schema(table), orient="row")


def _key(row: Mapping[str, str], origin: str) -> int:
    text = "\x1f".join([origin, *(f"{name}={row[name]}" for name in sorted(row))])
    return (int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1) or 1
