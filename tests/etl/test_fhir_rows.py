"""FHIR resources to landing rows: which element gives which time, number and column, and how resources meet."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from etl.lake.schema import polars_schema
from etl.reading import frame_of
from etl.sources.contract import Context, Input, Offered, Verdict
from etl.sources.fhir.reader import READER
from etl.star.matching import match
from settings import FhirSource, Limits, Settings, Site
from state.identity import Pseudonymiser

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
KEY = Pseudonymiser(b"k" * 32)
EMR = FhirSource(kind="fhir", name="emr", url="https://emr.example/r4/", site="WEST", accession_systems=("urn:acc",))
SETTINGS = Settings(
    sites=(
        Site(code="NORTH", name="North", time_zone="Europe/Berlin", aliases=("North Hospital",)),
        Site(code="WEST", name="West", time_zone="America/New_York"),
    ),
    sources=(EMR,),
)
PATIENT = {"reference": "Patient/p1", "display": "Jane Doe"}
RADIOLOGY = [{"coding": [{"system": "http://loinc.org", "code": "LP29684-5"}]}]


def resource(kind: str, number: str = "1", **more: Any) -> dict[str, Any]:
    about = "participant" if kind == "Appointment" else "subject"
    who: Any = [{"actor": PATIENT}] if kind == "Appointment" else PATIENT
    shared = (
        {"resourceType": kind, "id": number, about: who} if kind != "Patient" else {"resourceType": kind, "id": number}
    )
    return {**shared, **more}


def request(number: str = "1", **more: Any) -> dict[str, Any]:
    return resource("ServiceRequest", number, **{"status": "active", "intent": "order", **more})


def typed(kind: str, value: str) -> dict[str, Any]:
    return {
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": kind}]},
        "value": value,
    }


def bundle(*resources: dict[str, Any], base: str = "") -> dict[str, Any]:
    entries = [
        {"resource": one, **({"fullUrl": f"{base}/{one['resourceType']}/{one['id']}"} if base else {})}
        for one in resources
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def read(*texts: Any, name: str = "x.json", settings: Settings = SETTINGS) -> list[Offered]:
    data = b"\n".join(text if isinstance(text, bytes) else json.dumps(text).encode() for text in texts)
    source = Input(name, len(data), lambda: io.BytesIO(data))
    return list(READER.read(source, Context(settings, KEY, NOW)))


def row_of(one: dict[str, Any], table: str = "workflow", **more: Any) -> dict[str, Any]:
    [offered] = read(one, **more)
    assert offered.verdict is Verdict.ACCEPTED, offered.reject
    return offered.rows[table][0]


def order(text: str) -> str | None:
    return KEY.pseudonym("order", text)


AT = "2026-03-02T10:30:00+01:00"
CHANGED = {"meta": {"lastUpdated": "2026-03-02T11:00:00Z"}}


@pytest.mark.parametrize(
    ("kind", "elements", "expected"),
    [
        ("ServiceRequest", {"status": "active", "intent": "order", "authoredOn": AT}, [("order_placed", "09:30")]),
        ("ServiceRequest", {"status": "draft", "intent": "order", "authoredOn": AT}, []),
        ("ServiceRequest", {"status": "revoked", **CHANGED}, [("order_cancelled", "11:00")]),
        ("ServiceRequest", {"status": "entered-in-error", **CHANGED}, [("order_cancelled", "11:00")]),
        ("Appointment", {"status": "booked", "created": AT, "start": "2026-03-02T15:00:00Z"}, [("scheduling_done", "09:30"), ("exam_scheduled_for", "15:00")]),
        ("Appointment", {"status": "proposed", "created": AT, "start": AT}, []),
        ("Appointment", {"status": "arrived", **CHANGED}, [("patient_arrived", "11:00")]),
        ("Appointment", {"status": "checked-in", **CHANGED}, [("patient_arrived", "11:00")]),
        ("Appointment", {"status": "noshow", **CHANGED}, [("patient_no_show", "11:00")]),
        ("Appointment", {"status": "cancelled", **CHANGED}, [("order_cancelled", "11:00")]),
        ("ImagingStudy", {"status": "available", "started": AT}, [("exam_started", "09:30")]),
        ("ImagingStudy", {"status": "available", **CHANGED}, [("images_stored", "11:00")]),
        ("ImagingStudy", {"status": "registered", "series": [{"started": AT}]}, [("exam_started", "09:30")]),
        ("Procedure", {"status": "completed", "performedPeriod": {"start": AT, "end": "2026-03-02T10:00:00Z"}}, [("exam_started", "09:30"), ("exam_completed", "10:00")]),
        ("Procedure", {"status": "in-progress", "performedPeriod": {"start": AT}}, [("exam_started", "09:30")]),
        ("Procedure", {"status": "stopped", "performedPeriod": {"start": AT, "end": "2026-03-02T10:00:00Z"}}, [("exam_started", "09:30"), ("exam_discontinued", "10:00")]),
        ("Procedure", {"status": "not-done", **CHANGED}, [("exam_discontinued", "11:00")]),
        ("Procedure", {"status": "preparation", "performedDateTime": AT}, []),
        ("DiagnosticReport", {"status": "partial", "issued": AT}, [("report_dictated", "09:30")]),
        ("DiagnosticReport", {"status": "preliminary", "issued": AT}, [("report_preliminary", "09:30")]),
        ("DiagnosticReport", {"status": "final", "issued": AT}, [("report_final", "09:30")]),
        ("DiagnosticReport", {"status": "final", **CHANGED}, [("report_final", "11:00")]),
        ("DiagnosticReport", {"status": "final", "effectiveDateTime": AT}, []),
        ("DiagnosticReport", {"status": "corrected", "issued": AT}, [("report_corrected", "09:30")]),
        ("DiagnosticReport", {"status": "amended", "issued": AT}, [("report_corrected", "09:30")]),
        ("DiagnosticReport", {"status": "appended", "issued": AT}, [("report_addendum", "09:30")]),
        ("DiagnosticReport", {"status": "cancelled", **CHANGED}, [("order_cancelled", "11:00")]),
        ("DiagnosticReport", {"status": "entered-in-error", "issued": AT}, []),
        ("ChargeItem", {"status": "billed", "occurrenceDateTime": AT}, [("charge_posted", "09:30")]),
        ("ChargeItem", {"status": "billable", "occurrencePeriod": {"start": AT}}, [("charge_posted", "09:30")]),
        ("Communication", {"status": "completed", "sent": AT, "about": [{"reference": "DiagnosticReport/r"}]}, [("result_communicated", "09:30")]),
        ("Encounter", {"status": "finished", "class": {"code": "EMER"}, "period": {"start": AT}}, [("emergency_arrival", "09:30")]),
        ("Encounter", {"status": "planned", "class": {"code": "EMER"}, "period": {"start": AT}}, []),
        ("Encounter", {"status": "finished", "class": {"code": "IMP"}, "classHistory": [{"class": {"code": "EMER"}, "period": {"start": AT}}]}, [("emergency_arrival", "09:30")]),
        ("Encounter", {"status": "finished", "class": {"code": "IMP"}, "period": {"start": AT}}, []),
        ("Encounter", {"status": "finished", "class": {"code": "AMB"}, "statusHistory": [{"status": "arrived", "period": {"start": AT}}]}, [("patient_arrived", "09:30")]),
    ],
)  # fmt: skip
def test_each_status_gives_the_times_that_it_tells_of(
    kind: str, elements: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    row = row_of(resource(kind, **elements))
    assert [(one["event"], one["at"].strftime("%H:%M")) for one in row["events"]] == expected
    assert all(one["field"].startswith(f"{kind}.") for one in row["events"])


@pytest.mark.parametrize(
    ("text", "at", "precision", "flag"),
    [
        ("2026", "2025-12-31T23:00:00", "year", None),
        ("2026-03", "2026-02-28T23:00:00", "month", None),
        ("2026-03-02", "2026-03-01T23:00:00", "d", None),
        ("2026-03-02T10:30:00Z", "2026-03-02T10:30:00", "s", None),
        ("2026-03-02T10:30:00.25+01:00", "2026-03-02T09:30:00.250000", "us", None),
        ("2026-03-02T10:30:00.1234567-05:30", "2026-03-02T16:00:00.123456", "us", None),
        ("2026-03-02T10:30:00", "2026-03-02T09:30:00", "s", "no offset, the site's zone was taken"),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00", "s", "ambiguous-local-time"),
        ("1954-03-02T10:30:00Z", None, None, "implausible-time"),
        ("2026-02-30", None, None, "bad-time"),
        ("2026-03-02T10:30:00+15:00", None, None, "bad-time"),
        ("02.03.2026", None, None, "bad-time"),
    ],
)
def test_times_keep_their_precision_and_offset(
    text: str, at: str | None, precision: str | None, flag: str | None
) -> None:
    row = row_of(request(authoredOn=text, performer=[{"display": "North Hospital"}]))
    events = [(one["at"].replace(tzinfo=None).isoformat(), one["precision"]) for one in row["events"]]
    assert events == ([(at, precision)] if at else [])
    assert flag is None or f"ServiceRequest.authoredOn: {flag}" in row["flags"]


def test_a_date_alone_is_no_start_or_end_of_an_exam() -> None:
    row = row_of(
        resource("Procedure", status="completed", performedPeriod={"start": "2026-03-02", "end": "2026-03-02"})
    )
    assert row["events"] == []
    assert any("a date alone" in flag for flag in row["flags"])


def test_a_cancellation_without_its_own_time_holds_by_the_day() -> None:
    [event] = [
        one for one in row_of(request(status="revoked", authoredOn=AT))["events"] if one["event"] == "order_cancelled"
    ]
    assert event["precision"] == "d"


def test_an_unknown_status_keeps_the_row_and_moves_nothing() -> None:
    row = row_of(resource("DiagnosticReport", status="signed", issued=AT, category=RADIOLOGY))
    assert row["events"] == []
    assert row["order_status"] == "signed"
    assert "DiagnosticReport.status: not in its value set" in row["flags"]


def test_the_order_row_has_what_the_request_says() -> None:
    row = row_of(
        request(
            "sr1",
            authoredOn=AT,
            priority="stat",
            category=[{"coding": [{"system": "http://snomed.info/sct", "code": "363679005"}]}],
            code={
                "coding": [
                    {"system": "http://snomed.info/sct", "code": "169069000"},
                    {"system": "http://loinc.org", "code": "24627-2"},
                    {"system": "http://hospital.example/codes", "code": "CTCH"},
                ],
                "text": "CT chest",
            },
            orderDetail=[{"coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}]}],
            bodySite=[{"text": "Chest"}],
            identifier=[typed("PLAC", "PL7"), typed("FILL", "F7"), typed("ACSN", "A 7")],
            encounter={"reference": "Encounter/e1"},
            requester={"reference": "Practitioner/d1", "display": "Dr Roe"},
        )
    )
    expected = {
        "source": "fhir", "message_type": "ServiceRequest", "order_status": "active", "imaging": True, "priority": "stat",
        "procedure_code": "CTCH", "procedure_scheme": "http://hospital.example/codes", "procedure_text": "CT chest",
        "standard_code": "24627-2", "standard_scheme": "LN", "modality": "CT", "body_part": "Chest",
        "placer": order("PL7"), "filler": order("F7"), "accession": order("A 7"), "accession_cut": None,
        "visit": KEY.pseudonym("visit", "Encounter/e1"), "patient": KEY.pseudonym("patient", "Patient/p1"),
        "referrer": KEY.pseudonym("person", "Practitioner/d1"),
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


def test_a_long_accession_number_has_its_first_16_characters_beside_it() -> None:
    row = row_of(request(identifier=[typed("ACSN", "ACC-2026-0000000042")]))
    assert row["accession"] == order("ACC-2026-0000000042")
    assert row["accession_cut"] == order("ACC-2026-0000000")


def test_accession_numbers_may_be_told_by_their_system() -> None:
    row = row_of(request(identifier=[{"system": "urn:other", "value": "X"}, {"system": "urn:acc", "value": "A9"}]))
    assert row["accession"] == order("A9")


def test_the_appointment_row_has_slot_station_and_reason() -> None:
    row = row_of(
        resource(
            "Appointment",
            "a1",
            status="cancelled",
            start="2026-03-02T15:00:00Z",
            end="2026-03-02T15:45:00Z",
            participant=[{"actor": {"reference": "Location/1", "display": "CT 2"}}, {"actor": PATIENT}],
            cancelationReason={"coding": [{"code": "pat", "display": "Patient"}], "text": "Ill"},
            basedOn=[{"reference": "ServiceRequest/sr1"}],
        )
    )
    expected = {
        "scheduled_minutes": 45.0, "station": "CT 2", "reason_code": "pat", "reason_text": "Ill",
        "patient": KEY.pseudonym("patient", "Patient/p1"), "appointment": order("Appointment/a1"),
        "filler": order("ServiceRequest/sr1"),
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert row_of(resource("Appointment", status="booked", minutesDuration=20))["scheduled_minutes"] == 20


def test_a_pet_ct_study_is_pet_and_objects_of_software_are_no_modality() -> None:
    codes = [{"code": code} for code in ("SR", "CT", "PT")]
    row = row_of(
        resource(
            "ImagingStudy",
            status="available",
            modality=codes,
            identifier=[{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3.4"}],
        )
    )
    assert (row["modality"], row["study_uid"]) == ("PT", "1.2.3.4")
    assert row_of(resource("ImagingStudy", status="available", modality=[{"code": "SR"}]))["modality"] is None


def test_amounts_are_exact_and_a_touched_charge_counts_once() -> None:
    def text(status: str, amount: str, version: str) -> bytes:
        services = [{"reference": "ServiceRequest/1"}, {"reference": "ServiceRequest/2"}]
        meta = {"lastUpdated": f"2026-03-0{version}T00:00:00Z"}
        charge = resource(
            "ChargeItem", "c1", status=status, meta=meta, occurrenceDateTime="2026-03-02", service=services
        )
        charge |= {"code": {"coding": [{"code": "71250"}]}, "priceOverride": {"value": "AMOUNT"}}
        return json.dumps(charge).replace('"AMOUNT"', amount).encode()

    [first] = read(text("billable", "12345678901.10", "2"))
    [row] = first.rows["workflow"]
    assert row["charge_amount"] == Decimal("12345678901.10")
    assert (row["charge_code"], row["charge_kind"]) == ("71250", "CG")
    [again] = read(text("billed", "12345678901.10", "3"))
    assert again.digest == first.digest
    [taken_back] = read(text("entered-in-error", "12345678901.10", "4"))
    assert taken_back.digest != first.digest
    assert taken_back.rows["workflow"][0]["charge_kind"] == "CR"
    [planned] = read(text("planned", "1", "2"))
    assert planned.verdict is Verdict.NOT_APPLICABLE
    assert row_of(json.loads(text("billed", "1000000000000000", "2")))["charge_amount"] is None


@pytest.mark.parametrize(
    ("elements", "imaging"),
    [
        ({"category": RADIOLOGY}, True),
        ({"category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}]}, True),
        ({"category": [{"coding": [{"code": "imaging"}]}]}, True),
        ({"category": [{"coding": [{"system": "http://loinc.org", "code": "LP7839-6"}]}]}, False),
        ({"category": [{"coding": [{"system": "urn:oid:1.2.3", "code": "RX"}]}]}, False),
        ({"category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "LAB"}]}]}, False),
        ({"code": {"coding": [{"system": "http://www.radlex.org", "code": "RPID16"}]}}, True),
        ({"identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}]}, True),
        ({}, False),
        ({"basedOn": [{"reference": "ServiceRequest/1"}]}, None),
        ({"category": [{"coding": [{"system": "http://snomed.info/sct", "code": "103693007"}]}], "basedOn": [{"reference": "ServiceRequest/1"}]}, None),
    ],
)  # fmt: skip
def test_a_report_is_imaging_where_it_says_so(elements: dict[str, Any], imaging: bool | None) -> None:
    assert row_of(resource("DiagnosticReport", status="final", **elements))["imaging"] is imaging


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (request(intent="proposal"), "no-order"),
        (resource("Communication", status="completed", sent=AT), "no-exam"),
        (resource("Observation"), "resource-type"),
        ({"resourceType": "Bundle", "type": "searchset"}, "empty-bundle"),
        ({"name": "no FHIR"}, "unknown-kind"),
    ],
)
def test_what_says_nothing_about_an_exam_is_counted_with_the_reason(one: dict[str, Any], reason: str) -> None:
    [offered] = read(one)
    assert offered.verdict is Verdict.NOT_APPLICABLE
    assert offered.reject is not None
    assert offered.reject.reason == reason


# -- patients ------------------------------------------------------------------------------------------------------------


def test_a_patient_row_joins_the_resource_with_its_record_number() -> None:
    row = row_of(
        resource(
            "Patient",
            "p1",
            gender="female",
            birthDate="1960-01-02",
            name=[{"family": "Doe", "given": ["Jane", "A"]}],
            identifier=[typed("SS", "123"), typed("MR", "M1")],
        ),
        "patient",
    )
    expected = {
        "patient": KEY.pseudonym("patient", "M1"), "merged": KEY.pseudonym("patient", "Patient/p1"), "sex": "F",
        "birth_year": 1960, "not_patient": None, "message_type": "Patient",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(("kind", "survivor", "ended"), [("replaced-by", "p2", "M1"), ("replaces", "M1", "p2")])
def test_links_end_an_identity(kind: str, survivor: str, ended: str) -> None:
    link = [
        {"type": kind, "other": {"reference": "Patient/p2"}},
        {"type": "seealso", "other": {"reference": "Patient/p3"}},
    ]
    [offered] = read(resource("Patient", "p1", identifier=[typed("MR", "M1")], link=link))
    [_, row] = offered.rows["patient"]
    names = {
        name: KEY.pseudonym("patient", f"Patient/{name}" if name.startswith("p") else name)
        for name in (survivor, ended)
    }
    assert (row["patient"], row["merged"]) == (names[survivor], names[ended])


@pytest.mark.parametrize(
    "elements", [{"name": [{"text": "CT Phantom"}]}, {"name": [{"family": "TEST", "given": ["A"]}]}, {"id": "qa17"}]
)
def test_phantoms_and_tests_are_known_by_name_and_number(elements: dict[str, Any]) -> None:
    assert row_of({**resource("Patient"), **elements}, "patient")["not_patient"]


def test_pseudonyms_alone_leave_the_reader() -> None:
    secrets = ("Doe", "M1", "Patient/p1", "A7", "PL7", "V9", "Roe", "sr-secret")
    [*offered] = read(
        resource("Patient", "p1", identifier=[typed("MR", "M1")], name=[{"family": "Doe"}]),
        request(
            "sr-secret",
            identifier=[typed("ACSN", "A7"), typed("PLAC", "PL7")],
            authoredOn="bad",
            encounter={"identifier": typed("VN", "V9")},
            requester={"display": "Roe"},
        ),
    )
    told = repr([(one.rows, one.reject, one.position, one.source_name) for one in offered])
    assert not [secret for secret in secrets if secret in told]


# -- how resources meet --------------------------------------------------------------------------------------------------


def exams(*offered: Offered, series: list[dict[str, Any]] | None = None) -> dict[str, set[int]]:
    """Exam keys by message type, and of images."""
    rows = [row for one in offered for row in one.rows.get("workflow", [])]
    for number, row in enumerate(rows):
        row["digest"] = f"w{number}"
    workflow = frame_of("workflow", rows)
    images = (
        frame_of("series", [{**one, "digest": f"s{n}"} for n, one in enumerate(series or [])])
        if series
        else pl.DataFrame(schema=polars_schema("series"))
    )
    none = (pl.DataFrame(schema=polars_schema(table)) for table in ("irradiation_event", "dose_report"))
    matches = match(workflow, images, *none, 0)
    types = workflow.select("digest", "message_type")
    found: dict[str, set[int]] = {}
    for kind, key in matches.workflow.join(types, on="digest").select("message_type", "exam_key").iter_rows():
        found.setdefault(kind, set()).add(key)
    if series:
        found["images"] = set(matches.imaging["exam_key"])
    return found


REPORT = resource("DiagnosticReport", "r", status="final", basedOn=[{"reference": "ServiceRequest/1"}])
STUDY = resource(
    "ImagingStudy", "s", status="available", basedOn=[{"reference": "ServiceRequest/1/_history/3"}],
    identifier=[{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}],
)  # fmt: skip
DONE = resource("Procedure", "d", status="completed", basedOn=[{"reference": "ServiceRequest/1"}])
SLOT = resource("Appointment", "a", status="booked", basedOn=[{"reference": "ServiceRequest/1"}])
CHARGE = resource("ChargeItem", "c", status="billed", service=[{"reference": "ServiceRequest/1"}])
CALL = resource("Communication", "m", status="completed", sent=AT, about=[{"reference": "DiagnosticReport/r"}])


@pytest.mark.parametrize(
    "identifiers",
    [[], [typed("ACSN", "A1")], [typed("FILL", "F1")], [typed("PLAC", "P1")], [typed("ACSN", "A1"), typed("FILL", "F1"), typed("PLAC", "P1")]],
)  # fmt: skip
def test_all_that_names_one_request_is_one_exam(identifiers: list[dict[str, Any]]) -> None:
    offered = read(bundle(request("1", identifier=identifiers), REPORT, STUDY, DONE, SLOT, CHARGE, CALL))
    found = exams(*offered, series=[{"study_uid": "1.2.3"}])
    assert set(found) == {
        "ServiceRequest", "DiagnosticReport", "ImagingStudy", "Procedure", "Appointment", "ChargeItem", "Communication", "images",
    }  # fmt: skip
    assert len(set().union(*found.values())) == 1, found


def test_a_further_name_of_an_exam_repeats_no_event() -> None:
    [offered] = read(request("1", authoredOn=AT, identifier=[typed("FILL", "F1")]))
    assert [(row["filler"], len(row["events"])) for row in offered.rows["workflow"]] == [
        (order("F1"), 1), (order("ServiceRequest/1"), 0),
    ]  # fmt: skip


def test_images_with_the_accession_number_of_the_request_join_its_reports() -> None:
    offered = read(bundle(request("1", identifier=[typed("FILL", "F1")]), REPORT))
    found = exams(*offered, series=[{"study_uid": "9.9", "accession": order("F1"), "accessions": [order("F1")]}])
    assert len(set().union(*found.values())) == 1


def test_resources_meet_across_files_and_forms_of_references() -> None:
    number = "ABCDEF01-0000-4000-8000-000000000001"
    forms = [
        number,
        f"https://a.example/fhir/ServiceRequest/{number}",
        f"urn:uuid:{number.lower()}",
        f"ServiceRequest/{number}",
    ]
    offered = read(request(number))
    for text in forms[1:]:
        offered += read({**REPORT, "basedOn": [{"reference": text}]})
    assert len(set().union(*exams(*offered).values())) == 1


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("https://a.example/fhir", "https://a.example/fhir", True),
        ("https://a.example/fhir", "https://b.example/fhir", False),
        ("", "", True),
    ],
)
def test_ids_that_are_no_uuid_belong_to_their_server(one: str, other: str, is_same: bool) -> None:
    offered = read(bundle(request("1"), base=one)) + read(bundle(REPORT, base=other))
    assert (len(set().union(*exams(*offered).values())) == 1) is is_same


def test_pulled_files_take_base_and_site_of_their_source() -> None:
    offered = read(bundle(request("1"), base="http://inside:8080/fhir"), name="spool/emr.ServiceRequest-000001.json")
    offered += read(REPORT, name="emr:emr.DiagnosticReport-000001.ndjson")
    rows = [one.rows["workflow"][0] for one in offered]
    assert {row["filler"] for row in rows} == {order("https://emr.example/r4/ServiceRequest/1")}
    assert {(row["site"], row["source_name"]) for row in rows} == {("WEST", "emr")}
    elsewhere = {"reference": "http://inside:8080/fhir/ServiceRequest/1"}
    [named] = read(bundle({**REPORT, "basedOn": [elsewhere]}, base="http://inside:8080/fhir"), name="emr.x.json")
    assert named.rows["workflow"][0]["filler"] == rows[0]["filler"]


def test_one_report_for_two_requests_speaks_of_both_exams() -> None:
    both = {**REPORT, "basedOn": [{"reference": "ServiceRequest/1"}, {"reference": "ServiceRequest/2"}]}
    found = exams(*read(bundle(request("1"), request("2"), both)))
    assert len(found["ServiceRequest"]) == 2
    assert found["DiagnosticReport"] == found["ServiceRequest"]


def test_contained_and_logical_references_give_their_numbers() -> None:
    held = {
        **REPORT,
        "contained": [{**request("x"), "identifier": [typed("ACSN", "A1")]}],
        "basedOn": [{"reference": "#x"}],
    }
    logical = {**REPORT, "basedOn": [{"type": "ServiceRequest", "identifier": typed("ACSN", "A1")}]}
    for one in (held, logical):
        row = row_of(one)
        assert (row["accession"], row["filler"]) == (order("A1"), None)


def test_an_encounter_is_found_by_its_number_and_by_its_name() -> None:
    [offered] = read(resource("Encounter", "e1", status="finished", identifier=[typed("VN", "V9")]))
    assert {row["visit"] for row in offered.rows["workflow"]} == {
        KEY.pseudonym("visit", "Encounter/e1"), KEY.pseudonym("visit", "V9"),
    }  # fmt: skip
    assert {row.get("filler") for row in offered.rows["workflow"]} == {None}


# -- what is one statement -----------------------------------------------------------------------------------------------


def test_an_unchanged_resource_is_a_duplicate_in_any_form() -> None:
    one = request("1", authoredOn=AT, meta={"lastUpdated": AT, "versionId": "1"})
    shuffled = dict(reversed(one.items())) | {"meta": {"versionId": "7", "lastUpdated": AT}, "text": {"div": "new"}}
    digests = {
        read(one)[0].digest,
        read(json.dumps(shuffled, indent=2).encode())[0].digest,
        read(bundle(one))[0].digest,
        read(one, one, name="x.ndjson")[1].digest,
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    "change", [{"status": "revoked"}, {"meta": {"lastUpdated": "2026-03-03T00:00:00Z"}}, {"priority": "stat"}]
)
def test_a_changed_resource_is_a_new_statement(change: dict[str, Any]) -> None:
    one = request("1", authoredOn=AT, meta={"lastUpdated": AT})
    assert read(one)[0].digest != read({**one, **change})[0].digest


# -- files ---------------------------------------------------------------------------------------------------------------

THREE = [request("1"), resource("Observation", "2"), request("3")]


@pytest.mark.parametrize(
    ("name", "data", "positions"),
    [
        ("x.ndjson", b"\n".join(json.dumps(one).encode() for one in THREE), ["line 1", "line 2", "line 3"]),
        ("x.ndjson", b"\xef\xbb\xbf" + b"\r\n\r\n".join(json.dumps(one).encode() for one in THREE) + b"\r\n", ["line 1", "line 3", "line 5"]),
        ("export", b"\n".join(json.dumps(one).encode() for one in THREE), ["line 1", "line 2", "line 3"]),
        ("x.ndjson.gz", gzip.compress(b"\n".join(json.dumps(one).encode() for one in THREE)), ["line 1", "line 2", "line 3"]),
        ("x.json", json.dumps(bundle(*THREE), indent=1).encode(), ["entry 1", "entry 2", "entry 3"]),
        ("x.json", json.dumps(bundle(*THREE)).encode("utf-16"), ["entry 1", "entry 2", "entry 3"]),
        ("x.json.gz", gzip.compress(json.dumps(bundle(*THREE)).encode()), ["entry 1", "entry 2", "entry 3"]),
        ("x.ndjson", json.dumps(bundle(*THREE)).encode(), ["line 1, entry 1", "line 1, entry 2", "line 1, entry 3"]),
        ("x.json", json.dumps(request("1")).encode(), [""]),
        ("x.json", json.dumps(bundle(bundle(request("1")))).encode(), ["entry 1, entry 1"]),
    ],
)  # fmt: skip
def test_files_of_every_form_give_their_resources(name: str, data: bytes, positions: list[str]) -> None:
    source = Input(name, len(data), lambda: io.BytesIO(data))
    if not data.startswith((b"\xff\xfe",)):
        assert READER.claims(source.head(), name, SETTINGS)
    offered = list(READER.read(source, Context(SETTINGS, KEY, NOW)))
    assert [one.position for one in offered] == positions
    assert not [one for one in offered if one.verdict is Verdict.REJECTED]


def test_deletions_of_a_history_are_counted() -> None:
    history = {
        "resourceType": "Bundle",
        "type": "history",
        "entry": [{"request": {"method": "DELETE", "url": "ServiceRequest/1"}}, {"resource": request("2")}],
    }
    assert [one.verdict for one in read(history)] == [Verdict.NOT_APPLICABLE, Verdict.ACCEPTED]


def test_a_bundle_over_the_limit_is_refused_and_ndjson_of_any_size_is_read() -> None:
    small = SETTINGS.model_copy(update={"limits": Limits(max_message_mb=1)})
    filler = "x" * 4000
    many = [request(str(n), note=[{"text": filler}]) for n in range(400)]
    [offered] = read(bundle(*many), settings=small)
    assert offered.reject is not None
    assert offered.reject.reason == "message-too-large"
    assert "NDJSON" in offered.reject.remedy
    assert len(read(*many, name="x.ndjson", settings=small)) == 400
    mixed = read(request("1"), request("2", note="x" * (1 << 21)), request("3"), name="x.ndjson", settings=small)
    assert [(one.verdict.value, one.position) for one in mixed] == [
        ("accepted", "line 1"), ("rejected", "line 2"), ("accepted", "line 3"),
    ]  # fmt: skip
