"""Tables that a person reads and a file takes away: one description gives both."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import numbers

UTC = ZoneInfo("UTC")
Row = Mapping[str, Any]
Kind = Literal["text", "number", "day", "moment", "place"]
"""`place` is a path or an identity: long, and broken wherever it must be."""


@dataclass(frozen=True)
class Column:
    """One column: where its values are, how they are said, and where they lead."""

    name: str
    title: str
    kind: Kind = "text"
    unit: str = ""
    decimals: int | None = None
    link: Callable[[Row], str | None] | None = None
    """Address that a row's cell leads to."""
    in_file: bool = True
    """Whether it is written to files."""

    @property
    def heading(self) -> str:
        """The title with its unit, as a file's header needs it."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def shown(self, row: Row, small_count: int, zone: ZoneInfo) -> str:
        """The cell in words."""
        value = row.get(self.name)
        if self.kind == "number" and row.get("withheld"):
            return numbers.withheld(small_count)
        if value is None or value == "":
            return numbers.NOTHING
        if isinstance(value, datetime):
            return numbers.moment(value, zone)
        if isinstance(value, date):
            return numbers.day(value)
        if self.kind == "number":
            return numbers.shown(float(value), self.unit, self.decimals)
        return str(value)


@dataclass(frozen=True)
class Table:
    """Rows and how their columns are said."""

    columns: tuple[Column, ...]
    frame: pl.DataFrame
    """Has the columns by name; a true `withheld` hides a row's numbers."""
    small_count: int = 0
    zone: ZoneInfo = UTC

    @property
    def has_withheld(self) -> bool:
        """Whether a count was too small to show."""
        return "withheld" in self.frame.columns and bool(self.frame["withheld"].any())

    def rows(self) -> list[dict[str, Any]]:
        """The rows as dictionaries."""
        return self.frame.to_dicts()


def html_table(table: Table, caption: str, *, limit: int | None = None) -> Component:
    """A real table with headings that name their column, the first cell naming its row.

    The browser builds it (`assets/tables.js`) from one attribute: as components, a thousand cells would make Dash slow.
    """
    content = json.dumps(table_content(table, caption, limit), ensure_ascii=False, separators=(",", ":"))
    return html.Div(
        className="table-scroll", tabIndex="0", role="region", **{"aria-label": caption, "data-table": content}
    )


def table_content(table: Table, caption: str, limit: int | None = None) -> dict[str, Any]:
    """The table as `assets/tables.js` reads it: caption, headings with their class, cells as text or text and address."""
    head = [[column.title, _class(column)] for column in table.columns]
    rows = [[_cell(column, row, table) for column in table.columns] for row in table.rows()[:limit]]
    return {"caption": caption, "head": head, "rows": rows}


def definition_table(pairs: Sequence[tuple[str, Any]], caption: str) -> Component:
    """A table of two columns: what, and its value."""
    body = [html.Tr([html.Th(what, scope="row"), html.Td(value)]) for what, value in pairs]
    return html.Table(
        [html.Caption(caption, className="visually-hidden"), html.Tbody(body)], className="data-table definitions"
    )


def _cell(column: Column, row: Row, table: Table) -> str | list[str]:
    text = column.shown(row, table.small_count, table.zone)
    address = column.link(row) if column.link else None
    return [text, address] if address else text


def _class(column: Column) -> str:
    return {"number": "number", "day": "day", "moment": "day", "place": "place"}.get(column.kind, "text")
