"""Every shared FHIR file against its truths, which another program took from the files."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from etl.reading import frame_of
from etl.sources.contract import Context, Input, Offered, Verdict
from etl.sources.fhir.reader import HANDLERS, READER
from settings import Settings
from state.identity import Pseudonymiser

FHIR = Path(__file__).resolve().parents[3] / "shared" / "data" / "workflow"
ENTRIES: dict[str, dict[str, Any]] = (
    {
        Path(entry["file"]).name: entry["truths"]
        for entry in json.loads((FHIR / "manifest.json").read_text())["files"]
        if entry["file"].startswith("fhir/")
    }
    if FHIR.is_dir()
    else {}
)
NAMES = sorted(name for name, truths in ENTRIES.items() if "resources" in truths)
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)

TIMES = {
    "exam_started": ("performedPeriod.start", "performedDateTime", "started"),
    "exam_completed": ("performedPeriod.end",),
    "report_final": ("issued",),
    "order_placed": ("authoredOn",),
}
"""Event to the truths that give its time."""


@pytest.fixture(scope="module")
def context() -> Context:
    return Context(Settings(), Pseudonymiser(b"k" * 32))


def read(name: str, context: Context) -> list[Offered]:
    path = FHIR / "fhir" / name
    source = Input(name, path.stat().st_size, lambda: path.open("rb"))
    assert READER.claims(source.head(), name, context.settings)
    return list(READER.read(source, context))


def ids_by_position(name: str) -> dict[str, str]:
    whole = json.loads((FHIR / "fhir" / name).read_text("utf-8-sig"))
    if whole["resourceType"] != "Bundle":
        return {"": whole["id"]}
    return {f"entry {n}": entry["resource"]["id"] for n, entry in enumerate(whole["entry"], 1)}


def value_of(truth: dict[str, Any], path: str) -> str | None:
    node: Any = truth
    for part in path.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node


@pytest.mark.usefixtures("shared_data")
def test_there_are_truths_of_all_24_files() -> None:
    assert len(ENTRIES) == 24
    assert set(ENTRIES) - set(NAMES) == {"v2-to-fhir__FHIR_bundle.hl7_MDM_T02.json"}


@pytest.mark.parametrize("name", NAMES)
def test_each_resource_is_counted_once_under_its_type(name: str, context: Context) -> None:
    counted: Counter[str] = Counter()
    for offered in read(name, context):
        if offered.verdict is Verdict.ACCEPTED:
            counted[next(rows[0]["message_type"] for rows in offered.rows.values())] += 1
        else:
            assert offered.reject is not None
            assert offered.reject.reason == "resource-type"
            counted[offered.reject.message.split("(")[1].split(")")[0]] += 1
    assert counted == Counter(ENTRIES[name]["resources"])


@pytest.mark.parametrize("name", NAMES)
def test_rows_have_the_columns_of_the_landing_tables(name: str, context: Context) -> None:
    for offered in read(name, context):
        for table, rows in offered.rows.items():
            assert frame_of(table, rows).height == len(rows)


@pytest.mark.parametrize("name", [name for name in NAMES if ENTRIES[name]["truths"]])
def test_status_times_codes_and_numbers_are_those_of_the_file(name: str, context: Context) -> None:
    ids = ids_by_position(name)
    by_id = {
        (o.rows["workflow"][0]["message_type"], ids[o.position]): o for o in read(name, context) if "workflow" in o.rows
    }
    checked = 0
    for truth in ENTRIES[name]["truths"]:
        if truth["r"] not in HANDLERS:
            continue
        offered = by_id.pop((truth["r"], truth["id"]))
        row = offered.rows["workflow"][0]
        assert row["order_status"] == truth["status"]
        assert_times(truth, row)
        codes = {code for _, code in truth.get("code", [])}
        assert codes >= {code for code in (row.get("procedure_code"), row.get("standard_code")) if code}
        assert bool(codes) == bool(row.get("procedure_code"))
        if truth["r"] == "ImagingStudy":
            assert [f"urn:oid:{row['study_uid']}"] == truth["identifier"]
            assert row["modality"] == truth["series"][0][1]
            assert row["imaging"] is True
        checked += 1
    assert checked


def assert_times(truth: dict[str, Any], row: dict[str, Any]) -> None:
    found = {event["event"]: event for event in row["events"]}
    for event, paths in TIMES.items():
        text = next((value for path in paths if (value := value_of(truth, path))), None)
        if event == "report_final" and truth["status"] != "final":
            continue
        if text is None:
            assert event not in found
            continue
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)  # the site of these settings is in UTC
        if at < EARLIEST:
            assert event not in found
            assert any(flag.endswith("implausible-time") for flag in row["flags"])
        elif len(text) == 10 and event.startswith("exam_"):
            assert event not in found
        else:
            assert abs(found[event]["at"] - at) < timedelta(microseconds=1)
            assert found[event]["precision"] == ("d" if len(text) == 10 else "us" if "." in text else "s")


@pytest.mark.usefixtures("shared_data")
def test_xml_under_a_json_name_is_refused_with_what_to_ask_for(context: Context) -> None:
    [offered] = read("v2-to-fhir__FHIR_bundle.hl7_MDM_T02.json", context)
    assert offered.verdict is Verdict.REJECTED
    assert offered.reject is not None
    assert offered.reject.reason == "xml-encoding"
    assert "application/fhir+json" in offered.reject.remedy


@pytest.mark.usefixtures("shared_data")
def test_a_chest_report_is_imaging_and_a_blood_count_is_not(context: Context) -> None:
    said = {}
    for name in NAMES:
        if name.startswith("US-Core"):
            [offered] = read(name, context)
            said[name] = offered.rows["workflow"][0].get("imaging")
    assert [name for name, imaging in said.items() if imaging] == [
        "US-Core__DiagnosticReport-bone-density-report.json",
        "US-Core__DiagnosticReport-chest-xray-report.json",
        "US-Core__servicerequest-chest-xray.json",
    ]
    assert said["US-Core__diagnosticreport-cbc.json"] is False


@pytest.mark.usefixtures("shared_data")
def test_the_emergency_visit_of_an_adt_message_in_fhir_has_its_door_time(context: Context) -> None:
    offered = read("v2-to-fhir__FHIR_bundle.hl7_ADT_A01.json", context)
    [visit] = [one for one in offered if "workflow" in one.rows]
    assert [row["patient_class"] for row in visit.rows["workflow"]] == ["EMER", "EMER"]
    [event] = visit.rows["workflow"][0]["events"]
    assert (event["event"], event["at"].date().isoformat(), event["precision"]) == (
        "emergency_arrival",
        "2015-06-01",
        "d",
    )
    expected = context.pseudonymiser.pseudonym("visit", "81456267")
    assert expected in {row["visit"] for row in visit.rows["workflow"]}
    [patient] = [one.rows["patient"][0] for one in offered if "patient" in one.rows]
    assert patient["patient"] == context.pseudonymiser.pseudonym("patient", "1032702")
    assert patient["sex"] == "F"
    assert patient["birth_year"] == 1970  # written as 1970-06-01T09:12, which is no date of FHIR
