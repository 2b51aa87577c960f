"""Broken and hostile FHIR: every input ends in a verdict, with the path at fault, and nothing is raised."""

from __future__ import annotations

import copy
import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.reading import frame_of
from etl.sources.contract import Context, Input, Offered, Verdict
from etl.sources.fhir.reader import HANDLERS, READER
from settings import Limits, Settings
from state.identity import Pseudonymiser
from tests.etl.test_fhir_rows import AT, bundle, read, request, resource, typed

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
FHIR = Path(__file__).resolve().parents[3] / "shared" / "data" / "workflow" / "fhir"
CONTEXT = Context(Settings(limits=Limits(max_message_mb=1, max_nesting=20)), Pseudonymiser(b"k" * 32))

GOOD = (
    b'{"resourceType":"ServiceRequest","id":"1","status":"active","intent":"order","subject":{"reference":"Patient/1"}}'
)


def offered_of(data: bytes, name: str = "x.json") -> list[Offered]:
    READER.claims(data[:4096], name, CONTEXT.settings)
    offered = list(READER.read(Input(name, len(data), lambda: io.BytesIO(data)), CONTEXT))
    for one in offered:
        assert (one.reject is not None) == (one.verdict is not Verdict.ACCEPTED)
        assert one.verdict is Verdict.ACCEPTED or not one.rows
        for table, rows in one.rows.items():
            assert frame_of(table, rows).height == len(rows) > 0
    return offered


@pytest.mark.parametrize(
    ("data", "reason", "field"),
    [
        (b'{"resourceType":"ServiceRequest","id":"1"', "bad-json", ""),
        (b'{"resourceType":"ServiceRequest","id":"1"} x', "bad-json", ""),
        (GOOD.replace(b'"1"', b"NaN"), "bad-json", ""),
        (GOOD.replace(b'"1"', b"1" * 5000), "bad-json", ""),
        (GOOD.replace(b'"id":"1"', b'"id":"1","id":"2"'), "duplicate-key", "id"),
        (GOOD.replace(b'"1"', b'"\xff"'), "bad-encoding", ""),
        (GOOD.replace(b'"1"', b'"\\ud800"'), "bad-encoding", ""),
        (b'{"resourceType":"Patient","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too-deep", ""),
        (b'{"resourceType":"Patient","id":"1","x":' + b'{"x":' * 30 + b"1" + b"}" * 30 + b"}", "too-deep", "Patient"),
        (GOOD.replace(b'{"reference":"Patient/1"}', b"7"), "wrong-type", "ServiceRequest.subject"),
        (GOOD.replace(b'"Patient/1"', b"[1]"), "wrong-type", "ServiceRequest.subject.reference"),
        (GOOD.replace(b'"active"', b"true"), "wrong-type", "ServiceRequest.status"),
        (GOOD.replace(b'"active"', b'"active","identifier":"A1"'), "wrong-type", "ServiceRequest.identifier"),
        (GOOD.replace(b'"active"', b'"active","authoredOn":{"a":1}'), "wrong-type", "ServiceRequest.authoredOn"),
        (GOOD.replace(b'"active"', b'"active","meta":[3]'), "wrong-type", "ServiceRequest.meta"),
        (b'{"resourceType":7}', "no-resource-type", "resourceType"),
        (b'{"resourceType":"Bundle","entry":[4]}', "wrong-type", "Bundle.entry"),
        (b'{"resourceType":"Bundle","entry":[{"resource":"x"}]}', "wrong-type", "resource"),
        (b'{"resourceType":"ServiceRequest","status":"active","intent":"order"}', "no-order-number", "ServiceRequest.id"),
        (b'{"resourceType":"Patient"}', "no-patient-id", "Patient.id"),
        (b'{"resourceType":"Encounter","status":"finished"}', "no-visit", "Encounter.id"),
        (b'<ServiceRequest xmlns="http://hl7.org/fhir"/>', "xml-encoding", ""),
    ],
)  # fmt: skip
def test_bad_content_is_refused_with_reason_and_path(data: bytes, reason: str, field: str) -> None:
    [offered] = offered_of(data)
    assert offered.verdict is Verdict.REJECTED
    assert offered.reject is not None
    assert (offered.reject.reason, offered.reject.field) == (reason, field)
    assert offered.reject.remedy


def test_one_broken_line_or_entry_costs_itself_alone() -> None:
    lines = offered_of(GOOD + b"\n{broken\n" + GOOD.replace(b'"1"', b'"2"'), "x.ndjson")
    assert [one.verdict.value for one in lines] == ["accepted", "rejected", "accepted"]
    assert lines[1].payload == b"{broken"
    entries = read(bundle(request("1"), {**request("2"), "status": 5}, request("3")))
    assert [one.verdict.value for one in entries] == ["accepted", "rejected", "accepted"]
    assert entries[1].payload is not None
    assert json.loads(entries[1].payload)["id"] == "2"


def test_a_name_that_looks_like_data_is_not_shown() -> None:
    [offered] = offered_of(b'{"resourceType":"Patient","DOE JANE 1960":1,"DOE JANE 1960":2}')
    assert offered.reject is not None
    assert "DOE" not in offered.reject.message + offered.reject.field


@pytest.mark.parametrize("name", ["x.ndjson.gz", "x.json.gz"])
def test_a_cut_or_swollen_gzip_file_is_one_reject(name: str) -> None:
    packed = gzip.compress(b"\n".join([GOOD] * 1000))
    reasons = {one.reject.reason for one in offered_of(packed[:-20], name) if one.reject}
    assert reasons == {"truncated"}
    assert "ratio-limit" in {
        one.reject.reason for one in offered_of(gzip.compress(b" " * (1 << 26)), name) if one.reject
    }


def test_an_empty_file_and_blank_lines_give_no_resource() -> None:
    assert [one.reject.reason for one in offered_of(b"\n\n  \n", "x.ndjson") if one.reject] == ["empty-file"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@QUICK
@given(data=st.binary(max_size=300), name=st.sampled_from(["x.json", "x.ndjson", "x.json.gz", "x"]))
def test_any_bytes_end_in_verdicts(data: bytes, name: str) -> None:
    offered_of(data, name)


@QUICK
@given(value=json_values, kind=st.sampled_from([*HANDLERS, "Bundle"]))
def test_any_json_under_a_resource_type_ends_in_verdicts(value: Any, kind: str) -> None:
    whole = {**(value if isinstance(value, dict) else {"entry": value, "identifier": value}), "resourceType": kind}
    assert len(offered_of(json.dumps(whole).encode())) >= 1


def samples() -> list[dict[str, Any]]:
    found = [
        request("1", authoredOn=AT, identifier=[typed("ACSN", "A1")], category=[{"coding": [{"code": "RAD"}]}]),
        resource("Appointment", status="booked", start=AT, minutesDuration=20, basedOn=[{"reference": "ServiceRequest/1"}]),
        resource("ImagingStudy", status="available", started=AT, modality=[{"code": "CT"}], series=[{"uid": "1.2", "modality": {"code": "CT"}}]),
        resource("Procedure", status="stopped", performedPeriod={"start": AT, "end": AT}, statusReason={"text": "x"}),
        resource("DiagnosticReport", status="final", issued=AT, presentedForm=[{"data": "QQ=="}], conclusion="x"),
        resource("ChargeItem", status="billed", priceOverride={"value": 1.5}, service=[{"reference": "Procedure/1"}]),
        resource("Communication", status="completed", sent=AT, about=[{"reference": "DiagnosticReport/1"}]),
        resource("Encounter", status="finished", period={"start": AT}, statusHistory=[{"status": "arrived", "period": {"start": AT}}]),
        {**resource("Encounter", status="finished"), "class": {"code": "EMER"}},
        resource("Patient", link=[{"type": "replaces", "other": {"reference": "Patient/2"}}], name=[{"family": "x", "given": ["y"]}]),
    ]  # fmt: skip
    real = sorted(FHIR.glob("US-Core*.json")) if FHIR.is_dir() else []
    return found + [json.loads(path.read_text("utf-8")) for path in real]


SAMPLES = samples()
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1e300,
    "",
    "x",
    "\u0000",
    "💥" * 50,
    [],
    {},
    [[]],
    [None],
    {"a": {}},
    ["a", 1],
    "2026-13-99",
    "#",
    "urn:uuid:",
    "Patient/",
]


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place for key, value in inside for place in [(*path, key), *places(value, (*path, key))]]


@QUICK
@given(number=st.integers(0, len(SAMPLES) - 1), seed=st.integers(0, 1 << 30), changes=st.integers(1, 3))
def test_resources_with_odd_values_anywhere_end_in_one_verdict(number: int, seed: int, changes: int) -> None:
    draw = random.Random(seed)
    changed = copy.deepcopy(SAMPLES[number])
    for _ in range(changes):
        *way, last = draw.choice([place for place in places(changed) if place != ("resourceType",)])
        node = changed
        for key in way:
            node = node[key]
        node[last] = copy.deepcopy(draw.choice(ODD))
    assert len(offered_of(json.dumps(changed).encode())) == 1


@QUICK
@given(number=st.integers(0, len(SAMPLES) - 1), seed=st.integers(0, 1 << 30))
def test_resources_cut_or_flipped_anywhere_end_in_one_verdict(number: int, seed: int) -> None:
    draw = random.Random(seed)
    data = bytearray(json.dumps(SAMPLES[number]).encode())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    assert len(offered_of(bytes(data))) >= 1
    offered_of(bytes(data[: draw.randrange(len(data))]))
