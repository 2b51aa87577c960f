"""Raises alerts from a publication of the star: each crossing once, whoever looks and however often."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from insights.dose.outliers import judge, outliers
from insights.dose.rules import RULE_KINDS, rules_with
from settings import Settings
from state.alerts import Alert, Alerts, Raised
from state.decisions import Decisions
from warehouse.engines import Star

FIRST_DAYS = 90
"""How far back the first run looks."""
LATE_DAYS = 14
"""How far back every run looks again, for exams that arrived late."""
SAME_DRIFT_DAYS = 60
"""Two changes of one protocol on one scanner nearer together than this are one."""


def raise_alerts(star: Star, alerts: Alerts, decisions: Decisions, settings: Settings) -> list[Alert]:
    """Alerts that were never raised before, kept.

    Looks at the last 90 days of the data where nothing was raised yet, else from two weeks before the newest alert on.
    """
    last = newest_day(star, settings)
    newest = alerts.newest_day()
    first = last - timedelta(days=FIRST_DAYS) if newest is None else min(newest, last) - timedelta(days=LATE_DAYS)
    rules = rules_with(decisions.standing(*RULE_KINDS))
    found = outliers(judge(star, first, last, settings.dose.window_weeks), rules)
    drifted = [one for one in alerts.between(first - timedelta(days=SAME_DRIFT_DAYS), last) if one.reader == "drift"]
    return alerts.keep(_without_same_drift(found.raised, drifted))


def newest_day(star: Star, settings: Settings) -> date:
    """The last day of the data on the clock of the default site."""
    as_of = star.publication.as_of
    return as_of.astimezone(settings.site_of().zone).date() if as_of is not None else date(1900, 1, 1)


def _without_same_drift(found: Sequence[Raised], kept: Sequence[Alert]) -> list[Raised]:
    """All but changes of a protocol on a scanner for which one was raised shortly before."""
    known: list[Raised] = list(kept)
    fresh = []
    for one in sorted(found, key=lambda each: (each.happened_on, each.key)):
        same = any(
            one.reader == other.reader == "drift"
            and one.subject == other.subject
            and one.key != other.key
            and abs((one.happened_on - other.happened_on).days) <= SAME_DRIFT_DAYS
            for other in known
        )
        if not same:
            fresh.append(one)
            known.append(one)
    return fresh
