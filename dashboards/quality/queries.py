"""Frames of the quality pages; the reader's scope is in every query."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from sqlalchemy import and_, func, select

from dashboards._shell.reading import Reading
from dashboards.quality.issues import Issue
from warehouse.filters import Filters, exam_clause, site_clause
from warehouse.measures.quality import (
    Part,
    daily_counts,
    flag_counts,
    match_counts,
    milestone_sources,
    part_counts,
)
from warehouse.schema import (
    dim_date,
    dim_device,
    dim_procedure,
    dim_site,
    fact_device_clock,
    fact_exam,
    fact_exam_event,
)

_exam, _clock, _device = fact_exam.c, fact_device_clock.c, dim_device.c
MOST_ROWS = 200
WRONG_ENTRY = "wrong worklist entry"


def parts(reading: Reading, which: Sequence[Part], *by: str) -> pl.DataFrame:
    """One row a part and combination of the breakdowns: `part, there, of, share, missing`, and whether it is withheld."""
    wide = reading.star.frame(part_counts(which, reading.filters, reading.scope, by))
    rows = [
        {**{way: row[way] for way in by}, "part": part.name, "there": row[part.name], "of": row[f"{part.name}_of"]}
        for row in wide.iter_rows(named=True)
        for part in which
    ]
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        **{way: wide.schema[way] for way in by},
        "part": pl.Utf8,
        "there": pl.Int64,
        "of": pl.Int64,
    }
    small = (pl.col("of") > 0) & (pl.col("of") < reading.scope.small_count)
    frame = pl.DataFrame(rows, schema=schema).with_columns(
        share=pl.when(pl.col("of") > 0).then(100 * pl.col("there") / pl.col("of")),
        missing=pl.col("of") - pl.col("there"),
        withheld=small,
    )
    hidden = [
        pl.when("withheld").then(None).otherwise(pl.col(name)).alias(name)
        for name in ("there", "of", "share", "missing")
    ]
    return frame.with_columns(hidden)


def matches(reading: Reading) -> pl.DataFrame:
    """Exams that took place by rule and confidence: `match_rule, match_confidence, n, share, withheld`."""
    frame = reading.star.frame(match_counts(reading.filters, reading.scope))
    return small_hidden(frame.with_columns(share=100 * pl.col("n") / pl.col("n").sum()), reading, "n", "share")


def sources_of_times(reading: Reading) -> dict[str, str]:
    """Milestone to the sources that gave it, with their shares, in words."""
    frame = reading.star.frame(milestone_sources(reading.filters, reading.scope))
    shares = frame.with_columns(share=100 * pl.col("n") / pl.col("n").sum().over("milestone"))
    answer: dict[str, list[str]] = {}
    for row in shares.sort("milestone", "n", descending=[False, True]).iter_rows(named=True):
        answer.setdefault(row["milestone"], []).append(f"{row['source'] or 'unknown'} {row['share']:.0f} %")
    return {name: ", ".join(words[:4]) for name, words in answer.items()}


def doubts(reading: Reading) -> pl.DataFrame:
    """Exams by kind of doubt and site: `flag, site, n, withheld`; an exam with two doubts counts in both."""
    frame = reading.star.frame(flag_counts(reading.filters, reading.scope, ("site",)))
    each = frame.with_columns(flag=pl.col("flags").str.split("; ")).explode("flag")
    summed = (
        each.group_by("flag", "site").agg(pl.col("n").sum()).sort("n", "flag", "site", descending=[True, False, False])
    )
    return small_hidden(summed, reading, "n")


def days(reading: Reading) -> pl.DataFrame:
    """One row a day with the counts of all systems and the classes of their differences, newest first."""
    return reading.star.frame(daily_counts(reading.filters, reading.scope)).sort(
        "day", descending=True, nulls_last=True
    )


def clock_days(reading: Reading) -> pl.DataFrame:
    """Every compared day of the clocks of the scanners that the filters and the scope keep."""
    scope, filters = reading.scope, reading.filters
    terms = [site_clause(_clock.site_key, scope), _clock.local_day <= filters.end]
    if scope.departments is not None:  # a scanner's clock belongs to no department
        return reading.star.frame(select(fact_device_clock).where(_clock.device_id.is_(None)))
    if filters.site:
        terms.append(_clock.site_key.in_(select(dim_site.c.site_key).where(dim_site.c.site_code.in_(filters.site))))
    if filters.modality:
        terms.append(_clock.modality.in_(filters.modality))
    if filters.device:
        terms.append(_clock.device_id.in_(filters.device))
    return reading.star.frame(
        select(fact_device_clock).where(and_(*terms)).order_by(_clock.device_id, _clock.local_day)
    )


def device_versions(reading: Reading) -> pl.DataFrame:
    """Every version of every device inside the scope."""
    if reading.scope.departments is not None:
        return reading.star.frame(select(dim_device).where(_device.device_key.is_(None)))
    return reading.star.frame(
        select(dim_device, dim_site.c.site_name)
        .select_from(dim_device.join(dim_site, _device.site_key == dim_site.c.site_key))
        .where(_device.device_key != 0, site_clause(_device.site_key, reading.scope))
        .order_by(_device.device_id, _device.valid_from)
    )


def wrong_entries(reading: Reading) -> pl.DataFrame:
    """Exams with a step under a wrong worklist entry, by device: `device, n, withheld`."""
    query = (
        select(_device.device_id.label("device"), func.count(_exam.exam_key.distinct()).label("n"))
        .select_from(
            fact_exam_event.join(
                fact_exam,
                and_(fact_exam_event.c.exam_key == _exam.exam_key, fact_exam_event.c.month == _exam.month),
            ).join(dim_device, _exam.device_key == _device.device_key)
        )
        .where(reading.filters.clauses(fact_exam, reading.scope), fact_exam_event.c.passed_over == WRONG_ENTRY)
        .group_by(_device.device_id)
        .order_by(func.count(_exam.exam_key.distinct()).desc(), _device.device_id)
    )
    return small_hidden(reading.star.frame(query), reading, "n")


def without_worklist(reading: Reading, filters: Filters) -> pl.DataFrame:
    """Exams with images by device and week: `device, week, n, without, withheld`."""
    query = (
        select(
            _device.device_id.label("device"),
            dim_date.c.week_starts_on.label("week"),
            func.count().label("n"),
            func.count().filter(_exam.worklist_used.is_(False)).label("without"),
        )
        .select_from(
            fact_exam.join(dim_device, _exam.device_key == _device.device_key).join(
                dim_date, _exam.date_key == dim_date.c.date_key
            )
        )
        .where(filters.clauses(fact_exam, reading.scope), _exam.has_images, _exam.device_key != 0)
        .group_by(_device.device_id, dim_date.c.week_starts_on)
        .order_by(_device.device_id, dim_date.c.week_starts_on)
    )
    return small_hidden(reading.star.frame(query), reading, "n", "without")


def exams(reading: Reading, found: Issue) -> tuple[int, pl.DataFrame]:
    """How many exams have an issue, and the newest of them."""
    source = (
        fact_exam.join(dim_site, _exam.site_key == dim_site.c.site_key)
        .join(dim_device, _exam.device_key == _device.device_key)
        .join(dim_procedure, _exam.procedure_key == dim_procedure.c.procedure_key)
    )
    kept = and_(reading.filters.clauses(fact_exam, reading.scope), found.condition)
    total = reading.star.frame(select(func.count().label("n")).select_from(fact_exam).where(kept))["n"][0]
    columns = (
        _exam.exam_key, _exam.exam_id, _exam.local_day, _exam.modality, dim_procedure.c.procedure_text, dim_site.c.site_name,
        _device.device_name, _exam.state, _exam.match_rule, _exam.match_confidence, _exam.flags,
    )  # fmt: skip
    query = (
        select(*columns).select_from(source).where(kept).order_by(_exam.local_day.desc().nulls_last(), _exam.exam_key)
    )
    return int(total), reading.star.frame(query.limit(MOST_ROWS))


def exams_by(reading: Reading, condition_keys: Sequence[int] = (), exam_id: str = "") -> pl.DataFrame:
    """Exams by key or short id, inside the scope: `exam_key, exam_id, local_day, procedure_text, site_name`."""
    wanted = _exam.exam_id == exam_id if exam_id else _exam.exam_key.in_(list(condition_keys))
    query = (
        select(_exam.exam_key, _exam.exam_id, _exam.local_day, dim_procedure.c.procedure_text, dim_site.c.site_name)
        .select_from(
            fact_exam.join(dim_procedure, _exam.procedure_key == dim_procedure.c.procedure_key).join(
                dim_site, _exam.site_key == dim_site.c.site_key
            )
        )
        .where(wanted, exam_clause(reading.scope))
    )
    return reading.star.frame(query)


def small_hidden(frame: pl.DataFrame, reading: Reading, count: str, *others: str) -> pl.DataFrame:
    """The frame with `withheld`, and counts that are too small to show taken out with what they would tell."""
    small = (pl.col(count) > 0) & (pl.col(count) < reading.scope.small_count)
    marked = frame.with_columns(withheld=small.fill_null(value=False))
    return marked.with_columns(
        pl.when("withheld").then(None).otherwise(pl.col(name)).alias(name) for name in (count, *others)
    )
