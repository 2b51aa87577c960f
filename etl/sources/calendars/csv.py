"""Calendars as CSV: `device, modality, site, kind, starts, ends, reason`, or what `[[calendars]]` says they are called."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from etl.sources.calendars.entries import is_plausible
from etl.sources.calendars.words import KINDS, MOST_REASON, kind_of
from etl.sources.contract import Offered, Reject, Row, digest_of, rejected, shown
from etl.sources.extract.tables import CsvTable, RefusedFileError, TableRow, named, tidy
from settings import CalendarFile, Extract, Settings

COLUMNS = ("device", "modality", "site", "kind", "starts", "ends", "reason")


class RefusedCalendarError(Exception):
    """The whole file gives nothing."""

    def __init__(self, reject: Reject) -> None:
        super().__init__(reject.message)
        self.reject = reject


class CsvCalendar:
    """One CSV calendar."""

    def __init__(self, data: bytes, about: CalendarFile, settings: Settings) -> None:
        """Reads the header.

        Raises:
            RefusedCalendarError: it cannot be read, or lacks a column that is needed.
        """
        self._about, self._settings = about, settings
        self._known_sites = {
            name.strip().casefold() for site in settings.sites for name in (site.code, site.name, *site.aliases)
        }
        mapped = {**{name: name for name in COLUMNS}, **about.columns} if not about.columns else dict(about.columns)
        if unknown := sorted(set(mapped) - set(COLUMNS)):
            raise RefusedCalendarError(
                Reject(
                    "bad-mapping",
                    f"calendars.columns maps {unknown[0]!r}, which is none of {', '.join(COLUMNS)}.",
                    "Correct the configuration.",
                )
            )
        needed = ["starts"] if about.kind else ["starts", "kind"]
        layout = Extract(
            name="calendar",
            files="*",
            columns={name: column for name, column in mapped.items() if name in needed},
            encoding=_encoding(data),
        )
        try:
            self._table = CsvTable(io.BytesIO(data), len(data), layout, settings.limits)
        except RefusedFileError as error:
            raise RefusedCalendarError(error.reject) from error
        columns = self._table.columns
        self._places = {name: columns.index(tidy(column)) for name, column in mapped.items() if tidy(column) in columns}
        if missing := [mapped.get(name, name) for name in needed if name not in self._places]:
            raise RefusedCalendarError(
                Reject(
                    "missing-columns",
                    f"The calendar needs {named(missing)}; found are {named(columns)}.",
                    "Export these columns, or map them in a [[calendars]] entry.",
                    missing[0],
                )
            )

    def rows(self) -> Iterator[Row | Offered]:
        """Landing rows without what all share, and the rejected lines, in the order of the file."""
        for row in self._table.rows():
            if row.reject is not None:
                yield self._refused(row, row.reject)
            elif any(str(cell).strip() for cell in row.cells):
                try:
                    yield self._row(row)
                except RefusedCalendarError as error:
                    yield self._refused(row, error.reject)

    def _refused(self, row: TableRow, reject: Reject) -> Offered:
        digest = digest_of("calendar", row.data)
        return rejected("calendar", digest, reject, position=f"row {row.number}", payload=row.data)

    def _row(self, row: TableRow) -> Row:
        cells = {name: " ".join(str(row.cells[place]).split()) for name, place in self._places.items()}
        flags: list[str] = []
        starts, ends, zone = self._span(cells, row.number)
        landing: Row = {
            "kind": self._about.kind or self._kind(cells["kind"], row.number),
            "starts_local": starts,
            "ends_local": ends,
            "time_zone": zone,
            "cancelled": False,
            "reason": cells.get("reason", "")[:MOST_REASON] or None,
            "position": f"row {row.number}",
            "flags": flags,
        }
        landing |= {name: cells[name][:64] for name in ("device", "modality") if cells.get(name)}
        if site := cells.get("site"):
            if site.casefold() not in self._known_sites:
                flags.append("site: unknown, the default site was taken")
            landing["site"] = self._settings.site_of(site).code
        return landing

    def _kind(self, text: str, number: int) -> str:
        if (kind := kind_of(text)) is None:
            raise self._bad(
                "unknown-kind", "kind", number, f"says {shown(text, 30)!r}, which is none of {', '.join(KINDS)}", text
            )
        return kind

    def _span(self, cells: dict[str, str], number: int) -> tuple[datetime, datetime, str | None]:
        """Start, end (excluded) and zone. A date alone is the whole day, as an end too."""
        starts, is_day, zone = self._moment(cells["starts"], "starts", number)
        self._plausible(starts, "starts", number, cells["starts"])
        if cells.get("ends"):
            ends, ends_in_day, its_zone = self._moment(cells["ends"], "ends", number)
            if zone != its_zone:
                raise self._bad("bad-span", "ends", number, "and the start: only one of them has an offset", "")
            self._plausible(ends, "ends", number, cells["ends"])
            ends += timedelta(days=1) if ends_in_day else timedelta()
        elif is_day:
            ends = starts + timedelta(days=1)
        else:
            raise self._bad("missing-end", "ends", number, "is empty", "")
        if ends <= starts:
            raise self._bad("bad-span", "ends", number, "is not after the start", cells["ends"])
        return starts, ends, zone

    def _moment(self, text: str, column: str, number: int) -> tuple[datetime, bool, str | None]:
        """Wall clock, whether it is a date alone, and the zone."""
        for time_format in self._about.time_formats:
            try:
                at = datetime.strptime(text, time_format)
            except ValueError:
                continue
            is_day = not any(sign in time_format for sign in ("%H", "%I", "%T", "%X", "%c", "%R"))
            if at.tzinfo is not None and is_plausible(at, at):
                return at.astimezone(UTC).replace(tzinfo=None), is_day, "UTC"
            return at.replace(tzinfo=None), is_day, self._about.time_zone
        formats = ", ".join(self._about.time_formats)
        raise self._bad("bad-time", column, number, f"fits none of the time_formats ({formats})", text)

    def _plausible(self, at: datetime, column: str, number: int, text: str) -> None:
        if not is_plausible(at, at):
            raise self._bad("implausible-time", column, number, "lies before 1900 or after 2199", text)

    def _bad(self, reason: str, column: str, number: int, what: str, value: str) -> RefusedCalendarError:
        called = self._about.columns.get(column, column)
        remedy = "Correct the row, or the [[calendars]] entry for this file."
        return RefusedCalendarError(
            Reject(reason, f"Row {number}: column {called!r} {what}.", remedy, called, shown(value, 40))
        )


def _encoding(data: bytes) -> str:
    """UTF-8 where it is that, else Windows-1252, which spreadsheets still write."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"
