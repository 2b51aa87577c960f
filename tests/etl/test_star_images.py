"""Images in the star: durations, devices over time, groups and late orders; the traps of the workflow reference, section 9."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from etl.load import Loader
from settings import Settings, Site, StaffedHours
from state.home import DataHome
from tests.etl.conftest import order, star_of

SETTINGS = Settings(
    sites=(
        Site(
            code="NORTH",
            name="North",
            time_zone="Europe/Berlin",
            aliases=("North Hospital",),
            hours=(StaffedHours(modality="CT", opens="08:00", closes="18:00"),),
        ),
    )
)
_numbers = itertools.count(1)


def image(folder: Path, *, day: str, at: str, **tags: Any) -> Path:
    """A CT image without pixels; `series`, `accessions` and any DICOM keyword may be given."""
    number = next(_numbers)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = tags.get("SOPInstanceUID", f"2.25.9{number}")
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    values = {
        "SOPClassUID": CTImageStorage, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID, "StudyInstanceUID": "2.25.1001", "SeriesInstanceUID": "2.25.2001", "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "InstitutionName": "North Hospital", "Manufacturer": "Aster", "ManufacturerModelName": "Orbit", "DeviceSerialNumber": "S1",
        "StationName": "CT1", "SoftwareVersions": "1.0", "PatientID": "P1", "PatientSex": "F", "PatientBirthDate": "19600102", "AccessionNumber": "A1", "StudyDate": day, "StudyTime": at,
        "AcquisitionDate": day, "AcquisitionTime": at, "ProtocolName": "HEAD", "StudyDescription": "CT head", "Rows": 1, "Columns": 1,
    }  # fmt: skip
    accessions = tags.pop("accessions", None)
    for keyword, value in {**values, **tags}.items():
        setattr(dataset, keyword, value)
    if accessions:
        items = []
        for accession in accessions:
            item = Dataset()
            item.AccessionNumber, item.RequestedProcedureID = accession, f"R{accession}"
            items.append(item)
        dataset.RequestAttributesSequence = items
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{number}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def exams(tmp_path: Path) -> Any:
    """Loads folders one after another and gives the exams."""
    home = DataHome.initialise(tmp_path / "data")

    def load(*folders: Path) -> pl.DataFrame:
        for folder in folders:
            Loader(home, SETTINGS).load([folder])
        return star_of(home).text("SELECT * FROM fact_exam ORDER BY exam_key")

    load.home = home  # type: ignore[attr-defined]
    return load


def test_duration_is_right_across_both_clock_changes(exams: Any, tmp_path: Path) -> None:
    """Autumn: 01:50 +0200 to 02:10 +0100 are 80 minutes; spring: 01:50 to 03:10 in the site's zone are 20."""
    autumn, spring = tmp_path / "autumn", tmp_path / "spring"
    image(
        autumn,
        day="20261025",
        at="015000",
        TimezoneOffsetFromUTC="+0200",
        SeriesInstanceUID="2.25.2001",
        AccessionNumber="AUT",
        StudyInstanceUID="2.25.1",
    )
    image(
        autumn,
        day="20261025",
        at="021000",
        TimezoneOffsetFromUTC="+0100",
        SeriesInstanceUID="2.25.2001",
        AccessionNumber="AUT",
        StudyInstanceUID="2.25.1",
    )
    image(
        spring,
        day="20260329",
        at="015000",
        SeriesInstanceUID="2.25.2002",
        AccessionNumber="SPR",
        StudyInstanceUID="2.25.2",
    )
    image(
        spring,
        day="20260329",
        at="031000",
        SeriesInstanceUID="2.25.2002",
        AccessionNumber="SPR",
        StudyInstanceUID="2.25.2",
    )
    found = dict(exams(autumn, spring).select(pl.col("local_day").cast(pl.Utf8), "machine_minutes").iter_rows())
    assert found == {"2026-10-25": 80.0, "2026-03-29": 20.0}


def test_reprocessed_series_days_later_leaves_the_duration_unchanged(exams: Any, tmp_path: Path) -> None:
    first, later = tmp_path / "first", tmp_path / "later"
    image(first, day="20260310", at="100000")
    image(first, day="20260310", at="100900")
    image(later, day="20260312", at="100000", SeriesInstanceUID="2.25.2009", ImageType=["DERIVED", "SECONDARY"])
    assert exams(first, later)["machine_minutes"].to_list() == [9.0]


def test_long_pause_belongs_to_no_exam(exams: Any, tmp_path: Path) -> None:
    """10:00–10:05, then 40 minutes of pause, then 10:45–10:50: the scanner worked ten minutes."""
    for number, at in enumerate(("100000", "100500", "104500", "105000")):
        image(tmp_path / "in", day="20260310", at=at, SeriesInstanceUID=f"2.25.20{number // 2}")
    assert exams(tmp_path / "in")["machine_minutes"].to_list() == [10.0]


def test_group_case_counts_exams_twice_and_the_scanner_once(exams: Any, tmp_path: Path) -> None:
    for at in ("100000", "101200"):
        image(tmp_path / "in", day="20260310", at=at, AccessionNumber="", accessions=["A1", "A2"])
    found = exams(tmp_path / "in")
    assert found.height == 2
    assert found["machine_minutes"].to_list() == [12.0, 12.0]
    room = (found["room_ended_at"] - found["room_started_at"]).dt.total_minutes()
    assert room.to_list() == [19, 19]  # the scanner and the configured change of a CT
    assert found["sharers"].to_list() == [2, 2]
    assert found["acquisition_key"].n_unique() == 1


def test_order_that_comes_later_attaches_to_the_images(exams: Any, tmp_path: Path) -> None:
    image(tmp_path / "images", day="20260310", at="100000")
    before = exams(tmp_path / "images")
    assert before["has_order"].to_list() == [False]
    (tmp_path / "order").mkdir()
    (tmp_path / "order" / "o.hl7").write_text(order("1", "NW", at="20260310080000"))
    after = exams(tmp_path / "order")
    assert after["has_order"].to_list() == [True]
    assert after["exam_key"].to_list() == before["exam_key"].to_list()
    assert after["patient_key"].to_list() == before["patient_key"].to_list()


def test_instance_that_is_resent_with_other_bytes_counts_once(exams: Any, tmp_path: Path) -> None:
    image(tmp_path / "in", day="20260310", at="100000", SOPInstanceUID="2.25.77")
    image(tmp_path / "in", day="20260310", at="100000", SOPInstanceUID="2.25.77", StudyDescription="CT Head")
    assert exams(tmp_path / "in")["instances"].to_list() == [1]


def test_device_keeps_its_history(exams: Any, tmp_path: Path) -> None:
    """Renamed and upgraded it is one device in three versions; another serial in its room is another device."""
    for number, (day, station, software, serial) in enumerate(
        [
            ("20260301", "CT1", "1.0", "S1"),
            ("20260305", "CT-ER", "1.0", "S1"),
            ("20260310", "CT-ER", "2.0", "S1"),
            ("20260315", "CT-ER", "2.0", "S2"),
        ]
    ):
        image(tmp_path / "in", day=day, at="100000", StationName=station, SoftwareVersions=software, DeviceSerialNumber=serial, AccessionNumber=f"D{number}",
              StudyInstanceUID=f"2.25.30{number}", SeriesInstanceUID=f"2.25.40{number}")  # fmt: skip
    exams(tmp_path / "in")
    devices = star_of(exams.home).text("SELECT * FROM dim_device WHERE device_key <> 0 ORDER BY valid_from")
    assert devices["device_id"].n_unique() == 2
    first = devices.filter(pl.col("serial") == "S1")
    assert [
        (
            row["station"],
            row["software"],
            f"{row['valid_from']:%d}",
            None if row["valid_to"] is None else f"{row['valid_to']:%d}",
            row["is_current"],
        )
        for row in first.to_dicts()
    ] == [
        ("CT1", "1.0", "01", "05", False),
        ("CT-ER", "1.0", "05", "10", False),
        ("CT-ER", "2.0", "10", None, True),
    ]
    joined = star_of(exams.home).text(
        "SELECT local_day, software FROM fact_exam JOIN dim_device USING (device_key) ORDER BY local_day"
    )
    assert joined["software"].to_list() == ["1.0", "1.0", "2.0", "2.0"]


@pytest.mark.parametrize("serial", ["", "0", "000000", "unknown"])
def test_device_without_a_usable_serial_is_known_by_its_station(serial: str, exams: Any, tmp_path: Path) -> None:
    image(
        tmp_path / "in",
        day="20260301",
        at="100000",
        DeviceSerialNumber=serial,
        StationName="CT1",
        AccessionNumber="D1",
        StudyInstanceUID="2.25.301",
        SeriesInstanceUID="2.25.401",
    )
    image(
        tmp_path / "in",
        day="20260302",
        at="100000",
        DeviceSerialNumber=serial,
        StationName="CT2",
        AccessionNumber="D2",
        StudyInstanceUID="2.25.302",
        SeriesInstanceUID="2.25.402",
    )
    exams(tmp_path / "in")
    assert (
        star_of(exams.home).text("SELECT count(DISTINCT device_id) AS n FROM dim_device WHERE device_key <> 0")["n"][0]
        == 2
    )


def test_phantom_is_loaded_marked_and_left_out_of_measures(exams: Any, tmp_path: Path) -> None:
    from datetime import date

    from warehouse import measures
    from warehouse.filters import Filters
    from warehouse.scope import EVERYTHING

    image(tmp_path / "in", day="20260310", at="100000", PatientName="PHANTOM^WATER", PatientID="PHY001")
    assert exams(tmp_path / "in")["not_patient"].null_count() == 0
    filters = Filters(start=date(2026, 3, 1), end=date(2026, 3, 31))
    assert measures.number(star_of(exams.home), "exams", filters, EVERYTHING)[0] == 0


def test_utilization_is_worked_by_hand(exams: Any, tmp_path: Path) -> None:
    """Tuesday 10 March, staffed 08:00–18:00 (600 min): 09:00–09:30 and the 7 min of change after it, and of 17:50–18:10 ten minutes, lie inside."""
    from datetime import date

    from warehouse import measures
    from warehouse.filters import Filters
    from warehouse.scope import EVERYTHING

    spans = [("A1", "090000", "091500"), ("A1", "091500", "093000"), ("A2", "175000", "181000")]
    for number, (accession, begins, ends) in enumerate(spans):
        for at in (begins, ends):
            image(
                tmp_path / "in",
                day="20260310",
                at=at,
                AccessionNumber=accession,
                StudyInstanceUID=f"2.25.5{accession[1]}",
                SeriesInstanceUID=f"2.25.6{number}",
            )
    exams(tmp_path / "in")
    day = Filters(start=date(2026, 3, 10), end=date(2026, 3, 10))
    value, n = measures.number(star_of(exams.home), "scanner_utilization", day, EVERYTHING)
    assert value == pytest.approx(100 * 40 / 600)
    room, _ = measures.number(star_of(exams.home), "room_utilization", day, EVERYTHING)
    assert room == pytest.approx(100 * 47 / 600)
    assert n == 2
    sunday = Filters(start=date(2026, 3, 15), end=date(2026, 3, 15))
    assert measures.number(star_of(exams.home), "scanner_utilization", sunday, EVERYTHING)[0] is None
