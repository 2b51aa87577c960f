"""`rebuild`: the star again, from the lake alone."""

from __future__ import annotations

import argparse
import time
from typing import Any

from etl.commands.command import Command, Say, open_home, store_errors
from etl.lake.store import Lake
from etl.star.build import StarBuilder
from etl.star.decided import Decided
from etl.star.index import LakeIndex
from settings import Settings


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", action="store_true", help="make the lake's index again too")


def _run(options: argparse.Namespace, settings: Settings, say: Say) -> tuple[int, Any, str]:
    began = time.monotonic()
    with store_errors(settings):
        home = open_home(settings)
        lake = Lake(home.lake)
        with lake.locked():
            lake.recover()
            index = LakeIndex(lake)
            if options.index:
                index.close()
                index.drop()
                index = LakeIndex(lake)
            try:
                index.catch_up()
                publication = StarBuilder(lake, index, home.star, settings, say, Decided.of(home)).publish(
                    everything=True
                )
            finally:
                index.close()
    assert publication is not None
    rows = {name: version.rows for name, version in publication.tables.items()}
    seconds = round(time.monotonic() - began, 3)
    return (
        0,
        {"publication": publication.id, "rows": rows, "seconds": seconds},
        f"publication {publication.id}: {rows['fact_exam']:,} exams, {seconds:.1f} s",
    )


COMMAND = Command(
    "rebuild",
    "derive the whole star from the lake again",
    _arguments,
    _run,
    5,
    "Nothing is lost by it: the star is a function of the lake, the configuration and people's mappings. Needed after the configuration of sites or matching changed.",
)
