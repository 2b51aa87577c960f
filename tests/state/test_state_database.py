from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, insert, select, text
from sqlalchemy.exc import StatementError

import state.database
from state.database import make_engine, migrate, open_state, writing
from state.errors import NewerStoreError, StoreBusyError
from state.tables import metadata, settings_seen


def test_migrations_create_exactly_the_tables_of_the_code(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_migrating_twice_changes_nothing(engine: Engine) -> None:
    migrate(engine)
    with engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == "0004"


def test_a_newer_store_is_refused_by_name(tmp_path: Path) -> None:
    engine = open_state(tmp_path / "state.sqlite")
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(
        NewerStoreError, match=r"state.sqlite: written by a newer version of Isocenter \(revision 9999\)"
    ):
        migrate(engine)


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(tmp_path / "state.sqlite")
    upgrade = state.database.command.upgrade

    def upgrade_and_fail(*arguments: object) -> None:
        upgrade(*arguments)  # type: ignore[arg-type]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state.database.command, "upgrade", upgrade_and_fail)
    with pytest.raises(OSError, match="No space"):
        migrate(engine)
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_the_copy_before_a_migration_has_everything(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite"
    engine = open_state(file)
    with writing(engine) as connection:
        connection.execute(insert(settings_seen).values(at=datetime(2026, 7, 1, tzinfo=UTC), shown={"port": 8050}))
    state.database._copy_aside(file, "0001")
    with closing(sqlite3.connect(tmp_path / "state.sqlite.before-0001")) as copy:
        assert copy.execute("SELECT shown FROM settings_seen").fetchall() == [('{"port": 8050}',)]


def test_sqlite_is_opened_with_log_foreign_keys_and_owner_only(tmp_path: Path) -> None:
    engine = open_state(tmp_path / "state.sqlite")
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
        assert connection.execute(text("PRAGMA busy_timeout")).scalar_one() == 5000
    assert (tmp_path / "state.sqlite").stat().st_mode & 0o077 == 0


def test_a_held_database_says_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state.database, "BUSY_TIMEOUT_SECONDS", 0.05)
    engine = open_state(tmp_path / "state.sqlite")
    with closing(sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusyError, match="Not saved"), writing(engine):
            pass


def test_times_come_back_in_utc_and_naive_ones_are_refused(engine: Engine) -> None:
    summer = datetime(2026, 7, 1, 14, 30, tzinfo=timezone(timedelta(hours=2)))
    with writing(engine) as connection:
        connection.execute(insert(settings_seen).values(at=summer, shown={}))
        stored = connection.execute(select(settings_seen.c.at)).scalar_one()
        assert (stored, stored.tzinfo) == (datetime(2026, 7, 1, 12, 30, tzinfo=UTC), UTC)
        with pytest.raises(StatementError, match="has no time zone"):
            connection.execute(insert(settings_seen).values(at=datetime(2026, 7, 1), shown={}))
