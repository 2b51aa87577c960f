"""Who did what, when: an append-only chain in which every row seals all the rows before it.

Each row carries an HMAC-SHA-256 over its own fields and the hash of the row before, made with a key that is not in the
database: a changed, removed or inserted row breaks the chain, and nobody with the database alone can mend it. Rows cut
off the end leave a whole chain; so each append also logs its number and hash, for a log server to keep.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Engine, Row, desc, insert, select
from sqlalchemy.exc import IntegrityError

from state.database import writing
from state.errors import StoreBusyError
from state.tables import audit

logger = logging.getLogger(__name__)

FIRST_HASH = "0" * 64
"""What the first row names as the hash before it."""
TRIES = 5

Detail = Mapping[str, str | int | float | bool | list[str] | None]
"""What else is worth keeping; never an identifier, a password or a token."""


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def plain(text: str, length: int) -> str:
    """Text on one line: control, format and separator characters escaped, cut to the length."""
    escaped = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
    return escaped if len(escaped) <= length else escaped[: length - 1] + "…"


@dataclass(frozen=True)
class Entry:
    """One row of the audit."""

    seq: int
    at: datetime
    actor: str
    action: str
    target: str
    detail: str
    previous_hash: str
    hash: str

    def expected_hash(self, key: bytes) -> str:
        """The hash that this row must carry."""
        fields = [
            self.seq,
            self.at.isoformat(timespec="microseconds"),
            self.actor,
            self.action,
            self.target,
            self.detail,
            self.previous_hash,
        ]
        return hmac.new(key, json.dumps(fields, ensure_ascii=True).encode(), sha256).hexdigest()


@dataclass(frozen=True)
class AuditTrail:
    """The audit of one database."""

    engine: Engine
    key: bytes = field(repr=False)
    clock: Callable[[], datetime] = utc_now

    def append(
        self,
        actor: str,
        action: str,
        target: str = "",
        detail: Detail | None = None,
        also: Callable[[Connection, int], None] = lambda _connection, _seq: None,
    ) -> int:
        """Adds one row and returns its number.

        Args:
            also: writes, in the same transaction, what the row speaks of; it gets the row's number. Either both are
                kept or none.

        Raises:
            StoreBusyError: other processes appended all the time; nothing was added.
        """
        for _ in range(TRIES):
            try:
                return self._append_once(actor, action, target, detail or {}, also)
            except IntegrityError:  # another process took the number first (PostgreSQL; SQLite waits instead)
                continue
        raise StoreBusyError(f"Not saved: the audit was busy {TRIES} times in a row. Try again.")

    def _append_once(
        self, actor: str, action: str, target: str, detail: Detail, also: Callable[[Connection, int], None]
    ) -> int:
        with writing(self.engine) as connection:
            last = connection.execute(select(audit.c.seq, audit.c.hash).order_by(desc(audit.c.seq)).limit(1)).first()
            unsealed = Entry(
                seq=last.seq + 1 if last else 1,
                at=self.clock(),
                actor=plain(actor, 64),
                action=plain(action, 64),
                target=plain(target, 255),
                detail=json.dumps({key: _plain_value(value) for key, value in sorted(detail.items())}),
                previous_hash=last.hash if last else FIRST_HASH,
                hash="",
            )
            row = vars(unsealed) | {"hash": unsealed.expected_hash(self.key)}
            connection.execute(insert(audit).values(row))
            also(connection, unsealed.seq)
        logger.info("audit %d %s %s %s", row["seq"], row["action"], row["actor"], row["hash"])
        return unsealed.seq

    def verify_chain(self) -> int | None:
        """The number of the first row that is changed, missing or out of place; None where the chain is whole."""
        previous_hash, expected_seq = FIRST_HASH, 1
        with self.engine.connect() as connection:
            for row in connection.execute(select(audit).order_by(audit.c.seq)).yield_per(1000):
                entry = _entry(row)
                whole = (
                    entry.seq == expected_seq
                    and entry.previous_hash == previous_hash
                    and hmac.compare_digest(entry.hash, entry.expected_hash(self.key))
                )
                if not whole:
                    return expected_seq
                previous_hash, expected_seq = entry.hash, entry.seq + 1
        return None

    def head(self) -> Entry | None:
        """The last row: write its number and hash down elsewhere, and rows cut off the end show."""
        return next(iter(self.latest(1)), None)

    def latest(self, count: int = 100, action: str | None = None) -> list[Entry]:
        """The last rows, newest first, of one action where it is named."""
        query = select(audit).order_by(desc(audit.c.seq)).limit(count)
        if action is not None:
            query = query.where(audit.c.action == action)
        with self.engine.connect() as connection:
            return [_entry(row) for row in connection.execute(query)]


def _plain_value(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value, 500)
    if isinstance(value, list):
        return [plain(str(item), 100) for item in value[:100]]
    return value


def _entry(row: Row[Any]) -> Entry:
    return Entry(**row._mapping)
