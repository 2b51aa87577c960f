"""`trace`: one exam's life, and the message, field and file that gave each time."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, select

from etl.commands.command import WRONG_USE, Command, CommandError, Say, open_home, store_errors
from settings import Settings
from state.home import DataHome
from warehouse.engines import StarReader
from warehouse.schema import dim_procedure, dim_site, fact_exam
from warehouse.scope import EVERYTHING
from warehouse.trace import Step, exam_trace


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "exam", metavar="EXAM", help="exam id as the pages show it, accession number or Study Instance UID"
    )


def _run(options: argparse.Namespace, settings: Settings, say: Say) -> tuple[int, Any, str]:  # noqa: ARG001
    with store_errors(settings):
        home = open_home(settings)
        star = StarReader(home.star).current()
        found = star.frame(
            select(
                fact_exam,
                dim_site.c.site_code,
                dim_site.c.site_name,
                dim_site.c.time_zone,
                dim_procedure.c.procedure_text,
            )
            .select_from(
                fact_exam.join(dim_site, fact_exam.c.site_key == dim_site.c.site_key).join(
                    dim_procedure, fact_exam.c.procedure_key == dim_procedure.c.procedure_key
                )
            )
            .where(_meant(options.exam.strip(), home, settings))
            .order_by(fact_exam.c.local_day, fact_exam.c.exam_key)
        )
        if found.is_empty():
            raise CommandError(
                "no exam has this id, accession number or Study Instance UID. `python -m etl load` what speaks of it first.",
                WRONG_USE,
            )
        traces = [(exam, exam_trace(star, exam["exam_key"], EVERYTHING)) for exam in found.iter_rows(named=True)]
    return (
        0,
        [_answer(exam, steps) for exam, steps in traces],
        "\n\n".join(words(exam, steps) for exam, steps in traces),
    )


def _meant(text: str, home: DataHome, settings: Settings) -> ColumnElement[bool]:
    """Exams of an id, a study, or an accession number at any site: the number itself stands nowhere in the star."""
    numbers = {settings.matching.number(text, site.code) for site in settings.sites}
    pseudonyms = [home.pseudonymiser.pseudonym("order", number) for number in sorted(numbers)]
    return (
        (fact_exam.c.exam_id == text.upper())
        | (fact_exam.c.study_uid == text)
        | fact_exam.c.accession_pseudonym.in_([one for one in pseudonyms if one])
    )


def _answer(exam: dict[str, Any], steps: list[Step]) -> dict[str, Any]:
    shown = ("exam_id", "site_code", "modality", "state", "match_rule", "match_confidence", "clock_offset_s", "flags")
    return {
        **{name: exam[name] for name in shown},
        "steps": [{"event": step.event, "statements": [asdict(one) for one in step.statements]} for step in steps],
    }


def words(exam: dict[str, Any], steps: list[Step]) -> str:
    """The story on the clock of the exam's site; `*` marks the statement that counts, `-` one passed over."""
    zone = ZoneInfo(exam["time_zone"])
    head = f"exam {exam['exam_id']} · {exam['modality']} · {exam['procedure_text'] or 'procedure unknown'} · {exam['site_name']}"
    lines = [
        head,
        f"state {exam['state']}, joined by {exam['match_rule']} ({exam['match_confidence']}); times are {exam['time_zone']}",
    ]
    if exam["clock_offset_s"] is not None:
        lines.append(f"the scanner's clock is corrected by {exam['clock_offset_s']:+.0f} s")
    if exam["flags"]:
        lines.append(f"doubts: {exam['flags']}")
    for step in steps:
        lines.append(f"{step.name}")
        for one in step.statements:
            place = " ".join(part for part in (one.file, one.position, one.field) if part)
            doubt = f"  [{one.passed_over}]" if one.passed_over else ""
            clock = f"  [stated as {_clock(one.stated_event_at, zone)}]" if one.stated_event_at else ""
            rule = f"  by {one.match_rule}" if one.match_rule not in {None, "accession"} else ""
            lines.append(
                f"  {'*' if one.is_chosen else '-'} {_clock(one.at, zone)}  {one.source:<8}{place}{rule}{clock}{doubt}"
            )
    return "\n".join(lines)


def _clock(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}"


COMMAND = Command(
    "trace",
    "show one exam's life and where each time comes from",
    _arguments,
    _run,
    12,
    "Each step with every statement about it: the one that counts, and those passed over, with file, place, field and the rule that joined it.",
)
