"""Series are read whole or refused with line and column, whatever the file holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import SeriesError
from forecasting.grain import Grain, ahead
from forecasting.series import read_series, series_of


def written(folder: Path, content: str) -> Path:
    path = folder / "series.csv"
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read as CSV"),
        ("unique_id,ds\na,2026-01-01\n", "the column 'y' is missing"),
        ("unique_id,ds,y\n", "has a header and no row"),
        ("unique_id,ds,y\na,2026-01-01,1\na,01/02/2026,2\n", "line 3, column ds: '01/02/2026' is no date"),
        ("unique_id,ds,y\na,2026-01-01,1\na,2026-01-02,-2\n", "line 3, column y: '-2' is no number from 0 on"),
        ("unique_id,ds,y\na,2026-01-01,many\n", "line 2, column y: 'many' is no number from 0 on"),
        ("unique_id,ds,y\na,2026-01-01,inf\n", "line 2, column y: 'inf' is no number from 0 on"),
        ("unique_id,ds,y\n,2026-01-01,1\n", "line 2, column unique_id: is empty"),
        ("unique_id,ds,y\na,2026-01-01,1\na,2026-01-01 12:00,1\n", "line 3: a has the day of 2026-01-01 12:00 twice"),
        ("unique_id,ds,y\na,2026-01-01,1\na,2126-01-01,1\n", "check its dates and --grain"),
    ],
)
def test_a_wrong_file_names_line_and_column(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SeriesError, match=message.replace("(", r"\(")):
        read_series(written(tmp_path, content), Grain.DAY)


def test_a_file_that_is_not_there_or_no_parquet_says_so(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="no such file"):
        read_series(tmp_path / "none.csv", Grain.DAY)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(SeriesError, match="cannot be read as Parquet"):
        read_series(tmp_path / "bad.parquet", Grain.DAY)


@given(st.binary(max_size=200), st.sampled_from(list(Grain)))
def test_any_bytes_are_series_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, grain: Grain) -> None:
    path = tmp_path_factory.mktemp("bytes") / "series.csv"
    path.write_bytes(b"unique_id,ds,y\n" + data)
    try:
        found = read_series(path, grain)
    except SeriesError:
        return
    assert all(len(one.y) == len(one.starts) > 0 for one in found)


def test_periods_are_known_by_their_start_and_gaps_stay_missing() -> None:
    months = pl.DataFrame({"unique_id": ["b", "b", "a"], "ds": ["2026-03-31", "2026-01-31", "2026-02-01"], "y": [3.0, 1.0, 7.0]})  # fmt: skip
    first, second = series_of(months, Grain.MONTH)
    assert (first.unique_id, second.unique_id) == ("a", "b")
    assert second.starts.astype(str).tolist() == ["2026-01-01", "2026-02-01", "2026-03-01"]
    np.testing.assert_array_equal(second.y, [1.0, np.nan, 3.0])
    weeks = pl.DataFrame({"unique_id": ["a"] * 2, "ds": ["2026-01-04", "2026-01-12"], "y": [1, None]})
    [week] = series_of(weeks, Grain.WEEK)
    assert week.starts.astype(str).tolist() == ["2025-12-29", "2026-01-05", "2026-01-12"]
    assert np.isnan(week.y[1:]).all()


@given(st.sampled_from(list(Grain)), st.integers(1, 60), st.integers(0, 20_000))
def test_what_comes_next_follows_without_a_gap(grain: Grain, horizon: int, days: int) -> None:
    last = np.datetime64("1980-01-01") + days
    starts = ahead(last.astype("datetime64[h]") if grain is Grain.HOUR else last, horizon, grain)
    frame = pl.DataFrame({"unique_id": ["a"] * horizon, "ds": [str(one) for one in starts.astype("datetime64[s]")], "y": [1.0] * horizon})  # fmt: skip
    [made] = series_of(frame, grain)
    assert len(made.y) == horizon
    assert not np.isnan(made.y).any()
