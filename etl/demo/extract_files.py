"""Nightly CSV extracts of billing and RIS, one file a site and day."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl

from etl.demo import messages as said
from etl.demo.history import History
from etl.demo.network import SITES

FORMAT = "%Y-%m-%d %H:%M:%S"


def write_extracts(history: History, folder: Path, since: datetime) -> int:
    """Writes the rows that were exported since a time; returns how many files."""
    folder.mkdir(parents=True, exist_ok=True)
    amount = pl.col("charge_amount").map_elements(lambda value: f"{value:.2f}", return_dtype=pl.Utf8)
    charges = said.charges(history).with_columns(amount=amount)
    times = said.reading_times(history)
    return _write(
        charges,
        "charges",
        "posted_at",
        since,
        folder,
        {
            "accession": "accession",
            "facility": "site",
            "posted_at": "posted_at",
            "code": "charge_code",
            "kind": "charge_kind",
            "amount": "amount",
            "payer": "payer",
        },
    ) + _write(
        times,
        "ris_times",
        "final",
        since,
        folder,
        {
            "accession": "accession",
            "facility": "site",
            "arrived_at": "arrived",
            "opened_at": "read_started",
            "communicated_at": "communicated",
            "final_at": "final",
        },
    )


def _write(frame: pl.DataFrame, name: str, at: str, since: datetime, folder: Path, header: dict[str, str]) -> int:
    """One file a site and local day of the export."""
    count = 0
    for site in SITES:
        mine = frame.filter((pl.col("site") == site.code) & (pl.col(at) >= since)).with_columns(
            day=pl.col(at).dt.convert_time_zone(site.zone_name).dt.date()
        )
        local = [
            pl.col(c).dt.convert_time_zone(site.zone_name).dt.strftime(FORMAT).alias(c)
            for c, kind in mine.schema.items()
            if isinstance(kind, pl.Datetime)
        ]
        for (day,), rows in mine.with_columns(local).group_by("day", maintain_order=True):
            rows.select(pl.col(column).alias(title) for title, column in header.items()).write_csv(
                folder / f"{name}_{site.code.lower()}_{day}.csv"
            )
            count += 1
    return count
