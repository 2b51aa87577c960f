"""What each group of measures needs of the data, and where it usually comes from: the words of `check-source`.

Names are `event:` and an event (`etl.sources.events`), or a landing table and column (`etl.lake.schema`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class Need(NamedTuple):
    """What one group of measures needs."""

    group: str
    alternatives: tuple[tuple[str, ...], ...]
    """One of these suffices; each names all that it takes."""


_EXAM = (("event:exam_started",), ("event:exam_completed",), ("series.started_at",))
_END = ("event:exam_completed", "series.ended_at")

NEEDS: tuple[Need, ...] = (
    Need("volume and case mix", tuple((*time, place) for time in _EXAM for place in ("workflow.modality", "series.modality"))),
    Need("report turnaround", tuple((end, "event:report_final") for end in _END)),
    Need("first report, and the time to sign", (("event:report_preliminary", "event:report_final"),)),
    Need("waiting for a reader apart from reading", (("event:read_started", "event:report_final"),)),
    Need("order to exam", tuple(("event:order_placed", *time) for time in _EXAM)),
    Need("lead time and access", (("event:exam_scheduled_for", "event:scheduling_done"), ("event:exam_scheduled_for", "event:order_placed"))),
    Need("waiting on the day", (("event:patient_arrived", "event:exam_started"), ("event:patient_arrived", "series.started_at"))),
    Need(
        "room utilisation",
        (
            ("event:exam_started", "event:exam_completed", "workflow.station"),
            ("event:exam_started", "event:exam_completed", "workflow.ae_title"),
            ("event:patient_in_room", "event:patient_left_room", "workflow.station"),
            ("series.started_at", "series.ended_at", "series.station"),
        ),
    ),
    Need("booked against used time", (("event:exam_scheduled_for", "workflow.scheduled_minutes"),)),
    Need("no-shows", (("event:patient_no_show",),)),
    Need("cancellations", (("event:order_cancelled",),)),
    Need("exams broken off, by reason", (("event:exam_discontinued", "workflow.reason_code"),)),
    Need("emergency and stroke clocks", (("event:emergency_arrival", "event:exam_started"), ("event:emergency_arrival", "series.started_at"))),
    Need("critical results", (("event:result_communicated",),)),
    Need("charges", (("event:charge_posted", "workflow.charge_code"), ("workflow.charge_amount",))),
    Need("readers and sections", (("workflow.reader",), ("workflow.reader_group",))),
    Need("radiation dose", (("irradiation_event.event_uid",), ("dose_report.object_uid",))),
    Need("staffed hours, closures and downtime", (("calendar.kind",),)),
    Need("joining images with orders and reports", (("series.accessions", "series.study_uid"), ("workflow.accession",), ("workflow.study_uid",))),
)  # fmt: skip

SOURCES: dict[str, str] = {
    "event:order_placed": "ORM^O01 or OMI^O23 with ORC-1 NW and ORC-9; ServiceRequest.authoredOn",
    "event:scheduling_done": "SIU^S12; Appointment.created",
    "event:exam_scheduled_for": "SIU with SCH-11.4, ORM with OBR-36, or the modality worklist; Appointment.start",
    "event:emergency_arrival": "ADT^A04 with PV1-44 and the visit number that the orders carry; Encounter.period.start",
    "event:patient_arrived": "SIU^S14 with status arrived, or a local order status under [hl7.statuses]; Appointment arrived",
    "event:patient_in_room": "a local order status (ORC-5) under [hl7.statuses]",
    "event:patient_left_room": "a local order status (ORC-5) under [hl7.statuses]",
    "event:exam_started": "MPPS, image headers, or ORM with ORC-5 IP; Procedure.performedPeriod.start",
    "event:exam_completed": "ORM with ORC-5 CM, or MPPS COMPLETED; Procedure.performedPeriod.end",
    "event:exam_discontinued": "MPPS DISCONTINUED, or ORC-1 DC",
    "event:read_started": "the reporting system's audit or RIS table, as an extract",
    "event:report_preliminary": "ORU^R01 with OBR-25 P and OBR-22; DiagnosticReport preliminary with issued",
    "event:report_final": "ORU^R01 with OBR-25 F and OBR-22; DiagnosticReport final with issued",
    "event:patient_no_show": "SIU^S26; Appointment.status noshow; a no-show time column of the RIS",
    "event:order_cancelled": "ORM with ORC-1 CA and OC or CR, SIU^S15; Appointment.status cancelled",
    "event:result_communicated": "the critical results system, as an extract; Communication.sent",
    "event:charge_posted": "DFT^P03 with FT1-5; ChargeItem.occurrence",
    "workflow.modality": "OBR-24, or a mapped column",
    "workflow.station": "AIS-3 or AIL-3 of SIU, the performing station of MPPS, or a mapped column",
    "workflow.ae_title": "the worklist's or MPPS's AE title",
    "workflow.scheduled_minutes": "SCH-9 or AIS-7 of SIU; Appointment.minutesDuration",
    "workflow.reason_code": "(0040,0281) of MPPS, ORC-16, SCH-6",
    "workflow.charge_code": "FT1-7, or a mapped column",
    "workflow.charge_amount": "FT1-11 or a mapped column",
    "workflow.reader": "OBR-32; DiagnosticReport.resultsInterpreter",
    "workflow.reader_group": "OBR-32.7 or a mapped column",
    "workflow.accession": "the accession number in OBR-18, IPC-1, OBR-3 or a mapped column (hl7.accession_fields)",
    "workflow.study_uid": "ZDS-1 or IPC-3",
    "series.modality": "(0008,0060)",
    "series.started_at": "acquisition times in image headers, (0008,002A) or (0008,0022) with (0008,0032)",
    "series.ended_at": "acquisition times in image headers",
    "series.station": "(0008,1010)",
    "series.accessions": "(0008,0050): let the modality take it from the worklist",
    "series.study_uid": "(0020,000D)",
    "irradiation_event.event_uid": "radiation dose structured reports (RDSR) sent to Isocenter beside the archive",
    "dose_report.object_uid": "radiation dose structured reports (RDSR)",
    "calendar.kind": "an iCalendar or CSV file of staffed hours and closures",
}
"""Where each name usually comes from: what to ask a vendor for."""


class Judged(NamedTuple):
    """How one group of measures stands."""

    group: str
    works: bool
    given: tuple[str, ...]
    """What is there of the alternative that lacks least."""
    lacking: tuple[str, ...]


def judged(given: Collection[str]) -> list[Judged]:
    """Every group of measures against the names that the data gives."""
    answer = []
    for need in NEEDS:
        best = min(need.alternatives, key=lambda names: sum(name not in given for name in names))
        lacking = tuple(name for name in best if name not in given)
        answer.append(Judged(need.group, not lacking, tuple(name for name in best if name in given), lacking))
    return answer


def words(name: str) -> str:
    """A name as people read it."""
    if name.startswith("event:"):
        return name.removeprefix("event:")
    table, _, column = name.partition(".")
    return f"{column} of {table}"
