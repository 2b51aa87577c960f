"""Scheduling messages (SIU^S12 to S26) to one `workflow` row an appointment.

HL7 v2.8.2 chapter 10; table 0278 (filler status). The appointment stands in SCH-11.4 up to v2.4, in TQ1-7 and AIS-4
from v2.5.
"""

from __future__ import annotations

from collections.abc import Iterator

from etl.sources.contract import Row
from etl.sources.hl7_context import MessageContext
from etl.sources.hl7_message import Segment, refused

TRIGGERS = {
    "S12": "scheduling_done",
    "S15": "order_cancelled",
    "S16": "exam_discontinued",
    "S17": "order_cancelled",
    "S26": "patient_no_show",
}
STATUSES = {
    "ARRIVED": "patient_arrived",
    "CHECKED IN": "patient_arrived",
    "CHECKEDIN": "patient_arrived",
    "CHECKED-IN": "patient_arrived",
    "CANCELLED": "order_cancelled",
    "CANCELED": "order_cancelled",
    "DELETED": "order_cancelled",
    "DC": "exam_discontinued",
    "NOSHOW": "patient_no_show",
    "NO SHOW": "patient_no_show",
    "NO-SHOW": "patient_no_show",
}
"""SCH-25 in upper case, with the spellings that schedulers use."""

RESOURCE_STARTS = (("AIS", 4), ("AIG", 8), ("AIL", 6), ("AIP", 6))


def appointment_rows(context: MessageContext) -> dict[str, list[Row]]:
    """One `workflow` row for each SCH.

    Raises:
        RefusedMessageError: there is no SCH, or it has no number.
    """
    blocks = _blocks(context.message.segments)
    if not blocks:
        raise refused(
            "no-appointment",
            f"{context.message.kind} has no SCH segment.",
            "Have the sender add SCH with SCH-1 or SCH-2.",
            "SCH",
        )
    shared = {**context.patient(context.message.first("PID")), **context.visit()}
    rows = []
    for number, block in enumerate(blocks, 1):
        keys = _keys(context, block[0])
        if keys["placer"] or keys["filler"]:
            rows.append(
                {
                    **context.row(number, context.sent_at),
                    **shared,
                    **keys,
                    **_columns(context, block),
                    "source": "siu",
                    "events": list(_events(context, block)),
                }
            )
    if not rows:
        raise refused(
            "no-order-number",
            "SCH-1, SCH-2, SCH-26 and SCH-27 are all empty, so the appointment cannot be told from others.",
            "Have the sender fill SCH-1 or SCH-2.",
            "SCH-2",
        )
    return {"workflow": rows}


def _blocks(segments: list[Segment]) -> list[list[Segment]]:
    blocks: list[list[Segment]] = []
    for segment in segments:
        if segment.name == "SCH":
            blocks.append([segment])
        elif blocks:
            blocks[-1].append(segment)
    return blocks


def _first(block: list[Segment], name: str, *fields: int) -> str:
    for segment in block:
        if segment.name == name:
            return next((text for number in fields if (text := segment.text(number))), "")
    return ""


def _keys(context: MessageContext, schedule: Segment) -> Row:
    """The order's numbers (SCH-26, SCH-27 from v2.4); the appointment's own where the order's are absent."""
    placer = schedule.text(26) or ("" if schedule.text(27) else schedule.text(1))
    filler = schedule.text(27) or ("" if schedule.text(26) else schedule.text(2))
    return {"placer": context.pseudonym_of_order(placer), "filler": context.pseudonym_of_order(filler)}


def _columns(context: MessageContext, block: list[Segment]) -> Row:
    service = next((segment for segment in block if segment.name == "AIS"), None)
    return {
        "order_status": block[0].text(25).upper() or None,
        "imaging": None,
        "procedure_code": (service.text(3) if service else "") or None,
        "procedure_text": (service.text(3, 2) if service else "") or None,
        "procedure_scheme": (service.text(3, 3) if service else "") or None,
        "station": _first(block, "AIL", 3) or _first(block, "AIG", 3) or None,
        "referrer": context.person(block[0], 12),
    }


def _events(context: MessageContext, block: list[Segment]) -> Iterator[Row]:
    schedule = block[0]
    names = [
        TRIGGERS.get(context.message.header.text(9, 2)),
        STATUSES.get((schedule.text(25) or schedule.text(25, 2)).upper()),
    ]
    for name in dict.fromkeys(name for name in names if name):
        yield from context.event(name, "MSH-7", context.sent_at)
    candidates = [("SCH-11.4", schedule.text(11, 4)), ("TQ1-7", _first(block, "TQ1", 7))]
    candidates += [(f"{name}-{field}", _first(block, name, field)) for name, field in RESOURCE_STARTS]
    for where, text in candidates:
        if moment := context.clock.moment(where, text):
            yield from context.event("exam_scheduled_for", where, moment)
            return
