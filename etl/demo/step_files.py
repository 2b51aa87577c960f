"""Performed procedure steps as files: the N-CREATE and N-SET data sets that a receiver of MPPS keeps (PS3.4 annex F.7)."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian

from etl.demo import dose_items as items
from etl.demo import messages as said
from etl.demo.dicom_files import IMPLEMENTATION_UID, coded, set_day_and_time, stamp
from etl.demo.history import History
from etl.demo.hl7_files import birth_date
from etl.demo.network import SITE_BY_CODE
from etl.demo.procedures import SCHEME
from etl.demo.steps import steps

MPPS = "1.2.840.10008.3.1.2.3.3"

Row = dict[str, Any]


def write_steps(history: History, folder: Path, since: datetime) -> int:
    """Writes what was sent of steps since a time; returns how many files."""
    devices = {device.index: device for device in history.fleet}
    count = 0
    for row in steps(history).iter_rows(named=True):
        ae_title = devices[row["device"]].ae_title
        for sent, name, make in ((row["created"], "create", _created), (row["closed"], "set", _closed)):
            if sent is not None and sent >= since:
                place = folder / row["station"]
                place.mkdir(parents=True, exist_ok=True)
                path = place / f"{row['exam']}_{row['part']}_{name}.dcm"
                path.write_bytes(_written(make(row, ae_title), row["step_uid"], ae_title))
                count += 1
    return count


def _created(row: Row, ae_title: str) -> Dataset:
    """N-CREATE: patient, the orders that the step serves, the scanner, the start."""
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 100"
    if row["offset"]:
        data.TimezoneOffsetFromUTC = row["offset"]
    data.PatientName, data.PatientID, data.PatientSex = row["patient_name"], row["patient_id"], row["sex"]
    data.PatientBirthDate = f"{birth_date(row['birth_year'], row['birth_day']):%Y%m%d}"
    data.ScheduledStepAttributesSequence = [_served(row, accession) for accession in row["accessions"]]
    data.Modality, data.StudyID = row["dicom_modality"], ""
    data.ProcedureCodeSequence = [
        coded(items.Coded(row["procedure_code"], row["procedure_scheme"], row["procedure_text"]))
    ]
    data.PerformedStationAETitle, data.PerformedStationName = ae_title, row["station"]
    data.PerformedLocation = SITE_BY_CODE[row["site"]].facility
    data.PerformedProcedureStepID = f"PPS{row['exam']}{row['part']}"
    data.PerformedProcedureStepDescription, data.PerformedProcedureStepStatus = row["procedure_text"], "IN PROGRESS"
    set_day_and_time(data, "PerformedProcedureStepStart", stamp(row, row["step_started"]))
    data.PerformedProcedureStepEndDate, data.PerformedProcedureStepEndTime = "", ""
    data.PerformedProtocolCodeSequence, data.PerformedSeriesSequence = [], []
    return data


def _served(row: Row, accession: str) -> Dataset:
    """An item of (0040,0270): one order; the numbers are empty where nobody ordered."""
    item = Dataset()
    item.StudyInstanceUID, item.AccessionNumber = row["study_uid"], accession
    item.RequestedProcedureID = said.request_id(accession) if accession else ""
    item.ScheduledProcedureStepID = said.step_id(accession) if accession else ""
    item.RequestedProcedureDescription = row["procedure_text"] if accession else ""
    item.ReferencedStudySequence, item.ScheduledProtocolCodeSequence = [], []
    return item


def _closed(row: Row, ae_title: str) -> Dataset:  # noqa: ARG001
    """N-SET: status, end, series and the reason of a step that was broken off; nothing says whose it is but the UID."""
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 100"
    if row["closing_offset"]:
        data.TimezoneOffsetFromUTC = row["closing_offset"]
    data.PerformedProcedureStepStatus = row["status"]
    set_day_and_time(data, "PerformedProcedureStepEnd", stamp(row, row["step_ended"]))
    data.PerformedSeriesSequence = [_series(row, uid) for uid in row["series_uids"]]
    if row["reason_code"]:
        data.PerformedProcedureStepDiscontinuationReasonCodeSequence = [
            coded(items.Coded(row["reason_code"], "DCM", row["reason_text"]))
        ]
    return data


def _series(row: Row, uid: str) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID, item.ProtocolName, item.OperatorsName = uid, row["protocol"], ""
    operator = Dataset()
    operator.PersonIdentificationCodeSequence = [coded(items.Coded(row["technologist"], SCHEME, "Technologist"))]
    operator.InstitutionName = SITE_BY_CODE[row["site"]].institution
    item.OperatorIdentificationSequence = [operator]
    item.RetrieveAETitle, item.SeriesDescription, item.PerformingPhysicianName = "", "", ""
    item.ReferencedImageSequence, item.ReferencedNonImageCompositeSOPInstanceSequence = [], []
    return item


def _written(data: Dataset, uid: str, ae_title: str) -> bytes:
    """The bytes of the file: the UID stands in the file meta information, as in the command of DIMSE."""
    information = FileMetaDataset()
    information.MediaStorageSOPClassUID, information.MediaStorageSOPInstanceUID = UID(MPPS), UID(uid)
    information.TransferSyntaxUID, information.ImplementationClassUID = ExplicitVRLittleEndian, UID(IMPLEMENTATION_UID)
    information.SourceApplicationEntityTitle = ae_title
    data.file_meta = information
    buffer = BytesIO()
    dcmwrite(buffer, data, enforce_file_format=True)
    return buffer.getvalue()
