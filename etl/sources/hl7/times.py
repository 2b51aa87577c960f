"""HL7 v2 times (DTM, v2.8.2 section 2.A.22) to UTC, with the precision that was written and every doubt flagged."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from etl.sources.clock import BAD_TIME, IMPLAUSIBLE, Moment, checked, to_utc

_DTM = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\.\d+)?([+-]\d{4})?")
_PRECISIONS = ("year", "month", "d", "h", "min", "s", "us")
_MAX_OFFSET_MINUTES = 14 * 60
OLDEST_YEARS = 120
"""A birth further back is taken for a placeholder such as 1900-01-01."""


class LocalTime(NamedTuple):
    """A time as written: wall clock, precision, offset in minutes where one is written."""

    wall: datetime
    precision: str
    offset_minutes: int | None


@lru_cache(maxsize=1 << 15)
def parse_dtm(text: str) -> LocalTime | None:
    """The time that the text writes, or None where it is no time of HL7 v2."""
    if len(text) in (12, 14) and text.isascii() and text.isdecimal():  # nearly all; ISO 8601 reads them at once
        try:
            wall = datetime.fromisoformat(f"{text[:8]}T{text[8:]}")
        except ValueError:
            return None
        return LocalTime(wall, "s" if len(text) == 14 else "min", None)
    match = _DTM.fullmatch(text)
    if match is None:
        return None
    *parts, fraction, offset = match.groups()
    stated = [int(part) for part in parts if part is not None]
    if fraction and len(stated) < 6:
        return None
    minutes = None
    if offset:
        minutes = (int(offset[1:3]) * 60 + int(offset[3:])) * (-1 if offset[0] == "-" else 1)
        if int(offset[3:]) > 59 or abs(minutes) > _MAX_OFFSET_MINUTES:
            return None
    year, month, day, hour, minute, second = [*stated, *(1, 1, 1, 0, 0, 0)[len(stated) :]]
    microsecond = int(fraction[1:7].ljust(6, "0")) if fraction else 0
    try:
        wall = datetime(year, month, day, hour, minute, second, microsecond)
    except ValueError:
        return None
    return LocalTime(wall, _PRECISIONS[len(stated) - 1 + bool(fraction)], minutes)


@lru_cache(maxsize=1 << 12)
def _offset_all_day(day: date, zone: ZoneInfo) -> timedelta | None:
    """The zone's offset on a day whose clocks do not change; None for one on which they do."""
    start = datetime(day.year, day.month, day.day)
    offsets = {
        at.replace(tzinfo=zone, fold=fold).utcoffset()
        for at in (start, start + timedelta(hours=12), start + timedelta(hours=24))
        for fold in (0, 1)
    }
    return offsets.pop() if len(offsets) == 1 else None


@lru_cache(maxsize=1 << 15)
def instant(text: str, message_offset: int | None, zone: ZoneInfo) -> Moment | None:
    """The instant that the text writes: by its own offset, else by the message's (minutes), else by the zone.

    None where it is no time of HL7 v2, or beyond what a calendar holds.
    """
    stated = parse_dtm(text)
    if stated is None:
        return None
    wall, precision, offset = stated
    minutes = message_offset if offset is None else offset
    try:
        shift = _offset_all_day(wall.date(), zone) if minutes is None else timedelta(minutes=minutes)
        return to_utc(wall, zone, precision) if shift is None else Moment((wall - shift).replace(tzinfo=UTC), precision)
    except OverflowError:
        return None


def birth_year(text: str, now: datetime) -> tuple[int | None, str | None]:
    """The year of a birth date, and the doubt about it: it is no date, in the future or more than 120 years back."""
    if not text:
        return None, None
    stated = parse_dtm(text)
    if stated is None:
        return None, BAD_TIME
    year = stated.wall.year
    return (year, None) if now.year - OLDEST_YEARS <= year <= now.year else (None, IMPLAUSIBLE)


class MessageClock:
    """Turns the times of one message into UTC: own offset, else MSH-7's offset, else the site's zone."""

    def __init__(self, zone: ZoneInfo, message_time: str, now: datetime, flags: list[str]) -> None:
        stated = parse_dtm(message_time)
        self._offset = stated.offset_minutes if stated else None
        self._zone = zone
        self._now = now
        self._flags = flags

    def moment(self, field: str, text: str) -> Moment | None:
        """The instant, or None where the text is empty, no time, or implausible; doubts become flags."""
        if not text:
            return None
        written = instant(text, self._offset, self._zone)
        moment = checked(written, self._now) if written else None
        if moment is None:
            self._flag(field, IMPLAUSIBLE if parse_dtm(text) else BAD_TIME)
        elif moment.flag:
            self._flag(field, moment.flag)
        return moment

    def _flag(self, field: str, reason: str) -> None:
        flag = f"{field}: {reason}"
        if flag not in self._flags:
            self._flags.append(flag)
