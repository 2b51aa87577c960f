"""Modality performed procedure steps: what the scanner says of an exam's start and end (PS3.4 annex F, PS3.3 C.4.13 to 15).

The N-CREATE names the scheduled steps in (0040,0270), one item an order; the N-SET carries only what changed, often no
more than status and end, and is tied to its step by the SOP Instance UID. Both are read alike, and so is their sum as
archives keep it.
"""

from __future__ import annotations

from etl.sources.clock import Moment
from etl.sources.contract import Context, Offered, Reject, Row, Verdict, digest_of, month_of, rejected, shown
from etl.sources.dicom import tags
from etl.sources.dicom.dataset import DataSet
from etl.sources.dicom.exam import UID
from etl.sources.dicom.file import DicomFile
from etl.sources.dicom.steps import StepContext, coded, content_digest, event, file_path, procedure_columns
from etl.sources.dose.step_dose import step_dose

MPPS = "mpps"
MPPS_CLASS = "1.2.840.10008.3.1.2.3.3"

ENDS = {"COMPLETED": "exam_completed", "DISCONTINUED": "exam_discontinued"}
"""Status (0040,0252) to the event whose time (0040,0250), (0040,0251) is."""
STATUSES = frozenset(("IN PROGRESS", *ENDS))
REASONS = {
    "110500": "Doctor canceled procedure",
    "110501": "Equipment failure",
    "110502": "Incorrect procedure ordered",
    "110503": "Patient allergic to media/contrast",
    "110504": "Patient died",
    "110505": "Patient refused to continue procedure",
    "110506": "Patient taken for treatment or surgery",
    "110507": "Patient did not arrive",
    "110508": "Patient pregnant",
    "110509": "Change of procedure for correct charging",
    "110510": "Duplicate order",
    "110511": "Nursing unit cancel",
    "110512": "Incorrect side ordered",
    "110513": "Discontinued for unspecified reason",
    "110514": "Incorrect worklist entry selected",
    "110515": "Patient condition prevented continuing",
    "110516": "Equipment change",
}
"""Codes of DCM in CID 9301 (PS3.16): why a step was discontinued."""
WRONG_ENTRY = "110514"


def is_performed_step(file: DicomFile) -> bool:
    """Whether the object is a performed step: by its SOP class, or where it names none by its content."""
    sop_class = file.data.text(tags.SOP_CLASS)
    if sop_class:
        return sop_class == MPPS_CLASS
    return (
        file.meta.text(tags.MEDIA_CLASS) == MPPS_CLASS
        or tags.PERFORMED_STATUS in file.data
        or tags.PERFORMED_SERIES in file.data
    )


def read_step(file: DicomFile, context: Context, name: str) -> Offered:
    """The verdict on one N-CREATE, N-SET or their sum, with one `workflow` row for each order that the step serves.

    Raises:
        DamagedError: the items of a sequence do not fill it.
    """
    step = _Step(file, context, name)
    digest = digest_of(step.uid, content_digest(file.data))
    if not step.is_tied:
        message = "Neither (0008,0018) SOP Instance UID nor (0040,0270) Scheduled Step Attributes tell which step it speaks of."
        remedy = "Store the object as a part 10 file with Media Storage SOP Instance UID (0002,0003), or name the file by the UID."
        return rejected(MPPS, digest, Reject("missing-step-uid", message, remedy, "(0008,0018)"))
    rows = step.rows()
    dose = step_dose(file.data, rows[0], context)
    return Offered(
        MPPS,
        Verdict.ACCEPTED,
        digest,
        source_name=step.source_name,
        rows={"workflow": rows, **({"dose_report": dose} if dose else {})},
        identities=step.context.identities.seen,
    )


class _Step:
    """One performed step being read."""

    def __init__(self, file: DicomFile, context: Context, name: str) -> None:
        self.data, self.flags = file.data, file.flags
        self.uid = _step_uid(file, name)
        self.station = self.data.text(tags.PERFORMED_STATION)
        self.ae_title = self.data.text(tags.PERFORMED_AE)
        self.source_name = self.station or self.ae_title or file.meta.text(tags.SOURCE_AE)
        location, institution = self.data.text(tags.PERFORMED_LOCATION), self.data.text(tags.INSTITUTION)
        self.context = StepContext(file, context, location, institution, self.station, self.ae_title)
        self.requests = self.data.items(tags.SCHEDULED_ATTRIBUTES)
        self.status = self.data.text(tags.PERFORMED_STATUS).upper()
        self.started = self._moment(tags.STEP_START_DATE, tags.STEP_START_TIME, "(0040,0244)")
        self.ended = self._moment(tags.STEP_END_DATE, tags.STEP_END_TIME, "(0040,0250)")

    @property
    def is_tied(self) -> bool:
        """Whether anything tells which step or order it is."""
        return bool(self.uid or self.requests)

    def _moment(self, date_tag: int, time_tag: int, field: str) -> Moment | None:
        return self.context.clock.moment(self.data.text(date_tag), self.data.text(time_tag), field)

    def rows(self) -> list[Row]:
        """One row an item of (0040,0270): several are one acquisition for several orders (IHE group case)."""
        shared = {**self._about(), "events": self._events(), **self._reason()}
        requests = self.requests or [self.data]
        rows = []
        for number, request in enumerate(requests, 1):
            code = tags.PROCEDURE_CODE if tags.PROCEDURE_CODE in self.data else tags.REQUESTED_PROCEDURE_CODE
            rows.append(
                {
                    **shared,
                    **self.context.keys(request),
                    **procedure_columns(
                        self.data if code == tags.PROCEDURE_CODE else request,
                        code,
                        request.text(tags.REQUESTED_PROCEDURE),
                        self.data.text(tags.PERFORMED_DESCRIPTION),
                    ),
                    "position": f"item {number}" if len(requests) > 1 else "",
                }
            )
        flags = list(dict.fromkeys(self.flags))
        return [{**row, "flags": flags} for row in rows]

    def _about(self) -> Row:
        stated = self._stated()
        series = self.data.items(tags.PERFORMED_SERIES)
        operators = (self.context.person(one, tags.OPERATORS, tags.OPERATOR_IDENTIFICATION) for one in series)
        return {
            "source": MPPS,
            "source_name": self.source_name or None,
            "message_type": "MPPS",
            "stated_at": stated.at if stated else None,
            "month": month_of(stated.at if stated else None),
            "site": self.context.site.code,
            "step_uid": self.uid or None,
            **self.context.patient(self.started),
            "visit": self.context.visit(self.data.text(tags.ADMISSION_ID)),
            "imaging": True,
            "modality": self.data.text(tags.MODALITY) or None,
            "order_status": self.status or None,
            "ae_title": self.ae_title or None,
            "station": self.station or None,
            "technologist": next((operator for operator in operators if operator), None),
            "protocol": _protocol(self.data, series),
            "performed_series": len(series) if tags.PERFORMED_SERIES in self.data else None,
        }

    def _stated(self) -> Moment | None:
        """The latest that the object can speak of: its creation, its end once it has ended, else its start."""
        created = self._moment(tags.CREATION_DATE, tags.CREATION_TIME, "(0008,0012)")
        known = [created, self.started, self.ended if self.status in ENDS else None]
        return max((moment for moment in known if moment), key=lambda moment: moment.at, default=None)

    def _events(self) -> list[Row]:
        """Start, and the end that the status names; what the step leaves open stays open."""
        if self.status and self.status not in STATUSES:
            self.flags.append(f"(0040,0252): unknown status {shown(self.status, 20)}")
        if tags.STEP_START_DATE in self.data and self.started is None:
            self.flags.append("(0040,0244): missing start")
        if self.status in ENDS and self.ended is None:
            self.flags.append("(0040,0250): missing end")
        if self.ended and self.status not in ENDS:
            self.flags.append("(0040,0250): an end without a status that ends the step, not used")
        if self.started and self.ended and self.ended.at < self.started.at:
            self.flags.append("(0040,0250): end before start")
        ended = event(ENDS[self.status], "(0040,0250)", self.ended) if self.status in ENDS else []
        return [*event("exam_started", "(0040,0244)", self.started), *ended]

    def _reason(self) -> Row:
        """Why the step was discontinued (0040,0281)."""
        code, scheme, meaning = coded(self.data, tags.DISCONTINUATION_REASON)
        if code == WRONG_ENTRY:
            self.flags.append("(0040,0281): wrong worklist entry selected, the step belongs to another order")
        elif code and scheme == "DCM" and code not in REASONS:
            self.flags.append("(0040,0281): not in CID 9301")
        elif code is None and self.status == "DISCONTINUED":
            self.flags.append("(0040,0281): discontinued without a reason")
        return {"reason_code": code, "reason_text": meaning or REASONS.get(code or "")}


def _step_uid(file: DicomFile, name: str) -> str:
    """The step's SOP Instance UID: its own element, the file meta information, or the file's name.

    Data sets of DIMSE have it in the command alone; what stores them puts it into (0002,0003) or the file's name. Meta
    information of another class was made up by a converter and tells nothing.
    """
    uid = file.data.text(tags.SOP_INSTANCE)
    if not uid and file.meta.text(tags.MEDIA_CLASS) == MPPS_CLASS:
        uid = file.meta.text(tags.MEDIA_INSTANCE)
    stem = file_path(name).name.removesuffix(".dcm")
    return (uid or (stem if UID.match(stem) and len(stem) > 8 else ""))[:128]


def _protocol(data: DataSet, series: list[DataSet]) -> str | None:
    """Protocol Name of the first series that has one (0018,1030), else the performed protocol code (0040,0260)."""
    named = next((text for one in series if (text := one.text(tags.PROTOCOL))), None)
    code, _, meaning = coded(data, tags.PERFORMED_PROTOCOL)
    return named or meaning or code
