"""Series in long format (`unique_id, ds, y`): read, checked, and laid out period by period.

A period is known by its start. What is missing between the first and the last period stays missing (NaN), and models fill it:
a gap is no zero. The last period is taken to be over: who has a half one leaves it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from forecasting.errors import SeriesError
from forecasting.grain import RHYTHMS, Dates, Grain, first_day

COLUMNS = ("unique_id", "ds", "y")
_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")
MOST_PERIODS = 2_000_000
"""Of one series: a date in the far future is a mistake, and would be laid out period by period."""


@dataclass(frozen=True)
class Series:
    """One series without holes in its dates."""

    unique_id: str
    grain: Grain
    starts: Dates
    y: NDArray[np.float64]
    """NaN where nothing is known."""

    def upto(self, count: int) -> Series:
        """The first periods alone."""
        return Series(self.unique_id, self.grain, self.starts[:count], self.y[:count])


def read_series(path: Path, grain: Grain) -> list[Series]:
    """The series of a CSV or Parquet file, in the order of their names.

    Raises:
        SeriesError: the file cannot be read, lacks a column, or has a wrong date, value or period.
    """
    if not path.is_file():
        raise SeriesError(f"{path}: there is no such file.")
    try:
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise SeriesError(f"{path}: cannot be read as {'Parquet' if path.suffix == '.parquet' else 'CSV'}: {str(error)[:200]}") from error  # fmt: skip
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise SeriesError(
            f"{path}: the column {missing[0]!r} is missing. Needed are {', '.join(COLUMNS)}; there are: {', '.join(frame.columns)[:200]}."
        )
    if frame.is_empty():
        raise SeriesError(f"{path}: has a header and no row.")
    return series_of(frame, grain, str(path))


def series_of(frame: pl.DataFrame, grain: Grain, where: str = "the series") -> list[Series]:
    """The series of a long frame, in the order of their names.

    Args:
        frame: `unique_id`; `ds` as a date, a time or text of one; `y`, not below 0, or null where it is not known.
        where: what the frame is, for messages.

    Raises:
        SeriesError: a date, value or period that is wrong, by its line (the first row is line 2).
    """
    told = frame.select(
        line=pl.int_range(2, pl.len() + 2),
        unique_id=pl.col("unique_id").cast(pl.Utf8),
        text=pl.col("ds").cast(pl.Utf8).str.strip_chars(),
        start=_moment(frame["ds"]),
        given=pl.col("y").cast(pl.Utf8).str.strip_chars().replace({"": None, "NA": None, "NaN": None, "nan": None}),
        y=pl.col("y").cast(pl.Float64, strict=False),
    )
    _refuse(told.filter(pl.col("unique_id").is_null() | (pl.col("unique_id") == "")), where, "unique_id", "is empty")
    _refuse(told.filter(pl.col("start").is_null()), where, "ds", "is no date such as 2026-01-31 or 2026-01-31 14:00", "text")  # fmt: skip
    wrong = pl.col("given").is_not_null() & (pl.col("y").is_null() | ~pl.col("y").is_finite() | (pl.col("y") < 0))
    _refuse(told.filter(wrong), where, "y", "is no number from 0 on", "given")
    unit = RHYTHMS[grain].unit
    made = []
    for (name,), part in told.sort("unique_id", "start").partition_by(["unique_id"], as_dict=True, maintain_order=True).items():  # fmt: skip
        moments = part["start"].to_numpy().astype("datetime64[s]")
        starts = moments.astype("datetime64[h]") if unit == "h" else first_day(moments, grain)
        twice = np.flatnonzero(starts[1:] == starts[:-1])
        if twice.size:
            row = part.row(int(twice[0]) + 1, named=True)
            raise SeriesError(f"{where}, line {row['line']}: {name} has the {grain} of {row['text']} twice. Add them up, or choose another --grain.")  # fmt: skip
        made.append(_laid_out(str(name), grain, starts, part["y"].to_numpy().astype(np.float64), where))
    return made


def _laid_out(name: str, grain: Grain, starts: Dates, y: NDArray[np.float64], where: str) -> Series:
    """The series on every period from its first to its last."""
    place = _positions(starts, grain)
    count = int(place[-1]) + 1
    if count > MOST_PERIODS or (count > 50 and len(y) < count / 20):
        raise SeriesError(
            f"{where}: {name} has {len(y)} values in {count:,} {grain}s from {starts[0]} to {starts[-1]}: check its dates and --grain."
        )
    full = np.full(count, np.nan)
    full[place] = y
    if grain is Grain.MONTH:
        every = (starts[0].astype("datetime64[M]") + np.arange(count)).astype("datetime64[D]")
    else:
        every = starts[0] + np.arange(count) * (7 if grain is Grain.WEEK else 1)
    return Series(name, grain, every, full)


def _positions(starts: Dates, grain: Grain) -> NDArray[np.int64]:
    unit = "M" if grain is Grain.MONTH else "h" if grain is Grain.HOUR else "D"
    since = (starts.astype(f"datetime64[{unit}]") - starts[0].astype(f"datetime64[{unit}]")).astype(np.int64)
    return np.asarray(since // 7 if grain is Grain.WEEK else since)


def _moment(given: pl.Series) -> pl.Series:
    """The times of a column, null where it holds none."""
    if given.dtype == pl.Date:
        return given.cast(pl.Datetime("us"))
    if isinstance(given.dtype, pl.Datetime):
        return given.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    text = given.cast(pl.Utf8).str.strip_chars()
    tried = [text.str.to_datetime(form, strict=False, time_unit="us") for form in _FORMATS]
    return pl.select(pl.coalesce(tried)).to_series()


def _refuse(wrong: pl.DataFrame, where: str, column: str, words: str, shown: str | None = None) -> None:
    if wrong.height:
        row = wrong.row(0, named=True)
        value = f" {str(row[shown])[:40]!r}" if shown else ""
        raise SeriesError(f"{where}, line {row['line']}, column {column}:{value} {words}.")
