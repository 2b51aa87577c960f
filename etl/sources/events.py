"""The exam's life: event names, the states they lead to, and the order of sources for each.

Names and precedence follow the workflow reference (SWIM steps where one exists; IHE RAD TF-2 for the transactions).
"""

from __future__ import annotations

from typing import NamedTuple


class ExamEvent(NamedTuple):
    """One step of an exam's life."""

    name: str
    state: str | None
    """State that the event is evidence of; None where it moves nothing."""
    milestone: str | None
    """Prefix of the columns in `fact_exam`, None where it is kept in `fact_exam_event` alone."""
    take: str
    """`first` or `last` of the candidates of the best source counts."""
    doc: str


EVENTS: tuple[ExamEvent, ...] = (
    ExamEvent("order_placed", "ordered", "ordered", "first", "The order was placed (ORC-1 NW: ORC-9, ORC-15, MSH-7)."),
    ExamEvent(
        "scheduling_done",
        "scheduled",
        "booked",
        "first",
        "The appointment was made (first SIU^S12; Appointment.created).",
    ),
    ExamEvent(
        "exam_scheduled_for",
        "scheduled",
        "scheduled_for",
        "last",
        "The time the exam is planned for (SCH-11.4, AIS-4, OBR-36, TQ1-7).",
    ),
    ExamEvent(
        "emergency_arrival",
        None,
        "door",
        "first",
        "The patient came through the hospital's door (ADT^A04 or A01: PV1-44, EVN-6; Encounter.period.start).",
    ),
    ExamEvent("patient_arrived", "arrived", "arrived", "first", "Arrival in imaging (RIS, SIU^S14 arrived)."),
    ExamEvent(
        "patient_in_room", "arrived", "in_room", "first", "The patient is in the scanner's room (status of the RIS)."
    ),
    ExamEvent(
        "exam_started", "in_progress", "started", "first", "Start of the exam (MPPS, first acquisition, RIS button)."
    ),
    ExamEvent("exam_completed", "completed", "ended", "first", "End of the exam (MPPS, last acquisition, RIS button)."),
    ExamEvent(
        "patient_left_room", None, "left_room", "last", "The patient left the scanner's room (status of the RIS)."
    ),
    ExamEvent("read_started", "reading", "read_started", "first", "The radiologist opened the exam."),
    ExamEvent(
        "report_dictated",
        "reading",
        None,
        "first",
        "Dictated, not verified (OBR-25 R, TXA-6; DiagnosticReport partial).",
    ),
    ExamEvent("report_preliminary", "prelim", "prelim", "first", "First preliminary report (OBR-25 P)."),
    ExamEvent("report_final", "final", "final", "first", "First final report (OBR-25 F: OBR-22)."),
    ExamEvent("report_corrected", "corrected", None, "first", "A corrected report (OBR-25 C)."),
    ExamEvent("report_addendum", "addended", None, "first", "An addendum."),
    ExamEvent(
        "result_communicated",
        None,
        "communicated",
        "first",
        "A critical result was told to the referrer (Communication.sent; extract).",
    ),
    ExamEvent("charge_posted", None, "charged", "first", "A charge was posted (FT1-5, FT1-4)."),
    ExamEvent(
        "order_cancelled",
        "cancelled",
        "cancelled",
        "last",
        "The order or appointment was cancelled (OC, CR, ORC-5 CA, SIU^S15).",
    ),
    ExamEvent("cancel_requested", None, None, "last", "The placer asked to cancel (ORC-1 CA): a wish until OC or CR."),
    ExamEvent("cancel_refused", None, None, "last", "The filler refused to cancel (UC, UD)."),
    ExamEvent(
        "exam_discontinued", "discontinued", None, "last", "The exam was broken off (ORC-1 DC, OD; MPPS DISCONTINUED)."
    ),
    ExamEvent("patient_no_show", "no_show", None, "last", "The patient did not come (SIU^S26)."),
    ExamEvent(
        "worklist_left",
        None,
        None,
        "last",
        "The entry is no longer on the modality worklist: done, moved or cancelled.",
    ),
    ExamEvent("images_stored", None, None, "last", "The archive has the images."),
)

EVENT_BY_NAME = {event.name: event for event in EVENTS}

STATE_ORDER = (
    "ordered",
    "scheduled",
    "arrived",
    "in_progress",
    "completed",
    "reading",
    "prelim",
    "final",
    "corrected",
    "addended",
)
"""States in the order of an exam's life; `cancelled`, `discontinued` and `no_show` are ends."""

SOURCE_PRECEDENCE: dict[str, tuple[str, ...]] = {
    "exam_started": ("mpps", "dicom", "hl7", "extract", "fhir", "siu", "mwl"),
    "exam_completed": ("hl7", "extract", "fhir", "mpps", "dicom", "siu", "mwl"),
    "exam_scheduled_for": ("siu", "fhir", "mwl", "hl7", "extract", "mpps", "dicom"),
    "exam_discontinued": ("mpps", "hl7", "fhir", "extract", "siu", "mwl", "dicom"),
}
"""Best first, where it differs from the default: the start comes from the machine, the end that makes an exam ready to
read from the system where people say so (the machine's own end stands in `machine_ended_at`), plans from the scheduler."""

DEFAULT_PRECEDENCE = ("mpps", "siu", "hl7", "fhir", "extract", "mwl", "dicom")

COARSE = ("h", "d", "month", "year")
"""Precisions of a time that are too coarse for an interval in minutes, or to tell one slot from the next."""
