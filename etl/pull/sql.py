"""A table or view of a database, read by one SELECT from where the last pull ended, in bounded memory and read-only."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from etl.pull.contract import Cursor, Fetched, PullError, Remark
from etl.pull.sql_query import READ_ONLY, SINCE, problem, told
from etl.pull.sql_rows import write_rows
from etl.pull.sql_watermark import BadWatermarkError, Watermark
from etl.pull.trial import INPUTS, remarks, try_paths
from settings import Settings, SqlSource

KIND = "sql"

ROUND_ROWS = 1_000_000
"""Rows after which a pull stops to load what it has, so that the spool stays bounded."""
_CONNECT_SECONDS = 30
_SQLITE_STEPS = 10_000
"""Steps of SQLite's machine between two looks at the clock."""
_DRIVERS = {"mysql": "pymysql", "mariadb": "pymysql", "oracle": "oracledb", "mssql": "pyodbc", "postgresql": "psycopg"}
_CANCELLED = "57014"
"""PostgreSQL's SQLSTATE `query_canceled`, which statement_timeout gives."""


@dataclass
class _Order:
    """What is known of the watermarks seen so far."""

    last: Watermark | None = None
    before: Watermark | None = None
    """The greatest value below the last."""

    def add(self, value: Any) -> None:
        """Takes the next value.

        Raises:
            BadWatermarkError: it is no watermark, or lies before the last.
        """
        if value is None:
            return
        found = Watermark.of(value)
        if self.last is not None and found.is_before(self.last):
            raise BadWatermarkError("decreases from one row to the next: the query must be ordered by it (ORDER BY)")
        if self.last is None or self.last.is_before(found):
            self.before, self.last = self.last, found


class SqlConnection:
    """One query of one database."""

    def __init__(self, source: SqlSource, url: URL, settings: Settings) -> None:
        self._source, self._url, self._settings = source, url, settings
        self._dialect = url.get_backend_name()
        self._deadline = 0.0

    def check(self) -> Iterator[Remark]:
        """Tries the query for its first rows, and what the extract's mapping makes of them."""
        try:
            with TemporaryDirectory(prefix="isocenter-") as folder:
                columns, rows = self._first_rows()
                yield Remark("works", f"{self._where()} answers; the query gives {', '.join(columns)}.")
                if self._dialect not in READ_ONLY:
                    yield Remark(
                        "ask", f"a database account that may only read: {self._dialect} has no read-only transaction."
                    )
                if not rows:
                    yield Remark(
                        "missing", f"no row since {self._source.start}: check `start` and the query's condition."
                    )
                    return
                if len(rows) == INPUTS:
                    yield Remark("gives", f"rows; the first {INPUTS} were tried.")
                write_rows(Path(folder) / "rows.parquet", columns, rows, self._source.extract)
                yield from remarks(try_paths([Path(folder)], self._settings))
        except PullError as error:
            yield Remark("fails", str(error))

    def fetch(self, cursor: Cursor, spool: Path) -> Fetched:
        """Chunks of rows since the cursor, each a Parquet file that names the extract."""
        try:
            began = Watermark.stored(cursor)
            first = began or Watermark.starting(self._source.start, self._dialect)
        except (BadWatermarkError, ValueError, ArithmeticError) as error:
            raise self._failed(f"the cursor or `start` cannot be used: it {error}.") from error
        since = first.since(self._source.overlap_minutes if began else 0)
        fetched = Fetched(cursor=cursor)
        order = _Order()
        began_at = time.monotonic()
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
        with closing(self._chunks(since, self._source.chunk_rows)) as chunks:
            for columns, rows in chunks:
                self._follow(order, columns, rows)
                fetched.files += 1
                fetched.records += len(rows)
                write_rows(spool / f"{stamp}-{fetched.files:06d}.parquet", columns, rows, self._source.extract)
                is_enough = fetched.records >= ROUND_ROWS or time.monotonic() - began_at > self._source.timeout_seconds
                if is_enough and order.before is not None and self._moves_on(order.before, since):
                    fetched.cursor, fetched.is_complete = order.before.as_cursor(), False
                    return fetched
        if order.last is not None:
            fetched.cursor = order.last.as_cursor()
        return fetched

    def _moves_on(self, reached: Watermark, since: Any) -> bool:
        """Whether a round that goes on at this watermark, less the overlap, begins later than this one did."""
        try:
            return Watermark.of(since).is_before(Watermark.of(reached.since(self._source.overlap_minutes)))
        except BadWatermarkError:
            return True  # `start` is of another kind than the column, e.g. without an offset

    def _follow(self, order: _Order, columns: list[str], rows: list[Any]) -> None:
        place = self._place(columns)
        try:
            for row in rows:
                order.add(row[place])
        except BadWatermarkError as error:
            raise self._failed(f"the watermark column {self._source.watermark!r} {error}.") from error

    def _place(self, columns: list[str]) -> int:
        wanted = self._source.watermark.casefold()
        places = [place for place, name in enumerate(columns) if name.casefold() == wanted]
        if len(places) != 1:
            found = "is not among" if not places else "stands more than once among"
            raise self._failed(
                f"the watermark column {self._source.watermark!r} {found} the columns of the answer "
                f"({', '.join(columns)}). Select it once, or correct `watermark`."
            )
        return places[0]

    def _first_rows(self) -> tuple[list[str], list[Any]]:
        try:
            since = Watermark.starting(self._source.start, self._dialect).value
        except BadWatermarkError as error:
            raise self._failed(f"`start` {error}.") from error
        with closing(self._chunks(since, INPUTS, or_empty=True)) as chunks:
            columns, rows = next(chunks)
        self._follow(_Order(), columns, rows)
        return columns, rows

    def _chunks(self, since: Any, rows: int, *, or_empty: bool = False) -> Generator[tuple[list[str], list[Any]]]:
        """Column names and rows, so many at a time; with `or_empty` one empty chunk where there are none."""
        self._restart_clock()
        with self._errors(), self._engine().connect() as connection:
            for statement in READ_ONLY.get(self._dialect, ()):
                seconds = max(1, round(self._source.timeout_seconds))
                connection.execute(text(statement.format(seconds=seconds, milliseconds=seconds * 1000)))
            streaming = connection.execution_options(stream_results=True, max_row_buffer=min(rows, 5000))
            # SQLite has no exact decimals, and its module refuses them.
            bound = float(since) if self._dialect == "sqlite" and isinstance(since, Decimal) else since
            result = streaming.execute(text(self._source.query.strip().rstrip(";")), {SINCE: bound})
            columns = list(result.keys())
            self._place(columns)
            chunk = result.fetchmany(rows)
            if or_empty and not chunk:
                yield columns, []
            while chunk:
                yield columns, [tuple(row) for row in chunk]
                self._restart_clock()
                chunk = result.fetchmany(rows)
            # Leaving rolls the transaction back: nothing is ever committed.

    def _restart_clock(self) -> None:
        """PostgreSQL's statement_timeout holds for each fetch from the cursor; ours does likewise."""
        self._deadline = time.monotonic() + self._source.timeout_seconds

    def _engine(self) -> Engine:
        if self._dialect == "sqlite":
            return create_engine("sqlite://", creator=self._open_sqlite, poolclass=NullPool)
        arguments: dict[str, Any] = {}
        if self._dialect == "postgresql" and self._url.get_driver_name() in {"psycopg", "psycopg2"}:
            arguments = {"connect_timeout": _CONNECT_SECONDS, "keepalives_idle": 30, "application_name": "isocenter"}
        return create_engine(self._url, connect_args=arguments, poolclass=NullPool)

    def _open_sqlite(self) -> sqlite3.Connection:
        """The file for reading alone; without `mode=ro` SQLite would make a missing file."""
        path = Path(self._url.database or "").absolute()
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        connection.set_progress_handler(lambda: int(time.monotonic() > self._deadline), _SQLITE_STEPS)
        return connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns what drivers raise into plain words without the password or a value of a row."""
        try:
            yield
        except DBAPIError as error:
            if self._is_timeout(error.orig):
                raise self._too_slow() from None
            raise self._failed(f"{self._where()} answers: {self._told(error.orig)}. {_remedy(error)}") from None
        except (ImportError, NoSuchModuleError) as error:
            raise self._no_driver(error) from None
        except (SQLAlchemyError, OSError, ValueError, TypeError, OverflowError) as error:
            raise self._failed(
                f"the query cannot be run or read: {self._told(error)}. Correct `url` or `query`."
            ) from None

    def _is_timeout(self, error: BaseException | None) -> bool:
        return getattr(error, "sqlstate", None) == _CANCELLED or "interrupted" in str(error)

    def _told(self, error: BaseException | None) -> str:
        known = "\n".join((self._source.query, self._where(), self._url.username or ""))
        password = self._url.password or ""
        return told(str(error), known, (str(password), quote(str(password), safe=""))).rstrip(".")

    def _where(self) -> str:
        place = self._url.host or self._url.query.get("host") or ""
        return f"{self._dialect} database {self._url.database or ''!r}{f' on {place}' if place else ''}"

    def _too_slow(self) -> PullError:
        return self._failed(
            f"the database gave no rows for {self._source.timeout_seconds:g} seconds, and the query was stopped. Add an index "
            f"on {self._source.watermark!r}, set `start` later, or raise `timeout_seconds`; the next pull begins where this "
            "one did."
        )

    def _no_driver(self, error: Exception) -> PullError:
        package = _DRIVERS.get(self._dialect)
        hint = f" Install a driver for {self._dialect}, e.g. `pip install {package}`." if package else ""
        return self._failed(f"the driver of {self._url.drivername!r} is not installed ({type(error).__name__}).{hint}")

    def _failed(self, message: str) -> PullError:
        return PullError(f"{self._source.name}: {message}")


def _remedy(error: DBAPIError) -> str:
    said = str(error.orig).casefold()
    if any(word in said for word in ("password", "authentication", "access denied", "login failed", "role ")):
        return "Check user and password in `url`."
    if error.statement is None:
        return "Check that `url` names the right place and database, and that it can be reached from here."
    if any(word in said for word in ("permission denied", "denied to user", "insufficient privilege")):
        return "Ask for the right to SELECT what the query reads."
    return "Correct `query` (or `start`), and try it with `python -m etl check-source`."


def connect(source: SqlSource, settings: Settings) -> SqlConnection:
    """The database of a `[[sources]]` entry.

    Raises:
        PullError: URL, query or extract cannot be used.
    """
    if found := problem(source.query):
        raise PullError(f"{source.name}: {found}")
    if source.extract not in {extract.name for extract in settings.extracts}:
        raise PullError(
            f"{source.name}: extract {source.extract!r} is none of the [[extracts]]; add it, or correct the name."
        )
    address = source.url.get_secret_value()
    if address.startswith("env:"):
        variable = address.removeprefix("env:")
        if not (address := os.environ.get(variable, "")):
            raise PullError(
                f"{source.name}: the environment has no {variable}, which `url` names. Set it and run again."
            )
    try:
        url = make_url(address)
    except ArgumentError:
        raise PullError(
            f"{source.name}: `url` is no SQLAlchemy URL; an example is postgresql+psycopg://reader:secret@host/database."
        ) from None
    return SqlConnection(source, url, settings)
