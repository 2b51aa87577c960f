"""What a scheduled and a performed procedure step state in the same way: patient, order numbers, people, times."""

from __future__ import annotations

from pathlib import PurePosixPath

from etl.sources.clock import Moment
from etl.sources.contract import Context, Identities, Row, digest_of
from etl.sources.dicom import tags
from etl.sources.dicom.dataset import DataSet
from etl.sources.dicom.exam import birth_year_of, not_patient, sex_of
from etl.sources.dicom.file import DicomFile
from etl.sources.dicom.time import clock_of

ACCESSION_LENGTH = 16
"""Characters that SH holds (PS3.5 section 6.2)."""


class StepContext:
    """One object that states a step: its site, clock, pseudonyms and doubts."""

    def __init__(self, file: DicomFile, context: Context, *site_names: str) -> None:
        self.data, self.flags = file.data, file.flags
        self.site = context.settings.site_of(*site_names)
        self.clock = clock_of(self.data.text(tags.TIMEZONE), self.site.zone, context.now, self.flags)
        self.identities = Identities(context.pseudonymiser)
        self._context = context

    def number(self, text: str) -> str | None:
        """Pseudonym of an accession, placer or filler number, in the form that is compared."""
        return self.identities.pseudonym("order", self._context.settings.matching.number(text, self.site.code))

    def keys(self, request: DataSet) -> Row:
        """The columns that tell the order: of a worklist entry, or of an item of (0040,0270)."""
        accession = request.text(tags.ACCESSION)
        is_cut = len(accession) > ACCESSION_LENGTH
        return {
            "study_uid": request.text(tags.STUDY)[:128] or None,
            "accession": self.number(accession),
            "accession_cut": self.number(accession[:ACCESSION_LENGTH]) if is_cut else None,
            "placer": self.number(first_component(request.text(tags.PLACER_NUMBER))),
            "filler": self.number(first_component(request.text(tags.FILLER_NUMBER))),
            "procedure_request": self.identities.pseudonym("order", request.text(tags.REQUESTED_PROCEDURE_ID)),
        }

    def patient(self, at: Moment | None) -> Row:
        """The columns about the patient, at the time of the step."""
        name, patient_id = self.data.text(tags.PATIENT_NAME), self.data.text(tags.PATIENT_ID)
        year = at.at.year if at else self._context.now.year
        return {
            "patient": self.identities.pseudonym("patient", patient_id, name or None),
            "sex": sex_of(self.data, self.flags),
            "birth_year": birth_year_of(self.data, year, self.flags),
            "not_patient": not_patient(self._context.settings.not_patients, name, patient_id),
        }

    def person(self, data: DataSet, name_tag: int, identification_tag: int) -> str | None:
        """Pseudonym of a person: the code where there is one, else the name."""
        name = data.text(name_tag).split("\\")[0]
        code = ""
        for item in data.items(identification_tag)[:1]:
            code = coded(item, tags.PERSON_CODE)[0] or ""
        return self.identities.pseudonym("person", code or name, name or None)

    def visit(self, text: str) -> str | None:
        """Pseudonym of the visit or admission number."""
        return self.identities.pseudonym("visit", text)


def coded(data: DataSet, tag: int) -> tuple[str | None, str | None, str | None]:
    """Code, scheme and meaning of the first item of a code sequence (PS3.3 section 8.8)."""
    for item in data.items(tag)[:1]:
        code = item.text(tags.CODE_VALUE) or item.text(tags.LONG_CODE) or item.text(tags.URN_CODE)
        return code or None, item.text(tags.CODING_SCHEME) or None, item.text(tags.CODE_MEANING) or None
    return None, None, None


def procedure_columns(data: DataSet, code_tag: int, *texts: str) -> Row:
    """Code of the procedure, and the first text that is filled, or else the code's meaning."""
    code, scheme, meaning = coded(data, code_tag)
    text = next((text for text in texts if text), None)
    return {"procedure_code": code, "procedure_scheme": scheme, "procedure_text": text or meaning}


def event(name: str, field: str, moment: Moment | None) -> list[Row]:
    """The event as the landing row holds it; nothing where its time is unknown."""
    if moment is None:
        return []
    return [{"event": name, "at": moment.at, "precision": moment.precision, "field": field}]


def first_component(text: str) -> str:
    """The number of an entity identifier, which some write with its authority, as `4711^RIS`."""
    return text.split("^")[0].strip()


def file_path(name: str) -> PurePosixPath:
    """Folder and file name of an input, in an archive or not, however its system writes paths."""
    return PurePosixPath(name.replace("\\", "/").replace("!", "/"))


def content_digest(data: DataSet) -> str:
    """Hash of what a data set states: the same for another file of it, with other meta information or padding.

    Raises:
        DamagedError: the items of a sequence do not fill it.
    """
    parts: list[bytes | str] = []
    for tag in sorted(data.elements):
        if tag & 0xFFFF:
            is_sequence = data.vr(tag) == b"SQ" or data.elements[tag][3] is not None
            value = "".join(map(content_digest, data.items(tag))) if is_sequence else data.raw(tag).strip(b" \0")
            parts += [f"{tag:08X}", value]
    return digest_of(*parts)
