"""Alerts: what crossed a rule, raised once, with the evidence frozen as it was; and whom they were sent to.

An alert is a fact of the day on which it was raised. It is never changed: what people did about it stands in
`state/reviews.py`. A page that is opened again raises nothing (a rule and what crossed it make its key).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Engine, Row, func, insert, select

from state.audit import utc_now
from state.database import writing
from state.tables import alerts, deliveries

Channel = Literal["mail", "webhook"]


@dataclass(frozen=True)
class Raised:
    """An alert before it is kept."""

    key: str
    rule: str
    reader: str
    """limit, group, size, drift, low or legal."""
    severity: int
    """3 act today, 2 review, 1 look."""
    subject_kind: str
    """event, exam, patient or protocol."""
    subject: str
    exam_key: int | None
    site_code: str
    modality: str
    device_id: str
    protocol_key: int
    happened_on: date
    evidence: dict[str, Any]


@dataclass(frozen=True)
class Alert(Raised):
    """An alert that is kept."""

    id: int
    raised_at: datetime


@dataclass(frozen=True)
class Alerts:
    """The alerts of one database."""

    engine: Engine
    clock: Callable[[], datetime] = utc_now

    def keep(self, found: Iterable[Raised]) -> list[Alert]:
        """Keeps those that were never raised before; returns them, in the order given."""
        fresh: list[Alert] = []
        with writing(self.engine) as connection:
            known = set(connection.execute(select(alerts.c.key)).scalars())
            now = self.clock()
            for one in found:
                if one.key in known:
                    continue
                known.add(one.key)
                row = vars(one) | {"raised_at": now}
                number = connection.execute(insert(alerts).values(row).returning(alerts.c.id)).scalar_one()
                fresh.append(Alert(**row, id=int(number)))
        return fresh

    def between(self, first: date, last: date) -> list[Alert]:
        """Alerts of what happened from `first` to `last`, newest and gravest first."""
        query = (
            select(alerts)
            .where(alerts.c.happened_on.between(first, last))
            .order_by(alerts.c.happened_on.desc(), alerts.c.severity.desc(), alerts.c.id)
        )
        with self.engine.connect() as connection:
            return [_alert(row) for row in connection.execute(query)]

    def newest_day(self) -> date | None:
        """The latest day of which anything was raised."""
        with self.engine.connect() as connection:
            found: date | None = connection.execute(select(func.max(alerts.c.happened_on))).scalar_one()
        return found

    def of_exams(self, exams: Sequence[int]) -> list[Alert]:
        """Alerts that some exams raised, newest first."""
        query = select(alerts).where(alerts.c.exam_key.in_(exams)).order_by(alerts.c.happened_on.desc(), alerts.c.id)
        with self.engine.connect() as connection:
            return [_alert(row) for row in connection.execute(query)]

    def one(self, number: int) -> Alert | None:
        """The alert of this number."""
        with self.engine.connect() as connection:
            row = connection.execute(select(alerts).where(alerts.c.id == number)).first()
        return None if row is None else _alert(row)

    def unsent(self, channel: Channel, least_severity: int) -> list[Alert]:
        """Alerts of at least a severity that nobody was told of through a channel, oldest first."""
        told = select(deliveries.c.alert_id).where(deliveries.c.channel == channel, deliveries.c.error.is_(None))
        query = (
            select(alerts).where(alerts.c.severity >= least_severity, alerts.c.id.not_in(told)).order_by(alerts.c.id)
        )
        with self.engine.connect() as connection:
            return [_alert(row) for row in connection.execute(query)]

    def note_delivery(self, sent: Sequence[Alert], channel: Channel, recipient: str, error: str | None) -> None:
        """Keeps that alerts were sent, or why they were not."""
        now = self.clock()
        with writing(self.engine) as connection:
            for one in sent:
                row = {"alert_id": one.id, "channel": channel, "recipient": recipient, "at": now, "error": error}
                connection.execute(insert(deliveries).values(row))


def _alert(row: Row[Any]) -> Alert:
    return Alert(**row._mapping)
