"""Document messages (MDM^T01 to T11) about a report to one `workflow` row an order number.

HL7 v2.8.2 chapter 9; tables 0271 (completion status) and 0273 (availability).
"""

from __future__ import annotations

from etl.sources.contract import Row
from etl.sources.hl7.context import MessageContext
from etl.sources.hl7.message import Segment, unused
from etl.sources.hl7.orders import (
    OrderGroup,
    is_imaging_section,
    order_groups,
    order_keys,
    procedure_columns,
    report_of,
)

COMPLETIONS = {
    "AU": "report_final",
    "LA": "report_final",
    "PA": "report_preliminary",
    "DO": "report_preliminary",
    "DI": "report_dictated",
}
"""TXA-17: authenticated and legally authenticated; pre-authenticated and documented; dictated. Documents in progress
and incomplete ones are no report yet."""
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
    if not document:
        raise unused("no-document", f"{context.kind} has no TXA segment.")
    groups = [group for group in order_groups(message.segments) if group.placer or group.filler]
    keys = [order_keys(context, group) for group in groups]
    if not groups:
        groups = [OrderGroup()]
        keys = [order_keys(context, groups[0], document.text(14), document.text(15))]
    if not any(key["placer"] or key["filler"] for key in keys):
        raise unused(
            "no-order", f"{context.kind} names no order (TXA-14, TXA-15, ORC-2, ORC-3): a document of no exam."
        )
    shared = {**context.patient(message.first("PID")), **context.visit()}
    text = report_of([segment for segment in message.segments if segment.name == "OBX"]).digest
    rows = []
    for number, (group, key) in enumerate(zip(groups, keys, strict=True), 1):
        section = group.request.text(24)
        rows.append(
            {
                **context.row(number, context.sent_at),
                **shared,
                **key,
                "accession": key["accession"] or key["filler"],
                "result_status": document.text(17) or document.text(19) or None,
                "section": section or None,
                "imaging": is_imaging_section(context, section),
                **procedure_columns(group.request, 4),
                "reader": context.person(document, 22) or context.person(document, 9),
                "text_digest": text,
                "events": _events(context, document),
            }
        )
    return {"workflow": rows}


def _events(context: MessageContext, document: Segment) -> list[Row]:
    """TXA-22.15 is when it was signed; TXA-6 when it was dictated, whatever became of it since."""
    if document.text(19) in CANCELLED:
        return []
    name = TRIGGERS.get(context.trigger) or COMPLETIONS.get(document.text(17))
    dictated = context.fine_event("report_dictated", "TXA-6", context.clock.moment("TXA-6", document.text(6)))
    if name is None or (name == "report_dictated" and dictated):
        return dictated
    signed = ("TXA-22.15", document.text(22, _AUTHENTICATED_AT))
    at = context.first_moment(signed, ("EVN-2", context.message.first("EVN").text(2)))
    return [*dictated, *context.event(name, *at)]
