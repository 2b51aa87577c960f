"""Rows of a database as Parquet: a row is the same row in whichever file it comes."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from etl.pull.sql_rows import write_rows
from etl.sources.contract import Context, Input, Offered
from etl.sources.extract.reader import READER
from settings import Extract, Settings
from state.identity import Pseudonymiser

EXTRACT = Extract(
    name="exams",
    files="-",
    decimal_mark=",",
    columns={"accession": "acc", "charge_amount": "amount", "event:exam_started": "at"},
)
SETTINGS = Settings(extracts=(EXTRACT,))
BERLIN = timezone(timedelta(hours=1))


def offered(folder: Path, columns: list[str], rows: list[Any]) -> list[Offered]:
    file = folder / "rows.parquet"
    write_rows(file, columns, rows, "exams")
    content = file.read_bytes()
    source = Input("any.parquet", len(content), lambda: io.BytesIO(content))
    return list(READER.read(source, Context(SETTINGS, Pseudonymiser(b"k" * 32), datetime(2026, 11, 1, tzinfo=UTC))))


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([Decimal("1.50"), Decimal(2), Decimal("-0.0"), None], ["1.5", "2", "0", None]),
        ([Decimal("12345678901234567890123456789012345678.1")], ["12345678901234567890123456789012345678.1"]),
        ([1, None], ["1", None]),
        ([1.0, 1.25], ["1", "1.25"]),
        ([True], ["True"]),
        ([b"\x00\xff"], ["00ff"]),
        ([UUID(int=1)], ["00000000-0000-0000-0000-000000000001"]),
        ([{"b": 1, "a": date(2026, 1, 1)}], ['{"a": "2026-01-01", "b": 1}']),
        (["a\udc80"], ["a\\udc80"]),
        ([datetime(2026, 3, 1, 8), None], [datetime(2026, 3, 1, 8), None]),
        ([datetime(2026, 3, 1, 8, tzinfo=BERLIN)], [datetime(2026, 3, 1, 7, tzinfo=UTC)]),
        ([date(2026, 3, 1)], [date(2026, 3, 1)]),
        ([datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=5)))], ["9999-12-31 23:00:00-05:00"]),
        ([None, None], [None, None]),
    ],
)
def test_values_have_one_form(values: list[Any], written: list[Any], tmp_path: Path) -> None:
    write_rows(tmp_path / "x.parquet", ["a"], [(value,) for value in values], "exams")
    assert pyarrow.parquet.read_table(tmp_path / "x.parquet")["a"].to_pylist() == written


def test_amounts_have_a_point_whatever_the_extract_says(tmp_path: Path) -> None:
    (one,) = offered(tmp_path, ["acc", "amount", "at"], [("A1", Decimal("10.50"), datetime(2026, 3, 1, 8))])
    assert one.rows["workflow"][0]["charge_amount"] == Decimal("10.5000")


COLUMN = st.sampled_from(
    [
        st.integers(-(2**63), 2**63),
        st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12),
        st.floats(),
        st.text(max_size=8),
        st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
        st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.sampled_from([UTC, BERLIN])),
        st.dates(date(1900, 1, 1), date(2100, 1, 1)),
        st.binary(max_size=8),
        st.booleans(),
    ]
)


@effort(max_examples=40, deadline=None)
@given(st.data(), st.lists(COLUMN, min_size=2, max_size=5), st.integers(1, 12))
def test_row_is_known_again_however_the_rows_are_cut(data: st.DataObject, columns: list[Any], height: int) -> None:
    rows = [("A1", *(data.draw(st.none() | column) for column in columns)) for _ in range(height)]
    names = ["acc", "amount", "at", *(f"c{number}" for number in range(len(columns) - 2))][: len(columns) + 1]
    cut = data.draw(st.integers(0, height))
    with TemporaryDirectory() as folder:
        whole = [one.digest for one in offered(Path(folder), names, rows)]
        parts = [one.digest for part in (rows[:cut], rows[cut:]) if part for one in offered(Path(folder), names, part)]
    assert whole == parts
