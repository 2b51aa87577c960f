"""One entry (VEVENT) of an iCalendar file as landing rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from icalendar import Event
from icalendar.prop import vRecur

from etl.sources.calendars.recurrence import MOST_OCCURRENCES, RANGE_FUTURE, RECURRENCE_ID, WALL, WITHIN_A_DAY, bounded
from etl.sources.calendars.text import Component
from etl.sources.calendars.words import kind_of, kind_of_summary, reason_of
from etl.sources.calendars.zones import UnknownZoneError, Zones
from etl.sources.contract import Reject, Row, shown

_TIMES = ("DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID")
_ONCE = ("DTSTART", "DTEND", "DURATION", "RRULE", "RECURRENCE-ID", "UID")
EARLIEST_YEAR, LATEST_YEAR = 1900, 2199
_PEOPLE = ("ATTENDEE", "ORGANIZER", "CONTACT")


def is_plausible(starts: datetime, ends: datetime) -> bool:
    """Whether a span lies where zones and rules can be worked out."""
    return EARLIEST_YEAR <= starts.year <= LATEST_YEAR and EARLIEST_YEAR <= ends.year <= LATEST_YEAR


class RefusedEntryError(Exception):
    """An entry gives nothing."""

    def __init__(self, reason: str, field: str, message: str, remedy: str, value: str = "") -> None:
        super().__init__(message)
        self.reject = Reject(reason, message, remedy, field, shown(value))


class Entry:
    """One VEVENT."""

    def __init__(self, component: Component, zones: Zones, site_zone: ZoneInfo) -> None:
        """Reads the entry.

        Raises:
            RefusedEntryError: it is damaged, or a time, zone or rule of it cannot be used.
        """
        self._zones, self._site_zone = zones, site_zone
        try:
            self._event: Any = Event.from_ical(component.text())
        except Exception as error:  # the library raises many kinds for what it cannot parse
            raise RefusedEntryError(
                "bad-entry", "VEVENT", "The entry is no iCalendar component.", "Export the calendar again."
            ) from error
        self._broken = [str(name or "a line") for name, _ in self._event.errors if name not in _TIMES]
        for name, message in self._event.errors:
            if name in _TIMES:
                value = str(message).rpartition(":")[2]
                raise RefusedEntryError(
                    "bad-time", name, f"{name} cannot be read.", "Correct it, or export the calendar again.", value
                )
            if name is not None:
                self._event.pop(name, None)
        for name in _ONCE:
            if isinstance(self._event.get(name), list):
                raise RefusedEntryError("bad-entry", name, f"{name} stands more than once.", "Correct the entry.")
        if "DTSTART" not in self._event:
            raise RefusedEntryError(
                "missing-start", "DTSTART", "The entry has no DTSTART.", "Export the calendar again."
            )

    @property
    def order(self) -> tuple[int, datetime]:
        """Of two with the same UID the one with the greater order holds (RFC 5545 section 3.8.7.4)."""
        sequence = str(self._event.get("SEQUENCE", 0))
        return int(sequence) if sequence.isdigit() else 0, self.stamp or datetime.min.replace(tzinfo=UTC)

    @property
    def stamp(self) -> datetime | None:
        """When the entry was last changed: LAST-MODIFIED, else DTSTAMP, else CREATED."""
        for name in ("LAST-MODIFIED", "DTSTAMP", "CREATED"):
            at = getattr(self._event.get(name), "dt", None)
            if isinstance(at, datetime):
                return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        return None

    @property
    def name(self) -> str | None:
        """UID, and on a line of its own the occurrence that is replaced; in UTC where it has a zone."""
        uid = " ".join(str(self._event.get("UID", "")).split())
        replaced = self._event.get(RECURRENCE_ID)
        if replaced is None:
            return uid or None
        label = RANGE_FUTURE if str(replaced.params.get("RANGE", "")).upper() == "THISANDFUTURE" else RECURRENCE_ID
        wall, zone, _ = self._wall(RECURRENCE_ID, replaced)
        if zone is not None:
            wall = wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        return f"{uid}\n{label}:{wall.strftime(WALL)}{'Z' if zone else ''}"

    def rows(self, kind: str | None) -> Iterator[Row]:
        """One row, and one more for each added period.

        Args:
            kind: what the configuration says all entries are; without it CATEGORIES or SUMMARY must.

        Raises:
            RefusedEntryError: a time, zone, rule or the kind cannot be used.
        """
        flags = [f"{name}: not understood" for name in dict.fromkeys(self._broken)]
        starts, zone, is_day = self._wall("DTSTART", self._event["DTSTART"])
        ends = self._ends(starts, zone, is_day, flags)
        is_cancelled = str(self._event.get("STATUS", "")).upper() == "CANCELLED"
        row: Row = {
            "kind": kind or self._kind(is_cancelled),
            "starts_local": starts,
            "ends_local": ends,
            "time_zone": zone,
            "entry": self.name,
            "cancelled": is_cancelled,
            "reason": self._reason(),
            "flags": flags,
        }
        periods = list(self._periods(zone))
        yield {**row, "rule": self._rule(starts, zone, flags)}
        for number, (begins, stops) in enumerate(periods, 1):
            yield {
                **row,
                "rule": None,
                "starts_local": begins,
                "ends_local": stops,
                "entry": f"{self.name}\nRDATE:{number}",
            }

    # -- times -----------------------------------------------------------------------------------------------------

    def _wall(self, field: str, value: Any) -> tuple[datetime, str | None, bool]:
        """Wall clock, zone (None: the site's) and whether it is a whole day."""
        return self._placed(field, value.dt, value.params.get("TZID"))

    def _placed(self, field: str, at: Any, tzid: str | None) -> tuple[datetime, str | None, bool]:
        if isinstance(at, datetime):
            wall = at.replace(tzinfo=None)
            if tzid is None:
                return (
                    (wall, None, False)
                    if at.tzinfo is None
                    else (at.astimezone(UTC).replace(tzinfo=None), "UTC", False)
                )
            try:
                if (name := self._zones.iana(tzid)) is not None:
                    return wall, name, False
                if not any(rule in self._event for rule in ("RRULE", "RDATE")):
                    return self._zones.in_utc(wall, tzid), "UTC", False
            except UnknownZoneError:
                pass
            raise RefusedEntryError(
                "unknown-time-zone",
                field,
                f"{field} is in a zone that is no IANA or Windows zone, nor equals one.",
                "Export the calendar with IANA time zones, such as Europe/Berlin.",
                tzid,
            )
        if isinstance(at, date):
            return datetime.combine(at, time()), None, True
        raise RefusedEntryError("bad-time", field, f"{field} is neither a date nor a time.", "Correct the entry.")

    def _in_zone(self, field: str, at: Any, tzid: str | None, zone: str | None) -> datetime:
        """A time on the wall clock of another zone."""
        wall, own, _ = self._placed(field, at, tzid)
        if own == zone:
            return wall
        there = ZoneInfo(zone) if zone else self._site_zone
        return wall.replace(tzinfo=ZoneInfo(own) if own else self._site_zone).astimezone(there).replace(tzinfo=None)

    def _ends(self, starts: datetime, zone: str | None, is_day: bool, flags: list[str]) -> datetime:
        if "DTEND" in self._event:
            value = self._event["DTEND"]
            ends = self._in_zone("DTEND", value.dt, value.params.get("TZID"), zone)
            if is_day and ends == starts:
                flags.append("DTEND: the day of DTSTART, taken as included")
                ends += timedelta(days=1)
        elif "DURATION" in self._event:
            ends = starts + self._event["DURATION"].dt
        elif is_day:
            ends = starts + timedelta(days=1)
        else:
            raise RefusedEntryError(
                "missing-end", "DTEND", "The entry has neither DTEND nor DURATION.", "Give the entry an end."
            )
        if not is_plausible(starts, ends):
            raise RefusedEntryError(
                "implausible-time", "DTSTART", "The entry lies before 1900 or after 2199.", "Correct its times."
            )
        if ends <= starts:
            raise RefusedEntryError("bad-span", "DTEND", "The entry ends before it starts.", "Correct its times.")
        return ends

    def _values(self, field: str) -> Iterator[tuple[Any, str | None]]:
        """The values of all lines of RDATE or EXDATE with their TZID."""
        lines = self._event.get(field, [])
        for line in lines if isinstance(lines, list) else [lines]:
            for value in line.dts:
                yield value.dt, line.params.get("TZID")

    def _periods(self, zone: str | None) -> Iterator[tuple[datetime, datetime]]:
        for value, tzid in self._values("RDATE"):
            if isinstance(value, tuple):
                begins = self._in_zone("RDATE", value[0], tzid, zone)
                stops = (
                    begins + value[1]
                    if isinstance(value[1], timedelta)
                    else self._in_zone("RDATE", value[1], tzid, zone)
                )
                yield begins, stops

    def _rule(self, starts: datetime, zone: str | None, flags: list[str]) -> str | None:
        """RRULE, RDATE and EXDATE on the wall clock of the row's zone; None for an entry that is there once."""
        lines = []
        if (recurrence := self._event.get("RRULE")) is not None:
            lines.append(f"RRULE:{self._recurrence(recurrence, zone)}")
        for field in ("RDATE", "EXDATE"):
            walls = [
                # A day alone takes out the occurrence of that day, as Exchange writes it.
                datetime.combine(value, starts.time())
                if not isinstance(value, datetime)
                else self._in_zone(field, value, tzid, zone)
                for value, tzid in self._values(field)
                if not isinstance(value, tuple)
            ]
            if walls:
                lines.append(f"{field}:{','.join(wall.strftime(WALL) for wall in sorted(walls))}")
        if not lines:
            return None
        rule = "\n".join(lines)
        try:
            year = bounded(rule, starts, starts + timedelta(days=366))
            if sum(1 for _ in islice(year, MOST_OCCURRENCES + 1)) > MOST_OCCURRENCES:
                flags.append(f"RRULE: over {MOST_OCCURRENCES} occurrences a year, cut")
        except (ValueError, TypeError, OverflowError, ArithmeticError) as error:
            raise RefusedEntryError(
                "bad-rule",
                "RRULE",
                "The recurrence rule cannot be laid out.",
                "Correct the rule, or export single entries.",
                rule,
            ) from error
        return rule

    def _recurrence(self, recurrence: Any, zone: str | None) -> str:
        text = recurrence.to_ical().decode()
        if any(within in text for within in WITHIN_A_DAY):
            raise RefusedEntryError(
                "bad-rule",
                "RRULE",
                "The entry recurs within a day (HOURLY or finer).",
                "Use a daily rule or longer entries.",
                text,
            )
        plain: Any = vRecur(recurrence)
        if (until := recurrence.get("UNTIL")) is not None:
            last = until[0] if isinstance(until, list) else until
            if last.year > LATEST_YEAR:  # as some write "without end"
                del plain["UNTIL"]
                return str(plain.to_ical().decode())
            whole_day = isinstance(last, date) and not isinstance(last, datetime)
            plain["UNTIL"] = [
                datetime.combine(last, time(23, 59, 59)) if whole_day else self._in_zone("RRULE", last, None, zone)
            ]
        return str(plain.to_ical().decode())

    # -- words -----------------------------------------------------------------------------------------------------

    def _texts(self, field: str) -> list[str]:
        value = self._event.get(field, [])
        lines: Iterable[Any] = value if isinstance(value, list) else [value]
        return [str(text) for line in lines for text in getattr(line, "cats", [line])]

    def _kind(self, is_cancelled: bool) -> str | None:
        found = kind_of(*self._texts("CATEGORIES")) or kind_of_summary(str(self._event.get("SUMMARY", "")))
        if found is None and not is_cancelled:
            raise RefusedEntryError(
                "unknown-kind",
                "CATEGORIES",
                "Neither CATEGORIES nor SUMMARY say whether the entry is staffed time, a closure or downtime.",
                "Set `kind` in a [[calendars]] entry for this file, or give the entry the category staffed, closed, planned_down "
                "or unplanned_down.",
            )
        return found

    def _reason(self) -> str | None:
        if self._broken or str(self._event.get("CLASS", "PUBLIC")).upper() in {"PRIVATE", "CONFIDENTIAL"}:
            return None
        people = [str(line) for name in _PEOPLE for line in self._listed(name)]
        people += [
            str(line.params.get("CN", "")) for name in _PEOPLE for line in self._listed(name) if hasattr(line, "params")
        ]
        return reason_of(self._texts("CATEGORIES"), str(self._event.get("SUMMARY", "")), people)

    def _listed(self, field: str) -> list[Any]:
        value = self._event.get(field, [])
        return value if isinstance(value, list) else [value]

    def resource(self) -> str | None:
        """The one resource that the entry names (RFC 5545 section 3.8.1.10)."""
        named = [text.strip() for text in self._texts("RESOURCES") if text.strip()]
        return named[0][:64] if len(named) == 1 else None
