"""Tells people of alerts, by mail and by webhook: numbers of alerts and exams, never an identifier of a patient.

Every attempt is noted; what did not arrive is sent with the next run.
"""

from __future__ import annotations

import hmac
import json
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import httpx

from insights.dose.evidence import Evidence
from settings import Alerting, Mail, SettingsError, Webhook, secret_text
from state.alerts import Alert, Alerts

SEVERITIES = {3: "act today", 2: "review", 1: "look"}
SIGNATURE = "X-Isocenter-Signature"
MOST_LINES = 50


def send(kept: Alerts, settings: Alerting) -> list[str]:
    """Sends what was not sent yet through every configured way; what went wrong, in words."""
    wrong = []
    if settings.mail is not None and (waiting := kept.unsent("mail", settings.least_severity)):
        wrong += _noted(kept, waiting, "mail", ", ".join(settings.mail.recipients), _mailed(waiting, settings))
    if settings.webhook is not None and (waiting := kept.unsent("webhook", settings.least_severity)):
        wrong += _noted(kept, waiting, "webhook", settings.webhook.url, _posted(waiting, settings))
    return wrong


def _noted(kept: Alerts, sent: Sequence[Alert], channel: str, recipient: str, error: str | None) -> list[str]:
    kept.note_delivery(sent, "mail" if channel == "mail" else "webhook", recipient[:255], error)
    return [f"{len(sent)} alerts were not sent by {channel} to {recipient}: {error}"] if error else []


def _mailed(waiting: Sequence[Alert], settings: Alerting) -> str | None:
    assert settings.mail is not None
    try:
        _deliver(_message(waiting, settings, settings.mail), settings.mail)
    except (OSError, smtplib.SMTPException, SettingsError) as error:
        return f"{type(error).__name__}: {error}"[:500]
    return None


def _message(waiting: Sequence[Alert], settings: Alerting, mail: Mail) -> EmailMessage:
    today = sum(one.severity == 3 for one in waiting)
    message = EmailMessage()
    message["Subject"] = f"Isocenter: {len(waiting)} dose alerts" + (f", {today} to act on today" if today else "")
    message["From"], message["To"] = mail.sender, ", ".join(mail.recipients)
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="isocenter.invalid")
    message["Auto-Submitted"] = "auto-generated"
    lines = [_line(one, settings.link) for one in waiting[:MOST_LINES]]
    if len(waiting) > MOST_LINES:
        lines.append(f"and {len(waiting) - MOST_LINES} more in the inbox.")
    message.set_content("\n\n".join([*lines, "Reviewing and closing them is done in the pages, not by answering."]))
    return message


def _line(one: Alert, link: str | None) -> str:
    text = f"Case {one.id} ({SEVERITIES[one.severity]}), {one.happened_on.isoformat()}, {one.site_code}: {Evidence.of_json(one.evidence).text}"
    return f"{text}\n{link.rstrip('/')}/dose/case?alert={one.id}" if link else text


def _deliver(message: EmailMessage, mail: Mail) -> None:
    context = ssl.create_default_context()
    if mail.security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(mail.host, mail.port, timeout=mail.timeout_seconds, context=context)
    else:
        server = smtplib.SMTP(mail.host, mail.port, timeout=mail.timeout_seconds)
    with server:
        if mail.security == "starttls":
            server.starttls(context=context)
        if mail.username:
            server.login(mail.username, secret_text(mail.password, "alerts.mail.password"))
        server.send_message(message)


def _posted(waiting: Sequence[Alert], settings: Alerting) -> str | None:
    assert settings.webhook is not None
    body = json.dumps({"alerts": [_as_json(one, settings.link) for one in waiting]}, sort_keys=True).encode()
    try:
        headers = {"Content-Type": "application/json", **_signature(body, settings.webhook)}
        answer = httpx.post(
            settings.webhook.url, content=body, headers=headers, timeout=settings.webhook.timeout_seconds
        )
        answer.raise_for_status()
    except (httpx.HTTPError, SettingsError) as error:
        return f"{type(error).__name__}: {error}"[:500]
    return None


def _signature(body: bytes, webhook: Webhook) -> dict[str, str]:
    if webhook.secret is None:
        return {}
    key = secret_text(webhook.secret, "alerts.webhook.secret").encode()
    return {SIGNATURE: f"sha256={hmac.new(key, body, 'sha256').hexdigest()}"}


def _as_json(one: Alert, link: str | None) -> dict[str, object]:
    return {
        "case": one.id,
        "severity": one.severity,
        "rule": one.rule,
        "about": one.subject_kind,
        "day": one.happened_on.isoformat(),
        "site": one.site_code,
        "modality": one.modality,
        "text": Evidence.of_json(one.evidence).text,
        "link": f"{link.rstrip('/')}/dose/case?alert={one.id}" if link else None,
    }
