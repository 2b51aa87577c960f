"""SQL sources against a real PostgreSQL and SQLite: read-only, bounded, resumable, and plain words where they fail."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet
import pytest
from pydantic import SecretStr

from etl.load import Loader
from etl.pull import sql
from etl.pull.contract import Cursor, Fetched, PullError
from etl.pull.pull import Puller
from etl.pull.sql_query import problem, told
from etl.pull.sql_watermark import BadWatermarkError, Watermark
from etl.sources.extract.tables import EXTRACT_KEY
from settings import Extract, Settings, SqlSource
from state.home import DataHome
from warehouse.engines import StarReader

EXTRACT = Extract(
    name="exams",
    files="none",
    decimal_mark=",",
    columns={
        "accession": "acc",
        "patient": "mrn",
        "modality": "modality",
        "charge_amount": "amount",
        "event:exam_started": "started",
        "event:exam_completed": "ended",
        "stated_at": "changed_at",
    },
)
QUERY = "SELECT * FROM exams WHERE changed_at >= :since ORDER BY changed_at"
PASSWORD = "s3cret/word"


def source(address: str, **more: Any) -> SqlSource:
    values = {
        "kind": "sql",
        "name": "ris",
        "url": address,
        "query": QUERY,
        "watermark": "changed_at",
        "extract": "exams",
    }
    return SqlSource.model_validate({**values, **more})


def settings(*sources: SqlSource) -> Settings:
    return Settings(extracts=(EXTRACT,), sources=sources)


def fetch(one: SqlSource, spool: Path, cursor: Cursor | None = None) -> Fetched:
    spool.mkdir(parents=True)
    return sql.connect(one, settings(one)).fetch(cursor or {}, spool)


def rows(spool: Path) -> list[dict[str, Any]]:
    return [row for file in sorted(spool.iterdir()) for row in pyarrow.parquet.read_table(file).to_pylist()]


# -- PostgreSQL ----------------------------------------------------------------------------------------------------------


def _binary(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(found[-1]) if found else None)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """URL of a cluster of its own, with a table of exams, an owner and a reader with a password."""
    initdb, server = _binary("initdb"), _binary("postgres")
    if initdb is None or server is None:
        pytest.skip("needs PostgreSQL (Debian package postgresql)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="isocenter-pg-"))
    # PostgreSQL does not run as root.
    user = {"user": "postgres" if _exists("postgres") else "nobody"} if os.geteuid() == 0 else {}
    if user:
        os.chown(folder, pwd.getpwnam(user["user"]).pw_uid, -1)
    (folder / "pw").write_text(PASSWORD)
    (folder / "pw").chmod(0o644)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    quiet: dict[str, Any] = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "cwd": folder,
        "env": environment,
        **user,
    }
    try:
        init = [
            initdb,
            "-D",
            str(folder / "data"),
            "-U",
            "owner",
            "-A",
            "scram-sha-256",
            "--pwfile",
            str(folder / "pw"),
            "-N",
        ]
        subprocess.run(init, check=True, **quiet)
        options = ["-p", str(port), "-k", str(folder), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        process = subprocess.Popen([server, "-D", str(folder / "data"), *options], **quiet)
        try:
            owner = {"host": "127.0.0.1", "port": port, "user": "owner", "password": PASSWORD, "dbname": "postgres"}
            _fill(_connected(owner, process))
            yield f"postgresql+psycopg://reader:s3cret%2Fword@127.0.0.1:{port}/postgres"
        finally:
            process.terminate()
            process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _connected(owner: dict[str, Any], process: subprocess.Popen[bytes]) -> psycopg.Connection[Any]:
    waiting = threading.Event()
    for _ in range(200):
        if process.poll() is not None:
            pytest.skip("PostgreSQL does not start here")
        try:
            return psycopg.connect(**owner, autocommit=True)
        except psycopg.OperationalError:
            waiting.wait(0.1)
    pytest.skip("PostgreSQL does not answer")


def _fill(connection: psycopg.Connection[Any]) -> None:
    with connection:
        connection.execute(
            "CREATE TABLE exams AS SELECT n AS id, 'A' || n AS acc, n::numeric(12) AS mrn, 'CT' AS modality,"
            " (n / 4.0)::numeric(10, 4) AS amount,"
            " timestamp '2026-03-01 08:00' + n * interval '10 min' AS started,"
            " timestamptz '2026-03-01 09:00+00' + n * interval '10 min' AS ended,"
            " timestamptz '2026-03-01 09:00+00' + n * interval '10 min' AS changed_at"
            " FROM generate_series(1, 1000) AS n"
        )
        connection.execute("UPDATE exams SET amount = NULL WHERE id % 7 = 0")
        connection.execute("CREATE TABLE private AS SELECT 'DOE^JANE' AS name, now() AS changed_at")
        connection.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
        connection.execute("GRANT SELECT ON exams TO reader")
        connection.execute(
            "CREATE FUNCTION sneaky() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM exams RETURNING 1'"
        )
        connection.execute(
            "CREATE FUNCTION slow(n int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT n FROM pg_sleep(0.02)'"
        )


pytestmark = pytest.mark.services


def test_all_rows_come_once_in_chunks_that_name_the_extract(postgres: str, tmp_path: Path) -> None:
    fetched = fetch(source(postgres, chunk_rows=300), tmp_path / "spool")
    assert (fetched.files, fetched.records, fetched.is_complete) == (4, 1000, True)
    files = sorted((tmp_path / "spool").iterdir())
    assert [pyarrow.parquet.ParquetFile(file).metadata.num_rows for file in files] == [300, 300, 300, 100]
    assert all(pyarrow.parquet.read_schema(file).metadata[EXTRACT_KEY] == b"exams" for file in files)
    found = rows(tmp_path / "spool")
    assert [row["id"] for row in found] == [str(number) for number in range(1, 1001)]
    assert (found[0]["mrn"], found[0]["amount"], found[3]["amount"], found[6]["amount"]) == ("1", "0.25", "1", None)
    assert datetime.fromisoformat(fetched.cursor["time"]) == datetime(2026, 3, 8, 7, 40, tzinfo=UTC)


def test_next_pull_begins_an_overlap_before_the_end(postgres: str, tmp_path: Path) -> None:
    first = fetch(source(postgres), tmp_path / "1")
    fetch(source(postgres, overlap_minutes=60), tmp_path / "2", first.cursor)
    assert [row["id"] for row in rows(tmp_path / "2")] == [str(number) for number in range(994, 1001)]
    fetch(source(postgres, overlap_minutes=0), tmp_path / "3", first.cursor)
    assert [row["id"] for row in rows(tmp_path / "3")] == ["1000"]


def test_number_as_watermark(postgres: str, tmp_path: Path) -> None:
    by_id = {"query": "SELECT * FROM exams WHERE id > :since ORDER BY id", "watermark": "id", "start": "990"}
    first = fetch(source(postgres, **by_id), tmp_path / "1")
    assert (first.records, first.cursor) == (10, {"number": "1000"})
    assert fetch(source(postgres, **by_id), tmp_path / "2", first.cursor).records == 0


def test_border_rows_are_duplicates_by_content(postgres: str, tmp_path: Path) -> None:
    """Pulled twice, in other chunks, with amounts that a chunk of its own would write with other digits."""
    home = DataHome.initialise(tmp_path / "data")
    few = QUERY.replace("ORDER", "AND id <= 220 ORDER")
    one = source(postgres, chunk_rows=100, query=few)
    first = Puller(home, settings(one)).pull(one)
    assert (first.error, first.total("accepted"), first.total("rejected")) == (None, 220, 0)
    (home.path / "sources" / "ris.json").unlink()
    other = source(postgres, chunk_rows=130, query=few)
    second = Puller(home, settings(other)).pull(other)
    assert (second.total("accepted"), second.total("duplicate")) == (0, 220)
    star = StarReader(home.star).current()
    assert star.text("SELECT count(*) AS n FROM fact_exam")["n"][0] == 220


def test_rounds_end_at_a_border_and_miss_nothing(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "ROUND_ROWS", 250)
    one = source(postgres, chunk_rows=100, overlap_minutes=20)
    cursor: Cursor = {}
    seen: set[str] = set()
    for number in range(10):
        fetched = fetch(one, tmp_path / str(number), cursor)
        seen |= {row["id"] for row in rows(tmp_path / str(number))}
        cursor = fetched.cursor
        if fetched.is_complete:
            break
    assert fetched.is_complete
    assert number > 2
    assert len(seen) == 1000


def test_round_never_stops_among_equal_watermarks(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All changed in one statement: going on from there would begin at the same place for ever."""
    monkeypatch.setattr(sql, "ROUND_ROWS", 100)
    same = "SELECT acc, date '2026-03-01' AS changed_at FROM exams WHERE date '2026-03-01' >= :since ORDER BY 2"
    fetched = fetch(source(postgres, query=same, chunk_rows=100), tmp_path / "spool")
    assert (fetched.records, fetched.is_complete, fetched.cursor) == (1000, True, {"date": "2026-03-01"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"query": "SELECT sneaky(), changed_at FROM exams WHERE changed_at >= :since ORDER BY changed_at"}, "read-only transaction"),
        ({"query": "SELECT slow(id), changed_at FROM exams WHERE changed_at >= :since ORDER BY changed_at", "timeout_seconds": 1}, "gave no rows for 1 seconds"),
        ({"watermark": "modified"}, "'modified' is not among the columns of the answer (id, acc"),
        ({"query": "SELECT * FROM exams WHERE changed_at >= :since ORDER BY changed_at DESC"}, "ordered by it"),
        ({"query": "SELECT * FROM absent WHERE changed_at >= :since ORDER BY changed_at"}, '"absent" does not exist'),
        ({"query": "SELECT * FROM private WHERE changed_at >= :since ORDER BY changed_at"}, "right to SELECT"),
        ({"query": "SELECT ('DOE^' || acc)::int AS changed_at FROM exams WHERE changed_at >= :since ORDER BY 1"}, "…"),
        ({"watermark": "acc"}, "no ISO 8601 time"),
        ({"start": "yesterday"}, "no ISO 8601 time"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_said_in_plain_words(
    changes: dict[str, Any], words: str, postgres: str, tmp_path: Path
) -> None:
    with pytest.raises(PullError) as failed:
        fetch(source(postgres, **changes), tmp_path / "spool")
    message = str(failed.value)
    assert message.startswith("ris: ")
    assert words in message
    assert "s3cret" not in message
    assert "DOE^A" not in message
    assert failed.value.__cause__ is None or "s3cret" not in str(failed.value.__cause__)


def test_nothing_was_written_by_the_query_that_tried(postgres: str, tmp_path: Path) -> None:
    assert fetch(source(postgres), tmp_path / "spool").records == 1000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("s3cret%2Fword", "wr0ng"), "Check user and password"),
        (("reader", "nobody_known"), "Check user and password"),
        (("@127.0.0.1:", "@127.0.0.2:"), "can be reached"),
        (("/postgres", "/absent"), '"absent" does not exist'),
        (("+psycopg", "+pg8000"), "is not installed"),
        (("postgresql+psycopg", "mysql"), "pip install pymysql"),
        (("postgresql+psycopg", "oracel"), "is not installed"),
    ],
)
def test_wrong_address_is_said_without_the_password(
    change: tuple[str, str], words: str, postgres: str, tmp_path: Path
) -> None:
    with pytest.raises(PullError) as failed:
        fetch(source(postgres.replace(*change)), tmp_path / "spool")
    assert words in str(failed.value)
    assert "s3cret" not in str(failed.value)
    assert "wr0ng" not in str(failed.value)


def test_check_tells_what_would_be_loaded_and_loads_nothing(postgres: str, tmp_path: Path) -> None:
    one = source(postgres)
    remarks = list(sql.connect(one, settings(one)).check())
    kinds = [remark.kind for remark in remarks]
    assert kinds[0] == "works"
    assert "fails" not in kinds
    text = "\n".join(remark.text for remark in remarks)
    assert "id, acc, mrn" in text
    assert "200 accepted" in text
    assert "event:exam_started always" in text
    assert "report turnaround: lacks report_final" in text
    (bad,) = sql.connect(source(postgres, watermark="x"), settings(one)).check()
    assert bad.kind == "fails"


def test_large_answer_is_streamed(postgres: str, tmp_path: Path) -> None:
    """A million rows of half a kilobyte: the first chunk is here long before the server has made them all."""
    query = (
        "SELECT n AS acc, repeat('x', 500) AS text, n AS changed_at FROM generate_series(1, 1000000) AS n"
        " WHERE n > :since ORDER BY n"
    )
    one = source(postgres, query=query, start="0", timeout_seconds=20)
    connection = sql.connect(one, settings(one))
    chunks = connection._chunks(0, 1000)
    assert [len(next(chunks)[1]) for _ in range(3)] == [1000, 1000, 1000]
    chunks.close()


# -- SQLite --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "ris.db"
    with sqlite3.connect(file) as connection:
        connection.execute(
            "CREATE TABLE exams(acc TEXT, mrn TEXT, modality, amount REAL, started, ended, changed_at TEXT)"
        )
        connection.executemany(
            "INSERT INTO exams VALUES (?, 'P', 'CT', 1.5, '2026-03-01 08:00:00', '2026-03-01 09:00:00', ?)",
            [(f"A{n}", f"2026-03-{1 + n // 24:02d} {n % 24:02d}:00:00") for n in range(240)],
        )
    return file


def test_sqlite_keeps_times_as_text(database: Path, tmp_path: Path) -> None:
    one = source(f"sqlite:///{database}", overlap_minutes=120)
    first = fetch(one, tmp_path / "1")
    assert (first.records, first.cursor) == (240, {"text": "2026-03-10 23:00:00"})
    assert fetch(one, tmp_path / "2", first.cursor).records == 3


def test_sqlite_number_with_a_fraction(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE exams(acc, changed_at REAL)")
        connection.executemany("INSERT INTO exams VALUES (?, ?)", [("A1", 1.25), ("A2", 2.5)])
    one = source(f"sqlite:///{tmp_path}/x.db", start="0")
    first = fetch(one, tmp_path / "1")
    assert first.cursor == {"number": "2.5"}
    assert fetch(one, tmp_path / "2", first.cursor).records == 1


def test_sqlite_file_is_opened_to_read_alone(database: Path, tmp_path: Path) -> None:
    with pytest.raises(PullError, match="can be reached"):
        fetch(source(f"sqlite:///{tmp_path}/absent.db"), tmp_path / "1")
    assert not (tmp_path / "absent.db").exists()
    before = database.read_bytes()
    fetch(source(f"sqlite:///{database}"), tmp_path / "2")
    assert database.read_bytes() == before


def test_sqlite_query_is_stopped_in_time(database: Path, tmp_path: Path) -> None:
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT max(i) AS changed_at FROM n WHERE i > :since ORDER BY 1"
    )
    with pytest.raises(PullError, match="gave no rows for"):
        fetch(source(f"sqlite:///{database}", query=endless, timeout_seconds=0.2), tmp_path / "1")


def test_pulled_rows_become_exams(database: Path, tmp_path: Path) -> None:
    home = DataHome.initialise(tmp_path / "data")
    one = source(f"sqlite:///{database}")
    pulled = Puller(home, settings(one)).pull(one)
    assert (pulled.error, pulled.total("accepted")) == (None, 240)
    assert Puller(home, settings(one)).pull(one).total("accepted") == 0


def test_file_of_an_extract_that_is_gone_is_not_loaded(database: Path, tmp_path: Path) -> None:
    fetch(source(f"sqlite:///{database}"), tmp_path / "spool")
    outcome = Loader(DataHome.initialise(tmp_path / "data"), Settings()).load([tmp_path / "spool"])
    assert (outcome.total("accepted"), outcome.total("not_applicable")) == (0, 1)


def test_url_may_come_from_the_environment(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIS_URL", f"sqlite:///{database}")
    one = source("env:RIS_URL")
    assert fetch(one, tmp_path / "1").records == 240
    monkeypatch.delenv("RIS_URL")
    with pytest.raises(PullError, match="the environment has no RIS_URL"):
        sql.connect(one, settings(one))


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"extract": "absent"}, "is none of the [[extracts]]"), ({"url": "://x:s3cret@h"}, "no SQLAlchemy URL"), ({"query": "DELETE FROM exams"}, "one SELECT")],
)  # fmt: skip
def test_settings_that_do_not_fit_are_said_before_anything_is_asked(changes: dict[str, Any], words: str) -> None:
    one = source("sqlite:///x.db", **changes)
    with pytest.raises(PullError) as failed:
        sql.connect(one, settings(one))
    assert words in str(failed.value)
    assert "s3cret" not in str(failed.value)


# -- the parts -----------------------------------------------------------------------------------------------------------

END = "FROM t WHERE a >= :since ORDER BY a"


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT * {END}",
        f"select a, b {END};",
        f"WITH x AS (SELECT 1) SELECT * {END}",
        f"-- what changed; nothing else\nSELECT 'DELETE; --' AS \"UPDATE\", a::text /* DROP */ {END}",
        f"SELECT updated_by, created {END} LIMIT 5",
    ],
)
def test_queries_that_read_are_taken(query: str) -> None:
    assert problem(query) is None


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "one SELECT"),
        ("DELETE FROM t", "one SELECT"),
        (f"SELECT 1; SELECT * {END}", "more than one"),
        (f"SELECT * {END}; DROP TABLE t", "more than one"),
        (f"WITH x AS (DELETE FROM t RETURNING *) SELECT * {END}", "DELETE"),
        (f"SELECT * INTO copy {END}", "INTO"),
        (f"SELECT * {END} FOR UPDATE", "UPDATE"),
        ("SELECT * FROM t ORDER BY a", ":since"),
        ("SELECT * FROM t WHERE a::since ORDER BY a", ":since"),
        ("SELECT * FROM t WHERE a > ':since' ORDER BY a", ":since"),
        ("SELECT * FROM t WHERE a > :since", "ORDER BY"),
    ],
)
def test_queries_that_do_more_are_refused(query: str, words: str) -> None:
    found = problem(query)
    assert found is not None
    assert words in found


def test_messages_hide_secrets_and_values() -> None:
    said = told("\nbad value 'DOE^JANE' for \"age\" with pw\nDETAIL: Smith", "SELECT age", ("pw",))
    assert said == "bad value '…' for \"age\" with ***"


@pytest.mark.parametrize(
    ("value", "minutes", "since"),
    [
        ("2026-03-10 08:00:00", 60, "2026-03-10 07:00:00"),
        ("2026-03-10T08:00:00.500", 60, "2026-03-10T07:00:00.500000"),
        ("2026-03-10", 60, "2026-03-09"),
        (1000, 60, 1000),
        ("2026-03-10 08:00:00", 0, "2026-03-10 08:00:00"),
    ],
)
def test_overlap_keeps_the_form_of_the_database(value: Any, minutes: int, since: Any) -> None:
    mark = Watermark.of(value)
    assert Watermark.stored(json.loads(json.dumps(mark.as_cursor()))) == mark
    assert mark.since(minutes) == since


@pytest.mark.parametrize("value", [True, None, b"x", "soon", float("nan")])
def test_what_is_no_watermark_is_said(value: Any) -> None:
    with pytest.raises(BadWatermarkError):
        Watermark.of(value)


def test_password_is_masked_wherever_settings_are_shown() -> None:
    one = source(f"postgresql://reader:{PASSWORD}@h/d")
    assert isinstance(one.url, SecretStr)
    assert PASSWORD not in json.dumps(settings(one).shown())
