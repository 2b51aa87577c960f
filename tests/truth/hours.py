"""When scanners were staffed, closed or down, from the demo's calendar files and the configured hours.

A small reader of the two forms that the demo writes: iCalendar with `RRULE:FREQ=WEEKLY;BYDAY=…`, and tables of
`device, modality, site, kind, starts, ends, reason`. Times are on the wall clock of the site.

Staffed hours of a scanner come from its calendar on every day from the Monday of the week of its first staffed entry to
the Sunday of the week of its last; a rule without end goes on. On other days they come from the configuration.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.truth.log import Interval
from tests.truth.rules import Rules

ONE_DAY = timedelta(days=1)
ICAL_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True)
class Entry:
    """One calendar entry on the wall clock; `weekdays` of one that recurs each week for ever, else empty."""

    station: str
    kind: str
    starts: datetime
    ends: datetime
    weekdays: tuple[int, ...] = ()


@dataclass(frozen=True)
class Scanner:
    """A scanner and the kinds of time that people gave it, in UTC."""

    station: str
    site: str
    modality: str
    zone: ZoneInfo
    times: dict[str, list[Interval]]
    """`staffed`, `closed`, `planned_down`, `unplanned_down`."""


def instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When the wall clock of a zone shows a time of a day, UTC; of an hour that comes twice the first."""
    return datetime.combine(day, at, zone).astimezone(UTC)


def day_bounds(day: date, zone: ZoneInfo) -> Interval:
    """Beginning and end of a local day, UTC."""
    return instant(day, time(), zone), instant(day + ONE_DAY, time(), zone)


def read_entries(folder: Path) -> list[Entry]:
    """All entries of the files in a folder."""
    found: list[Entry] = []
    for file in sorted(folder.iterdir()):
        found += _icalendar(file) if file.suffix == ".ics" else _table(file)
    return found


def scanner(station: str, site: str, modality: str, entries: list[Entry], days: Interval, rules: Rules) -> Scanner:
    """A scanner's times between two days, a day on either side included.

    Args:
        days: UTC midnight of the first and the last day.
    """
    zone = rules.zones[site]
    mine = [entry for entry in entries if entry.station == station]
    wanted = [days[0].date() + n * ONE_DAY for n in range(-2, (days[1] - days[0]).days + 3)]
    times: dict[str, list[Interval]] = defaultdict(list)
    for entry in mine:
        for starts, ends in _occurrences(entry, wanted):
            times[entry.kind].append((_utc(starts, zone), _utc(ends, zone)))
    staffed = [entry for entry in mine if entry.kind == "staffed"]
    if staffed:
        first = min(entry.starts.date() for entry in staffed)
        first -= first.weekday() * ONE_DAY
        last = date.max if any(entry.weekdays for entry in staffed) else max(entry.ends.date() for entry in staffed)
        last = last if last == date.max else last + (6 - last.weekday()) * ONE_DAY
    for day in wanted:
        if not staffed or not first <= day <= last:
            for opens, closes in rules.hours.get((site, modality, day.weekday()), []):
                ends = day_bounds(day, zone)[1] if closes == time() else instant(day, closes, zone)
                times["staffed"].append((instant(day, opens, zone), ends))
    return Scanner(station, site, modality, zone, times)


def _utc(wall: datetime, zone: ZoneInfo) -> datetime:
    return instant(wall.date(), wall.time(), zone)


def _occurrences(entry: Entry, days: list[date]) -> Iterator[Interval]:
    """When an entry is, on the wall clock."""
    if not entry.weekdays:
        yield entry.starts, entry.ends
        return
    for day in days:
        if day >= entry.starts.date() and day.weekday() in entry.weekdays:
            later = day - entry.starts.date()
            yield entry.starts + later, entry.ends + later


def _icalendar(file: Path) -> Iterator[Entry]:
    for event in file.read_text(encoding="utf-8").split("BEGIN:VEVENT")[1:]:
        lines = (line.partition(":") for line in event.split("END:VEVENT")[0].split())
        said = {name.partition(";")[0]: value for name, _, value in lines}
        weekdays = said.get("RRULE", "").partition("BYDAY=")[2]
        yield Entry(
            said["RESOURCES"],
            said["CATEGORIES"],
            datetime.strptime(said["DTSTART"], "%Y%m%dT%H%M%S"),
            datetime.strptime(said["DTEND"], "%Y%m%dT%H%M%S"),
            tuple(ICAL_DAYS.index(name) for name in weekdays.split(",") if name),
        )


def _table(file: Path) -> Iterator[Entry]:
    with file.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            starts, ends = (datetime.strptime(row[edge], "%Y-%m-%d %H:%M") for edge in ("starts", "ends"))
            yield Entry(row["device"], row["kind"], starts, ends)
