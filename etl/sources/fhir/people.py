"""FHIR Patient to `patient` rows, and Encounter to `workflow` rows that name a visit alone.

FHIR R4 sections 8.1 (Patient, link) and 8.11 (Encounter). Other resources name a patient as `Patient/1` while messages
and images carry the record number: a Patient resource says that both are one, which is a merge of the two pseudonyms.
"""

from __future__ import annotations

from etl.sources.contract import Row
from etl.sources.fhir.context import ResourceContext, patient_number, refused, visit_number
from etl.sources.fhir.events import STATUSES, event
from etl.sources.hl7.context import not_patient

SEXES = {"male": "M", "female": "F", "other": "O"}
EMERGENCY = frozenset(("EMER", "E"))
"""`Encounter.class`: v3 ActCode, and HL7 table 0004 as v2 interfaces write it."""
AMBULATORY = frozenset(("AMB", "O", "SS"))
CAME = frozenset(("arrived", "triaged", "in-progress", "onleave", "finished", "unknown"))
"""Statuses of an encounter that has begun."""


def patient_rows(context: ResourceContext) -> dict[str, list[Row]]:
    """One `patient` row, and one for each identity that a link ends.

    Raises:
        BadResourceError: the patient has neither an id nor a number, or an element has a wrong type.
    """
    resource, identifiers = context.resource, context.resource.identifiers()
    number = patient_number(identifiers)
    name = _name(context)
    patient = context.identities.pseudonym("patient", number or context.key, name or None)
    if patient is None:
        raise refused(
            "no-patient-id",
            "The patient has neither an id nor a number.",
            "Have the sender write the id.",
            "Patient.id",
        )
    named = context.identities.pseudonym("patient", context.key, name or None) if number else None
    about: Row = {
        **context.row(),
        "sex": _sex(context),
        "birth_year": context.clock.birth_year("Patient.birthDate", resource.text("birthDate")),
        "not_patient": not_patient(
            context.settings, [*(one.value for one in identifiers), resource.text("id")], [name, name.replace("^", " ")]
        ),
    }
    rows = [{**about, "patient": patient, "merged": named if named != patient else None}]
    for survivor, ended in _links(context, patient):
        place = f"{context.origin.position}, link {len(rows)}"
        rows.append({**about, "position": place, "patient": survivor, "merged": ended})
    return {"patient": rows}


def _name(context: ResourceContext) -> str:
    """Family and given name as HL7 and DICOM write them."""
    for one in context.resource.objects("name"):
        parts = [one.text("family"), *one.texts("given")]
        if written := "^".join(part for part in parts if part) or one.text("text"):
            return written
    return ""


def _sex(context: ResourceContext) -> str | None:
    gender = context.resource.text("gender")
    if gender and gender not in SEXES and gender != "unknown":
        context.flags.append("Patient.gender: not in its value set")
    return SEXES.get(gender)


def _links(context: ResourceContext, patient: str) -> list[tuple[str, str]]:
    """Pairs of surviving and ended identity."""
    pairs = []
    for kind, other in _linked(context):
        if other is not None and other != patient:
            pairs.append((other, patient) if kind == "replaced-by" else (patient, other))
    return pairs


def _linked(context: ResourceContext) -> list[tuple[str, str | None]]:
    found = []
    links = context.resource.objects("link")
    others = context.references("link.other")
    if len(links) != len(others):
        context.flags.append("Patient.link.other: missing, no link was taken")
        return []
    for link, other in zip(links, others, strict=True):
        kind = link.text("type")
        if kind in {"replaced-by", "replaces"}:
            number = patient_number(other.identifiers) or other.key
            found.append((kind, context.identities.pseudonym("patient", number, other.display or None)))
    return found


def visit_rows(context: ResourceContext) -> dict[str, list[Row]]:
    """One `workflow` row for each name of the visit: the encounter's, by which resources refer to it, and its number.

    Raises:
        BadResourceError: the encounter has neither an id nor a number, or an element has a wrong type.
    """
    resource, status = context.resource, context.status(STATUSES["Encounter"])
    names = [name for name in (context.key, visit_number(resource.identifiers())) if name]
    if not names:
        raise refused(
            "no-visit", "The encounter has neither an id nor a number.", "Have the sender write the id.", "Encounter.id"
        )
    kind = resource.text("class.code")
    shared: Row = {
        **context.patient("subject"),
        "order_status": status or None,
        "imaging": None,
        "patient_class": kind or None,
        "department": resource.words("serviceType") or resource.text("location.location.display") or None,
        "events": _events(context, kind.upper(), status),
    }
    rows = [
        {
            **context.row(f", visit {place}" if place > 1 else ""),
            **shared,
            "visit": context.identities.pseudonym("visit", name),
        }
        for place, name in enumerate(dict.fromkeys(names), 1)
    ]
    return {"workflow": rows}


def _events(context: ResourceContext, kind: str, status: str) -> list[Row]:
    """The door of an emergency visit, also of one that went on as another class, and the arrival of an ambulatory one."""
    found: list[Row] = []
    if kind in EMERGENCY and status in CAME:
        path, moment = context.first_moment("period.start")
        if moment:
            found.append(event("emergency_arrival", path, moment.at, moment.precision))
    for stay in context.resource.objects("classHistory") if kind not in EMERGENCY else []:
        path = "Encounter.classHistory.period.start"
        was = stay.text("class.code").upper()
        if was in EMERGENCY and (moment := context.clock.moment(path, stay.text("period.start"))):
            found.append(event("emergency_arrival", path, moment.at, moment.precision))
    for stay in context.resource.objects("statusHistory") if kind in AMBULATORY else []:
        path = "Encounter.statusHistory.period.start"
        if stay.text("status") == "arrived" and (moment := context.clock.moment(path, stay.text("period.start"))):
            found.append(event("patient_arrived", path, moment.at, moment.precision))
    return found
