"""`alerts`: raises dose alerts from the newest data, each once, and tells whom the configuration names."""

from __future__ import annotations

import argparse
import sys

from insights.commands.command import Command, Office, star_of
from insights.dose.alerts import raise_alerts
from insights.dose.evidence import Evidence
from insights.dose.sending import send
from settings import Settings


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="say how many, not which")
    parser.add_argument("--no-sending", action="store_true", help="raise only; nobody is told by mail or webhook")


def _run(options: argparse.Namespace, settings: Settings) -> int:
    office = Office(settings)
    raised = raise_alerts(star_of(settings), office.alerts, office.decisions, settings)
    for one in [] if options.quiet else raised:
        print(f"case {one.id}, {one.happened_on}, {one.site_code}: {Evidence.of_json(one.evidence).text}")
    print(f"{len(raised)} new alerts")
    wrong = [] if options.no_sending else send(office.alerts, settings.alerts)
    for words in wrong:
        print(words, file=sys.stderr)
    return 1 if wrong else 0


ALERTS = Command("alerts", "raise dose alerts from the newest data, each once, and send them", _arguments, _run)
