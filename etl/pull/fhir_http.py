"""Asking a FHIR server: one origin, verified TLS, a token where one is configured, and patience.

Answers 429 and 5xx, broken connections and broken answers are tried again with growing pauses, or after the time that
`Retry-After` names (RFC 9110 section 10.2.3). Links to another host are never followed with the token.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin

import httpx

from etl.pull.contract import PullError
from etl.pull.fhir_auth import Tokens, is_sealed
from etl.pull.fhir_outcome import outcome_words, told
from settings import FhirSource, Limits

FHIR_JSON = "application/fhir+json"
NDJSON = "application/fhir+ndjson"
_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
_LONGEST_PAUSE_S = 600.0
_RETRIED = frozenset((408, 425, 429, 500, 502, 503, 504))
_PIECE = 1 << 16
_TRICKLE = 10
"""How many times timeout_seconds a whole answer may take; each piece of it has timeout_seconds itself."""

Sleep = Callable[[float], None]


class RefusedError(PullError):
    """The server answers with a status that asking again does not change."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class BrokenAnswerError(Exception):
    """An answer that came, and cannot be right; asked again it may be."""


@dataclass(frozen=True)
class Answer:
    """A whole answer in memory."""

    status: int
    headers: httpx.Headers
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def server_time(self) -> datetime | None:
        """The server's clock, from the Date header."""
        return _http_time(self.headers.get("date", ""))


class Server:
    """One FHIR server."""

    def __init__(self, source: FhirSource, tokens: Tokens | None, limits: Limits, sleep: Sleep = time.sleep) -> None:
        self.source = source
        self.base = source.url.rstrip("/")
        self.tokens = tokens
        self.limits = limits
        self.sleep = sleep
        self._origin = _origin(httpx.URL(self.base))
        self._client = httpx.Client(timeout=source.timeout_seconds, follow_redirects=False)

    def close(self) -> None:
        """Closes all connections."""
        self._client.close()

    def error(self, text: str) -> PullError:
        """An error that names the source."""
        return PullError(f"{self.source.name}: {text}")

    def own(self, url: str, what: str) -> str:
        """The address in full, of this server only.

        Raises:
            PullError: it leads to another scheme, host or port.
        """
        try:
            whole = urljoin(f"{self.base}/", url)
            is_own = _origin(httpx.URL(whole)) == self._origin
        except (ValueError, httpx.InvalidURL):
            is_own = False
        if not is_own:
            raise self.error(
                f"the {what} leads to another address than url, and is not followed: the token and the question would go "
                "there. Have the server's base address corrected, or set url to the address that its links have."
            )
        return whole

    def get(self, url: str, params: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> Answer:
        """The answer of this server, tried again where that can help.

        Raises:
            PullError: the server cannot be reached, answers with an error, or with more than limits.max_message_mb.
        """
        target = self.own(url, "address")
        return self.patiently(lambda: self.once("GET", target, params, headers), url)

    def delete(self, url: str) -> None:
        """Tells this server that something is not needed any more; what it answers does not matter."""
        try:
            self.once("DELETE", self.own(url, "address"))
        except (PullError, BrokenAnswerError, httpx.HTTPError):
            return

    def patiently(self, ask: Callable[[], Answer], what: str) -> Answer:
        """Asks until there is a good answer, or the pauses are used up.

        Raises:
            PullError: as `get` does.
        """
        renewed = False
        for pause in (*_PAUSES_S, None):
            try:
                answer = ask()
            except httpx.HTTPError as error:
                trouble, wait = f"cannot be asked: {told(error)}", pause
            except BrokenAnswerError as error:
                trouble, wait = f"sends a broken answer: {error}", pause
            else:
                if answer.status < 300:
                    return answer
                if answer.status == httpx.codes.UNAUTHORIZED and self.tokens is not None and not renewed:
                    renewed = True
                    self.tokens.forget()
                    continue
                trouble = self._refusal(answer, what)
                if answer.status not in _RETRIED:
                    raise RefusedError(str(self.error(trouble)), answer.status)
                wait = None if pause is None else retry_after(answer, pause)
            if wait is None:
                break
            self.sleep(wait)
        raise self.error(f"{trouble.rstrip('.')}. It was tried {len(_PAUSES_S) + 1} times; pull again later.")

    def _refusal(self, answer: Answer, what: str) -> str:
        words = outcome_words(answer.json())
        said = f" ({words})" if words else ""
        path = httpx.URL(what).path.rsplit("/", 1)[-1] or "the address"
        text = f"answers {answer.status} for {path}{said}"
        if answer.status == httpx.codes.UNAUTHORIZED:
            return f"{text}. Check client_id, token_url and private_key_file, and ask that this client may read."
        if answer.status == httpx.codes.FORBIDDEN:
            return f"{text}. Ask that this client may read {path}, or take it out of `resources`."
        if answer.status in {httpx.codes.NOT_FOUND, httpx.codes.BAD_REQUEST, httpx.codes.METHOD_NOT_ALLOWED}:
            return f"{text}. Check url; where the server does not have {path}, take it out of `resources`."
        if 300 <= answer.status < 400:
            return f"{text}: it redirects. Set url to the address that it leads to."
        return text

    def once(
        self,
        method: str,
        url: str,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One answer of this server, whatever its status.

        Raises:
            httpx.HTTPError: the connection fails.
            PullError: no token can be had, or the answer is larger than limits.max_message_mb.
        """
        with self.stream(method, url, params, headers) as response:
            held = bytearray()
            until = time.monotonic() + _TRICKLE * self.source.timeout_seconds
            for piece in response.iter_bytes(_PIECE):
                held += piece
                if time.monotonic() > until:
                    raise httpx.ReadTimeout("the answer trickles")
                if len(held) > self.limits.max_message_mb << 20:
                    raise self.error(
                        "an answer is larger than limits.max_message_mb. Lower page_size, or raise the limit."
                    )
            return Answer(response.status_code, response.headers, bytes(held))

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        *,
        with_token: bool = True,
    ) -> Iterator[httpx.Response]:
        """An answer that is read piece by piece.

        Raises:
            httpx.HTTPError: the connection fails.
            PullError: no token can be had.
        """
        sent = {"Accept": FHIR_JSON, **(headers or {})}
        if self.tokens is not None and with_token:
            if not is_sealed(self.base):
                raise self.error("url must be https where a token is used: over http anyone on the way can read it.")
            sent["Authorization"] = f"Bearer {self.tokens.current(self._client)}"
        with self._client.stream(method, url, params=params, headers=sent) as response:
            yield response

    def allows(self, url: str, *, with_token: bool) -> bool:
        """Whether a file may be had from the address: with the token from this server alone, else over https."""
        try:
            origin = _origin(httpx.URL(url))
        except httpx.InvalidURL:
            return False
        return origin == self._origin or (not with_token and is_sealed(url))


def retry_after(answer: Answer, otherwise: float) -> float:
    """Seconds that the server asks to wait, bounded; `otherwise` where it does not say."""
    stated = answer.headers.get("retry-after", "").strip()
    if stated.isascii() and stated.isdigit():
        seconds = float(stated[:9])
    elif (at := _http_time(stated)) is not None:
        seconds = (at - (answer.server_time or datetime.now(UTC))).total_seconds()
    else:
        seconds = otherwise
    return min(max(seconds, 0.0), _LONGEST_PAUSE_S)


def _http_time(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host.lower(), url.port or {"http": 80, "https": 443}.get(url.scheme)
