"""What all rows of one HL7 v2 message share: sender, site, patient, visit, and when the sender says it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from etl.sources.clock import Moment
from etl.sources.contract import Context, Identities, Row, month_of
from etl.sources.hl7_message import Message, Segment
from etl.sources.hl7_times import MessageClock
from settings import Settings, Site

SEXES = {"F": "F", "M": "M", "O": "O", "A": "O", "N": "O", "FEMALE": "F", "MALE": "M", "OTHER": "O"}
"""HL7 table 0001 to DICOM (0010,0040): ambiguous and not applicable are `O`."""
UNKNOWN_SEXES = frozenset(("", "U", "UNKNOWN"))
DELETED_YEAR = -1


@lru_cache(maxsize=64)
def _matcher(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile(
        "|".join(f"(?P<p{n}>{fnmatch.translate(pattern.casefold())})" for n, pattern in enumerate(patterns))
    )


def not_patient(settings: Settings, ids: Iterable[str], names: Iterable[str]) -> str | None:
    """The configured phantom, service or test pattern that one of the identifiers or names matches."""
    for patterns, texts in ((settings.not_patients.ids, ids), (settings.not_patients.names, names)):
        matcher = _matcher(patterns)
        for text in texts:
            if matcher is not None and text and (match := matcher.match(text.casefold())):
                return patterns[int((match.lastgroup or "p0")[1:])]
    return None


class Sites:
    """Which site the facilities of a message mean; remembered, because a feed names few."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[tuple[str, ...], Site] = {}

    def of(self, *names: str) -> Site:
        """The site of the first name that is known, else the default site."""
        if names not in self._known:
            if len(self._known) > 1000:
                self._known.clear()
            self._known[names] = self._settings.site_of(*names)
        return self._known[names]


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


class MessageContext:
    """One message with everything that its rows share."""

    def __init__(self, message: Message, position: str, context: Context, sites: Sites) -> None:
        self.message = message
        self.position = position
        self.settings = context.settings
        self.identities = Identities(context.pseudonymiser)
        self.flags = list(message.flags)
        header = message.header
        self.visit_segment = message.first("PV1")
        facility = self.visit_segment.text(3, 4) if self.visit_segment else ""
        self.site = sites.of(header.text(4), header.text(6), facility)
        self.clock = MessageClock(self.site.zone, header.text(7), context.now, self.flags)
        self.sent_at = self.clock.moment("MSH-7", header.text(7))
        self.source_name = f"{header.text(3) or header.text(3, 2)}|{header.text(4) or header.text(4, 2)}"

    def pseudonym_of_order(self, text: str) -> str | None:
        """Pseudonym of an order, accession or appointment number."""
        return self.identities.pseudonym("order", text)

    def person(self, segment: Segment | None, field: int) -> str | None:
        """Pseudonym of a provider (XCN or NDL): the identifier where there is one, else the name."""
        if segment is None or not segment.raw(field):
            return None
        nested = segment.text(field, 1, 2) or segment.text(field, 1, 3)
        number = segment.text(field)
        parts = [segment.text(field, 1, n) for n in (2, 3)] if nested else [segment.text(field, n) for n in (2, 3)]
        name = "^".join(part for part in parts if part)
        return self.identities.pseudonym("person", number or name, name or None)

    def patient(self, segment: Segment | None) -> Row:
        """The columns about the patient that a PID segment gives."""
        if segment is None:
            return {"patient": None, "sex": None, "birth_year": None, "not_patient": None}
        ids = [one.text for one in patient_ids(segment, 3)] or [one.text for one in patient_ids(segment, 2)]
        name = "^".join(part for part in (segment.text(5), segment.text(5, 2)) if part)
        return {
            "patient": self.identities.pseudonym("patient", ids[0] if ids else None, name or None),
            "sex": self._sex(segment),
            "birth_year": DELETED_YEAR if segment.is_null(7) else self.clock.birth_year("PID-7", segment.text(7)),
            "not_patient": not_patient(self.settings, ids, [name]),
        }

    def _sex(self, segment: Segment) -> str | None:
        if segment.is_null(8):
            return ""
        written = segment.text(8).upper()
        if written not in SEXES and written not in UNKNOWN_SEXES:
            self.flags.append("PID-8: not in table 0001")
        return SEXES.get(written)

    def row(self, group: int, stated: Moment | None) -> Row:
        """The columns that every row of the message starts from."""
        at = stated.at if stated else None
        return {
            "source": "hl7",
            "source_name": self.source_name,
            "position": f"{self.position}, group {group}",
            "message_type": self.message.kind,
            "stated_at": at,
            "month": month_of(at),
            "site": self.site.code,
            "flags": self.flags,
        }

    def visit(self) -> Row:
        """The columns about the visit (PV1) and who pays (IN1)."""
        visit, insurance, patient = self.visit_segment, self.message.first("IN1"), self.message.first("PID")
        number = (visit.text(19) if visit else "") or (patient.text(18) if patient else "")
        payer = (insurance.text(4) or insurance.text(3) or insurance.text(2)) if insurance else ""
        return {
            "visit": self.identities.pseudonym("visit", number),
            "patient_class": (visit.text(2) if visit else "") or None,
            "department": (visit.text(3) if visit else "") or None,
            "payer": payer or None,
        }

    def event(self, name: str, field: str, moment: Moment | None) -> list[Row]:
        """The event as the landing row holds it; nothing where its time is unknown."""
        if moment is None:
            return []
        return [{"event": name, "at": moment.at, "precision": moment.precision, "field": field}]

    def first_moment(self, *candidates: tuple[str, str]) -> tuple[str, Moment | None]:
        """Field and instant of the first candidate `(field, text)` that is a usable time; MSH-7 is the last resort."""
        for field, text in candidates:
            if moment := self.clock.moment(field, text):
                return field, moment
        return "MSH-7", self.sent_at
