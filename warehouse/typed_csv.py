"""Tables that people import as CSV: each column with its check; a wrong cell is refused with its line and what is expected.

Nothing of a table with a wrong cell is taken.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

MOST_ROWS, MOST_CHARACTERS = 5000, 500_000
MOST_TEXT = 300


class TableError(Exception):
    """An imported table that cannot be used; the message names line and column."""


def text(value: str) -> str:
    """A text of moderate length."""
    if len(value) > MOST_TEXT:
        raise ValueError(f"at most {MOST_TEXT} characters")
    return value


def needed(value: str) -> str:
    """A text that is there."""
    if not value:
        raise ValueError("may not be empty")
    return text(value)


def one_of(allowed: Iterable[str]) -> Callable[[str], str]:
    """A check for one of some words."""
    names = tuple(allowed)

    def check(value: str) -> str:
        if value not in names:
            raise ValueError(f"is {value!r}; allowed are {', '.join(name or 'empty' for name in names)}")
        return value

    return check


def positive(value: str) -> str:
    """A decimal with point or comma, as a point decimal."""
    plain = value.replace(",", ".")
    try:
        number = float(plain)
    except ValueError:
        raise ValueError(f"is {value[:40]!r}; a number such as 660 or 8.5 is expected") from None
    if not (math.isfinite(number) and number > 0) or "_" in plain:
        raise ValueError(f"is {value[:40]!r}; a number above 0 is expected")
    return plain


def count(value: str) -> str:
    """A whole number from 0 on."""
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        raise ValueError(f"is {value[:40]!r}; a whole number such as 1200, without a thousands separator, is expected")
    return str(int(value))


def month(value: str) -> str:
    """A month as 2026-01."""
    year_of, dash, rest = value.partition("-")
    if not (dash and len(rest) == 2 and rest.isascii() and rest.isdigit() and 1 <= int(rest) <= 12):
        raise ValueError(f"is {value[:40]!r}; a month such as 2026-01 is expected")
    return f"{year(year_of)}-{rest}"


def year(value: str) -> str:
    """A year from 1980 to 2100."""
    if not (value.isascii() and value.isdigit() and 1980 <= int(value) <= 2100):
        raise ValueError(f"is {value[:40]!r}; a year such as 2022 is expected")
    return value


def day(value: str) -> str:
    """A day as 2022-01-31."""
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError(f"is {value[:40]!r}; a day such as 2022-01-01 is expected") from None


def or_empty(check: Callable[[str], str]) -> Callable[[str], str]:
    """A check that passes an empty cell."""
    return lambda value: check(value) if value else ""


@dataclass(frozen=True)
class Shape:
    """Columns of a kind of table with the check of each."""

    columns: Mapping[str, Callable[[str], str]]
    optional: frozenset[str]


def read(shape: Shape, content: str) -> list[dict[str, str]]:
    """The rows of a CSV with a header line, separated by commas, semicolons or tabs, in plain form.

    Raises:
        TableError: line and column that are wrong, and what is expected.
    """
    if len(content) > MOST_CHARACTERS:
        raise TableError(f"The file has {len(content):,} characters; at most {MOST_CHARACTERS:,} are taken.")
    lines = content.removeprefix("\ufeff")
    if not lines.strip():
        raise TableError("The file is empty. Its first line names the columns.")
    head = lines.lstrip().splitlines()[0]
    separator = max(",;\t", key=head.count)
    try:
        reader = csv.reader(io.StringIO(lines.lstrip()), delimiter=separator, strict=True)
        names = [name.strip().casefold() for name in next(reader)]
        _check_head(names, shape)
        rows = [_row(number, cells, names, shape) for number, cells in enumerate(reader, start=2) if any(cells)]
    except csv.Error as error:
        raise TableError(f"The file is no CSV: {error}. Save it as CSV (UTF-8) again.") from error
    if not rows:
        raise TableError("The file has a header and no row.")
    if len(rows) > MOST_ROWS:
        raise TableError(f"The file has {len(rows)} rows; at most {MOST_ROWS} are taken.")
    return rows


def refuse_repeats(rows: Sequence[Mapping[str, str]], key: Sequence[str], words: str) -> None:
    """Refuses a table that says the same thing twice.

    Raises:
        TableError: the line of the second.
    """
    seen: set[tuple[str, ...]] = set()
    for number, row in enumerate(rows, start=2):
        value = tuple(row[name] for name in key)
        if value in seen:
            raise TableError(f"Line {number}: {words} {', '.join(part or 'any' for part in value)} stands twice.")
        seen.add(value)


def _check_head(names: list[str], shape: Shape) -> None:
    missing = [name for name in shape.columns if name not in names and name not in shape.optional]
    if missing:
        raise TableError(f"Line 1: the column {missing[0]} is missing. Needed are: {', '.join(n for n in shape.columns if n not in shape.optional)}.")  # fmt: skip
    unknown = [name for name in names if name not in shape.columns]
    if unknown:
        raise TableError(f"Line 1: the column {unknown[0][:40]!r} is not known. Known are: {', '.join(shape.columns)}.")
    if len(set(names)) < len(names):
        raise TableError("Line 1: a column stands twice.")


def _row(number: int, cells: list[str], names: list[str], shape: Shape) -> dict[str, str]:
    if len(cells) != len(names):
        raise TableError(f"Line {number}: {len(cells)} cells where the header has {len(names)} columns.")
    given = {name: " ".join(cell.split()) for name, cell in zip(names, cells, strict=True)}
    row = {}
    for name, check in shape.columns.items():
        try:
            row[name] = check(given.get(name, ""))
        except ValueError as error:
            raise TableError(f"Line {number}, column {name}: {error}.") from None
    return row
