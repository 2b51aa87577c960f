"""Modality worklist entries: what is planned, on which scanner and when (PS3.4 annex K, PS3.3 C.4.10 to 12).

An entry arrives as a DICOM file (`.wl`), as the text of dcmtk's tools or as DICOM JSON; entries that left the worklist are
told by a file of our own, which the pull of a worklist server writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from etl.sources.contract import (
    Context,
    Input,
    Offered,
    Reject,
    Row,
    Verdict,
    digest_of,
    month_of,
    not_applicable,
    rejected,
)
from etl.sources.dicom import tags
from etl.sources.dicom.dataset import DamagedError, DataSet
from etl.sources.dicom.dump import dumps, is_dump, read_dump
from etl.sources.dicom.encoding import Element, dicom_file
from etl.sources.dicom.file import DicomFile
from etl.sources.dicom.json import is_dicom_json, json_data_sets, read_json
from etl.sources.dicom.mpps import is_performed_step, read_step
from etl.sources.dicom.steps import StepContext, content_digest, event, file_path, first_component, procedure_columns

if TYPE_CHECKING:
    from settings import Limits, Settings

MWL = "mwl"
FIND_CLASS = "1.2.840.10008.5.1.4.31"
LEFT_FORM = "isocenter-worklist-left"
LEFT_KEYS = ("study_uid", "accession", "accession_cut", "placer", "filler", "procedure_request", "patient")
"""Columns of an entry by which the rows of its exam are found; all but the first are pseudonyms."""

_AE_FOLDER = re.compile(r"[A-Z0-9][A-Z0-9_-]{1,15}")
"""Worklist servers of dcmtk keep their entries in one folder an AE title."""
_RANGE = re.compile(r"[\d:.]*-[\d:.]*")
_PSEUDONYM = re.compile(r"[0-9a-f]{32}")
_REMEDY = "Export the entry again and load it; of a dump, each element must stand on its own line (dcmdump, dump2dcm)."


def is_entry(file: DicomFile) -> bool:
    """Whether the object is a worklist entry: it has scheduled steps, and no SOP class but that of the worklist."""
    return tags.SCHEDULED_STEP in file.data and file.data.text(tags.SOP_CLASS) in {"", FIND_CLASS}


def read_entry(file: DicomFile, context: Context, name: str) -> Offered:
    """The verdict on one worklist entry, with one `workflow` row for each scheduled step.

    The digest covers what the entry states, so that an unchanged entry of the next snapshot is a duplicate.

    Raises:
        DamagedError: the items of a sequence do not fill it.
    """
    data = file.data
    digest = content_digest(data)
    steps = data.items(tags.SCHEDULED_STEP)
    if _is_query(data, steps):
        message = "A worklist query, or an entry that names no order: matching keys and empty return keys land nothing."
        return not_applicable(MWL, digest, "worklist-query", message)
    if not steps:
        message = "(0040,0100) Scheduled Procedure Step Sequence has no item, so nothing is planned."
        remedy = "Ask the worklist's vendor for the scheduled step: date, time, AE title and modality are required."
        return rejected(MWL, digest, Reject("missing-step", message, remedy, "(0040,0100)"))
    source_name = _source_name(file, steps[0], name)
    location = steps[0].text(tags.SCHEDULED_LOCATION)
    entry = StepContext(file, context, location, data.text(tags.INSTITUTION), source_name)
    rows = [_row(entry, step, source_name) for step in steps]
    for number, row in enumerate(rows, 1):
        row |= {"flags": list(dict.fromkeys(file.flags)), "position": f"step {number}" if len(rows) > 1 else ""}
    return Offered(
        MWL,
        Verdict.ACCEPTED,
        digest,
        source_name=source_name,
        rows={"workflow": rows},
        identities=entry.identities.seen,
    )


def _is_query(data: DataSet, steps: list[DataSet]) -> bool:
    """Whether the data set asks rather than answers (PS3.4 K.6.1.2.2: an answer fills its keys, without wildcards)."""
    step = steps[0] if steps else DataSet(data.buffer, data.explicit)
    numbers = [data.text(tag) for tag in (tags.STUDY, tags.ACCESSION, tags.REQUESTED_PROCEDURE_ID)]
    texts = [*numbers, data.text(tags.PATIENT_ID), step.text(tags.STEP_ID)]
    planned = [step.text(tags.SCHEDULED_DATE), step.text(tags.SCHEDULED_TIME)]
    if any("*" in text or "?" in text for text in (*texts, *planned)) or any(map(_RANGE.fullmatch, planned)):
        return True
    return not any((*numbers, step.text(tags.STEP_ID))) and not all((data.text(tags.PATIENT_ID), *planned))


def _source_name(file: DicomFile, step: DataSet, name: str) -> str:
    """Which worklist: the AE that gave the file (0002,0016), the AE that its folder is named by, else the scheduled AE."""
    folder = file_path(name).parent.name
    known = file.meta.text(tags.SOURCE_AE) or (folder if _AE_FOLDER.fullmatch(folder) else "")
    return known or step.text(tags.SCHEDULED_AE).split("\\")[0]


def _row(entry: StepContext, step: DataSet, source_name: str) -> Row:
    data, clock = entry.data, entry.clock
    planned = clock.moment(step.text(tags.SCHEDULED_DATE), step.text(tags.SCHEDULED_TIME), "(0040,0002)")
    placed = clock.moment(data.text(tags.ISSUE_DATE), data.text(tags.ISSUE_TIME), "(0040,2004)")
    if planned is None:
        entry.flags.append("(0040,0002): missing, when it is planned is unknown")
    stated = clock.date_time(step.text(tags.MODIFIED_DATETIME), "(0040,4010)")
    return {
        "source": MWL,
        "source_name": source_name or None,
        "message_type": "MWL",
        "stated_at": stated,
        "month": month_of(stated or next((moment.at for moment in (planned, placed) if moment), None)),
        "site": entry.site.code,
        **entry.keys(data),
        **entry.patient(planned),
        "visit": entry.visit(data.text(tags.ADMISSION_ID)),
        "imaging": True,
        "modality": step.text(tags.MODALITY) or None,
        **procedure_columns(
            data, tags.REQUESTED_PROCEDURE_CODE, data.text(tags.REQUESTED_PROCEDURE), step.text(tags.STEP_DESCRIPTION)
        ),
        "order_status": step.text(tags.SCHEDULED_STATUS) or None,
        "priority": data.text(tags.PRIORITY) or None,
        "department": first_component(data.text(tags.PATIENT_LOCATION)) or data.text(tags.REQUESTING_SERVICE) or None,
        "referrer": entry.person(data, tags.REQUESTER, tags.REQUESTER_IDENTIFICATION),
        "ae_title": step.text(tags.SCHEDULED_AE) or None,
        "station": step.text(tags.SCHEDULED_STATION) or step.text(tags.SCHEDULED_LOCATION) or None,
        "events": [
            *event("order_placed", "(0040,2004)", placed),
            *event("exam_scheduled_for", "(0040,0002)", planned),
        ],
    }


def left_file(entries: list[dict[str, str | None]], left_at: datetime) -> bytes:
    """The file that tells which entries were on the worklist's last snapshot and are not on this one.

    Args:
        entries: `site`, `source_name` and the columns of `LEFT_KEYS` of each.
        left_at: time of the snapshot.
    """
    return json.dumps({"form": LEFT_FORM, "left_at": left_at.isoformat(), "entries": entries}).encode()


def _left_entries(content: bytes) -> Iterator[Offered]:
    """One `Offered` for each entry that left, with its event `worklist_left`."""
    try:
        told = json.loads(content)
        left_at = datetime.fromisoformat(told["left_at"]).astimezone(UTC)
        entries = told["entries"]
        if not isinstance(entries, list):
            raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        message = f"The file of form {LEFT_FORM} is cut or changed: left_at and entries cannot be read."
        remedy = "Remove the file; the next pull of the worklist tells again what left."
        yield rejected(MWL, digest_of(content), Reject("malformed", message, remedy, "left_at"), payload=content)
        return
    for number, entry in enumerate(entries, 1):
        position = f"entry {number}"
        digest = digest_of(LEFT_FORM, left_at.isoformat(), json.dumps(entry, sort_keys=True))
        keys = _left_keys(entry)
        if keys is None:
            message = f"{position} of the file of form {LEFT_FORM} has no pseudonym that tells its exam."
            remedy = "Remove the file; only the pull of a worklist writes this form."
            yield rejected(MWL, digest, Reject("malformed", message, remedy, "entries"), position=position)
            continue
        row = {
            **keys,
            "source": MWL,
            "message_type": "MWL left",
            "stated_at": left_at,
            "month": month_of(left_at),
            "imaging": True,
            "flags": [],
            "position": position,
            "events": [{"event": "worklist_left", "at": left_at, "precision": "us", "field": "C-FIND"}],
        }
        name = keys["source_name"] or ""
        yield Offered(MWL, Verdict.ACCEPTED, digest, position, name, rows={"workflow": [row]})


def _left_keys(entry: Any) -> Row | None:
    """The columns of one entry; None where they are not what the pull writes."""
    if not isinstance(entry, dict):
        return None
    row = {name: entry.get(name) for name in ("site", "source_name", *LEFT_KEYS)}
    if not all(value is None or (isinstance(value, str) and len(value) <= 128) for value in row.values()):
        return None
    made = [str(row[name]) for name in LEFT_KEYS if name != "study_uid" and row[name]]
    is_whole = row["site"] and (made or row["study_uid"]) and all(_PSEUDONYM.fullmatch(value) for value in made)
    return row if is_whole else None


class WorklistReader:
    """Reads worklist entries and performed steps that are written as text; files of DICOM come through its own reader."""

    name = MWL
    order = 5

    def claims(self, head: bytes, name: str, settings: Settings) -> bool:  # noqa: ARG002
        """Whether it is a dump of dcmtk, DICOM JSON, or our file of entries that left."""
        start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        if start in {b"(", b"#"}:
            return is_dump(head)
        return start in {b"{", b"["} and (is_dicom_json(head) or _is_left_file(head))

    def read(self, source: Input, context: Context) -> Iterator[Offered]:
        """One `Offered` for each data set, or for each entry that left."""
        limits = context.settings.limits
        if source.size > limits.max_message_mb << 20:
            digest = digest_of(source.head(1 << 20), str(source.size))
            message = f"The text has {source.size >> 20} MB, more than limits.max_message_mb allows."
            yield rejected(
                MWL, digest, Reject("too-large", message, "Split the file, or load the DICOM files themselves.")
            )
            return
        with source.opener() as stream:
            content = stream.read()
        if _is_left_file(content[:256]):
            yield from _left_entries(content)
            return
        found = list(_data_sets(content, limits))
        for number, (raw, file) in enumerate(found, 1):
            yield _offered(file, raw, context, f"data set {number}" if len(found) > 1 else "", source.name)


READER = WorklistReader()


def _is_left_file(head: bytes) -> bool:
    return head.startswith(b"{") and f'"form": "{LEFT_FORM}"'.encode() in head[:256]


def _data_sets(content: bytes, limits: Limits) -> Iterator[tuple[bytes, DicomFile | DamagedError]]:
    """Bytes and content of each data set of a text."""
    try:
        parts: list[Any] = dumps(content) if is_dump(content[:4096]) else json_data_sets(content)
    except DamagedError as damage:
        yield content, damage
        return
    for part in parts:
        raw = part if isinstance(part, bytes) else json.dumps(part).encode()
        flags: list[str] = []
        try:
            is_text = isinstance(part, bytes)
            elements: list[Element] = read_dump(part, flags) if is_text else read_json(part, limits.max_nesting)
            yield raw, dicom_file(elements, flags, limits)
        except DamagedError as damage:
            yield raw, damage


def _offered(file: DicomFile | DamagedError, raw: bytes, context: Context, position: str, name: str) -> Offered:
    """What becomes of one data set that was written as text."""
    try:
        if isinstance(file, DamagedError):
            raise file
        if is_performed_step(file):
            offered = read_step(file, context, name)
        elif is_entry(file):
            offered = read_entry(file, context, name)
        else:
            message = "The text of a DICOM object that is neither a worklist entry nor a performed step lands nothing."
            offered = not_applicable(MWL, file.digest, "unsupported-sop-class", message)
    except DamagedError as damage:
        offered = rejected(MWL, digest_of(raw), damaged(damage))
    offered.position = position
    offered.payload = raw if offered.verdict is Verdict.REJECTED else None
    for row in offered.rows.get("workflow", ()):
        row["position"] = " ".join(part for part in (position, row["position"]) if part)
    return offered


def damaged(damage: DamagedError) -> Reject:
    """Why a worklist entry or a performed step cannot be read."""
    field = found[0] if (found := re.search(r"\([0-9A-F]{4},[0-9A-F]{4}\)", str(damage))) else ""
    return Reject(damage.reason, f"The worklist entry or performed step cannot be used: {damage}.", _REMEDY, field)
