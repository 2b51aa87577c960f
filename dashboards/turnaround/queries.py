"""Rows that the turnaround page needs besides measures; the reader's scope is in every one."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
from sqlalchemy import and_, case, func, literal, literal_column, select

from dashboards._shell.reading import Reading
from warehouse.measures.measure import minutes_between
from warehouse.measures.turnaround import UNREAD
from warehouse.schema import fact_exam

BINS_PER_DECADE = 8
AGE_BANDS = (("under 4 h", 4), ("4 to 24 h", 24), ("1 to 3 days", 72), ("3 to 7 days", 168), ("over 7 days", None))
"""Age bands of unread exams and the hours at which each ends."""

_exam = fact_exam.c


def report_minutes_histogram(reading: Reading) -> pl.DataFrame:
    """Exams by the logarithm of their minutes to the report: `bin` (eighths of a decade), `n`."""
    minutes = minutes_between(_exam.ended_at, _exam.final_at)
    reported = and_(
        _exam.final_at > _exam.ended_at,
        _exam.ended_confidence != "coarse",
        _exam.final_confidence != "coarse",
        minutes >= 1,
    )
    bin_ = func.floor(func.log10(minutes) * literal_column(str(BINS_PER_DECADE))).label("bin")
    query = (
        select(bin_, func.count().label("n"))
        .where(reading.filters.clauses(fact_exam, reading.scope), reported)
        .group_by(bin_)
        .order_by(bin_)
    )
    return reading.star.frame(query)


def unread_by_age(reading: Reading) -> pl.DataFrame:
    """Completed exams without a report at the time of the data, by age band: `band` (index of `AGE_BANDS`), `n`."""
    now = reading.data_to
    whens = [
        (_exam.ended_at >= literal(_before(now, hours)), index)
        for index, (_, hours) in enumerate(AGE_BANDS)
        if hours is not None
    ]
    band = case(*whens, else_=len(AGE_BANDS) - 1).label("band")
    everything = reading.filters.over(reading.filters.end - timedelta(days=364), now.date() + timedelta(days=1))
    unread = and_(UNREAD, _exam.ended_at <= literal(now))
    inner = select(band).where(everything.clauses(fact_exam, reading.scope), unread).subquery()
    return reading.star.frame(
        select(inner.c.band, func.count().label("n")).group_by(inner.c.band).order_by(inner.c.band)
    )


def _before(now: datetime, hours: int) -> datetime:
    return now - timedelta(hours=hours)
