"""Pulls from a FHIR server that is asked over the network: pages, exports, tokens, and everything that goes wrong there.

The server is the stub of `tests/services/fhir_stub.py`; its resources are those of real files where these are present.
"""

from __future__ import annotations

import io
import json
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from joserfc.jwk import ECKey, Key, RSAKey

from etl.pull import fhir_bulk, fhir_http, fhir_search
from etl.pull.contract import Fetched, PullError, Remark
from etl.pull.fhir import FhirConnection, connect
from etl.sources.contract import Context, Input, Verdict
from etl.sources.fhir.reader import READER
from settings import FhirSource, Limits, Settings
from state.identity import Pseudonymiser
from tests.services.fhir_stub import FhirStub, Reply, outcome

pytestmark = pytest.mark.services

FHIR = Path(__file__).resolve().parents[3] / "shared" / "data" / "workflow" / "fhir"
TYPES = (
    "ServiceRequest",
    "Appointment",
    "ImagingStudy",
    "Procedure",
    "DiagnosticReport",
    "Encounter",
    "Patient",
    "ChargeItem",
)
SETTINGS = Settings()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir_http, "_PAUSES_S", (0.01, 0.01, 0.01))


def served(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The resources as a server has them: with an id and the time of the last change."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for number, one in enumerate(resources):
        at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=number)
        meta = {"lastUpdated": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "versionId": "1"}
        found[one["resourceType"], one["id"]] = {**one, "meta": meta}
    return list(found.values())


@pytest.fixture(scope="module")
def real() -> list[dict[str, Any]]:
    if not FHIR.is_dir():
        pytest.skip("needs the shared collection of real files (../shared/data), which is not part of the repository")
    found = []
    for path in sorted(FHIR.glob("*.json")):
        if "MDM_T02" in path.name:
            continue  # XML under this name
        whole = json.loads(path.read_text("utf-8-sig"))
        found += [entry["resource"] for entry in whole["entry"]] if whole["resourceType"] == "Bundle" else [whole]
    return served([one for one in found if one["resourceType"] in TYPES])


@pytest.fixture
def few() -> list[dict[str, Any]]:
    about = {"status": "active", "intent": "order", "subject": {"reference": "Patient/p"}}
    return served([{"resourceType": "ServiceRequest", "id": f"r{n}", **about} for n in range(7)])


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: Any) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # type: ignore[no-any-return]


def public(key: Any, kind: type[Any]) -> Key:
    data = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return kind.import_key(data)  # type: ignore[no-any-return]


def source(stub: FhirStub, **more: Any) -> FhirSource:
    return FhirSource(**{"kind": "fhir", "name": "emr", "url": stub.url, "resources": ("ServiceRequest",), **more})


def connection(stub: FhirStub, **more: Any) -> FhirConnection:
    return connect(source(stub, **more), SETTINGS)


def secured(stub: FhirStub, key: Any, tmp_path: Path, **more: Any) -> FhirConnection:
    file = tmp_path / "key.pem"
    file.write_bytes(pem(key))
    return connection(stub, client_id="isocenter", token_url=stub.token_url, private_key_file=file, **more)


def spool(tmp_path: Path, name: str = "spool") -> Path:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    return folder


def pulled(asked: FhirConnection, folder: Path, cursor: dict[str, Any] | None = None) -> Fetched:
    """A whole pull; the cursor goes through JSON, as it does on the disk."""
    whole = Fetched(cursor=cursor or {}, is_complete=False)
    while not whole.is_complete:
        part = asked.fetch(json.loads(json.dumps(whole.cursor)), folder)
        whole = Fetched(whole.files + part.files, whole.records + part.records, part.cursor, part.is_complete)
    return whole


def read(folder: Path, stub: FhirStub) -> Iterator[Any]:
    settings = Settings(sources=(source(stub),))
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        given = Input(f"emr:{path.name}", len(data), lambda data=data: io.BytesIO(data))  # type: ignore[misc]
        assert READER.claims(given.head(), given.name, settings)
        yield from READER.read(given, Context(settings, Pseudonymiser(b"k" * 32)))


def digests(folder: Path, stub: FhirStub) -> Counter[str]:
    found = list(read(folder, stub))
    assert {one.verdict for one in found} <= {Verdict.ACCEPTED}
    return Counter(one.digest for one in found)


# -- searching -------------------------------------------------------------------------------------------------------------


def test_a_search_fetches_every_resource_once_over_its_pages(real: list[dict[str, Any]], tmp_path: Path) -> None:
    with FhirStub(real) as stub:
        asked = connection(stub, resources=TYPES, page_size=20)
        for kind in TYPES:
            stub.by_type[kind]  # a type without resources is a type of the server all the same
        fetched = pulled(asked, spool(tmp_path))
        found = list(read(tmp_path / "spool", stub))
    assert fetched.records == len(found) == len(real)
    assert {one.source_name for one in found} == {"emr"}
    kinds = Counter(next(iter(one.rows.values()))[0]["message_type"] for one in found)
    assert kinds == Counter(one["resourceType"] for one in real)


def test_an_export_gives_the_same_statements_as_the_search(real: list[dict[str, Any]], tmp_path: Path) -> None:
    with FhirStub(real) as stub:
        pulled(connection(stub, resources=tuple({one["resourceType"] for one in real})), spool(tmp_path, "search"))
        fetched = pulled(connection(stub, resources=TYPES, bulk=True), spool(tmp_path, "bulk"))
        assert digests(tmp_path / "bulk", stub) == digests(tmp_path / "search", stub)
        assert fetched.records == len(real)
        assert stub.exports["1"]["deleted"]


def test_the_next_pull_asks_for_what_changed_since_less_the_overlap(few: list[dict[str, Any]], tmp_path: Path) -> None:
    with FhirStub(few) as stub:
        asked = connection(stub, overlap_minutes=30)
        first = pulled(asked, spool(tmp_path, "first"))
        since = datetime.fromisoformat(first.cursor["search"]["since"]["ServiceRequest"])
        assert abs(datetime.now(UTC) - timedelta(minutes=30) - since) < timedelta(minutes=1)
        later = (datetime.now(UTC) - timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
        few[3]["meta"]["lastUpdated"] = later
        second = pulled(asked, spool(tmp_path, "second"), first.cursor)
    assert (first.records, second.records) == (7, 1)


def test_a_large_search_is_loaded_in_rounds_and_goes_on(
    few: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fhir_search, "ROUND_PAGES", 2)
    with FhirStub(few) as stub:
        asked = connection(stub, page_size=2)
        first = asked.fetch({}, spool(tmp_path))
        assert (first.files, first.records, first.is_complete) == (2, 4, False)
        rest = pulled(asked, spool(tmp_path), first.cursor)
        assert sum(digests(tmp_path / "spool", stub).values()) == first.records + rest.records == 7


def test_a_search_that_the_server_forgot_is_begun_again(
    few: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fhir_search, "ROUND_PAGES", 1)
    with FhirStub(few) as stub:
        asked = connection(stub, page_size=4)
        first = asked.fetch({}, spool(tmp_path, "first"))
        stub.fail("_page=4", Reply(410, outcome("not-found", "search expired")))
        rest = pulled(asked, spool(tmp_path, "rest"), first.cursor)
        assert rest.records == 7
        assert len(digests(tmp_path / "rest", stub)) == 7
        stub.fail("_page=4", *[Reply(410, outcome("not-found", "search expired"))] * 9)
        with pytest.raises(PullError, match="410 for ServiceRequest"):
            pulled(asked, spool(tmp_path, "again"), first.cursor)


@pytest.mark.parametrize(
    "faults",
    [
        [Reply(429, headers={"Retry-After": "0"}), Reply(503, headers={"Retry-After": "0"})],
        [Reply(500, outcome("exception", "x"))],
        [Reply(200, {"resourceType": "Bundle"}, cut=5)],
        [Reply(200, b'{"resourceType":"Bundle","entry":[{"resou')],
        [Reply(200, b"<html>busy</html>")],
        [Reply(200, {"resourceType": "Bundle", "entry": "x"})],
    ],
)
def test_a_busy_server_and_a_broken_page_are_asked_again(
    faults: list[Reply], few: list[dict[str, Any]], tmp_path: Path
) -> None:
    with FhirStub(few) as stub:
        stub.fail("_page=4", *faults)
        assert pulled(connection(stub, page_size=4), spool(tmp_path)).records == 7


def test_a_server_that_stays_broken_ends_the_pull_and_keeps_the_pages(
    few: list[dict[str, Any]], tmp_path: Path
) -> None:
    with FhirStub(few) as stub:
        stub.fail("_page=4", *[Reply(503, outcome("transient", "try again for MRN 4711"))] * 9)
        with pytest.raises(PullError, match=r"503 for ServiceRequest.*busy.*tried 4 times") as caught:
            pulled(connection(stub, page_size=4), spool(tmp_path))
        assert "4711" not in str(caught.value)
        assert sum(digests(tmp_path / "spool", stub).values()) == 4


def test_a_server_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with FhirStub([]) as stub:
        asked = connection(stub)
    with pytest.raises(PullError, match="emr: cannot be asked: no connection"):
        asked.fetch({}, spool(tmp_path))


@pytest.mark.parametrize("url", ["http://elsewhere.example/fhir/ServiceRequest?_page=2", "//127.0.0.1:1/x", "http://["])
def test_a_link_to_another_host_is_never_followed(url: str, few: list[dict[str, Any]], tmp_path: Path) -> None:
    page = {"resourceType": "Bundle", "entry": [{"resource": few[0]}], "link": [{"relation": "next", "url": url}]}
    with FhirStub(few) as stub:
        stub.fail("ServiceRequest", Reply(200, page))
        with pytest.raises(PullError, match="leads to another address"):
            pulled(connection(stub), spool(tmp_path))
        assert len(stub.asked) == 1
        assert sum(digests(tmp_path / "spool", stub).values()) == 1


def test_a_page_that_leads_to_itself_ends_the_pull(few: list[dict[str, Any]], tmp_path: Path) -> None:
    with FhirStub(few) as stub:
        links = [{"relation": "next", "url": f"{stub.url}/ServiceRequest?_page=4"}]
        stub.fail("_page=4", *[Reply(200, {"resourceType": "Bundle", "link": links})] * 3)
        with pytest.raises(PullError, match="lead back to one before"):
            pulled(connection(stub, page_size=4), spool(tmp_path))


def test_a_type_that_may_not_be_read_is_named_in_words(few: list[dict[str, Any]], tmp_path: Path) -> None:
    with FhirStub(few) as stub:
        stub.fail("ServiceRequest", Reply(403, outcome("forbidden", "scope of user 4711 lacks read")))
        with pytest.raises(
            PullError, match=r"answers 403 for ServiceRequest \(the account may not do this: scope of user … lacks"
        ):
            pulled(connection(stub), spool(tmp_path))


def test_a_type_that_the_server_does_not_have_is_left_out_with_a_warning(
    few: list[dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with FhirStub(few) as stub:
        fetched = pulled(connection(stub, resources=("Appointment", "ServiceRequest")), spool(tmp_path))
    assert fetched.records == 7
    assert list(fetched.cursor["search"]["since"]) == ["ServiceRequest"]
    assert "Appointment is left out: emr: answers 404" in caplog.text
    assert "12345" not in caplog.text
    with FhirStub(few) as stub, pytest.raises(PullError, match="has none of `resources`"):
        pulled(connection(stub, url=f"{stub.url}/wrong"), spool(tmp_path))


def test_a_page_over_the_limit_is_refused_with_the_setting(few: list[dict[str, Any]], tmp_path: Path) -> None:
    small = Settings(limits=Limits(max_message_mb=1))
    with FhirStub(few) as stub:
        stub.fail("ServiceRequest", Reply(200, b" " * (2 << 20)))
        with pytest.raises(PullError, match="Lower page_size"):
            connect(source(stub), small).fetch({}, spool(tmp_path))


# -- tokens ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_a_signed_assertion_buys_one_token_for_the_whole_pull(
    kind: str, few: list[dict[str, Any]], rsa_key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    key = rsa_key if kind == "rsa" else ec.generate_private_key(ec.SECP384R1())
    with FhirStub(few, public_key=public(key, RSAKey if kind == "rsa" else ECKey)) as stub:
        assert pulled(secured(stub, key, tmp_path, page_size=2), spool(tmp_path)).records == 7
        assert stub.count("POST", "/token") == 1


def test_an_expired_token_is_bought_anew(few: list[dict[str, Any]], rsa_key: rsa.RSAPrivateKey, tmp_path: Path) -> None:
    with FhirStub(few, public_key=public(rsa_key, RSAKey)) as stub:

        def expired() -> Reply:
            stub.tokens.clear()
            return Reply(401, outcome("expired", "token"))

        stub.fail("_page=2", expired)
        assert pulled(secured(stub, rsa_key, tmp_path, page_size=2), spool(tmp_path)).records == 7
        assert stub.count("POST", "/token") == 2


def test_a_key_that_is_not_registered_is_refused_without_secrets(
    few: list[dict[str, Any]], rsa_key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    other = public(rsa.generate_private_key(65537, 2048), RSAKey)
    refusal = r"answers 400 \(invalid_client\).*registered under the key id"
    with FhirStub(few, public_key=other) as stub, pytest.raises(PullError, match=refusal) as caught:
        pulled(secured(stub, rsa_key, tmp_path), spool(tmp_path))
    assert "4711" not in str(caught.value)
    assert "PRIVATE" not in str(caught.value)


def test_a_token_never_goes_over_http_to_another_machine(rsa_key: rsa.RSAPrivateKey, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(pem(rsa_key))
    about: dict[str, Any] = {"client_id": "x", "token_url": "https://t.example/token", "private_key_file": file}
    asked = connect(FhirSource(kind="fhir", name="emr", url="http://fhir.example/r4", **about), SETTINGS)
    with pytest.raises(PullError, match="url must be https"):
        asked.fetch({}, spool(tmp_path))
    about["token_url"] = "http://t.example/token"
    asked = connect(FhirSource(kind="fhir", name="emr", url="https://fhir.example/r4", **about), SETTINGS)
    with pytest.raises(PullError, match="token_url must be https"):
        asked.fetch({}, spool(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read"), (b"no key", "no private key"), ("p256", "no private key")]
)
def test_a_key_file_that_cannot_sign_is_named(content: bytes | str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    if content is not None:
        file.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())) if isinstance(content, str) else content)
    about: dict[str, Any] = {"client_id": "x", "token_url": "https://t.example", "private_key_file": file}
    with pytest.raises(PullError, match=message):
        connect(FhirSource(kind="fhir", name="emr", url="https://x.example", **about), SETTINGS)
    with pytest.raises(PullError, match="token_url and private_key_file is missing"):
        connect(FhirSource(kind="fhir", name="emr", url="https://x.example", client_id="x"), SETTINGS)


def test_certificates_are_verified(few: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(self_signed(key))
    (tmp_path / "tls.pem").write_bytes(pem(key))
    stub = FhirStub(few)
    stub.serve_tls(str(certificate), str(tmp_path / "tls.pem"))
    with stub:
        with pytest.raises(PullError, match="certificate is not trusted"):
            pulled(connection(stub), spool(tmp_path))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert pulled(connection(stub), spool(tmp_path)).records == 7


def self_signed(key: ec.EllipticCurvePrivateKey) -> bytes:
    import ipaddress

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stub")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


# -- exports ---------------------------------------------------------------------------------------------------------------


def test_an_export_asks_for_types_group_and_what_is_new(few: list[dict[str, Any]], tmp_path: Path) -> None:
    with FhirStub(few) as stub:
        asked = connection(stub, bulk=True, group="imaging", resources=("ServiceRequest", "Patient"))
        first = pulled(asked, spool(tmp_path, "first"))
        few[2]["meta"]["lastUpdated"] = "2026-03-06T00:00:00Z"
        second = pulled(asked, spool(tmp_path, "second"), first.cursor)
        assert stub.exports["1"]["path"] == "Group/imaging/$export"
        assert stub.exports["1"]["query"]["_type"] == "ServiceRequest,Patient"
        assert stub.exports["2"]["query"]["_since"] == "2026-03-05T00:00:00Z"
    assert (first.records, second.records) == (7, 1)


def test_an_export_behind_a_token_survives_its_expiry_and_cut_files(
    few: list[dict[str, Any]], rsa_key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    with FhirStub(few, public_key=public(rsa_key, RSAKey)) as stub:

        def expired() -> Reply:
            stub.tokens.clear()
            return Reply(401, outcome("expired", "token"))

        stub.fail("/status/", Reply(429, headers={"Retry-After": "0"}), Reply(202, headers={"Retry-After": "0"}))
        stub.fail(
            "/file/",
            expired,
            Reply(200, json.dumps(few[0]).encode() * 3, cut=9),
            Reply(200, b"<html/>", {"Content-Type": "text/html"}),
        )
        assert pulled(secured(stub, rsa_key, tmp_path, bulk=True), spool(tmp_path)).records == 7
        assert sum(digests(tmp_path / "spool", stub).values()) == 7


def test_what_the_server_could_not_export_is_said_without_identifiers(
    few: list[dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with FhirStub(few) as stub:
        stub.export_errors = [outcome("not-found", "Patient/4711 has no record")] * 3
        with caplog.at_level(logging.WARNING):
            assert pulled(connection(stub, bulk=True), spool(tmp_path)).files == 1
    assert "emr: the export left something out, 3 times: it was not found: … has no record" in caplog.text
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".ndjson"]


@pytest.mark.parametrize(
    ("path", "fault", "message"),
    [
        ("$export", Reply(501, outcome("not-supported", "")), "501 for .export .the server does not support it"),
        ("$export", Reply(200, {}), "without saying where"),
        ("$export", Reply(202, headers={"Content-Location": "https://elsewhere.example/status"}), "leads to another address"),
        ("/status/", Reply(500, outcome("exception", "disk 4711 full")), "the server failed"),
        ("/status/", Reply(200, {"output": []}), "lacks transactionTime"),
        ("/status/", Reply(200, {"transactionTime": "x", "output": [{"type": "../x", "url": "y"}]}), "without type or url"),
        ("/status/", Reply(200, {"transactionTime": "x", "output": [{"type": "Patient", "url": "http://a.example/x"}]}), "lies at another address"),
        ("/file/", Reply(404, outcome("not-found", "")), "404 for ServiceRequest"),
    ],
)  # fmt: skip
def test_an_export_that_goes_wrong_says_what_and_is_given_up(
    path: str, fault: Reply, message: str, few: list[dict[str, Any]], tmp_path: Path
) -> None:
    with FhirStub(few) as stub:
        stub.fail(path, *[fault] * 4)
        with pytest.raises(PullError, match=message) as caught:
            pulled(connection(stub, bulk=True), spool(tmp_path))
        assert "4711" not in str(caught.value)
        assert stub.exports.get("1", {}).get("deleted", False) is (path != "$export")
        assert not list(spool(tmp_path).iterdir())


def test_a_file_elsewhere_is_never_asked_for_with_the_token(
    few: list[dict[str, Any]], rsa_key: rsa.RSAPrivateKey, tmp_path: Path
) -> None:
    with FhirStub(few, public_key=public(rsa_key, RSAKey)) as stub, FhirStub(few) as other:
        output = [{"type": "ServiceRequest", "url": f"{other.url}/ServiceRequest"}]
        manifest = {"transactionTime": "x", "output": output}
        stub.fail("/status/", Reply(200, {**manifest, "requiresAccessToken": True}))
        with pytest.raises(PullError, match="lies at another address"):
            pulled(secured(stub, rsa_key, tmp_path, bulk=True), spool(tmp_path))
        assert not other.asked
        stub.fail("/status/", Reply(200, {**manifest, "requiresAccessToken": False}))
        pulled(secured(stub, rsa_key, tmp_path, bulk=True), spool(tmp_path))
        assert len(other.asked) == 1


def test_a_file_over_the_limit_is_refused_with_the_setting(few: list[dict[str, Any]], tmp_path: Path) -> None:
    small = Settings(limits=Limits(max_file_mb=1))
    with FhirStub(few) as stub:
        stub.fail("/file/", Reply(200, b" " * (3 << 20)))
        with pytest.raises(PullError, match=r"limits\.max_file_mb"):
            connect(source(stub, bulk=True), small).fetch({}, spool(tmp_path))
    assert not list(spool(tmp_path).iterdir())


def test_an_export_that_never_ends_is_given_up(
    few: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fhir_bulk, "EXPORT_SECONDS", 0.2)
    with FhirStub(few) as stub:
        stub.polls_before_done = 10_000
        with pytest.raises(PullError, match="not complete"):
            pulled(connection(stub, bulk=True), spool(tmp_path))
        assert stub.exports["1"]["deleted"]


# -- trying ----------------------------------------------------------------------------------------------------------------


def texts(remarks: Iterator[Remark]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for remark in remarks:
        found.setdefault(remark.kind, []).append(remark.text)
    return {kind: "\n".join(lines) for kind, lines in found.items()}


def test_a_check_says_what_is_there_what_is_missing_and_whom_to_ask(real: list[dict[str, Any]]) -> None:
    with FhirStub(real) as stub:
        stub.by_type["Appointment"] = []
        said = texts(connection(stub, resources=TYPES).check())
    assert "Stub, FHIR 4.0.1" in said["works"]
    assert "fhir: " in said["works"]
    assert "Encounter: 50 on the first page." in said["gives"]
    assert "Appointment: the server has none for this client" in said["missing"]
    assert "DiagnosticReport.basedOn.reference" in said["ask"]
    assert "ChargeItem: the server does not say that it has this type." in said["ask"]
    assert "404 for ChargeItem" in said["fails"]
    assert "12345" not in str(said)


def test_a_check_never_raises_for_what_the_server_does(
    few: list[dict[str, Any]], tmp_path: Path, rsa_key: rsa.RSAPrivateKey
) -> None:
    with FhirStub(few) as stub:
        stub.operations = []
        stub.by_type["ServiceRequest"] = []
        assert "($export)" in texts(connection(stub, bulk=True).check())["ask"]
        stub.fail("metadata", Reply(200, {"fhirVersion": "5.0.0", "resourceType": "CapabilityStatement", "rest": 7}))
        assert "FHIR R4" in texts(connection(stub).check())["fails"]
        stub.fail("metadata", Reply(200, ["x"]))
        assert "no CapabilityStatement" in texts(connection(stub).check())["fails"]
    assert "no connection" in texts(connection(stub).check())["fails"]
    with FhirStub(few, public_key=public(rsa_key, RSAKey)) as stub:
        assert "under the key id" in texts(secured(stub, rsa_key, tmp_path).check())["works"]
        other = rsa.generate_private_key(65537, 2048)
        assert "invalid_client" in texts(secured(stub, other, tmp_path).check())["fails"]
