"""Local times to UTC, with the two nights a year on which clocks change, and the precision that was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""No imaging time of interest is older; an older one is flagged and enters no rate."""

AMBIGUOUS = "ambiguous-local-time"
NONEXISTENT = "nonexistent-local-time"
IMPLAUSIBLE = "implausible-time"
BAD_TIME = "bad-time"


class Moment(NamedTuple):
    """An instant in UTC, how precisely it was written, and the doubt about it, if any."""

    at: datetime
    precision: str
    """us, s, min, h, d, month or year."""
    flag: str | None = None


@lru_cache(maxsize=16_384)
def to_utc(local: datetime, zone: ZoneInfo, precision: str = "s") -> Moment:
    """The instant that a wall clock in a zone means.

    In the hour that comes twice the first is taken; a time in the hour that does not exist is shifted forward by the gap
    (PEP 495 with fold=0 does both); each is flagged.
    """
    first = local.replace(tzinfo=zone, fold=0)
    second = local.replace(tzinfo=zone, fold=1)
    at = first.astimezone(UTC)
    flag = None
    if first.utcoffset() != second.utcoffset():
        exists = at.astimezone(zone).replace(tzinfo=None) == local
        flag = AMBIGUOUS if exists else NONEXISTENT
    return Moment(at, precision, flag)


def checked(moment: Moment, now: datetime) -> Moment | None:
    """The moment, or None where it lies before 1990 or more than two years ahead: such times enter nothing."""
    return moment if EARLIEST <= moment.at <= now + timedelta(days=731) else None
