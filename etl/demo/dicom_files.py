"""Images as real DICOM files: full headers, pixels of two by two."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian

from etl.demo import dose_items as items
from etl.demo import messages as said
from etl.demo.dose_rows import text_of
from etl.demo.hl7_files import birth_date
from etl.demo.imaging import DEPARTMENT, age_years
from etl.demo.series_rows import FILE_BYTES, TIMED_BY_FRAME

IMPLEMENTATION_UID = "2.25.305828488182831875890203105390285383139"
"""Identifies the program that wrote a file (PS3.10 section 7.1)."""
IMAGE_TYPES = {"NM": "STATIC", "CT": "AXIAL", "MR": "M", "XA": "SINGLE PLANE", "RF": "SINGLE PLANE"}
HEADER_TAGS = {"XR": items.PROJECTION_TAGS, "MG": items.MAMMOGRAPHY_TAGS, "NM": items.NM_TAGS, "PT": items.PET_TAGS}

Row = dict[str, Any]


def write_images(images: pl.DataFrame, doses: pl.DataFrame, folder: Path) -> int:
    """Writes the instances of every series; returns how many files. `doses` has what headers state, by `object_uid`."""
    stated = {row["object_uid"]: row for row in doses.iter_rows(named=True)}
    count = 0
    for row in images.with_columns(age=age_years("study_at")).iter_rows(named=True):
        place = folder / row["station"] / row["study_uid"].removeprefix("2.25.")[:12]
        place.mkdir(parents=True, exist_ok=True)
        for number, uid in enumerate(row["sop_uids"], 1):
            data = image(row, number, uid, stated.get(uid))
            (place / f"{row['exam']}_{row['place']}_{number}.dcm").write_bytes(padded(data))
            count += 1
    return count


def stamp(row: Row, at: datetime) -> datetime:
    """The wall clock of the scanner."""
    return at.astimezone(ZoneInfo(row["zone"]))


def set_day_and_time(data: Dataset, name: str, at: datetime) -> None:
    """Sets a date and a time element, as `StudyDate` and `StudyTime`."""
    setattr(data, f"{name}Date", f"{at:%Y%m%d}")
    setattr(data, f"{name}Time", f"{at:%H%M%S}")


def header(row: Row, sop_class: str, uid: str, modality: str) -> Dataset:
    """What every object of an exam starts with: patient, study, order, equipment."""
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 100"
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = UID(sop_class), UID(uid), modality
    data.PatientName, data.PatientID, data.PatientSex = row["patient_name"], row["patient_id"], row["sex"]
    data.PatientBirthDate = f"{birth_date(row['birth_year'], row['birth_day']):%Y%m%d}"
    data.PatientAge = f"{int(row['age']):03d}Y"
    data.PatientSize, data.PatientWeight = f"{row['height_m']:.2f}", f"{row['weight_kg']:.1f}"
    data.StudyInstanceUID, data.AccessionNumber, data.StudyID = row["study_uid"], row["accession"], ""
    data.StudyDescription, data.ReferringPhysicianName = row["procedure_text"], ""
    data.ProcedureCodeSequence = [
        coded(items.Coded(row["procedure_code"], row["procedure_scheme"], row["procedure_text"]))
    ]
    data.Manufacturer, data.ManufacturerModelName = row["manufacturer"], row["model"]
    data.InstitutionName, data.InstitutionalDepartmentName = row["institution"], DEPARTMENT
    data.StationName, data.DeviceSerialNumber, data.SoftwareVersions = row["station"], row["serial"], row["software"]
    if row["offset"]:
        data.TimezoneOffsetFromUTC = row["offset"]
    return data


@lru_cache(maxsize=512)
def coded(concept: items.Coded) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = concept.value, concept.scheme, concept.meaning
    return item


def image(row: Row, number: int, uid: str, dose: Row | None) -> Dataset:
    """One image of a series."""
    modality = row["modality"]
    data = header(row, row["sop_class"], uid, row["dicom_modality"])
    count = len(row["sop_uids"])
    share = 0.0 if count == 1 else (number - 1) / (count - 1)
    at = stamp(row, row["started"] + timedelta(seconds=round(row["duration_s"] * share)))
    kind = "LOCALIZER" if row["series_text"] in ("SCOUT", "LOC") else IMAGE_TYPES.get(modality, "")
    data.ImageType = ["ORIGINAL", "PRIMARY", kind] if kind else ["ORIGINAL", "PRIMARY"]
    set_day_and_time(data, "Study", stamp(row, row["study_at"]))
    set_day_and_time(data, "Series", stamp(row, row["series_at"]))
    set_day_and_time(data, "Content", at)
    set_day_and_time(data, "Acquisition", at)
    data.AcquisitionDateTime = f"{at:%Y%m%d%H%M%S}"
    data.PerformedProcedureStepStartDate, data.PerformedProcedureStepStartTime = (
        f"{stamp(row, row['exam_started']):%Y%m%d}",
        f"{stamp(row, row['exam_started']):%H%M%S}",
    )
    data.PerformedProcedureStepEndDate, data.PerformedProcedureStepEndTime = (
        f"{stamp(row, row['exam_ended']):%Y%m%d}",
        f"{stamp(row, row['exam_ended']):%H%M%S}",
    )
    data.SeriesInstanceUID, data.SeriesNumber, data.InstanceNumber = row["series_uid"], row["place"] + 1, number
    data.SeriesDescription, data.ProtocolName, data.BodyPartExamined = (
        row["series_text"],
        row["protocol"],
        row["body_part"],
    )
    data.NumberOfFrames = 1
    if modality in TIMED_BY_FRAME and row["duration_s"] > 0:
        data.ActualFrameDuration = row["duration_s"] * 1000
    if row["worklist_used"]:
        data.RequestAttributesSequence = [_request(accession) for accession in row["accessions"]]
    if dose is not None:
        _state_dose(data, dose, modality)
    _add_pixels(data)
    return data


def _request(accession: str) -> Dataset:
    """An item of (0040,0275): the worklist entry that the exam was made under."""
    item = Dataset()
    item.AccessionNumber, item.RequestedProcedureID, item.ScheduledProcedureStepID = (
        accession,
        said.request_id(accession),
        said.step_id(accession),
    )
    return item


def _state_dose(data: Dataset, dose: Row, modality: str) -> None:
    """Writes the figures of the exposure or administration into the header."""
    target = data
    if modality in ("NM", "PT"):
        target = Dataset()
        data.RadiopharmaceuticalInformationSequence = [target]
        target.Radiopharmaceutical = dose["radiopharmaceutical"]
        target.RadiopharmaceuticalStartDateTime = f"{stamp(dose, dose['at']):%Y%m%d%H%M%S}"
        target.RadiopharmaceuticalAdministrationEventUID = dose["event_uid"]
    else:
        data.IrradiationEventUID = dose["event_uid"]
    if modality == "MG":
        data.ImageLaterality, data.ViewPosition = dose["laterality"], dose["view"]
    for tag in HEADER_TAGS[modality]:
        setattr(target, tag.keyword, text_of(dose[tag.column], tag.decimals))


def _add_pixels(data: Dataset) -> None:
    """The smallest image that is one."""
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows = data.Columns = 2
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.add_new(0x7FE00010, "OW", b"\0" * 8)


def meta(data: Dataset) -> Dataset:
    """The data set with file meta information, ready to be written."""
    information = FileMetaDataset()
    information.MediaStorageSOPClassUID, information.MediaStorageSOPInstanceUID = data.SOPClassUID, data.SOPInstanceUID
    information.TransferSyntaxUID, information.ImplementationClassUID = ExplicitVRLittleEndian, UID(IMPLEMENTATION_UID)
    data.file_meta = information
    return data


def written(data: Dataset) -> bytes:
    """The bytes of the file."""
    buffer = BytesIO()
    dcmwrite(buffer, meta(data), enforce_file_format=True)
    return buffer.getvalue()


def padded(data: Dataset) -> bytes:
    """The bytes of the file, filled up to its fixed size with Data Set Trailing Padding (FFFC,FFFC), PS3.10 section 7.2."""
    plain = written(data)
    room = FILE_BYTES - len(plain) - 12
    if room < 0:
        raise ValueError(
            f"an image of {len(plain)} bytes does not fit the fixed size of {FILE_BYTES}: raise FILE_BYTES"
        )
    return plain + b"\xfc\xff\xfc\xffOB\0\0" + room.to_bytes(4, "little") + b"\0" * room
