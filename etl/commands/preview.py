"""`preview`: what an extract's mapping would make of a file, without loading it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from etl.commands.command import WRONG_USE, Command, CommandError, Say, store_errors
from etl.sources.extract import check_extracts, preview
from settings import Settings


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="FILE", help="CSV or Parquet file")
    parser.add_argument("--rows", type=int, default=1000, help="how many rows to try (default 1000)")


def _run(options: argparse.Namespace, settings: Settings, say: Say) -> tuple[int, Any, str]:
    del say
    if problems := check_extracts(settings):
        raise CommandError("\n".join(problems), WRONG_USE)
    if not options.path.is_file():
        raise CommandError(f"{options.path}: no such file", WRONG_USE)
    with store_errors(settings):
        answer = preview(options.path, settings, options.rows)
    return (1 if answer.get("rejected") else 0), answer, json.dumps(answer, indent=1, default=str)


COMMAND = Command(
    "preview",
    "try an extract's mapping on a file without loading it",
    _arguments,
    _run,
    9,
    "Reads the first rows by the [[extracts]] entry that fits the file's name, and tells how many would be accepted and rejected, why, and what the rows become.",
)
