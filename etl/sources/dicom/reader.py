"""The sources in DICOM files: images to series and header dose, dose reports to events, worklist entries, performed steps.

Which of them a file is, its data set says; pixels are never read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydicom._uid_dict import UID_dictionary

from etl.sources.contract import Context, Input, Offered, Reject, Row, Verdict, digest_of, not_applicable, rejected
from etl.sources.dicom import tags
from etl.sources.dicom.dataset import DamagedError
from etl.sources.dicom.exam import UnusableError, read_exam
from etl.sources.dicom.file import DicomFile, is_bare, open_dicom
from etl.sources.dicom.mpps import MPPS, MPPS_CLASS, is_performed_step, read_step
from etl.sources.dicom.series import series_row
from etl.sources.dicom.worklist import MWL, damaged, is_entry, read_entry
from etl.sources.dose.header_dose import header_rows
from etl.sources.dose.rdsr import read_report, report_kind
from etl.sources.dose.sr_content import Content

if TYPE_CHECKING:
    from settings import Settings

DICOM, RDSR = "dicom", "rdsr"
DICOMDIR = "1.2.840.10008.1.3.10"
SR_CLASSES = "1.2.840.10008.5.1.4.1.1.88."
DOSE_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.88.67": "rdsr",
    "1.2.840.10008.5.1.4.1.1.88.68": "rrdsr",
    "1.2.840.10008.5.1.4.1.1.88.76": "enhanced_sr",
}
"""SOP classes that hold nothing but dose."""
IMAGE_CLASSES = frozenset(
    uid
    for uid, (name, kind, *_) in UID_dictionary.items()
    if kind == "SOP Class"
    and ("Image Storage" in name or name.startswith(("MR Spectroscopy Storage", "Enhanced US Volume Storage")))
    and not name.startswith(("RT ", "Enhanced RT", "Enhanced Continuous RT", "Hardcopy", "DICOS", "Eddy Current"))
)
"""Storage classes of images that a modality acquires: not radiotherapy, prints, baggage or material testing."""
_SUFFIXES = (".dcm", ".dicom", ".ima", ".wl")
_COMPRESSED = (b"\x1f\x8b", b"PK\x03\x04")

_REMEDIES = {
    "truncated": "Send the object again from the device or archive; the copy is incomplete.",
    "header-too-large": "Raise limits.max_header_mb if the object is genuine.",
    "nesting-too-deep": "Raise limits.max_nesting if the object is genuine.",
    "not-dicom-part10": "Export the object as a DICOM part 10 file (with preamble and file meta information).",
    "no-transfer-syntax": "Export the object again with complete file meta information.",
}


class DicomReader:
    """Reads one DICOM file to landing rows."""

    name = DICOM
    order = 10

    def claims(self, head: bytes, name: str, settings: Settings) -> bool:  # noqa: ARG002
        """Whether it is part 10, looks like a bare data set, or is named as DICOM and is no archive."""
        if head.startswith(_COMPRESSED):
            return False
        return head[128:132] == b"DICM" or is_bare(head) or name.casefold().endswith(_SUFFIXES)

    def read(self, source: Input, context: Context) -> Iterator[Offered]:
        """One `Offered`: the file."""
        try:
            file = open_dicom(source, context.settings.limits)
        except DamagedError as damage:
            yield _refused(_likely_kind(source), _digest(source), damage)
            return
        try:
            yield _offered(file, context, source.name)
        except DamagedError as damage:
            yield _refused(_kind_of(file), file.digest, damage)
        except UnusableError as error:
            yield rejected(_kind_of(file), file.digest, error.reject)


READER = DicomReader()


def _digest(source: Input) -> str:
    """Digest of a file that could not be opened as DICOM: its first megabyte and its size."""
    return digest_of(source.head(1 << 20), str(source.size))


def _refused(kind: str, digest: str, damage: DamagedError) -> Offered:
    if kind in {MWL, MPPS}:
        return rejected(kind, digest, damaged(damage))
    remedy = _REMEDIES.get(damage.reason, "Check the object with its sender; the bytes are no valid data set.")
    return rejected(kind, digest, Reject(damage.reason, f"The DICOM object cannot be used: {damage}.", remedy))


def _likely_kind(source: Input) -> str:
    """What a file that could not be opened was meant to be: by its name, or the class in its file meta information."""
    if MPPS_CLASS.encode() in source.head(1024):
        return MPPS
    return MWL if source.name.casefold().endswith(".wl") else DICOM


def _kind_of(file: DicomFile) -> str:
    if file.data.text(tags.SOP_CLASS) in DOSE_CLASSES:
        return RDSR
    return MPPS if is_performed_step(file) else MWL if is_entry(file) else DICOM


def _offered(file: DicomFile, context: Context, name: str) -> Offered:
    """What becomes of an object, by its SOP class; worklist entries and the changes of a performed step name none."""
    data = file.data
    sop_class = data.text(tags.SOP_CLASS)
    if sop_class in IMAGE_CLASSES:
        return _image(file, context, sop_class)
    if sop_class.startswith(SR_CLASSES):
        return _report(file, context, sop_class)
    if is_performed_step(file):
        return read_step(file, context, name)
    if is_entry(file):
        return read_entry(file, context, name)
    if not sop_class:
        return _without_class(file)
    class_name = UID_dictionary[sop_class][0] if sop_class in UID_dictionary else "private or unknown SOP class"
    reason = "dicomdir" if sop_class == DICOMDIR else "unsupported-sop-class"
    return not_applicable(
        DICOM, file.digest, reason, f"{class_name} ({sop_class[:64]}) is no imaging fact and lands nothing."
    )


def _without_class(file: DicomFile) -> Offered:
    if any(tag >> 16 == 0x0004 for tag in file.data.elements):
        return not_applicable(DICOM, file.digest, "dicomdir", "A DICOMDIR is the index of a medium and lands nothing.")
    message = "(0008,0016) SOP Class UID is missing or empty, so nothing says what the object is."
    remedy = "Ask the sending system for the complete object and load it again."
    return rejected(DICOM, file.digest, Reject("missing-sop-class", message, remedy, field="(0008,0016)"))


def _landed(source: str, file: DicomFile, rows: dict[str, list[Row]], flags: list[str], **more: object) -> Offered:
    """An accepted object. Flags found while its rows were made belong to all of them."""
    for table in rows.values():
        for row in table:
            row["flags"] = list(dict.fromkeys([*row.get("flags", ()), *flags]))
    return Offered(source, Verdict.ACCEPTED, file.digest, rows=rows, **more)  # type: ignore[arg-type]


def _image(file: DicomFile, context: Context, sop_class: str) -> Offered:
    flags = file.flags
    file.data.buffer.lenient = True
    exam = read_exam(file.data, context, flags)
    if not file.has_pixels:
        flags.append("(7FE0,0010): pixel-data-missing")
    if file.data.vr(tags.SOP_CLASS) == b"UN":
        flags.append("(0008,0016): VR UN, decoded by dictionary")
    row = series_row(file, exam, sop_class)
    row |= {"source": DICOM, "input_digest": file.digest, "position": ""}
    rows = {"series": [row], **header_rows(file, exam, context, sop_class, row["started_at"])}
    name = str(exam.columns["source_name"] or "")
    return _landed(DICOM, file, rows, flags, source_name=name, identities=exam.identities.seen)


def _report(file: DicomFile, context: Context, sop_class: str) -> Offered:
    """A structured report: dose by its root concept, whatever its SOP class."""
    root = Content(file.data)
    if tags.CONCEPT not in file.data:
        message = (
            "(0040,A043) Concept Name Code Sequence is missing: a structured report without a root concept is cut."
        )
        return rejected(
            _kind_of(file), file.digest, Reject("truncated", message, _REMEDIES["truncated"], "(0040,A043)")
        )
    kind = report_kind(root)
    if kind is None and sop_class not in DOSE_CLASSES:
        name = UID_dictionary[sop_class][0] if sop_class in UID_dictionary else "Structured report"
        message = f"{name} ({sop_class[:64]}) without a dose report's root concept lands nothing."
        return not_applicable(DICOM, file.digest, "not-a-dose-report", message)
    if kind is None:
        message = "(0040,A043) the root concept is none of a dose report (113701, 113500)."
        remedy = "Send the complete report again; if the device writes another root concept, report it to the project."
        return rejected(RDSR, file.digest, Reject("unknown-dose-report", message, remedy, field="(0040,A043)"))
    fixed = {"summary": "summary_sr", "radiopharmaceutical": "rrdsr"}.get(kind)
    object_class = fixed or DOSE_CLASSES.get(sop_class, "enhanced_sr")
    exam = read_exam(file.data, context, file.flags)
    rows = read_report(file, root, exam, context, object_class)
    name = str(exam.columns["source_name"] or "")
    return _landed(RDSR, file, rows, file.flags, source_name=name, identities=exam.identities.seen)
