"""A FHIR R4 server: searched page by page, or asked for a Bulk Data export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from etl.pull.contract import Cursor, Fetched, PullError, Remark
from etl.pull.fhir_auth import Tokens, signing_key
from etl.pull.fhir_bulk import export
from etl.pull.fhir_capabilities import Capabilities
from etl.pull.fhir_fields import Filled
from etl.pull.fhir_http import Server
from etl.pull.fhir_search import ask, search
from etl.pull.trial import remarks, try_paths
from settings import FhirSource, Settings

KIND = "fhir"

_TRIED = 50
"""Resources of each type that a check asks for."""


class FhirConnection:
    """One FHIR server."""

    def __init__(self, source: FhirSource, settings: Settings, tokens: Tokens | None) -> None:
        self._source, self._settings, self._tokens = source, settings, tokens

    def _server(self) -> Server:
        return Server(self._source, self._tokens, self._settings.limits)

    def check(self) -> Iterator[Remark]:
        """What the server says it can, whether it lets this client in, and what a page of each type would give."""
        try:
            with closing(self._server()) as server:
                told = Capabilities(server.get("metadata").json())
                yield from told.remarks(self._source)
                if self._tokens is not None:
                    yield Remark(
                        "works", f"The public key is known to the token server under the key id {self._tokens.key.kid}."
                    )
                with TemporaryDirectory(prefix="isocenter-") as folder:
                    yield from self._try_types(server, Path(folder))
                    yield from remarks(try_paths([Path(folder)], self._settings))
        except PullError as error:
            yield Remark("fails", str(error))

    def _try_types(self, server: Server, folder: Path) -> Iterator[Remark]:
        """One page of each type, left in the folder, and which of its elements are filled."""
        for kind in self._source.resources:
            try:
                page = ask(server, kind, {"_count": str(min(_TRIED, self._source.page_size))})
            except PullError as error:
                beside = (
                    " The export may have it all the same; this check cannot show what." if self._source.bulk else ""
                )
                yield Remark("missing" if self._source.bulk else "fails", f"{error}{beside}")
                continue
            (folder / f"{self._source.name}.{kind}.json").write_bytes(page.body)
            yield from Filled(kind, page.body).remarks()

    def fetch(self, cursor: Cursor, spool: Path) -> Fetched:
        """What changed since the cursor.

        Raises:
            PullError: the server cannot be asked, refuses, or does not come to an end.
        """
        mode = "bulk" if self._source.bulk else "search"
        own: Cursor = cursor.get(mode, {})
        with closing(self._server()) as server:
            fetched = export(server, own, spool) if self._source.bulk else search(server, own, spool)
        fetched.cursor = {mode: fetched.cursor}
        return fetched


def connect(source: Any, settings: Settings) -> FhirConnection:
    """A connection to the server.

    Raises:
        PullError: client_id, token_url and private_key_file do not stand together, or the key cannot be used.
    """
    named = {
        "client_id": source.client_id, "token_url": source.token_url, "private_key_file": source.private_key_file
    }  # fmt: skip
    missing = [name for name, value in named.items() if value is None]
    if len(missing) == len(named):
        return FhirConnection(source, settings, None)
    if missing:
        raise PullError(f"{source.name}: {' and '.join(missing)} is missing. SMART Backend Services need all three.")
    return FhirConnection(
        source, settings, Tokens(source, source.token_url, signing_key(source.private_key_file, source.name))
    )
