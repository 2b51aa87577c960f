from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from state.accounts import Account, Accounts
from state.home import DataHome
from state.roles import Role
from state.sessions import Sessions
from state.tables import sessions as sessions_table

IDLE, LIFETIME = 15, 8


@pytest.fixture
def sessions(engine: Engine, clock: Any) -> Sessions:
    return Sessions(engine, timedelta(minutes=IDLE), timedelta(hours=LIFETIME), clock)


@pytest.fixture
def ada(accounts: Accounts) -> Account:
    return accounts.create("system", "ada", "copper violin tundra mango", [Role.PHYSICIST])


def test_a_token_finds_its_account_and_no_other_does(sessions: Sessions, ada: Account) -> None:
    token = sessions.start(ada)
    found = sessions.find(token)
    assert found is not None
    assert found.account == ada
    assert sessions.find(token[:-1] + ("A" if token[-1] != "A" else "B")) is None
    assert sessions.find("") is None


def test_tokens_are_long_and_never_repeat(sessions: Sessions, ada: Account) -> None:
    tokens = {sessions.start(ada) for _ in range(50)}
    assert len(tokens) == 50
    assert min(map(len, tokens)) >= 43  # 256 bits in base 64


def test_the_database_does_not_hold_the_token(sessions: Sessions, ada: Account, home: DataHome) -> None:
    token = sessions.start(ada)
    with closing(sqlite3.connect(home.state_file)) as connection:
        assert token not in "\n".join(connection.iterdump())


def test_idle_sessions_end(sessions: Sessions, ada: Account, clock: Any) -> None:
    token = sessions.start(ada)
    for _ in range(4):
        clock.move(minutes=IDLE - 1)
        assert sessions.find(token) is not None
    clock.move(minutes=IDLE, seconds=1)
    assert sessions.find(token) is None


def test_busy_sessions_end_after_their_lifetime(sessions: Sessions, ada: Account, clock: Any) -> None:
    token = sessions.start(ada)
    for _ in range(LIFETIME * 6):
        clock.move(minutes=10)
        assert sessions.find(token) is not None
    clock.move(seconds=1)
    assert sessions.find(token) is None


def test_signing_out_ends_that_session_alone(sessions: Sessions, ada: Account) -> None:
    first, second = sessions.start(ada), sessions.start(ada)
    sessions.end(first)
    assert sessions.find(first) is None
    assert sessions.find(second) is not None


@pytest.mark.parametrize("change", ["rights", "password", "disabled"])
def test_a_change_ends_all_sessions_at_the_next_request(
    sessions: Sessions, accounts: Accounts, ada: Account, change: str
) -> None:
    token = sessions.start(ada)
    if change == "rights":
        accounts.set_rights("boss", "ada", [Role.FINANCE], None)
    elif change == "password":
        accounts.set_password("boss", "ada", "harbour pencil glacier nine")
    else:
        accounts.set_disabled("boss", "ada", True)
    assert sessions.find(token) is None


def test_ended_sessions_are_cleared_away(sessions: Sessions, ada: Account, engine: Engine, clock: Any) -> None:
    for _ in range(3):
        sessions.start(ada)
    clock.move(hours=1)
    sessions.start(demo_person="finance")
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(sessions_table)).scalar_one() == 1
