"""The small rules of asking a FHIR server: how long to wait, what an error says, and whose addresses are its own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.pull.contract import PullError
from etl.pull.fhir_auth import is_sealed
from etl.pull.fhir_fields import Filled
from etl.pull.fhir_http import Answer, Server, retry_after
from etl.pull.fhir_outcome import outcome_words, told
from settings import FhirSource, Limits


def answer(**headers: str) -> Answer:
    return Answer(429, httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()}), b"")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 4.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": " 17 "}, 17.0),
        ({"retry_after": "999999999999"}, 600.0),
        ({"retry_after": "-5"}, 4.0),
        ({"retry_after": "soon"}, 4.0),
        ({"retry_after": "Mon, 02 Mar 2026 10:00:30 GMT", "date": "Mon, 02 Mar 2026 10:00:00 GMT"}, 30.0),
        ({"retry_after": "Mon, 02 Mar 2026 09:00:00 GMT", "date": "Mon, 02 Mar 2026 10:00:00 GMT"}, 0.0),
    ],
)
def test_the_pause_is_what_the_server_asks_for_within_bounds(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(answer(**headers), 4.0) == seconds


def test_the_servers_clock_is_read_from_its_answer() -> None:
    assert answer(date="Mon, 02 Mar 2026 10:00:00 GMT").server_time == datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert answer(date="yesterday").server_time is None
    assert answer().server_time is None


def issue(**more: Any) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", **more}]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (issue(code="forbidden"), "the account may not do this"),
        (
            issue(code="invalid", diagnostics="Patient/4711 of jane@x.example\nis wrong"),
            "the content is invalid: … of … is wrong",
        ),
        (issue(code="not-found", details={"text": "No such type"}), "it was not found: No such type"),
        (issue(code="no-code-of-fhir"), "something is wrong"),
        (issue(code=7, diagnostics=8), "something is wrong"),
        ({"resourceType": "OperationOutcome", "issue": [{"severity": "information", "code": "x"}]}, ""),
        ({"resourceType": "Patient"}, ""),
        ({"resourceType": "OperationOutcome", "issue": "x"}, ""),
        (None, ""),
    ],
)
def test_an_error_is_put_into_words_that_identify_nobody(body: Any, words: str) -> None:
    assert outcome_words(body) == words


@given(text=st.text(max_size=80))
def test_no_number_of_a_server_message_is_shown(text: str) -> None:
    assert not any(char.isdecimal() for char in outcome_words(issue(code="processing", diagnostics=text)))


def test_faults_of_the_connection_say_what_to_do() -> None:
    assert "SSL_CERT_FILE" in told(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"))
    assert "timeout_seconds" in told(httpx.ReadTimeout("x"))
    assert "firewall" in told(httpx.ConnectError("refused"))
    assert "RemoteProtocolError" in told(httpx.RemoteProtocolError("x"))


@pytest.mark.parametrize(
    ("url", "is_own"),
    [
        ("Patient?_page=2", True),
        ("https://emr.example/r4/Patient?_page=2", True),
        ("https://EMR.example:443/other", True),
        ("https://user:secret@emr.example/r4", True),
        ("http://emr.example/r4/Patient", False),
        ("https://emr.example:8443/r4", False),
        ("https://emr.example.evil.example/r4", False),
        ("//evil.example/r4", False),
        ("https://emr.example@evil.example/", False),
        ("file:///etc/passwd", False),
        ("http://[", False),
    ],
)
def test_an_address_is_the_servers_own_by_scheme_host_and_port(url: str, is_own: bool) -> None:
    server = Server(FhirSource(kind="fhir", name="emr", url="https://emr.example/r4"), None, Limits())
    try:
        if is_own:
            assert server.own(url, "link")
        else:
            with pytest.raises(PullError, match="leads to another address"):
                server.own(url, "link")
    finally:
        server.close()


def test_https_and_this_machine_are_sealed() -> None:
    assert [is_sealed(url) for url in ("https://x.example", "http://127.0.0.1:8", "http://localhost", "http://x.example")] == [
        True, True, True, False,
    ]  # fmt: skip


def test_empty_elements_are_counted_with_what_they_cost() -> None:
    body = b"""{"resourceType":"Bundle","entry":[
        {"resource":{"resourceType":"DiagnosticReport","id":"1","issued":"2026-03-02"}},
        {"resource":{"resourceType":"DiagnosticReport","id":"2","issued":"","basedOn":7}},
        {"resource":{"resourceType":"OperationOutcome"}}, 5]}"""
    said = {(remark.kind, remark.text) for remark in Filled("DiagnosticReport", body).remarks()}
    assert ("gives", "DiagnosticReport: 2 on the first page.") in said
    assert ("missing", "DiagnosticReport.issued is empty in 1 of 2: lacks report turnaround.") in said
    assert any(kind == "ask" and "DiagnosticReport.category" in text for kind, text in said)
