"""`inspector-pack`: the pack of a period as PDF and workbook, the same bytes each time."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from insights.commands.command import Command, Office, day, star_of
from insights.dose.pack.contents import Office as Kept
from insights.dose.pack.contents import contents
from insights.dose.pack.document import document
from insights.dose.pack.workbook import workbook
from insights.dose.rules import RULE_KINDS, rules_with
from settings import Settings
from warehouse.scope import EVERYTHING


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="first", type=day, required=True, metavar="DATE", help="first day")
    parser.add_argument("--to", dest="last", type=day, required=True, metavar="DATE", help="last day")
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="folder of the two files (default here)"
    )
    parser.add_argument(
        "--reviews-to",
        type=datetime.fromisoformat,
        metavar="TIME",
        help="leave out steps of reviews after this time, as 2026-12-01T08:00+00:00",
    )


def _run(options: argparse.Namespace, settings: Settings) -> int:
    if options.last < options.first:
        print(f"--from {options.first} is after --to {options.last}", file=sys.stderr)
        return 2
    office = Office(settings)
    alerts = sorted(office.alerts.between(options.first, options.last), key=lambda one: one.id)
    kept = Kept(
        rules_with(office.decisions.standing(*RULE_KINDS)),
        alerts,
        office.reviews.of([one.id for one in alerts]),
        office.reviews.sign_offs(),
        options.reviews_to,
    )
    pack = contents(star_of(settings), kept, settings, EVERYTHING, options.first, options.last)
    options.out.mkdir(parents=True, exist_ok=True)
    for ending, made in (("pdf", document(pack)), ("xlsx", workbook(pack))):
        file = options.out / f"dose-pack-{options.first}-{options.last}.{ending}"
        file.write_bytes(made)
        print(f"{file} {sha256(made).hexdigest()}")
    return 0


INSPECTOR_PACK = Command("inspector-pack", "the dose office's pack of a period as PDF and workbook", _arguments, _run)
