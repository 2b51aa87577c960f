"""`load`: files and folders into lake and star."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from etl.commands.command import WRONG_USE, Command, CommandError, Say, open_home, store_errors
from etl.load import Loader, Outcome
from etl.sources.extract.reader import check_extracts
from settings import Settings


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="file, folder (with all below it), zip archive or DICOMDIR"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=600,
        metavar="SECONDS",
        help="how long to wait for another load to finish (default 600)",
    )


def _run(options: argparse.Namespace, settings: Settings, say: Say) -> tuple[int, Any, str]:
    if problems := check_extracts(settings):
        raise CommandError("\n".join(problems), WRONG_USE)
    with store_errors(settings):
        outcome = Loader(open_home(settings, writes=True), settings, say).load(options.paths, wait_seconds=options.wait)
    return (1 if outcome.total("rejected") else 0), outcome.as_json(), words(outcome)


def words(outcome: Outcome) -> str:
    """A table of what each source gave."""
    answer = outcome.as_json()
    columns = ("offered", "accepted", "duplicate", "rejected", "not_applicable")
    lines = [f"{'source':<12}" + "".join(f"{column.replace('_', ' '):>16}" for column in columns)]
    for source, counts in answer["by_source"].items():
        lines.append(f"{source:<12}" + "".join(f"{counts[column]:>16,}" for column in columns))
    lines.append(f"{'all':<12}" + "".join(f"{answer[column]:>16,}" for column in columns))
    lines.append(f"run {outcome.run_id}, {outcome.seconds:.1f} s")
    if answer["rejected"]:
        lines.append("`python -m etl rejects` lists what was rejected and what to do.")
    return "\n".join(lines)


COMMAND = Command(
    "load",
    "load files and folders",
    _arguments,
    _run,
    1,
    "Reads every file below the paths, lands what it understands, keeps aside what it cannot read, and publishes. Loading the same again changes nothing.",
)
