"""Cases: the alerts of one exam, or of one protocol's drift, reviewed together; only those that the scope opens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from flask import current_app
from sqlalchemy import select

from dashboards._access.services import Services
from dashboards._shell.reading import Reading
from insights.dose.evidence import Evidence
from state.alerts import Alert, Alerts
from state.reviews import Review, Reviews, Status, status_of
from warehouse.filters import exam_clause
from warehouse.schema import fact_exam

SEVERITIES = {3: "Act today", 2: "Review", 1: "Look"}
READERS = {
    "limit": "Fixed limit",
    "group": "Against its group",
    "size": "For the patient's size",
    "drift": "Change of a protocol",
    "low": "Lower than expected",
    "legal": "Legal rule",
}
STATES = {
    "new": "New",
    "assigned": "Assigned",
    "explained": "Explained",
    "action": "Action under way",
    "awaiting_signature": "Awaits a second signature",
    "closed": "Closed",
}


@dataclass(frozen=True)
class Case:
    """What is reviewed as one: gravest alert first."""

    alerts: tuple[Alert, ...]
    steps: tuple[Review, ...]
    """Steps of all its alerts in the order in which they were taken."""
    statuses: tuple[Status, ...]
    """Of each alert."""

    @property
    def first(self) -> Alert:
        """The gravest alert: it names the case."""
        return self.alerts[0]

    @property
    def id(self) -> int:
        """Number that people know the case by."""
        return self.first.id

    @property
    def severity(self) -> int:
        """That of its gravest alert."""
        return self.first.severity

    @cached_property
    def evidence(self) -> Evidence:
        """That of its gravest alert."""
        return Evidence.of_json(self.first.evidence)

    @property
    def status(self) -> Status:
        """That of the first alert that is open, else of the gravest one."""
        return next((one for one in self.statuses if one.is_open), self.statuses[0])

    @property
    def open_alerts(self) -> list[int]:
        """Numbers of the alerts that are neither closed nor wait for a signature."""
        return [
            alert.id
            for alert, status in zip(self.alerts, self.statuses, strict=True)
            if status.is_open and status.state != "awaiting_signature"
        ]

    def alerts_in(self, *states: str) -> list[int]:
        """Numbers of the alerts in some states."""
        return [alert.id for alert, status in zip(self.alerts, self.statuses, strict=True) if status.state in states]

    def rests(self, today: date) -> bool:
        """Whether it shall not be shown yet."""
        return self.status.snoozed_until is not None and self.status.snoozed_until > today


def alerts_of_server() -> Alerts:
    """The alerts of this server's state."""
    return Alerts(Services.of(current_app).engine)


def reviews_of_server() -> Reviews:
    """The reviews of this server's state."""
    services = Services.of(current_app)
    return Reviews(services.engine, services.audit, services.settings.dose.second_signature)


def cases(reading: Reading, first: date, last: date) -> list[Case]:
    """Cases of exams (or drifts) of a period within filters and scope: gravest first, then newest."""
    found = [one for one in alerts_of_server().between(first, last) if _fits(one, reading)]
    return _grouped(visible_alerts(found, reading))


def case_of(reading: Reading, number: int) -> Case | None:
    """The case that an alert belongs to; None where there is none in the scope."""
    kept = alerts_of_server()
    alert = kept.one(number)
    if alert is None:
        return None
    together = [alert] if alert.exam_key is None else kept.of_exams([alert.exam_key])
    found = _grouped(visible_alerts(together, reading))
    return found[0] if found else None


def of_protocol(reading: Reading, protocol_key: int, without: int, limit: int = 12) -> list[Case]:
    """Closed cases of a protocol, newest first: what was decided before."""
    first, last = date(1900, 1, 1), date(9999, 1, 1)
    same = [one for one in alerts_of_server().between(first, last) if one.protocol_key == protocol_key]
    closed = [one for one in _grouped(visible_alerts(same, reading)) if not one.status.is_open and one.id != without]
    return sorted(closed, key=lambda one: one.first.happened_on, reverse=True)[:limit]


def visible_exams(reading: Reading, exams: Iterable[int]) -> frozenset[int]:
    """Those exams that the reader's scope opens."""
    wanted = sorted(set(exams))
    if reading.scope.sites is None and reading.scope.departments is None:
        return frozenset(wanted)
    query = select(fact_exam.c.exam_key).where(fact_exam.c.exam_key.in_(wanted), exam_clause(reading.scope))
    return frozenset(reading.star.frame(query)["exam_key"]) if wanted else frozenset()


def visible_alerts(found: Sequence[Alert], reading: Reading) -> list[Alert]:
    """Those alerts that the scope opens."""
    exams = visible_exams(reading, (one.exam_key for one in found if one.exam_key is not None))
    sites, departments = reading.scope.sites, reading.scope.departments
    return [
        one
        for one in found
        if (one.exam_key in exams if one.exam_key is not None else departments is None)
        and (sites is None or one.site_code in sites)
    ]


def _fits(one: Alert, reading: Reading) -> bool:
    """Whether an alert lies within the filters that a case can be judged by."""
    chosen = reading.filters
    return (
        (not chosen.site or one.site_code in chosen.site)
        and (not chosen.modality or one.modality in chosen.modality)
        and (not chosen.device or one.device_id in chosen.device)
        and (not chosen.protocol or str(one.protocol_key) in chosen.protocol)
    )


def _grouped(found: Sequence[Alert]) -> list[Case]:
    """Alerts of one exam together; a drift stands for itself."""
    groups: dict[str, list[Alert]] = {}
    for one in found:
        groups.setdefault(str(one.exam_key or one.key), []).append(one)
    kept = reviews_of_server()
    steps = kept.of([one.id for one in found])
    made = []
    for group in groups.values():
        ordered = sorted(group, key=lambda one: (-one.severity, one.id))
        taken = sorted((step for one in ordered for step in steps[one.id]), key=lambda step: step.audit_seq)
        statuses = [status_of(steps[one.id], second_signature=kept.second_signature) for one in ordered]
        made.append(Case(tuple(ordered), tuple(taken), tuple(statuses)))
    return sorted(made, key=lambda one: (-one.severity, -one.first.happened_on.toordinal(), -one.id))
