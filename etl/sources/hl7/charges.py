"""Charges (DFT^P03, DFT^P11, BAR with FT1) to one `workflow` row a transaction.

HL7 v2.8.2 chapter 6; table 0017: CG charge, CD credit (senders also write CR) which reverses one, PY payment, AJ
adjustment, CO co-payment. The amount of a reversal is written without a sign, whatever its sender does, and that of a
charge of a negative quantity with one: the kind and the amount together never reverse twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from etl.sources.contract import Row
from etl.sources.hl7.context import MessageContext
from etl.sources.hl7.message import Segment, refused, unused
from etl.sources.hl7.orders import OrderGroup, order_groups, order_keys, procedure_columns

REVERSALS = frozenset(("CD", "CR"))
CHARGES = frozenset(("", "CG")) | REVERSALS
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
        raise unused("no-charge", f"{context.kind} has no FT1 with a charge (CG, CD or CR).")
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
    keys = order_keys(context, order, filler=segment.text(23))
    coded, place = (segment, 25) if segment.raw(25) else (order.request, 4)
    return {
        **context.row(number, context.sent_at),
        **shared,
        **keys,
        "accession": keys["accession"] or keys["filler"],
        "order_control": order.order.text(1) or None,
        "order_status": order.order.text(5) or None,
        "department": segment.text(13, 2) or segment.text(13) or shared["department"],
        "payer": segment.text(14, 2) or segment.text(14) or shared["payer"],
        **procedure_columns(coded, place),
        "referrer": context.person(segment, 21),
        "charge_code": segment.text(7) or None,
        "charge_kind": segment.text(6).upper() or None,
        "charge_amount": _amount(context, segment),
        "events": context.event("charge_posted", field, moment),
    }


def _amount(context: MessageContext, segment: Segment) -> Decimal | None:
    """FT1-11, the extended amount; else unit amount FT1-12 times quantity FT1-10 (one where unstated)."""
    quantity = _number(context, "FT1-10", segment.text(10) or "1")
    if segment.text(11):
        amount = _number(context, "FT1-11", segment.text(11))
    else:
        unit = _number(context, "FT1-12", segment.text(12))
        amount = None if unit is None or quantity is None else unit * abs(quantity)
    if amount is None:
        return None
    if segment.text(6).upper() in REVERSALS:
        return abs(amount)
    return -abs(amount) if quantity is not None and quantity < 0 else amount


def _number(context: MessageContext, field: str, text: str) -> Decimal | None:
    if not text:
        return None
    if not _AMOUNT.fullmatch(text):
        context.flags.append(f"{field}: bad-number")
        return None
    return Decimal(text)
