"""Who is signed in: kept on the server, so that signing out, a change of rights and the clock end a session for good.

The reader's cookie holds a random token of 256 bits; the database holds its SHA-256 alone, so a copy of the database
signs nobody in (ASVS 5.0 7.2.3, 7.3.1, 7.3.2, 7.4.1).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Engine, delete, insert, or_, select, update

from state.accounts import Account, account_by_id
from state.audit import utc_now
from state.database import writing
from state.errors import StoreBusyError
from state.tables import sessions

SEEN_STEP = timedelta(seconds=30)
"""A session's last request is written at most this often, so that reading a page seldom writes."""


@dataclass(frozen=True)
class SignedIn:
    """Whom a valid session belongs to: an account, or a person of the demo."""

    account: Account | None
    demo_person: str | None


class Sessions:
    """The sessions of one database."""

    def __init__(
        self, engine: Engine, idle: timedelta, lifetime: timedelta, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._engine = engine
        self._idle = idle
        self._lifetime = lifetime
        self._clock = clock

    def start(self, account: Account | None = None, demo_person: str | None = None) -> str:
        """A new session's token; sessions that time has ended are cleared away."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        over = or_(sessions.c.started_at < now - self._lifetime, sessions.c.seen_at < now - self._idle)
        row = {
            "token_sha256": _digest(token),
            "user_id": account.id if account else None,
            "demo_person": demo_person,
            "session_version": account.session_version if account else 0,
            "started_at": now,
            "seen_at": now,
        }
        with writing(self._engine) as connection:
            connection.execute(delete(sessions).where(over))
            connection.execute(insert(sessions).values(row))
        return token

    def find(self, token: str, *, active: bool = True) -> SignedIn | None:
        """Whom the token belongs to, now; None where the session is over, unknown, or older than a change of rights.

        Args:
            token: As the reader's cookie holds it.
            active: Whether a person acted; what a page asks by itself does not keep a session from ending.
        """
        now = self._clock()
        with self._engine.connect() as connection:
            row = connection.execute(select(sessions).where(sessions.c.token_sha256 == _digest(token))).first()
            if row is None or now - row.started_at > self._lifetime or now - row.seen_at > self._idle:
                return None
            account = account_by_id(connection, row.user_id) if row.user_id is not None else None
        if row.user_id is not None and (
            account is None or account.disabled or account.session_version != row.session_version
        ):
            return None
        if active and now - row.seen_at > SEEN_STEP:
            seen = update(sessions).where(sessions.c.token_sha256 == row.token_sha256).values(seen_at=now)
            with suppress(StoreBusyError), writing(self._engine) as connection:  # the next request writes it
                connection.execute(seen)
        return SignedIn(account, row.demo_person)

    def end(self, token: str) -> None:
        """Ends one session."""
        with writing(self._engine) as connection:
            connection.execute(delete(sessions).where(sessions.c.token_sha256 == _digest(token)))


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
