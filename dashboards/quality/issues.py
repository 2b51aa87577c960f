"""What can be wrong with an exam, each with a name for the address, words, and the exams that it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, not_

from warehouse.measures.quality import DIFFERENCES, FIELDS, JOINS, TIMES
from warehouse.schema import fact_exam

_exam = fact_exam.c
FLAG = "doubt:"
RULE = "joined:"


@dataclass(frozen=True)
class Issue:
    """One kind of exam to look at."""

    words: str
    condition: ColumnElement[bool]


_NAMED: Mapping[str, Issue] = {
    **{f"no_{part.name}": Issue(f"not: {part.title.lower()}", and_(part.among, not_(part.there))) for part in JOINS},
    **{f"no_{part.name}": Issue(f"{part.title.removeprefix('Time known: ')}: no time", and_(part.among, not_(part.there))) for part in TIMES},
    **{f"no_{part.name}": Issue(f"{part.title.lower()} missing", and_(part.among, not_(part.there))) for part in FIELDS},
    **{name: Issue(words, condition) for name, (_, condition, words) in DIFFERENCES.items()},
    "no_worklist": Issue("series name no worklist entry", and_(_exam.has_images, _exam.worklist_used.is_(False))),
}  # fmt: skip


def missing(name: str) -> str:
    """The issue of lacking a part."""
    return f"no_{name}"


def doubt(flag: str) -> str:
    """The issue of a flag."""
    return f"{FLAG}{flag}"


def joined_by(rule: str) -> str:
    """The issue of a match rule."""
    return f"{RULE}{rule}"


def issue(name: str) -> Issue | None:
    """The issue of a name in an address; None where there is none of it."""
    if name.startswith(FLAG) and (flag := name.removeprefix(FLAG)):
        return Issue(flag, _exam.flags.contains(flag, autoescape=True))
    if name.startswith(RULE) and (rule := name.removeprefix(RULE)):
        return Issue(f"joined by {rule}", and_(_exam.is_performed, _exam.match_rule == rule))
    return _NAMED.get(name)
