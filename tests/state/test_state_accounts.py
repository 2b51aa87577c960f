from __future__ import annotations

from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, select

from state.accounts import LOCK_MINUTES, MAX_FAILURES, Accounts
from state.audit import AuditTrail
from state.errors import AccountError, PasswordRefusedError
from state.passwords import check_password
from state.roles import Role
from state.tables import users

PASSWORD = "copper violin tundra mango"
OTHER = "harbour pencil glacier nine"


def _ada(accounts: Accounts) -> None:
    accounts.create("system", "Ada", PASSWORD, [Role.PHYSICIST], display_name="Ada L.", sites=["NORTH"])


def test_the_right_password_gives_the_account(accounts: Accounts) -> None:
    _ada(accounts)
    account = accounts.verify(" ADA ", PASSWORD)
    assert account is not None
    assert (account.username, account.display_name) == ("ada", "Ada L.")
    assert (account.roles, account.sites) == ((Role.PHYSICIST,), ("NORTH",))


@pytest.mark.parametrize(
    ("username", "password"),
    [("ada", OTHER), ("ada", ""), ("ada", PASSWORD.upper()), ("eve", PASSWORD), ("", ""), ("ada", "x" * 100_000)],
)
def test_anything_else_gives_nothing(accounts: Accounts, username: str, password: str) -> None:
    _ada(accounts)
    assert accounts.verify(username, password) is None


def test_a_password_is_the_same_however_it_is_composed(accounts: Accounts) -> None:
    accounts.create("system", "zoe", "e\u0301clair violin tundra mango", [Role.FINANCE])
    assert accounts.verify("zoe", "\u00e9clair violin tundra mango") is not None


def test_an_unknown_name_costs_one_hashing_too(engine: Engine, audit: AuditTrail) -> None:
    class Counting(PasswordHasher):
        verified = 0

        def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]  # noqa: A002
            type(self).verified += 1
            return super().verify(hash, password)  # type: ignore[return-value]

    accounts = Accounts(engine, audit, hasher=Counting(time_cost=1, memory_cost=8, parallelism=1))
    _ada(accounts)
    accounts.verify("ada", OTHER)
    known = Counting.verified
    accounts.verify("nobody", OTHER)
    assert (known, Counting.verified) == (1, 2)


def test_failures_in_a_row_lock_the_account_for_a_while(accounts: Accounts, audit: AuditTrail, clock: Any) -> None:
    _ada(accounts)
    for _ in range(MAX_FAILURES):
        assert accounts.verify("ada", OTHER) is None
    assert accounts.verify("ada", PASSWORD) is None
    assert [entry.target for entry in audit.latest(action="account-locked")] == ["ada"]
    clock.move(minutes=LOCK_MINUTES - 1)
    assert accounts.verify("ada", PASSWORD) is None
    clock.move(minutes=1)
    assert accounts.verify("ada", PASSWORD) is not None


def test_guesses_side_by_side_do_not_outrun_the_lock(engine: Engine, audit: AuditTrail, accounts: Accounts) -> None:
    _ada(accounts)

    class LockedMeanwhile(PasswordHasher):
        def verify(self, hash: Any, password: Any) -> Any:  # noqa: A002
            for _ in range(MAX_FAILURES):
                accounts.verify("ada", OTHER)
            return super().verify(hash, password)

    racing = Accounts(engine, audit, accounts._clock, LockedMeanwhile(time_cost=1, memory_cost=8, parallelism=1))
    assert racing.verify("ada", PASSWORD) is None


def test_a_success_forgets_failures(accounts: Accounts) -> None:
    _ada(accounts)
    for _ in range(3):
        for _ in range(MAX_FAILURES - 1):
            accounts.verify("ada", OTHER)
        assert accounts.verify("ada", PASSWORD) is not None


def test_a_disabled_account_does_not_sign_in(accounts: Accounts) -> None:
    _ada(accounts)
    accounts.set_disabled("boss", "ada", True)
    assert accounts.verify("ada", PASSWORD) is None
    assert accounts.count() == 0
    accounts.set_disabled("boss", "ada", False)
    assert accounts.verify("ada", PASSWORD) is not None


def test_every_change_ends_sessions_and_is_audited(accounts: Accounts, audit: AuditTrail) -> None:
    _ada(accounts)
    accounts.set_rights("boss", "ada", [Role.FINANCE, Role.AUDITOR], None)
    accounts.set_password("boss", "ada", OTHER)
    accounts.set_disabled("boss", "ada", True)
    account = accounts.named("ada")
    assert account.session_version == 4
    assert (account.roles, account.sites) == ((Role.AUDITOR, Role.FINANCE), None)
    assert [(entry.actor, entry.action, entry.target) for entry in reversed(audit.latest())] == [
        ("system", "account-created", "ada"),
        ("boss", "rights-changed", "ada"),
        ("boss", "password-changed", "ada"),
        ("boss", "account-disabled", "ada"),
    ]
    assert not any(PASSWORD in entry.detail or OTHER in entry.detail for entry in audit.latest())


def test_an_older_hash_is_renewed_at_sign_in(engine: Engine, audit: AuditTrail, accounts: Accounts) -> None:
    _ada(accounts)
    stronger = Accounts(engine, audit, hasher=PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert stronger.verify("ada", PASSWORD) is not None
    with engine.connect() as connection:
        assert "m=16,t=2" in connection.execute(select(users.c.password_hash)).scalar_one()
    assert stronger.verify("ada", PASSWORD) is not None


@pytest.mark.parametrize("name", ["", "a", "Ada Lovelace", "ada\nbob", "-ada", "a" * 65, "<ada>"])
def test_odd_names_are_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(AccountError, match="cannot be used"):
        accounts.create("system", name, PASSWORD, [Role.FINANCE])


def test_a_name_is_taken_once_in_any_case(accounts: Accounts) -> None:
    _ada(accounts)
    with pytest.raises(AccountError, match="'ada' is taken"):
        _ada(accounts)


def test_a_role_is_needed_and_a_name_must_exist(accounts: Accounts) -> None:
    with pytest.raises(AccountError, match="At least one role"):
        accounts.create("system", "ada", PASSWORD, [])
    with pytest.raises(AccountError, match="No account is named 'eve'"):
        accounts.set_disabled("boss", "eve", True)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("fourteen chars", "14 characters"),
        ("w" * 129, "at most 128"),
        ("aaaaaaaaaaaaaaaaaaaa", "guessed first"),
        ("passwordpassword", "guessed first"),
        ("Password123456789!", "guessed first"),
        ("qwertyuiopasdfghjkl", "guessed first"),
        ("1q2w3e4r5t6y7u8i9o", None),
        ("123456789012345678", "guessed first"),
        ("Welcome-Hospital-2026", "guessed first"),
        ("iloveyou iloveyou", "guessed first"),
        ("violin ADA-LOVELACE tundra", "contains the user name"),
        ("copper violin tundra mango", None),
        ("ä" * 3 + " βeta gamma δelta", None),
        ("fifteen letters", None),
        ("x1" + "copper violin " * 9, None),
    ],
)
def test_passwords(password: str, reason: str | None) -> None:
    if reason is None:
        check_password(password, "ada-lovelace")
    else:
        with pytest.raises(PasswordRefusedError, match=reason):
            check_password(password, "ada-lovelace")


def test_the_longest_bad_password_is_judged_at_once() -> None:
    check_password("password" * 15 + "zzzzzkkk", "ada")
