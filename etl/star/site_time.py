"""Days and hours on the clocks of sites, and the durations that are added to times.

A column of Polars has one zone; the rows of the star are of sites in several.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl


def on_site(at: str, zones: Mapping[str, str], of: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    """Something of a UTC column on the clock of each row's `site`; on UTC where the site is unknown.

    Args:
        at: name of the column.
        zones: site code to IANA zone.
        of: from the local time to what is wanted of it, e.g. `local_day`.
    """
    sites: dict[str, list[str]] = {}
    for code, zone in zones.items():
        sites.setdefault(zone, []).append(code)
    local = [
        pl.when(pl.col("site").is_in(codes)).then(of(pl.col(at).dt.convert_time_zone(zone)))
        for zone, codes in sites.items()
    ]
    return pl.coalesce(*local, of(pl.col(at)))


def local_day(local: pl.Expr) -> pl.Expr:
    """The day of a local time."""
    return local.dt.date()


def local_hour(local: pl.Expr) -> pl.Expr:
    """The hour of a local time, as `dim_time.time_key` has it."""
    return local.dt.hour().cast(pl.Int32)


def date_key(day: pl.Expr) -> pl.Expr:
    """The key of a day in `dim_date`: YYYYMMDD, 0 where it is unknown."""
    key = day.dt.year() * 10000 + day.dt.month().cast(pl.Int32) * 100 + day.dt.day()
    return key.cast(pl.Int32).fill_null(0)


def seconds(number: pl.Expr) -> pl.Expr:
    """A duration of so many seconds, fractions to the microsecond; null stays null."""
    return pl.duration(microseconds=(number * 1e6).round(0).cast(pl.Int64))
