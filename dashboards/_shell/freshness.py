"""How fresh the data is: for the header of every page, the banner, and the data page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from dashboards._shell import numbers
from settings import Freshness, Settings
from warehouse.engines import Star
from warehouse.schema import fact_load_run

SOURCE_NAMES = {
    "dicom": "DICOM images", "rdsr": "Dose reports", "hl7": "HL7 messages", "siu": "Appointments", "mpps": "Procedure steps",
    "extract": "Extracts", "fhir": "FHIR resources", "mwl": "Worklist", "sql": "Databases", "calendar": "Calendars", "unknown": "Not recognised",
}  # fmt: skip


@dataclass(frozen=True)
class SourceFreshness:
    """How fresh one kind of source is."""

    source: str
    newest_event_at: datetime | None
    limit: timedelta | None
    """Absent for what is written once and holds until it is changed."""
    now: datetime

    @property
    def name(self) -> str:
        """The kind of source as people know it."""
        return SOURCE_NAMES.get(self.source, self.source)

    @property
    def age(self) -> timedelta | None:
        """Since its newest event."""
        return None if self.newest_event_at is None else self.now - self.newest_event_at

    @property
    def limit_words(self) -> str:
        """`limit 24 h`, or that there is none."""
        return "no limit" if self.limit is None else f"limit {self.limit.total_seconds() / 3600:.0f} h"

    @property
    def is_stale(self) -> bool:
        """Whether its newest event is older than the limit."""
        return self.age is not None and self.limit is not None and self.age > self.limit


def limit_of(source: str, freshness: Freshness) -> timedelta | None:
    """The age from which a kind of source counts as stale; none for calendars, which hold until they are changed.

    What streams (HL7, appointments, procedure steps) has the limit of messages; what is fetched or handed over now and
    then (extracts, FHIR, databases, worklists, which are empty over a weekend) has that of extracts.
    """
    if source == "calendar":
        return None
    if source in {"dicom", "rdsr"}:
        return timedelta(hours=freshness.dicom_hours)
    return timedelta(hours=freshness.hl7_hours if source in {"hl7", "siu", "mpps"} else freshness.extract_hours)


def source_freshness(star: Star, settings: Settings, now: datetime) -> list[SourceFreshness]:
    """Each kind of source that ever gave something, the stalest first."""
    run = fact_load_run.c
    query = (
        select(run.source, func.max(run.newest_event_at))
        .where(run.source != "unknown")
        .group_by(run.source)
        .order_by(run.source)
    )
    found = [
        SourceFreshness(source, newest, limit_of(source, settings.freshness), now)
        for source, newest in star.frame(query).iter_rows()
    ]
    return sorted(found, key=lambda each: (each.newest_event_at or now, each.source))


def loaded_sentence(star: Star, settings: Settings, now: datetime | None = None) -> str:
    """`Data to 16 Nov 2026 06:00 · loaded 12 min ago`."""
    publication = star.publication
    made_at = datetime.fromisoformat(publication.made_at)
    made = numbers.ago((now or datetime.now(UTC)) - (made_at if made_at.tzinfo else made_at.replace(tzinfo=UTC)))
    if publication.as_of is None:
        return f"No exam yet · loaded {made}"
    return f"Data to {numbers.moment(publication.as_of, settings.site_of().zone)} · loaded {made}"


def stale_sentence(found: list[SourceFreshness], settings: Settings) -> str | None:
    """What is stale, in words; None where nothing is."""
    zone = settings.site_of().zone
    parts = [
        f"{each.name}: nothing newer than {numbers.moment(each.newest_event_at, zone)}, {numbers.ago(each.age)} ({each.limit_words})"
        for each in found
        if each.is_stale and each.newest_event_at is not None and each.age is not None
    ]
    return "; ".join(parts) or None
