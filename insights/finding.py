"""What a finding is, whatever found it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from typing import Any, NamedTuple

from warehouse.filters import Filters

WEEKS = 52
"""Weeks that are looked at."""


@dataclass(frozen=True)
class Evidence:
    """What a finding rests on, week by week."""

    weeks: tuple[date, ...]
    """Mondays."""
    values: tuple[float | None, ...]
    n: tuple[int, ...]
    """Exams, events or days behind each value."""
    rule: str
    """What singled it out: a rule of the process behaviour chart, or the test."""
    p: float
    """How likely chance alone gives it, before the number of series that were looked at is counted."""
    baseline: float
    """The usual, in the finding's unit."""
    recent: float
    """What it is in the finding's days."""
    mean: float | None = None
    lower: float | None = None
    upper: float | None = None
    """Centre and limits of the process behaviour chart, where there is one."""


class Topic(NamedTuple):
    """What findings can be about: how much an exam touched by it counts, and what follows from it."""

    severity: float
    """Weight of an exam touched by it, against one that is merely counted."""
    advice: str
    """What could be done."""
    concerns: str
    """Whom it concerns."""
    causes: frozenset[str] = frozenset()
    """Topics whose findings in the same place and time it explains."""


TOPICS: dict[str, Topic] = {
    "wrong entry": Topic(
        3.0,
        "Look at the exams without images and at those beside them that have too many; move the images to their patients, and ask how entries are chosen at the scanner.",
        "PACS administrators and the scanner's lead technologist",
        frozenset({"charges", "clock", "dose capture", "orders", "worklist", "scanner", "access", "turnaround"}),
    ),
    "failing scanner": Topic(
        2.5,
        "Have the scanner examined before the next long outage, and keep appointments that can move on other scanners.",
        "The service engineer and the modality's manager",
        frozenset({"volume", "booking", "access", "scanner"}),
    ),
    "idle hours": Topic(
        2.0,
        "Offer these hours to patients who wait, or staff them where they are needed.",
        "The modality's manager and scheduling",
        frozenset({"scanner"}),
    ),
    "turnaround": Topic(
        2.0,
        "Compare reading hours with what comes in, and let other sections read what waits longest.",
        "The reading section's lead",
    ),
    "dose": Topic(
        2.0,
        "Compare the protocol before and after, first of all where the scanner's software changed on the way.",
        "Medical physics and the lead technologist",
    ),
    "dose capture": Topic(
        1.5,
        "Check whether the scanner still sends its dose reports, and send the missing ones again.",
        "PACS administrators and medical physics",
    ),
    "clock": Topic(
        1.0,
        "Set the scanner's clock, and let it follow a time server.",
        "The service engineer and PACS administrators",
        frozenset({"access", "scanner", "turnaround"}),
    ),
    "charges": Topic(1.5, "Post the missing charges before their time limit ends, and see where they stop.", "Billing"),
    "worklist": Topic(
        1.0, "See whether the scanner still gets its worklist.", "PACS administrators and the lead technologist"
    ),
    "orders": Topic(1.0, "See which exams are made without an order, and why.", "The lead technologist"),
    "volume": Topic(
        1.0,
        "Compare staffing of scanners and readers with what comes in.",
        "The site's operations manager",
        frozenset({"access", "turnaround", "scanner", "booking"}),
    ),
    "access": Topic(1.0, "Open more slots, or move appointments to sites that have them.", "Scheduling"),
    "booking": Topic(1.0, "Remind patients earlier, and give freed slots to those who wait.", "Scheduling"),
    "scanner": Topic(0.8, "Ask at the scanner what changed: protocol, staff or patients.", "The lead technologist"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that changed, or that is as it should not be."""

    kind: str
    """concern, improvement, or change where no direction is good."""
    topic: str
    """Key of `TOPICS`."""
    measure: str
    permission: str
    """Whose page it belongs to."""
    scope: dict[str, str]
    """site, modality, device, section, protocol, procedure …: codes and keys as filters take them."""
    since: date
    """First day, or Monday of the first week."""
    until: date | None
    """Last day where it is over; None while it lasts."""
    size: float
    """What it is less what is usual, in `unit`."""
    unit: str
    evidence: Evidence
    exams: float
    """Exams touched by it in its last four weeks."""
    text: str
    because: str
    """The evidence in a sentence."""
    weight: float = 0.0
    """What findings are ordered by."""
    others: tuple[str, ...] = field(default=())
    """Findings that have the same cause, in words."""

    @property
    def advice(self) -> str:
        """What could be done."""
        return TOPICS[self.topic].advice

    @property
    def concerns(self) -> str:
        """Whom it concerns."""
        return TOPICS[self.topic].concerns

    def with_others(self, *others: str) -> Finding:
        """The same, with further findings of the same cause as evidence."""
        return replace(self, others=(*self.others, *others))

    def as_json(self) -> dict[str, Any]:
        """The finding with days as ISO text and figures rounded to what can be read."""
        plain: dict[str, Any] = _plain({**asdict(self), "advice": self.advice, "concerns": self.concerns})
        return plain


class Found(NamedTuple):
    """What a detector found, and in how many series or scanners it looked: what judging chance needs."""

    findings: list[Finding]
    tests: int


def over(narrowed: Filters | None, first: date, last: date) -> Filters:
    """The reader's choice, or none, over other days."""
    return narrowed.over(first, last) if narrowed else Filters(first, last)


def monday(day: date) -> date:
    """The first day of its week."""
    return day - timedelta(days=day.weekday())


def said(day: date, as_of: date) -> str:
    """A day in words, with its year where it is another."""
    return f"{day.day} {day:%b}" if day.year == as_of.year else f"{day.day} {day:%b %Y}"


def when(since: date, until: date | None, as_of: date) -> str:
    """`since 4 Aug`, or `from 4 Aug to 10 Aug`."""
    if until is None:
        return f"since {said(since, as_of)}"
    return f"from {said(since, as_of)} to {said(until, as_of)}"


def counted(number: float, one: str) -> str:
    """`1 exam`, `2 exams`."""
    return f"{number:,.0f} {one}" if round(number) == 1 else f"{number:,.0f} {one}s"


def chance(p: float) -> str:
    """How likely chance alone gives it, in words."""
    return "less than one in a million" if p < 1e-6 else f"about one in {round(1 / p, -len(str(int(1 / p))) + 1):,.0f}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, date):
        return value.isoformat()
    return float(f"{value:.6g}") if isinstance(value, float) else value
