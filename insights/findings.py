"""What changed and what is as it should not be, most consequential first.

Every detector looks in one way: `insights.weekly` at series that left their usual range, `insights.surges` at unplanned
demand, `insights.idle_hours` at standing waste, `insights.failing` at breakdowns, `insights.wrong_entries` at images that lie with other patients,
`insights.lost_reports` at dose reports and `insights.wrong_clocks` at clocks. What chance may have given is left out, family by family (Benjamini and Hochberg). What
has one cause is told once. Only days before `as_of` enter, of weekly series full weeks alone, and of measures that settle
late only weeks that have settled, so that the findings of a past day are those that could be seen on that day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date, timedelta
from math import log1p

from insights import failing, idle_hours, lost_reports, surges, wrong_clocks, wrong_entries
from insights.chance import discoveries
from insights.finding import TOPICS, Finding, Found
from insights.names import Names, names_of
from insights.watched import WATCHED, Watched
from insights.weekly import judged, weekly
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures import CATALOGUE
from warehouse.scope import Scope

FALSE_SHARE, FALSE_STANDING = 0.05, 0.005
"""Of the findings of a family, how many may be chance; fewer of standing waste, which is told again every day."""
KINDS = {"concern": 1.0, "change": 0.7, "improvement": 0.5}
"""How much each kind counts in the order of findings."""
OVER = 0.4
"""How much a finding counts that is over, against one that lasts."""
ECHO = timedelta(days=28)
"""How long after a cause has ended what follows from it may be seen."""


def findings(
    star: Star,
    as_of: date,
    scope: Scope,
    *,
    filters: Filters | None = None,
    permissions: Collection[str] | None = None,
    limit: int = 10,
) -> list[Finding]:
    """What changed or stands out as of a day, most consequential first.

    Args:
        filters: narrows what is looked at to its sites, modalities and so on; its period plays no part.
        permissions: leaves out what belongs to a permission outside of these; None leaves out none.
        limit: findings at most.
    """
    names = names_of(star, scope)
    last = _last_day(star, as_of)
    end = last - timedelta(days=(last.weekday() + 1) % 7 + 6)
    found: list[Finding] = []
    for topic in dict.fromkeys(watched.topic for watched in WATCHED):
        family = [w for w in WATCHED if w.topic == topic and _may(CATALOGUE[w.measure].permission, permissions)]
        found += _beyond_chance(_changes(star, family, end, as_of, scope, filters, names))
    if _may(CATALOGUE["exams"].permission, permissions):
        found += _beyond_chance(surges.find(star, last, as_of, scope, filters, names))
    if _may("view_utilization", permissions):
        found += _beyond_chance(idle_hours.find(star, last, as_of, scope, filters, names), FALSE_STANDING)
        found += _beyond_chance(failing.find(star, last, as_of, scope, filters, names))
    if _may("view_dose", permissions):
        found += _beyond_chance(lost_reports.find(star, last - timedelta(days=1), as_of, scope, filters, names))
    if _may("view_data", permissions):
        found += _beyond_chance(wrong_entries.find(star, last - timedelta(days=1), as_of, scope, filters, names))
        found += _beyond_chance(wrong_clocks.find(star, last, as_of, scope, filters, names))
    return told_once([replace(one, weight=_weight(one)) for one in found], names, as_of)[:limit]


def told_once(found: Iterable[Finding], names: Names, as_of: date) -> list[Finding]:
    """Findings in order of weight, each with those that say the same, or follow from it, as its evidence."""
    alike: list[Finding] = []
    for one in sorted(found, key=lambda each: (-each.weight, each.text)):
        first = next((k for k, known in enumerate(alike) if _is_same(known, one, names, as_of)), None)
        if first is None:
            alike.append(one)
        else:
            alike[first] = alike[first].with_others(one.text)
    follows = {
        k: cause
        for k, one in enumerate(alike)
        if (cause := next((c for c, known in enumerate(alike) if _explains(known, one, names, as_of)), None))
        is not None
    }
    for k, cause in follows.items():
        while cause in follows:
            cause = follows[cause]
        alike[cause] = alike[cause].with_others(alike[k].text)
    return [one for k, one in enumerate(alike) if k not in follows]


def _changes(
    star: Star, family: list[Watched], end: date, as_of: date, scope: Scope, filters: Filters | None, names: Names
) -> Found:
    """What changed among the measures of one topic."""
    series = [(watched, one) for watched in family for one in weekly(star, watched, end, scope, filters)]
    judgements = [judged(watched, one, names, as_of) for watched, one in series]
    return Found([one for one in judgements if one is not None], len(series))


def _beyond_chance(found: Found, false_share: float = FALSE_SHARE) -> list[Finding]:
    kept = discoveries([one.evidence.p for one in found.findings], found.tests, false_share)
    return [one for one, stays in zip(found.findings, kept, strict=True) if stays]


def _weight(one: Finding) -> float:
    """Exams touched, on a scale on which ten times as many count twice or so, by what is at stake for each of them."""
    lasts = 1.0 if one.until is None else OVER
    return TOPICS[one.topic].severity * KINDS[one.kind] * lasts * log1p(one.exams)


def _is_same(known: Finding, one: Finding, names: Names, as_of: date) -> bool:
    return (
        known.topic == one.topic
        and _meet(names.around(known.scope), names.around(one.scope))
        and _at_one_time(known, one, as_of)
    )


def _explains(cause: Finding, one: Finding, names: Names, as_of: date) -> bool:
    """Whether a finding follows from another: in its place and time, of a topic that such a cause has."""
    if one.topic not in TOPICS[cause.topic].causes or (cause.topic == "volume" and cause.size < 0):
        return False
    there, here = names.around(cause.scope), names.around(one.scope)
    if cause.topic == "failing scanner":  # its patients go to the other scanners of the site: no more come to the site
        if one.topic == "volume" and one.size > 0 and "device" not in here:
            return False
        here.pop("device", None)
    return _meet(there, here) and bool(there.items() & here.items()) and _at_one_time(cause, one, as_of)


def _meet(one: dict[str, str], other: dict[str, str]) -> bool:
    """Whether two places have exams in common: nothing that both name differs."""
    return all(one[way] == other[way] for way in one.keys() & other.keys())


def _at_one_time(cause: Finding, one: Finding, as_of: date) -> bool:
    return cause.since <= (one.until or as_of) and one.since <= (cause.until or as_of) + ECHO


def _may(permission: str, permissions: Collection[str] | None) -> bool:
    return permissions is None or permission in permissions


def _last_day(star: Star, as_of: date) -> date:
    """The last full day before the day, and before the data end."""
    newest = star.publication.as_of
    return as_of - timedelta(days=1) if newest is None else min(as_of - timedelta(days=1), newest.date())
