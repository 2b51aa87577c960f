"""Exams made under another patient's worklist entry, in episodes of days.

Such an exam was ordered and took place, yet has no images: they lie with another exam. Their share among the exams of a
site and modality is held against its own past (`insights.episodes`). The scanner is the one whose exams of other patients
lasted over their times. Exams with a performed step that was broken off for a wrong entry (CID 9301: 110514) count alike.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, and_, func, not_, or_, select

from insights.episodes import DAYS_BACK, Episode, episode, evidence
from insights.finding import Finding, Found, chance, over, when
from insights.names import Names
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures import CATALOGUE
from warehouse.schema import dim_device, dim_site, fact_exam, fact_exam_event
from warehouse.scope import Scope

ATTRIBUTED = 0.6
"""A scanner is named where so large a share of the missing images can lie with its exams."""
SLACK = timedelta(minutes=5)
WRONG_ENTRY = "wrong worklist entry"
_IMAGED = CATALOGUE["orders_with_images_share"]
_exam, _event = fact_exam.c, fact_exam_event.c


def find(star: Star, last: date, as_of: date, scope: Scope, narrowed: Filters | None, names: Names) -> Found:
    """Episodes at all sites and modalities, `last` being the last day whose images have come."""
    filters = over(narrowed, last - timedelta(days=DAYS_BACK - 1), last)
    days = star.frame(_days(filters, scope))
    parts = days.partition_by("site", "modality", as_dict=True, maintain_order=True)
    found = []
    for (site, modality), part in parts.items():
        one = episode(part, last)
        if one is not None and one.wrong >= scope.small_count:
            place = {"site": str(site), "modality": str(modality)}
            device = _scanner(
                star, over(narrowed, one.first, one.last).narrowed(**{k: (v,) for k, v in place.items()}), scope
            )
            found.append(_finding({"device": device} if device else place, part, one, as_of, names))
    return Found(found, len(parts))


def _is_wrong() -> ColumnElement[bool]:
    """Performed, ordered and without images of its own, or with a step that was broken off for a wrong entry."""
    stepped = (
        select(_event.exam_key)
        .where(_event.exam_key == _exam.exam_key, _event.month == _exam.month, _event.passed_over == WRONG_ENTRY)
        .correlate(fact_exam)
        .exists()
    )
    return or_(not_(_exam.has_images), stepped)


def _days(filters: Filters, scope: Scope) -> Any:
    return (
        select(
            dim_site.c.site_code.label("site"),
            _exam.modality,
            _exam.local_day.label("day"),
            func.count().label("n"),
            func.count().filter(_is_wrong()).label("wrong"),
        )
        .select_from(fact_exam.join(dim_site, _exam.site_key == dim_site.c.site_key))
        .where(filters.clauses(fact_exam, scope), _exam.is_performed, _exam.has_order, _exam.state != "in_progress")
        .group_by(dim_site.c.site_code, _exam.modality, _exam.local_day)
        .order_by(dim_site.c.site_code, _exam.modality, _exam.local_day)
    )


def _scanner(star: Star, filters: Filters, scope: Scope) -> str | None:
    """The scanner with whose exams the missing images can lie, None where no one stands out."""
    host = fact_exam.alias("host")
    lasted = and_(
        host.c.site_key == _exam.site_key,
        host.c.modality == _exam.modality,
        host.c.has_images,
        host.c.machine_started_at < func.coalesce(_exam.ended_at, _exam.started_at) + SLACK,
        host.c.machine_ended_at > _exam.started_at - SLACK,
    )
    query = (
        select(dim_device.c.device_id, func.count(_exam.exam_key.distinct()).label("n"))
        .select_from(fact_exam.join(host, lasted).join(dim_device, host.c.device_key == dim_device.c.device_key))
        .where(filters.clauses(fact_exam, scope), _exam.is_performed, _exam.has_order, _is_wrong())
        .where(host.c.month >= f"{filters.start:%Y-%m}", host.c.month <= f"{filters.end:%Y-%m}")
        .group_by(dim_device.c.device_id)
        .order_by(func.count(_exam.exam_key.distinct()).desc(), dim_device.c.device_id)
    )
    frame = star.frame(query)
    every = select(func.count().label("n")).where(
        filters.clauses(fact_exam, scope), _exam.is_performed, _exam.has_order, _is_wrong()
    )
    whole = int(star.frame(every)["n"][0])
    return str(frame["device_id"][0]) if frame.height and frame["n"][0] >= ATTRIBUTED * whole else None


def _finding(place: dict[str, str], days: pl.DataFrame, one: Episode, as_of: date, names: Names) -> Finding:
    return Finding(
        "concern", "wrong entry", _IMAGED.name, _IMAGED.permission, place, one.first, one.until, one.usual - one.share, "%",
        evidence(days, one, "share of exams without their images, against the same place before"), float(one.wrong),
        f"Wrong worklist entries {names.words(place)}: {one.wrong} of {one.exams} exams {when(one.first, one.until, as_of)} "
        "took place and have no images of their own",
        f"{one.share:.0f} % against {one.usual:.1f} % before: by chance {chance(one.chance)}. The images lie with other patients' exams.",
    )  # fmt: skip
