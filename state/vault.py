"""The identity vault: pseudonym to identifier, each sealed with AES-256-GCM, in a file of its own.

Only the pseudonym stands in clear, for the look-up. Each opening needs a reason and is audited before the identity
is handed out. A value is bound to its pseudonym, so that two rows cannot be exchanged.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from state.audit import AuditTrail
from state.database import BUSY_TIMEOUT_SECONDS
from state.errors import MissingError, PermanentError, SealedError, StoreBusyError
from state.identity import Identity

NONCE_BYTES = 12
_JSON = json.JSONEncoder(ensure_ascii=False)
_CREATE = """
CREATE TABLE IF NOT EXISTS identities (
    pseudonym TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    named INTEGER NOT NULL,
    sealed BLOB NOT NULL
) WITHOUT ROWID, STRICT
"""
# The first written form stays, until one comes that also carries the name.
_REMEMBER = """
INSERT INTO identities VALUES (?, ?, ?, ?) ON CONFLICT (pseudonym) DO UPDATE
SET sealed = excluded.sealed, named = 1 WHERE named = 0 AND excluded.named = 1
"""


class Vault:
    """The vault in one SQLite file."""

    def __init__(self, file: Path, key: bytes) -> None:
        self._file = file
        self._cipher = AESGCM(key)

    def remember(self, identities: Iterable[Identity]) -> None:
        """Keeps the identities; those that are known already change nothing.

        Raises:
            StoreBusyError: another process held the vault for longer than the busy timeout; nothing was kept.
        """
        unique: dict[str, Identity] = {}
        for identity in identities:
            known = unique.get(identity.pseudonym)
            if known is None or (known.name is None and identity.name is not None):
                unique[identity.pseudonym] = identity
        if not unique:
            return
        with self._opened() as connection:
            known_names = _known(connection, unique)
            new = (item for item in unique.values() if (item.name is not None) > known_names.get(item.pseudonym, -1))
            connection.executemany(_REMEMBER, (self._row(identity) for identity in new))

    def reveal(self, pseudonym: str, *, reason: str, actor: str, audit: AuditTrail) -> Identity:
        """The identity behind the pseudonym; the opening and its reason are audited first.

        Raises:
            PermanentError: no reason was given.
            MissingError: the vault does not know the pseudonym.
            SealedError: the sealed value was changed, or sealed with another key.
        """
        if len(reason.strip()) < 3:
            raise PermanentError("State the reason for opening an identity; it is kept in the audit.")
        audit.append(actor, "identity-opened", pseudonym, {"reason": reason.strip()})
        with self._opened() as connection:
            row = connection.execute("SELECT kind, sealed FROM identities WHERE pseudonym = ?", (pseudonym,)).fetchone()
        if row is None:
            raise MissingError(f"The vault knows no identity for pseudonym {pseudonym}.")
        kind, sealed = row
        try:
            opened = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(kind, pseudonym))
        except (InvalidTag, ValueError) as error:
            raise SealedError(
                f"The vault's value for pseudonym {pseudonym} does not open: it was changed, or sealed with another "
                "key. Restore the vault from your backup."
            ) from error
        original, name = json.loads(opened)
        return Identity(kind, pseudonym, original, name)

    def count(self) -> int:
        """How many identities are kept."""
        with self._opened() as connection:
            return int(connection.execute("SELECT count(*) FROM identities").fetchone()[0])

    def _row(self, identity: Identity) -> tuple[str, str, int, bytes]:
        nonce = secrets.token_bytes(NONCE_BYTES)
        content = _JSON.encode([identity.original, identity.name]).encode("utf-8", "surrogatepass")
        sealed = nonce + self._cipher.encrypt(nonce, content, _bound(identity.kind, identity.pseudonym))
        return identity.pseudonym, identity.kind, int(identity.name is not None), sealed

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """One connection and one transaction."""
        if not self._file.exists():
            self._file.touch(mode=0o600)
        with closing(sqlite3.connect(self._file, timeout=BUSY_TIMEOUT_SECONDS)) as connection:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute(_CREATE)
                with connection:
                    yield connection
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                raise StoreBusyError(
                    f"Not saved: the vault was busy for {BUSY_TIMEOUT_SECONDS} seconds. Try again."
                ) from error


def _bound(kind: str, pseudonym: str) -> bytes:
    return f"{kind}:{pseudonym}".encode()


def _known(connection: sqlite3.Connection, wanted: Iterable[str]) -> dict[str, int]:
    """Which of the pseudonyms are kept, and whether (1) or not (0) with a name."""
    rows = connection.execute(
        "SELECT pseudonym, named FROM identities WHERE pseudonym IN (SELECT value FROM json_each(?))",
        (json.dumps(list(wanted)),),
    )
    return dict(rows.fetchall())
