"""Time zones of iCalendar files.

A TZID may be an IANA name, a Windows name, a name with a vendor's path before it, or one that the file defines itself
(VTIMEZONE, RFC 5545 section 3.6.5).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from icalendar import Timezone
from icalendar.error import GloballyUniqueTZIDGuessed
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

# Such names are resolved below; the library's own guess is not used.
warnings.simplefilter("ignore", GloballyUniqueTZIDGuessed)

_YEARS = range(-2, 4)
"""Years around now in which a zone of a file must agree with an IANA zone to be taken for it."""
_WITHOUT_YEARLY = re.compile(r"FREQ=(?!YEARLY)", re.IGNORECASE)


class UnknownZoneError(Exception):
    """Nothing says which zone a TZID means."""


class Zones:
    """The zones of one calendar."""

    def __init__(self, defined: Mapping[str, str], preferred: tuple[str, ...], now: datetime) -> None:
        """Zones.

        Args:
            defined: TZID to the text of its VTIMEZONE.
            preferred: IANA names to try first for a zone that the file defines: those of the sites.
            now: around which they are compared.
        """
        self._defined, self._preferred, self._now = defined, preferred, now
        self._known: dict[str, str | None] = {}

    def iana(self, tzid: str) -> str | None:
        """The IANA name of a TZID; None for a zone of the file that equals none.

        Raises:
            UnknownZoneError: it is no known name and the file does not define it.
        """
        if tzid not in self._known:
            self._known[tzid] = _named(tzid) or self._equal(tzid)
        return self._known[tzid]

    def in_utc(self, wall: datetime, tzid: str) -> datetime:
        """A wall clock in a zone of the file as a UTC clock without zone."""
        return wall.replace(tzinfo=self._own(tzid)).astimezone(UTC).replace(tzinfo=None)

    def _own(self, tzid: str) -> tzinfo:
        text = self._defined.get(tzid)
        if text is None or _WITHOUT_YEARLY.search(text):
            raise UnknownZoneError(tzid)
        try:
            defined: Any = Timezone.from_ical(text)
            zone: tzinfo = defined.to_tz(lookup_tzid=False)
        except Exception as error:  # the library raises many kinds for a damaged definition
            raise UnknownZoneError(tzid) from error
        return zone

    def _equal(self, tzid: str) -> str | None:
        """The IANA zone whose clock shows the same in the years around now."""
        own = self._own(tzid)
        first = datetime(self._now.year + _YEARS.start, 1, 1, 12)
        samples = [first + timedelta(days=days) for days in range(0, 366 * len(_YEARS), 9)]
        try:
            offsets = [own.utcoffset(at) for at in samples]
        except Exception as error:  # the same library, on first use of the definition
            raise UnknownZoneError(tzid) from error
        names = dict.fromkeys((*self._preferred, "UTC", *sorted(set(WINDOWS_TO_OLSON.values()))))
        return next(
            (
                name
                for name in names
                if all(ZoneInfo(name).utcoffset(at) == offset for at, offset in zip(samples, offsets, strict=True))
            ),
            None,
        )


@cache
def _names() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones()}


def _named(tzid: str) -> str | None:
    """The IANA zone that a name means: itself, a Windows name, or the end of a vendor's path."""
    plain = tzid.strip().strip('"')
    if plain in WINDOWS_TO_OLSON:
        return WINDOWS_TO_OLSON[plain]
    parts = plain.strip("/").split("/")
    return next(
        (_names()[ending] for start in range(len(parts)) if (ending := "/".join(parts[start:]).casefold()) in _names()),
        None,
    )
