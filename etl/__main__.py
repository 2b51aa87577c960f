"""The loading commands: `python -m etl COMMAND --help`.

Exit codes: 0 all stored or known; 1 something was rejected; 2 wrong usage or configuration; 3 the store cannot be used
(lock, disk, damage); 4 a source could not be asked; 130 stopped.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from etl.commands import COMMANDS, CommandError
from settings import SettingsError, load_settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m etl",
        description="Loads what imaging systems emit and keeps the star.",
        epilog="Answers go to standard output, progress to standard error.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.help, description=command.description or command.help)
        command.arguments(sub)
        sub.add_argument(
            "--config", type=Path, help="configuration file (default: ISOCENTER_CONFIG, else isocenter.toml)"
        )
        sub.add_argument("--json", action="store_true", help="answer as JSON on standard output alone")
        sub.set_defaults(run=command.run)
    return parser


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    options = _parser().parse_args(arguments)
    run: Callable[..., tuple[int, Any, str]] = options.run
    try:
        code, answer, text = run(options, load_settings(options.config), say)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except CommandError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped; what had landed stays, the next load completes it", file=sys.stderr)
        return 130
    print(json.dumps(answer, indent=1, default=str) if options.json else text)
    return code


if __name__ == "__main__":
    sys.exit(main())
