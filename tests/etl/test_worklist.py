"""Worklist entries as files, dumps and JSON to `workflow` rows: shared truths, dcmtk's own reading, and what goes wrong."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from etl.reading import frame_of
from etl.sources.contract import Context, Input, Offered, Verdict
from etl.sources.dicom import reader as dicom
from etl.sources.dicom import worklist
from etl.sources.dicom.dump import is_dump, read_dump
from etl.sources.dicom.encoding import dicom_file
from etl.sources.dicom.worklist import LEFT_KEYS, left_file
from settings import Limits, Matching, Settings
from state.identity import Pseudonymiser

SHARED = Path(__file__).parents[3] / "shared" / "data" / "workflow"
TRUTHS = [
    entry
    for entry in (json.loads((SHARED / "manifest.json").read_text())["files"] if SHARED.is_dir() else [])
    if entry["file"].startswith("mwl/")
]
QUERIES = [entry for entry in TRUTHS if "wlistqry" in entry["file"]]
ENTRIES = [entry for entry in TRUTHS if entry not in QUERIES]
KEY = Pseudonymiser(b"k" * 32)
NOW = datetime(2026, 11, 25, tzinfo=UTC)
CONTEXT = Context(Settings(), KEY, NOW)
READERS = (worklist.READER, dicom.READER)

needs_shared = pytest.mark.skipif(not TRUTHS, reason="the shared worklist files are not there")


def offers(content: bytes, name: str = "entry.wl", context: Context = CONTEXT) -> list[Offered]:
    source = Input(name, len(content), lambda: io.BytesIO(content))
    reader = next((each for each in READERS if each.claims(content[:4096], name, context.settings)), None)
    return list(reader.read(source, context)) if reader else []


def offer(content: bytes, name: str = "entry.wl", context: Context = CONTEXT) -> Offered:
    (offered,) = offers(content, name, context)
    return offered


def row(content: bytes, name: str = "entry.wl", context: Context = CONTEXT) -> dict[str, Any]:
    offered = offer(content, name, context)
    assert offered.verdict is Verdict.ACCEPTED, offered.reject
    (landed,) = offered.rows["workflow"]
    return landed


def entry(**elements: Any) -> Dataset:
    """A worklist entry as a RIS answers; keywords add or replace elements, those of `step_` in its step."""
    data, step = Dataset(), Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.AccessionNumber, data.PatientName, data.PatientID = "A-1", "Doe^Jane", "P-1"
    data.PatientBirthDate, data.PatientSex = "19600102", "F"
    data.StudyInstanceUID, data.RequestedProcedureID = "1.2.826.0.1.3680043.8.498.2", "RP-1"
    data.RequestedProcedureDescription, data.RequestedProcedurePriority = "CT head", "STAT"
    step.Modality, step.ScheduledStationAETitle, step.ScheduledStationName = "CT", "CT1AE", "CT1"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20261124", "143000"
    step.ScheduledProcedureStepID = "SPS-1"
    for keyword, value in elements.items():
        setattr(step if keyword.startswith("step_") else data, keyword.removeprefix("step_"), value)
    if "ScheduledProcedureStepSequence" not in elements:
        data.ScheduledProcedureStepSequence = [step]
    return data


def written(data: Dataset, syntax: str = ExplicitVRLittleEndian, **meta: str) -> bytes:
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    for keyword, value in meta.items():
        setattr(data.file_meta, keyword, value)
    stream = io.BytesIO()
    with pydicom.config.disable_value_validation():
        pydicom.dcmwrite(stream, data, enforce_file_format=True)
    return stream.getvalue()


def meta_of(data: Dataset) -> bytes:
    return written(data, MediaStorageSOPClassUID="1.2.840.10008.5.1.4.31", MediaStorageSOPInstanceUID="1.2.3.4")


def content(data: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """A file whose meta information tells nothing but its encoding."""
    return written(
        data, syntax, MediaStorageSOPClassUID="1.2.276.0.7230010.3.1.0.1", MediaStorageSOPInstanceUID="1.2.9"
    )


def events(landed: dict[str, Any]) -> dict[str, tuple[datetime, str]]:
    return {event["event"]: (event["at"], event["precision"]) for event in landed["events"]}


def stated(truths: dict[str, Any]) -> dict[str, str]:
    """What the manifest says of an entry, by the names of its separate small parser."""
    if "text_dump" not in truths:
        return {
            "accession": truths["AccessionNumber"],
            "patient": truths["PatientID"],
            "study": truths["StudyInstanceUID"],
            "request": truths["RequestedProcedureID"],
            "text": truths["RequestedProcedureDescription"],
            "modality": truths["SPS.Modality"],
            "station": truths["SPS.ScheduledStationName"],
            "day": truths["SPS.ScheduledProcedureStepStartDate"],
            "time": truths["SPS.ScheduledProcedureStepStartTime"],
        }
    lines: dict[str, str] = {}
    for tag, _, text in truths["text_dump"]:
        lines.setdefault(tag, text)
    names = {
        "accession": "0008,0050", "patient": "0010,0020", "study": "0020,000d", "request": "0040,1001", "text": "0032,1060",
        "modality": "0008,0060", "station": "0040,0010", "day": "0040,0002", "time": "0040,0003",
    }  # fmt: skip
    return {name: lines[tag] for name, tag in names.items()}


@needs_shared
@pytest.mark.parametrize("truth", ENTRIES, ids=lambda truth: truth["file"])
def test_a_shared_entry_gives_what_its_truth_says(truth: dict[str, Any]) -> None:
    path = SHARED / truth["file"]
    landed, says = row(path.read_bytes(), path.name), stated(truth["truths"])
    assert landed["source"] == "mwl"
    assert landed["message_type"] == "MWL"
    assert landed["accession"] == KEY.pseudonym("order", says["accession"])
    assert landed["patient"] == KEY.pseudonym("patient", says["patient"])
    assert landed["procedure_request"] == KEY.pseudonym("order", says["request"])
    assert (landed["study_uid"], landed["modality"], landed["station"]) == (
        says["study"],
        says["modality"],
        says["station"],
    )
    assert landed["procedure_text"] == says["text"]
    assert landed["priority"] in {"LOW", "HIGH"}
    planned = datetime.strptime(says["day"] + says["time"], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    assert events(landed) == {"exam_scheduled_for": (planned, "s")}
    assert landed["stated_at"] is None
    assert landed.get("scheduled_minutes") is None
    frame_of("workflow", [landed])


@needs_shared
@pytest.mark.parametrize("truth", QUERIES, ids=lambda truth: truth["file"])
def test_a_query_is_no_entry(truth: dict[str, Any]) -> None:
    offered = offer((SHARED / truth["file"]).read_bytes(), truth["file"])
    assert offered.verdict is Verdict.NOT_APPLICABLE
    assert offered.reject is not None
    assert offered.reject.reason == "worklist-query"


@needs_shared
@pytest.mark.parametrize("number", [10, 8, 9])
def test_the_dump_and_the_file_of_an_entry_are_one_statement(number: int) -> None:
    dump, file = (
        SHARED / f"mwl/{name}" for name in (f"dcmtk__wklist{number}.dump", f"OrthancMirror__wklist{number}.wl")
    )
    assert offer(dump.read_bytes(), dump.name).digest == offer(file.read_bytes(), file.name).digest


EDGES = b"""# comment
(0008,0005) CS [ISO_IR 100]                             #  10, 1 SpecificCharacterSet
(0008,0016) UI =ModalityPerformedProcedureStepSOPClass  # a name of the dictionary
(0008,0050) SH plain # the comment
 (0010,0010) PN [A]B] # the last bracket ends it
(0010,0020) LO [abc] def ] # [y]
( 0010 , 0040 )\tCS\tF
(0032,1032) (no value available)
(0032,1060) LO EX#AM x
(0040,0243) [floor # 2]

(0040,0270) SQ (Sequence with explicit length #=1)
(fffe,e000) na (Item with explicit length #=1)
(0040,1001) SH RP
(0040,1001) SH again
(fffe,e00d) na
(fffe,e0dd) na
(0040,0252) CS [COMPLETED]
"""


@pytest.mark.skipif(shutil.which("dump2dcm") is None, reason="dcmtk is not installed (Debian: dcmtk)")
@pytest.mark.parametrize("name", ["edges", *(truth["file"] for truth in TRUTHS if truth["file"].endswith(".dump"))])
def test_a_dump_is_read_as_dump2dcm_reads_it(name: str, tmp_path: Path) -> None:
    source = tmp_path / "edges.dump" if name == "edges" else SHARED / name
    if name == "edges":
        source.write_bytes(EDGES)
    subprocess.run(["dump2dcm", "-q", str(source), str(tmp_path / "made.dcm")], check=True, timeout=20)
    theirs = pydicom.dcmread(tmp_path / "made.dcm", force=True)
    ours = dicom_file(read_dump(source.read_bytes(), []), [], Limits()).data

    def compare(mine: Any, other: Dataset) -> None:
        assert sorted(mine.elements) == sorted(int(element.tag) for element in other)
        for element in other:
            if element.VR == "SQ":
                for item, expected in zip(mine.items(int(element.tag)), element.value, strict=True):
                    compare(item, expected)
            else:
                values = element.value if isinstance(element.value, pydicom.multival.MultiValue) else [element.value]
                assert mine.text(int(element.tag)) == "\\".join("" if value is None else str(value) for value in values)

    compare(ours, theirs)


@pytest.mark.parametrize(("elements", "column", "expected"), [
    ({}, "visit", None),
    ({"AdmissionID": "V-1"}, "visit", KEY.pseudonym("visit", "V-1")),
    ({"PlacerOrderNumberImagingServiceRequest": "4711^RIS"}, "placer", KEY.pseudonym("order", "4711")),
    ({"FillerOrderNumberImagingServiceRequest": "F-1"}, "filler", KEY.pseudonym("order", "F-1")),
    ({"AccessionNumber": "a-1 "}, "accession", KEY.pseudonym("order", "A-1")),
    ({"AccessionNumber": "A" * 16}, "accession_cut", None),
    ({"AccessionNumber": "A" * 16 + "7"}, "accession_cut", KEY.pseudonym("order", "A" * 16)),
    ({"PatientName": "QA^Phantom"}, "not_patient", "*phantom*"),
    ({"CurrentPatientLocation": "ED^12"}, "department", "ED"),
    ({"RequestingService": "NEURO"}, "department", "NEURO"),
    ({"RequestingPhysician": "Roe^Rae"}, "referrer", KEY.pseudonym("person", "ROE^RAE")),
    ({"step_ScheduledProcedureStepStatus": "ARRIVED"}, "order_status", "ARRIVED"),
    ({"step_ScheduledStationName": "", "step_ScheduledProcedureStepLocation": "Room 2"}, "station", "Room 2"),
    ({"step_ScheduledStationAETitle": ["CT1", "CT2"]}, "ae_title", "CT1\\CT2"),
    ({"RequestedProcedureDescription": "", "step_ScheduledProcedureStepDescription": "Head"}, "procedure_text", "Head"),
    ({"InstitutionName": "West Clinic"}, "site", "WEST"),
    ({"step_ScheduledProcedureStepLocation": "west clinic"}, "site", "WEST"),
    ({"RequestedProcedureDescription": "Schädel"}, "procedure_text", "Schädel"),
    ({"PatientSex": "X"}, "sex", None),
    ({}, "birth_year", 1960),
])  # fmt: skip
def test_columns(elements: dict[str, Any], column: str, expected: Any, settings: Settings) -> None:
    assert row(content(entry(**elements)), context=Context(settings, KEY, NOW))[column] == expected


@pytest.mark.parametrize(("elements", "expected", "flag"), [
    ({}, {"exam_scheduled_for": ("2026-11-24T13:30:00", "s")}, None),
    ({"InstitutionName": "West Clinic"}, {"exam_scheduled_for": ("2026-11-24T19:30:00", "s")}, None),
    ({"TimezoneOffsetFromUTC": "+0200"}, {"exam_scheduled_for": ("2026-11-24T12:30:00", "s")}, None),
    ({"step_ScheduledProcedureStepStartTime": "1430"}, {"exam_scheduled_for": ("2026-11-24T13:30:00", "min")}, None),
    # A date alone is a plan for the day, not for midnight: its precision says so.
    ({"step_ScheduledProcedureStepStartTime": ""}, {"exam_scheduled_for": ("2026-11-23T23:00:00", "d")}, None),
    ({"step_ScheduledProcedureStepStartDate": ""}, {}, "(0040,0002): missing, when it is planned is unknown"),
    ({"step_ScheduledProcedureStepStartTime": "9x"}, {}, "(0040,0002): bad-time"),
    ({"step_ScheduledProcedureStepStartDate": "20261025", "step_ScheduledProcedureStepStartTime": "0230"},
     {"exam_scheduled_for": ("2026-10-25T00:30:00", "min")}, "(0040,0002): ambiguous-local-time"),
    # Arrived, and no field says when: the state is kept, no time is made up.
    ({"step_ScheduledProcedureStepStatus": "ARRIVED"}, {"exam_scheduled_for": ("2026-11-24T13:30:00", "s")}, None),
    ({"IssueDateOfImagingServiceRequest": "20261120", "IssueTimeOfImagingServiceRequest": "081500"},
     {"order_placed": ("2026-11-20T07:15:00", "s"), "exam_scheduled_for": ("2026-11-24T13:30:00", "s")}, None),
])  # fmt: skip
def test_times(
    elements: dict[str, Any], expected: dict[str, tuple[str, str]], flag: str | None, settings: Settings
) -> None:
    landed = row(content(entry(**elements)), context=Context(settings, KEY, NOW))
    given_times = {name: (f"{at:%Y-%m-%dT%H:%M:%S}", precision) for name, (at, precision) in events(landed).items()}
    assert given_times == expected
    assert flag is None or flag in landed["flags"]


def test_the_server_s_time_of_a_change_is_when_the_entry_states_it() -> None:
    changed = entry(step_ScheduledProcedureStepModificationDateTime="20261123120000+0100")
    assert row(content(changed))["stated_at"] == datetime(2026, 11, 23, 11, tzinfo=UTC)


def test_numbers_are_compared_as_the_matching_settings_say() -> None:
    matching = Matching(accession_scope="site", strip_prefixes=("RAD-",), strip_leading_zeros=True)
    context = Context(Settings(matching=matching), KEY, NOW)
    landed = row(content(entry(AccessionNumber="rad-0042")), context=context)
    assert landed["accession"] == KEY.pseudonym("order", "MAIN\x1f42")


def test_two_scheduled_steps_are_two_rows_of_one_statement() -> None:
    data = entry()
    second = deepcopy(data.ScheduledProcedureStepSequence[0])
    second.ScheduledProcedureStepID, second.ScheduledProcedureStepStartTime = "SPS-2", "150000"
    data.ScheduledProcedureStepSequence.append(second)
    offered = offer(content(data))
    assert [landed["position"] for landed in offered.rows["workflow"]] == ["step 1", "step 2"]
    hours = [events(landed)["exam_scheduled_for"][0].hour for landed in offered.rows["workflow"]]
    assert hours == [14, 15]


@pytest.mark.parametrize(("name", "meta", "expected"), [
    ("lists/OFFIS/wklist1.wl", {}, "OFFIS"),
    ("C:\\worklists\\CT_1\\a.wl", {}, "CT_1"),
    ("a.zip!OFFIS/a.wl", {}, "OFFIS"),
    ("inbox/a.wl", {}, "CT1AE"),
    ("OFFIS/a.wl", {"SourceApplicationEntityTitle": "RIS"}, "RIS"),
])  # fmt: skip
def test_which_worklist_it_is(name: str, meta: dict[str, str], expected: str) -> None:
    made = written(
        entry(), MediaStorageSOPClassUID="1.2.840.10008.5.1.4.31", MediaStorageSOPInstanceUID="1.2.9", **meta
    )
    assert row(made, name)["source_name"] == expected


def test_an_unchanged_entry_is_known_again_however_it_is_written() -> None:
    same = [
        offer(content(entry())),
        offer(content(entry(), ImplicitVRLittleEndian)),
        offer(meta_of(entry())),
        offer(json.dumps(entry().to_json_dict()).encode(), "entry.json"),
    ]
    # Implicit VR hides which elements are sequences, so its digest may differ, but never from one snapshot to the next.
    assert same[0].digest == same[2].digest == same[3].digest
    assert offer(content(entry(), ImplicitVRLittleEndian)).digest == same[1].digest
    moved = entry(step_ScheduledProcedureStepStartTime="150000")
    assert offer(content(moved)).digest != same[0].digest


def test_json_gives_the_row_of_the_file() -> None:
    for data in (entry(), entry(PatientName="Yamada^Tarou=山田^太郎", RequestedProcedureDescription="頭部")):
        one = json.dumps(data.to_json_dict()).encode()
        assert row(one, "entry.json") == row(content(data))
        two = offers(json.dumps([data.to_json_dict()] * 2).encode(), "entries.json")
        assert [(each.position, each.verdict) for each in two] == [
            ("data set 1", Verdict.ACCEPTED),
            ("data set 2", Verdict.ACCEPTED),
        ]


def test_two_dumps_in_one_file_are_two_entries() -> None:
    one = b"# Dicom-File-Format\n\n# Dicom-Data-Set\n(0008,0050) SH [A%d]\n(0040,0100) SQ\n(fffe,e000) -\n(fffe,e00d) -\n(fffe,e0dd) -\n"
    found = offers(one % 1 + one % 2, "two.dump")
    assert [each.position for each in found] == ["data set 1", "data set 2"]
    assert len({each.digest for each in found}) == 2


@pytest.mark.parametrize(("made", "reason", "words"), [
    (lambda: content(entry())[:-40], "truncated", "declares"),
    (lambda: content(entry(ScheduledProcedureStepSequence=[])), "missing-step", "(0040,0100)"),
    (lambda: b"(0008,0050) SH [A\n(0040,0100) SQ\n", "malformed", "line 1 has no closing bracket"),
    (lambda: b"(0008,0050) SH [A", "truncated", "line 1"),
    (lambda: b"(0008,0050) SH A\nhello\n", "malformed", "line 2 is neither"),
    (lambda: b"(0040,0100) SQ\n(0008,0060) CS CT\n", "malformed", "line 2"),
    (lambda: b"(0040,0100) SQ\n(fffe,e000) -\n(0008,0060) CS CT\n", "truncated", "inside a sequence"),
    (lambda: b"(0008,0060) CS CT\n(fffe,e00d) -\n", "malformed", "line 2"),
    (lambda: b"(0040,0100) SQ\n(fffe,e0dd) -\n" * 2, "malformed", "stands twice"),
    (lambda: b'{"00080050": {"vr": "SH", "Value": ["A"]}', "truncated", "line 1"),
    (lambda: b'{"00080050": {"vr": "SH", "Value": "A"}}', "malformed", "Value of 00080050 is no list"),
    (lambda: b'{"00080050": {"vr": "SH", "Value": [true]}}', "malformed", "00080050"),
    (lambda: b'[{"00080050": {"vr": "SH", "Value": ["A"]}}, 7]', "malformed", "no JSON object"),
    (lambda: b'{"00080050": {"vr": "SH"}, "x": ' + b"[" * 90_000, "malformed", "nested too deep"),
    (lambda: b'{"00400100": {"vr": "SQ", "Value": [' * 80 + b"{}" + b"]}}" * 80, "nesting-too-deep", "nested"),
])  # fmt: skip
def test_broken_entries_say_where_and_what_to_do(made: Callable[[], bytes], reason: str, words: str) -> None:
    offered = next(each for each in offers(made()) if each.verdict is not Verdict.NOT_APPLICABLE)
    assert offered.verdict is Verdict.REJECTED
    assert offered.source == "mwl"
    assert offered.reject is not None
    assert (offered.reject.reason, words in offered.reject.message) == (reason, True), offered.reject
    assert offered.reject.message.endswith(".")
    assert offered.reject.remedy.endswith(".")


def test_the_reject_of_a_cut_file_names_the_field() -> None:
    offered = offer(content(entry())[:-60])
    assert offered.reject is not None
    assert offered.reject.field == "(0040,0100)"


@pytest.mark.parametrize(("elements", "verdict"), [
    ({"step_ScheduledProcedureStepStartTime": "120000-"}, Verdict.NOT_APPLICABLE),
    ({"step_ScheduledProcedureStepStartDate": "20261124-20261125"}, Verdict.NOT_APPLICABLE),
    ({"PatientID": "AV*"}, Verdict.NOT_APPLICABLE),
    ({"AccessionNumber": "", "StudyInstanceUID": "", "RequestedProcedureID": "", "step_ScheduledProcedureStepID": ""},
     Verdict.ACCEPTED),
    ({"AccessionNumber": "", "StudyInstanceUID": "", "RequestedProcedureID": "", "step_ScheduledProcedureStepID": "",
      "step_ScheduledProcedureStepStartTime": ""}, Verdict.NOT_APPLICABLE),
])  # fmt: skip
def test_what_asks_is_told_from_what_answers(elements: dict[str, Any], verdict: Verdict) -> None:
    assert offer(content(entry(**elements))).verdict is verdict


def test_a_dump_of_an_image_lands_nothing() -> None:
    offered = offer(b"(0008,0016) UI [1.2.840.10008.5.1.4.1.1.2]\n(0008,0060) CS [CT]\n", "image.txt")
    assert (offered.verdict, offered.reject and offered.reject.reason) == (
        Verdict.NOT_APPLICABLE,
        "unsupported-sop-class",
    )


def test_a_text_beyond_the_limit_is_refused_unread() -> None:
    content = EDGES + b"#" * (1 << 20)
    context = Context(Settings(limits=Limits(max_message_mb=1)), KEY, NOW)
    offered = offer(content, "big.dump", context)
    assert offered.reject is not None
    assert offered.reject.reason == "too-large"


LEFT_AT = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
LEFT = {
    "site": "MAIN",
    "source_name": "RIS",
    **dict.fromkeys(LEFT_KEYS),
    "accession": KEY.pseudonym("order", "A-1"),
    "study_uid": "1.2.3",
}


def test_an_entry_that_left_is_a_statement_of_its_own() -> None:
    first, second = offers(left_file([LEFT, {**LEFT, "accession": None}], LEFT_AT), "left.json")
    (landed,) = first.rows["workflow"]
    assert landed["accession"] == KEY.pseudonym("order", "A-1")
    assert events(landed) == {"worklist_left": (LEFT_AT, "us")}
    assert landed["stated_at"] == LEFT_AT
    assert second.rows["workflow"][0]["study_uid"] == "1.2.3"
    assert first.digest != second.digest
    frame_of("workflow", [landed])


@pytest.mark.parametrize(("file", "verdicts"), [
    (left_file([LEFT], LEFT_AT)[:-10], [Verdict.REJECTED]),
    (left_file([LEFT], LEFT_AT).replace(b"left_at", b"left"), [Verdict.REJECTED]),
    (left_file([{**LEFT, "accession": "4711"}, LEFT], LEFT_AT), [Verdict.REJECTED, Verdict.ACCEPTED]),
    (left_file([{"site": "MAIN"}], LEFT_AT), [Verdict.REJECTED]),
])  # fmt: skip
def test_a_file_of_entries_that_left_is_believed_only_whole(file: bytes, verdicts: list[Verdict]) -> None:
    assert [each.verdict for each in offers(file, "left.json")] == verdicts


WHOLE = {
    "entry.wl": content(entry(PatientName="Secretname^Jane")),
    "entry.dump": EDGES.replace(b"plain", b"Secretname"),
    "entry.json": json.dumps(entry(PatientName="Secretname^Jane").to_json_dict()).encode(),
    "left.json": left_file([LEFT], LEFT_AT),
}


def sound(found: list[Offered]) -> None:
    for each in found:
        assert each.verdict in Verdict
        assert (each.reject is None) == (each.verdict is Verdict.ACCEPTED)
        if each.reject is not None:
            assert "Secretname" not in f"{each.reject} {each.source_name}"
        for landed in each.rows.get("workflow", ()):
            frame_of("workflow", [landed])


@given(content=st.binary(max_size=300), name=st.sampled_from(sorted(WHOLE)))
@hypothesis_settings(max_examples=150, deadline=None)
def test_any_bytes_get_a_verdict(content: bytes, name: str) -> None:
    sound(offers(content, name))
    sound(offers(b"(0008,0050) SH " + content, name))
    sound(offers(b'{"00080050": {' + content, name))


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_a_file_cut_anywhere_gets_a_verdict(name: str) -> None:
    whole = WHOLE[name]
    for length in range(1, len(whole), 3):
        sound(offers(whole[:length], name))


@given(name=st.sampled_from(sorted(WHOLE)), data=st.data())
@hypothesis_settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_file_with_a_changed_byte_gets_a_verdict(name: str, data: st.DataObject) -> None:
    changed = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    sound(offers(bytes(changed), name))


@pytest.mark.parametrize(("head", "claimed"), [
    (b"\n" * 4000, False),
    (b" " * 4000, False),
    (b"# only a comment\n", False),
    (b"# worklist\n\n  (0008,0050) SH A\n", True),
    (b"(0008,0050)\n", True),
    (b"(0008,0050", False),
    (b"patient;study\n", False),
    (b"MSH|^~\\&|", False),
])  # fmt: skip
def test_what_looks_like_a_dump(head: bytes, claimed: bool) -> None:
    assert is_dump(head) is claimed
