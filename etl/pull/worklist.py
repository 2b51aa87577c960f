"""A modality worklist server, asked by C-FIND: one snapshot of the planned exams a pull (PS3.4 annex K).

Each answer that is new or changed becomes a `.wl` file, which the worklist reader loads. The worklist says what is planned
now and never what changed, so two things are told by comparing with the snapshot before: since when an entry stands as it
does, written into (0040,4010), so that an entry that is moved and moved back is no duplicate; and which entries are gone.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from pydicom import dcmwrite
from pydicom.config import disable_value_validation
from pydicom.datadict import dictionary_description
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID, generate_uid

from etl.pull.association import association
from etl.pull.contract import Cursor, Fetched, PullError, Remark
from etl.sources.contract import Context, Input, Offered, digest_of
from etl.sources.dicom import tags
from etl.sources.dicom.dataset import DamagedError, DataSet
from etl.sources.dicom.file import DicomFile, open_dicom
from etl.sources.dicom.steps import coded, content_digest
from etl.sources.dicom.time import parse_date
from etl.sources.dicom.worklist import FIND_CLASS, LEFT_KEYS, left_file, read_entry
from settings import Settings, WorklistSource
from state.home import DataHome

KIND = "worklist"


class Field(NamedTuple):
    """A return key by its keyword, and what an empty one costs."""

    keyword: str
    cost: str
    in_step: bool = False

    @property
    def tag(self) -> int:
        """Its tag."""
        return int(Tag(self.keyword))

    @property
    def words(self) -> str:
        """Name and tag."""
        return f"{dictionary_description(self.tag)} ({self.tag >> 16:04X},{self.tag & 0xFFFF:04X})"


FIELDS = (
    Field("AccessionNumber", "planned exams are joined with images and reports by weaker rules"),
    Field("StudyInstanceUID", "images are joined by accession number alone"),
    Field("RequestedProcedureID", "performed steps (MPPS) without accession number are joined by study alone"),
    Field("PatientID", "exams without numbers are not joined by patient"),
    Field("PlacerOrderNumberImagingServiceRequest", "orders that carry the placer's number alone are not joined"),
    Field("FillerOrderNumberImagingServiceRequest", "orders that carry the filler's number alone are not joined"),
    Field("IssueDateOfImagingServiceRequest", "order to exam needs the orders themselves (HL7, FHIR or an extract)"),
    Field("RequestedProcedureDescription", "planned exams are not broken down by procedure"),
    Field("RequestedProcedureCodeSequence", "procedures are told by their text alone"),
    Field("RequestedProcedurePriority", "targets by priority need the orders themselves"),
    Field("RequestingPhysician", "planned exams are not broken down by referrer"),
    Field("AdmissionID", "exams are not joined with the patient's stay"),
    Field("Modality", "planned exams count under no modality", in_step=True),
    Field("ScheduledProcedureStepStartDate", "lead time, moves and missed slots are unknown", in_step=True),
    Field("ScheduledProcedureStepStartTime", "first case on time and slot use are unknown", in_step=True),
    Field("ScheduledStationAETitle", "booked time is not told by scanner", in_step=True),
    Field("ScheduledStationName", "scanners are told by their AE title alone", in_step=True),
    Field("ScheduledProcedureStepID", "steps of one procedure are not told apart", in_step=True),
    Field("ScheduledProcedureStepStatus", "that a patient has arrived is unknown", in_step=True),
)
"""Return keys that land, and the words of `check-source` on them."""

_ALSO_ASKED = (
    "PatientName", "PatientBirthDate", "PatientSex", "IssueTimeOfImagingServiceRequest", "RequestingService",
    "InstitutionName", "CurrentPatientLocation", "TimezoneOffsetFromUTC",
)  # fmt: skip
_ALSO_ASKED_OF_STEPS = ("ScheduledProcedureStepDescription", "ScheduledProcedureStepLocation")


def connect(source: WorklistSource, settings: Settings) -> WorklistConnection:
    """The connection to one worklist server; nothing is sent yet."""
    return WorklistConnection(source, settings)


class WorklistConnection:
    """One worklist server."""

    def __init__(self, source: WorklistSource, settings: Settings) -> None:
        self._source, self._settings = source, settings

    def check(self) -> Iterator[Remark]:
        """Associates, echoes and asks for today; says what the entries fill and what the empty fields cost."""
        try:
            with association(self._source) as server:
                yield Remark("works", f"{self._source.called_ae} accepts {self._source.calling_ae}.")
                if server.echo():
                    yield Remark("works", "It answers a C-ECHO.")
                answers = server.find(query(self._source, self._today()))
                yield from _remarks(_counted(answers, server.syntax, self._settings))
        except PullError as error:
            yield Remark("fails", str(error))

    def fetch(self, cursor: Cursor, spool: Path) -> Fetched:
        """One snapshot: each day from `days_back` to `days_ahead` is a query of its own.

        A snapshot that the server did not end itself tells nothing: its files are removed, and the cursor stays.
        """
        context = Context(self._settings, DataHome.open_or_initialise(self._settings.data_directory).pseudonymiser)
        today = self._today()
        first, last = today - timedelta(self._source.days_back), today + timedelta(self._source.days_ahead)
        snapshot = _Snapshot(self._source, context, cursor, spool)
        try:
            with association(self._source) as server:
                for ahead in range((last - first).days + 1):
                    day = first + timedelta(ahead)
                    for answer in server.find(query(self._source, day)):
                        snapshot.add(day, answer, server.syntax)
        except PullError:
            snapshot.discard()
            raise
        return snapshot.closed(first, last)

    def _today(self) -> date:
        """The day at the site: the worklist's dates are local."""
        return datetime.now(self._settings.site_of(self._source.site).zone).date()


def query(source: WorklistSource, day: date) -> Dataset:
    """The C-FIND for the entries of one day: matching keys filled, return keys empty (PS3.4 table K.6-1)."""
    asked, step, code = Dataset(), Dataset(), Dataset()
    for key in FIELDS:
        setattr(step if key.in_step else asked, key.keyword, None)
    for keyword in _ALSO_ASKED:
        setattr(asked, keyword, None)
    for keyword in _ALSO_ASKED_OF_STEPS:
        setattr(step, keyword, None)
    code.CodeValue = code.CodingSchemeDesignator = code.CodeMeaning = ""
    step.ScheduledProcedureStepStartDate = f"{day:%Y%m%d}"
    step.Modality = source.modality or ""
    step.ScheduledStationAETitle = source.station_ae or ""
    asked.RequestedProcedureCodeSequence, asked.ScheduledProcedureStepSequence = [code], [step]
    return asked


class _Snapshot:
    """The answers of one pull on their way to files and to the next cursor.

    The cursor keeps a step under a keyed hash of its identifiers: planned day, digest of its content, and the pseudonyms
    that a later `worklist_left` needs.
    """

    def __init__(self, source: WorklistSource, context: Context, cursor: Cursor, spool: Path) -> None:
        self._source, self._context, self._spool = source, context, spool
        self._at = datetime.now(UTC)
        asked = (source.host, str(source.port), source.called_ae, source.modality or "", source.station_ae or "")
        self._query = digest_of(*asked, context.settings.matching.model_dump_json())
        # Another query has other answers: what the old one gave has not left.
        self._before: dict[str, Any] = cursor.get("steps", {}) if cursor.get("query") == self._query else {}
        self._steps: dict[str, Any] = {}
        self._doubtful: set[str] = set()
        self._written: list[Path] = []
        self._records = 0

    def add(self, day: date, answer: Dataset | None, syntax: str) -> None:
        """Writes one answer that is new or changed. One that cannot be used makes its day doubtful: nothing left it."""
        content = None if answer is None else _part10(answer, self._source.called_ae, syntax)
        if answer is None or content is None:
            self._doubtful.add(day.isoformat())
            return
        offered = None
        try:
            file = _opened(content, self._context.settings)
            digest, keys = content_digest(file.data), self._keys(file)
            if keys and all(self._is_known(key, digest) for key in keys):
                return
            content = _part10(answer, self._source.called_ae, syntax, self._at, self._source.site) or content
            offered = read_entry(_opened(content, self._context.settings), self._context, "")
        except DamagedError:
            pass  # the file is written all the same, and rejected in the open when it is loaded
        self._write(f"{len(self._written) + 1:06d}.wl", content)
        self._records += 1
        if offered is None or not offered.rows:
            self._doubtful.add(day.isoformat())
        else:
            self._remember(day, file, digest, keys, offered)

    def discard(self) -> None:
        """Removes what was written."""
        for path in self._written:
            path.unlink(missing_ok=True)

    def _write(self, name: str, content: bytes) -> None:
        self._written.append(self._spool / name)
        self._written[-1].write_bytes(content)

    def _is_known(self, key: str, digest: str) -> bool:
        """Whether the step stands as it did on the snapshot before, or came in this one already; remembers it."""
        step = self._steps.get(key) or self._before.get(key)
        if step is None or step["content"] != digest:
            return False
        self._steps[key] = step
        return True

    def _remember(self, day: date, file: DicomFile, digest: str, keys: list[str], offered: Offered) -> None:
        steps = file.data.items(tags.SCHEDULED_STEP)
        for key, step, row in zip(keys, steps, offered.rows["workflow"], strict=True):
            planned = parse_date(step.text(tags.SCHEDULED_DATE)) or day
            entry = {name: row[name] for name in ("site", "source_name", *LEFT_KEYS)}
            self._steps[key] = {"day": planned.isoformat(), "content": digest, "entry": entry}

    def _keys(self, file: DicomFile) -> list[str]:
        """A keyed hash for each scheduled step, of what stays the same when it is moved."""
        data, keys = file.data, []
        study = data.text(tags.STUDY) or f"{data.text(tags.PATIENT_ID)}\x1f{data.text(tags.ACCESSION)}"
        for step in data.items(tags.SCHEDULED_STEP):
            text = "\x1f".join((study, data.text(tags.REQUESTED_PROCEDURE_ID), step.text(tags.STEP_ID)))
            keys.append(self._context.pseudonymiser.pseudonym("order", f"step\x1f{text}") or "")
        return keys

    def closed(self, first: date, last: date) -> Fetched:
        """The whole snapshot, with a file of the entries that left since the one before.

        An entry has left where its day was asked for and answered to the end without it.
        """
        gone = {
            key: step
            for key, step in self._before.items()
            if key not in self._steps and first.isoformat() <= step["day"] <= last.isoformat()
        }
        kept = {key: step for key, step in gone.items() if step["day"] in self._doubtful}
        left = [step["entry"] for key, step in gone.items() if key not in kept]
        if left:
            self._write("left.json", left_file(left, self._at))
        cursor = {"query": self._query, "steps": {**kept, **self._steps}}
        return Fetched(files=len(self._written), records=self._records + len(left), cursor=cursor)


def _part10(
    answer: Dataset, called_ae: str, syntax: str, since: datetime | None = None, site: str | None = None
) -> bytes | None:
    """The answer as a DICOM file, its values as received; None where it cannot be encoded.

    Args:
        answer: a data set as it came.
        called_ae: the server, for (0002,0016).
        syntax: transfer syntax of the association.
        since: since when the entry stands as it does in UTC, for (0040,4010) where the server does not tell it.
        site: what (0008,0080) says where it is empty.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(FIND_CLASS)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = UID(syntax)
    meta.SourceApplicationEntityTitle = called_ae
    stream = io.BytesIO()
    try:
        _add(answer, since, site)
        answer.file_meta = meta
        with disable_value_validation():  # a value is kept as received, and never stands in a warning
            dcmwrite(stream, answer, enforce_file_format=True)
    except Exception:  # whatever a strange data set makes of the encoder, one answer costs one answer
        return None
    return stream.getvalue()


def _add(answer: Dataset, since: datetime | None, site: str | None) -> None:
    """Adds what is known beside the answer, where it does not say it itself."""
    with disable_value_validation():
        for step in answer.get("ScheduledProcedureStepSequence") or ():
            if since and not step.get("ScheduledProcedureStepModificationDateTime"):
                step.ScheduledProcedureStepModificationDateTime = f"{since:%Y%m%d%H%M%S.%f}+0000"
        if site and not answer.get("InstitutionName"):
            answer.InstitutionName = site


def _opened(content: bytes, settings: Settings) -> DicomFile:
    return open_dicom(Input("answer.wl", len(content), lambda: io.BytesIO(content)), settings.limits)


@dataclass
class _Counted:
    """How many entries there are, and in how many of them each return key is filled."""

    entries: int = 0
    filled: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0


def _counted(answers: Iterator[Dataset | None], syntax: str, settings: Settings) -> _Counted:
    counted = _Counted()
    for answer in answers:
        content = None if answer is None else _part10(answer, "", syntax)
        try:
            if content is None:
                raise DamagedError("malformed", "no data set")
            data = _opened(content, settings).data
            steps = data.items(tags.SCHEDULED_STEP) or [DataSet(data.buffer, data.explicit)]
            counted.filled.update(key.keyword for key in FIELDS if _is_filled(steps[0] if key.in_step else data, key))
        except DamagedError:
            counted.unreadable += 1
        counted.entries += 1
    return counted


def _is_filled(data: DataSet, key: Field) -> bool:
    return bool(coded(data, key.tag)[0] if key.keyword.endswith("Sequence") else data.text(key.tag))


def _remarks(counted: _Counted) -> Iterator[Remark]:
    """What the entries give, what each empty field costs, and what to ask for."""
    if not counted.entries:
        yield Remark(
            "gives", "No entry for today: on a day without planned exams nothing can be said about the fields."
        )
        return
    yield Remark("gives", f"{counted.entries} entries for today.")
    if counted.unreadable:
        yield Remark(
            "fails", f"{counted.unreadable} of them are no data sets that can be read: show the vendor a capture."
        )
    lacking = []
    for key in FIELDS:
        if empty := counted.entries - counted.filled[key.keyword]:
            lacking.append(key.words)
            yield Remark("missing", f"{key.words} is empty in {100 * empty / counted.entries:.0f} %: {key.cost}.")
    if lacking:
        yield Remark("ask", f"Ask the vendor to return, in answers to the C-FIND: {', '.join(lacking)}.")
