"""What a rule with another number would have raised on history, before it is switched on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from insights.dose.evidence import Evidence
from insights.dose.outliers import Judged, outliers
from insights.dose.rules import Rule
from state.alerts import Raised

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


def preview(judged: Judged, rules: Mapping[str, Rule], changed: Rule) -> Preview:
    """What `changed` would have raised among the exams of some days, beside what the rule raises now."""
    alone = {rule.id: rule if rule.id == changed.id else replace(rule, active=False) for rule in rules.values()}
    before = outliers(judged, alone)
    after = outliers(judged, {**alone, changed.id: changed})
    mine = [one for one in after.raised if one.rule == changed.id]
    counts: dict[str, int] = {}
    for one in mine:
        counts[one.device_id] = counts.get(one.device_id, 0) + 1
    shown = [(one, Evidence.of_json(one.evidence)) for one in mine]
    shown.sort(key=lambda pair: -(pair[1].value / (pair[1].expected or pair[1].limit or pair[1].value or 1)))
    n = sum(one.rule == changed.id for one in before.raised)
    return Preview(
        changed, judged.first, judged.last, judged.exams.height, n, len(mine), counts, tuple(shown[:EXAMPLES])
    )
