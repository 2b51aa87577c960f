from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from state.audit import AuditTrail, plain
from state.database import writing
from state.home import DataHome


def _without_triggers(file: Path, *statements: str) -> None:
    """What somebody does who holds the database file itself."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for change in ("update", "delete"):
            connection.execute(f"DROP TRIGGER IF EXISTS audit_refuses_{change}")
        for statement in statements:
            connection.execute(statement)


def _filled(audit: AuditTrail, rows: int = 5) -> None:
    for number in range(1, rows + 1):
        audit.append("ada", "export", f"table-{number}", {"rows": number})


def test_a_whole_chain_verifies(audit: AuditTrail) -> None:
    assert audit.verify_chain() is None
    assert audit.head() is None
    _filled(audit)
    assert audit.verify_chain() is None
    head = audit.head()
    assert head is not None
    assert (head.seq, head.target, json.loads(head.detail)) == (5, "table-5", {"rows": 5})


@pytest.mark.parametrize(
    ("statement", "first_broken"),
    [
        ("UPDATE audit SET actor = 'bob' WHERE seq = 3", 3),
        ("UPDATE audit SET detail = '{\"rows\": 0}' WHERE seq = 1", 1),
        ("UPDATE audit SET at = '2020-01-01 00:00:00.000000' WHERE seq = 5", 5),
        ("DELETE FROM audit WHERE seq = 2", 2),
        ("DELETE FROM audit WHERE seq = 1", 1),
        ("UPDATE audit SET seq = 9 WHERE seq = 4", 4),
        ("INSERT INTO audit VALUES (6, '2026-01-01 00:00:00.000000', 'x', 'y', 'z', '{}', 'p', 'h')", 6),
    ],
)
def test_tampering_shows_at_its_row(audit: AuditTrail, home: DataHome, statement: str, first_broken: int) -> None:
    _filled(audit)
    _without_triggers(home.state_file, statement)
    assert audit.verify_chain() == first_broken


def test_a_chain_mended_without_the_key_shows(audit: AuditTrail, home: DataHome) -> None:
    _filled(audit, 1)
    head = audit.head()
    assert head is not None
    forged = replace(head, actor="bob").expected_hash(b"a guess at the key")
    _without_triggers(home.state_file, f"UPDATE audit SET actor = 'bob', hash = '{forged}'")
    assert audit.verify_chain() == 1


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'bob'", "DELETE FROM audit"])
def test_the_database_itself_refuses_changes(audit: AuditTrail, statement: str) -> None:
    _filled(audit, 1)
    with pytest.raises(IntegrityError, match="append-only"), writing(audit.engine) as connection:
        connection.execute(text(statement))


def test_appends_of_many_threads_make_one_chain(audit: AuditTrail) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda number: audit.append("ada", "view", str(number)), range(100)))
    assert sorted(numbers) == list(range(1, 101))
    assert audit.verify_chain() is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(words=st.text(max_size=300), value=st.text(max_size=700))
def test_no_text_breaks_a_line_or_the_chain(audit: AuditTrail, words: str, value: str) -> None:
    audit.append(words, words, words, {"value": value, "list": [value]})
    head = audit.head()
    assert head is not None
    for field in (head.actor, head.action, head.target, json.loads(head.detail)["value"]):
        assert field.isprintable()
    assert audit.verify_chain() is None


def test_a_forged_log_line_stays_inside_its_field() -> None:
    assert plain("x\r\n2026-01-01 admin signed in\u2028\u202e", 80) == (
        "x\\u000d\\u000a2026-01-01 admin signed in\\u2028\\u202e"
    )
    assert plain("abcdef", 4) == "abc…"
