"""The state's database: a SQLite file, or PostgreSQL by its URL; opened, migrated, written to in short transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError

from state.errors import NewerStoreError, StoreBusyError

BUSY_TIMEOUT_SECONDS = 5
"""How long a write waits for another process before it is given up (reliability: then "not saved, try again")."""


def open_state(where: Path | str) -> Engine:
    """The engine of the state, brought to this program's revision.

    Args:
        where: The SQLite file, or the URL of a PostgreSQL database.
    """
    engine = make_engine(where)
    migrate(engine)
    return engine


def make_engine(where: Path | str) -> Engine:
    """An engine over the SQLite file (WAL, foreign keys, busy timeout) or the PostgreSQL URL (checked connections)."""
    if isinstance(where, str):
        return create_engine(where, pool_pre_ping=True)
    if not where.exists():
        where.touch(mode=0o600)
    engine = create_engine(f"sqlite:///{where}", connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: _begin_sqlite does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads and then writes can't wait for its turn in SQLite; one that says so at once can.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: all of it is kept, or nothing.

    Raises:
        StoreBusyError: another process held the database for longer than the busy timeout.
    """
    try:
        with engine.execution_options(writes=True).begin() as connection:
            yield connection
    except OperationalError as error:
        if "locked" in str(error.orig) or "busy" in str(error.orig):
            raise StoreBusyError(
                f"Not saved: the database was busy for {BUSY_TIMEOUT_SECONDS} seconds. Try again."
            ) from error
        raise


def migrate(engine: Engine) -> None:
    """Brings the database to this program's revision, in one transaction; a SQLite file is copied aside first.

    Raises:
        NewerStoreError: the database was written by a newer version of the program.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    head = scripts.get_current_head()
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current == head:
        return
    if current is not None and current not in known:
        raise NewerStoreError(
            f"{engine.url.database}: written by a newer version of Isocenter (revision {current}). "
            "Start that version, or restore the copy made before it."
        )
    if current is not None and engine.dialect.name == "sqlite":
        _copy_aside(Path(str(engine.url.database)), current)
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _copy_aside(file: Path, revision: str) -> None:
    """Copies the SQLite file, pages still in its log included, to `NAME.before-REVISION`."""
    copy = file.with_name(f"{file.name}.before-{revision}")
    copy.touch(mode=0o600)
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
