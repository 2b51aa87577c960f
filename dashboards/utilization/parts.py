"""What the utilization pages share: their names, their scanners, their tables, and what a limited reader is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl
from dash.development.base_component import Component

from dashboards._shell import urls
from dashboards._shell.cards import Empty
from dashboards._shell.reading import Reading
from dashboards._shell.tables import Column, Row, Table

PAGES = (
    (urls.UTILIZATION, "Use"),
    (urls.UTILIZATION_APPOINTMENTS, "Appointments"),
    (urls.UTILIZATION_WAITING, "Waiting list"),
    (urls.UTILIZATION_LOST, "Lost time"),
    (urls.UTILIZATION_VOLUME, "Volume"),
    (urls.UTILIZATION_PLAN, "Plan"),
    (urls.UTILIZATION_DAY, "Day board"),
)
CAUSES = {
    "unfilled": "Unfilled", "early_end": "Early end", "turnover": "Turnover", "late_start": "Late start", "no_show": "No-show",
    "late_cancel": "Late cancellation", "unplanned_down": "Downtime",
}  # fmt: skip
"""Causes of lost staffed time, as people say them."""
BASES = {"calendar": "calendar", "configuration": "configured", "inferred": "inferred", "none": "none"}
FEW = 20
"""Fewer exams or slots say little about a group."""


def spoken(cause: str) -> str:
    """A cause inside a sentence."""
    words = {
        "unfilled": "time that nobody booked",
        "early_end": "early ends",
        "late_start": "late starts",
        "no_show": "no-shows",
        "late_cancel": "late cancellations",
    }
    return words.get(cause, CAUSES.get(cause, cause).lower())


def chosen(reading: Reading, key: str, among: Sequence[str] | Mapping[str, str], default: str) -> str:
    """What the address chooses under a key, or the default where it names nothing that there is."""
    asked = reading.extra.get(key, default)
    return asked if asked in among else default


def table(columns: Sequence[Column], frame: pl.DataFrame, reading: Reading) -> Table:
    """A table on the clock of the reading, small counts withheld."""
    return Table(tuple(columns), frame, reading.scope.small_count, reading.zone)


def rows_frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as a frame whose types are looked for in all of them."""
    return pl.DataFrame(list(rows), infer_schema_length=None)


def with_devices(frame: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    """The frame with the `name`, `modality` and `site_name` of its `device`; devices outside the scope are left out."""
    names = reading.names
    rows = [
        {
            "device": code, "name": name, "modality": names.device_modalities.get(code, ""),
            "site_name": names.sites.get(names.device_sites.get(code, ""), ""),
        }
        for code, name in names.devices.items()
    ]  # fmt: skip
    schema = {"device": pl.Utf8, "name": pl.Utf8, "modality": pl.Utf8, "site_name": pl.Utf8}
    known = pl.DataFrame(rows, schema=schema)
    kept = frame.drop("modality", "site_name", "name", strict=False)
    return kept.join(known, on="device", how="inner")


def device_column(reading: Reading, path: str = urls.UTILIZATION) -> Column:
    """A scanner's name that leads to a page narrowed to it."""

    def address(row: Row) -> str:
        return urls.page(path, reading.filters.narrowed(device=(row["device"],)))

    return Column("name", "Scanner", link=address)


def day_address(reading: Reading, day: date) -> str:
    """The day board of a day, with the filters that are chosen."""
    return urls.page(urls.UTILIZATION_DAY, reading.filters, day=day.isoformat())


def day_of(reading: Reading) -> date:
    """The day that the address names, else the last full day of the data."""
    try:
        return date.fromisoformat(reading.extra.get("day", ""))
    except ValueError:
        return reading.as_of


def no_scanner_time(title: str, reading: Reading, what: str, *, is_wide: bool = False, controls: tuple[Component, ...] = ()) -> Empty:  # fmt: skip
    """Why a chart of scanner time is empty: the reader's departments, or nothing that fits the filters."""
    if reading.scope.departments is not None:
        reason = (
            "Scanner time is shown to readers of whole sites. Your access is limited to departments, and a scanner's idle "
            "time belongs to no department: what you may see of exams and appointments stands on the other pages."
        )
        return Empty(title, reason, "To your volume", is_wide=is_wide, controls=controls)
    reason = (
        f"{what}: {reading.sentence}. Staffed hours come from calendars, the configuration, or are inferred from use."
    )
    return Empty(title, reason, is_wide=is_wide, controls=controls)
