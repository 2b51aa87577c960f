"""A scanner that fails more and more often, or stands still now.

Failures are breakdowns that a calendar records, and days on which an exam was broken off for the equipment (CID 9301:
110501, 110516). Their rate in the last weeks is held against the scanner's own before, by an exact test, for every day
of the last twelve weeks on which it may have begun. Standing still is the silence of staffed days.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from math import exp
from typing import NamedTuple

import polars as pl
from sqlalchemy import BigInteger, and_, cast, func, select

from insights.chance import rate_rise
from insights.finding import Evidence, Finding, Found, chance, counted, monday, over, said, when
from insights.names import Names
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures import CATALOGUE
from warehouse.measures.scanner_time import available, over_spans, total
from warehouse.schema import dim_device, fact_device_span, fact_exam
from warehouse.scope import Scope

EQUIPMENT = ("110501", "110516")
"""Equipment failure, equipment change (PS3.16 CID 9301)."""
DAYS_BACK, SCANNED_DAYS, RECENT_DAYS = 364, 84, 28
"""Days that are looked at, in which it may have begun, and in which it failed last."""
LEAST_FAILURES, LEAST_BEFORE_DAYS = 4, 56
"""Failures that make a finding, and days before them that tell the usual."""
QUIET_DAYS = 14
"""Days without a failure after which it is over, unless the scanner stands still."""
ONE_BREAKDOWN = timedelta(hours=6)
"""Breakdowns nearer to each other are one: exams in between are tries."""
SILENT_DAYS, SILENT_EXAMS = 2, 12.0
"""Staffed days without an exam, and exams that they usually have, from which on a scanner stands still: e to the -12."""
FOUR_WEEKS = 28
_DOWN = CATALOGUE["unplanned_downtime_hours"]
_span, _exam, _device = fact_device_span.c, fact_exam.c, dim_device.c
_DAYS = over_spans(
    lambda s: total(s.minutes, available(s)),
    lambda s: cast(func.coalesce(func.sum(s.exams), 0), BigInteger),
    down=lambda s: total(s.minutes, and_(available(s), s.kind == "unplanned_down")),
)


class Rise(NamedTuple):
    """Failures that became more frequent."""

    since: date
    failures: int
    days: int
    before: int
    days_before: int
    chance: float


class Silence(NamedTuple):
    """Staffed days up to now without an exam."""

    since: date
    days: int
    usual_exams: float


def find(star: Star, last: date, as_of: date, scope: Scope, narrowed: Filters | None, names: Names) -> Found:
    """Failing scanners, `last` being the last day that is known."""
    filters = over(narrowed, last - timedelta(days=DAYS_BACK - 1), last)
    days = star.frame(_DAYS(filters, scope, ("device", "day"))).filter(pl.col("device") != "unknown")
    begun = _breakdowns(star, filters, scope)
    broken = _broken_off(star, filters, scope)
    found = []
    devices = days.sort("device", "day").partition_by("device", as_dict=True, maintain_order=True)
    for (name,), part in devices.items():
        device = str(name)
        failures = sorted({*begun.get(device, ()), *broken.get(device, ())})
        rise, silence = risen(failures, part["day"][0], last), silent(part)
        if rise or silence:
            found.append(_finding(device, part, failures, rise, silence, last, as_of, names))
    return Found(found, len(devices))


def risen(failures: list[date], first: date, last: date) -> Rise | None:
    """The rise of failures up to a day that chance gives least; None where too few, or the last is long ago.

    Args:
        failures: days with a failure, in order.
        first: first day on which the scanner is known.
    """
    starts = [day for day in failures if day > last - timedelta(days=SCANNED_DAYS)]
    if not starts or starts[-1] <= last - timedelta(days=RECENT_DAYS):
        return None
    rises = []
    for start in starts:
        now, before = sum(day >= start for day in failures), sum(day < start for day in failures)
        days, days_before = (last - start).days + 1, (start - first).days
        if now >= LEAST_FAILURES and days_before >= LEAST_BEFORE_DAYS:
            # The day on which the window begins was chosen for its failure, which therefore tells nothing.
            p = rate_rise(now - 1, days, before, days_before)
            rises.append(Rise(start, now, days, before, days_before, min(1.0, p * len(starts))))
    return min(rises, key=lambda rise: rise.chance, default=None)


def silent(days: pl.DataFrame) -> Silence | None:
    """The silence at the end of a scanner's staffed days: `day, value` (available minutes), `n` (exams), in order."""
    staffed = [row for row in days.iter_rows(named=True) if row["value"] > 0 or row["n"] > 0]
    quiet = 0
    while quiet < len(staffed) and staffed[-1 - quiet]["n"] == 0:
        quiet += 1
    before, tail = staffed[-RECENT_DAYS - quiet : len(staffed) - quiet], staffed[len(staffed) - quiet :]
    minutes = sum(row["value"] for row in before)
    if quiet < SILENT_DAYS or len(before) < RECENT_DAYS // 2 or not minutes:
        return None
    usual = sum(row["n"] for row in before) / minutes * sum(row["value"] for row in tail)
    return Silence(tail[0]["day"], quiet, usual) if usual >= SILENT_EXAMS else None


def _breakdowns(star: Star, filters: Filters, scope: Scope) -> dict[str, list[date]]:
    """Days on which a breakdown began, by device."""
    query = (
        select(_span.device_id, _span.local_day, _span.starts_at, _span.minutes)
        .where(filters.clauses(fact_device_span, scope), _span.kind == "unplanned_down")
        .order_by(_span.device_id, _span.starts_at)
    )
    begun: dict[str, list[date]] = {}
    until: dict[str, datetime] = {}
    for device, day, starts, minutes in star.frame(query).iter_rows():
        if device not in until or starts - until[device] > ONE_BREAKDOWN:
            begun.setdefault(device, []).append(day)
        until[device] = starts + timedelta(minutes=minutes)
    return begun


def _broken_off(star: Star, filters: Filters, scope: Scope) -> dict[str, list[date]]:
    """Days on which an exam was broken off for the equipment, by device."""
    query = (
        select(_device.device_id, _exam.local_day)
        .select_from(fact_exam.join(dim_device, _exam.device_key == _device.device_key))
        .where(filters.clauses(fact_exam, scope), _exam.state == "discontinued", _exam.reason_code.in_(EQUIPMENT))
        .distinct()
        .order_by(_device.device_id, _exam.local_day)
    )
    broken: dict[str, list[date]] = {}
    for device, day in star.frame(query).iter_rows():
        broken.setdefault(device, []).append(day)
    return broken


def _finding(
    device: str,
    days: pl.DataFrame,
    failures: list[date],
    rise: Rise | None,
    silence: Silence | None,
    last: date,
    as_of: date,
    names: Names,
) -> Finding:
    since = min(part.since for part in (rise, silence) if part)
    until = None if silence or last - failures[-1] < timedelta(days=QUIET_DAYS) else failures[-1]
    now, before = days.filter(pl.col("day") >= since), days.filter(pl.col("day") < since)
    hours = [float(part["down"].sum()) / 60 / max(1, part.height) * 7 for part in (before, now)]
    per_hour = float(before["n"].sum()) / max(1.0, float(before["value"].sum()) / 60)
    recent = last - timedelta(days=FOUR_WEEKS)
    down_hours = float(days.filter(pl.col("day") > recent)["down"].sum()) / 60
    lost = max(down_hours * per_hour, silence.usual_exams if silence else 0.0)
    told, because = [], []
    if silence:
        told.append(f"no exam since {said(silence.since, as_of)}, {silence.days} staffed days")
        because.append(f"About {counted(silence.usual_exams, 'exam')} would be usual in the staffed time since then.")
    if rise:
        told.append(
            f"failed more often {when(rise.since, until, as_of)}, {counted(rise.failures, 'failure')} in {rise.days} days"
        )
        because.append(
            f"{counted(rise.before, 'failure')} in the {rise.days_before} days before: by chance {chance(rise.chance)}."
        )
    if hours[1] >= 1:
        told.append(f"{hours[1]:.0f} staffed hours lost a week")
    return Finding(
        "concern", "failing scanner", _DOWN.name, _DOWN.permission, {"device": device}, since, until, hours[1] - hours[0], "h",
        _evidence(days, failures, rise, silence, hours), lost + sum(day > recent for day in failures),
        f"Scanner {names.words({'device': device})}: {'; '.join(told)}", " ".join(because),
    )  # fmt: skip


def _evidence(
    days: pl.DataFrame, failures: list[date], rise: Rise | None, silence: Silence | None, hours: list[float]
) -> Evidence:
    """Failures a week, with staffed hours lost a week as the levels."""
    weeks = tuple(sorted({monday(day) for day in days["day"]}))
    counts = tuple(sum(monday(day) == week for day in failures) for week in weeks)
    p = min(part for part in (rise.chance if rise else 1.0, exp(-silence.usual_exams) if silence else 1.0))
    rule = "failures a week, against the scanner's own rate before" if rise else "no exam in staffed time"
    return Evidence(weeks, tuple(float(count) for count in counts), counts, rule, p, *hours)
