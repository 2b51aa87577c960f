"""Scheduling messages (SIU^S12 to S26) to one `workflow` row an appointment.

HL7 v2.8.2 chapter 10; table 0278 (filler status). The appointment stands in SCH-11.4 up to v2.4, in TQ1-7 and AIS-4
from v2.5. S12 books it, S13 moves it and S14 changes something else (each states the time that holds), S15 cancels it,
S16 breaks it off, S17 deletes it, S26 says that the patient did not come; S18 to S24 speak of its resources.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from etl.sources.contract import Row
from etl.sources.hl7.context import MessageContext
from etl.sources.hl7.message import ABSENT, Segment, refused
from etl.sources.hl7.orders import procedure_columns

TRIGGERS = {
    "S12": "scheduling_done",
    "S15": "order_cancelled",
    "S16": "exam_discontinued",
    "S17": "order_cancelled",
    "S26": "patient_no_show",
}
EXPLAINED = frozenset(("S13", "S15", "S16", "S17", "S26"))
"""Triggers whose SCH-6 says why the appointment did not stay as it was; of the others it names the booking's occasion."""
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
PEOPLE = frozenset(("P", "PERSON", "PERSONNEL", "STAFF", "PROVIDER"))
"""AIG-4 of a general resource that is a person: no station, and its name stays outside."""

_NUMBER = re.compile(r"\d{1,6}(?:\.\d{1,6})?")
_MINUTES = {"s": 1 / 60, "sec": 1 / 60, "second": 1 / 60, "min": 1.0, "m": 1.0, "minute": 1.0,
            "h": 60.0, "hr": 60.0, "hour": 60.0, "d": 1440.0, "day": 1440.0}  # fmt: skip
"""Unit of a duration, in lower case and without a plural's s, to minutes."""
LONGEST_MINUTES = 1440.0
"""What is booked for longer is no slot of a device; without a unit so many minutes are taken for seconds, which the
standard means where it is left out and senders do not."""


def appointment_rows(context: MessageContext) -> dict[str, list[Row]]:
    """One `workflow` row for each SCH.

    Raises:
        RefusedMessageError: there is no SCH, or it has no number.
    """
    blocks = _blocks(context.message.segments)
    if not blocks:
        raise refused(
            "no-appointment",
            f"{context.kind} has no SCH segment.",
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


def _first(block: list[Segment], name: str) -> Segment:
    return next((segment for segment in block if segment.name == name), ABSENT)


def _keys(context: MessageContext, schedule: Segment) -> Row:
    """The order's numbers (SCH-26, SCH-27 from v2.4), and the appointment's own: SCH-2 of the scheduler, else SCH-1.

    Where the order's are absent the appointment stands for it in `filler`, in a form that no order number has.
    """
    number = schedule.text(2) or schedule.text(1)
    own = context.appointment(number) if number else None
    placer, filler = context.number(schedule.text(26)), context.number(schedule.text(27))
    return {"placer": placer, "filler": own if placer is None and filler is None else filler, "appointment": own}


def _columns(context: MessageContext, block: list[Segment]) -> Row:
    schedule, service = block[0], _first(block, "AIS")
    explains = context.trigger in EXPLAINED
    return {
        "order_status": schedule.text(25).upper() or None,
        "imaging": None,
        **procedure_columns(service, 3),
        "station": _station(block),
        "referrer": context.person(schedule, 12),
        "scheduled_minutes": _minutes(context, block),
        "reason_code": (explains and schedule.text(6)) or None,
        "reason_text": (explains and schedule.text(6, 2)) or None,
    }


def _station(block: list[Segment]) -> str | None:
    """The room or device: AIL-3, else AIG-3."""
    place, thing = _first(block, "AIL"), _first(block, "AIG")
    named = "" if thing.text(4).upper() in PEOPLE else thing.text(3)
    return place.text(3) or named or place.text(3, 2) or None


def _minutes(context: MessageContext, block: list[Segment]) -> float | None:
    """The booked length: of the service (AIS-7), of the appointment (SCH-9), else from start to end."""
    schedule, timing = block[0], _first(block, "TQ1")
    for segment, field in ((_first(block, "AIS"), 7), (schedule, 9)):
        if text := segment.text(field):
            minutes = _in_minutes(text, segment.text(field + 1))
            if minutes is not None:
                return minutes
            context.flags.append(f"{segment.name}-{field}: bad-duration")
    for where, start, end in (
        ("SCH-11", schedule.text(11, 4), schedule.text(11, 5)),
        ("TQ1", timing.text(7), timing.text(8)),
    ):
        begins, ends = context.clock.moment(where, start), context.clock.moment(where, end)
        if begins and ends and 0 < (minutes := (ends.at - begins.at).total_seconds() / 60) <= LONGEST_MINUTES:
            return minutes
    return None


def _in_minutes(text: str, unit: str) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    if not unit:
        factor: float | None = 1.0 if number <= LONGEST_MINUTES else _MINUTES["s"]
    else:
        written = unit.lower()
        factor = _MINUTES.get(written) or _MINUTES.get(written.rstrip("s."))
    return number * factor if factor is not None and 0 < number * factor <= LONGEST_MINUTES else None


def _events(context: MessageContext, block: list[Segment]) -> Iterator[Row]:
    schedule = block[0]
    status = (schedule.text(25) or schedule.text(25, 2)).upper()
    names = [TRIGGERS.get(context.trigger), context.local_event(status) or STATUSES.get(status)]
    for name in dict.fromkeys(name for name in names if name):
        yield from context.event(name, "MSH-7", context.sent_at)
    candidates = [("SCH-11.4", schedule.text(11, 4)), ("TQ1-7", _first(block, "TQ1").text(7))]
    candidates += [
        (f"{name}-{field}", next((text for one in block if one.name == name and (text := one.text(field))), ""))
        for name, field in RESOURCE_STARTS
    ]
    for where, text in candidates:
        if moment := context.clock.moment(where, text):
            yield from context.event("exam_scheduled_for", where, moment)
            return
