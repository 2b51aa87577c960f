"""How the rows of a declared table file become `workflow` rows: the columns of `[[extracts]]` applied to one row."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from etl.sources.contract import Context, Identities, Reject, Row, month_of
from etl.sources.events import EVENT_BY_NAME
from etl.sources.extract.values import BadValueError, amount, birth_year, identifier, moment, sex
from etl.sources.hl7.context import check_statuses, not_patient
from settings import Extract, Settings, Site
from state.identity import IdentityKind

IDENTIFIERS: dict[str, IdentityKind] = {
    "accession": "order",
    "placer": "order",
    "filler": "order",
    "procedure_request": "order",
    "appointment": "order",
    "patient": "patient",
    "visit": "visit",
    "referrer": "person",
    "reader": "person",
    "technologist": "person",
}
"""Landing columns that become pseudonyms, with their kind."""
NUMBERS = frozenset(("accession", "placer", "filler"))
"""Those compared with the numbers of other sources, in the form of `settings.matching`."""
ACCESSION_LENGTH = 16
"""Characters of an accession number that DICOM can hold: (0008,0050) has the value representation SH, PS3.5 section 6.2."""

TEXTS = frozenset((
    "modality", "procedure_code", "procedure_scheme", "procedure_text", "body_part", "priority", "patient_class",
    "department", "payer", "station", "ae_title", "order_status", "result_status", "charge_code", "charge_kind", "section",
    "reader_group", "reason_code", "reason_text", "standard_code", "standard_scheme",
))  # fmt: skip
UPPER = frozenset(("modality", "charge_kind"))
OTHERS = frozenset((
    "study_uid", "site", "charge_amount", "scheduled_minutes", "sex", "birth_date", "birth_year", "stated_at",
))  # fmt: skip
MOST_MINUTES = 7 * 24 * 60
"""A longer appointment is taken for a mistake."""
KEYS = ("accession", "placer", "filler", "study_uid", "patient", "visit")
"""A row names an exam by one of these; the first four suffice alone."""
EVENT_PREFIX = "event:"

_TOTALS = re.compile(r"(?:grand |sub-?)?totals?|sum|summe|gesamt|total général|sous-total", re.IGNORECASE)
_UID = re.compile(r"[0-9.]{5,64}")


def landing_names() -> frozenset[str]:
    """Every name that a key of `columns` or `constants` may have."""
    return frozenset(IDENTIFIERS) | TEXTS | OTHERS | {EVENT_PREFIX + name for name in EVENT_BY_NAME}


def check_extracts(settings: Settings) -> list[str]:
    """What is wrong with the declared extracts and HL7 statuses, one sentence each; empty where they can be used."""
    names = [extract.name for extract in settings.extracts]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems = [f"extracts.{name}: the name is used twice; give each extract its own." for name in twice]
    for extract in settings.extracts:
        problems += [f"extracts.{extract.name}: {problem}" for problem in _problems(extract)]
    return problems + check_statuses(settings)


def _problems(extract: Extract) -> Iterator[str]:
    known = landing_names()
    for key in dict.fromkeys((*extract.columns, *extract.constants, *extract.optional)):
        if key not in known:
            yield f"{key!r} is no landing column; use one of {', '.join(sorted(known))}."
    for key in sorted(set(extract.optional) - set(extract.columns)):
        yield f"optional names {key!r}, which columns does not map."
    if not any(key in extract.columns for key in KEYS):
        yield f"columns must map one of {', '.join(KEYS)}, so that a row names an exam."
    if {"birth_date", "birth_year"} <= set(extract.columns):
        yield "map birth_date or birth_year, not both."
    if extract.delimiter is not None and len(extract.delimiter) != 1:
        yield "delimiter must be one character."
    if extract.time_zone is not None and extract.time_zone not in available_timezones():
        yield f"{extract.time_zone!r} is not an IANA time zone; an example is 'Europe/Berlin'."
    try:
        codecs.lookup(extract.encoding)
    except LookupError:
        yield f"{extract.encoding!r} is no encoding that Python knows; examples are 'utf-8' and 'cp1252'."


class RefusedRowError(Exception):
    """A row gives nothing: rejected, or (without a reject's remedy) not applicable."""

    def __init__(self, reject: Reject) -> None:
        super().__init__(reject.message)
        self.reject = reject


class RowMapper:
    """One extract, ready to map rows; a row comes as landing name to cell."""

    def __init__(self, extract: Extract, context: Context) -> None:
        self._extract = extract
        self._settings = context.settings
        self._now = context.now
        self._known_sites = {
            name.strip().casefold() for site in context.settings.sites for name in (site.code, site.name, *site.aliases)
        }

    def row(self, cells: Mapping[str, Any], identities: Identities) -> Row:
        """The landing row.

        Raises:
            RefusedRowError: a value cannot be read, or the row names no exam; the reject names the file's column.
        """
        cells = {**self._extract.constants, **{name: "" if cell is None else cell for name, cell in cells.items()}}
        self._refuse_totals(cells)
        flags: list[str] = []
        site = self._site(cells, flags)
        zone = ZoneInfo(self._extract.time_zone) if self._extract.time_zone else site.zone
        row: Row = {
            "source": "extract",
            "source_name": self._extract.name,
            "message_type": "extract",
            "site": site.code,
            "imaging": True,
            "flags": flags,
        }
        for name, cell in cells.items():
            try:
                row.update(self._column(name, cell, site, flags, identities))
            except BadValueError as bad:
                raise self._refused(name, bad.reject) from bad
        self._refuse_keyless(row)
        patient = str(cells.get("patient", "")).strip()
        row["not_patient"] = not_patient(self._settings, [patient], []) if patient else None
        events, stated_at = self._times(cells, zone, flags)
        row |= {"events": events, "stated_at": stated_at, "month": month_of(stated_at)}
        return row

    def _column(self, name: str, cell: Any, site: Site, flags: list[str], identities: Identities) -> Row:
        text = cell.strip() if isinstance(cell, str) else str(cell)
        doubt = None
        value: Any = None
        if name in IDENTIFIERS:
            return self._identifiers(name, identifier(text), site, identities)
        if name in TEXTS:
            return {name: (text.upper() if name in UPPER else text) or None}
        if name == "study_uid":
            value, doubt = (text, None) if _UID.fullmatch(text) else (None, "no UID" if text else None)
        elif name == "charge_amount":
            value, doubt = amount(text, self._extract.decimal_mark if isinstance(cell, str) else ".")
        elif name == "scheduled_minutes":
            value, doubt = self._minutes(cell, text)
        elif name == "sex":
            value, doubt = sex(text)
        elif name in {"birth_date", "birth_year"}:
            value, doubt = birth_year(cell if isinstance(cell, date) else text, self._extract.time_formats, self._now)
            name = "birth_year"
        else:
            return {}
        if doubt:
            flags.append(f"{name}: {doubt}")
        return {name: value}

    def _identifiers(self, name: str, plain: str, site: Site, identities: Identities) -> Row:
        """The pseudonym of one identifier; of a long accession number also that of the part that images carry."""
        if name not in NUMBERS:
            return {name: identities.pseudonym(IDENTIFIERS[name], plain)}
        number = self._settings.matching.number
        row: Row = {name: identities.pseudonym("order", number(plain, site.code))}
        if name == "accession" and len(plain) > ACCESSION_LENGTH:
            row["accession_cut"] = identities.pseudonym("order", number(plain[:ACCESSION_LENGTH], site.code))
        return row

    def _minutes(self, cell: Any, text: str) -> tuple[float | None, str | None]:
        """A length in minutes, and a doubt."""
        value, doubt = amount(text, self._extract.decimal_mark if isinstance(cell, str) else ".")
        if value is not None and not 0 < value <= MOST_MINUTES:
            return None, "implausible-number"
        return None if value is None else float(value), doubt

    def _times(self, cells: Mapping[str, Any], zone: ZoneInfo, flags: list[str]) -> tuple[list[Row], datetime | None]:
        """The events, and when the row was stated: its own column, else the latest event that is no plan."""
        events: list[Row] = []
        stated_at = None
        for name, cell in cells.items():
            if name != "stated_at" and not name.startswith(EVENT_PREFIX):
                continue
            try:
                found, doubt = moment(
                    cell if isinstance(cell, date) else str(cell), self._extract.time_formats, zone, self._now
                )
            except BadValueError as bad:
                raise self._refused(name, bad.reject) from bad
            if doubt:
                flags.append(f"{self._extract.columns.get(name, name)}: {doubt}")
            if found is None:
                continue
            if name == "stated_at":
                stated_at = found.at
            else:
                column = self._extract.columns.get(name, name)
                events.append(
                    {
                        "event": name.removeprefix(EVENT_PREFIX),
                        "at": found.at,
                        "precision": found.precision,
                        "field": column,
                    }
                )
        if stated_at is None and events:
            happened = [event["at"] for event in events if event["event"] != "exam_scheduled_for"]
            stated_at = max(happened or [event["at"] for event in events])
        return events, stated_at

    def _site(self, cells: Mapping[str, Any], flags: list[str]) -> Site:
        name = str(cells.get("site", "")).strip()
        if name and name.casefold() not in self._known_sites:
            flags.append("site: unknown, the default site was taken")
        return self._settings.site_of(name)

    def _refused(self, name: str, reject: Reject) -> RefusedRowError:
        column = self._extract.columns.get(name, name)
        return RefusedRowError(
            Reject(reject.reason, f"Column {column!r}: {reject.message}", reject.remedy, column, reject.value)
        )

    def _refuse_totals(self, cells: Mapping[str, Any]) -> None:
        first = next(
            (str(cells[name]).strip() for name in cells if name in self._extract.columns and str(cells[name]).strip()),
            "",
        )
        if _TOTALS.fullmatch(first):
            raise RefusedRowError(
                Reject("totals-row", "The row is a sum of other rows, not an exam.", "Export the table without totals.")
            )

    def _refuse_keyless(self, row: Row) -> None:
        if not any(row.get(key) for key in KEYS):
            columns = ", ".join(repr(self._extract.columns[key]) for key in KEYS if key in self._extract.columns)
            raise RefusedRowError(
                Reject("no-key", f"The row names no exam: {columns} are empty.", "Fill one of these columns.")
            )
