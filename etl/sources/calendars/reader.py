"""Calendars of staffed hours, closures and downtime: iCalendar (RFC 5545) and CSV files.

A calendar is counted as one input, with all its entries: loading it again replaces it whole, so what it no longer has is
gone. Entries that cannot be used are rejected one by one, with the line on which they stand.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import PurePath
from zoneinfo import ZoneInfo

from etl.sources.calendars.csv import COLUMNS, CsvCalendar, RefusedCalendarError
from etl.sources.calendars.entries import Entry, RefusedEntryError
from etl.sources.calendars.text import CalendarText, CutCalendarError, calendars
from etl.sources.calendars.zones import Zones
from etl.sources.contract import (
    Context,
    Input,
    Offered,
    Reject,
    Row,
    Verdict,
    digest_of,
    month_of,
    not_applicable,
    rejected,
    shown,
)
from etl.sources.extract.tables import DELIMITERS
from settings import CalendarFile, Settings

_BEGIN = "BEGIN:VCALENDAR"
_SUFFIXES = (".ics", ".ical", ".icalendar", ".ifb")
_MARK = "\ufeff"
_BEYOND = Reject(
    "implausible-time", "a time lies at the very end of the calendar", "Correct the entry's times.", "DTSTART"
)
_ANY = CalendarFile(files="*")


def declared(settings: Settings, name: str) -> CalendarFile | None:
    """The first `[[calendars]]` entry whose `files` fits the file's name."""
    plain = _plain(name)
    return next((one for one in settings.calendars if fnmatch.fnmatchcase(plain, one.files)), None)


def _plain(name: str) -> str:
    return PurePath(name.rsplit("!", 1)[-1]).name


class CalendarReader:
    """Reads calendars; see `etl.sources.contract.Reader`."""

    name = "calendar"
    order = 25

    def claims(self, head: bytes, name: str, settings: Settings) -> bool:
        """Whether it is iCalendar, a configured calendar, or a CSV with exactly our column names."""
        return _is_icalendar(head, name) or declared(settings, name) is not None or _has_our_header(head)

    def read(self, source: Input, context: Context) -> Iterator[Offered]:
        """One `Offered` a calendar, and one for each entry that is rejected."""
        most = context.settings.limits.max_message_mb
        if source.size > most << 20:
            yield rejected(
                "calendar",
                digest_of(source.head(1 << 20), str(source.size)),
                Reject(
                    "too-large", f"the calendar has over {most} MB (limits.max_message_mb)", "Export fewer years of it."
                ),
            )
            return
        with source.opener() as stream:
            data = stream.read()
        about = declared(context.settings, source.name) or _ANY
        if _is_icalendar(data[:4096], source.name):
            yield from _icalendars(data, source.name, about, context)
        else:
            yield from _csv(data, source.name, about, context)


def _is_icalendar(head: bytes, name: str) -> bool:
    text = head[:64].decode("utf-8", "replace").lstrip(_MARK).lstrip().upper()
    return text.startswith(_BEGIN) or name.lower().endswith(_SUFFIXES)


def _has_our_header(head: bytes) -> bool:
    first = head.decode("utf-8", "replace").lstrip(_MARK).splitlines()[:1]
    return (
        any(sorted(field.strip(' "') for field in first[0].split(sign)) == sorted(COLUMNS) for sign in DELIMITERS)
        if first
        else False
    )


def _common(context: Context, about: CalendarFile, name: str, stated_at: datetime) -> Row:
    known = {
        alias.strip().casefold() for site in context.settings.sites for alias in (site.code, site.name, *site.aliases)
    }
    is_unknown = about.site is not None and about.site.strip().casefold() not in known
    return {
        "source": "calendar",
        "source_name": name,
        "calendar": name,
        "stated_at": stated_at,
        "month": month_of(stated_at),
        "site": context.settings.site_of(about.site).code,
        "device": about.device,
        "modality": about.modality,
        "flags": ["site: unknown, the default site was taken"] if is_unknown else [],
    }


# -- iCalendar -----------------------------------------------------------------------------------------------------------


def _icalendars(data: bytes, file: str, about: CalendarFile, context: Context) -> Iterator[Offered]:
    digest = sha256(data).hexdigest()
    try:
        found = calendars(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        problem = Reject(
            "bad-encoding",
            f"byte 0x{data[error.start]:02x} at offset {error.start} is not UTF-8, which iCalendar is (RFC 5545 section 3.1.4)",
            "Export the calendar again as UTF-8.",
        )
        yield rejected("calendar", digest, problem)
        return
    except CutCalendarError as error:
        problem = Reject(
            "truncated",
            f"line {error.number}: the component {shown(error.kind, 40)} does not begin and end properly, so the file is cut or damaged",
            "Export the calendar again. Nothing of it was taken, so that it does not replace the one loaded before.",
            "END",
        )
        yield rejected("calendar", digest, problem)
        return
    if not found:
        yield rejected(
            "calendar", digest, Reject("bad-calendar", "the file has no VCALENDAR", "Export the calendar again.")
        )
    for number, text in enumerate(found, 1):
        own = digest if len(found) == 1 else digest_of(digest, str(number))
        yield from _icalendar(text, own, f"calendar {number}" if len(found) > 1 else "", file, about, context)


def _icalendar(
    text: CalendarText, digest: str, position: str, file: str, about: CalendarFile, context: Context
) -> Iterator[Offered]:
    method = text.properties.get("METHOD", "PUBLISH").strip().upper()
    if method != "PUBLISH":
        message = f"METHOD:{shown(method, 20)} is a message about single appointments (RFC 5546), not a calendar"
        problem = Reject("not-a-calendar", message, "Export or publish the whole calendar.", "METHOD")
        yield rejected("calendar", digest, problem, position=position)
        return
    name = (
        about.name or text.properties.get("NAME") or text.properties.get("X-WR-CALNAME") or PurePath(_plain(file)).stem
    )
    name = " ".join(name.replace("\\,", ",").split())[:100]
    site = context.settings.site_of(about.site)
    defined = {
        line.value.strip(): component.text(whole=True)
        for component in text.components
        if component.kind == "VTIMEZONE"
        for line in component.lines
        if line.name == "TZID"
    }
    zones = Zones(defined, tuple(each.time_zone for each in context.settings.sites), context.now)
    rows: dict[str, list[Row]] = {}
    orders: dict[str, tuple[int, datetime]] = {}
    stamps: list[datetime] = []
    for component in text.components:
        where = f"line {component.number}"
        if component.kind != "VEVENT":
            if component.kind != "VTIMEZONE":
                own = digest_of(digest, where)
                yield not_applicable(
                    "calendar", own, "no-event", f"{shown(component.kind, 20)} is no VEVENT", position=where
                )
            continue
        try:
            entry = Entry(component, zones, ZoneInfo(about.time_zone) if about.time_zone else site.zone)
            key = entry.name or where
            found = [
                {**row, "position": f"{position} {where}, {index}".strip()}
                for index, row in enumerate(entry.rows(about.kind), 1)
            ]
        except (RefusedEntryError, OverflowError) as error:
            reject = error.reject if isinstance(error, RefusedEntryError) else _BEYOND
            said = Reject(
                reject.reason, f"line {component.number}: {reject.message}", reject.remedy, reject.field, reject.value
            )
            payload = component.text().encode()
            yield rejected(
                "calendar", digest_of(name, payload), said, position=where, source_name=name, payload=payload
            )
            continue
        if entry.stamp:
            stamps.append(entry.stamp)
        if key not in orders or entry.order >= orders[key]:
            orders[key] = entry.order
            rows[key] = [{**row, "device": about.device or entry.resource()} for row in found]
    stated_at = _stated_at(text, stamps, context.now)
    common = _common(context, about, name, stated_at)
    landing = [_finished(common, row, about) for found in rows.values() for row in found]
    yield _accepted(digest, position, name, landing or [_nothing(common)])


def _stated_at(text: CalendarText, stamps: list[datetime], now: datetime) -> datetime:
    """When the calendar was made: its own LAST-MODIFIED (RFC 7986 section 5.4), else the newest entry's, else now."""
    own = text.properties.get("LAST-MODIFIED", "").strip()
    try:
        return datetime.strptime(own.removesuffix("Z") + "+0000", "%Y%m%dT%H%M%S%z")
    except ValueError:
        return max((stamp for stamp in stamps if stamp <= now), default=now)


def _finished(common: Row, row: Row, about: CalendarFile) -> Row:
    flags = [*common["flags"], *row["flags"]]
    return {**common, **row, "flags": flags, "time_zone": row["time_zone"] or about.time_zone}


# -- CSV -----------------------------------------------------------------------------------------------------------------


def _csv(data: bytes, file: str, about: CalendarFile, context: Context) -> Iterator[Offered]:
    digest = sha256(data).hexdigest()
    name = about.name or PurePath(_plain(file)).name.partition(".")[0]
    common = _common(context, about, name, context.now)
    landing: list[Row] = []
    try:
        for found in CsvCalendar(data, about, context.settings).rows():
            if isinstance(found, Offered):
                found.source_name = name
                yield found
            else:
                landing.append({**common, **found, "flags": [*common["flags"], *found["flags"]]})
    except RefusedCalendarError as error:
        yield rejected("calendar", digest, error.reject, source_name=name)
        return
    yield _accepted(digest, "", name, landing or [_nothing(common)])


def _nothing(common: Row) -> Row:
    """The statement that the calendar is empty now."""
    return {**common, "cancelled": True, "position": "empty"}


def _accepted(digest: str, position: str, name: str, rows: list[Row]) -> Offered:
    return Offered("calendar", Verdict.ACCEPTED, digest, position=position, source_name=name, rows={"calendar": rows})


READER = CalendarReader()
"""The module's reader."""
