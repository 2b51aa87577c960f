"""Local accounts: made, changed, and proven by a password."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from sqlalchemy import Connection, Engine, Row, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from state.audit import AuditTrail, utc_now
from state.database import writing
from state.errors import AccountError
from state.passwords import HASHER, MAX_LENGTH, check_password, prepared
from state.roles import Role
from state.tables import users

USERNAME = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")
RIGHTS = ("roles", "sites", "departments")
MAX_FAILURES = 5
LOCK_MINUTES = 15


@dataclass(frozen=True)
class Account:
    """One account, without its password."""

    id: int
    username: str
    display_name: str
    roles: tuple[Role, ...]
    sites: tuple[str, ...] | None
    """Site codes that may be seen; None is all of them."""
    departments: tuple[str, ...] | None
    """Ordering departments that may be seen; None is all of them."""
    disabled: bool
    session_version: int
    locked_until: datetime | None
    created_at: datetime


class Accounts:
    """The accounts of one database; every change is audited."""

    def __init__(
        self,
        engine: Engine,
        audit: AuditTrail,
        clock: Callable[[], datetime] = utc_now,
        hasher: PasswordHasher = HASHER,
    ) -> None:
        self._engine = engine
        self._audit = audit
        self._clock = clock
        self._hasher = hasher
        self._nobodys_hash = hasher.hash("nobody has this password")

    def create(
        self,
        actor: str,
        username: str,
        password: str,
        roles: Iterable[Role],
        *,
        display_name: str = "",
        sites: Iterable[str] | None = None,
        departments: Iterable[str] | None = None,
    ) -> Account:
        """A new account.

        Raises:
            AccountError: the name is taken or cannot be used, a role is missing, or the password is refused.
        """
        name = username.strip().lower()
        if not USERNAME.fullmatch(name):
            raise AccountError(
                f"The user name {username!r} cannot be used: 2 to 64 of a-z, 0-9, dot, dash, underscore and @."
            )
        granted = _roles(roles)
        check_password(password, name)
        row: dict[str, Any] = {
            "username": name,
            "display_name": display_name.strip() or name,
            "roles": [role.value for role in granted],
            "sites": _limited(sites),
            "departments": _limited(departments),
            "password_hash": self._hasher.hash(prepared(password)),
            "created_at": self._clock(),
        }
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(users).values(row))
        except IntegrityError as error:
            raise AccountError(f"The user name {name!r} is taken. Choose another one.") from error
        self._audit.append(actor, "account-created", name, {name: row[name] for name in RIGHTS})
        return self.named(name)

    def verify(self, username: str, password: str) -> Account | None:
        """The account whose name and password these are; None where they are not, or it is locked or disabled.

        The time taken tells nothing: an unknown name costs the same hashing as a known one. Five failures in a row
        lock an account for a quarter of an hour.
        """
        name = username.strip().lower()
        with self._engine.connect() as connection:
            row = connection.execute(select(users).where(users.c.username == name)).first()
        right = self._matches(row.password_hash if row else self._nobodys_hash, password)
        if row is None:
            return None
        if row.locked_until is not None and row.locked_until > self._clock():
            return None
        if not right:
            self._count_failure(row)
            return None
        if row.disabled:
            return None
        values: dict[str, Any] = {"failed_attempts": 0, "locked_until": None}
        if self._hasher.check_needs_rehash(row.password_hash):
            values["password_hash"] = self._hasher.hash(prepared(password))
        # Asked again in the transaction: guesses sent side by side must not outrun the lock.
        unlocked = or_(users.c.locked_until.is_(None), users.c.locked_until <= self._clock())
        with writing(self._engine) as connection:
            signed_in = connection.execute(update(users).where(users.c.id == row.id, unlocked).values(values))
        return _account(row) if signed_in.rowcount == 1 else None

    def _matches(self, stored: str, password: str) -> bool:
        if len(password) > 4 * MAX_LENGTH:
            return False
        try:
            return self._hasher.verify(stored, prepared(password))
        except (Argon2Error, InvalidHashError):
            return False

    def _count_failure(self, row: Row[Any]) -> None:
        with writing(self._engine) as connection:
            connection.execute(
                update(users).where(users.c.id == row.id).values(failed_attempts=users.c.failed_attempts + 1)
            )
            failures = connection.execute(select(users.c.failed_attempts).where(users.c.id == row.id)).scalar_one()
            locks = failures >= MAX_FAILURES
            if locks:
                until = self._clock() + timedelta(minutes=LOCK_MINUTES)
                connection.execute(
                    update(users).where(users.c.id == row.id).values(failed_attempts=0, locked_until=until)
                )
        if locks:
            self._audit.append("system", "account-locked", row.username, {"minutes": LOCK_MINUTES})

    def set_password(self, actor: str, username: str, password: str) -> None:
        """Gives the account another password and ends its sessions and its lock."""
        account = self.named(username)
        check_password(password, account.username)
        values = {"password_hash": self._hasher.hash(prepared(password)), "failed_attempts": 0, "locked_until": None}
        self._change(actor, "password-changed", account, values)

    def set_rights(
        self,
        actor: str,
        username: str,
        roles: Iterable[Role],
        sites: Iterable[str] | None,
        departments: Iterable[str] | None = None,
    ) -> None:
        """Gives the account other roles, sites and departments; its sessions end, so that they hold from the next request on."""
        rights = {
            "roles": [role.value for role in _roles(roles)],
            "sites": _limited(sites),
            "departments": _limited(departments),
        }
        self._change(actor, "rights-changed", self.named(username), rights, rights)

    def set_disabled(self, actor: str, username: str, disabled: bool) -> None:
        """Closes the account and ends its sessions, or opens it again."""
        action = "account-disabled" if disabled else "account-enabled"
        self._change(actor, action, self.named(username), {"disabled": disabled})

    def _change(
        self,
        actor: str,
        action: str,
        account: Account,
        values: dict[str, Any],
        detail: dict[str, Any] | None = None,
    ) -> None:
        with writing(self._engine) as connection:
            connection.execute(
                update(users)
                .where(users.c.id == account.id)
                .values(session_version=users.c.session_version + 1, **values)
            )
        self._audit.append(actor, action, account.username, detail)

    def named(self, username: str) -> Account:
        """The account of this name.

        Raises:
            AccountError: there is none.
        """
        name = username.strip().lower()
        with self._engine.connect() as connection:
            row = connection.execute(select(users).where(users.c.username == name)).first()
        if row is None:
            raise AccountError(f"No account is named {name!r}. See python -m state account list.")
        return _account(row)

    def known(self, username: str) -> str | None:
        """The name as the account has it; None where no account is named so."""
        try:
            return self.named(username).username
        except AccountError:
            return None

    def all(self) -> list[Account]:
        """All accounts, by name."""
        with self._engine.connect() as connection:
            return [_account(row) for row in connection.execute(select(users).order_by(users.c.username))]

    def count(self) -> int:
        """How many accounts can be signed in to."""
        with self._engine.connect() as connection:
            query = select(func.count()).select_from(users).where(users.c.disabled.is_(False))
            return int(connection.execute(query).scalar_one())


def account_by_id(connection: Connection, user_id: int) -> Account | None:
    """The account of this number."""
    row = connection.execute(select(users).where(users.c.id == user_id)).first()
    return _account(row) if row else None


def _roles(roles: Iterable[Role]) -> list[Role]:
    granted = sorted(set(roles))
    if not granted:
        raise AccountError(f"At least one role is needed: {', '.join(Role)}.")
    return granted


def _limited(names: Iterable[str] | None) -> list[str] | None:
    return None if names is None else sorted(set(names))


def _account(row: Row[Any]) -> Account:
    known = set(Role)
    return Account(
        id=row.id,
        username=row.username,
        display_name=row.display_name,
        roles=tuple(Role(role) for role in row.roles if role in known),
        sites=None if row.sites is None else tuple(row.sites),
        departments=None if row.departments is None else tuple(row.departments),
        disabled=row.disabled,
        session_version=row.session_version,
        locked_until=row.locked_until,
        created_at=row.created_at,
    )
