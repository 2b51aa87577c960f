"""Commands on what changed: `python -m insights findings --as-of DATE --json`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import date

from insights.findings import findings
from settings import SettingsError, load_settings
from warehouse.engines import StarReader
from warehouse.publication import PublicationError
from warehouse.scope import EVERYTHING


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m insights", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    found = commands.add_parser("findings", help="what changed as of a day, most consequential first")
    found.add_argument("--as-of", type=date.fromisoformat, required=True, metavar="DATE", help="the day, as 2026-11-16")
    found.add_argument("--limit", type=int, default=10, metavar="N", help="findings at most (default 10)")
    found.add_argument("--json", action="store_true", help="answer as JSON on standard output")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; 0 done, 2 wrong use or configuration, 3 no usable star."""
    options = parser().parse_args(arguments)
    try:
        star = StarReader(load_settings().data_directory / "star").current()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except PublicationError as error:
        print(error, file=sys.stderr)
        return 3
    found = findings(star, options.as_of, EVERYTHING, limit=options.limit)
    if options.json:
        print(json.dumps([finding.as_json() for finding in found], indent=1))
    else:
        print("\n".join(finding.text for finding in found) or "Nothing changed beyond the usual.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
