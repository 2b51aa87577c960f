"""DICOM dates and times (DA, TM, DT of PS3.5 section 6.2) to UTC, as leniently as files in the field need."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

from etl.sources.clock import BAD_TIME, IMPLAUSIBLE, Moment, checked, to_utc
from etl.sources.dicom.dataset import MAX_FLAGS

_DATE = re.compile(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})$")
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d{1,6})\d*)?)?)?$")
_DATETIME = re.compile(r"(\d{4})(\d{2})?(\d{2})?(?:(\d{2})(\d{2})?(\d{2})?(?:\.(\d{1,6})\d*)?)?([+-]\d{4})?$")
_OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+-])(\d{1,2}):?(\d{2})$")


@lru_cache(maxsize=4096)
def parse_date(text: str) -> date | None:
    """The day of a DA value, ACR-NEMA's dotted form included; None where it is no day."""
    found = _DATE.match(text)
    if found is None:
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None


def parse_offset(text: str) -> timezone | None:
    """The zone of (0008,0201), in forms such as `UTC-04:00` too; None where it is none."""
    found = _OFFSET.match(text)
    if found is None:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    if minutes > 14 * 60:
        return None
    return timezone(timedelta(minutes=minutes if found[1] == "+" else -minutes))


def _micro(fraction: str | None) -> int:
    return int((fraction or "0").ljust(6, "0"))


def _clock_time(found: tuple[str | None, ...]) -> tuple[timedelta, str] | None:
    """Time of day and precision of hour, minute, second, fraction; a leap second is the next one's start."""
    hour, minute, second, fraction = found
    if int(hour or 0) > 23 or int(minute or 0) > 59 or int(second or 0) > 60:
        return None
    precision = "us" if fraction else "s" if second else "min" if minute else "h"
    since = timedelta(
        hours=int(hour or 0), minutes=int(minute or 0), seconds=int(second or 0), microseconds=_micro(fraction)
    )
    return since, precision


@dataclass(frozen=True)
class Clock:
    """How the times of one object become UTC: by its own offset, else by the site's zone."""

    zone: ZoneInfo
    now: datetime
    flags: list[str]
    offset: timezone | None = None

    def _flag(self, text: str) -> None:
        """Notes a doubt once: an enhanced image repeats it for each of its frames."""
        if text not in self.flags and len(self.flags) < MAX_FLAGS:
            self.flags.append(text)

    def _moment(self, local: datetime, precision: str, field: str, offset: timezone | None) -> Moment | None:
        if offset is not None:
            moment = Moment(local.replace(tzinfo=offset).astimezone(UTC), precision)
        else:
            moment = to_utc(local, self.zone, precision)
        if moment.flag:
            self._flag(f"{field}: {moment.flag}")
        if checked(moment, self.now) is None:
            self._flag(f"{field}: {IMPLAUSIBLE} {moment.at:%Y-%m-%d}")
            return None
        return moment

    def _bad(self, field: str) -> None:
        self._flag(f"{field}: {BAD_TIME}")

    def day_and_time(self, day_text: str, time_text: str, field: str) -> datetime | None:
        """UTC of a DA and a TM value; None where a part is absent, and with a flag where one cannot be read."""
        moment = self.moment(day_text, time_text, field) if time_text else None
        return moment.at if moment else None

    def moment(self, day_text: str, time_text: str, field: str) -> Moment | None:
        """The instant of a DA and a TM value, to the day where no time is written.

        None where there is no day, and with a flag where a part cannot be read.
        """
        if not day_text:
            return None
        day, found = parse_date(day_text), _TIME.match(time_text)
        since = (timedelta(), "d") if not time_text else _clock_time(found.groups()) if found else None
        if day is None or since is None:
            self._bad(field)
            return None
        try:
            local = datetime(day.year, day.month, day.day) + since[0]
            return self._moment(local, since[1], field, self.offset)
        except OverflowError:
            self._bad(field)
            return None

    def date_time(self, text: str, field: str) -> datetime | None:
        """UTC of a DT value that has at least the hour; its own offset counts before the object's."""
        if not text:
            return None
        found = _DATETIME.match(text)
        if found is None:
            self._bad(field)
            return None
        year, month, day, hour, minute, second, fraction, offset = found.groups()
        since = _clock_time((hour, minute, second, fraction)) if hour else None
        try:
            local = datetime(int(year), int(month or 1), int(day or 1))
            if since is None:
                self._bad(field)
                return None
            own = parse_offset(offset) if offset else self.offset
            moment = self._moment(local + since[0], since[1], field, own)
        except (ValueError, OverflowError):
            self._bad(field)
            return None
        return moment.at if moment else None


def clock_of(timezone_text: str, zone: ZoneInfo, now: datetime, flags: list[str]) -> Clock:
    """The clock of an object with this (0008,0201) in a site's zone."""
    offset = parse_offset(timezone_text) if timezone_text else None
    if timezone_text and offset is None:
        flags.append("(0008,0201): no offset from UTC, the site's zone is used")
    return Clock(zone, now, flags, offset)
