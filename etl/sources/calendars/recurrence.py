"""Recurrence rules of calendars on the wall clock (RFC 5545 section 3.8.5), bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import takewhile

from dateutil.rrule import rrule, rruleset, rrulestr

MOST_OCCURRENCES = 10_000
"""Of one entry in the time asked for; what recurs more often is cut there."""
WITHIN_A_DAY = ("FREQ=SECONDLY", "FREQ=MINUTELY", "FREQ=HOURLY")
"""Rules that no working time needs, and that could keep a machine busy for ever."""
_INTERVAL = re.compile(r"INTERVAL=([+-]?\d{1,9})", re.IGNORECASE)
_MOST_INTERVAL = 10_000
WALL = "%Y%m%dT%H%M%S"
"""RFC 5545 section 3.3.5, a time without a zone."""
RECURRENCE_ID = "RECURRENCE-ID"
"""Begins, on a line of its own after the UID in the landing column `entry`, the time of the occurrence replaced."""
RANGE_FUTURE = f"{RECURRENCE_ID};RANGE=THISANDFUTURE"


def bounded(rule: str, starts: datetime, latest: datetime) -> Iterator[datetime]:
    """Starts of a recurrence up to a time, in order.

    Args:
        rule: RRULE, RDATE and EXDATE lines in the wall clock of `starts`.
        starts: the first occurrence, without a zone.
        latest: where to stop, without a zone.

    Raises:
        ValueError: the rule is none, or recurs within a day by FREQ.
    """
    once = rruleset()
    once.rdate(starts)
    for line in rule.splitlines():
        name, _, value = line.partition(":")
        if name == "RRULE":
            if any(within in value.upper() for within in WITHIN_A_DAY):
                raise ValueError("recurs within a day")
            once.rrule(_one_rule(value, starts))
        elif name in {"RDATE", "EXDATE"}:
            for text in value.split(","):
                (once.rdate if name == "RDATE" else once.exdate)(datetime.strptime(text, WALL))
        else:
            raise ValueError("neither RRULE, RDATE nor EXDATE")
    return takewhile(lambda start: start <= latest, once)


def _one_rule(rule: str, starts: datetime) -> rrule:
    if (interval := _INTERVAL.search(rule)) and not 1 <= int(interval[1]) <= _MOST_INTERVAL:
        raise ValueError("no such interval")  # dateutil would stay where it is for ever
    found = rrulestr(rule, dtstart=starts)
    if not isinstance(found, rrule):
        raise ValueError("more than one rule")
    return found
