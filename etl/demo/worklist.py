"""The modality worklist of the teaching hospital, as it stood each morning of the last days: files and landing rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian

from etl.demo import dose_items as items
from etl.demo import messages as said
from etl.demo.clocks import DAY, day_number
from etl.demo.dicom_files import IMPLEMENTATION_UID, coded, set_day_and_time
from etl.demo.history import History
from etl.demo.hl7_files import birth_date
from etl.demo.network import SITE_BY_CODE, STEP_MODALITIES
from etl.demo.procedures import PROCEDURES, SCHEME
from etl.demo.uids import uids
from etl.lake.schema import EVENT

SITE, SERVER = "TEACH", "RIS_MWL"
DAYS, HOUR = 3, 5
"""For how many days before the end of the history the worklist was asked, and at which local hour."""
FIND_CLASS = "1.2.840.10008.5.1.4.31"
PRIORITIES = {"S": "STAT", "A": "HIGH", "R": "ROUTINE"}
"""Requested Procedure Priority (0040,1003)."""

Row = dict[str, Any]


@lru_cache(maxsize=1)
def entries(history: History) -> pl.DataFrame:
    """One row an appointment that stood on a morning's worklist."""
    clock, site = history.clocks[SITE], SITE_BY_CODE[SITE]
    devices = {d.index: d for d in history.fleet if d.site == SITE and d.modality in STEP_MODALITIES}
    slots = history.appointments.filter(pl.col("device").is_in(list(devices))).rename({"device": "slot_device"})
    exams = history.exams.drop("device", "reason", "outcome", "booked")
    parts = []
    for day in range(day_number(history.until) - DAYS, day_number(history.until)):
        asked = datetime.fromtimestamp(clock.utc(day * DAY + HOUR * 60) * 60, tz=UTC)
        local = pl.col("slot_at").dt.convert_time_zone(site.zone_name).dt.date()
        on_list = (pl.col("booked_at") < asked) & (pl.col("ended_at").is_null() | (pl.col("ended_at") > asked))
        today = slots.filter((local == asked.astimezone(site.zone).date()) & on_list)
        parts.append(today.with_columns(sent_at=pl.lit(asked, dtype=pl.Datetime("us", "UTC"))))
    found = pl.concat(parts).join(exams, on="exam", how="inner", maintain_order="left")
    found = said.with_person(history, said.known_as(history, found, "sent_at"))
    stations = {index: device.station for index, device in devices.items()}
    return found.with_columns(
        station=pl.col("slot_device").replace_strict(stations, return_dtype=pl.Utf8),
        ae_title=pl.concat_str(pl.lit("AE_"), pl.col("slot_device").replace_strict(stations, return_dtype=pl.Utf8)),
    ).sort("sent_at", "slot_at", "exam")


def write_worklist(history: History, folder: Path, since: datetime) -> int:
    """Writes the entries of every morning since a time as `.wl` files; returns how many."""
    found = entries(history).filter(pl.col("sent_at") >= since)
    for row, uid in zip(found.iter_rows(named=True), _uids(len(found)), strict=True):
        place = folder / f"{row['sent_at']:%Y-%m-%d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{row['exam']}.wl").write_bytes(_written(_entry(row), uid))
    return len(found)


def _uids(count: int) -> list[str]:
    """UIDs of the files, which mean nothing: a worklist entry has none."""
    return uids(np.random.default_rng(count), count)


def _entry(row: Row) -> Dataset:
    """The answer of a worklist server (PS3.4 table K.6-1)."""
    zone, procedure = SITE_BY_CODE[SITE].zone, PROCEDURES[row["procedure"]]
    planned = row["slot_at"].astimezone(zone)
    offset = planned.utcoffset() or timedelta(0)
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 100"
    data.TimezoneOffsetFromUTC = f"{planned:%z}"
    data.PatientName, data.PatientID, data.PatientSex = row["patient_name"], row["patient_id"], row["sex"]
    data.PatientBirthDate = f"{birth_date(row['birth_year'], row['birth_day']):%Y%m%d}"
    data.CurrentPatientLocation = row["department"]
    data.StudyInstanceUID, data.AccessionNumber = row["study_uid"], row["accession"]
    data.RequestedProcedureID, data.RequestedProcedureDescription = (
        said.request_id(row["accession"]),
        procedure.text,
    )
    data.RequestedProcedureCodeSequence = [coded(items.Coded(procedure.code, SCHEME, procedure.text))]
    data.RequestedProcedurePriority = PRIORITIES[row["priority"]]
    requester = Dataset()
    requester.PersonIdentificationCodeSequence = [coded(items.Coded(row["referrer"], SCHEME, "Referrer"))]
    requester.InstitutionName = SITE_BY_CODE[SITE].institution
    data.RequestingPhysicianIdentificationSequence = [requester]
    data.PlacerOrderNumberImagingServiceRequest = row["placer"]
    data.FillerOrderNumberImagingServiceRequest = row["accession"]
    # One offset holds for all times of the data set (PS3.3 C.12.1.1.8), in the other half of the year too.
    placed = row["placed"].astimezone(timezone(offset))
    data.IssueDateOfImagingServiceRequest, data.IssueTimeOfImagingServiceRequest = (
        f"{placed:%Y%m%d}",
        f"{placed:%H%M%S}",
    )
    step = Dataset()
    step.Modality, step.ScheduledStationAETitle, step.ScheduledStationName = (
        row["modality"],
        row["ae_title"],
        row["station"],
    )
    set_day_and_time(step, "ScheduledProcedureStepStart", planned)
    step.ScheduledProcedureStepModificationDateTime = f"{row['booked_at'].astimezone(zone):%Y%m%d%H%M%S%z}"
    step.ScheduledProcedureStepDescription, step.ScheduledProcedureStepStatus = procedure.text, "SCHEDULED"
    step.ScheduledProcedureStepID = said.step_id(row["accession"])
    step.ScheduledProcedureStepLocation = SITE_BY_CODE[SITE].facility
    data.ScheduledProcedureStepSequence = [step]
    return data


def _written(data: Dataset, uid: str) -> bytes:
    """The bytes of the file."""
    information = FileMetaDataset()
    information.MediaStorageSOPClassUID, information.MediaStorageSOPInstanceUID = UID(FIND_CLASS), UID(uid)
    information.TransferSyntaxUID, information.ImplementationClassUID = ExplicitVRLittleEndian, UID(IMPLEMENTATION_UID)
    information.SourceApplicationEntityTitle = SERVER
    data.file_meta = information
    buffer = BytesIO()
    dcmwrite(buffer, data, enforce_file_format=True)
    return buffer.getvalue()


def worklist_rows(history: History) -> pl.DataFrame:
    """Entries as `workflow` rows, as `etl.sources.dicom.worklist` gives them; identifiers still in the clear."""
    codes, texts = {i: p.code for i, p in enumerate(PROCEDURES)}, {i: p.text for i, p in enumerate(PROCEDURES)}
    planned = _event("exam_scheduled_for", "slot_at", "(0040,0002)")
    placed = _event("order_placed", "placed", "(0040,2004)")
    return entries(history).select(
        "exam",
        "site",
        "sent_at",
        "study_uid",
        "accession",
        "placer",
        "sex",
        "birth_year",
        "modality",
        "department",
        "referrer",
        "station",
        "ae_title",
        source=pl.lit("mwl"),
        source_name=pl.lit(SERVER),
        message_type=pl.lit("MWL"),
        stated_at="booked_at",
        filler="accession",
        procedure_request=pl.concat_str(pl.lit("RP"), pl.col("accession").str.slice(1, 8)),
        patient="patient_id",
        imaging=pl.lit(True),
        procedure_code=pl.col("procedure").replace_strict(codes, return_dtype=pl.Utf8),
        procedure_scheme=pl.lit(SCHEME),
        procedure_text=pl.col("procedure").replace_strict(texts, return_dtype=pl.Utf8),
        priority=pl.col("priority").replace_strict(PRIORITIES),
        order_status=pl.lit("SCHEDULED"),
        flags=pl.lit([], dtype=pl.List(pl.Utf8)),
        events=pl.concat_list([placed, planned]),
        row_key=pl.concat_str(pl.lit("mwl"), "exam", pl.col("sent_at").dt.strftime("%Y%m%d")),
    )


def _event(name: str, at: str, field: str) -> pl.Expr:
    return pl.struct(
        pl.lit(name).alias("event"),
        pl.col(at).alias("at"),
        pl.lit("s").alias("precision"),
        pl.lit(field).alias("field"),
    ).cast(EVENT)
