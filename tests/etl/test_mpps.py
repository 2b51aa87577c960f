"""Performed procedure steps to `workflow` rows, as PS3.4 annex F lets scanners send them and as vendors do.

No real ones are public, so they are built here: N-CREATE and N-SET as data sets of DIMSE, stored as part 10 files.
"""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from etl.reading import frame_of
from etl.sources.contract import Context, Input, Offered, Verdict
from etl.sources.dicom import reader as dicom
from etl.sources.dicom import worklist
from etl.sources.dicom.mpps import MPPS_CLASS, REASONS
from settings import Settings, Site
from state.identity import Pseudonymiser

REASON_TABLE = Path(__file__).parents[3] / "shared" / "reference" / "workflow_mpps_reasons.csv"
KEY = Pseudonymiser(b"k" * 32)
CONTEXT = Context(
    Settings(sites=(Site(code="NORTH", name="North", time_zone="Europe/Berlin"),)),
    KEY,
    datetime(2026, 11, 25, tzinfo=UTC),
)
STEP = "1.2.826.0.1.3680043.8.498.77"
STUDY = "1.2.826.0.1.3680043.8.498.2"


def request(accession: str = "A-1", number: int = 1) -> Dataset:
    """An item of Scheduled Step Attributes (0040,0270)."""
    item = Dataset()
    item.StudyInstanceUID, item.AccessionNumber = STUDY, accession
    item.RequestedProcedureID, item.ScheduledProcedureStepID = f"RP-{number}", f"SPS-{number}"
    item.PlacerOrderNumberImagingServiceRequest, item.FillerOrderNumberImagingServiceRequest = "PL-1^RIS", "F-1"
    item.RequestedProcedureDescription = f"Procedure {number}"
    return item


def create(*requests: Dataset, **elements: Any) -> Dataset:
    """The data set of an N-CREATE: in progress since 14:00 local time."""
    data = Dataset()
    data.PatientName, data.PatientID, data.PatientSex, data.PatientBirthDate = "Doe^Jane", "P-1", "F", "19600102"
    data.Modality, data.PerformedStationAETitle, data.PerformedStationName = "CT", "CT1AE", "CT1"
    data.PerformedProcedureStepID, data.PerformedProcedureStepStatus = "PPS-1", "IN PROGRESS"
    data.PerformedProcedureStepStartDate, data.PerformedProcedureStepStartTime = "20261124", "140000"
    data.PerformedProcedureStepEndDate, data.PerformedProcedureStepEndTime = "", ""
    data.ScheduledStepAttributesSequence = list(requests) or [request()]
    data.PerformedSeriesSequence = []
    return changed(data, elements)


def update(status: str = "COMPLETED", **elements: Any) -> Dataset:
    """The data set of an N-SET: what changed alone, ended at 14:25 local time."""
    data = Dataset()
    data.PerformedProcedureStepStatus = status
    data.PerformedProcedureStepEndDate, data.PerformedProcedureStepEndTime = "20261124", "142500"
    return changed(data, elements)


def changed(data: Dataset, elements: dict[str, Any]) -> Dataset:
    for keyword, value in elements.items():
        if value is None:
            delattr(data, keyword)
        else:
            setattr(data, keyword, value)
    return data


def series(protocol: str, operator: str = "Roe^Tech") -> Dataset:
    item = Dataset()
    item.ProtocolName, item.SeriesInstanceUID, item.OperatorsName = protocol, "1.2.3.4.5", operator
    return item


def reason(code: str, meaning: str = "", scheme: str = "DCM") -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, scheme, meaning
    return [item]


def stored(data: Dataset, uid: str = STEP, sop_class: str = MPPS_CLASS, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A part 10 file, as a store of performed steps keeps it."""
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = sop_class, uid
    data.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True)
    return stream.getvalue()


def offer(content: bytes, name: str = "step.dcm") -> Offered:
    source = Input(name, len(content), lambda: io.BytesIO(content))
    reader = next(
        each for each in (worklist.READER, dicom.READER) if each.claims(content[:4096], name, CONTEXT.settings)
    )
    (offered,) = reader.read(source, CONTEXT)
    return offered


def rows(content: bytes, name: str = "step.dcm") -> list[dict[str, Any]]:
    offered = offer(content, name)
    assert offered.verdict is Verdict.ACCEPTED, offered.reject
    assert offered.source == "mpps"
    frame_of("workflow", offered.rows["workflow"])
    return offered.rows["workflow"]


def row(data: Dataset) -> dict[str, Any]:
    (landed,) = rows(stored(data))
    return landed


def times(landed: dict[str, Any]) -> dict[str, str]:
    """Event to time of the day in UTC; the site is one hour ahead."""
    return {event["event"]: f"{event['at']:%H:%M}" for event in landed["events"]}


def test_the_start_names_the_order() -> None:
    landed = row(create())
    assert times(landed) == {"exam_started": "13:00"}
    assert {name: landed[name] for name in ("step_uid", "study_uid", "modality", "ae_title", "station", "order_status")} == {
        "step_uid": STEP, "study_uid": STUDY, "modality": "CT", "ae_title": "CT1AE", "station": "CT1",
        "order_status": "IN PROGRESS",
    }  # fmt: skip
    assert landed["accession"] == KEY.pseudonym("order", "A-1")
    assert landed["placer"] == KEY.pseudonym("order", "PL-1")
    assert landed["filler"] == KEY.pseudonym("order", "F-1")
    assert landed["procedure_request"] == KEY.pseudonym("order", "RP-1")
    assert landed["patient"] == KEY.pseudonym("patient", "P-1")
    assert (landed["sex"], landed["birth_year"], landed["performed_series"]) == ("F", 1960, 0)
    assert landed["stated_at"] == datetime(2026, 11, 24, 13, tzinfo=UTC)
    assert landed["flags"] == []


def test_the_end_is_tied_to_the_step_alone() -> None:
    landed = row(update(PerformedSeriesSequence=[series("Head routine"), series("Bone")]))
    assert times(landed) == {"exam_completed": "13:25"}
    assert landed["step_uid"] == STEP
    assert [landed[name] for name in ("accession", "patient", "study_uid", "sex")] == [None] * 4
    assert (landed["performed_series"], landed["protocol"]) == (2, "Head routine")
    assert landed["technologist"] == KEY.pseudonym("person", "ROE^TECH")
    assert landed["stated_at"] == datetime(2026, 11, 24, 13, 25, tzinfo=UTC)
    assert row(create())["stated_at"] < landed["stated_at"]


def test_a_step_as_archives_keep_it_gives_start_and_end() -> None:
    data = create(PerformedProcedureStepStatus="COMPLETED")
    data.update(update())
    data.SOPClassUID, data.SOPInstanceUID = MPPS_CLASS, STEP
    assert times(row(data)) == {"exam_started": "13:00", "exam_completed": "13:25"}


def test_one_acquisition_for_three_orders_is_three_rows_of_one_step() -> None:
    landed = rows(stored(create(request("A-1", 1), request("A-2", 2), request("A-3", 3))))
    assert [each["position"] for each in landed] == ["item 1", "item 2", "item 3"]
    assert {each["step_uid"] for each in landed} == {STEP}
    assert len({each["accession"] for each in landed}) == 3
    assert [each["procedure_text"] for each in landed] == ["Procedure 1", "Procedure 2", "Procedure 3"]


def test_two_steps_for_one_order_stay_two() -> None:
    first, second = offer(stored(create(), "1.2.3.41")), offer(stored(create(), "1.2.3.42"))
    assert first.digest != second.digest
    accessions = {each.rows["workflow"][0]["accession"] for each in (first, second)}
    assert len(accessions) == 1


def test_equal_ends_of_two_steps_are_two_statements() -> None:
    assert offer(stored(update(), "1.2.3.41")).digest != offer(stored(update(), "1.2.3.42")).digest


@pytest.mark.parametrize(("data", "expected", "flags"), [
    # Left open for ever: started, and nothing is made up for the end.
    (create(), {"exam_started": "13:00"}, []),
    # Closed with the others at the end of the shift: taken as stated; whether it is credible the images show.
    (update(PerformedProcedureStepEndTime="220000"), {"exam_completed": "21:00"}, []),
    (update(PerformedProcedureStepEndTime=""), {"exam_completed": "23:00"}, []),
    (update(PerformedProcedureStepEndDate="", PerformedProcedureStepEndTime=""), {}, ["(0040,0250): missing end"]),
    (update(PerformedProcedureStepEndDate=None, PerformedProcedureStepEndTime=None), {}, ["(0040,0250): missing end"]),
    (update("DISCONTINUED"), {"exam_discontinued": "13:25"}, ["(0040,0281): discontinued without a reason"]),
    (update("IN PROGRESS"), {}, ["(0040,0250): an end without a status that ends the step, not used"]),
    (update(PerformedProcedureStepStatus=None, PerformedSeriesSequence=[]), {},
     ["(0040,0250): an end without a status that ends the step, not used"]),
    (update("FINISHED"), {}, ["(0040,0252): unknown status FINISHED", "(0040,0250): an end without a status that ends the step, not used"]),
    (create(PerformedProcedureStepStatus="COMPLETED", PerformedProcedureStepEndDate="20261124", PerformedProcedureStepEndTime="135900"),
     {"exam_started": "13:00", "exam_completed": "12:59"}, ["(0040,0250): end before start"]),
    (create(PerformedProcedureStepStartDate="", PerformedProcedureStepStartTime=""), {}, ["(0040,0244): missing start"]),
])  # fmt: skip
def test_habits_of_scanners(data: Dataset, expected: dict[str, str], flags: list[str]) -> None:
    landed = row(data)
    assert times(landed) == expected
    assert landed["flags"] == flags


def test_an_end_without_a_time_of_day_says_so() -> None:
    landed = row(update(PerformedProcedureStepEndTime=""))
    assert landed["events"][0]["precision"] == "d"


@pytest.mark.parametrize(("sequence", "code", "text", "flag"), [
    (reason("110501", "Equipment failure"), "110501", "Equipment failure", None),
    (reason("110516"), "110516", "Equipment change", None),
    (reason("110514", "Incorrect worklist entry selected"), "110514", "Incorrect worklist entry selected",
     "(0040,0281): wrong worklist entry selected, the step belongs to another order"),
    (reason("119999", "Strange"), "119999", "Strange", "(0040,0281): not in CID 9301"),
    (reason("X1", "Patient panicked", "99LOCAL"), "X1", "Patient panicked", None),
    ([], None, None, "(0040,0281): discontinued without a reason"),
])  # fmt: skip
def test_why_a_step_was_discontinued(
    sequence: list[Dataset], code: str | None, text: str | None, flag: str | None
) -> None:
    landed = row(update("DISCONTINUED", PerformedProcedureStepDiscontinuationReasonCodeSequence=sequence))
    assert (landed["reason_code"], landed["reason_text"]) == (code, text)
    assert landed["flags"] == ([flag] if flag else [])


@pytest.mark.skipif(not REASON_TABLE.is_file(), reason="the shared table of CID 9301 is not there")
def test_the_reasons_are_those_of_the_standard() -> None:
    with REASON_TABLE.open(encoding="utf-8") as lines:
        assert {each["code"]: each["meaning"] for each in csv.DictReader(lines)} == REASONS


def test_the_creation_time_is_when_a_step_states_itself() -> None:
    data = update("DISCONTINUED", InstanceCreationDate="20261124", InstanceCreationTime="150000")
    assert row(data)["stated_at"] == datetime(2026, 11, 24, 14, tzinfo=UTC)


@pytest.mark.parametrize(("data", "column", "expected"), [
    (create(ScheduledStepAttributesSequence=[]), "patient", KEY.pseudonym("patient", "P-1")),
    (create(ScheduledStepAttributesSequence=[]), "accession", None),
    (create(PatientName="QA^Phantom"), "not_patient", "*phantom*"),
    (create(AdmissionID="V-1"), "visit", KEY.pseudonym("visit", "V-1")),
    (create(PerformedProcedureStepDescription="CT skull"), "procedure_text", "Procedure 1"),
    (create(request(), ProcedureCodeSequence=reason("CTH", "CT head", "L")), "procedure_code", "CTH"),
    (create(PerformedProtocolCodeSequence=reason("P7", "Head low dose", "L")), "protocol", "Head low dose"),
    (create(TimezoneOffsetFromUTC="-0500"), "stated_at", datetime(2026, 11, 24, 19, tzinfo=UTC)),
])  # fmt: skip
def test_columns(data: Dataset, column: str, expected: Any) -> None:
    assert row(data)[column] == expected


def test_dose_of_a_step_is_landed_in_our_units_where_the_step_names_its_order() -> None:
    data = create(PerformedProcedureStepStatus="COMPLETED", ImageAndFluoroscopyAreaDoseProduct="126.596", TotalTimeOfFluoroscopy=312, TotalNumberOfExposures=14, Modality="XA")  # fmt: skip
    (offered,) = [offer(stored(data))]
    (dose,) = offered.rows["dose_report"]
    assert dose["dap_total_gycm2"] == pytest.approx(12.6596)  # 1 dGy·cm² is 0.1 Gy·cm²
    assert (dose["fluoro_time_total_s"], dose["events_stated"], dose["object_class"]) == (312.0, 14.0, "mpps")
    assert (dose["study_uid"], dose["object_uid"]) == (STUDY, STEP)
    nothing = create(ImageAndFluoroscopyAreaDoseProduct="0", TotalTimeOfFluoroscopy=0)
    assert "dose_report" not in offer(stored(nothing)).rows
    assert "dose_report" not in offer(stored(update(ImageAndFluoroscopyAreaDoseProduct="5"))).rows
    broken = create(ImageAndFluoroscopyAreaDoseProduct="99999999")
    assert "dose_report" not in offer(stored(broken)).rows


@pytest.mark.parametrize(("content", "name"), [
    (stored(update()), "a.dcm"),
    (stored(update(), syntax=ImplicitVRLittleEndian), "a.dcm"),
    (stored(update(SOPInstanceUID=STEP), "1.2.9", "1.2.276.0.7230010.3.1.0.1"), "converted.dcm"),
    (stored(update(), "1.2.9", "1.2.276.0.7230010.3.1.0.1"), f"spool/{STEP}"),
    (json.dumps({**update().to_json_dict(), "00080018": {"vr": "UI", "Value": [STEP]}}).encode(), "a.json"),
    (b"(0008,0018) UI [%s]\n(0040,0250) DA [20261124]\n(0040,0251) TM [142500]\n(0040,0252) CS [COMPLETED]\n" % STEP.encode(), "a.dump"),
    (b"(0002,0002) UI =ModalityPerformedProcedureStepSOPClass\n(0002,0003) UI [%s]\n(0040,0250) DA [20261124]\n"
     b"(0040,0251) TM [142500]\n(0040,0252) CS [COMPLETED]\n" % STEP.encode(), "a.dump"),
])  # fmt: skip
def test_however_an_end_is_written_it_is_the_end_of_its_step(content: bytes, name: str) -> None:
    (landed,) = rows(content, name)
    assert landed["step_uid"] == STEP
    assert times(landed) == {"exam_completed": "13:25"}


def test_an_end_of_an_unknown_step_is_refused() -> None:
    offered = offer(stored(update(), "1.2.9", "1.2.276.0.7230010.3.1.0.1"))
    assert offered.verdict is Verdict.REJECTED
    assert offered.reject is not None
    assert (offered.reject.reason, offered.reject.field) == ("missing-step-uid", "(0008,0018)")


def test_a_resent_step_is_known_again() -> None:
    assert offer(stored(create())).digest == offer(stored(create(), syntax=ExplicitVRLittleEndian)).digest


WHOLE = stored(
    create(
        request("Secret-1"),
        request("Secret-2"),
        PatientName="Secretname^Jane",
        PerformedSeriesSequence=[series("Head")],
    )
)


def sound(content: bytes) -> None:
    offered = offer(content)
    assert (offered.reject is None) == (offered.verdict is Verdict.ACCEPTED)
    assert "Secret" not in str(offered.reject)
    if "workflow" in offered.rows:
        frame_of("workflow", offered.rows["workflow"])


def test_a_step_cut_anywhere_gets_a_verdict() -> None:
    for length in range(1, len(WHOLE), 3):
        sound(WHOLE[:length])


def test_a_step_cut_inside_says_so() -> None:
    offered = offer(WHOLE[:-30])
    assert offered.source == "mpps"
    assert offered.reject is not None
    assert offered.reject.reason == "truncated"


@given(data=st.data())
@hypothesis_settings(max_examples=200, deadline=None)
def test_a_step_with_changed_bytes_gets_a_verdict(data: st.DataObject) -> None:
    content = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    sound(bytes(content))
