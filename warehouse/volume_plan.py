"""The volume plan: how many exams a site means to make of a modality in a month, as imported by people.

A month's exams are spread evenly over its days: a plan knows no weekdays, so it is compared over whole weeks or months.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Any

import polars as pl

from warehouse import typed_csv
from warehouse.arrow import frame_schema
from warehouse.typed_csv import Shape, TableError, count, month, one_of

COLUMNS = ("site", "modality", "month", "exams")


def read_plan(content: str, sites: Collection[str], modalities: Collection[str]) -> dict[str, list[dict[str, str]]]:
    """The rows of a plan as CSV, by year.

    Args:
        content: CSV with the columns `COLUMNS`.
        sites: site codes of the configuration.
        modalities: modalities that the star knows.

    Raises:
        TableError: line and column that are wrong, and what is expected; a year of which a site's modality lacks a month.
    """
    checks = (one_of(sorted(sites)), one_of(sorted(modalities)), month, count)
    rows = typed_csv.read(Shape(dict(zip(COLUMNS, checks, strict=True)), frozenset()), content)
    typed_csv.refuse_repeats(rows, COLUMNS[:3], "the plan of")
    years: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        years.setdefault(row["month"][:4], []).append(row)
    for year, some in years.items():
        _refuse_gaps(year, some)
    return years


def _refuse_gaps(year: str, rows: list[dict[str, str]]) -> None:
    """A month left out would read as a plan of none."""
    held: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        held.setdefault((row["site"], row["modality"]), set()).add(row["month"])
    for (site, modality), months in held.items():
        missing = next((name for number in range(1, 13) if (name := f"{year}-{number:02}") not in months), None)
        if missing:
            raise TableError(f"{site}, {modality}: the month {missing} is missing. Write 0 where none is planned.")


def planned_days(rows: Iterable[Mapping[str, str]], site_keys: Mapping[str, int]) -> pl.DataFrame:
    """The plan a day, in the columns of `fact_planned_volume`; sites that are no longer configured are left out.

    Args:
        rows: of `read_plan`; of a month that stands twice the later row holds.
        site_keys: `site_key` by site code.
    """
    standing = {(row["site"], row["modality"], row["month"]): int(row["exams"]) for row in rows}
    days = [
        day
        for (site, modality, month_name), exams in standing.items()
        if site in site_keys
        for day in _days(site_keys[site], modality, month_name, exams)
    ]
    return pl.DataFrame(days, schema=frame_schema("fact_planned_volume"), orient="row").sort(
        "site_key", "modality", "local_day"
    )


def _days(site_key: int, modality: str, month_name: str, exams: int) -> list[dict[str, Any]]:
    year, number = int(month_name[:4]), int(month_name[5:])
    length = monthrange(year, number)[1]
    return [
        {
            "month": month_name,
            "site_key": site_key,
            "modality": modality,
            "date_key": year * 10000 + number * 100 + day,
            "local_day": date(year, number, day),
            "planned_exams": exams / length,
        }
        for day in range(1, length + 1)
    ]
