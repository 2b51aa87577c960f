"""Image headers to `series` rows: shared truths, and the rules for times, age, size and what was acquired."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from etl.lake.schema import polars_schema
from etl.sources.contract import Context, Input, Offered, Verdict
from etl.sources.dicom.reader import READER
from settings import Settings, Site
from state.identity import Pseudonymiser

SHARED = Path(__file__).parents[3] / "shared" / "data" / "workflow"
KEY = Pseudonymiser(b"k" * 32)
CONTEXT = Context(Settings(), KEY)
HEADERS = [
    entry
    for entry in (json.loads((SHARED / "manifest.json").read_text())["files"] if SHARED.is_dir() else [])
    if entry["file"].startswith("dicom/")
]


def read(content: bytes, context: Context = CONTEXT) -> Offered:
    (offered,) = READER.read(Input("image.dcm", len(content), lambda: io.BytesIO(content)), context)
    return offered


def image(**elements: Any) -> Dataset:
    """A CT image; keywords add or replace elements, None removes one."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.826.0.1.3680043.8.498.1"
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.2", "1.2.826.0.1.3680043.8.498.3"
    data.StudyDate, data.StudyTime, data.Modality = "20260301", "100000", "CT"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.PatientID, data.PatientName, data.AccessionNumber = "P-1", "Doe^Jane", "A-1"
    for keyword, value in elements.items():
        if value is None:
            delattr(data, keyword)
        elif isinstance(value, tuple):  # VR and text, for values that the element's own VR does not take
            data.add_new(keyword, *value)
        else:
            setattr(data, keyword, value)
    return data


def written(data: Dataset) -> bytes:
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stream = io.BytesIO()
    with pydicom.config.disable_value_validation():
        data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def series(context: Context = CONTEXT, **elements: Any) -> dict[str, Any]:
    offered = read(written(image(**elements)), context)
    assert offered.verdict is Verdict.ACCEPTED, offered.reject
    return offered.rows["series"][0]


def stamp(day: str, time: str) -> datetime:
    text = (day.replace(".", "") + time.replace(":", "")).ljust(14, "0")
    form = "%Y%m%d%H%M%S.%f" if "." in text else "%Y%m%d%H%M%S"
    return datetime.strptime(text, form).replace(tzinfo=UTC)


@pytest.mark.skipif(not HEADERS, reason="the shared headers are not there")
@pytest.mark.parametrize("entry", HEADERS, ids=lambda entry: entry["file"])
def test_truths_of_shared_headers(entry: dict[str, Any]) -> None:
    truth = entry["truths"]
    offered = read((SHARED / entry["file"]).read_bytes())
    assert offered.verdict is Verdict.ACCEPTED
    row = offered.rows["series"][0]
    assert row["study_uid"] == truth["StudyInstanceUID"]
    assert row["sop_class"] == truth["SOPClassUID"]
    texts = {
        "modality": "Modality", "manufacturer": "Manufacturer", "model": "ManufacturerModelName", "body_part": "BodyPartExamined",
        "serial": "DeviceSerialNumber", "station": "StationName", "institution": "InstitutionName",
        "series_text": "SeriesDescription", "protocol": "ProtocolName",
    }  # fmt: skip
    for column, keyword in texts.items():
        assert row[column] == (truth.get(keyword) or None), keyword
    if "StudyDescription" in truth:
        assert row["procedure_text"] == truth["StudyDescription"]
    assert row["patient"] == KEY.pseudonym("patient", truth.get("PatientID"))
    if truth.get("AccessionNumber"):
        assert row["accession"] == KEY.pseudonym("order", truth["AccessionNumber"])
    if "NumberOfFrames" in truth:
        assert row["frames"] == int(truth["NumberOfFrames"])
    offset = truth.get("TimezoneOffsetFromUTC")
    shift = timedelta(hours=int(offset[:3]), minutes=int(offset[0] + offset[3:])) if offset else timedelta(0)
    if truth.get("StudyTime") and truth.get("StudyDate"):
        assert row["study_at"] == stamp(truth["StudyDate"], truth["StudyTime"]) - shift
    if truth.get("PerformedProcedureStepStartTime"):
        expected = stamp(truth["PerformedProcedureStepStartDate"], truth["PerformedProcedureStepStartTime"]) - shift
        assert row["step_started_at"] == expected
    if truth.get("AcquisitionTime") and truth.get("AcquisitionDate") and not truth.get("AcquisitionDateTime"):
        assert row["started_at"] == stamp(truth["AcquisitionDate"], truth["AcquisitionTime"]) - shift
        assert row["times_from"].startswith("(0008,0032)")
    pl.DataFrame(offered.rows["series"], schema=polars_schema("series"), strict=True)


@pytest.mark.parametrize(("elements", "started", "source"), [
    ({"AcquisitionDateTime": "20260301101500.5"}, "10:15:00.5", "(0008,002A)"),
    ({"AcquisitionDate": "20260301", "AcquisitionTime": "101500"}, "10:15:00", "(0008,0032)"),
    ({"AcquisitionTime": "101500"}, "10:15:00", "(0008,0032)"),
    ({"ContentDate": "20260301", "ContentTime": "1016"}, "10:16:00", "(0008,0033)"),
    ({"SeriesDate": "20260301", "SeriesTime": "101700"}, "10:17:00", "(0008,0031)"),
    ({"AcquisitionDateTime": "20260301111500+0100"}, "10:15:00", "(0008,002A)"),
    ({"AcquisitionTime": "051500", "TimezoneOffsetFromUTC": "-0500"}, "10:15:00", "(0008,0032)"),
    ({"AcquisitionTime": "101500", "ActualFrameDuration": "1000"}, "10:15:00", "(0008,0032), (0018,1242)"),
])  # fmt: skip
def test_the_start_comes_from_the_best_element(elements: dict[str, Any], started: str, source: str) -> None:
    row = series(**elements)
    assert row["started_at"] == datetime.fromisoformat(
        f"2026-03-01T{started.ljust(12, '0') if '.' in started else started}+00:00"
    )
    assert row["times_from"] == source
    assert row["month"] == "2026-03"


def test_study_time_is_no_start() -> None:
    row = series()
    assert (row["started_at"], row["times_from"], row["month"]) == (None, None, "2026-03")


def test_a_frame_s_own_duration_is_added_to_the_end() -> None:
    row = series(AcquisitionTime="101500", ActualFrameDuration="150000")
    assert row["ended_at"] - row["started_at"] == timedelta(seconds=150)


def test_frames_of_an_enhanced_object_speak_for_themselves() -> None:
    """Two frames at 10:15:00 and 10:15:30 of 500 ms each: 10:15:00 to 10:15:30.5, whatever the top level says."""
    frames = []
    for second in ("30", "00"):
        content, frame = Dataset(), Dataset()
        content.FrameAcquisitionDateTime, content.FrameAcquisitionDuration = f"202603011015{second}", 500.0
        frame.FrameContentSequence = [content]
        frames.append(frame)
    row = series(PerFrameFunctionalGroupsSequence=frames, AcquisitionDateTime="20260301120000")
    assert row["started_at"] == datetime(2026, 3, 1, 10, 15, tzinfo=UTC)
    assert row["ended_at"] == datetime(2026, 3, 1, 10, 15, 30, 500_000, tzinfo=UTC)


def test_times_without_offset_are_those_of_the_site() -> None:
    settings = Settings(
        sites=(Site(code="NORTH", name="North", time_zone="Europe/Berlin", aliases=("St. Elsewhere",)),)
    )
    context = Context(settings, KEY)
    row = series(context, AcquisitionTime="101500", InstitutionName="ST. ELSEWHERE")
    assert (row["site"], row["time_offset"]) == ("NORTH", "site")
    assert row["started_at"] == datetime(2026, 3, 1, 9, 15, tzinfo=UTC)
    gap = series(context, StudyDate="20260329", AcquisitionTime="023000")
    assert "(0008,0032): nonexistent-local-time" in gap["flags"]


@pytest.mark.parametrize(("image_type", "sop_class", "acquired"), [
    (["ORIGINAL", "PRIMARY", "AXIAL"], "1.2.840.10008.5.1.4.1.1.2", True),
    (["ORIGINAL", "SECONDARY"], "1.2.840.10008.5.1.4.1.1.2", False),
    (["DERIVED", "PRIMARY"], "1.2.840.10008.5.1.4.1.1.2", False),
    (["DERIVED", "SECONDARY", "LOCALIZER"], "1.2.840.10008.5.1.4.1.1.2", True),
    (["DERIVED", "PRIMARY"], "1.2.840.10008.5.1.4.1.1.1.1", True),
    (["DERIVED", "PRIMARY"], "1.2.840.10008.5.1.4.1.1.1.2", True),
    (["DERIVED", "SECONDARY"], "1.2.840.10008.5.1.4.1.1.7", False),
    (None, "1.2.840.10008.5.1.4.1.1.1", True),
    (None, "1.2.840.10008.5.1.4.1.1.7", False),
])  # fmt: skip
def test_what_counts_as_acquired(image_type: list[str] | None, sop_class: str, acquired: bool) -> None:
    assert series(ImageType=image_type, SOPClassUID=sop_class)["is_acquired"] is acquired


@pytest.mark.parametrize(("elements", "column", "value", "flagged"), [
    ({"PatientAge": "045Y"}, "age_years", 45.0, False),
    ({"PatientAge": "56Y"}, "age_years", 56.0, False),
    ({"PatientAge": "006M"}, "age_years", 0.5, False),
    ({"PatientAge": "200X"}, "age_years", None, True),
    ({"PatientBirthDate": "19760301"}, "age_years", 50.0, False),
    ({"PatientBirthDate": "19760301"}, "birth_year", 1976, False),
    ({"PatientBirthDate": "20270101"}, "birth_year", None, True),
    ({"PatientBirthDate": "99990101"}, "birth_year", None, True),
    ({"PatientSex": "f"}, "sex", "F", False),
    ({"PatientSex": "X"}, "sex", None, True),
    ({"PatientWeight": "0"}, "weight_kg", None, False),
    ({"PatientWeight": ("LO", "82,5")}, "weight_kg", 82.5, False),
    ({"PatientWeight": "-3"}, "weight_kg", None, True),
    ({"PatientSize": "1.78"}, "height_m", 1.78, False),
    ({"PatientSize": "178"}, "height_m", 1.78, False),
    ({"PatientSize": ("LO", "tall")}, "height_m", None, True),
    ({"DateOfLastCalibration": ["20260101", "20260215"]}, "calibrated_on", date(2026, 2, 15), False),
    ({"NumberOfFrames": "12"}, "frames", 12, False),
    ({"SoftwareVersions": ["B", "A"]}, "software", "A | B", False),
])  # fmt: skip
def test_person_and_device(elements: dict[str, Any], column: str, value: object, flagged: bool) -> None:
    row = series(**elements)
    assert row[column] == (pytest.approx(value, abs=0.01) if isinstance(value, float) else value)
    doubts = [flag for flag in row["flags"] if "pixel-data-missing" not in flag]
    assert bool(doubts) is flagged


def test_accessions_of_all_requests_are_kept() -> None:
    first, second = Dataset(), Dataset()
    first.AccessionNumber, first.RequestedProcedureID = "A-1", "R-1"
    second.AccessionNumber = "A-2"
    row = series(RequestAttributesSequence=[first, second])
    assert row["accession"] == KEY.pseudonym("order", "A-1")
    assert row["accessions"] == sorted(str(KEY.pseudonym("order", text)) for text in ("A-1", "A-2"))
    assert row["worklist_used"] is True
    assert series()["worklist_used"] is False


@pytest.mark.parametrize(("name", "patient_id", "pattern"), [
    ("Physics^QA", "123", "physics*"),
    ("Doe^Jane", "PHY12345", "phy[0-9]*"),
    ("Water Phantom", "1", "*phantom*"),
    ("Physick^Jane", "physio", None),
])  # fmt: skip
def test_phantoms_are_recognised_before_the_pseudonym(name: str, patient_id: str, pattern: str | None) -> None:
    assert series(PatientName=name, PatientID=patient_id)["not_patient"] == pattern


@pytest.mark.parametrize(("keyword", "reason"), [
    ("StudyInstanceUID", "missing-study-uid"),
    ("SeriesInstanceUID", "missing-series-uid"),
    ("SOPInstanceUID", "missing-sop-instance-uid"),
    ("SOPClassUID", "missing-sop-class"),
])  # fmt: skip
def test_what_a_row_cannot_do_without(keyword: str, reason: str) -> None:
    data = image()
    setattr(data, keyword, "")
    offered = read(written_without_meta_check(data))
    assert offered.verdict is Verdict.REJECTED
    assert offered.reject is not None
    assert (offered.reject.reason, bool(offered.reject.field)) == (reason, True)


def written_without_meta_check(data: Dataset) -> bytes:
    """The data set behind a file meta group that does not repeat its UIDs."""
    meta = b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\x00"
    body = io.BytesIO()
    pydicom.filewriter.dcmwrite(body, data, implicit_vr=False, little_endian=True)
    return b"\0" * 128 + b"DICM" + meta + body.getvalue()


@pytest.mark.parametrize(("uid", "flagged"), [
    ("1.2.840.1", False), ("abc", True), ("1.02.3.4", True), ("1." + "9" * 90, True), ("1.2.3\\1.2.4", True), ("1.2", True),
])  # fmt: skip
def test_odd_uids_land_flagged(uid: str, flagged: bool) -> None:
    data = image()
    content = written_without_meta_check(data).replace(
        b"\x20\x00\x0d\x00UI\x1c\x001.2.826.0.1.3680043.8.498.2\x00",
        b"\x20\x00\x0d\x00UI" + (len(uid) + len(uid) % 2).to_bytes(2, "little") + uid.encode() + b"\0" * (len(uid) % 2),
    )
    row = read(content).rows["series"][0]
    assert row["study_uid"] == uid[:128]
    assert any(flag.startswith("(0020,000D)") for flag in row["flags"]) is flagged


def test_the_digest_of_an_image_takes_what_precedes_its_pixels_and_the_size() -> None:
    head = written_without_meta_check(image())
    pixels = b"\xe0\x7f\x10\x00OW\0\0\x04\0\0\0"
    first, second = (read(head + pixels + tail) for tail in (b"abcd", b"wxyz"))
    longer = read(head + b"\xe0\x7f\x10\x00OW\0\0\x06\0\0\0abcdef")
    assert first.digest == second.digest != longer.digest
    assert first.rows["series"][0]["bytes"] == len(head) + 16


def test_pixels_are_never_read() -> None:
    """A declared gigabyte behind the header: the reader seeks at most once past it."""

    class Counting(io.BytesIO):
        most = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            Counting.most = max(Counting.most, len(data))
            return data

    content = written_without_meta_check(image()) + b"\xe0\x7f\x10\x00OW\0\0\x00\x00\x00\x40" + b"\0" * 1_000_000
    (offered,) = READER.read(Input("x", len(content), lambda: Counting(content)), CONTEXT)
    assert offered.verdict is Verdict.ACCEPTED
    assert Counting.most <= 65536


def exposure(**elements: Any) -> list[dict[str, Any]]:
    """Irradiation events of a radiograph."""
    more = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1", "Modality": "DX", "AcquisitionTime": "101500", **elements}
    return read(written(image(**more))).rows.get("irradiation_event", [])


@pytest.mark.parametrize(("elements", "column", "value"), [
    ({"ImageAndFluoroscopyAreaDoseProduct": "11.013"}, "dap_gycm2", 1.1013),
    ({"Exposure": "1", "ExposureInuAs": "1040"}, "exposure_mas", 1.04),
    ({"Exposure": "21"}, "exposure_mas", 21.0),
    ({"KVP": "0", "Exposure": "5"}, "kvp", None),
    ({"Exposure": "0", "KVP": "80"}, "exposure_mas", None),
    ({"KVP": "80", "ImageLaterality": "U"}, "laterality", None),
    ({"KVP": "80", "ImageLaterality": "L"}, "laterality", "L"),
    ({"KVP": "80", "ViewPosition": "AP"}, "view", "AP"),
    ({"KVP": "80", "FilterThicknessMinimum": ("LO", "1.06,0.206"), "FilterThicknessMaximum": ("LO", "0.94,0.194")},
     "filter_thickness_min_mm", 0.94),
    ({"KVP": "80", "ImageAndFluoroscopyAreaDoseProduct": "-1"}, "dap_gycm2", None),
])  # fmt: skip
def test_figures_of_a_radiograph(elements: dict[str, Any], column: str, value: object) -> None:
    (row,) = exposure(**elements)
    assert row.get(column) == value
    assert (row["object_class"], row["object_rank"], row["event_kind"]) == ("header", 4, "projection")


def test_a_radiograph_without_any_figure_is_no_event() -> None:
    assert exposure() == exposure(KVP="0", Exposure="0") == []


def test_two_exposures_without_time_or_uid_stay_two() -> None:
    first, second = (
        exposure(KVP="80", AcquisitionTime="", SOPInstanceUID=f"1.2.826.0.1.3680043.8.498.{number}")[0]
        for number in (1, 2)
    )
    assert first["event_uid"] != second["event_uid"]


def test_slices_and_reconstructions_of_one_ct_acquisition_are_one_event() -> None:
    rows = [
        read(written(image(CTDIvol=12.5, AcquisitionNumber="2", AcquisitionTime=time, SeriesInstanceUID=uid)))
        for time, uid in (("101500", "1.2.826.0.1.3680043.8.498.3"), ("101501", "1.2.826.0.1.3680043.8.498.4"))
    ]
    events = [offered.rows["irradiation_event"][0] for offered in rows]
    assert events[0]["event_uid"] == events[1]["event_uid"]
    assert [event["ctdivol_mgy"] for event in events] == [12.5, 12.5]
    assert "dlp_mgycm" not in events[0]


@pytest.mark.parametrize(("sop_class", "dose", "mbq", "flagged"), [
    ("1.2.840.10008.5.1.4.1.1.128", "394000000", 394.0, False),
    ("1.2.840.10008.5.1.4.1.1.20", "320", 320.0, False),
    ("1.2.840.10008.5.1.4.1.1.128", "394", None, True),
    ("1.2.840.10008.5.1.4.1.1.20", "320000000", None, True),
])  # fmt: skip
def test_activities_by_sop_class(sop_class: str, dose: str, mbq: float | None, flagged: bool) -> None:
    item = Dataset()
    item.RadionuclideTotalDose, item.RadiopharmaceuticalStartDateTime = dose, "20260301093000"
    offered = read(written(image(SOPClassUID=sop_class, Modality="PT", RadiopharmaceuticalInformationSequence=[item])))
    (row,) = offered.rows["irradiation_event"]
    assert row.get("activity_mbq") == mbq
    assert any(flag.startswith("activity_mbq: implausible") for flag in row["flags"]) is flagged
    assert row["started_at"] == datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
