"""ADT messages: what they say about a patient, which identities a merge ends, and when a visit began.

Merges (HL7 v2.8.2 chapter 3, section 3.3): A18, A30, A34, A36 and A40 merge two identities and A47 changes one; in all
of them PID-3 survives and MRG-1 ends. A35, A41 and A42 merge accounts or visits, A43 to A45, A49 and A50 move or rename
them, A24 links two patients whose data stay distinct: none of these ends an identity. A37 says that two patients are
two: whatever made them one is taken back.

Visits: registration (A04), admission (A01), arrival (A10) and updates (A08) also give a `workflow` row that names the
visit and no exam, with the patient class. Where the class is that of an emergency, it tells when the patient came through
the door: PV1-44, else EVN-6, else EVN-2. An admission of any other class is no arrival, and neither is the registration
of an outpatient; an update tells it by PV1-44 alone, for its event is the update.
"""

from __future__ import annotations

from itertools import pairwise

from etl.sources.contract import Row, month_of
from etl.sources.hl7.context import MessageContext, PatientId, patient_ids
from etl.sources.hl7.message import ABSENT, Segment, refused, unused

MERGES = frozenset(("A18", "A30", "A34", "A36", "A40", "A47"))
UNLINK = "A37"
ARRIVALS = frozenset(("A01", "A04", "A10"))
UPDATE = "A08"
EMERGENCY = frozenset(("E", "ED", "ER", "EMER", "EMERGENCY", "A&E"))
"""PV1-2 of table 0004, and as senders write it."""

NO_PATIENT = "no-patient-id"


def patient_rows(context: MessageContext) -> dict[str, list[Row]]:
    """One `patient` row for each PID, and for each identity that its MRG ends; a `workflow` row for a visit.

    Raises:
        RefusedMessageError: there is no PID, or none with an identifier.
    """
    segments = context.message.segments
    places = [place for place, segment in enumerate(segments) if segment.name == "PID"]
    if not places:
        raise unused("no-patient", f"{context.kind} has no PID segment, so it says nothing about a patient.")
    rows: list[Row] = []
    for place, end in pairwise([*places, len(segments)]):
        segment = segments[place]
        if patient_ids(segment, 3) or patient_ids(segment, 2):
            merge = next((one for one in segments[place + 1 : end] if one.name == "MRG"), ABSENT)
            rows += _rows(context, segment, _ended(context, segment, merge), len(rows) + 1)
    if not rows:
        raise refused(
            NO_PATIENT,
            "PID-3 has no patient identifier.",
            "Have the sender fill PID-3 and send the message again.",
            "PID-3",
        )
    if context.trigger == UNLINK:
        rows = _unlinked(rows)
    visits = _visit_rows(context)
    return {"patient": rows, "workflow": visits} if visits else {"patient": rows}


def _rows(context: MessageContext, segment: Segment, ended: list[tuple[PatientId, PatientId]], group: int) -> list[Row]:
    event, visit = context.message.first("EVN"), context.visit_segment
    _, stated = context.first_moment(("EVN-6", event.text(6)), ("EVN-2", event.text(2)))
    row = {
        **context.row(group, stated),
        **context.patient(segment),
        "merged": None,
        "patient_class": visit.text(2) or None,
        "department": visit.text(3) or None,
    }
    row["month"] = month_of(row["stated_at"])
    if not ended:
        return [row]
    return [
        {
            **row,
            "position": f"{context.position}, group {group + place}",
            "patient": context.pseudonym("patient", survivor.text),
            "merged": context.pseudonym("patient", dead.text),
        }
        for place, (survivor, dead) in enumerate(ended)
    ]


def _ended(context: MessageContext, segment: Segment, merge: Segment) -> list[tuple[PatientId, PatientId]]:
    """Pairs of surviving and ended identifier; only those of one assigning authority."""
    if not merge or context.trigger not in MERGES:
        return []
    survivors = patient_ids(segment, 3) or patient_ids(segment, 2)
    pairs = []
    for dead in patient_ids(merge, 1):
        survivor = next((one for one in survivors if one.authority == dead.authority), None)
        survivor = survivor or next((one for one in survivors if one.authority.is_same(dead.authority)), None)
        if survivor is None:
            context.flags.append("MRG-1: assigning authority differs from PID-3, not merged")
        elif survivor.text != dead.text:
            if not (survivor.authority.name and dead.authority.name) and survivor.authority != dead.authority:
                context.flags.append("MRG-1: assigning authority stated on one side only")
            pairs.append((survivor, dead))
    return pairs


def _unlinked(rows: list[Row]) -> list[Row]:
    """Of two patients (A37), what each says of itself, and that the second is not the first."""
    first, *others = rows
    apart = [{**first, **_undone(first, other)} for other in others if other["patient"] != first["patient"]]
    return [*rows, *apart]


def _undone(first: Row, other: Row) -> Row:
    return {
        "position": f"{other['position']}, unlinked",
        "patient": first["patient"],
        "merged": other["patient"],
        "undoes": True,
    }


def _visit_rows(context: MessageContext) -> list[Row]:
    """The visit, where its number and class are stated; see the module's text for the arrival."""
    trigger, segment = context.trigger, context.visit_segment
    written = segment.text(2)
    if not written or (trigger not in ARRIVALS and trigger != UPDATE):
        return []
    visit = context.visit()
    if not visit["visit"]:
        return []
    event = context.message.first("EVN")
    times = [("PV1-44", segment.text(44))]
    if trigger in ARRIVALS:
        times += [("EVN-6", event.text(6)), ("EVN-2", event.text(2))]
    found = [(field, moment) for field, text in times if (moment := context.clock.moment(field, text))]
    arrived = context.fine_event("emergency_arrival", *found[0]) if found and written.upper() in EMERGENCY else []
    patient = context.patient(context.message.first("PID"))
    return [{**context.row(1, context.sent_at), **patient, **visit, "events": arrived}]
