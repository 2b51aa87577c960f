"""Calendars of the network: staffed hours, holidays, maintenance and the service log, as files and as landing rows.

The teaching hospital keeps iCalendar files, one a kind of scanner; the community hospital a table of days; the clinic
none, so that its hours come from the configuration. All are exported at the end of the history.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from etl.demo.clocks import DAY, EPOCH, SiteClock
from etl.demo.history import History
from etl.demo.network import SITE_BY_CODE, Device, is_holiday
from etl.demo.outages import Outage
from etl.demo.stories import of_kind

ICALENDAR_SITE, TABLE_SITE = "TEACH", "COMM"
STAFFING, SERVICE_LOG = "Harrow Lake staffing", "Service log"
"""Names of the two CSV calendars, which the configuration gives them."""
AHEAD_DAYS = 14
"""How far staffing is planned."""
UNRECORDED = 0.1
"""Share of chance failures that nobody wrote into the service log."""
COLUMNS = ("device", "modality", "site", "kind", "starts", "ends", "reason")
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


class Entry(NamedTuple):
    """One entry of a calendar; times on the wall clock of its site."""

    file: str
    calendar: str
    site: str
    device: str | None
    modality: str | None
    kind: str
    starts: datetime
    ends: datetime
    reason: str
    rule: str | None = None
    uid: str | None = None


def exported_at(history: History) -> datetime:
    """When all calendars were exported: the last minute of the history."""
    return datetime.combine(history.until, time(), UTC) - timedelta(minutes=1)


@lru_cache(maxsize=1)
def entries(history: History) -> tuple[Entry, ...]:
    """All entries in the order of their files."""
    return (*_icalendars(history), *_staffing(history), *_service_log(history))


def _icalendars(history: History) -> Iterator[Entry]:
    """Weekly staffed hours of each scanner, and its maintenance."""
    clock = history.clocks[ICALENDAR_SITE]
    for device in sorted((d for d in history.fleet if d.site == ICALENDAR_SITE), key=lambda d: d.modality):
        file, name = f"teach_{device.modality.lower()}.ics", f"Meridian {device.modality}"
        days = device.staffed.weekdays
        first = next(day for n in range(7) if (day := history.first + timedelta(days=n)).isoweekday() in days)
        yield Entry(
            file,
            name,
            device.site,
            device.station,
            None,
            "staffed",
            *_staffed(device, first),
            "Staffed hours",
            f"RRULE:FREQ=WEEKLY;BYDAY={','.join(DAYS[day - 1] for day in days)}",
            f"hours-{device.station}@meridian.example",
        )
        for number, stop in enumerate(_planned(history, device), 1):
            yield Entry(
                file,
                name,
                device.site,
                device.station,
                None,
                "planned_down",
                _wall(clock, stop.starts),
                _wall(clock, stop.ends),
                "Preventive maintenance",
                None,
                f"maintenance-{device.station}-{number}@meridian.example",
            )


def _staffed(device: Device, day: date) -> tuple[datetime, datetime]:
    """Opening and closing on a day, on the wall clock."""
    midnight = datetime.combine(day, time())
    return midnight + timedelta(hours=device.staffed.opens), midnight + timedelta(hours=device.staffed.closes)


def _wall(clock: SiteClock, minute: float) -> datetime:
    """The wall clock of an instant, to the minute."""
    return datetime.combine(EPOCH, time()) + timedelta(minutes=round(clock.local(minute)))


def _planned(history: History, device: Device) -> list[Outage]:
    return [stop for stop in history.outages[device.index] if stop.planned]


def _staffing(history: History) -> Iterator[Entry]:
    """The community hospital's table: a row a day and scanner, closures on holidays, maintenance."""
    file = f"comm_staffing_{history.until}.csv"
    clock = history.clocks[TABLE_SITE]
    for device in (d for d in history.fleet if d.site == TABLE_SITE):
        for number in range((history.until - history.first).days + AHEAD_DAYS):
            day = history.first + timedelta(days=number)
            if day.isoweekday() not in device.staffed.weekdays:
                continue
            closed = device.closes_on_holidays and is_holiday(day)
            kind, reason = ("closed", "Public holiday") if closed else ("staffed", "Staffed hours")
            yield Entry(file, STAFFING, device.site, device.station, None, kind, *_staffed(device, day), reason)
        for stop in _planned(history, device):
            starts, ends = _wall(clock, stop.starts), _wall(clock, stop.ends)
            yield Entry(
                file,
                STAFFING,
                device.site,
                device.station,
                None,
                "planned_down",
                starts,
                ends,
                "Preventive maintenance",
            )


def _service_log(history: History) -> Iterator[Entry]:
    """Failures as the engineers wrote them down."""
    file = f"service_log_{history.until}.csv"
    for stop in downtime(history):
        if stop.recorded and not stop.planned:
            clock = history.clocks[stop.device.site]
            starts, ends = _wall(clock, stop.starts), _wall(clock, stop.ends)
            yield Entry(
                file,
                SERVICE_LOG,
                stop.device.site,
                stop.device.station,
                None,
                "unplanned_down",
                starts,
                ends,
                "Failure",
            )


class Downtime(NamedTuple):
    """One standstill of the history, UTC minutes, and whether a calendar tells of it."""

    device: Device
    starts: float
    ends: float
    planned: bool
    recorded: bool


@lru_cache(maxsize=1)
def downtime(history: History) -> tuple[Downtime, ...]:
    """Standstills between the first and the last day of the history; one that goes on ends, as far as known, with it."""
    rng = np.random.default_rng([history.seed, 23])
    failing = of_kind(history.stories, "failing_scanner")
    low, high = ((day - EPOCH).days * DAY for day in (history.first, history.until))
    found = []
    for device in history.fleet:
        for stop in history.outages[device.index]:
            luck = float(rng.uniform(0, 1))
            if stop.ends <= low or stop.starts >= high:
                continue
            fails = failing is not None and device.station == failing.device
            recorded = device.site != "CLINIC" if stop.planned else fails or luck >= UNRECORDED
            found.append(Downtime(device, stop.starts, min(stop.ends, high), stop.planned, recorded))
    return tuple(found)


# --- files ------------------------------------------------------------------------------------------------------------


def write_calendars(history: History, folder: Path, since: datetime) -> int:
    """Writes all calendars if they were exported since a time; returns how many files."""
    if exported_at(history) < since:
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, list[Entry]] = {}
    for entry in entries(history):
        files.setdefault(entry.file, []).append(entry)
    for file, listed in files.items():
        if file.endswith(".ics"):
            (folder / file).write_bytes(_icalendar(listed, exported_at(history)).encode())
        else:
            with (folder / file).open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream)
                writer.writerow(COLUMNS)
                writer.writerows(_cells(entry) for entry in listed)
    return len(files)


def _cells(entry: Entry) -> tuple[str, ...]:
    starts, ends = (f"{at:%Y-%m-%d %H:%M}" for at in (entry.starts, entry.ends))
    return entry.device or "", entry.modality or "", entry.site, entry.kind, starts, ends, entry.reason


def _icalendar(listed: list[Entry], made: datetime) -> str:
    """One VCALENDAR (RFC 5545)."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Meridian//Staffing//EN"]
    lines += [f"X-WR-CALNAME:{listed[0].calendar}", f"LAST-MODIFIED:{made:%Y%m%dT%H%M%SZ}"]
    for entry in listed:
        zone = SITE_BY_CODE[entry.site].zone_name
        lines += ["BEGIN:VEVENT", f"UID:{entry.uid}", f"DTSTAMP:{made:%Y%m%dT%H%M%SZ}"]
        lines += [f"DTSTART;TZID={zone}:{entry.starts:%Y%m%dT%H%M%S}", f"DTEND;TZID={zone}:{entry.ends:%Y%m%dT%H%M%S}"]
        lines += [entry.rule] if entry.rule else []
        lines += [f"SUMMARY:{entry.reason}", f"CATEGORIES:{entry.kind}", f"RESOURCES:{entry.device}", "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""])


# --- landing rows -----------------------------------------------------------------------------------------------------


def calendar_rows(history: History) -> pl.DataFrame:
    """Entries as `calendar` rows, as `etl.sources.calendars.reader` gives them."""
    made = exported_at(history)
    rows = [
        {
            "input_key": entry.calendar,
            "row_key": f"{entry.calendar} {number}",
            "sent_at": made,
            "stated_at": made,
            "source": "calendar",
            "source_name": entry.calendar,
            "calendar": entry.calendar,
            "site": entry.site,
            "device": entry.device,
            "modality": entry.modality,
            "kind": entry.kind,
            "starts_local": entry.starts,
            "ends_local": entry.ends,
            "time_zone": SITE_BY_CODE[entry.site].zone_name if entry.uid else None,
            "rule": entry.rule,
            "entry": entry.uid,
            "cancelled": False,
            "reason": entry.reason,
        }
        for number, entry in enumerate(entries(history), 1)
    ]
    times = {"sent_at": pl.Datetime("us", "UTC"), "stated_at": pl.Datetime("us", "UTC")}
    frame = pl.DataFrame(
        rows,
        schema_overrides={**times, "rule": pl.Utf8, "entry": pl.Utf8, "time_zone": pl.Utf8},
        infer_schema_length=None,
    )
    return frame.with_columns(flags=pl.lit([], dtype=pl.List(pl.Utf8)))
