"""The clock that runs only while reports are read: minutes of a site's reading hours between two instants.

It stands beside the wall clock and never replaces it: a patient waits through the weekend too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from settings import ReadingHours, Site

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Span = tuple[datetime, datetime]


def open_spans(hours: Sequence[ReadingHours], zone: ZoneInfo, first: date, last: date) -> list[Span]:
    """When reports are read from the first to the last local day, both included: UTC, in order, apart from each other.

    Opening and closing are wall-clock times of the site, so a day on which clocks change is open as its clocks show.
    """
    spans = [
        _span(day, each, zone)
        for day in (first + timedelta(days=index) for index in range((last - first).days + 1))
        for each in hours
        if _WEEKDAYS[day.weekday()] in each.days
    ]
    return _united(spans)


def reading_minutes(frame: pl.DataFrame, sites: Iterable[Site], start: str, end: str) -> pl.Series:
    """Minutes of reading time from one column of UTC times to another, row by row; null at sites without reading hours.

    Args:
        frame: has a column `site` with site codes, and the two columns of times.
    """
    configured = {site.code: site for site in sites if site.reading_hours}
    numbered = frame.select("site", pl.col(start, end).dt.convert_time_zone("UTC")).with_row_index("row")
    parts = [
        _of_site(part, configured[code], start, end)
        for (code,), part in numbered.partition_by("site", as_dict=True).items()
        if code in configured
    ]
    known = pl.concat(parts) if parts else pl.DataFrame(schema={"row": pl.UInt32, "minutes": pl.Float64})
    return numbered.select("row").join(known, on="row", how="left", maintain_order="left")["minutes"]


def _of_site(part: pl.DataFrame, site: Site, start: str, end: str) -> pl.DataFrame:
    zone = site.zone
    first, last = part.select(
        pl.min_horizontal(pl.col(start).min(), pl.col(end).min()),
        pl.max_horizontal(pl.col(start).max(), pl.col(end).max()).alias("last"),
    ).row(0)
    if first is None:
        return part.select("row", minutes=pl.lit(None, pl.Float64))
    spans = open_spans(
        site.reading_hours, zone, _day(first, zone) - timedelta(days=1), _day(last, zone) + timedelta(days=1)
    )
    clock = _clock(spans)
    return _read(_read(part, clock, start, "minutes_start"), clock, end, "minutes_end").select(
        "row", minutes=pl.col("minutes_end") - pl.col("minutes_start")
    )


def _clock(spans: Sequence[Span]) -> pl.DataFrame:
    """The minutes read so far at each opening."""
    frame = pl.DataFrame(
        spans, schema={"opens": pl.Datetime("us", "UTC"), "closes": pl.Datetime("us", "UTC")}, orient="row"
    )
    length = (pl.col("closes") - pl.col("opens")).dt.total_seconds() / 60
    return frame.with_columns(length=length).with_columns(before=pl.col("length").cum_sum() - pl.col("length"))


def _read(rows: pl.DataFrame, clock: pl.DataFrame, column: str, name: str) -> pl.DataFrame:
    """The rows with what the clock showed at the times of a column."""
    since = (pl.col(column) - pl.col("opens")).dt.total_microseconds() / 60_000_000
    shown = pl.col("before") + pl.min_horizontal(since, "length")
    found = rows.sort(column).join_asof(clock, left_on=column, right_on="opens", strategy="backward", coalesce=False)
    minutes = pl.when(pl.col(column).is_not_null()).then(shown.fill_null(0.0))
    return found.select(*rows.columns, minutes.alias(name))


def _span(day: date, each: ReadingHours, zone: ZoneInfo) -> Span:
    closing_day = day + timedelta(days=1) if each.closes == time(0) else day
    return _instant(day, each.opens, zone), _instant(closing_day, each.closes, zone)


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)


def _united(spans: list[Span]) -> list[Span]:
    united: list[Span] = []
    for opens, closes in sorted(spans):
        if united and opens <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], closes))
        elif closes > opens:
            united.append((opens, closes))
    return united


def _day(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()
