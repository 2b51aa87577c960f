"""What every DICOM object says about patient, exam and device: the columns that all landing tables share."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING

from etl.sources.contract import Context, Identities, Reject, Row, shown
from etl.sources.dicom import tags
from etl.sources.dicom.dataset import DataSet
from etl.sources.dicom.time import Clock, clock_of, parse_date

if TYPE_CHECKING:
    from settings import NotPatients

UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+$")
"""PS3.5 section 9.1."""
_AGE = re.compile(r"(\d{1,3})([DWMY])$")
_DAYS = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}


class UnusableError(Exception):
    """The object lacks what a landing row needs."""

    def __init__(self, reject: Reject) -> None:
        super().__init__(reject.message)
        self.reject = reject


@dataclass
class Exam:
    """The shared columns of one object, its clock and its pseudonyms."""

    columns: Row
    clock: Clock
    identities: Identities
    flags: list[str]
    accessions: list[str] = field(default_factory=list)
    study_day: date | None = None

    @property
    def study_uid(self) -> str:
        """Study Instance UID."""
        return str(self.columns["study_uid"])

    @property
    def device(self) -> str:
        """What identifies the device, for derived identities."""
        named = (self.columns[name] or "" for name in ("manufacturer", "model", "serial", "station"))
        return "|".join(named)


def required_uid(data: DataSet, tag: int, name: str, reason: str, flags: list[str]) -> str:
    """A UID that a row cannot do without; odd ones are kept as text and flagged.

    Raises:
        UnusableError: it is missing.
    """
    uid = data.text(tag)
    mark = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    if not uid:
        message = f"{mark} {name} is missing or empty; without it the object belongs to no exam."
        remedy = "Ask the sending system for the complete object and load it again."
        raise UnusableError(Reject(f"missing-{reason}", message, remedy, field=mark))
    if len(uid) > 64 or not UID.match(uid):
        flags.append(f"{mark}: invalid-uid")
    elif len(uid) < 6:
        flags.append(f"{mark}: uid-too-short to be unique")
    return uid[:128]


def read_exam(data: DataSet, context: Context, flags: list[str]) -> Exam:
    """The shared columns.

    Raises:
        UnusableError: the Study Instance UID is missing.
    """
    study_uid = required_uid(data, tags.STUDY, "Study Instance UID", "study-uid", flags)
    identities = Identities(context.pseudonymiser)
    institution = data.text(tags.INSTITUTION)
    site = context.settings.site_of(institution)
    name, patient_id = data.text(tags.PATIENT_NAME), data.text(tags.PATIENT_ID)
    accessions = _accessions(data, context, site.code, identities)
    columns: Row = {
        "site": site.code,
        "source_name": data.text(tags.STATION) or None,
        "study_uid": study_uid,
        "accession": accessions[0] if accessions else None,
        "patient": identities.pseudonym("patient", patient_id, name or None),
        "sex": sex_of(data, flags),
        "birth_year": None,
        "not_patient": not_patient(context.settings.not_patients, name, patient_id),
        "manufacturer": data.text(tags.MANUFACTURER) or None,
        "model": data.text(tags.MODEL) or None,
        "serial": data.text(tags.SERIAL) or None,
        "station": data.text(tags.STATION) or None,
        "software": " | ".join(sorted(part for part in data.texts(tags.SOFTWARE) if part)) or None,
        "institution": institution or None,
        "device_department": data.text(tags.DEPARTMENT) or None,
        "modality": data.text(tags.MODALITY) or None,
        "body_part": data.text(tags.BODY_PART) or None,
        **_procedure(data),
    }
    clock = clock_of(data.text(tags.TIMEZONE), site.zone, context.now, flags)
    exam = Exam(columns, clock, identities, flags, sorted(set(accessions)), parse_date(data.text(tags.STUDY_DATE)))
    columns["birth_year"] = birth_year_of(data, exam.study_day.year if exam.study_day else context.now.year, flags)
    return exam


def _accessions(data: DataSet, context: Context, site: str, identities: Identities) -> list[str]:
    """Pseudonyms of the accession numbers, the object's own first (0008,0050), then those of its requests."""
    texts = [data.text(tags.ACCESSION), *(item.text(tags.ACCESSION) for item in data.items(tags.REQUEST_ATTRIBUTES))]
    numbers = dict.fromkeys(context.settings.matching.number(text, site) for text in texts)
    made = (identities.pseudonym("order", number) for number in numbers)
    return [pseudonym for pseudonym in made if pseudonym]


def not_patient(patterns: NotPatients, name: str, patient_id: str) -> str | None:
    """The configured pattern that marks a phantom, test or service exam; None for a patient."""
    return _first_match(name, patterns.names) or _first_match(patient_id, patterns.ids)


@lru_cache(maxsize=4096)
def _first_match(text: str, wildcards: tuple[str, ...]) -> str | None:
    """The first wildcard that fits the text; the images of an exam all ask the same."""
    folded = text.casefold()
    return next((wildcard for wildcard in wildcards if folded and fnmatchcase(folded, wildcard.casefold())), None)


def sex_of(data: DataSet, flags: list[str]) -> str | None:
    """F, M or O of (0010,0040); None where it is absent, and with a flag where it is something else."""
    sex = data.text(tags.SEX).upper()
    if sex in {"", "F", "M", "O"}:
        return sex or None
    flags.append("(0010,0040): bad-code, F, M or O expected")
    return None


def birth_year_of(data: DataSet, in_year: int, flags: list[str]) -> int | None:
    """Year of (0010,0030), where the person can have been 0 to 120 years old in the year of the exam."""
    text = data.text(tags.BIRTH_DATE)
    if not text:
        return None
    day = parse_date(text)
    if day is None or not 0 <= in_year - day.year <= 120:
        flags.append("(0010,0030): implausible birth date")
        return None
    return day.year


def _procedure(data: DataSet) -> Row:
    """Local code and text of the procedure: performed (0008,1032), else requested (0032,1064)."""
    codes = data.items(tags.PROCEDURE_CODE) or data.items(tags.REQUESTED_PROCEDURE_CODE)
    code = codes[0] if codes else None
    meaning = code.text(tags.CODE_MEANING) if code else ""
    return {
        "procedure_code": (code.text(tags.CODE_VALUE) or None) if code else None,
        "procedure_scheme": (code.text(tags.CODING_SCHEME) or None) if code else None,
        "procedure_text": data.text(tags.STUDY_DESCRIPTION) or data.text(tags.REQUESTED_PROCEDURE) or meaning or None,
    }


def person_columns(data: DataSet, exam: Exam) -> Row:
    """Age, weight and height, null with a flag where the file says what cannot be."""
    return {
        "age_years": _age(data, exam),
        "weight_kg": _measure(data, tags.WEIGHT, "(0010,1030)", 650, exam.flags),
        "height_m": _height(data, exam.flags),
    }


def _age(data: DataSet, exam: Exam) -> float | None:
    text = data.text(tags.AGE).upper()
    if text:
        if found := _AGE.match(text):
            return round(int(found[1]) * _DAYS[found[2]] / 365.25, 3)
        exam.flags.append("(0010,1010): bad age, as 045Y expected")
    born = parse_date(data.text(tags.BIRTH_DATE))
    if born is None or exam.study_day is None or exam.columns["birth_year"] is None or born > exam.study_day:
        return None
    return round((exam.study_day - born).days / 365.25, 3)


def _measure(data: DataSet, tag: int, mark: str, most: float, flags: list[str]) -> float | None:
    """A positive decimal up to a limit; 0 is what devices send for `not entered`."""
    text = data.texts(tag)[0] if data.texts(tag) else ""
    if not text:
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        flags.append(f"{mark}: no number")
        return None
    if value == 0:
        return None
    if not 0 < value <= most:
        flags.append(f"{mark}: implausible {shown(text, 16)}")
        return None
    return value


def _height(data: DataSet, flags: list[str]) -> float | None:
    """Metres; a value between 3 and 250 is centimetres (common, against PS3.3 C.7.2.2)."""
    value = _measure(data, tags.SIZE, "(0010,1020)", 250, flags)
    return value if value is None or value <= 3 else round(value / 100, 4)
