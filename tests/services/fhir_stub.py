"""A small FHIR R4 server for tests. It is a stub: it keeps resources in memory and nothing is written through it.

It conforms, as far as a client of searches and exports can see, to:

- FHIR R4 3.1.0 (read of `metadata`) and 3.1.1 (type-level search by GET with `_count` and `_lastUpdated=ge…`, answers as a
  searchset with `self` and `next` links and `fullUrl`), errors as OperationOutcome;
- HL7 Bulk Data Access 2.0: `$export` of system and group, `Prefer: respond-async`, 202 with Content-Location, polling with
  Retry-After and X-Progress, the manifest, NDJSON files, deletion;
- SMART Backend Services: `client_credentials` with `private_key_jwt` (signature, audience, issuer, expiry of at most five
  minutes, one use of each `jti`), bearer tokens that expire.

Faults are put in by hand: `stub.faults` holds answers that are given first to requests whose path contains a text.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key


@dataclass
class Reply:
    """One answer."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    """Bytes of the body that are announced and never sent."""


Fault = Reply | Callable[[], Reply]


def outcome(code: str, diagnostics: str) -> dict[str, Any]:
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": code, "diagnostics": diagnostics}],
    }


class FhirStub:
    """The server; `url` is its base while it runs."""

    def __init__(
        self, resources: list[dict[str, Any]], *, public_key: Key | None = None, client_id: str = "isocenter"
    ) -> None:
        self.by_type: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for resource in resources:
            self.by_type[resource["resourceType"]].append(resource)
        self.public_key, self.client_id = public_key, client_id
        self.faults: list[tuple[str, Fault]] = []
        self.asked: list[tuple[str, str]] = []
        """Method and path with query of each request."""
        self.tokens: dict[str, float] = {}
        self.token_seconds = 300.0
        self.polls_before_done = 1
        self.export_errors: list[dict[str, Any]] = []
        self.operations: list[dict[str, Any]] = [{"name": "export", "definition": "x"}]
        self.exports: dict[str, dict[str, Any]] = {}
        self._used: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._scheme = "http"

    def serve_tls(self, certificate: str, key: str) -> None:
        """Serves https with a certificate and key in PEM files."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "https"

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/fhir"

    @property
    def token_url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/token"

    def __enter__(self) -> FhirStub:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fail(self, path: str, *answers: Fault) -> None:
        """Gives these answers, in order, before the right one, to requests whose path contains the text."""
        self.faults += [(path, answer) for answer in answers]

    def count(self, method: str, path: str) -> int:
        return sum(asked == method and path in where for asked, where in self.asked)

    # -- answers -------------------------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        self.asked.append((method, target))
        for number, (path, fault) in enumerate(self.faults):
            if path in target and method != "DELETE":
                del self.faults[number]
                return fault() if callable(fault) else fault
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/token":
            return self._token(parse_qs(body.decode()))
        path = parts.path.removeprefix("/fhir").strip("/")
        if path == "metadata":
            return Reply(body=self._metadata())
        if self.public_key is not None and not self._is_let_in(headers):
            return Reply(401, outcome("login", "token missing or expired"))
        if path.endswith("$export"):
            return self._kick_off(path, query, headers)
        if path.startswith("status/"):
            return self._status(method, path.removeprefix("status/"))
        if path.startswith("file/"):
            _, number, kind = path.split("/")
            return Reply(body=self.exports[number]["files"][kind], headers={"Content-Type": "application/fhir+ndjson"})
        if path in self.by_type:
            return self._search(path, query)
        return Reply(404, outcome("not-found", f"no such type for MRN 12345: {path}"))

    def _metadata(self) -> dict[str, Any]:
        search = {"interaction": [{"code": "search-type"}], "searchParam": [{"name": "_lastUpdated"}]}
        kinds = [{"type": kind, **search} for kind in sorted(self.by_type)]
        rest = [{"mode": "server", "resource": kinds, "operation": self.operations}]
        return {
            "resourceType": "CapabilityStatement",
            "fhirVersion": "4.0.1",
            "software": {"name": "Stub"},
            "rest": rest,
        }

    def _search(self, kind: str, query: dict[str, str]) -> Reply:
        found = [one for one in self.by_type[kind] if self._is_new(one, query.get("_lastUpdated", ""))]
        size, start = int(query.get("_count", "10")), int(query.get("_page", "0"))
        page = found[start : start + size]
        kept = "&".join(f"{name}={value}" for name, value in query.items() if name != "_page")
        links = [{"relation": "self", "url": f"{self.url}/{kind}?{kept}&_page={start}"}]
        if start + size < len(found):
            links.append({"relation": "next", "url": f"{self.url}/{kind}?{kept}&_page={start + size}"})
        entries = [
            {"fullUrl": f"{self.url}/{kind}/{one['id']}", "resource": one, "search": {"mode": "match"}} for one in page
        ]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "link": links}
        return Reply(body={**bundle, **({"entry": entries} if entries else {})})

    @staticmethod
    def _is_new(resource: dict[str, Any], condition: str) -> bool:
        return not condition or resource["meta"]["lastUpdated"] >= condition.removeprefix("ge")

    def _kick_off(self, path: str, query: dict[str, str], headers: dict[str, str]) -> Reply:
        if headers.get("prefer") != "respond-async":
            return Reply(400, outcome("not-supported", "Prefer: respond-async is needed"))
        number = str(len(self.exports) + 1)
        since = query.get("_since", "")
        files = {
            kind: b"".join(json.dumps(one).encode() + b"\n" for one in self.by_type[kind] if self._is_new(one, since))
            for kind in query["_type"].split(",")
            if self.by_type.get(kind)
        }
        errors = b"".join(json.dumps(one).encode() + b"\n" for one in self.export_errors)
        self.exports[number] = {"files": {**files, "errors": errors}, "polls": 0, "path": path, "query": query}
        return Reply(202, headers={"Content-Location": f"{self.url}/status/{number}"})

    def _status(self, method: str, number: str) -> Reply:
        if method == "DELETE":
            self.exports[number]["deleted"] = True
            return Reply(202)
        export = self.exports[number]
        export["polls"] += 1
        if export["polls"] <= self.polls_before_done:
            return Reply(202, headers={"Retry-After": "0", "X-Progress": "half"})
        base = f"{self.url}/file/{number}"
        kinds = [kind for kind, data in export["files"].items() if kind != "errors" and data]
        manifest = {
            "transactionTime": "2026-03-05T00:00:00Z",
            "request": "x",
            "requiresAccessToken": self.public_key is not None,
            "output": [{"type": kind, "url": f"{base}/{kind}"} for kind in kinds],
            "error": [{"type": "OperationOutcome", "url": f"{base}/errors"}] if self.export_errors else [],
        }
        return Reply(body={**manifest, **export.get("manifest", {})})

    # -- tokens --------------------------------------------------------------------------------------------------------

    def _token(self, form: dict[str, list[str]]) -> Reply:
        assert self.public_key is not None
        if form["grant_type"] != ["client_credentials"] or not form["client_assertion_type"][0].endswith("jwt-bearer"):
            return Reply(400, {"error": "unsupported_grant_type"})
        try:
            token = jwt.decode(form["client_assertion"][0], self.public_key, algorithms=["RS384", "ES384"])
            claims = token.claims
            assert token.header["kid"] == self.public_key.thumbprint()
            assert claims["iss"] == claims["sub"] == self.client_id
            assert claims["aud"] == self.token_url
            assert time.time() < claims["exp"] <= time.time() + 300
            assert claims["jti"] not in self._used
        except (JoseError, AssertionError, KeyError):
            return Reply(400, {"error": "invalid_client", "error_description": "secret 4711"})
        self._used.add(claims["jti"])
        made = f"token-{len(self.tokens) + 1}"
        self.tokens[made] = time.monotonic() + self.token_seconds
        return Reply(body={"access_token": made, "token_type": "bearer", "expires_in": 300, "scope": form["scope"][0]})

    def _is_let_in(self, headers: dict[str, str]) -> bool:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        return self.tokens.get(token, 0.0) > time.monotonic()


def _handler(stub: FhirStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = stub.answer(self.command, self.path, headers, body)
            data = (
                reply.body
                if isinstance(reply.body, bytes)
                else b""
                if reply.body is None
                else json.dumps(reply.body).encode()
            )
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/fhir+json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) - reply.cut])
            self.close_connection = self.close_connection or bool(reply.cut)

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, *_: object) -> None:
            pass

    return Handler
