"""HL7 v2 times (DTM, v2.8.2 section 2.A.22) to UTC, with the precision that was written and every doubt flagged."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
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


@lru_cache(maxsize=1 << 16)
def parse_dtm(text: str) -> LocalTime | None:
    """The time that the text writes, or None where it is no time of HL7 v2."""
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
        stated = parse_dtm(text)
        if stated is None:
            self._flag(field, BAD_TIME)
            return None
        try:
            moment = checked(self._in_utc(stated), self._now)
        except OverflowError:
            moment = None
        if moment is None:
            self._flag(field, IMPLAUSIBLE)
        elif moment.flag:
            self._flag(field, moment.flag)
        return moment

    def _in_utc(self, stated: LocalTime) -> Moment:
        offset = self._offset if stated.offset_minutes is None else stated.offset_minutes
        if offset is None:
            return to_utc(stated.wall, self._zone, stated.precision)
        return Moment((stated.wall - timedelta(minutes=offset)).replace(tzinfo=UTC), stated.precision)

    def birth_year(self, field: str, text: str) -> int | None:
        """The year of a birth date, or None where it is empty, no date, in the future or more than 120 years back."""
        if not text:
            return None
        stated = parse_dtm(text)
        if stated is None:
            self._flag(field, BAD_TIME)
            return None
        if not self._now.year - OLDEST_YEARS <= stated.wall.year <= self._now.year:
            self._flag(field, IMPLAUSIBLE)
            return None
        return stated.wall.year

    def _flag(self, field: str, reason: str) -> None:
        flag = f"{field}: {reason}"
        if flag not in self._flags:
            self._flags.append(flag)
