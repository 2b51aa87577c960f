"""Document messages (MDM^T01 to T11) about a report to one `workflow` row an order number.

HL7 v2.8.2 chapter 9; tables 0271 (completion status) and 0273 (availability).
"""

from __future__ import annotations

from etl.sources.contract import Row
from etl.sources.hl7_context import MessageContext
from etl.sources.hl7_message import Segment, unused
from etl.sources.hl7_orders import OrderGroup, accession_of, is_imaging_section, order_groups

COMPLETIONS = {"AU": "report_final", "LA": "report_final", "PA": "report_preliminary", "DO": "report_preliminary"}
"""TXA-17: authenticated and legally authenticated; pre-authenticated and documented. Dictated, in progress and
incomplete documents are no report yet."""
TRIGGERS = {"T05": "report_addendum", "T06": "report_addendum", "T09": "report_corrected", "T10": "report_corrected"}
CANCELLED = frozenset(("CA", "OB"))
"""TXA-19: cancelled, obsolete."""
_AUTHENTICATED_AT = 15
"""Component of TXA-22 (PPN) with the time of the signature."""


def document_rows(context: MessageContext) -> dict[str, list[Row]]:
    """One `workflow` row for each order that the document belongs to.

    Raises:
        RefusedMessageError: the document belongs to no order.
    """
    message = context.message
    document = message.first("TXA")
    if document is None:
        raise unused("no-document", f"{message.kind} has no TXA segment.")
    numbers = _numbers(document, order_groups(message.segments))
    if not any(placer or filler for _, placer, filler in numbers):
        raise unused(
            "no-order", f"{message.kind} names no order (TXA-14, TXA-15, ORC-2, ORC-3): a document of no exam."
        )
    shared = {**context.patient(message.first("PID")), **context.visit()}
    rows = []
    for number, (group, placer, filler) in enumerate(numbers, 1):
        rows.append(
            {
                **context.row(number, context.sent_at),
                **shared,
                "placer": context.pseudonym_of_order(placer),
                "filler": context.pseudonym_of_order(filler),
                "accession": context.pseudonym_of_order(accession_of(context, group) or filler),
                "result_status": document.text(17) or document.text(19) or None,
                "section": group.text("OBR", 24) or None,
                "imaging": is_imaging_section(context, group.text("OBR", 24)),
                "procedure_code": group.text("OBR", 4) or None,
                "procedure_text": group.text("OBR", 4, 2) or None,
                "procedure_scheme": group.text("OBR", 4, 3) or None,
                "reader": context.person(document, 22) or context.person(document, 9),
                "events": _events(context, document),
            }
        )
    return {"workflow": rows}


def _numbers(document: Segment, groups: list[OrderGroup]) -> list[tuple[OrderGroup, str, str]]:
    found = [
        (group, group.text("ORC", 2) or group.text("OBR", 2), group.text("ORC", 3) or group.text("OBR", 3))
        for group in groups
    ]
    found = [one for one in found if one[1] or one[2]]
    return found or [(OrderGroup(), document.text(14), document.text(15))]


def _events(context: MessageContext, document: Segment) -> list[Row]:
    name = TRIGGERS.get(context.message.header.text(9, 2)) or COMPLETIONS.get(document.text(17))
    if name is None or document.text(19) in CANCELLED:
        return []
    event = context.message.first("EVN")
    signed = ("TXA-22.15", document.text(22, _AUTHENTICATED_AT))
    return context.event(name, *context.first_moment(signed, ("EVN-2", event.text(2) if event else "")))
