"""Order and result messages (ORM^O01, OMG^O19, OMI^O23, OMP^O09, ORU^R01) to one `workflow` row an order group.

Which field gives which time: HL7 v2.8.2 chapters 4 (ORC, OBR, TQ1, IPC, RXO) and 7 (OBR in results), tables 0119 (order
control), 0038 (order status) and 0123 (result status); IHE RAD TF-2 RAD-4 and RAD-28.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from etl.sources.clock import Moment
from etl.sources.contract import Row
from etl.sources.hl7.context import MessageContext
from etl.sources.hl7.message import ABSENT, Segment, refused, unescaped, unused
from etl.sources.hl7.patients import NO_PATIENT, patient_rows

CANCELS = frozenset(("OC", "CR"))
REFUSALS = frozenset(("UC", "UD"))
DISCONTINUES = frozenset(("DC", "OD", "DR"))
STEPS = {"IP": "exam_started", "CM": "exam_completed"}
"""ORC-5 that tells of a step; what a hospital adds of its own stands in `hl7.statuses`."""
RESULT_STATUSES = frozenset("OISARPFCXYZN")
"""HL7 table 0123, v2.8.2; another value is flagged and moves nothing."""
REPORTS = {
    "F": "report_final",
    "C": "report_corrected",
    "A": "report_addendum",
    "R": "report_dictated",
    "X": "order_cancelled",
}
"""OBR-25. A: some, but not all results; systems use it for the addendum. R: stored, not verified. X: no results, order
cancelled. Y and Z (no order, no record) answer queries and move nothing."""
WITHDRAWN = frozenset("DW")
"""OBX-11 of lines that hold no longer: deleted; wrong, as when sent for the wrong patient."""
STATED_BY_LINES = frozenset("CFP")
CORRECTED = frozenset("CDW")
"""OBX-11 of lines that differ from what was sent before."""
MODALITIES = frozenset(
    ("BMD", "CR", "CT", "DR", "DX", "ES", "IO", "MG", "MR", "NM", "OP", "PT", "PX", "RF", "RG", "US", "XA", "XC")
)
"""Values of OBR-24 that are a modality (defined terms of DICOM (0008,0060)) and not only a department."""
PUBLIC_SCHEMES = frozenset(
    ("LN", "LOINC", "RADLEX", "RID", "RPID", "SCT", "SNM", "SRT", "C4", "CPT", "CPT4", "HCPCS", "HPC", "OPS", "CCAM")
)
"""Coding schemes of table 0396, and as senders write them, that mean the same everywhere."""


@dataclass(slots=True)
class OrderGroup:
    """The segments of one order; those that follow ORC and its OBRs as a whole (IPC, ZDS) are shared by them."""

    order: Segment = ABSENT
    request: Segment = ABSENT
    shared: dict[str, list[Segment]] = field(default_factory=dict)
    timing: Segment = ABSENT
    results: list[Segment] = field(default_factory=list)
    place: int = 0
    """Which OBR of its ORC, from 0."""

    def segment(self, name: str) -> Segment:
        """The group's segment of the name; of several IPC the one in the OBR's place."""
        if name == "OBR":
            return self.request
        if name == "ORC":
            return self.order
        shared = self.shared.get(name)
        return (shared[self.place] if self.place < len(shared) else shared[0]) if shared else ABSENT

    @property
    def placer(self) -> str:
        """The placer order number."""
        return self.order.text(2) or self.request.text(2)

    @property
    def filler(self) -> str:
        """The filler order number."""
        return self.order.text(3) or self.request.text(3)


def order_groups(segments: list[Segment]) -> list[OrderGroup]:
    """The message's order groups: each OBR with the ORC before it; an ORC without OBR is one too."""
    groups: list[OrderGroup] = []
    last: OrderGroup | None = None
    for segment in segments:
        name = segment.name
        if name == "OBX":
            if last is not None:
                last.results.append(segment)
        elif name == "ORC":
            last = OrderGroup(order=segment)
            groups.append(last)
        elif name == "OBR":
            if last is not None and not last.request:
                last.request = segment
                continue
            if last is None:
                last = OrderGroup(request=segment)
            else:
                last = OrderGroup(last.order, segment, last.shared if last.order else {}, place=last.place + 1)
            groups.append(last)
        elif last is not None and name == "TQ1":
            last.timing = last.timing or segment
        elif last is not None and name in {"IPC", "ZDS", "RXO"}:
            last.shared.setdefault(name, []).append(segment)
    return groups


def order_rows(context: MessageContext) -> dict[str, list[Row]]:
    """One `workflow` row an order group that names an order.

    Raises:
        RefusedMessageError: there is no order, or none that can be told from another.
    """
    groups = order_groups(context.message.segments)
    if not groups:
        return _without_order(context)
    shared = {**context.patient(context.message.first("PID")), **context.visit()}
    rows = []
    for number, group in enumerate(groups, 1):
        keys = order_keys(context, group)
        if any(keys.values()):
            stated = context.sent_at or context.clock.moment("ORC-9", group.order.text(9))
            report = report_of(group.results)
            is_result = context.type == "ORU"
            events = _result_events(context, group, report.statuses) if is_result else _order_events(context, group)
            rows.append(
                {
                    **context.row(number, stated),
                    **shared,
                    **keys,
                    **_order_columns(context, group),
                    "text_digest": report.digest,
                    "events": [*events, *_cancel_events(context, group)],
                }
            )
        else:
            context.flags.append(f"group {number}: no order number, left out")
    if not rows:
        raise refused(
            "no-order-number",
            "ORC-2, ORC-3, OBR-2, OBR-3, OBR-18 and IPC-1 are all empty, so the order cannot be told from others.",
            "Have the sender fill the placer, filler or accession number.",
            "ORC-2",
        )
    return {"workflow": rows}


def _without_order(context: MessageContext) -> dict[str, list[Row]]:
    """An order message without ORC and OBR still states the patient; without PID it states nothing."""
    patient = context.message.first("PID")
    if not patient:
        raise unused("no-order", f"{context.kind} has neither ORC nor OBR, so there is no order in it.")
    if patient.raw(2) and not patient.text(2) and not patient.is_null(2):
        raise refused(
            NO_PATIENT,
            "The message has no order, and PID-2 names who assigned a patient identifier but not the identifier.",
            "Have the sender fill the identifier and add the order (ORC, OBR).",
            "PID-2",
        )
    context.flags.append("ORC: no order in the message")
    return patient_rows(context)


# --- what an order is called, and what it is for


def order_keys(context: MessageContext, group: OrderGroup, placer: str = "", filler: str = "") -> Row:
    """The numbers by which the group's exam is known, as pseudonyms, and its Study Instance UID.

    Args:
        placer, filler: order numbers that stand outside the group (FT1-23, TXA-14); they come before its own.
    """
    place, accession = accession_of(context, group)
    return {
        "placer": context.number(placer or group.placer),
        "filler": context.number(filler or group.filler),
        "accession": context.number(accession),
        "accession_cut": context.cut_number(accession),
        "procedure_request": context.pseudonym("order", _procedure_request(group, place)),
        "study_uid": group.segment("IPC").text(3) or group.segment("ZDS").text(1) or None,
    }


def accession_of(context: MessageContext, group: OrderGroup) -> tuple[str, str]:
    """Field and accession number of the first configured field that has one; both empty without."""
    for name, number, component in context.feed.accession_places:
        if text := group.segment(name).text(number, component):
            return f"{name}-{number}", text
    return "", ""


def _procedure_request(group: OrderGroup, accession_place: str) -> str:
    """IPC-2; in OBR-19 it stands where IHE's form of v2.3.1 is kept, which has the accession number in OBR-18."""
    return group.segment("IPC").text(2) or (group.request.text(19) if accession_place == "OBR-18" else "")


def _imaging(context: MessageContext, group: OrderGroup, section: str) -> bool | None:
    """By message and section. A treatment order (OMP) is imaging only where its section says so."""
    if context.kind == "OMI^O23" or (group.shared and (group.segment("IPC") or group.segment("ZDS"))):
        return True
    stated = is_imaging_section(context, section)
    return False if stated is None and context.type == "OMP" else stated


def is_imaging_section(context: MessageContext, section: str) -> bool | None:
    """Whether the diagnostic service section (OBR-24) is one of imaging; None where it is unstated."""
    return section.casefold() in context.feed.imaging_sections if section else None


def procedure_columns(segment: Segment, field: int) -> Row:
    """What a coded field (CE, CWE) says of the procedure: the local code, and one of a public scheme where it has one.

    The alternate identifier (components 4 to 6) is looked at first: the local code comes first in practice.
    """
    value = segment.text(field), segment.text(field, 2), segment.text(field, 3)
    standard, scheme = segment.text(field, 4), segment.text(field, 6).upper()
    if not standard or scheme not in PUBLIC_SCHEMES:
        standard, scheme = value[0], value[2].upper()
    known = bool(standard) and scheme in PUBLIC_SCHEMES
    return {
        "procedure_code": value[0] or None,
        "procedure_text": value[1] or None,
        "procedure_scheme": value[2] or None,
        "standard_code": standard if known else None,
        "standard_scheme": scheme if known else None,
    }


def _procedure(group: OrderGroup) -> Row:
    places = ((group.request, 4), (group.segment("IPC"), 6), (group.segment("RXO"), 1))
    segment, field = next(((segment, field) for segment, field in places if segment.raw(field)), places[0])
    return procedure_columns(segment, field)


def _order_columns(context: MessageContext, group: OrderGroup) -> Row:
    order, request, step = group.order, group.request, group.segment("IPC")
    section = request.text(24)
    return {
        "order_control": order.text(1) or None,
        "order_status": order.text(5) or None,
        "result_status": _result_status(context, request),
        "section": section or None,
        "imaging": _imaging(context, group, section),
        "modality": (step.text(5) or (section if section.upper() in MODALITIES else "")).upper() or None,
        **_procedure(group),
        "priority": group.timing.text(9) or request.text(27, 6) or order.text(7, 6) or request.text(5) or None,
        "station": step.text(7) or step.text(9) or None,
        "ae_title": step.text(9) or None,
        "referrer": context.person(request, 16) or context.person(order, 12),
        "reader": context.person(request, 32),
        "reader_group": request.text(32, 7) or request.text(32, 4) or None,
        "technologist": context.person(request, 34),
        "reason_code": order.text(16) or None,
        "reason_text": order.text(16, 2) or None,
    }


def _result_status(context: MessageContext, request: Segment) -> str | None:
    status = request.text(25)
    if status and status.upper() not in RESULT_STATUSES and not context.local_event(status):
        context.flags.append("OBR-25: not in table 0123")
    return status or None


class Report(NamedTuple):
    """What is kept of a report's lines (OBX): no text."""

    digest: str | None
    """Hash of the text, the same whatever the message's delimiters; None without any."""
    statuses: frozenset[str]
    """OBX-11 of all lines, in upper case."""


_NO_LINES = Report(None, frozenset())


def report_of(results: list[Segment]) -> Report:
    """The hash of the report that the lines make, and their statuses; withdrawn ones (D, W) are no part of it."""
    if not results:
        return _NO_LINES
    signs, lines, statuses = results[0].delimiters, [], set()
    for segment in results:
        fields = segment.line.split(signs.field, 12)
        status = fields[11] if len(fields) > 11 else ""
        statuses.add(status)
        if status not in WITHDRAWN:
            lines.append(fields[5] if len(fields) > 5 else "")
    plain = frozenset(results[0].part(status).upper() for status in statuses)
    if not any(lines):
        return Report(None, plain)
    text = "\x1c".join(lines)
    for sign, neutral in ((signs.component, "\x1d"), (signs.repetition, "\x1e"), (signs.subcomponent, "\x1f")):
        if sign and sign in text:
            text = text.replace(sign, neutral)
    if signs.escape and signs.escape in text:
        text = unescaped(text, signs)
    return Report(sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), plain)


# --- when it happened


def _order_events(context: MessageContext, group: OrderGroup) -> Iterator[Row]:
    order = group.order
    control, status = order.text(1), order.text(5).upper()
    if control == "NW":
        yield from context.event(
            "order_placed", *context.first_moment(("ORC-9", order.text(9)), ("ORC-15", order.text(15)))
        )
    if planned := _planned(context, group, "SC" in (control, status)):
        yield from context.event("exam_scheduled_for", *planned)
    step = context.local_event(status, order.text(16), group.request.text(25)) or STEPS.get(status)
    if step:
        yield from context.fine_event(step, *context.first_moment(("ORC-9", order.text(9))))


def _planned(context: MessageContext, group: OrderGroup, is_scheduled: bool) -> tuple[str, Moment | None] | None:
    """Field and time that the exam is planned for.

    OBR-36 is the filler's plan. TQ1-7, ORC-7.4 and OBR-27.4 are the placer's wish until the order is scheduled (ORC-5
    SC, or the scheduled procedure steps of OMI).
    """
    candidates = [("OBR-36", group.request.text(36))]
    if is_scheduled or context.kind == "OMI^O23":
        candidates += [
            ("TQ1-7", group.timing.text(7)),
            ("ORC-7.4", group.order.text(7, 4)),
            ("OBR-27.4", group.request.text(27, 4)),
        ]
    for where, text in candidates:
        if moment := context.clock.moment(where, text):
            return where, moment
    return None


def _cancel_events(context: MessageContext, group: OrderGroup) -> Iterator[Row]:
    order = group.order
    control, status = order.text(1), order.text(5).upper()
    for holds, event in (
        (control == "CA" and context.type != "ORU", "cancel_requested"),
        (control in CANCELS or status == "CA", "order_cancelled"),
        (control in REFUSALS, "cancel_refused"),
        (control in DISCONTINUES or status == "DC", "exam_discontinued"),
    ):
        if holds:
            yield from context.event(event, *context.first_moment(("ORC-9", order.text(9))))


def _result_events(context: MessageContext, group: OrderGroup, lines: frozenset[str]) -> Iterator[Row]:
    """OBR-22 (else the reader's end in OBR-32.3, else MSH-7) is the report's time; OBR-7 is the exam's, never the report's."""
    order, request = group.order, group.request
    yield from context.fine_event("exam_started", "OBR-7", context.clock.moment("OBR-7", request.text(7)))
    if step := context.local_event(order.text(5), order.text(16)):
        yield from context.fine_event(step, *context.first_moment(("ORC-9", order.text(9))))
    names = list(_report_events(context, request.text(25).upper(), lines))
    if names:
        at = context.first_moment(("OBR-22", request.text(22)), ("OBR-32.3", request.text(32, 3)))
        for name in names:
            yield from context.event(name, *at)


def _report_events(context: MessageContext, status: str, lines: frozenset[str]) -> Iterator[str]:
    """OBR-25 rules the report; where it is empty, the one status that all lines have (OBX-11) does.

    A final report with a line that was corrected or withdrawn is a correction too.
    """
    if not status and len(lines) == 1 and lines <= STATED_BY_LINES:
        (status,) = lines
        context.flags.append("OBR-25: empty, the status of all lines (OBX-11) was taken")
    event = context.local_event(status)
    if event is None:
        event = "report_preliminary" if status in context.feed.preliminary_statuses else REPORTS.get(status)
    if event:
        yield event
    if event == "report_final" and lines & CORRECTED:
        yield "report_corrected"
