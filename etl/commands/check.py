"""`check`: every check of the star's tables on what is published."""

from __future__ import annotations

import argparse
from typing import Any

from etl.commands.command import STORE_UNUSABLE, Command, CommandError, Say, open_home, store_errors
from settings import Settings
from warehouse.arrow import CheckError, check, conform
from warehouse.engines import StarReader
from warehouse.schema import TABLES


def _run(_: argparse.Namespace, settings: Settings, say: Say) -> tuple[int, Any, str]:
    broken: list[str] = []
    with store_errors(settings):
        star = StarReader(open_home(settings).star).current()
        frames = {
            name: conform(name, star.frame(table.select())) for name, table in TABLES.items() if name.startswith("dim_")
        }
        for name, table in TABLES.items():
            say(f"checking {name}")
            try:
                check(name, frames.get(name, conform(name, star.frame(table.select()))), frames)
            except CheckError as error:
                broken.append(str(error))
    if broken:
        raise CommandError("\n".join(broken), STORE_UNUSABLE)
    return (
        0,
        {"publication": star.publication.id, "tables": len(TABLES), "ok": True},
        f"all {len(TABLES)} tables of publication {star.publication.id} pass their checks",
    )


COMMAND = Command("check", "run every check of the star's tables on what is published", lambda _: None, _run, 6)
