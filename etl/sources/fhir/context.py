"""What all rows of one FHIR resource share: where it comes from, site, patient, visit, and who named what.

Identifiers are typed by HL7 table 0203: ACSN accession, PLAC placer, FILL filler, MR medical record, VN visit number.
A resource that has no such number is known by its name (`etl.sources.fhir.references`), of which a pseudonym is made
just as of a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal

from etl.sources.clock import Moment
from etl.sources.contract import Context, Identities, Reject, Row, month_of
from etl.sources.fhir.references import Reference, Scope, own_key, references
from etl.sources.fhir.values import BadResourceError, Element, FhirClock, Identifier
from etl.sources.hl7.context import not_patient
from settings import FhirSource

SYSTEM_OF_STUDIES = "urn:dicom:uid"
STATED = (
    "meta.lastUpdated", "issued", "authoredOn", "sent", "created", "performedPeriod.end", "performedDateTime",
    "started", "enteredDate", "period.end", "period.start",
)  # fmt: skip
"""When a resource was stated; the first that it has."""
_PLACES = (
    "managingOrganization", "serviceProvider", "performingOrganization", "location", "location.location",
    "locationReference", "performer", "performer.actor", "participant.actor",
)  # fmt: skip
"""References whose display may name the site."""
_NO_PATIENT_NUMBERS = frozenset(("SS", "DL", "PPN", "TAX", "NPI", "SB", "MB", "HC"))
_UID = re.compile(r"(?=.{3,64}$)[0-2](?:\.(?:0|[1-9]\d*))+", re.ASCII)
_CUT = 16
"""DICOM (0008,0050) is an SH of 16 characters."""
_MAX_AMOUNT = Decimal(10) ** 14


@dataclass(frozen=True)
class Origin:
    """Where a resource was found."""

    position: str
    full_url: str
    scope: Scope
    source: FhirSource | None
    """The configured source that it was pulled from."""


@dataclass
class OrderNames:
    """The numbers by which statements about one exam meet."""

    accession: str = ""
    filler: str = ""
    placer: str = ""
    study_uid: str = ""
    requests: list[str] = field(default_factory=list)
    """Names of the requests (ServiceRequest) that it answers."""


def typed(identifiers: list[Identifier], kind: str) -> str:
    """The value of the first identifier of a type; empty without one."""
    return next((one.value for one in identifiers if kind in one.types), "")


class ResourceContext:
    """One resource with everything that its rows share.

    Raises:
        BadResourceError: an element has another type than FHIR gives it.
    """

    def __init__(self, resource: Element, origin: Origin, context: Context) -> None:
        self.resource = resource
        self.type = resource.text("resourceType")
        self.origin = origin
        self.settings = context.settings
        self.identities = Identities(context.pseudonymiser)
        self.flags: list[str] = []
        self.key = own_key(resource, origin.full_url, origin.scope)
        named = [place.text("display") for path in _PLACES for place in resource.objects(path)]
        self.site = context.settings.site_of(*named, origin.source.site if origin.source else None)
        self.clock = FhirClock(self.site.zone, context.now, self.flags)
        _, self.stated = self.first_moment(*STATED)
        self._accession_systems = {
            system
            for source in context.settings.sources
            if isinstance(source, FhirSource)
            for system in source.accession_systems
        }

    def references(self, path: str) -> list[Reference]:
        """The references at a path."""
        return references(self.resource, path, self.origin.scope)

    def first_moment(self, *paths: str) -> tuple[str, Moment | None]:
        """Path and instant of the first path that has a usable time."""
        for path in paths:
            where = f"{self.type}.{path}"
            for text in self.resource.texts(path):
                if moment := self.clock.moment(where, text):
                    return where, moment
        return "", None

    # -- names -------------------------------------------------------------------------------------------------------

    def order_names(self, identifiers: list[Identifier], requests: list[Reference]) -> OrderNames:
        """The numbers that the resource's own identifiers and its references to requests give."""
        names = OrderNames(requests=list(dict.fromkeys(one.key for one in requests if one.key)))
        for group in (identifiers, [identifier for one in requests for identifier in one.identifiers]):
            accession = typed(group, "ACSN") or next(
                (one.value for one in group if one.system in self._accession_systems), ""
            )
            names.accession = names.accession or accession
            names.filler = names.filler or typed(group, "FILL")
            names.placer = names.placer or typed(group, "PLAC")
            names.study_uid = names.study_uid or study_uid(group)
        return names

    def number(self, text: str) -> str | None:
        """Pseudonym of an accession, filler or placer number, in the form that numbers are compared in."""
        return self.identities.pseudonym("order", self.settings.matching.number(text, self.site.code))

    def name(self, key: str) -> str | None:
        """Pseudonym of a resource's name where it stands for an order number."""
        return self.identities.pseudonym("order", key)

    def order_columns(self, names: OrderNames) -> list[Row]:
        """The key columns: one row, or one more for each further name of the order.

        The filler's number is the accession number where no other is stated, as it is in most hospitals. Requests stand
        in `filler` beside it: whatever names a request without a number of its own then meets the exam.
        """
        stated = names.accession or names.filler
        shared: Row = {
            "accession": self.number(stated),
            "accession_cut": self.number(stated[:_CUT]) if len(stated) > _CUT else None,
            "placer": self.number(names.placer),
            "study_uid": names.study_uid or None,
        }
        fillers = [self.number(names.filler)] if names.filler else []
        fillers += [self.name(key) for key in names.requests]
        return [{**shared, "filler": filler} for filler in fillers or [None]]

    def patient(self, path: str) -> Row:
        """The columns about the patient that a reference names; of participants the one that is said to be a patient."""
        possible = {"Patient"} if path == "participant.actor" else {"Patient", ""}
        for one in self.references(path):
            if one.type in possible and (number := patient_number(one.identifiers) or one.key):
                last = one.key.rsplit("/", 1)[-1]
                return {
                    "patient": self.identities.pseudonym("patient", number, one.display or None),
                    "not_patient": not_patient(self.settings, [number, last], [one.display]),
                }
        return {"patient": None, "not_patient": None}

    def visit(self, path: str) -> str | None:
        """Pseudonym of the visit that a reference names."""
        for one in self.references(path):
            if number := visit_number(one.identifiers) or one.key:
                return self.identities.pseudonym("visit", number)
        return None

    def person(self, *paths: str) -> str | None:
        """Pseudonym of the first person that one of the paths refers to: identifier, else name of the resource."""
        for path in paths:
            for one in self.references(path):
                if one.type in {"Practitioner", "PractitionerRole", ""}:
                    number = next((identifier.value for identifier in one.identifiers), "") or one.key or one.display
                    if made := self.identities.pseudonym("person", number, one.display or None):
                        return made
        return None

    # -- rows --------------------------------------------------------------------------------------------------------

    def row(self, part: str = "") -> Row:
        """The columns that every row of the resource starts from."""
        at = self.stated.at if self.stated else None
        return {
            "source": "fhir",
            "source_name": self.source_name,
            "position": f"{self.origin.position}{part}",
            "message_type": self.type,
            "stated_at": at,
            "month": month_of(at),
            "site": self.site.code,
            "flags": self.flags,
        }

    @property
    def source_name(self) -> str:
        """The configured source, else the server's base."""
        return self.origin.source.name if self.origin.source else self.origin.scope.base

    def status(self, known: frozenset[str]) -> str:
        """The resource's status; one that FHIR does not know is flagged and moves nothing."""
        status = self.resource.text("status")
        if status not in known:
            self.flags.append(f"{self.type}.status: {'missing' if not status else 'not in its value set'}")
        return status

    def amount(self, path: str) -> Decimal | None:
        """An exact amount, at most four places; one beyond the column's range is null and flagged."""
        value = self.resource.number(path)
        if value is None:
            return None
        if abs(value) >= _MAX_AMOUNT:
            self.flags.append(f"{self.type}.{path}: implausible-number")
            return None
        return round(value, 4)


def study_uid(identifiers: list[Identifier]) -> str:
    """The Study Instance UID: system `urn:dicom:uid`, or a value that says `urn:oid:` itself (ImagingStudy, R4)."""
    for one in identifiers:
        plain = one.value.removeprefix("urn:oid:")
        if (one.system == SYSTEM_OF_STUDIES or plain != one.value) and _UID.fullmatch(plain):
            return plain
    return ""


def patient_number(identifiers: list[Identifier]) -> str:
    """The patient's number: a medical record number, else the first that is not another kind of number."""
    plain = [one.value for one in identifiers if not one.types & _NO_PATIENT_NUMBERS and one.use != "old"]
    return typed(identifiers, "MR") or next(iter(plain), "")


def visit_number(identifiers: list[Identifier]) -> str:
    """The visit's number: typed VN, else the first without a type."""
    return typed(identifiers, "VN") or next((one.value for one in identifiers if not one.types), "")


def refused(reason: str, message: str, remedy: str, path: str) -> BadResourceError:
    """A resource that gives nothing, with the path that is at fault."""
    return BadResourceError(Reject(reason, message, remedy, path))
