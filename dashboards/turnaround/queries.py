"""Rows that the turnaround pages need besides measures; the reader's scope is in every one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, Double, and_, case, cast, func, literal, literal_column, select

from dashboards._shell.reading import Reading
from warehouse.measures.measure import minutes_between
from warehouse.measures.survival import data_time, observed
from warehouse.measures.targets import decided, kept, target_minutes, target_number
from warehouse.measures.turnaround import (
    INTERVAL,
    INTERVALS,
    KNOWN,
    REPORT_MINUTES,
    REPORTED,
    UNREAD,
    Interval,
    time_of,
    without_day_only,
)
from warehouse.schema import dim_procedure, dim_provider, dim_site, fact_exam

BINS_PER_DECADE = 8
BOARD_DAYS = 365
"""Unread exams are looked for so far back: what waits longer was lost rather than left."""
FLOW_DAYS = 28
CHAIN = ("ordered", "arrived", "started", "ended", "read_started", "first_report", "final")
"""Milestones in the order of an exam's life, between which its whole time is divided."""

_exam = fact_exam.c


def report_minutes_histogram(reading: Reading) -> pl.DataFrame:
    """Exams by the logarithm of their minutes to the report: `bin` (eighths of a decade), `n`."""
    bin_ = func.floor(func.log10(REPORT_MINUTES) * literal_column(str(BINS_PER_DECADE))).label("bin")
    query = (
        select(bin_, func.count().label("n"))
        .where(reading.filters.clauses(fact_exam, reading.scope), REPORTED, REPORT_MINUTES >= 1)
        .group_by(bin_)
        .order_by(bin_)
    )
    return reading.star.frame(query)


def durations(reading: Reading, interval: Interval, *by: str) -> pl.DataFrame:
    """One row an exam of an interval, those that are still in it too: the columns of `by`, `minutes`, `is_over`."""
    return reading.star.frame(observed(interval.duration)(reading.filters, reading.scope, by))


def waits_by_site(reading: Reading) -> pl.DataFrame:
    """When exams ended and were reported, to count the reading hours between: `site`, `ended_at`, `until`, `is_over`.

    `until` is the end of the data for exams that are still unread.
    """
    until = func.coalesce(_exam.final_at, data_time()).label("until")
    is_over = _exam.final_at.is_not(None).label("is_over")
    source = fact_exam.join(dim_site, _exam.site_key == dim_site.c.site_key)
    query = select(dim_site.c.site_code.label("site"), _exam.ended_at, until, is_over).select_from(source)
    usable = and_(KNOWN, without_day_only("ended", "final"))
    return reading.star.frame(query.where(reading.filters.clauses(fact_exam, reading.scope), usable))


def targets_kept(reading: Reading) -> pl.DataFrame:
    """How each target of the configuration is kept: `target` (its place in the list), `kept`, `n`."""
    targets = reading.settings.turnaround.targets
    exams = (
        select(target_number(targets).label("target"), kept(targets).label("is_kept"))
        .where(reading.filters.clauses(fact_exam, reading.scope), decided(targets))
        .subquery()
        .c
    )
    query = select(exams.target, func.count().filter(exams.is_kept).label("kept"), func.count().label("n"))
    return reading.star.frame(query.group_by(exams.target).order_by(exams.target))


def milestones_known(reading: Reading) -> dict[str, int]:
    """How many reported exams have each milestone of `CHAIN`, and `reported`: how many there are."""
    counts = [func.count(time_of(step)).label(step) for step in CHAIN]
    query = select(*counts, func.count().label("reported"))
    frame = reading.star.frame(query.where(reading.filters.clauses(fact_exam, reading.scope), REPORTED))
    return {name: int(value) for name, value in frame.row(0, named=True).items()}


def stage_means(reading: Reading, chain: Sequence[str]) -> dict[str, float | int | None]:
    """Mean minutes between neighbours of a chain of milestones, over exams that have all of them in order.

    Gives each stage under the name of its later milestone, and `n`. The means add up to that of the whole chain.
    """
    pairs = list(pairwise(chain))
    means = [cast(func.avg(minutes_between(time_of(a), time_of(b))), Double).label(b) for a, b in pairs]
    in_order = and_(*(time_of(a) <= time_of(b) for a, b in pairs), without_day_only(*chain))
    query = select(*means, func.count().label("n")).where(reading.filters.clauses(fact_exam, reading.scope), in_order)
    found: dict[str, float | int | None] = reading.star.frame(query).row(0, named=True)
    return found


def unread_now(reading: Reading) -> pl.DataFrame:
    """Every exam that waits for its report at the end of the data, whatever the filters' period, the longest wait first.

    Columns: exam_key, exam_id, site, section, priority, patient_class, modality, procedure, ended_at, waited_minutes,
    target_minutes, left_minutes (until its target passes; negative where it has; null without a target).
    """
    now = data_time()
    waited = cast(minutes_between(_exam.ended_at, now), Double)
    target = cast(target_minutes(reading.settings.turnaround.targets), Double)
    columns = (
        _exam.exam_key, _exam.exam_id, dim_site.c.site_code.label("site"), _exam.section, _exam.priority, _exam.patient_class, _exam.modality,
        dim_procedure.c.procedure_text.label("procedure"), _exam.ended_at, waited.label("waited_minutes"), target.label("target_minutes"), (target - waited).label("left_minutes"),
    )  # fmt: skip
    source = fact_exam.join(dim_site, _exam.site_key == dim_site.c.site_key).join(
        dim_procedure, _exam.procedure_key == dim_procedure.c.procedure_key
    )
    end = reading.data_to.date() + timedelta(days=1)
    lately = reading.filters.over(end - timedelta(days=BOARD_DAYS), end)
    usable = and_(UNREAD, without_day_only("ended"), _exam.ended_at <= now)
    query = select(*columns).select_from(source).where(lately.clauses(fact_exam, reading.scope), usable)
    return reading.star.frame(query.order_by(_exam.ended_at, _exam.exam_key))


def flow(reading: Reading) -> dict[str, Any]:
    """Arrivals, reports and waits of the last `FLOW_DAYS` days up to the end of the data, for Little's law.

    Gives `arrived` and `reported` (exams), `minutes` (mean wait of those reported then), `standing` (exams unread on
    average over that time: each one's waiting minutes in it, divided by its length), `at_start` and `last_week` (reports
    of the last 7 days).
    """
    now = reading.data_to
    start, length = now - timedelta(days=FLOW_DAYS), FLOW_DAYS * 1440.0
    since, week = literal(start, _exam.ended_at.type), literal(now - timedelta(days=7), _exam.ended_at.type)
    until = literal(now, _exam.ended_at.type)
    left = func.least(func.coalesce(_exam.final_at, until), until)
    inside = func.greatest(literal_column("0.0"), minutes_between(func.greatest(_exam.ended_at, since), left))
    left_then = and_(_exam.final_at >= since, _exam.final_at <= until)
    columns = (
        func.count().filter(_exam.ended_at >= since).label("arrived"),
        func.count().filter(left_then).label("reported"),
        cast(func.avg(case((left_then, REPORT_MINUTES))), Double).label("minutes"),
        (cast(func.sum(inside), Double) / literal_column(repr(length))).label("standing"),
        func.count().filter(and_(_exam.ended_at < since, left > since)).label("at_start"),
        func.count().filter(and_(_exam.final_at >= week, _exam.final_at <= until)).label("last_week"),
    )
    end = now.date() + timedelta(days=1)
    lately = reading.filters.over(end - timedelta(days=BOARD_DAYS), end)
    usable = and_(KNOWN, without_day_only("ended", "final"), _exam.ended_at <= until)
    return reading.star.frame(select(*columns).where(lately.clauses(fact_exam, reading.scope), usable)).row(
        0, named=True
    )


def reads(reading: Reading, grouped_by: ColumnElement[Any]) -> pl.DataFrame:
    """One row a report: `group`, `reader` (pseudonym), `report_minutes`, `read_minutes`, `in_target` (null without one)."""
    targets = reading.settings.turnaround.targets
    read = INTERVAL["read"]
    columns = (
        grouped_by.label("group"),
        dim_provider.c.provider_pseudonym.label("reader"),
        cast(REPORT_MINUTES, Double).label("report_minutes"),
        cast(case((read.is_over, read.minutes)), Double).label("read_minutes"),
        case((target_minutes(targets).is_not(None), kept(targets))).label("in_target"),
    )
    source = fact_exam.join(dim_provider, _exam.reader_key == dim_provider.c.provider_key)
    query = select(*columns).select_from(source).where(reading.filters.clauses(fact_exam, reading.scope), REPORTED)
    return reading.star.frame(query.where(_exam.reader_key != 0))


def reader_groups(way: str) -> ColumnElement[Any]:
    """The column that groups readers: what they belong to, else where and what they read."""
    if way == "site":
        return (
            select(dim_site.c.site_code)
            .where(dim_site.c.site_key == _exam.site_key)
            .correlate(fact_exam)
            .scalar_subquery()
        )
    return _exam[way] if way in {"reader_group", "section", "modality"} else dim_provider.c.provider_pseudonym


def counted(reading: Reading) -> dict[str, int]:
    """How many performed exams the filters keep, and why some of them are in no turnaround."""
    report = INTERVAL["report"]
    ended, final = _exam.ended_at, _exam.final_at
    has_both = and_(ended.is_not(None), final.is_not(None))
    usable = without_day_only("ended", "final")
    broken_off = _exam.state.in_(("discontinued", "cancelled"))
    is_open = and_(ended.is_not(None), final.is_(None))
    parts = {
        "performed": _exam.is_performed,
        "reported": report.is_over,
        "unread": and_(UNREAD, usable),
        "no_end": and_(_exam.is_performed, ended.is_(None)),
        "backwards": and_(has_both, final < ended),
        "day_only": and_(has_both, final >= ended, ~usable),
        "orderless": and_(is_open, ~broken_off, ~_exam.has_order),
        "broken_off": and_(is_open, broken_off),
        "with_addendum": and_(report.is_over, _exam.addenda > 0),
    }
    query = select(*(func.count().filter(part).label(name) for name, part in parts.items()))
    frame = reading.star.frame(query.where(reading.filters.clauses(fact_exam, reading.scope)))
    return {name: int(value) for name, value in frame.row(0, named=True).items()}


def interval_counts(reading: Reading) -> dict[str, int]:
    """How many exams have both ends of each interval, in order."""
    query = select(*(func.count().filter(each.is_over).label(each.name) for each in INTERVALS))
    frame = reading.star.frame(query.where(reading.filters.clauses(fact_exam, reading.scope)))
    return {name: int(value) for name, value in frame.row(0, named=True).items()}
