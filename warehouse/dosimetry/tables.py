"""Tables that doses are compared with: reference levels and conversion factors, shipped with a source or imported.

Shipped are only rows that were read in the publication named. Everything else a physicist imports from the original, as a
CSV with the columns below; a wrong cell is refused with its line, column and what to do, and then nothing is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import Any

import polars as pl

from warehouse import typed_csv
from warehouse.arrow import frame_schema
from warehouse.dosimetry.bands import AGE_BANDS, WEIGHT_BANDS
from warehouse.typed_csv import Shape, day, needed, one_of, or_empty, positive, text, year

REFERENCE_LEVELS, COEFFICIENTS, LEGAL_RULES, ACTIVITY_PLANS = (
    "reference_levels",
    "coefficients",
    "legal_rules",
    "activity_plans",
)
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
LEGAL_QUANTITIES = tuple(METRICS)
"""Figures of an exam that a legal rule can be about."""
MODALITIES = ("CT", "XA", "RF", "XR", "MG", "NM", "PT")


_SHAPES = {
    REFERENCE_LEVELS: Shape(
        {
            "authority": needed,
            "year": year,
            "population": needed,
            "age_band": or_empty(one_of(AGE_BANDS)),
            "weight_band": or_empty(one_of(WEIGHT_BANDS)),
            "modality": one_of(MODALITIES),
            "procedure_name": needed,
            "indication": text,
            "standard_code": text,
            "metric": one_of(METRICS),
            "level": positive,
            "percentile": text,
            "phantom": one_of(PHANTOMS),
            "source": needed,
            "valid_from": day,
            "valid_to": or_empty(day),
        },
        frozenset({"age_band", "weight_band", "indication", "standard_code", "percentile", "phantom", "valid_to"}),
    ),
    COEFFICIENTS: Shape(
        {
            "quantity": one_of(QUANTITIES),
            "region": text,
            "agent": lambda value: text(value).casefold(),
            "phantom": one_of(PHANTOMS),
            "age_band": one_of(AGE_BANDS),
            "factor": positive,
            "source": needed,
        },
        frozenset({"region", "agent", "phantom"}),
    ),
    LEGAL_RULES: Shape(
        {
            "authority": needed,
            "rule": needed,
            "modality": or_empty(one_of(MODALITIES)),
            "standard_code": text,
            "age_band": or_empty(one_of(AGE_BANDS)),
            "quantity": one_of(LEGAL_QUANTITIES),
            "threshold": positive,
            "severity": or_empty(one_of(("1", "2", "3"))),
            "valid_from": day,
            "valid_to": or_empty(day),
            "source": needed,
        },
        frozenset({"modality", "standard_code", "age_band", "severity", "valid_to"}),
    ),
    ACTIVITY_PLANS: Shape(
        {
            "agent": lambda value: needed(value).casefold(),
            "age_band": or_empty(one_of(AGE_BANDS)),
            "mbq_per_kg": positive,
            "least_mbq": or_empty(positive),
            "most_mbq": or_empty(positive),
            "tolerance_percent": positive,
            "source": needed,
        },
        frozenset({"age_band", "least_mbq", "most_mbq"}),
    ),
}
_UNIQUE = {
    COEFFICIENTS: (("quantity", "region", "agent", "phantom", "age_band"), "the factor of"),
    ACTIVITY_PLANS: (("agent", "age_band"), "the plan of"),
}
"""Columns of which a table may hold a combination once, and what it holds of it."""


def columns_of(kind: str) -> tuple[tuple[str, bool], ...]:
    """The columns of a kind of table, each with whether it must be there."""
    shape = _SHAPES[kind]
    return tuple((name, name not in shape.optional) for name in shape.columns)


def read_table(kind: str, content: str) -> list[dict[str, str]]:
    """The rows of an imported CSV, checked and in plain form.

    Args:
        kind: one of the kinds above.
        content: CSV with a header line, separated by commas, semicolons or tabs.

    Raises:
        TableError: line and column that are wrong, and what is expected.
    """
    rows = typed_csv.read(_SHAPES[kind], content)
    if kind in _UNIQUE:
        typed_csv.refuse_repeats(rows, *_UNIQUE[kind])
    return rows


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


def activity_plans(rows: Iterable[Mapping[str, str]]) -> pl.DataFrame:
    """Plans in the columns of `dim_activity_plan`; of the same agent and age band in two tables the later one holds."""
    bounds = ("mbq_per_kg", "least_mbq", "most_mbq", "tolerance_percent")
    made = [{**row, **{name: float(row[name]) if row[name] else None for name in bounds}} for row in rows]
    return _frame("dim_activity_plan", made).unique(["agent", "age_band"], keep="last", maintain_order=True)


def _frame(table: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=frame_schema(table), orient="row")


def _key(row: Mapping[str, str], origin: str) -> int:
    text = "\x1f".join([origin, *(f"{name}={row[name]}" for name in sorted(row))])
    return (int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1) or 1
