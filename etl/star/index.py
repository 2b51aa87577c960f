"""The index of the lake: what is known already, and which landing rows belong together.

It is derived from the lake alone: lost or damaged, it is made again from the ledger's batches. Rows that share a study,
accession, order or exposure identity form one *component*, the unit that is derived again when a late, corrected or
merged message touches it. A component's id is the least token in it, so it does not depend on the order of arrival.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import duckdb
import numpy as np
import polars as pl
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from etl.faults import fault
from etl.lake.ledger import Batch
from etl.lake.schema import LANDING
from etl.lake.store import Lake
from etl.star.keys import with_key
from etl.star.observations import OBSERVATIONS, observations, patient_statements
from etl.star.tokens import tokens

_SHAPE = 3
"""Raised when the index's own tables change: an older index is then made again."""

_CREATE = """
CREATE TABLE IF NOT EXISTS shape(version INTEGER);
CREATE TABLE IF NOT EXISTS batch(number INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS input(digest UUID, verdict VARCHAR);
CREATE TABLE IF NOT EXISTS landing(name VARCHAR, digest UUID, month VARCHAR, batch INTEGER, component BIGINT, patient UUID);
CREATE TABLE IF NOT EXISTS token(token BIGINT, component BIGINT);
CREATE TABLE IF NOT EXISTS observation(kind VARCHAR, key BIGINT, attributes VARCHAR, first_at TIMESTAMPTZ, last_at TIMESTAMPTZ, PRIMARY KEY (kind, key));
CREATE TABLE IF NOT EXISTS patient(patient UUID PRIMARY KEY, key BIGINT, sex VARCHAR, sex_order VARCHAR, birth_year INTEGER, birth_order VARCHAR);
CREATE TABLE IF NOT EXISTS merged(patient UUID, survivor UUID, undoes BOOLEAN, stated_order VARCHAR);
"""


class LakeIndex:
    """An open index; used by one load at a time, under the lake's lock."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._file = lake.directory / "index.duckdb"
        self._connection = self._open()

    def _open(self) -> duckdb.DuckDBPyConnection:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = duckdb.connect(
                str(self._file),
                config={
                    "threads": 2,
                    "memory_limit": "4GB",
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                },
            )
            _do(connection, _CREATE)
            found = connection.execute("SELECT version FROM shape").fetchall()
            if found not in ([], [(_SHAPE,)]):
                raise duckdb.Error("another shape")
        except duckdb.Error:
            self.drop()
            connection = duckdb.connect(str(self._file))
            _do(connection, _CREATE)
        _do(connection, "INSERT INTO shape SELECT ? WHERE NOT EXISTS (SELECT 1 FROM shape)", [_SHAPE])
        return connection

    def drop(self) -> None:
        """Removes the index's file; the next opening makes it again from the lake."""
        for file in (self._file, self._file.with_name(self._file.name + ".wal")):
            file.unlink(missing_ok=True)

    def close(self) -> None:
        """Writes everything down and lets go of the file."""
        self._connection.close()

    def catch_up(self, most_rows: int = 2_000_000) -> None:
        """Takes in every batch of the ledger that is not in the index yet, in groups of bounded size."""
        [(done,)] = self._connection.execute("SELECT coalesce(max(number), 0) FROM batch").fetchall()
        group: list[Batch] = []
        rows = 0
        for batch in self._lake.ledger.batches(after=int(done)):
            group.append(batch)
            rows += sum(part.rows for part in batch.tables.values())
            if rows >= most_rows:
                self._take_in(group)
                group, rows = [], 0
        if group:
            self._take_in(group)

    def _take_in(self, batches: list[Batch]) -> None:
        """Adds some batches in one transaction."""
        fault("index")
        numbers = pl.DataFrame(
            {"batch_id": [b.batch_id for b in batches], "batch": [b.number for b in batches]},
            schema={"batch_id": pl.Utf8, "batch": pl.Int32},
        )
        connection = self._connection
        _do(connection, "BEGIN")
        for table in ("receipt", "reject"):
            inputs = (
                self._lake.read(table, batches=batches).select(pl.col("digest").str.slice(0, 32), "verdict").collect()
            )
            connection.register("inputs", inputs)
            _do(connection, "INSERT INTO input SELECT CAST(digest AS UUID), verdict FROM inputs")
        rows, edges = [], []
        for table in LANDING:
            frame = self._lake.read(table, batches=batches).collect()
            if frame.is_empty():
                continue
            if table != "calendar":
                self._observe(table, frame)
            rows.append(
                frame.join(numbers, on="batch_id").select(
                    pl.lit(table).alias("name"),
                    "digest",
                    "month",
                    "batch",
                    pl.col("patient") if "patient" in frame.columns else pl.lit(None, pl.Utf8).alias("patient"),
                )
            )
            if table not in {"patient", "calendar"}:
                edges.append(tokens(frame, table))
        if rows:
            self._add_rows(
                pl.concat(rows),
                pl.concat(edges) if edges else pl.DataFrame(schema={"digest": pl.Utf8, "token": pl.Int64}),
            )
        connection.register("numbers", numbers)
        _do(connection, "INSERT INTO batch SELECT batch FROM numbers")
        _do(connection, "COMMIT")

    def _observe(self, table: str, frame: pl.DataFrame) -> None:
        connection = self._connection
        if (seen := observations(table, frame)) is not None:
            connection.register("seen", seen)
            _do(
                connection,
                """INSERT INTO observation SELECT kind, key, attributes, first_at, last_at FROM seen
                ON CONFLICT (kind, key) DO UPDATE SET first_at = least(first_at, excluded.first_at), last_at = greatest(last_at, excluded.last_at)""",
            )
        said, merges = patient_statements(table, frame)
        connection.register("said", with_key(said, "patient", "patient", "key"))
        _do(
            connection,
            """INSERT INTO patient SELECT CAST(patient AS UUID), key, sex, sex_order, birth_year, birth_order FROM said
            ON CONFLICT (patient) DO UPDATE SET
                sex = CASE WHEN excluded.sex_order > coalesce(sex_order, '') THEN excluded.sex ELSE sex END,
                sex_order = greatest(coalesce(sex_order, ''), coalesce(excluded.sex_order, '')),
                birth_year = CASE WHEN excluded.birth_order > coalesce(birth_order, '') THEN excluded.birth_year ELSE birth_year END,
                birth_order = greatest(coalesce(birth_order, ''), coalesce(excluded.birth_order, ''))""",
        )
        connection.register("merges", merges)
        _do(
            connection,
            "INSERT INTO merged SELECT CAST(merged AS UUID), CAST(patient AS UUID), undoes, stated_order FROM merges",
        )

    def _add_rows(self, rows: pl.DataFrame, edges: pl.DataFrame) -> None:
        """Puts rows into components: those of their tokens, joined where a row ties several together."""
        connection = self._connection
        connection.register("edges", edges)
        known = _frame(
            connection,
            "SELECT DISTINCT t.token, t.component FROM token t JOIN (SELECT DISTINCT token FROM edges) USING (token)",
        )
        component_of = _components(edges, known)
        connection.register("component_of", component_of)
        moved = (
            component_of.join(known, on="token", suffix="_old")
            .filter(pl.col("component") != pl.col("component_old"))
            .select("component_old", "component")
            .unique()
        )
        if not moved.is_empty():
            connection.register("moved", moved)
            _do(
                connection,
                "UPDATE token SET component = moved.component FROM moved WHERE token.component = moved.component_old",
            )
            _do(
                connection,
                "UPDATE landing SET component = moved.component FROM moved WHERE landing.component = moved.component_old",
            )
        connection.register("fresh", component_of.join(known, on="token", how="anti"))
        _do(connection, "INSERT INTO token SELECT token, component FROM fresh")
        placed = rows.join(
            edges.join(component_of, on="token").group_by("digest").agg(pl.col("component").first()),
            on="digest",
            how="left",
        )
        connection.register("placed", placed)
        _do(
            connection,
            "INSERT INTO landing SELECT name, CAST(digest AS UUID), month, batch, component, CAST(patient AS UUID) FROM placed",
        )

    # -- questions -------------------------------------------------------------------------------------------------

    def known(self, digests: Iterable[str]) -> dict[str, str]:
        """Verdict by digest, of those inputs that are in the lake already (first 32 hexadecimal digits)."""
        asked = pl.DataFrame({"digest": [digest[:32] for digest in digests]}, schema={"digest": pl.Utf8}).unique()
        self._connection.register("asked", asked)
        found = _frame(
            self._connection,
            "SELECT replace(CAST(i.digest AS VARCHAR), '-', '') AS digest, min(i.verdict) AS verdict FROM input i "
            "JOIN asked ON i.digest = CAST(asked.digest AS UUID) GROUP BY ALL",
        )
        return dict(found.iter_rows())

    def touched(self, after_batch: int) -> pl.DataFrame:
        """Components that batches after a number changed: by their rows, or by a merge of their patients.

        Returns:
            `component`, and `month`: the latest partition of its rows, by which large rebuilds are cut.
        """
        self._connection.register("concerned", self._patients_merged_since(after_batch))
        return _frame(
            self._connection,
            f"""SELECT component, max(month) AS month FROM landing WHERE component IN (
                SELECT component FROM landing WHERE batch > {int(after_batch)} AND component IS NOT NULL
                UNION SELECT component FROM landing WHERE patient IN (SELECT CAST(patient AS UUID) FROM concerned) AND component IS NOT NULL)
            GROUP BY component ORDER BY month, component""",
        )

    def _patients_merged_since(self, after_batch: int) -> pl.DataFrame:
        """All members of merge classes that a new batch changed: of those that it made, and of those that it took apart."""
        fresh = _frame(
            self._connection,
            f"SELECT replace(CAST(patient AS VARCHAR), '-', '') AS patient FROM landing WHERE name = 'patient' AND batch > {int(after_batch)}",
        )
        every = surviving(self._merges().select("patient", "survivor"))
        roots = every.join(fresh, on="patient").select("survivor").unique()
        return every.join(roots, on="survivor").select("patient")

    def _merges(self) -> pl.DataFrame:
        """Every merge and link ever stated, with whether it was taken back: `patient`, `survivor`, `is_undone`.

        Of the statements about a pair of identities the latest holds, whichever of the two it names first.
        """
        said = _frame(
            self._connection,
            "SELECT replace(CAST(patient AS VARCHAR), '-', '') AS patient, replace(CAST(survivor AS VARCHAR), '-', '') AS survivor, undoes, stated_order FROM merged",
        )
        pair = [pl.min_horizontal("patient", "survivor"), pl.max_horizontal("patient", "survivor")]
        latest = (
            said.with_columns(pair[0].alias("one"), pair[1].alias("other"))
            .sort("one", "other", "stated_order")
            .with_columns(is_undone=pl.col("undoes").last().over("one", "other"))
        )
        return latest.filter(~pl.col("undoes")).select("patient", "survivor", "is_undone").unique(maintain_order=True)

    def survivors(self, undone: Collection[tuple[str, str]] = ()) -> pl.DataFrame:
        """For every identity in a merge, the one that survives: `patient`, `survivor`.

        The survivor of a class is the identity that no merge ends; of a cycle, the least. Which message came first does
        not matter.

        Args:
            undone: pairs (ended, survivor) that a person took apart.
        """
        apart = pl.DataFrame(list(undone), schema={"patient": pl.Utf8, "survivor": pl.Utf8}, orient="row")
        standing = self._merges().filter(~pl.col("is_undone")).join(apart, on=["patient", "survivor"], how="anti")
        return surviving(standing.select("patient", "survivor"))

    def components_of(self, exams: Collection[int] = (), patients: Collection[str] = ()) -> pl.DataFrame:
        """Components that hold some exam keys or patients: `component`, `month` (the latest partition of its rows)."""
        self._connection.register("exams", pl.DataFrame({"token": list(exams)}, schema={"token": pl.Int64}))
        self._connection.register("people", pl.DataFrame({"patient": list(patients)}, schema={"patient": pl.Utf8}))
        return _frame(
            self._connection,
            """SELECT component, max(month) AS month FROM landing WHERE component IN (
                SELECT t.component FROM token t JOIN exams USING (token)
                UNION SELECT component FROM landing WHERE patient IN (SELECT CAST(patient AS UUID) FROM people) AND component IS NOT NULL)
            GROUP BY component ORDER BY month, component""",
        )

    def rows_of(self, components: pl.DataFrame) -> pl.DataFrame:
        """Landing rows of some components: `name`, `digest` (32 digits), `month`, `component`."""
        self._connection.register("wanted", components)
        return _frame(
            self._connection,
            "SELECT name, replace(CAST(digest AS VARCHAR), '-', '') AS digest, month, component FROM landing JOIN wanted USING (component)",
        )

    def tokens_of(self, components: pl.DataFrame) -> pl.Series:
        """Every identity of some components: the exam keys that they may have had at any time."""
        self._connection.register("wanted", components)
        return _frame(self._connection, "SELECT DISTINCT token FROM token JOIN wanted USING (component)")["token"]

    def observed(self, kind: str) -> pl.DataFrame:
        """What was seen of one kind: `key`, `attributes` (JSON), `first_at`, `last_at`."""
        assert kind in OBSERVATIONS
        return _frame(
            self._connection,
            f"SELECT key, attributes, first_at, last_at FROM observation WHERE kind = '{kind}' ORDER BY key",
        )

    def patients(self) -> pl.DataFrame:
        """Patients as last stated: `patient`, `key`, `sex`, `birth_year`, and the order of the two statements."""
        return _frame(
            self._connection,
            "SELECT replace(CAST(patient AS VARCHAR), '-', '') AS patient, key, sex, birth_year, sex_order, birth_order FROM patient",
        )


def _frame(connection: duckdb.DuckDBPyConnection, query: str) -> pl.DataFrame:
    """The answer of a query."""
    answer: pl.DataFrame = connection.sql(query).pl()
    return answer


def _do(connection: duckdb.DuckDBPyConnection, statement: str, parameters: list[object] | None = None) -> None:
    """Runs a statement to its end: DuckDB 2 leaves a result open until it is fetched."""
    connection.execute(statement, parameters).fetchall()


def _components(edges: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Connected components over rows and tokens, known components included: `token`, `component` (the least token).

    Args:
        edges: `digest`, `token`.
        known: `token`, `component` of tokens that are in the index already.
    """
    pairs = pl.concat(
        [
            edges.select(pl.col("digest").rank("dense").cast(pl.Int64).alias("left"), "token"),
            known.select((-pl.col("component").rank("dense").cast(pl.Int64)).alias("left"), "token"),
        ]
    )
    if pairs.is_empty():
        return pl.DataFrame(schema={"token": pl.Int64, "component": pl.Int64})
    lefts, left_numbers = np.unique(pairs["left"].to_numpy(), return_inverse=True)
    distinct, token_numbers = np.unique(pairs["token"].to_numpy(), return_inverse=True)
    size = len(lefts) + len(distinct)
    graph = coo_matrix(
        (np.ones(len(left_numbers), dtype=np.int8), (left_numbers, token_numbers + len(lefts))), shape=(size, size)
    )
    labels = connected_components(graph, directed=False)[1][len(lefts) :]
    members = pl.DataFrame({"token": distinct, "label": labels})
    old = known.join(members, on="token").group_by("label").agg(pl.col("component").min().alias("old"))
    least = members.group_by("label").agg(pl.col("token").min().alias("least")).join(old, on="label", how="left")
    named = least.select("label", pl.min_horizontal("least", "old").alias("component"))
    return members.join(named, on="label").select("token", "component")


def surviving(merges: pl.DataFrame) -> pl.DataFrame:
    """The survivor of every identity in a merge, from `patient` (ended) and `survivor` pairs in any order."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for ended, survivor in merges.iter_rows():
        left, right = root(ended), root(survivor)
        parent[max(left, right)] = min(left, right)
    ended_ever = set(merges["patient"].to_list())
    classes: dict[str, list[str]] = {}
    for node in parent:
        classes.setdefault(root(node), []).append(node)
    answer = {
        node: min([n for n in members if n not in ended_ever] or members)
        for members in classes.values()
        for node in members
    }
    return pl.DataFrame(
        {"patient": list(answer), "survivor": list(answer.values())}, schema={"patient": pl.Utf8, "survivor": pl.Utf8}
    ).sort("patient")
