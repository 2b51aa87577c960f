"""Calendars laid out in time: which device, modality or site is staffed, closed or down from when to when.

Times recur on the wall clock: a shift from 22:00 to 06:00 ends at 06:00 on the night the clocks change too. RFC 5545
section 3.8.5.3 would have an entry with DTEND keep its exact length; the two differ on that night alone, and people and
door locks go by the clock.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import polars as pl

from etl.lake.schema import TIME
from etl.sources.calendars.recurrence import MOST_OCCURRENCES, RANGE_FUTURE, RECURRENCE_ID, WALL, bounded
from etl.sources.clock import to_utc
from settings import Settings

logger = logging.getLogger(__name__)

_MOST_BEFORE = 1_000_000
"""Occurrences passed over before that time."""
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "calendar": pl.Utf8,
    "site": pl.Utf8,
    "device": pl.Utf8,
    "modality": pl.Utf8,
    "kind": pl.Utf8,
    "starts_at": TIME,
    "ends_at": TIME,
    "reason": pl.Utf8,
}


class _Span(NamedTuple):
    """A stretch of time on the wall clock of a zone."""

    starts: datetime
    ends: datetime
    zone: ZoneInfo
    reason: str | None


class _Window(NamedTuple):
    """What is asked for, in UTC; the end is excluded."""

    starts: datetime
    ends: datetime


def expand(calendar: pl.DataFrame, first: date, last: date, settings: Settings) -> pl.DataFrame:
    """Every occurrence that touches the days, in UTC.

    The newest statement of a calendar holds, whole; of two made at the same time the one received later, then the one with
    the greater digest. Moved and cancelled occurrences take the place of their own (RFC 5545 section 3.8.4.4).

    Args:
        calendar: rows of the landing table `calendar`.
        first: first day, local at each site.
        last: last day, included.
        settings: the sites and their zones.

    Returns:
        `calendar, site, device, modality, kind, starts_at, ends_at, reason`, one row an occurrence, in a fixed order.
    """
    rows: list[dict[str, Any]] = []
    for entries in _entries(newest(calendar)).values():
        site = settings.site_of(entries[0]["site"])
        window = _Window(
            *(to_utc(datetime.combine(day, time()), site.zone).at for day in (first, last + timedelta(days=1)))
        )
        for row, span in _occurrences(entries, window, site.zone):
            starts_at, ends_at = to_utc(span.starts, span.zone).at, to_utc(span.ends, span.zone).at
            if starts_at < window.ends and ends_at > window.starts and starts_at < ends_at:
                rows.append(
                    {
                        **{name: row[name] for name in ("calendar", "device", "modality", "kind")},
                        "site": site.code,
                        "starts_at": starts_at,
                        "ends_at": ends_at,
                        "reason": span.reason,
                    }
                )
    return pl.DataFrame(rows, schema=SCHEMA).unique().sort(list(SCHEMA), nulls_last=True)


def newest(calendar: pl.DataFrame) -> pl.DataFrame:
    """The rows of the newest statement of each calendar."""
    order = ["stated_at", "received_at", "input_digest"]
    statements = calendar.select("calendar", *order).unique()
    holding = statements.sort(order, nulls_last=False).unique("calendar", keep="last", maintain_order=True)
    return calendar.join(
        holding.select("calendar", "input_digest"), on=["calendar", "input_digest"], nulls_equal=True, how="semi"
    )


def _entries(calendar: pl.DataFrame) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Entries with their moved and cancelled occurrences; an entry without a name stands alone."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for number, row in enumerate(calendar.sort("digest", nulls_last=True).iter_rows(named=True)):
        uid = row["entry"].partition("\n")[0] if row["entry"] else f"\n{number}"
        found.setdefault((row["calendar"], uid), []).append(row)
    return found


def _is_override(row: dict[str, Any]) -> bool:
    return f"\n{RECURRENCE_ID}" in (row["entry"] or "")


def _occurrences(
    entries: list[dict[str, Any]], window: _Window, site_zone: ZoneInfo
) -> Iterator[tuple[dict[str, Any], _Span]]:
    """Each occurrence of one entry near the window, with the landing row that gives it."""
    single: set[datetime] = set()
    onwards: list[tuple[datetime, dict[str, Any]]] = []
    for row in filter(_is_override, entries):
        replaced, is_onwards = _replaced(row, site_zone)
        if is_onwards:
            onwards.append((replaced, row))
            continue
        single.add(replaced)
        if not row["cancelled"]:
            yield row, _span(row, site_zone)
    onwards.sort(key=lambda pair: pair[0])
    for row in entries:
        if _is_override(row) or row["cancelled"]:
            continue
        for span in _recurring(row, window, site_zone):
            at = to_utc(span.starts, span.zone).at
            if at in single:
                continue
            changed = bisect_right([moment for moment, _ in onwards], at)
            if not changed:
                yield row, span
            elif not onwards[changed - 1][1]["cancelled"]:
                yield onwards[changed - 1][1], _shifted(span, *onwards[changed - 1], site_zone)


def _replaced(row: dict[str, Any], site_zone: ZoneInfo) -> tuple[datetime, bool]:
    """The instant of the occurrence that an override replaces, and whether it changes all that follow."""
    name, _, text = row["entry"].rpartition("\n")[2].rpartition(":")
    wall = datetime.strptime(text.removesuffix("Z"), WALL)
    at = wall.replace(tzinfo=UTC) if text.endswith("Z") else to_utc(wall, _zone(row, site_zone)).at
    return at, name == RANGE_FUTURE


def _shifted(span: _Span, replaced: datetime, row: dict[str, Any], site_zone: ZoneInfo) -> _Span:
    """An occurrence after one that was changed with all that follow: moved as far, and as long, on the wall clock."""
    new = _span(row, site_zone)
    moved = new.starts - replaced.astimezone(new.zone).replace(tzinfo=None)
    starts = to_utc(span.starts, span.zone).at.astimezone(new.zone).replace(tzinfo=None) + moved
    return _Span(starts, starts + (new.ends - new.starts), new.zone, new.reason)


def _zone(row: dict[str, Any], site_zone: ZoneInfo) -> ZoneInfo:
    return ZoneInfo(row["time_zone"]) if row["time_zone"] else site_zone


def _span(row: dict[str, Any], site_zone: ZoneInfo) -> _Span:
    return _Span(row["starts_local"], row["ends_local"], _zone(row, site_zone), row["reason"])


def _recurring(row: dict[str, Any], window: _Window, site_zone: ZoneInfo) -> Iterator[_Span]:
    """Occurrences of a row that may touch the window."""
    span = _span(row, site_zone)
    if not row["rule"]:
        yield span
        return
    length = span.ends - span.starts
    margin = timedelta(days=2)
    earliest, latest = (at.replace(tzinfo=None) for at in (window.starts - margin - length, window.ends + margin))
    try:
        starts = bounded(row["rule"], span.starts, latest)
    except (ValueError, TypeError) as error:
        logger.warning("calendar %s: a rule cannot be laid out (%s)", row["calendar"], type(error).__name__)
        return
    number = 0
    for start in islice(starts, _MOST_BEFORE):
        if start < earliest:
            continue
        number += 1
        if number > MOST_OCCURRENCES:
            logger.warning(
                "calendar %s: an entry recurs more than %d times and is cut", row["calendar"], MOST_OCCURRENCES
            )
            return
        yield span._replace(starts=start, ends=start + length)
