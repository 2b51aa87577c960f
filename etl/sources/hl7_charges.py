"""Charges (DFT^P03, DFT^P11, BAR with FT1) to one `workflow` row a transaction.

HL7 v2.8.2 chapter 6; table 0017: CG charge, CD debit, CR credit (the reversal), PY payment, AJ adjustment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from etl.sources.contract import Row
from etl.sources.hl7_context import MessageContext
from etl.sources.hl7_message import Segment, refused, unused
from etl.sources.hl7_orders import OrderGroup, accession_of, order_groups

CHARGES = frozenset(("", "CG", "CD", "CR"))
_AMOUNT = re.compile(r"[+-]?\d{1,14}(?:\.\d{1,4})?")


def charge_rows(context: MessageContext) -> dict[str, list[Row]]:
    """One `workflow` row for each FT1 that is a charge or its reversal.

    Raises:
        RefusedMessageError: there is no charge, or nobody whom it concerns.
    """
    rows: list[Row] = []
    shared = {**context.patient(context.message.first("PID")), **context.visit()}
    for segment, order in _with_orders(context.message.segments):
        if segment.text(6).upper() in CHARGES:
            rows.append(_row(context, shared, segment, order, len(rows) + 1))
    if not rows:
        raise unused("no-charge", f"{context.message.kind} has no FT1 with a charge (CG, CD or CR).")
    if not any(row[key] for row in rows for key in ("patient", "visit", "placer", "filler")):
        raise refused(
            "no-patient-id",
            "PID-3, PV1-19 and FT1-23 are all empty, so the charge belongs to nobody.",
            "Have the sender fill PID-3 and send the message again.",
            "PID-3",
        )
    return {"workflow": rows}


def _with_orders(segments: list[Segment]) -> Iterator[tuple[Segment, OrderGroup]]:
    """Each FT1 with its order: the one before it, or that which follows where charges come first."""
    places = [place for place, segment in enumerate(segments) if segment.name == "FT1"]
    orders = [place for place, segment in enumerate(segments) if segment.name in {"ORC", "OBR"}]
    follows = bool(places and orders) and places[0] < orders[0]
    for place, end in zip(places, [*places, len(segments)][1:], strict=True):
        groups = order_groups(segments[place:end] if follows else segments[:place])
        yield segments[place], (groups[0] if follows else groups[-1]) if groups else OrderGroup()


def _row(context: MessageContext, shared: Row, segment: Segment, order: OrderGroup, number: int) -> Row:
    field, moment = "FT1-5", context.clock.moment("FT1-5", segment.text(5))
    if moment is None:
        field, moment = "FT1-4", context.clock.moment("FT1-4", segment.text(4))
    filler = segment.text(23) or order.text("ORC", 3) or order.text("OBR", 3)
    accession = accession_of(context, order) or filler
    return {
        **context.row(number, context.sent_at),
        **shared,
        "placer": context.pseudonym_of_order(order.text("ORC", 2) or order.text("OBR", 2)),
        "filler": context.pseudonym_of_order(filler),
        "accession": context.pseudonym_of_order(accession),
        "order_control": order.text("ORC", 1) or None,
        "order_status": order.text("ORC", 5) or None,
        "department": segment.text(13, 2) or segment.text(13) or shared["department"],
        "payer": segment.text(14, 2) or segment.text(14) or shared["payer"],
        "procedure_code": segment.text(25) or order.text("OBR", 4) or None,
        "procedure_text": segment.text(25, 2) or order.text("OBR", 4, 2) or None,
        "procedure_scheme": segment.text(25, 3) or order.text("OBR", 4, 3) or None,
        "referrer": context.person(segment, 21),
        "charge_code": segment.text(7) or None,
        "charge_kind": segment.text(6).upper() or None,
        "charge_amount": _amount(context, segment),
        "events": context.event("charge_posted", field, moment),
    }


def _amount(context: MessageContext, segment: Segment) -> Decimal | None:
    """FT1-11, the extended amount; else unit amount FT1-12 times quantity FT1-10 (one where unstated)."""
    if segment.text(11):
        return _number(context, "FT1-11", segment.text(11))
    unit = _number(context, "FT1-12", segment.text(12))
    quantity = _number(context, "FT1-10", segment.text(10) or "1")
    return unit * quantity if unit is not None and quantity is not None else None


def _number(context: MessageContext, field: str, text: str) -> Decimal | None:
    if not text:
        return None
    if not _AMOUNT.fullmatch(text):
        context.flags.append(f"{field}: bad-number")
        return None
    return Decimal(text)
