"""Scanners whose clock is off: since when, how far, and whether their times are corrected."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
from sqlalchemy import ColumnElement, select

from insights.devices import Clock, clocks
from insights.finding import Evidence, Finding, Found, monday, said
from insights.names import Names
from warehouse.engines import Star
from warehouse.filters import Filters, site_clause
from warehouse.schema import dim_site, fact_device_clock
from warehouse.scope import Scope

LEAST_SECONDS = 600.0
"""Nearer to the truth a clock moves no finding; the scanners' page shows smaller offsets."""
STALE_DAYS = 28
"""A clock that was not compared for so long tells nothing of now."""
CORRECTED = 0.25
"""Share of its exams that a corrected clock still touches: on days with too few exams nothing is corrected."""
PERMISSION = "view_data"
_clock = fact_device_clock.c


def find(star: Star, last: date, as_of: date, scope: Scope, narrowed: Filters | None, names: Names) -> Found:
    """Wrong clocks as known on the last day."""
    frame = star.frame(
        select(_clock.device_id, _clock.local_day, _clock.offset_s, _clock.applied_s, _clock.rule, _clock.exams)
        .where(*_within(last, scope, narrowed))
        .order_by(_clock.device_id, _clock.local_day)
    )
    if frame.is_empty():
        return Found([], 0)
    known = clocks(frame, LEAST_SECONDS)
    recent = last - timedelta(days=STALE_DAYS)
    off = [one for one in known if one.since is not None and one.days[-1] > recent]
    exams = dict(
        frame.filter(pl.col("local_day") > recent).group_by("device_id").agg(pl.col("exams").sum()).iter_rows()
    )
    return Found([_finding(one, one.since, exams[one.device_id], as_of, names) for one in off if one.since], len(known))


def _within(last: date, scope: Scope, narrowed: Filters | None) -> list[ColumnElement[bool]]:
    """Clocks inside the reader's scope and choice; a scanner's clock belongs to no department."""
    terms: list[ColumnElement[bool]] = [_clock.local_day <= last, site_clause(_clock.site_key, scope)]
    if scope.departments is not None:
        terms.append(_clock.device_id.is_(None))
    if narrowed and narrowed.site:
        terms.append(_clock.site_key.in_(select(dim_site.c.site_key).where(dim_site.c.site_code.in_(narrowed.site))))
    if narrowed and narrowed.modality:
        terms.append(_clock.modality.in_(narrowed.modality))
    if narrowed and narrowed.device:
        terms.append(_clock.device_id.in_(narrowed.device))
    return terms


def _finding(one: Clock, since: date, exams: int, as_of: date, names: Names) -> Finding:
    way = "slow" if one.now_s > 0 else "fast"
    compared = sum(day >= since for day in one.days)
    corrected = sum(day >= since for day in one.corrected)
    words = f"corrected on {corrected} of {compared} compared days" if corrected else "not corrected"
    return Finding(
        "concern", "clock", "clock_offset_s", PERMISSION, {"device": one.device_id}, since, None, one.now_s, "s", _evidence(one),
        exams * (CORRECTED if corrected else 1.0),
        f"Clock {names.words({'device': one.device_id})}: {abs(one.now_s) / 60:.0f} min {way} since {said(since, as_of)}, {words}",
        f"What the RIS says of the same exams, on {compared} days since then.",
    )  # fmt: skip


def _evidence(one: Clock) -> Evidence:
    """The offset week by week, in seconds."""
    frame = pl.DataFrame({"week": [monday(day) for day in one.days], "offset": one.offsets_s})
    by_week = frame.group_by("week").agg(pl.col("offset").median(), n=pl.len()).sort("week")
    weeks, values, n = (tuple(by_week[name].to_list()) for name in ("week", "offset", "n"))
    return Evidence(weeks, values, n, "median of the last seven compared days", 0.0, 0.0, one.now_s)
