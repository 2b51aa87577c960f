"""`verify`: whether the lake is what the ledger says, and the star what its publication says."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from etl.commands.command import STORE_UNUSABLE, Command, Say, open_home, store_errors
from etl.lake.store import Lake
from settings import Settings
from warehouse.publication import Publications


def _run(_: argparse.Namespace, settings: Settings, say: Say) -> tuple[int, Any, str]:
    with store_errors(settings):
        home = open_home(settings)
        lake = Lake(home.lake)
        say(f"comparing {lake.ledger.count():,} batches with the ledger")
        damage = lake.verify()
        publication = Publications(home.star).current()
        missing = (
            [file for table in publication.tables.values() for file in table.files if not (home.star / file).exists()]
            if publication
            else []
        )
    answer = {
        "batches": lake.ledger.count(),
        "damage": [asdict(item) for item in damage],
        "star_files_missing": missing,
        "ok": not damage and not missing,
    }
    lines = [f"{item.table}: {item.file} of batch {item.batch_id} is {item.what}" for item in damage]
    lines += [f"star: {file} is missing" for file in missing]
    if damage:
        lines.append("Restore the lake from your backup and offer the files of these batches again.")
    if missing:
        lines.append("Run `python -m etl rebuild`.")
    return (STORE_UNUSABLE if lines else 0), answer, "\n".join(lines) or "lake and star are whole"


COMMAND = Command("verify", "compare lake and star with their ledgers, file by file", lambda _: None, _run, 4)
