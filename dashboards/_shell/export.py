"""What is seen, as a CSV file: RFC 4180, with the lines above the table that say what it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from flask import Flask, Response, abort, request

from dashboards._access.guard import needs
from dashboards._access.people import audit_export, current_person
from dashboards._shell import sections, urls
from dashboards._shell.cards import Card
from dashboards._shell.numbers import moment
from dashboards._shell.reading import Reading, reading_of
from dashboards._shell.tables import Column, Table
from state.roles import Permission

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")
"""A text cell that begins so is a formula to a spreadsheet (ASVS 5.0 1.2.10)."""


def register(server: Flask) -> None:
    """Adds the route that gives a chart's table as a file."""
    server.add_url_rule(f"{urls.EXPORT}<section>.csv", "export", download)


@needs(Permission.EXPORT)
def download(section: str) -> Response:
    """The CSV file of one chart with the filters of the address; audited."""
    found = sections.SECTIONS.get(section)
    person = current_person()
    if found is None or person is None:
        abort(404)
    permission = sections.permission_of(found)
    if permission is None or not person.may(permission):
        abort(403)
    reading = reading_of(request.query_string.decode("utf-8", "replace"))
    card = found.draw(reading)
    if not isinstance(card, Card):
        abort(404)
    content = csv_text(card, reading).encode("utf-8-sig")
    audit_export(section, reading.filters.sentence(), card.table.frame.height, sha256(content).hexdigest())
    name = f"isocenter-{section}-{reading.filters.end:%Y%m%d}.csv"
    return Response(content, mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'})


def csv_text(card: Card, reading: Reading) -> str:
    """The file's text: lines that say what it is, an empty line, the table."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerows([[safe(what), safe(text)] for what, text in heading_lines(card, reading)])
    writer.writerow([])
    writer.writerows(_rows(card.table))
    return stream.getvalue()


def heading_lines(card: Card, reading: Reading) -> Iterator[tuple[str, str]]:
    """What the numbers are: measure, filters, data date, publication, definitions, suppression."""
    publication = reading.star.publication
    yield "Title", card.title
    yield "Measure", card.subtitle
    yield "Filters", card.period or reading.sentence
    yield "Data to", moment(reading.data_to, reading.zone)
    yield "Publication", publication.id
    for found in card.measures:
        yield (
            f"Definition of {found.title}",
            f"{found.formula} Left out: {found.exclusions} (definition {found.version})",
        )
    if card.formula:
        yield "Formula", card.formula
    if reading.scope.small_count:
        yield (
            "Small counts",
            f"counts from 1 to {reading.scope.small_count - 1} are withheld and stand as <{reading.scope.small_count}",
        )


def safe(value: Any) -> Any:
    """The cell as a file may hold it: numbers as they are, text that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.startswith(DANGEROUS):
        return f"'{value}"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return value.isoformat() if isinstance(value, date) else value


def _rows(table: Table) -> Iterator[list[Any]]:
    columns = [column for column in table.columns if column.in_file]
    yield [safe(column.heading) for column in columns]
    for row in table.rows():
        yield [_cell(column, row, table) for column in columns]


def _cell(column: Column, row: dict[str, Any], table: Table) -> Any:
    value = row.get(column.name)
    if column.kind == "number" and row.get("withheld"):
        return f"<{table.small_count}"
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return safe("" if value is None else value)
