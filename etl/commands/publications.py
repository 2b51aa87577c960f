"""`publications`: the versions that are kept, and going back to one."""

from __future__ import annotations

import argparse
from typing import Any

from etl.commands.command import Command, Say, open_home, store_errors
from settings import Settings
from warehouse.publication import Publications


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--use", metavar="ID", help="serve this publication from now on")


def _run(options: argparse.Namespace, settings: Settings, say: Say) -> tuple[int, Any, str]:
    del say
    with store_errors(settings):
        publications = Publications(open_home(settings).star)
        if options.use:
            publications.use(options.use)
        current = publications.current_id()
        kept = [publications.read(publication_id) for publication_id in publications.kept()]
    answer = [
        {
            "id": p.id,
            "made_at": p.made_at,
            "data_to": p.data_to,
            "exams": p.tables["fact_exam"].rows,
            "served": p.id == current,
        }
        for p in kept
    ]
    text = "\n".join(
        f"{'→' if row['served'] else ' '} {row['id']}  {row['exams']:>12,} exams, data to {row['data_to'] or '–'}"
        for row in answer
    )
    return 0, answer, text or "nothing is published yet"


COMMAND = Command("publications", "list the versions that are kept, or go back to one", _arguments, _run, 7)
