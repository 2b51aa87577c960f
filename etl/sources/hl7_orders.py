"""Order and result messages (ORM^O01, OMG^O19, OMI^O23, ORU^R01) to one `workflow` row an order group.

Which field gives which time: HL7 v2.8.2 chapters 4 (ORC, OBR, TQ1, IPC) and 7 (OBR in results), tables 0119 (order
control), 0038 (order status) and 0123 (result status); IHE RAD TF-2 RAD-4 and RAD-28.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from etl.sources.clock import Moment
from etl.sources.contract import Row
from etl.sources.hl7_context import MessageContext
from etl.sources.hl7_message import Segment, refused, unescaped, unused
from etl.sources.hl7_patients import NO_PATIENT, patient_rows

CANCELS = frozenset(("OC", "CR"))
REFUSALS = frozenset(("UC", "UD"))
DISCONTINUES = frozenset(("DC", "OD", "DR"))
RESULT_STATUSES = frozenset("OISARPFCXYZN")
"""HL7 table 0123, v2.8.2; another value is flagged and moves nothing."""
REPORTS = {"F": "report_final", "C": "report_corrected", "A": "report_addendum", "X": "order_cancelled"}
"""A: some, but not all results; systems use it for the addendum. X: no results, order cancelled."""
MODALITIES = frozenset(
    ("BMD", "CR", "CT", "DR", "DX", "ES", "IO", "MG", "MR", "NM", "OP", "PT", "PX", "RF", "RG", "US", "XA", "XC")
)
"""Values of OBR-24 that are a modality (defined terms of DICOM (0008,0060)) and not only a department."""
FINE = frozenset(("us", "s", "min"))
"""Precisions that may time the start of an exam: a date alone must not become midnight."""

_PLACE = re.compile(r"([A-Z][A-Z0-9]{2})-(\d+)(?:\.(\d+))?")


@dataclass
class OrderGroup:
    """The segments of one order; those that follow ORC and its OBRs as a whole (IPC, ZDS) are shared by them."""

    order: Segment | None = None
    request: Segment | None = None
    shared: dict[str, list[Segment]] = field(default_factory=dict)
    timing: Segment | None = None
    results: list[Segment] = field(default_factory=list)
    place: int = 0
    """Which OBR of its ORC, from 0."""

    def segment(self, name: str) -> Segment | None:
        """The group's segment of the name; of several IPC the one in the OBR's place."""
        if name == "OBR":
            return self.request
        if name == "ORC":
            return self.order
        shared = self.shared.get(name)
        return (shared[self.place] if self.place < len(shared) else shared[0]) if shared else None

    def text(self, name: str, number: int, component: int = 1) -> str:
        """One value of the group's segment of the name; empty where it has none."""
        segment = self.segment(name)
        return segment.text(number, component) if segment else ""


def order_groups(segments: list[Segment]) -> list[OrderGroup]:
    """The message's order groups: each OBR with the ORC before it; an ORC without OBR is one too."""
    groups: list[OrderGroup] = []
    for segment in segments:
        name, last = segment.name, groups[-1] if groups else None
        if name == "ORC" or (name == "OBR" and last is None):
            groups.append(OrderGroup(order=segment) if name == "ORC" else OrderGroup(request=segment))
        elif name == "OBR" and last is not None:
            if last.request is None:
                last.request = segment
            else:
                groups.append(OrderGroup(last.order, segment, last.shared if last.order else {}, place=last.place + 1))
        elif last is not None and name == "TQ1":
            last.timing = last.timing or segment
        elif last is not None and name in {"IPC", "ZDS"}:
            last.shared.setdefault(name, []).append(segment)
        elif last is not None and name == "OBX":
            last.results.append(segment)
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
        keys = _keys(context, group)
        stated = context.sent_at or context.clock.moment("ORC-9", group.text("ORC", 9))
        if any(keys.values()):
            rows.append(
                {
                    **context.row(number, stated),
                    **shared,
                    **keys,
                    **_order_columns(context, group),
                    "events": _events(context, group),
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
    if patient is None:
        raise unused("no-order", f"{context.message.kind} has neither ORC nor OBR, so there is no order in it.")
    if patient.raw(2) and not patient.text(2) and not patient.is_null(2):
        raise refused(
            NO_PATIENT,
            "The message has no order, and PID-2 names who assigned a patient identifier but not the identifier.",
            "Have the sender fill the identifier and add the order (ORC, OBR).",
            "PID-2",
        )
    context.flags.append("ORC: no order in the message")
    return patient_rows(context)


def _keys(context: MessageContext, group: OrderGroup) -> Row:
    placer = group.text("ORC", 2) or group.text("OBR", 2)
    filler = group.text("ORC", 3) or group.text("OBR", 3)
    study_uid = group.text("IPC", 3) or group.text("ZDS", 1)
    return {
        "placer": context.pseudonym_of_order(placer),
        "filler": context.pseudonym_of_order(filler),
        "accession": context.pseudonym_of_order(accession_of(context, group)),
        "study_uid": study_uid or None,
    }


def accession_of(context: MessageContext, group: OrderGroup) -> str:
    """The accession number from the first configured field that has one; empty without."""
    for place in context.settings.hl7.accession_fields:
        if (match := _PLACE.fullmatch(place)) and (text := group.text(match[1], int(match[2]), int(match[3] or 1))):
            return text
    return ""


def _imaging(context: MessageContext, group: OrderGroup, section: str) -> bool | None:
    if context.message.kind == "OMI^O23" or group.segment("IPC") or group.segment("ZDS"):
        return True
    return is_imaging_section(context, section)


def is_imaging_section(context: MessageContext, section: str) -> bool | None:
    """Whether the diagnostic service section (OBR-24) is one of imaging; None where it is unstated."""
    if not section:
        return None
    return section.casefold() in {name.casefold() for name in context.settings.hl7.imaging_sections}


def _order_columns(context: MessageContext, group: OrderGroup) -> Row:
    section = group.text("OBR", 24)
    modality = (group.text("IPC", 5) or (section if section.upper() in MODALITIES else "")).upper()
    priority = (
        (group.timing.text(9) if group.timing else "")
        or group.text("OBR", 27, 6)
        or group.text("ORC", 7, 6)
        or group.text("OBR", 5)
    )
    return {
        "order_control": group.text("ORC", 1) or None,
        "order_status": group.text("ORC", 5) or None,
        "result_status": _result_status(context, group),
        "section": section or None,
        "imaging": _imaging(context, group, section),
        "modality": modality or None,
        "procedure_code": group.text("OBR", 4) or group.text("IPC", 6) or None,
        "procedure_text": group.text("OBR", 4, 2) or group.text("IPC", 6, 2) or None,
        "procedure_scheme": group.text("OBR", 4, 3) or group.text("IPC", 6, 3) or None,
        "priority": priority or None,
        "station": group.text("IPC", 7) or group.text("IPC", 9) or None,
        "referrer": context.person(group.request, 16) or context.person(group.order, 12),
        "reader": context.person(group.request, 32),
        "technologist": context.person(group.request, 34),
        "text_digest": _text_digest(group.results),
    }


def _result_status(context: MessageContext, group: OrderGroup) -> str | None:
    status = group.text("OBR", 25)
    if status and status not in RESULT_STATUSES:
        context.flags.append("OBR-25: not in table 0123")
    return status or None


def _text_digest(results: list[Segment]) -> str | None:
    """Hash of the report's lines, the same whatever the message's delimiters; the lines themselves are not kept."""
    lines = [segment.raw(5) for segment in results]
    if not any(lines):
        return None
    signs, text = results[0].delimiters, "\x1c".join(lines)
    for sign, neutral in ((signs.component, "\x1d"), (signs.repetition, "\x1e"), (signs.subcomponent, "\x1f")):
        text = text.replace(sign, neutral) if sign else text
    if signs.escape and signs.escape in text:
        text = unescaped(text, signs)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _events(context: MessageContext, group: OrderGroup) -> list[Row]:
    """The times that the group gives, each with the field that it stands in."""
    if context.message.header.text(9) == "ORU":
        return [*_result_events(context, group), *_cancel_events(context, group)]
    return [*_order_events(context, group), *_cancel_events(context, group)]


def _order_events(context: MessageContext, group: OrderGroup) -> Iterator[Row]:
    control, status = group.text("ORC", 1), group.text("ORC", 5)
    orc9 = ("ORC-9", group.text("ORC", 9))
    if control == "NW":
        yield from context.event("order_placed", *context.first_moment(orc9, ("ORC-15", group.text("ORC", 15))))
    if planned := _planned(context, group, control, status):
        yield from context.event("exam_scheduled_for", *planned)
    for stated, event in (("IP", "exam_started"), ("CM", "exam_completed")):
        if status == stated:
            where, moment = context.first_moment(orc9)
            if moment and moment.precision in FINE:
                yield from context.event(event, where, moment)


def _planned(context: MessageContext, group: OrderGroup, control: str, status: str) -> tuple[str, Moment | None] | None:
    """Field and time that the exam is planned for.

    OBR-36 is the filler's plan. TQ1-7, ORC-7.4 and OBR-27.4 are the placer's wish until the order is scheduled (ORC-5
    SC, or the scheduled procedure steps of OMI).
    """
    candidates = [("OBR-36", group.text("OBR", 36))]
    if status == "SC" or control == "SC" or context.message.kind == "OMI^O23":
        candidates += [
            ("TQ1-7", group.timing.text(7) if group.timing else ""),
            ("ORC-7.4", group.text("ORC", 7, 4)),
            ("OBR-27.4", group.text("OBR", 27, 4)),
        ]
    for where, text in candidates:
        if moment := context.clock.moment(where, text):
            return where, moment
    return None


def _cancel_events(context: MessageContext, group: OrderGroup) -> Iterator[Row]:
    control, status = group.text("ORC", 1), group.text("ORC", 5)
    is_result = context.message.header.text(9) == "ORU"
    for holds, event in (
        (control == "CA", "cancel_requested"),
        (control in CANCELS or status == "CA", "order_cancelled"),
        (control in REFUSALS, "cancel_refused"),
        (control in DISCONTINUES or status == "DC", "exam_discontinued"),
    ):
        if holds and not (is_result and event == "cancel_requested"):
            yield from context.event(event, *context.first_moment(("ORC-9", group.text("ORC", 9))))


def _result_events(context: MessageContext, group: OrderGroup) -> Iterator[Row]:
    """OBR-22 (else MSH-7) is the report's time; OBR-7 is the exam's and never the report's."""
    status = group.text("OBR", 25)
    started = context.clock.moment("OBR-7", group.text("OBR", 7))
    if started and started.precision in FINE:
        yield from context.event("exam_started", "OBR-7", started)
    event = "report_preliminary" if status in context.settings.hl7.preliminary_statuses else REPORTS.get(status)
    if event:
        yield from context.event(event, *context.first_moment(("OBR-22", group.text("OBR", 22))))
