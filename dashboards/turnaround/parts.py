"""What the turnaround pages share: their names, their ways to split, their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from dashboards._shell import numbers, urls
from dashboards._shell.reading import Reading
from dashboards._shell.tables import Column, Table
from warehouse.measures import Measure, measure
from warehouse.measures.targets import within_target

MEDIAN, TAIL = "report_minutes_p50", "report_minutes_p90"
PAGES = (
    (urls.TURNAROUND, "How long"),
    (urls.TURNAROUND_WHY, "Where the time goes"),
    (urls.TURNAROUND_BOARD, "Unread now"),
    (urls.TURNAROUND_PATHS, "Paths and readers"),
)
SPLITS = {
    "modality": "Modality",
    "site": "Site",
    "patient_class": "Patient class",
    "priority": "Priority",
    "section": "Section",
}
FEW = 20
"""Fewer exams say little about a group."""


def chosen(reading: Reading, key: str, among: Sequence[str] | Mapping[str, str], default: str) -> str:
    """What the address chooses under a key, or the default where it names nothing that there is."""
    asked = reading.extra.get(key, default)
    return asked if asked in among else default


def target_measure(reading: Reading) -> Measure:
    """The share within the configured targets."""
    return within_target(reading.settings.turnaround.targets)


def named(frame: pl.DataFrame, way: str, reading: Reading) -> pl.DataFrame:
    """The frame with `part`, the breakdown's value as text, and `name`, what people call it."""
    names: Mapping[str, str] = reading.names.procedures if way == "procedure" else reading.names.all
    part = pl.col(way).cast(pl.Utf8)
    called = part.replace_strict(dict(names), default=part, return_dtype=pl.Utf8)
    return frame.with_columns(part=part, name=called.fill_null(f"No {SPLITS.get(way, way).lower()}"))


def split(reading: Reading, way: str) -> pl.DataFrame:
    """Median, tail, share within target and n by a breakdown, slowest first, with names.

    Parts whose median is not reached yet come first; those whose count is withheld are left out.
    """
    p50 = reading.frame(MEDIAN, way).filter(~pl.col("withheld") & (pl.col("n") > 0)).select(way, "value", "n")
    p90 = reading.frame(TAIL, way).select(way, p90="value")
    kept = reading.frame(target_measure(reading), way).select(way, in_target="value")
    joined = p50.join(p90, on=way, how="left", nulls_equal=True).join(kept, on=way, how="left", nulls_equal=True)
    return named(joined, way, reading).sort("value", descending=True, nulls_last=False)


def table(columns: Sequence[Column], frame: pl.DataFrame, reading: Reading) -> Table:
    """A table on the clock of the reading, small counts withheld."""
    return Table(tuple(columns), frame, reading.scope.small_count, reading.zone)


def reached(value: float | None) -> str:
    """A quantile in words, also where too many exams are still open to tell it."""
    return "not reached yet" if value is None else numbers.duration(value)


def explained(name: str) -> tuple[Measure, ...]:
    """Median and 90th percentile of an interval, for "How is this computed?"."""
    return measure(f"{name}_minutes_p50"), measure(f"{name}_minutes_p90")


def rows_frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as a frame whose types are looked for in all of them."""
    return pl.DataFrame(list(rows), infer_schema_length=None)
