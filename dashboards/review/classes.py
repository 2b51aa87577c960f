"""Decisions on exposures that may be no patient's."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from dashboards._shell import numbers, urls
from dashboards._shell.decisions import Deciding, FieldError, Fields, Made, deciding
from dashboards._shell.forms import Field, Form, Row, reason
from dashboards._shell.reading import Reading
from dashboards.review.cases import visible_exams
from state.decisions import Decision, DecisionKind
from state.roles import Permission

CLASSES = {"phantom": "A phantom or test", "service": "Service", "patient": "A patient"}


def suspected_form(found: pl.DataFrame) -> Form:
    """The exams in doubt, each with what it is."""
    rows = tuple(
        Row(
            str(one["exam_key"]),
            f"{one['exam_id']} · {one['modality']}",
            (
                f"{numbers.day(one['local_day'])} · {one['site_name']} · {one['device_name'] or ''}",
                one["protocol_name"] or "",
                one["class_reason"] or "",
            ),
            Field(f"choice-{one['exam_key']}", f"{one['exam_id']} is", "select", "phantom", list(CLASSES.items())),
            urls.exam(one["exam_key"]),
        )
        for one in found.iter_rows(named=True)
    )
    return Form(
        f"{urls.DECIDE}{DecisionKind.EXPOSURE_CLASS}",
        "Keep what is ticked",
        (reason("Reason for all that are ticked"),),
        head=("Exam", "Day and place", "Protocol", "Why it is in doubt", "It is"),
        rows=rows,
    )


def take(fields: Fields, reading: Reading) -> Sequence[Made]:
    """What the ticked exams are."""
    chosen = [key for key in fields.get("chosen", "").split(",") if key.lstrip("-").isdigit()]
    if not chosen:
        raise FieldError(chosen="Tick at least one exam.")
    if visible_exams(reading, (int(key) for key in chosen)) != {int(key) for key in chosen}:
        raise FieldError(**{"": "An exam is not in your scope any more. Load the page again."})
    wrong = {f"choice-{key}": "Choose what it is." for key in chosen if fields.get(f"choice-{key}") not in CLASSES}
    if wrong:
        raise FieldError(**wrong)
    return [(key, {"exposure_class": fields[f"choice-{key}"]}) for key in chosen]


def opens(found: Decision, reading: Reading) -> bool:
    """Whether the exam is in the scope."""
    return bool(visible_exams(reading, [int(found.subject)]))


def words(found: Decision, _reading: Reading) -> str:
    """What an exam is."""
    return f"Exam {found.subject}: {CLASSES[found.value['exposure_class']].lower()}"


deciding(Deciding(DecisionKind.EXPOSURE_CLASS, take, opens, words, Permission.MANAGE_DOSE))
