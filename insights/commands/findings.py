"""`findings`: what changed as of a day."""

from __future__ import annotations

import argparse
import json

from insights.commands.command import Command, day, star_of
from insights.findings import findings
from settings import Settings
from warehouse.scope import EVERYTHING


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--as-of", type=day, required=True, metavar="DATE", help="the day, as 2026-11-16")
    parser.add_argument("--limit", type=int, default=10, metavar="N", help="findings at most (default 10)")
    parser.add_argument("--json", action="store_true", help="answer as JSON on standard output")


def _run(options: argparse.Namespace, settings: Settings) -> int:
    found = findings(star_of(settings), options.as_of, EVERYTHING, limit=options.limit)
    if options.json:
        print(json.dumps([finding.as_json() for finding in found], indent=1))
    else:
        print("\n".join(finding.text for finding in found) or "Nothing changed beyond the usual.")
    return 0


FINDINGS = Command("findings", "what changed as of a day, most consequential first", _arguments, _run)
