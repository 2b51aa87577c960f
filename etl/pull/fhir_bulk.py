"""Bulk Data export: the server writes NDJSON files, which are downloaded one by one.

HL7 Bulk Data Access 2.0: kick-off (`Prefer: respond-async`), status polled until the manifest comes, files downloaded,
export deleted. `_since` is the `transactionTime` of the last export, so nothing is missed and nothing overlaps.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson

from etl.pull.contract import Cursor, Fetched
from etl.pull.fhir_http import FHIR_JSON, NDJSON, Answer, BrokenAnswerError, Server, retry_after
from etl.pull.fhir_outcome import outcome_words

logger = logging.getLogger(__name__)

EXPORT_SECONDS = 6 * 3600.0
"""How long an export may take."""
_POLL_S = (1.0, 2.0, 5.0, 10.0, 30.0)
_LONGEST_POLL_S = 60.0
_MOST_ERRORS = 1000
_SEVERE = frozenset(("fatal", "error", "warning"))


class Manifest(NamedTuple):
    """What an export made."""

    transaction_time: str
    needs_token: bool
    output: list[tuple[str, str]]
    """Type and address of each file."""
    errors: list[str]
    """Addresses of files with what could not be exported."""


def export(server: Server, cursor: Cursor, spool: Path) -> Fetched:
    """Everything that changed since the last export.

    Raises:
        PullError: the export is refused, fails or takes too long, or a file cannot be had.
    """
    status_url = _kick_off(server, cursor.get("since"))
    try:
        manifest = _manifest(server, _finished(server, status_url))
        fetched = Fetched(cursor={"since": manifest.transaction_time})
        for number, (kind, url) in enumerate(manifest.output, 1):
            fetched.records += _download(
                server, url, manifest, spool / f"{server.source.name}.{kind}-{number:06d}.ndjson"
            )
            fetched.files += 1
        _tell_errors(server, manifest, spool)
    finally:
        server.delete(status_url)
    return fetched


def _kick_off(server: Server, since: str | None) -> str:
    """The address under which the export's state is told."""
    source = server.source
    path = f"Group/{source.group}/$export" if source.group else "$export"
    params = {"_outputFormat": NDJSON, "_type": ",".join(source.resources)} | ({"_since": since} if since else {})
    answer = server.get(path, params, {"Accept": FHIR_JSON, "Prefer": "respond-async"})
    where = answer.headers.get("content-location", "")
    if answer.status != httpx.codes.ACCEPTED or not where:
        raise server.error(
            f"answers {answer.status} to $export without saying where its state is told (Content-Location). Ask the vendor "
            "for Bulk Data Access 2.0, or set bulk = false."
        )
    return server.own(where, "export's status")


def _finished(server: Server, url: str) -> Any:
    """The manifest, once the export is complete."""
    waited = 0.0
    for pause in _polls():
        answer = server.get(url, None, {"Accept": "application/json"})
        if answer.status == httpx.codes.OK:
            return answer.json()
        if waited >= EXPORT_SECONDS:
            break
        wait = max(retry_after(answer, pause), 0.05)
        server.sleep(wait)
        waited += wait
    raise server.error("the export was not complete after six hours. Export a smaller group, or fewer `resources`.")


def _polls() -> Iterator[float]:
    yield from _POLL_S
    while True:
        yield _LONGEST_POLL_S


def _manifest(server: Server, body: Any) -> Manifest:
    told = body if isinstance(body, dict) else {}
    time, output, errors = told.get("transactionTime"), told.get("output"), told.get("error", [])
    if not isinstance(time, str) or not isinstance(output, list) or not isinstance(errors, list):
        raise server.error("the export's manifest lacks transactionTime or output. Report it to the vendor.")
    files = [
        (one["type"], one["url"])
        for one in output
        if isinstance(one, dict) and _is_name(one.get("type")) and isinstance(one.get("url"), str)
    ]
    if len(files) != len(output):
        raise server.error("the export's manifest lists a file without type or url. Report it to the vendor.")
    broken = [one.get("url") for one in errors if isinstance(one, dict)]
    return Manifest(
        time, told.get("requiresAccessToken") is not False, files, [url for url in broken if isinstance(url, str)]
    )


def _is_name(kind: Any) -> bool:
    """Whether it can be a resource type, and so part of a file's name."""
    return isinstance(kind, str) and kind.isascii() and kind.isalpha() and len(kind) <= 40


def _download(server: Server, url: str, manifest: Manifest, file: Path) -> int:
    """Writes one file of the export; the number of its lines."""
    if not server.allows(url, with_token=manifest.needs_token and server.tokens is not None):
        raise server.error(
            "a file of the export lies at another address than url, and is not fetched: the token would go there, or the file "
            "would come unencrypted. Have the server give its files under its own address."
        )
    lines = [0]

    def once() -> Answer:
        lines[0] = 0
        with (
            server.stream("GET", url, None, {"Accept": NDJSON}, with_token=manifest.needs_token) as response,
            file.open("wb") as out,
        ):
            if response.status_code >= 300:
                return Answer(response.status_code, response.headers, response.read())
            last = b"\n"
            for piece in response.iter_bytes(1 << 20):
                lines[0] += piece.count(b"\n")
                out.write(piece)
                if out.tell() > server.limits.max_file_mb << 20:
                    raise server.error(
                        "a file of the export is larger than limits.max_file_mb. Raise the limit, or export a smaller group."
                    )
                last = piece[-1:] or last
            lines[0] += last != b"\n"
        if "html" in response.headers.get("content-type", ""):
            raise BrokenAnswerError("it is a page of HTML and no NDJSON")
        return Answer(response.status_code, response.headers, b"")

    try:
        server.patiently(once, url)
    except Exception:
        file.unlink(missing_ok=True)
        raise
    return lines[0]


def _tell_errors(server: Server, manifest: Manifest, spool: Path) -> None:
    """Says in the log what the server could not export; the rest is loaded."""
    found: dict[str, int] = {}
    for url in manifest.errors:
        file = spool.with_name("export-errors.ndjson")
        try:
            _download(server, url, manifest, file)
            with file.open("rb") as lines:
                for number, line in enumerate(lines):
                    if number < _MOST_ERRORS and (words := _words(line)):
                        found[words] = found.get(words, 0) + 1
        finally:
            file.unlink(missing_ok=True)
    for words, number in found.items():
        logger.warning("%s: the export left something out, %d times: %s", server.source.name, number, words)


def _words(line: bytes) -> str:
    try:
        return outcome_words(orjson.loads(line), _SEVERE)
    except ValueError:
        return ""
