"""Numbers, durations and dates as people read them: one place, so that every page says them alike."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from math import floor, log10

NOTHING = "–"
"""What stands where there is no value."""
LONG_MINUTES = 120
"""Up to here a duration is said in minutes alone."""
_DAY = 1440


def rounded(value: float, digits: int = 3) -> str:
    """The value to that many significant digits, with thousands separators: `1234.5` is `1,230`."""
    if value == 0:
        return "0"
    places = digits - 1 - floor(log10(abs(value)))
    made = round(value, places)
    if made != 0 and abs(made) >= 10 ** (digits - places):  # 99.96 became 100.0: one digit fewer behind the point
        places -= 1
    text = f"{made:,.{max(places, 0)}f}"
    return text.rstrip("0").rstrip(".") if places > 0 else text


def count(value: float) -> str:
    """A count in full: `104,468`."""
    return f"{value:,.0f}"


def duration(minutes: float) -> str:
    """A duration: `8.4 min`, `67 min`, `2 h 10 min`, `3 d 4 h`."""
    sign, minutes = ("-" if minutes < 0 else ""), abs(minutes)
    if minutes < 9.95:
        return f"{sign}{minutes:.1f} min" if minutes % 1 else f"{sign}{minutes:.0f} min"
    whole = round(minutes)
    if whole <= LONG_MINUTES:
        return f"{sign}{whole} min"
    if whole < 2 * _DAY:
        return f"{sign}{whole // 60} h" + (f" {whole % 60} min" if whole % 60 else "")
    hours = round(minutes / 60)
    return f"{sign}{hours // 24} d" + (f" {hours % 24} h" if hours % 24 else "")


def shown(value: float | None, unit: str, decimals: int | None = None) -> str:
    """The value with its unit: `67 min`, `2.8 %`, `104,468`, `1,230 mGy·cm`; `–` where there is none."""
    number, behind = parts(value, unit, decimals)
    return f"{number} {behind}" if behind else number


def parts(value: float | None, unit: str, decimals: int | None = None) -> tuple[str, str]:
    """The value and its unit apart, for a card that sets the unit smaller.

    Args:
        decimals: places that a measure is given with; significant digits decide where it is absent.
    """
    if value is None:
        return NOTHING, ""
    if unit == "min":
        text = duration(value)
        number, _, behind = text.partition(" ")
        return (text, "") if " " in behind else (number, behind)
    if unit == "" and not decimals:
        return count(value), ""
    if decimals is not None and abs(value) < 100:
        return f"{value:,.{decimals}f}", unit
    return rounded(value), unit


def exact(value: object, unit: str | None = None) -> str:
    """A single figure as it is stored, without rounding to three digits: for one event or one exam in full."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:,.6g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    return f"{text} {unit}" if unit and unit != "1" else text


def difference(now: float, before: float, unit: str, decimals: int | None = None) -> str:
    """How far two values are apart, without sign: `5 min`, `0.4 pt` between shares, `3.1 %` between counts."""
    gap = abs(now - before)
    if unit == "%":
        return f"{gap:.1f} pt"
    if unit == "":
        return f"{100 * gap / before:.1f} %" if before else count(gap)
    return shown(gap, unit, decimals)


def signed(value: float, unit: str = "", decimals: int = 0) -> str:
    """A difference with its sign: `+4 %`, `−1,113`, `0`."""
    size = f"{abs(value):,.{decimals}f}"
    sign = "" if not float(size.replace(",", "")) else "+" if value > 0 else "−"
    return f"{sign}{size}{f' {unit}' if unit else ''}"


def arrow(now: float, before: float, step: float = 0.0) -> str:
    """▲, ▼, or ▬ for a change no greater than `step`."""
    return "▬" if abs(now - before) <= step else "▲" if now > before else "▼"


def day(value: date) -> str:
    """`16 Nov 2026`."""
    return f"{value.day} {value:%b %Y}"


def days(start: date, end: date) -> str:
    """`18 Aug – 16 Nov 2026`; the first year only where it is another one, one day alone as itself."""
    if start == end:
        return day(start)
    first = f"{start.day} {start:%b}" if start.year == end.year else day(start)
    return f"{first} – {day(end)}"


def moment(value: datetime, zone: tzinfo) -> str:
    """`16 Nov 2026 06:00` on the clock of that zone."""
    local = value.astimezone(zone)
    return f"{day(local.date())} {local:%H:%M}"


def ago(age: timedelta) -> str:
    """`just now`, `12 min ago`, `5 h ago`, `3 days ago`."""
    minutes = age.total_seconds() / 60
    if minutes < 1:
        return "just now"
    if minutes < 120:
        return f"{minutes:.0f} min ago"
    hours = minutes / 60
    return f"{hours:.0f} h ago" if hours < 48 else f"{hours / 24:.0f} days ago"


def size(byte_count: float) -> str:
    """`3.4 GB`, in powers of 1000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if byte_count < 1000:
            return f"{rounded(byte_count)} {unit}"
        byte_count /= 1000
    return f"{rounded(byte_count)} TB"


def withheld(small_count: int) -> str:
    """What stands for a count that is too small to show."""
    return f"<{small_count}"
