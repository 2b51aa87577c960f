"""What all rows of one HL7 v2 message share: sender, site, patient, visit, and when the sender says it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeVar

from etl.sources.clock import Moment
from etl.sources.contract import Context, Row, month_of
from etl.sources.events import EVENT_BY_NAME
from etl.sources.hl7.message import Delimiters, Message, Segment
from etl.sources.hl7.times import MessageClock, birth_year
from settings import Settings, Site
from state.identity import Identity, IdentityKind

SEXES = {"F": "F", "M": "M", "O": "O", "A": "O", "N": "O", "FEMALE": "F", "MALE": "M", "OTHER": "O"}
"""HL7 table 0001 to DICOM (0010,0040): ambiguous and not applicable are `O`."""
UNKNOWN_SEXES = frozenset(("", "U", "UNKNOWN"))
DELETED_YEAR = -1
FINE = frozenset(("us", "s", "min"))
"""Precisions that may time a step of an exam."""

_LONGEST_SH = 16
"""Characters of a DICOM short string (PS3.5 section 6.2), which (0008,0050) is."""
_REMEMBERED = 1 << 14
"""Entries of each memory of a feed; beyond, it starts anew."""
_Key = TypeVar("_Key")
_Kept = TypeVar("_Kept")
_PLACE = re.compile(r"([A-Z][A-Z0-9]{2})-(\d+)(?:\.(\d+))?")


@lru_cache(maxsize=64)
def _matcher(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile(
        "|".join(f"(?P<p{n}>{fnmatch.translate(pattern.casefold())})" for n, pattern in enumerate(patterns))
    )


@lru_cache(maxsize=1 << 14)
def _matched(patterns: tuple[str, ...], text: str) -> str | None:
    """The first pattern that the text matches."""
    matcher = _matcher(patterns)
    match = matcher.match(text.casefold()) if matcher else None
    return patterns[int((match.lastgroup or "p0")[1:])] if match else None


def not_patient(settings: Settings, ids: Iterable[str], names: Iterable[str]) -> str | None:
    """The configured phantom, service or test pattern that one of the identifiers or names matches."""
    for patterns, texts in ((settings.not_patients.ids, ids), (settings.not_patients.names, names)):
        for text in texts:
            if text and (matched := _matched(patterns, text)):
                return matched
    return None


def check_statuses(settings: Settings) -> list[str]:
    """What is wrong with `hl7.statuses`, one sentence each; empty where it can be used."""
    return [
        f"hl7.statuses: {status!r} tells of {event!r}, which is no event; use one of {', '.join(EVENT_BY_NAME)}."
        for status, event in settings.hl7.statuses.items()
        if event not in EVENT_BY_NAME
    ]


@dataclass(frozen=True)
class Authority:
    """An assigning authority: the namespace, else the universal identifier (CX.4, HD.1 and HD.2)."""

    name: str

    def is_same(self, other: Authority) -> bool:
        """Whether both name the same authority; one that is unstated is the sender's own."""
        return not self.name or not other.name or self.name == other.name


@dataclass(frozen=True)
class PatientId:
    """One identifier of a patient and who assigned it."""

    text: str
    authority: Authority


def patient_ids(segment: Segment, field: int) -> list[PatientId]:
    """The identifiers of a CX field that have a value, in the order of its repetitions."""
    found = []
    for value in segment.repetitions(field):
        if text := segment.part(value):
            name = segment.part(value, 4) or segment.part(value, 4, 2)
            found.append(PatientId(text, Authority(name.casefold())))
    return found


class Sender(NamedTuple):
    """Who sent a message, and for which site."""

    site: Site
    name: str


class PatientSaid(NamedTuple):
    """What a PID segment says: the columns, the identifier for the vault, and doubts."""

    columns: Row
    identity: Identity | None
    flags: list[str]


class Feed:
    """What holds for all messages of a load: the settings made ready to ask, and what is said again and again."""

    def __init__(self, context: Context) -> None:
        self.settings = context.settings
        self.now = context.now
        hl7 = context.settings.hl7
        self.processing_ids = frozenset(hl7.processing_ids)
        self.imaging_sections = frozenset(name.casefold() for name in hl7.imaging_sections)
        self.preliminary_statuses = frozenset(status.upper() for status in hl7.preliminary_statuses)
        self.statuses = {status.strip().upper(): event for status, event in hl7.statuses.items()}
        places = (_PLACE.fullmatch(place) for place in hl7.accession_fields)
        self.accession_places = [(place[1], int(place[2]), int(place[3] or 1)) for place in places if place]
        self._pseudonymiser = context.pseudonymiser
        self._senders: dict[tuple[str, ...], Sender] = {}
        self._numbers: dict[tuple[str, str], Identity | None] = {}
        self._people: dict[tuple[str, Delimiters], Identity | None] = {}
        self._patients: dict[tuple[str, Delimiters], PatientSaid] = {}

    def sender(self, header: Segment, visit: Segment) -> Sender:
        """Application and facility that sent the message, and the site that a facility in it means."""
        key = header.raw(3), header.raw(4), header.raw(6), visit.raw(3), header.raw(2)
        found = self._senders.get(key)
        if found is None:
            site = self.settings.site_of(header.text(4), header.text(6), visit.text(3, 4))
            name = f"{header.text(3) or header.text(3, 2)}|{header.text(4) or header.text(4, 2)}"
            found = _kept(self._senders, key, Sender(site, name))
        return found

    def identity(self, kind: IdentityKind, text: str, name: str | None = None) -> Identity | None:
        """The identifier beside its pseudonym; None where it is blank."""
        pseudonym = self._pseudonymiser.pseudonym(kind, text)
        return Identity(kind, pseudonym, text, name) if pseudonym else None

    def number(self, text: str, site: str) -> Identity | None:
        """An order, accession, placer or filler number in the form that is compared."""
        key = text, site
        if key in self._numbers:
            return self._numbers[key]
        return _kept(self._numbers, key, self.identity("order", self.settings.matching.number(text, site)))

    def person(self, segment: Segment, field: int) -> Identity | None:
        """A provider (XCN or NDL): the identifier where there is one, else the name."""
        key = segment.raw(field), segment.delimiters
        if key in self._people:
            return self._people[key]
        nested = segment.text(field, 1, 2) or segment.text(field, 1, 3)
        number = segment.text(field)
        parts = [segment.text(field, 1, n) for n in (2, 3)] if nested else [segment.text(field, n) for n in (2, 3)]
        name = "^".join(part for part in parts if part)
        return _kept(self._people, key, self.identity("person", number or name, name or None))

    def patient(self, segment: Segment) -> PatientSaid:
        """What a PID segment says; an exam's messages repeat it."""
        key = segment.line, segment.delimiters
        return self._patients.get(key) or _kept(self._patients, key, self._patient(segment))

    def _patient(self, segment: Segment) -> PatientSaid:
        ids = [one.text for one in patient_ids(segment, 3)] or [one.text for one in patient_ids(segment, 2)]
        name = "^".join(part for part in (segment.text(5), segment.text(5, 2)) if part)
        identity = self.identity("patient", ids[0], name or None) if ids else None
        written = segment.text(8).upper()
        flags = [] if written in SEXES or written in UNKNOWN_SEXES else ["PID-8: not in table 0001"]
        year, doubt = (DELETED_YEAR, None) if segment.is_null(7) else birth_year(segment.text(7), self.now)
        if doubt:
            flags.append(f"PID-7: {doubt}")
        columns = {
            "patient": identity.pseudonym if identity else None,
            "sex": "" if segment.is_null(8) else SEXES.get(written),
            "birth_year": year,
            "not_patient": not_patient(self.settings, ids, [name]),
        }
        return PatientSaid(columns, identity, flags)


def _kept(memory: dict[_Key, _Kept], key: _Key, value: _Kept) -> _Kept:
    """The value, remembered; a full memory starts anew, so that its size is bounded."""
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[key] = value
    return value


class MessageContext:
    """One message with everything that its rows share."""

    def __init__(self, message: Message, position: str, feed: Feed) -> None:
        self.message = message
        self.position = position
        self.feed = feed
        self.identities: list[Identity] = []
        self.flags = list(message.flags)
        header = message.header
        self.type, self.trigger = header.text(9), header.text(9, 2)
        self.kind = f"{self.type}^{self.trigger}" if self.trigger else self.type
        self.visit_segment = message.first("PV1")
        self.site, self.source_name = feed.sender(header, self.visit_segment)
        self.clock = MessageClock(self.site.zone, header.text(7), feed.now, self.flags)
        self.sent_at = self.clock.moment("MSH-7", header.text(7))

    def _pseudonym(self, identity: Identity | None) -> str | None:
        """The pseudonym of an identifier, which the vault will keep."""
        if identity is None:
            return None
        self.identities.append(identity)
        return identity.pseudonym

    def pseudonym(self, kind: IdentityKind, text: str) -> str | None:
        """The pseudonym of an identifier; None where it is blank."""
        return self._pseudonym(self.feed.identity(kind, text)) if text else None

    def number(self, text: str) -> str | None:
        """Pseudonym of an order, accession, placer or filler number in the form that is compared."""
        return self._pseudonym(self.feed.number(text, self.site.code)) if text else None

    def cut_number(self, text: str) -> str | None:
        """Pseudonym of what DICOM holds of an accession number of more than 16 characters (SH); None of a shorter one."""
        return self.number(text[:_LONGEST_SH]) if len(text) > _LONGEST_SH else None

    def appointment(self, text: str) -> str | None:
        """Pseudonym of an appointment's own number, which no order number can equal."""
        return self.pseudonym("order", f"SCH:{self.feed.settings.matching.number(text, self.site.code)}")

    def person(self, segment: Segment, field: int) -> str | None:
        """Pseudonym of a provider (XCN or NDL); None where the field is empty."""
        return self._pseudonym(self.feed.person(segment, field)) if segment.raw(field) else None

    def patient(self, segment: Segment) -> Row:
        """The columns about the patient that a PID segment gives."""
        if not segment:
            return {"patient": None, "sex": None, "birth_year": None, "not_patient": None}
        said = self.feed.patient(segment)
        self._pseudonym(said.identity)
        self.flags += [flag for flag in said.flags if flag not in self.flags]
        return said.columns

    def row(self, group: int, stated: Moment | None) -> Row:
        """The columns that every row of the message starts from."""
        at = stated.at if stated else None
        return {
            "source": "hl7",
            "source_name": self.source_name,
            "position": f"{self.position}, group {group}",
            "message_type": self.kind,
            "stated_at": at,
            "month": month_of(at),
            "site": self.site.code,
            "flags": self.flags,
        }

    def visit(self) -> Row:
        """The columns about the visit (PV1) and who pays (IN1)."""
        visit, insurance = self.visit_segment, self.message.first("IN1")
        return {
            "visit": self.pseudonym("visit", visit.text(19) or self.message.first("PID").text(18)),
            "patient_class": visit.text(2) or None,
            "department": visit.text(3) or None,
            "payer": insurance.text(4) or insurance.text(3) or insurance.text(2) or None,
        }

    def event(self, name: str, field: str, moment: Moment | None) -> list[Row]:
        """The event as the landing row holds it; nothing where its time is unknown."""
        if moment is None:
            return []
        return [{"event": name, "at": moment.at, "precision": moment.precision, "field": field}]

    def fine_event(self, name: str, field: str, moment: Moment | None) -> list[Row]:
        """The event where its time is written to the minute: a date alone must not become midnight."""
        return self.event(name, field, moment) if moment and moment.precision in FINE else []

    def first_moment(self, *candidates: tuple[str, str]) -> tuple[str, Moment | None]:
        """Field and instant of the first candidate `(field, text)` that is a usable time; MSH-7 is the last resort."""
        for field, text in candidates:
            if moment := self.clock.moment(field, text):
                return field, moment
        return "MSH-7", self.sent_at

    def local_event(self, *statuses: str) -> str | None:
        """The event that the configuration says one of the statuses tells of (`hl7.statuses`)."""
        known = self.feed.statuses
        return next((known[status.upper()] for status in statuses if status.upper() in known), None) if known else None
