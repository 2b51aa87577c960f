"""FHIR resources about an exam to `workflow` rows: one a request, appointment, study, procedure, report, charge or call.

A resource that answers several requests, or whose order has a further name, gives one row for each: see
`ResourceContext.order_columns`.
"""

from __future__ import annotations

from hashlib import sha256

from etl.sources.contract import Row
from etl.sources.fhir.context import OrderNames, ResourceContext, refused
from etl.sources.fhir.events import STATUSES, events
from etl.sources.fhir.references import Reference
from etl.sources.fhir.values import Coding, Element

IMAGING_CODES = frozenset(
    (("SCT", "363679005"), ("SCT", "394914008"), ("SCT", "408455009"), ("LN", "LP29684-5"), ("LN", "18748-4"))
)
"""Imaging, radiology and interventional radiology (SNOMED CT), radiology and diagnostic imaging study (LOINC): the
categories of US Core, of the International Patient Summary and of the value set c80-practice-codes."""
IMAGING_WORDS = frozenset(("imaging", "radiology"))
SECTION_SYSTEMS = ("v2-0074", "HL70074", "0074")
"""Ends of the system's name of HL7 table 0074, as v2 converters write it."""
GENERAL_CODES = frozenset((("SCT", "103693007"), ("SCT", "71388002"), ("SCT", "386053000")))
"""Diagnostic procedure, procedure, evaluation procedure: they say neither."""
NO_MODALITIES = frozenset(("SR", "PR", "KO", "SEG", "REG", "DOC", "OT", "PLAN", "RWV", "FID", "M3D"))
"""Modalities of objects that no scanner acquires."""
PUBLIC_SCHEMES = ("LN", "RADLEX", "SCT")
"""Public schemes of procedures, best first."""

REQUESTS = {
    "Appointment": "basedOn",
    "ImagingStudy": "basedOn",
    "Procedure": "basedOn",
    "DiagnosticReport": "basedOn",
    "ChargeItem": "service",
    "Communication": "basedOn",
}
"""Where a resource names the requests that it answers."""
OTHERS = {
    "ImagingStudy": "procedureReference",
    "DiagnosticReport": "imagingStudy",
    "ChargeItem": "service",
    "Communication": "about",
}
"""Where it names another resource about the exam."""
NO_ORDERS = frozenset(("proposal", "plan", "option"))
"""`ServiceRequest.intent` of what is no order yet."""
POSTED = frozenset(("billable", "billed"))
REVERSED = frozenset(("aborted", "entered-in-error"))


class UnusedResourceError(Exception):
    """A resource is right and says nothing about an exam."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def exam_rows(context: ResourceContext) -> dict[str, list[Row]]:
    """The `workflow` rows of a resource.

    Raises:
        BadResourceError: it names no exam, or an element has a wrong type.
        UnusedResourceError: it says nothing about an exam.
    """
    status = context.status(STATUSES[context.type])
    _refuse_unused(context, status)
    names, others = _names(context)
    shared: Row = {
        **context.patient("participant.actor" if context.type == "Appointment" else "subject"),
        "visit": context.visit("context" if context.type == "ChargeItem" else "encounter"),
        "procedure_request": context.name(next((one.key for one in others if one.key), context.key)),
        "order_status": status or None,
        "imaging": _imaging(context, names),
        "events": events(context, status),
        **_procedure(context),
        **_COLUMNS[context.type](context, status),
    }
    numbers = context.order_columns(names)
    if context.type == "DiagnosticReport" and not any(numbers[0].values()):
        numbers[0]["placer"] = context.name(context.key)  # an exam of its own until the study that it names is known
    if context.type == "ChargeItem":
        numbers = numbers[:1]  # one amount counts once, whatever it is for
    rows = []
    for place, columns in enumerate(numbers, 1):
        part = f", order {place}" if place > 1 else ""
        rows.append({**context.row(part), **shared, **columns})
        if place > 1 and columns["accession"]:
            rows[-1]["events"] = []  # a further name of the same exam
    return {"workflow": rows}


def _refuse_unused(context: ResourceContext, status: str) -> None:
    if context.type == "ServiceRequest" and context.resource.text("intent") in NO_ORDERS:
        raise UnusedResourceError("no-order", "The request is a proposal, a plan or an option and no order.")
    if context.type == "ChargeItem" and status not in POSTED | REVERSED:
        raise UnusedResourceError("no-charge", "The charge was not posted: its status is neither billable nor billed.")
    if context.type == "Communication" and not (context.references("about") or context.references("basedOn")):
        raise UnusedResourceError("no-exam", "The communication is about no report, study or order.")


def _names(context: ResourceContext) -> tuple[OrderNames, list[Reference]]:
    """The numbers of the exam, and references to other resources about it."""
    resource, kind = context.resource, context.type
    identifiers = resource.identifiers()
    if kind == "ServiceRequest":
        own = [Reference(kind, context.key, [], "")]
        return _refuse_nameless(context, context.order_names(identifiers, own), []), []
    asked = context.references(REQUESTS[kind])
    others = context.references(OTHERS[kind]) if kind in OTHERS else []
    requests = [one for one in [*asked, *others] if one.type in {"ServiceRequest", ""}]
    others = [one for one in others if one not in requests]
    names = context.order_names(identifiers, requests)
    is_numbered = bool(names.accession or names.filler or names.placer or names.requests)
    if not is_numbered and (kind == "ImagingStudy" or not (others or names.study_uid)):
        names.requests = [context.key]
    return _refuse_nameless(context, names, others), others


def _refuse_nameless(context: ResourceContext, names: OrderNames, others: list[Reference]) -> OrderNames:
    names.requests = [key for key in names.requests if key]
    is_named = any(one.key for one in others)
    if not (names.accession or names.filler or names.placer or names.study_uid or names.requests or is_named):
        raise refused(
            "no-order-number",
            f"{context.type} has no id, no accession, placer or filler number, and names no request.",
            "Have the sender write the resource's id.",
            f"{context.type}.id",
        )
    return names


# -- what it is ------------------------------------------------------------------------------------------------------------


def _imaging(context: ResourceContext, names: OrderNames) -> bool | None:
    """Whether the resource says that it is about imaging; None where it says nothing and belongs to an order.

    A server has the procedures and reports of the whole hospital: one that names no order and says nothing is none of
    imaging.
    """
    if context.type == "ImagingStudy" or names.study_uid:
        return True
    resource = context.resource
    category = resource.codings("serviceCategory" if context.type == "Appointment" else "category")
    if any(_is_imaging(context, one) for one in category):
        return True
    if any(one.scheme in {"RADLEX", "DCM"} for one in [*category, *_procedure_codings(context)]):
        return True
    if any((one.scheme, one.code) not in GENERAL_CODES for one in category):
        return False
    is_ordered = context.type in {"ServiceRequest", "ChargeItem", "Communication"} or any(
        key != context.key for key in names.requests
    )
    return None if is_ordered or names.accession or names.placer or names.filler else False


def _is_imaging(context: ResourceContext, category: Coding) -> bool:
    if (category.scheme, category.code) in IMAGING_CODES or category.code.casefold() in IMAGING_WORDS:
        return True
    is_section = not category.system or category.system.endswith(SECTION_SYSTEMS)
    sections = {name.casefold() for name in context.settings.hl7.imaging_sections}
    return is_section and category.code.casefold() in sections


def _procedure_path(context: ResourceContext) -> str:
    return {"ImagingStudy": "procedureCode", "Appointment": "serviceType"}.get(context.type, "code")


def _procedure_codings(context: ResourceContext) -> list[Coding]:
    return [] if context.type in {"ChargeItem", "Communication"} else context.resource.codings(_procedure_path(context))


def _procedure(context: ResourceContext) -> Row:
    """Procedure as the hospital calls it, and its code in a public scheme."""
    codings = [one for one in _procedure_codings(context) if one.code]
    local = next((one for one in codings if one.scheme not in PUBLIC_SCHEMES), next(iter(codings), None))
    ranked = sorted(
        (one for one in codings if one.scheme in PUBLIC_SCHEMES), key=lambda one: PUBLIC_SCHEMES.index(one.scheme)
    )
    public = next(iter(ranked), None)
    words = (
        context.resource.words(_procedure_path(context)) if context.type not in {"ChargeItem", "Communication"} else ""
    )
    return {
        "procedure_code": local.code if local else None,
        "procedure_scheme": (local.scheme if local else "") or None,
        "procedure_text": words or None,
        "standard_code": public.code if public else None,
        "standard_scheme": public.scheme if public else None,
    }


def _modality(codings: list[Coding]) -> str | None:
    """The scanner's modality; of PET with CT or MR the PET."""
    codes = [one.code.upper() for one in codings if one.code and one.code.upper() not in NO_MODALITIES]
    return "PT" if "PT" in codes else next(iter(codes), None)


def _dicom_codings(resource: Element, *paths: str) -> list[Coding]:
    return [one for path in paths for one in resource.codings(path) if one.scheme == "DCM"]


def _reason(resource: Element, path: str) -> Row:
    coding = next(iter(resource.codings(path)), None)
    return {"reason_code": (coding.code if coding else "") or None, "reason_text": resource.words(path) or None}


# -- columns of each resource ----------------------------------------------------------------------------------------------


def _request(context: ResourceContext, status: str) -> Row:  # noqa: ARG001  # all have one signature
    resource = context.resource
    return {
        "priority": resource.text("priority") or None,
        "modality": _modality(_dicom_codings(resource, "category", "orderDetail", "code")),
        "body_part": resource.words("bodySite") or None,
        "referrer": context.person("requester"),
    }


def _appointment(context: ResourceContext, status: str) -> Row:  # noqa: ARG001
    resource = context.resource
    actors = context.references("participant.actor")
    stations = [
        one.display for kind in ("Device", "Location", "HealthcareService") for one in actors if one.type == kind
    ]
    return {
        "appointment": context.name(context.key),
        "scheduled_minutes": _minutes(context),
        "station": next((name for name in stations if name), None),
        **_reason(resource, "cancelationReason"),
    }


def _minutes(context: ResourceContext) -> float | None:
    """Booked length: `minutesDuration`, else from start to end."""
    stated = context.resource.number("minutesDuration")
    if stated is not None:
        return float(stated) if 0 < stated <= 24 * 60 else None
    _, start = context.first_moment("start")
    _, end = context.first_moment("end")
    minutes = (end.at - start.at).total_seconds() / 60 if start and end else 0
    return minutes if 0 < minutes <= 24 * 60 else None


def _study(context: ResourceContext, status: str) -> Row:  # noqa: ARG001
    resource = context.resource
    modalities = [
        Coding(one.text("system"), one.text("code"), "")
        for path in ("modality", "series.modality")
        for one in resource.objects(path)
    ]
    sites = [one.text("display") for one in resource.objects("series.bodySite")]
    devices = [one.display for one in context.references("series.performer.actor") if one.type == "Device"]
    station = next((name for name in devices if name), "") or resource.text("location.display")
    return {
        "modality": _modality(modalities),
        "body_part": next((site for site in sites if site), None),
        "station": station or None,
        "referrer": context.person("referrer"),
        "reader": context.person("interpreter"),
        "procedure_text": resource.words("procedureCode") or resource.text("description") or None,
    }


def _performed(context: ResourceContext, status: str) -> Row:  # noqa: ARG001
    resource = context.resource
    return {
        "modality": _modality(_dicom_codings(resource, "category", "code")),
        "body_part": resource.words("bodySite") or None,
        "station": resource.text("location.display") or None,
        "technologist": context.person("performer.actor"),
        **_reason(resource, "statusReason"),
    }


def _report(context: ResourceContext, status: str) -> Row:
    resource = context.resource
    if status == "entered-in-error":
        context.flags.append("DiagnosticReport.status: entered-in-error, the report was withdrawn")
    groups = [one.display for one in context.references("performer") if one.type == "Organization"]
    section = next((one.code for one in resource.codings("category") if one.scheme not in PUBLIC_SCHEMES), "")
    return {
        "result_status": status or None,
        "section": section or None,
        "modality": _modality(_dicom_codings(resource, "category", "code")),
        "reader": context.person("resultsInterpreter", "performer"),
        "reader_group": next((name for name in groups if name), None),
        "text_digest": _text_digest(resource),
    }


def _text_digest(resource: Element) -> str | None:
    """Hash of what the report says; the words themselves are not kept."""
    parts = resource.texts("conclusion")
    for form in resource.objects("presentedForm"):
        parts += [_raw(form, name) for name in ("data", "hash", "url")]
    return sha256("\x1c".join(parts).encode("utf-8")).hexdigest() if any(parts) else None


def _raw(form: Element, name: str) -> str:
    """A text in full length."""
    value = form.value.get(name)
    return value if isinstance(value, str) else ""


def _charge(context: ResourceContext, status: str) -> Row:
    resource = context.resource
    code = next((one for one in resource.codings("code") if one.code), None)
    return {
        "charge_code": code.code if code else None,
        "charge_kind": "CR" if status in REVERSED else "CG",
        "charge_amount": context.amount("priceOverride.value"),
        "department": resource.text("costCenter.display") or resource.text("requestingOrganization.display") or None,
        "body_part": resource.words("bodysite") or None,
    }


def _communication(context: ResourceContext, status: str) -> Row:  # noqa: ARG001
    return {"priority": context.resource.text("priority") or None, "reader": context.person("sender")}


_COLUMNS = {
    "ServiceRequest": _request,
    "Appointment": _appointment,
    "ImagingStudy": _study,
    "Procedure": _performed,
    "DiagnosticReport": _report,
    "ChargeItem": _charge,
    "Communication": _communication,
}
"""Resource type to what makes the columns that it alone has."""

EXAM_TYPES = tuple(_COLUMNS)
