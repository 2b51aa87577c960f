"""The one filter object: from the address bar to where clauses, and in words for subtitles, exports and the audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Select, and_, select, true
from sqlalchemy.sql import FromClause

from warehouse.schema import dim_department, dim_device, dim_site, fact_exam
from warehouse.scope import Scope

PERIODS = {"7d": 7, "28d": 28, "90d": 90, "365d": 365, "10y": 3653}
"""Named periods: days up to and including the last full day of the data."""
DEFAULT_PERIOD = "90d"

LISTS = ("site", "modality", "patient_class", "priority", "device", "procedure", "protocol")
"""Filters that take several values; the name is the key in the address."""


@dataclass(frozen=True)
class Filters:
    """What the reader chose; hashable, and equal for equal choices."""

    start: date
    end: date
    """Last day, included."""
    period: str = "custom"
    """Key of `PERIODS` that gave start and end, or `custom`."""
    site: tuple[str, ...] = ()
    modality: tuple[str, ...] = ()
    patient_class: tuple[str, ...] = ()
    priority: tuple[str, ...] = ()
    device: tuple[str, ...] = ()
    """`device_id`s."""
    procedure: tuple[str, ...] = ()
    """Procedure keys as text."""
    protocol: tuple[str, ...] = ()
    """Protocol keys as text."""

    @classmethod
    def from_query(cls, query: Mapping[str, str], as_of: date) -> Filters:
        """Filters from an address's query; whatever is not understood is left out, never an error.

        Args:
            query: untrusted text by key, lists joined by commas: `site=NORTH,WEST&modality=CT&period=28d`.
            as_of: the last full day of the data, end of the named periods.
        """
        lists = {name: tuple(sorted({part for part in query.get(name, "").split(",") if part}))[:50] for name in LISTS}
        start, end = _day(query.get("from")), _day(query.get("to"))
        if start and end and start <= end:
            return cls(start=start, end=end, period="custom", **lists)
        period = query.get("period", DEFAULT_PERIOD)
        period = period if period in PERIODS else DEFAULT_PERIOD
        return cls(start=as_of - timedelta(days=PERIODS[period] - 1), end=as_of, period=period, **lists)

    def to_query(self) -> str:
        """The query text that `from_query` reads back; defaults are left out."""
        parts = (
            {"from": self.start.isoformat(), "to": self.end.isoformat()}
            if self.period == "custom"
            else {"period": self.period}
        )
        if parts.get("period") == DEFAULT_PERIOD:
            parts = {}
        parts |= {name: ",".join(getattr(self, name)) for name in LISTS if getattr(self, name)}
        return urlencode(parts, safe=",")

    @property
    def days(self) -> int:
        """Days from start to end, both included."""
        return (self.end - self.start).days + 1

    def before(self) -> Filters:
        """The same choice over the period of equal length just before."""
        return replace(
            self, start=self.start - timedelta(days=self.days), end=self.start - timedelta(days=1), period="custom"
        )

    def over(self, start: date, end: date) -> Filters:
        """The same choice over other days."""
        return replace(self, start=start, end=end, period="custom")

    def narrowed(self, **lists: tuple[str, ...]) -> Filters:
        """The same choice with some lists replaced, as a drill does."""
        return replace(self, **lists)  # type: ignore[arg-type]  # values are the tuples named above

    def sentence(self, names: Mapping[str, str] | None = None) -> str:
        """The filters in words: `All sites · CT · 1 Sep 2026 – 16 Nov 2026`. `names` maps codes and keys to names."""
        shown = names or {}
        parts = [", ".join(shown.get(v, v) for v in self.site) or "All sites"]
        parts += [", ".join(shown.get(v, v) for v in values) for name in LISTS[1:] if (values := getattr(self, name))]
        parts.append(f"{self.start.day} {self.start:%b %Y} – {self.end.day} {self.end:%b %Y}")
        return " · ".join(parts)

    def clauses(self, fact: FromClause, scope: Scope) -> ColumnElement[bool]:
        """The where clause on a fact joined to `fact_exam` (or that table itself), with the reader's scope.

        The scope is part of it always: a forged filter can only narrow what the scope allows.
        """
        exam = fact_exam.c
        terms: list[ColumnElement[bool]] = [
            exam.local_day >= self.start,
            exam.local_day <= self.end,
            exam.not_patient.is_(None),
            exam.month >= f"{self.start:%Y-%m}",
            exam.month <= f"{self.end:%Y-%m}",
        ]
        if fact is not fact_exam:
            terms += [fact.c.month >= f"{self.start:%Y-%m}", fact.c.month <= f"{self.end:%Y-%m}"]
        terms.append(exam_clause(scope))
        if self.site:
            terms.append(exam.site_key.in_(select(dim_site.c.site_key).where(dim_site.c.site_code.in_(self.site))))
        for name in ("modality", "patient_class", "priority"):
            if values := getattr(self, name):
                terms.append(exam[name].in_(values))
        if self.device:
            terms.append(
                exam.device_key.in_(select(dim_device.c.device_key).where(dim_device.c.device_id.in_(self.device)))
            )
        terms += [
            exam[f"{name}_key"].in_(keys) for name in ("procedure", "protocol") if (keys := _keys(getattr(self, name)))
        ]
        return and_(*terms)


def site_clause(site_key: ColumnElement[Any], scope: Scope) -> ColumnElement[bool]:
    """The where clause that keeps a table with `site_key` inside the reader's scope."""
    if scope.sites is None:
        return true()
    return site_key.in_(select(dim_site.c.site_key).where(dim_site.c.site_code.in_(sorted(scope.sites))))


def exam_clause(scope: Scope) -> ColumnElement[bool]:
    """The where clause that keeps `fact_exam` inside the reader's scope: sites and ordering departments."""
    inside = site_clause(fact_exam.c.site_key, scope)
    if scope.departments is None:
        return inside
    named = select(dim_department.c.department_key).where(
        dim_department.c.department_name.in_(sorted(scope.departments))
    )
    return and_(inside, fact_exam.c.department_key.in_(named))


def visible_exam(exam_key: int, scope: Scope) -> Select[Any]:
    """The exam of a key where the scope opens it, nothing otherwise: for facts that have no department of their own."""
    return select(fact_exam.c.exam_key).where(fact_exam.c.exam_key == exam_key, exam_clause(scope))


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None


def _keys(values: tuple[str, ...]) -> list[int]:
    return [int(value) for value in values if value.lstrip("-").isdigit()]
