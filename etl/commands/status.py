"""`status`: what is published, how fresh each source is, what waits."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

import polars as pl

from etl.commands.command import Command, Say, open_home, store_errors
from etl.lake.store import Lake
from etl.star.loads import fact_load_run, fact_reject
from settings import Settings
from warehouse.publication import Publications


def _run(_: argparse.Namespace, settings: Settings, say: Say) -> tuple[int, Any, str]:
    del say
    with store_errors(settings):
        home = open_home(settings)
        lake = Lake(home.lake)
        publication = Publications(home.star).current()
        runs = fact_load_run(lake)
        open_rejects = fact_reject(lake).filter(pl.col("status") == "open").height
    answer: dict[str, Any] = {
        "data_directory": str(settings.data_directory),
        "organisation": settings.organisation,
        "sites": [site.code for site in settings.sites],
        "publication": publication.id if publication else None,
        "data_to": publication.data_to if publication else None,
        "rows": {name: version.rows for name, version in publication.tables.items()} if publication else {},
        "batches": lake.ledger.count(),
        "unfinished_batches": lake.ledger.pending(),
        "open_rejects": open_rejects,
        "sources": _sources(runs),
    }
    return 0, answer, _words(answer)


def _sources(runs: pl.DataFrame) -> dict[str, Any]:
    """Per kind of source: accepted inputs and newest event."""
    if runs.is_empty():
        return {}
    summed = (
        runs.group_by("source")
        .agg(
            pl.col("accepted").sum(),
            pl.col("rejected").sum(),
            pl.col("newest_event_at").max(),
            pl.col("started_at").max().alias("last_load_at"),
        )
        .sort("source")
    )
    return {row.pop("source"): row for row in summed.to_dicts()}


def _words(answer: dict[str, Any]) -> str:
    lines = [
        f"{answer['organisation']}: {answer['data_directory']}",
        f"publication {answer['publication'] or 'none yet'}, data to {answer['data_to'] or '–'}",
    ]
    for source, told in answer["sources"].items():
        newest = told["newest_event_at"]
        age = (
            f"newest event {(datetime.now(UTC) - newest).total_seconds() / 3600:,.1f} h ago"
            if newest
            else "no event time"
        )
        lines.append(f"  {source:<10} {told['accepted']:>10,} accepted, {told['rejected']:,} rejected, {age}")
    lines.append(f"{answer['open_rejects']:,} open rejects")
    if answer["unfinished_batches"]:
        lines.append(
            f"{len(answer['unfinished_batches'])} batches of a stopped load; the next load takes them out and reads their inputs again"
        )
    return "\n".join(lines)


COMMAND = Command("status", "what is published and how fresh it is", lambda _: None, _run, 3)
