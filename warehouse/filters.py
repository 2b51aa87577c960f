"""The one filter object: from the address bar to where clauses, and in words for subtitles, exports and the audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Select, and_, false, select, true
from sqlalchemy.sql import FromClause

from warehouse.schema import (
    dim_department,
    dim_device,
    dim_site,
    fact_appointment,
    fact_device_span,
    fact_exam,
    fact_planned_volume,
)
from warehouse.scope import Scope

PERIODS = {"7d": 7, "28d": 28, "90d": 90, "365d": 365, "10y": 3653}
"""Named periods: days up to and including the last full day of the data."""
DEFAULT_PERIOD = "90d"

LISTS = ("site", "modality", "patient_class", "priority", "section", "device", "procedure", "protocol")
"""Filters that take several values; the name is the key in the address."""

OWN_FACTS: tuple[FromClause, ...] = (fact_exam, fact_appointment, fact_device_span, fact_planned_volume)
"""Facts that are filtered by columns of their own; all others by those of the exam that they belong to."""


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
    section: tuple[str, ...] = ()
    """Subspecialties of the configuration."""
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

    @property
    def scanner_time_note(self) -> str:
        """What of the choice measures of scanner time cannot follow, in words; empty where they follow all of it.

        A stretch of a scanner's day is idle for no class, priority or procedure in particular.
        """
        chosen = [
            name.replace("_", " ") for name in LISTS if getattr(self, name) and not _applies(name, fact_device_span)
        ]
        return f"Scanner time is not narrowed by {_listed(chosen)}: idle time belongs to no exam." if chosen else ""

    @property
    def plan_note(self) -> str:
        """Why a choice has no plan, in words; empty where it has: plans are made by site and modality alone."""
        chosen = [name.replace("_", " ") for name in LISTS if getattr(self, name) and name not in {"site", "modality"}]
        return f"A plan is made by site and modality, not by {_listed(chosen)}." if chosen else ""

    def clauses(self, fact: FromClause, scope: Scope) -> ColumnElement[bool]:
        """The where clause on one of `OWN_FACTS`, or on a fact joined to `fact_exam`, with the reader's scope.

        The scope is part of it always: a forged filter can only narrow what the scope allows. Filters that the fact has no
        column for do not apply (`scanner_time_note`).
        """
        owner = fact if fact in OWN_FACTS else fact_exam
        column = owner.c
        terms: list[ColumnElement[bool]] = [
            column.local_day >= self.start,
            column.local_day <= self.end,
            scope_clause(owner, scope),
        ]
        if "not_patient" in column:
            terms.append(column.not_patient.is_(None))
        # A slot lies in the month of its exam, which may be another than its own: months prune all facts but that one.
        for pruned in (table for table in dict.fromkeys((owner, fact)) if table is not fact_appointment):
            terms += [pruned.c.month >= f"{self.start:%Y-%m}", pruned.c.month <= f"{self.end:%Y-%m}"]
        if self.site:
            terms.append(column.site_key.in_(select(dim_site.c.site_key).where(dim_site.c.site_code.in_(self.site))))
        if self.device and _has_devices(owner):
            terms.append(_on_devices(owner, self.device))
        for name in _COLUMNS:
            if (values := getattr(self, name)) and _applies(name, owner):
                terms.append(column[name].in_(values))
        for name in _KEYS:
            if (keys := _keys(getattr(self, name))) and _applies(name, owner):
                terms.append(column[f"{name}_key"].in_(keys))
        return and_(*terms)


_COLUMNS = ("modality", "patient_class", "priority", "section")
_KEYS = ("procedure", "protocol")


def _applies(name: str, owner: FromClause) -> bool:
    """Whether the fact has the column of a filter."""
    return name not in (*_COLUMNS, *_KEYS) or (f"{name}_key" if name in _KEYS else name) in owner.c


def _has_devices(owner: FromClause) -> bool:
    """Whether the fact is of single devices: a plan is not."""
    return "device_id" in owner.c or "device_key" in owner.c


def _on_devices(owner: FromClause, devices: tuple[str, ...]) -> ColumnElement[bool]:
    if "device_id" in owner.c:
        return owner.c.device_id.in_(devices)
    return owner.c.device_key.in_(select(dim_device.c.device_key).where(dim_device.c.device_id.in_(devices)))


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def site_clause(site_key: ColumnElement[Any], scope: Scope) -> ColumnElement[bool]:
    """The where clause that keeps a table with `site_key` inside the reader's scope."""
    if scope.sites is None:
        return true()
    return site_key.in_(select(dim_site.c.site_key).where(dim_site.c.site_code.in_(sorted(scope.sites))))


def scope_clause(fact: FromClause, scope: Scope) -> ColumnElement[bool]:
    """The where clause that keeps one of `OWN_FACTS` inside the reader's scope: sites and ordering departments.

    Scanner time has no ordering department: who is limited to departments sees none of it.
    """
    inside = site_clause(fact.c.site_key, scope)
    if scope.departments is None:
        return inside
    if "department_key" not in fact.c:
        return false()
    named = select(dim_department.c.department_key).where(
        dim_department.c.department_name.in_(sorted(scope.departments))
    )
    return and_(inside, fact.c.department_key.in_(named))


def exam_clause(scope: Scope) -> ColumnElement[bool]:
    """The where clause that keeps `fact_exam` inside the reader's scope."""
    return scope_clause(fact_exam, scope)


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
