"""Watermarks: the greatest value of the ordering column, kept between pulls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from etl.pull.contract import Cursor

Kind = Literal["time", "date", "number", "text"]


class BadWatermarkError(Exception):
    """A value can be no watermark; the message says of which kind it is, never what it is."""


@dataclass(frozen=True)
class Watermark:
    """One value of the ordering column."""

    kind: Kind
    """`text` is a time that the database keeps as ISO 8601 text, as SQLite does."""
    value: Any

    @classmethod
    def of(cls, value: Any) -> Watermark:
        """A database's value.

        Raises:
            BadWatermarkError: it is neither a time nor a number.
        """
        if isinstance(value, datetime):
            return cls("time", value)
        if isinstance(value, date):
            return cls("date", value)
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool) and value == value:  # NaN differs
            return cls("number", value)
        if isinstance(value, str):
            _parsed(value)
            return cls("text", value)
        raise BadWatermarkError(f"holds {type(value).__name__} values; it must hold times or numbers")

    @classmethod
    def starting(cls, text: str, dialect: str) -> Watermark:
        """The configured first value.

        Raises:
            BadWatermarkError: it is neither an ISO 8601 time nor a number.
        """
        try:
            return cls("number", int(text))
        except ValueError:
            found = _parsed(text)
        return cls("text", found.isoformat(sep=" ")) if dialect == "sqlite" else cls("time", found)

    @classmethod
    def stored(cls, cursor: Cursor) -> Watermark | None:
        """What a cursor holds; None where it is empty."""
        match cursor:
            case {"time": str(text)}:
                return cls("time", datetime.fromisoformat(text))
            case {"date": str(text)}:
                return cls("date", date.fromisoformat(text))
            case {"number": str(text)}:
                return cls("number", int(text) if text.lstrip("-").isdigit() else Decimal(text))
            case {"text": str(text)}:
                return cls("text", text)
        return None

    def as_cursor(self) -> Cursor:
        """JSON that `stored` reads."""
        return {self.kind: self.value.isoformat() if self.kind in {"time", "date"} else str(self.value)}

    def since(self, overlap_minutes: int) -> Any:
        """What `:since` is bound to: the value less the overlap, in the database's own form; numbers have no overlap."""
        overlap = timedelta(minutes=overlap_minutes)
        if self.kind == "number" or not overlap_minutes:
            return self.value
        if self.kind == "date":
            return self.value - timedelta(days=-(-overlap // timedelta(days=1)))
        at = self.value if self.kind == "time" else _parsed(self.value)
        earlier = at - overlap if at.year > 1 else at
        if self.kind == "time":
            return earlier
        separator = "T" if "T" in self.value else " "
        written = earlier.isoformat(sep=separator)
        return written if len(self.value) > len("2026-03-10") else written[:10]

    def is_before(self, other: Watermark) -> bool:
        """Whether the value lies before the other.

        Raises:
            BadWatermarkError: the two are of different kinds.
        """
        mine, its = (_parsed(each.value) if each.kind == "text" else each.value for each in (self, other))
        try:
            return bool(mine < its)
        except TypeError as error:
            raise BadWatermarkError(
                "mixes kinds of values (times with and without an offset, or times and numbers)"
            ) from error


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadWatermarkError("holds text that is no ISO 8601 time") from error
