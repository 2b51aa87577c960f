"""Decisions about clocks, exams and merges: from the fields of a form to what is kept, and in words."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date
from typing import Any

from dashboards._shell import numbers
from dashboards._shell.decisions import Deciding, FieldError, Fields, Made, deciding
from dashboards._shell.reading import Reading
from dashboards.quality import queries
from dashboards.quality.figures import offset_words
from state.decisions import Decision, DecisionKind

MOST_OFFSET_S = 13 * 3600.0
"""More than a wrong zone can explain."""
_PSEUDONYM = re.compile(r"[0-9a-f]{32}")


def take_clock(fields: Fields, reading: Reading) -> Sequence[Made]:
    """A clock's correction: `device_id`, `offset_s`, `first_day`, `last_day`."""
    wrong: dict[str, str] = {}
    device = fields.get("device_id", "")
    if device not in reading.names.devices:
        raise FieldError(**{"": "This scanner is not in your scope. Load the page again."})
    offset = _number(fields.get("offset_s", ""))
    if offset is None:
        wrong["offset_s"] = "A number of seconds, as 3600 or -95."
    elif offset == 0 or abs(offset) > MOST_OFFSET_S:
        wrong["offset_s"] = f"Not zero, and at most {MOST_OFFSET_S:.0f} s either way."
    first, last = _day(fields, "first_day", wrong), None
    if fields.get("last_day"):
        last = _day(fields, "last_day", wrong)
    if first and last and last < first:
        wrong["last_day"] = "The last day is before the first."
    if wrong or first is None:
        raise FieldError(**wrong)
    value = {
        "device_id": device,
        "first_day": first.isoformat(),
        "last_day": last.isoformat() if last else None,
        "offset_s": offset,
    }
    return [(f"{device} {first.isoformat()}", value)]


def take_exam(fields: Fields, reading: Reading) -> Sequence[Made]:
    """An exam that enters no measure: `exam_id`."""
    exam_id = fields.get("exam_id", "").upper()
    if not exam_id:
        raise FieldError(exam_id="The short name of the exam, as its page shows it.")
    found = queries.exams_by(reading, exam_id=exam_id) if reading.scope.rows else None
    if found is None or found.is_empty():
        raise FieldError(exam_id="There is no such exam in your scope. Copy its short name from its page.")
    return [(str(found["exam_key"][0]), {})]


def take_merge(fields: Fields, reading: Reading) -> Sequence[Made]:
    """A merge that is taken apart: `merged` and `survivor`, pseudonyms."""
    wrong = {}
    merged, survivor = fields.get("merged", "").lower(), fields.get("survivor", "").lower()
    for name, text in (("merged", merged), ("survivor", survivor)):
        if not _PSEUDONYM.fullmatch(text):
            wrong[name] = "A pseudonym: 32 hexadecimal digits, as the star shows them."
    if not wrong and merged == survivor:
        wrong["survivor"] = "The two are the same."
    if wrong:
        raise FieldError(**wrong)
    if not _is_unlimited(reading):
        raise FieldError(**{"": "Merges concern all sites; your account is limited to some."})
    return [(f"{merged} {survivor}", {"merged": merged, "survivor": survivor})]


def _opens_clock(found: Decision, reading: Reading) -> bool:
    return found.value["device_id"] in reading.names.devices


def _opens_exam(found: Decision, reading: Reading) -> bool:
    return reading.scope.rows and not queries.exams_by(reading, [int(found.subject)]).is_empty()


def _is_unlimited(reading: Reading) -> bool:
    return reading.scope.sites is None and reading.scope.departments is None


def _opens_merge(_found: Decision, reading: Reading) -> bool:
    return _is_unlimited(reading)


def clock_words(found: Decision, reading: Reading) -> str:
    """A clock's correction in a sentence."""
    value = found.value
    name = reading.names.devices.get(value["device_id"], value["device_id"])
    last = f" to {numbers.day(date.fromisoformat(value['last_day']))}" if value.get("last_day") else " on"
    first = numbers.day(date.fromisoformat(value["first_day"]))
    return f"Clock of {name}: {offset_words(value['offset_s'])} are added to its times from {first}{last}"


def _exam_words(found: Decision, reading: Reading) -> str:
    rows = queries.exams_by(reading, [int(found.subject)])
    if rows.is_empty():
        return "An exam outside of your scope enters no measure"
    row: dict[str, Any] = rows.row(0, named=True)
    day = numbers.day(row["local_day"]) if row["local_day"] else "day unknown"
    return f"Exam {row['exam_id']} ({row['procedure_text'] or 'procedure unknown'}, {row['site_name']}, {day}) enters no measure"


def _merge_words(found: Decision, _reading: Reading) -> str:
    return f"The merge of {found.value['merged'][:8]}… into {found.value['survivor'][:8]}… does not hold"


def _number(text: str) -> float | None:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _day(fields: Fields, name: str, wrong: dict[str, str]) -> date | None:
    try:
        return date.fromisoformat(fields.get(name, ""))
    except ValueError:
        wrong[name] = "A day, as 2026-11-25."
        return None


deciding(Deciding(DecisionKind.CLOCK_OFFSET, take_clock, _opens_clock, clock_words))
deciding(Deciding(DecisionKind.EXCLUDE_EXAM, take_exam, _opens_exam, _exam_words))
deciding(Deciding(DecisionKind.UNDO_MERGE, take_merge, _opens_merge, _merge_words))
