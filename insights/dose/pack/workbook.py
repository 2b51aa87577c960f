"""The pack as a workbook, one sheet a table; the same contents give the same bytes."""

from __future__ import annotations

import io
from datetime import date, datetime
from typing import Any

import xlsxwriter

from insights.dose.pack.contents import Pack, Part

WIDEST = 60


def workbook(pack: Pack) -> bytes:
    """The workbook."""
    buffer = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(buffer, options)
    made = datetime(pack.last.year, pack.last.month, pack.last.day)
    book.set_properties(
        {"title": f"Dose: inspector's pack, {pack.first} to {pack.last}", "author": pack.organisation, "created": made}
    )
    formats = {
        "head": book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"}),
        "title": book.add_format({"bold": True, "font_size": 13}),
        "day": book.add_format({"num_format": "yyyy-mm-dd"}),
        "wrap": book.add_format({"text_wrap": True, "valign": "top"}),
    }
    for part in pack.parts:
        _sheet(book, part, pack, formats)
    book.close()
    return buffer.getvalue()


def _sheet(book: Any, part: Part, pack: Pack, formats: dict[str, Any]) -> None:
    sheet = book.add_worksheet(part.name)
    sheet.write_string(0, 0, f"{part.title}, {pack.first} to {pack.last}, {pack.sites}", formats["title"])
    sheet.write_string(1, 0, part.note)
    sheet.freeze_panes(4, 0)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    for column, name in enumerate(part.frame.columns):
        texts = [len(str(value)) for value in part.frame[name].head(200)]
        sheet.set_column(column, column, min(max([len(name), *texts]) + 2, WIDEST))
        sheet.write_string(3, column, name.replace("_", " "), formats["head"])
    for number, row in enumerate(part.frame.iter_rows(), start=4):
        for column, value in enumerate(row):
            _cell(sheet, number, column, value, formats)
    if part.frame.is_empty():
        sheet.write_string(4, 0, "none")


def _cell(sheet: Any, row: int, column: int, value: Any, formats: dict[str, Any]) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_string(row, column, "yes" if value else "no")
    elif isinstance(value, (int, float)):
        sheet.write_number(row, column, value)
    elif isinstance(value, date):
        sheet.write_datetime(row, column, value, formats["day"])
    else:
        sheet.write_string(row, column, str(value), formats["wrap"] if len(str(value)) > WIDEST else None)
