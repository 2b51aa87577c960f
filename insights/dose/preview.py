"""What a rule with another number would have raised on history, before it is switched on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from insights.dose.evidence import Evidence
from insights.dose.outliers import outliers
from insights.dose.rules import Rule
from state.alerts import Raised
from warehouse.engines import Star

EXAMPLES = 8


@dataclass(frozen=True)
class Preview:
    """What a rule would have raised."""

    rule: Rule
    first: date
    last: date
    exams: int
    """Exams of patients with dose that were looked at."""
    now: int
    """What the rule raises as it is."""
    then: int
    """What it would raise."""
    by_device: Mapping[str, int]
    examples: tuple[tuple[Raised, Evidence], ...]
    """Gravest first."""

    @property
    def per_thousand(self) -> float:
        """Alerts in a thousand exams."""
        return 1000 * self.then / self.exams if self.exams else 0.0


def preview(
    star: Star, rules: Mapping[str, Rule], changed: Rule, first: date, last: date, window_weeks: int
) -> Preview:
    """What `changed` would have raised among the exams from `first` to `last`, beside what it raises now."""
    alone = {rule.id: rule if rule.id == changed.id else _silent(rule) for rule in rules.values()}
    before = outliers(star, alone, first, last, window_weeks)
    after = outliers(star, {**alone, changed.id: changed}, first, last, window_weeks)
    mine = [one for one in after.raised if one.rule == changed.id]
    counts: dict[str, int] = {}
    for one in mine:
        counts[one.device_id] = counts.get(one.device_id, 0) + 1
    shown = [(one, Evidence.of_json(one.evidence)) for one in mine]
    shown.sort(key=lambda pair: -(pair[1].value / (pair[1].expected or pair[1].limit or pair[1].value or 1)))
    n = sum(one.rule == changed.id for one in before.raised)
    return Preview(changed, first, last, after.judged.height, n, len(mine), counts, tuple(shown[:EXAMPLES]))


def _silent(rule: Rule) -> Rule:
    return Rule(**vars(rule) | {"active": False})
