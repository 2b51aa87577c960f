"""Alerts by mail and webhook, to real local servers; what does not arrive is sent again, and no identifier leaves."""

from __future__ import annotations

import hmac
import json
import socket
import threading
from collections.abc import Iterator
from datetime import date
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from insights.dose.evidence import Evidence
from insights.dose.sending import SIGNATURE, send
from settings import Alerting, Mail, Webhook
from state.alerts import Alerts, Raised
from state.database import open_state

EVIDENCE = Evidence(
    "dlp_mgycm", "mGy·cm", 800.0, "DLP 800 mGy·cm is 2.7 times what patients like this one get", "Far above"
)


class Inbox:
    """Keeps what arrives; refuses while told so."""

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.refuses = False

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.refuses:
            return "451 Not now"
        self.letters.append(message_from_bytes(envelope.content, policy=default))
        return "250 Taken"


@pytest.fixture
def mail() -> Iterator[tuple[Inbox, Mail]]:
    inbox = Inbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield inbox, Mail(host="127.0.0.1", port=port, security="none", sender="isocenter@example.org", recipients=("rso@example.org",), timeout_seconds=5)  # fmt: skip
    controller.stop()


@pytest.fixture
def kept(tmp_path: Path) -> Alerts:
    alerts = Alerts(open_state(tmp_path / "state.sqlite"))
    alerts.keep(
        Raised(f"group|{number}", "group", "group", severity, "exam", str(number), number, "NORTH", "CT", "ct1", 7, date(2026, 11, 20), EVIDENCE.as_json())
        for number, severity in ((1, 3), (2, 1))
    )  # fmt: skip
    return alerts


def test_a_letter_names_the_grave_alerts_once(mail: tuple[Inbox, Mail], kept: Alerts) -> None:
    inbox, server = mail
    settings = Alerting(mail=server, link="https://pages.example.org/")
    assert send(kept, settings) == []
    assert send(kept, settings) == []
    (letter,) = inbox.letters
    assert letter["Subject"] == "Isocenter: 1 dose alerts, 1 to act on today"
    text = letter.get_content()
    assert "2.7 times" in text
    assert "https://pages.example.org/dose/case?alert=1" in text
    assert "Case 2" not in text


def test_what_was_refused_is_sent_with_the_next_run(mail: tuple[Inbox, Mail], kept: Alerts) -> None:
    inbox, server = mail
    settings = Alerting(mail=server, least_severity=1)
    inbox.refuses = True
    (said,) = send(kept, settings)
    assert "2 alerts were not sent by mail" in said
    inbox.refuses = False
    assert send(kept, settings) == []
    assert len(inbox.letters) == 1


def test_a_server_that_is_away_is_said_so(kept: Alerts) -> None:
    server = Mail(host="127.0.0.1", port=9, security="none", sender="a@example.org", recipients=("b@example.org",), timeout_seconds=2)  # fmt: skip
    (said,) = send(kept, Alerting(mail=server))
    assert "ConnectionRefusedError" in said


@pytest.fixture
def hook() -> Iterator[tuple[list[tuple[dict[str, str], bytes]], str]]:
    got: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path == "/broken" else 204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield got, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_webhook_gets_json_signed_with_the_secret(
    hook: tuple[list[tuple[dict[str, str], bytes]], str], kept: Alerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    got, address = hook
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    settings = Alerting(webhook=Webhook(url=address, secret="env:HOOK_SECRET"), least_severity=1)  # type: ignore[arg-type]
    assert send(kept, settings) == []
    ((headers, body),) = got
    assert headers[SIGNATURE] == "sha256=" + hmac.new(b"s3cret", body, "sha256").hexdigest()
    alerts = json.loads(body)["alerts"]
    assert [one["case"] for one in alerts] == [1, 2]
    assert set(alerts[0]) == {"case", "severity", "rule", "about", "day", "site", "modality", "text", "link"}


def test_a_webhook_that_fails_or_has_no_secret_is_tried_again(
    hook: tuple[list[tuple[dict[str, str], bytes]], str], kept: Alerts
) -> None:
    _, address = hook
    (said,) = send(kept, Alerting(webhook=Webhook(url=f"{address}/broken")))
    assert "500" in said
    (said,) = send(kept, Alerting(webhook=Webhook(url=address, secret="env:NO_SUCH_VARIABLE")))  # type: ignore[arg-type]
    assert "NO_SUCH_VARIABLE" in said
    assert send(kept, Alerting(webhook=Webhook(url=address))) == []
