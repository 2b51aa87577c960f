"""Values of a table's cells to landing values; what cannot be read is said, never guessed."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from etl.sources.clock import IMPLAUSIBLE, Moment, checked, to_utc
from etl.sources.contract import Reject, shown
from etl.sources.hl7.context import SEXES, UNKNOWN_SEXES
from etl.sources.hl7.times import OLDEST_YEARS

BLANKS = frozenset(("", "NULL", "\\N"))
"""No value in a time or number column, as databases export it; in a text column only the empty cell is."""
MAX_AMOUNT = Decimal(10) ** 14

_DAMAGED = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+|\d+\.0+")
_FLOATING = re.compile(r"[+-]?(?:nan|inf(?:inity)?|\d+(?:\.\d+)?[eE][+-]?\d+)", re.IGNORECASE)
_OFFSET = re.compile(r"(?<=[\d ])\s?(Z|[+-]\d\d:?\d\d)$")
_FRACTION = re.compile(r"(?<=:\d\d)\.(\d+)$")


class BadValueError(Exception):
    """A cell cannot be read."""

    def __init__(self, reason: str, message: str, remedy: str, value: str = "") -> None:
        super().__init__(message)
        self.reject = Reject(reason, message, remedy, value=value)


def identifier(text: str) -> str:
    """The identifier as written, trimmed.

    Raises:
        BadValueError: a spreadsheet made a number of it, so that digits are lost.
    """
    plain = text.strip()
    if _DAMAGED.fullmatch(plain):
        raise BadValueError(
            "identifier-damaged",
            "The identifier was turned into a number by a spreadsheet or data frame, so its digits are not sure.",
            "Export the column as text from the source system, without opening the file in a spreadsheet.",
        )
    return plain


def amount(text: str, decimal_mark: str) -> tuple[Decimal | None, str | None]:
    """The exact amount and a doubt; NaN, infinity and figures beyond the column's range are null with a flag.

    Raises:
        BadValueError: the text is no number in the extract's notation, or has thousands marks.
    """
    plain = text.strip()
    if plain in BLANKS:
        return None, None
    if _FLOATING.fullmatch(plain):
        return None, "not-finite-or-floating"
    sign = re.escape(decimal_mark)
    if not re.fullmatch(rf"[+-]?\d+(?:{sign}\d+)?", plain):
        raise BadValueError(
            "bad-number",
            f"The value is no number with decimal mark {decimal_mark!r} and without thousands marks.",
            "Export plain numbers, or set the extract's `decimal_mark`.",
            shown(plain, 40),
        )
    value = Decimal(plain.replace(decimal_mark, "."))
    if abs(value) >= MAX_AMOUNT:
        return None, "implausible-number"
    return round(value, 4), None


def _precision(time_format: str) -> str:
    for sign, precision in (
        ("%f", "us"),
        ("%S", "s"),
        ("%T", "s"),
        ("%M", "min"),
        ("%H", "h"),
        ("%I", "h"),
        ("%d", "d"),
        ("%m", "month"),
    ):
        if sign in time_format:
            return precision
    return "year"


@lru_cache(maxsize=1 << 15)
def _wall(text: str, formats: tuple[str, ...]) -> tuple[datetime, str] | None:
    """Wall clock and precision by the first format that fits; fractions of a second may follow seconds."""
    fraction = _FRACTION.search(text)
    whole = text[: fraction.start()] if fraction else text
    for time_format in formats:
        candidate = text if "%f" in time_format else whole
        try:
            wall = datetime.strptime(candidate, time_format)
        except ValueError:
            continue
        if fraction and "%f" not in time_format:
            if _precision(time_format) != "s":
                continue
            return wall.replace(microsecond=int(fraction[1][:6].ljust(6, "0"))), "us"
        return wall, _precision(time_format)
    return None


def moment(
    value: str | date, formats: tuple[str, ...], zone: ZoneInfo, now: datetime
) -> tuple[Moment | None, str | None]:
    """The instant and a doubt; a value with an offset keeps it, others are wall clock in the zone.

    Raises:
        BadValueError: no configured format fits.
    """
    try:
        found = _typed(value, zone) if isinstance(value, date) else _written(value, formats, zone)
    except OverflowError:
        return None, IMPLAUSIBLE
    if found is None:
        return None, None
    plausible = checked(found, now)
    return plausible, IMPLAUSIBLE if plausible is None else plausible.flag


def _typed(value: date, zone: ZoneInfo) -> Moment:
    if not isinstance(value, datetime):
        return to_utc(datetime(value.year, value.month, value.day), zone, "d")
    precision = "us" if value.microsecond else "s"
    return Moment(value.astimezone(UTC), precision) if value.tzinfo else to_utc(value, zone, precision)


def _written(text: str, formats: tuple[str, ...], zone: ZoneInfo) -> Moment | None:
    plain = text.strip()
    if plain in BLANKS:
        return None
    offset = _OFFSET.search(plain) if ":" in plain else None
    found = _wall(plain[: offset.start()] if offset else plain, formats) or (_wall(plain, formats) if offset else None)
    if found is None:
        raise BadValueError(
            "bad-time",
            f"The value fits none of the extract's time_formats ({', '.join(formats)}).",
            "Add the format to the extract's `time_formats`, or export ISO 8601 times.",
            shown(plain, 40),
        )
    wall, precision = found
    if wall.tzinfo is not None:
        return Moment(wall.astimezone(UTC), precision)
    if offset is None:
        return to_utc(wall, zone, precision)
    if offset[1] == "Z":
        return Moment(wall.replace(tzinfo=UTC), precision)
    digits = offset[1].replace(":", "")
    minutes = int(digits[1:3]) * 60 + int(digits[3:])
    if minutes > 14 * 60:
        raise BadValueError(
            "bad-time", "The value's offset from UTC is more than 14 hours.", "Correct the export.", shown(plain, 40)
        )
    shift = timedelta(minutes=-minutes if digits[0] == "-" else minutes)
    return Moment(wall.replace(tzinfo=timezone(shift)).astimezone(UTC), precision)


def sex(text: str) -> tuple[str | None, str | None]:
    """F, M or O as in DICOM (0010,0040), and a doubt where the word is unknown."""
    plain = text.strip().upper()
    return SEXES.get(plain), None if plain in SEXES or plain in UNKNOWN_SEXES else "unknown word"


def birth_year(value: str | date, formats: tuple[str, ...], now: datetime) -> tuple[int | None, str | None]:
    """The year of a birth date or of a bare year, and a doubt.

    Raises:
        BadValueError: it is neither a year nor a date in a configured format.
    """
    if isinstance(value, date):
        year = value.year
    else:
        plain = value.strip()
        if plain in BLANKS:
            return None, None
        found = (datetime(int(plain), 1, 1), "year") if re.fullmatch(r"[12]\d{3}", plain) else _wall(plain, formats)
        if found is None:
            raise BadValueError(
                "bad-time",
                f"The value is no year and fits none of the extract's time_formats ({', '.join(formats)}).",
                "Add the format to the extract's `time_formats`.",
            )
        year = found[0].year
    return (year, None) if now.year - OLDEST_YEARS <= year <= now.year else (None, IMPLAUSIBLE)
