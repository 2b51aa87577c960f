"""Engines over a published version of the star.

Queries are written in SQLAlchemy Core, compiled to text with bound parameters, and run by the driver, which hands back
Arrow: never row by row. A `Star` is pinned to one publication, so that whoever holds it sees one version whole.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from duckdb_sqlalchemy import Dialect
from sqlalchemy import Boolean, Date, DateTime, Double, Executable, Integer, Numeric, Table, Text
from sqlalchemy.types import BigInteger

from warehouse.publication import Publication, PublicationError, Publications, schema_digest
from warehouse.schema import TABLES

_DIALECT = Dialect(paramstyle="qmark")
_TYPE_NAMES: tuple[tuple[type, str], ...] = (
    (BigInteger, "BIGINT"),
    (Integer, "INTEGER"),
    (Boolean, "BOOLEAN"),
    (DateTime, "TIMESTAMPTZ"),
    (Date, "DATE"),
    (Double, "DOUBLE"),
    (Numeric, "DECIMAL(18,4)"),
    (Text, "VARCHAR"),
)


class QueryError(Exception):
    """A query that cannot be answered; the message is the engine's own, in a line."""


def compiled(query: Executable) -> tuple[str, list[Any]]:
    """The query as DuckDB's SQL with `?`, and its parameters in order."""
    made = query.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})  # type: ignore[attr-defined]
    return made.string, [made.params[name] for name in made.positiontup or ()]


class Star:
    """One published version, read by DuckDB in this process."""

    def __init__(
        self, directory: Path, publication: Publication, *, threads: int = 2, memory: str = "2GB", cached: int = 512
    ) -> None:
        self.publication = publication
        self._connection = duckdb.connect(
            config={
                "threads": threads,
                "memory_limit": memory,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        self._cache: OrderedDict[tuple[str, tuple[Any, ...]], pl.DataFrame] = OrderedDict()
        self._cached = cached
        self._lock = threading.Lock()
        for name, table in TABLES.items():
            self._connection.execute(_view(name, table, directory, publication))
        # From here on a hand-written query reaches the star's own files and nothing else of the machine.
        self._connection.execute(f"SET allowed_directories = ['{_quoted(directory)}/']")
        self._connection.execute("SET enable_external_access = false")

    def frame(self, query: Executable) -> pl.DataFrame:
        """The answer of a query; equal questions are answered from memory, for the version never changes."""
        text, parameters = compiled(query)
        key = (text, tuple(parameters))
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        answer: pl.DataFrame = self._connection.cursor().sql(text, params=parameters).pl()
        with self._lock:
            self._cache[key] = answer
            while len(self._cache) > self._cached:
                self._cache.popitem(last=False)
        return answer

    def text(self, sql: str) -> pl.DataFrame:
        """The answer of one read-only SELECT written by hand.

        Raises:
            QueryError: it is not a single SELECT, or the engine refuses it.
        """
        try:
            statements = duckdb.extract_statements(sql)
        except duckdb.Error as error:
            raise QueryError(str(error).splitlines()[0]) from error
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise QueryError("only a single SELECT is answered: the star is read-only")
        try:
            answer: pl.DataFrame = self._connection.cursor().sql(sql).pl()
        except duckdb.Error as error:
            raise QueryError(str(error).splitlines()[0]) from error
        return answer


def _view(name: str, table: Table, directory: Path, publication: Publication) -> str:
    """The view over the files of one table; a table without files is an empty one of the same shape."""
    columns = [(column.name, _type_name(column.type)) for column in table.columns]
    version = publication.tables.get(name)
    if version is None or not version.files:
        empty = ", ".join(f'CAST(NULL AS {kind}) AS "{column}"' for column, kind in columns)
        return f"CREATE VIEW {name} AS SELECT {empty} WHERE false"
    files = ", ".join(f"'{_quoted(directory / file)}'" for file in version.files)
    hive = ", hive_partitioning = true, hive_types = {'month': VARCHAR}" if table.info["monthly"] else ""
    listed = ", ".join(f'"{column}"' for column, _ in columns)
    return f"CREATE VIEW {name} AS SELECT {listed} FROM read_parquet([{files}]{hive})"


def _quoted(path: Path) -> str:
    return str(path.resolve()).replace("'", "''")


def _type_name(kind: object) -> str:
    return next(name for sql, name in _TYPE_NAMES if isinstance(kind, sql))


class StarReader:
    """Gives the star of the current publication, and the same one again until a new one is published."""

    def __init__(self, directory: Path, *, threads: int = 2, memory: str = "2GB") -> None:
        self._publications = Publications(directory)
        self._directory = directory
        self._threads, self._memory = threads, memory
        self._star: Star | None = None
        self._lock = threading.Lock()

    def current(self) -> Star:
        """The star as published now.

        Raises:
            PublicationError: nothing is published yet, or the star was made by another version of the program.
        """
        current_id = self._publications.current_id()
        if current_id is None:
            raise PublicationError(
                "nothing is loaded yet. Run `python -m etl load PATH`, or `make run` for the demo hospital."
            )
        with self._lock:
            if self._star is None or self._star.publication.id != current_id:
                publication = self._publications.read(current_id)
                if publication.schema != schema_digest():
                    raise PublicationError(
                        "the star was built by another version of Isocenter. Run `python -m etl rebuild`."
                    )
                self._star = Star(self._directory, publication, threads=self._threads, memory=self._memory)
            return self._star
