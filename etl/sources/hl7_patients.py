"""ADT messages: what they say about a patient, and which identities a merge ends.

Merges (HL7 v2.8.2 chapter 3, section 3.3): A18, A30, A34, A36 and A40 merge two identities and A47 changes one; in all
of them PID-3 survives and MRG-1 ends. A35, A41 and A42 merge accounts or visits, A43 to A45, A49 and A50 move or rename
them, A24 links two patients: none of these ends an identity.
"""

from __future__ import annotations

from etl.sources.contract import Row, month_of
from etl.sources.hl7_context import MessageContext, PatientId, patient_ids
from etl.sources.hl7_message import Segment, refused, unused

MERGES = frozenset(("A18", "A30", "A34", "A36", "A40", "A47"))

NO_PATIENT = "no-patient-id"


def patient_rows(context: MessageContext) -> dict[str, list[Row]]:
    """One `patient` row for each PID, and for each identity that its MRG ends.

    Raises:
        RefusedMessageError: there is no PID, or none with an identifier.
    """
    message = context.message
    pairs = [
        (segment, _merge_of(message.segments, index))
        for index, segment in enumerate(message.segments)
        if segment.name == "PID"
    ]
    if not pairs:
        raise unused("no-patient", f"{message.kind} has no PID segment, so it says nothing about a patient.")
    rows: list[Row] = []
    for segment, merge in pairs:
        if patient_ids(segment, 3) or patient_ids(segment, 2):
            rows += _rows(context, segment, merge, len(rows) + 1)
    if not rows:
        raise refused(
            NO_PATIENT,
            "PID-3 has no patient identifier.",
            "Have the sender fill PID-3 and send the message again.",
            "PID-3",
        )
    return {"patient": rows}


def _merge_of(segments: list[Segment], index: int) -> Segment | None:
    for segment in segments[index + 1 :]:
        if segment.name == "PID":
            return None
        if segment.name == "MRG":
            return segment
    return None


def _rows(context: MessageContext, segment: Segment, merge: Segment | None, group: int) -> list[Row]:
    event = context.message.first("EVN")
    _, stated = context.first_moment(
        ("EVN-6", event.text(6) if event else ""), ("EVN-2", event.text(2) if event else "")
    )
    visit = context.visit_segment
    row = {
        **context.row(group, stated),
        **context.patient(segment),
        "merged": None,
        "patient_class": (visit.text(2) if visit else "") or None,
        "department": (visit.text(3) if visit else "") or None,
    }
    row["month"] = month_of(row["stated_at"])
    ended = _ended(context, segment, merge)
    if not ended:
        return [row]
    rows = []
    for place, (survivor, dead) in enumerate(ended):
        pseudonyms = (context.identities.pseudonym("patient", one.text) for one in (survivor, dead))
        patient, merged = pseudonyms
        rows.append(
            {**row, "position": f"{context.position}, group {group + place}", "patient": patient, "merged": merged}
        )
    return rows


def _ended(context: MessageContext, segment: Segment, merge: Segment | None) -> list[tuple[PatientId, PatientId]]:
    """Pairs of surviving and ended identifier; only those of one assigning authority."""
    if merge is None or context.message.header.text(9, 2) not in MERGES:
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
