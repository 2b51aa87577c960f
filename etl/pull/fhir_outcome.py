"""What a FHIR server says went wrong, in words that identify nobody.

FHIR R4 OperationOutcome: the issue's code is put into words; its free text is shown without anything that has a digit
or an address in it, for servers write record numbers and resource ids there.
"""

from __future__ import annotations

import re
from typing import Any

import httpx

_WORDS = {
    "invalid": "the content is invalid",
    "structure": "the structure is wrong",
    "required": "something required is missing",
    "value": "a value is not allowed",
    "invariant": "a rule of the server is broken",
    "security": "access is refused",
    "login": "a login is needed",
    "unknown": "the user is not known",
    "expired": "the login has expired",
    "forbidden": "the account may not do this",
    "suppressed": "some information was held back",
    "processing": "the server could not process it",
    "not-supported": "the server does not support it",
    "duplicate": "it exists already",
    "multiple-matches": "several records match",
    "not-found": "it was not found",
    "deleted": "it was deleted",
    "too-long": "it is too long",
    "code-invalid": "a code is not known",
    "business-rule": "a rule of the server forbids it",
    "conflict": "it conflicts with another change",
    "transient": "the server is busy",
    "lock-error": "the record is locked",
    "no-store": "the server has no storage at the moment",
    "exception": "the server failed",
    "timeout": "the server ran out of time",
    "incomplete": "the answer is not complete",
    "throttled": "too many requests",
    "too-costly": "the question is too large for the server",
}
"""Value set issue-type."""
_ERRORS = frozenset(("fatal", "error"))
_REVEALING = re.compile(r"\S*[\d@]\S*")
_LONGEST = 160


def outcome_words(body: Any, severities: frozenset[str] = _ERRORS) -> str:
    """The issues of an OperationOutcome in words; empty where it is none or has none of these severities."""
    if not isinstance(body, dict) or body.get("resourceType") != "OperationOutcome":
        return ""
    issues = body.get("issue")
    found = [
        _issue(issue)
        for issue in (issues if isinstance(issues, list) else [])
        if isinstance(issue, dict) and issue.get("severity") in severities
    ]
    return "; ".join(dict.fromkeys(found))


def _issue(issue: dict[str, Any]) -> str:
    code = issue.get("code")
    words = _WORDS.get(code, "something is wrong") if isinstance(code, str) else "something is wrong"
    details = issue.get("details")
    texts = (details.get("text") if isinstance(details, dict) else None, issue.get("diagnostics"))
    text = next((one for one in texts if isinstance(one, str) and one.strip()), "")
    plain = " ".join(_REVEALING.sub("…", "".join(char if char.isprintable() else " " for char in text)).split())
    return f"{words}: {plain[:_LONGEST]}" if plain.strip("… ") else words


def told(error: httpx.HTTPError) -> str:
    """A fault of the connection in words, with what to do."""
    text = str(error)
    if "CERTIFICATE" in text.upper():
        return (
            "its certificate is not trusted. Have the certificate renewed, or name the hospital's authority in the "
            "environment variable SSL_CERT_FILE; certificates are always verified."
        )
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time. Check the network, or raise timeout_seconds."
    if isinstance(error, httpx.ConnectError):
        return "no connection. Check url, name resolution and the firewall."
    return f"the connection broke ({type(error).__name__}). Try again; if it stays, ask the server's administrator."
