"""Commands on what changed and what stands out: `python -m insights findings|alerts|preview-rule|inspector-pack|dose-survey`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from insights.commands.alerts import ALERTS
from insights.commands.dose_survey import DOSE_SURVEY
from insights.commands.findings import FINDINGS
from insights.commands.inspector_pack import INSPECTOR_PACK
from insights.commands.preview_rule import PREVIEW_RULE
from settings import SettingsError, load_settings
from state.errors import StateError
from warehouse.publication import PublicationError

COMMANDS = {command.name: command for command in (FINDINGS, ALERTS, PREVIEW_RULE, INSPECTOR_PACK, DOSE_SURVEY)}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m insights", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS.values():
        command.arguments(commands.add_parser(command.name, help=command.help))
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; 0 done, 1 done with something to look at, 2 wrong use or configuration, 3 no usable star."""
    options = parser().parse_args(arguments)
    try:
        return COMMANDS[options.command].run(options, load_settings())
    except (SettingsError, StateError) as error:
        print(error, file=sys.stderr)
        return 2
    except PublicationError as error:
        print(error, file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
