"""`preview-rule`: what a rule with another number would have raised on history."""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta

from insights.commands.command import Command, Office, day, star_of
from insights.dose.alerts import newest_day
from insights.dose.outliers import judge
from insights.dose.preview import preview
from insights.dose.rules import RULE_KINDS, RULES, rules_with
from settings import Settings


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rule", choices=[rule.id for rule in RULES], help="the rule")
    parser.add_argument("threshold", type=float, help="its number, in the rule's unit")
    parser.add_argument("--from", dest="first", type=day, metavar="DATE", help="first day (default 90 days back)")
    parser.add_argument("--to", dest="last", type=day, metavar="DATE", help="last day (default the data's last)")


def _run(options: argparse.Namespace, settings: Settings) -> int:
    star, office = star_of(settings), Office(settings)
    last = options.last or newest_day(star, settings)
    first = options.first or last - timedelta(days=90)
    if last < first:
        print(f"--from {first} is after --to {last}", file=sys.stderr)
        return 2
    rules = rules_with(office.decisions.standing(*RULE_KINDS))
    changed = rules[options.rule].with_threshold(options.threshold)
    found = preview(judge(star, first, last, settings.dose.window_weeks), rules, changed)
    print(f"{changed.title}, {changed.meaning} {options.threshold:g} {changed.unit}: {first} to {last}")
    print(
        f"would have fired {found.then} times ({found.per_thousand:.1f} in a thousand of {found.exams} exams); it fires {found.now} times as it is"
    )
    for device, n in sorted(found.by_device.items(), key=lambda pair: -pair[1]):
        print(f"  {n} on {device}")
    for _, evidence in found.examples:
        print(f"  {evidence.text}")
    return 0


PREVIEW_RULE = Command("preview-rule", "what a rule with another number would have raised", _arguments, _run)
