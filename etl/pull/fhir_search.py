"""Paged search: one resource type after the other, each page a file of the spool.

FHIR R4 section 3.1.1 (search), `_lastUpdated`, `_count`, and `Bundle.link` with relation `next`. Of each type the cursor
keeps where its last complete search began on the server's clock, less the overlap; and of a search that is not at its
end the next page.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from etl.pull.contract import Cursor, Fetched
from etl.pull.fhir_http import Answer, BrokenAnswerError, RefusedError, Server

logger = logging.getLogger(__name__)

ROUND_PAGES = 200
"""Pages after which a pull stops to load what it has, so that the spool stays bounded."""
_FORGOTTEN = frozenset((404, 410))
_UNKNOWN = frozenset((404, 405, 501))
"""Answers of a server that does not have a type of resource: the others are pulled all the same."""
_MOST_RESTARTS = 2
"""Of one search: a server that forgets sooner than its pages can be loaded would be asked for ever."""


class Page(NamedTuple):
    """One page of a search."""

    body: bytes
    entries: int
    next_url: str
    """Empty at the end."""
    server_time: datetime


def search(server: Server, cursor: Cursor, spool: Path) -> Fetched:
    """The next pages: of the search that is under way, and of the types that this pull has not asked for yet.

    Raises:
        PullError: the server cannot be asked, or a link leads elsewhere.
    """
    since: dict[str, str] = dict(cursor.get("since", {}))
    done: list[str] = list(cursor.get("done", []))
    under_way: dict[str, Any] = cursor.get("open", {})
    fetched = Fetched()
    for kind in server.source.resources:
        if kind in done:
            continue
        pages = _Pages(server, kind, since.get(kind), under_way if under_way.get("kind") == kind else {})
        try:
            _take(pages, fetched, spool)
        except RefusedError as error:
            if error.status not in _UNKNOWN or pages.number:
                raise
            logger.warning("%s is left out: %s", kind, error)
        else:
            if pages.is_open:
                fetched.cursor = {"since": since, "done": done, "open": pages.state()}
                fetched.is_complete = False
                return fetched
            since[kind] = pages.began
        done.append(kind)
    if not any(kind in since for kind in server.source.resources):
        raise server.error("the server has none of `resources`. Check that url is the base of a FHIR R4 server.")
    fetched.cursor = {"since": since}
    return fetched


def _take(pages: _Pages, fetched: Fetched, spool: Path) -> None:
    """Writes the pages of one type into the spool, as many as a round may have."""
    while pages.is_open and fetched.files < ROUND_PAGES:
        page = pages.next()
        if page.entries:
            (spool / f"{pages.name}-{pages.number:06d}.json").write_bytes(page.body)
            fetched.files += 1
            fetched.records += page.entries


class _Pages:
    """The pages of one type's search."""

    def __init__(self, server: Server, kind: str, since: str | None, state: dict[str, Any]) -> None:
        self._server, self._kind = server, kind
        self.name = f"{server.source.name}.{kind}"
        self._params = {"_count": str(server.source.page_size)} | ({"_lastUpdated": f"ge{since}"} if since else {})
        self._next: str = state.get("next", "")
        self.began: str = state.get("began", "")
        """Where the next pull's search begins; empty before the first page."""
        self.number: int = state.get("number", 0)
        self._restarts: int = state.get("restarts", 0)
        self._seen: set[str] = set()
        self.is_open = True

    def state(self) -> dict[str, Any]:
        """What the cursor keeps of a search that goes on."""
        return {
            "kind": self._kind,
            "next": self._next,
            "began": self.began,
            "number": self.number,
            "restarts": self._restarts,
        }

    def next(self) -> Page:
        """The next page."""
        page = self._further() if self._next else ask(self._server, self._kind, self._params)
        if not self.began:
            overlap = timedelta(minutes=self._server.source.overlap_minutes)
            self.began = (page.server_time - overlap).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._seen.add(self._next)
        if page.next_url in self._seen - {""}:
            raise self._server.error(f"the pages of {self._kind} lead back to one before. Report it to the vendor.")
        self.number += 1
        self._next, self.is_open = page.next_url, bool(page.next_url)
        return page

    def _further(self) -> Page:
        """A further page. A search that the server has forgotten is begun again; what came before is then a duplicate."""
        try:
            return ask(self._server, self._next, None)
        except RefusedError as error:
            if error.status not in _FORGOTTEN or self._restarts >= _MOST_RESTARTS:
                raise
            self._restarts += 1
            self.began, self._next = "", ""
            self._seen.clear()
            return ask(self._server, self._kind, self._params)


def ask(server: Server, url: str, params: dict[str, str] | None) -> Page:
    """One page of a search.

    Raises:
        PullError: the server cannot be asked, or does not answer with a page.
    """
    target = server.own(url, "link to the next page")
    found: list[Page] = []

    def once() -> Answer:
        answer = server.once("GET", target, params)
        if answer.status < 300:
            found.append(_page(answer))
        return answer

    server.patiently(once, url)
    return found[-1]


def _page(answer: Answer) -> Page:
    bundle = answer.json()
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise BrokenAnswerError("it is no Bundle, or was cut")
    entries, links = bundle.get("entry", []), bundle.get("link", [])
    if not isinstance(entries, list) or not isinstance(links, list):
        raise BrokenAnswerError("its Bundle has no list of entries or links")
    further = [link.get("url") for link in links if isinstance(link, dict) and link.get("relation") == "next"]
    url = next((one for one in further if isinstance(one, str)), "")
    return Page(answer.body, len(entries), url, answer.server_time or datetime.now(UTC))
