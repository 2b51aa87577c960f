"""`publish`: what changed in the lake, or was decided by people, into the star."""

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
    parser.add_argument(
        "--wait",
        type=float,
        default=600,
        metavar="SECONDS",
        help="how long to wait for a load to finish (default 600)",
    )


def _run(options: argparse.Namespace, settings: Settings, say: Say) -> tuple[int, Any, str]:
    began = time.monotonic()
    with store_errors(settings):
        home = open_home(settings)
        lake = Lake(home.lake)
        with lake.locked(options.wait):
            lake.recover()
            index = LakeIndex(lake)
            try:
                index.catch_up()
                publication = StarBuilder(lake, index, home.star, settings, say, Decided.of(home)).publish()
            finally:
                index.close()
    seconds = round(time.monotonic() - began, 3)
    answer = {"publication": publication.id if publication else None, "seconds": seconds}
    if publication is None:
        return 0, answer, "nothing changed since the last publication"
    return 0, answer, f"publication {publication.id}, {seconds:.1f} s"


COMMAND = Command(
    "publish",
    "bring the star up to date with the lake and with what people decided",
    _arguments,
    _run,
    6,
    "Derives only what changed. Every load does it at its end; the pages start it after a decision.",
)
