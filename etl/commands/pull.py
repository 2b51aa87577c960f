"""`pull`: what is new in the systems that are asked, fetched and loaded."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from typing import Any

from etl.commands.command import SOURCE_UNREACHABLE, WRONG_USE, Command, CommandError, Say, open_home, store_errors
from etl.pull.pull import Pulled, Puller
from etl.sources.extract.reader import check_extracts
from settings import Settings, Source

_VERDICTS = ("accepted", "duplicate", "rejected", "not_applicable")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="source, as [[sources]] names it (default: all of them)"
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="ask for everything, not only for what is new; what landed before is known and lands once",
    )


def _run(options: argparse.Namespace, settings: Settings, say: Say) -> tuple[int, Any, str]:
    if problems := check_extracts(settings):
        raise CommandError("\n".join(problems), WRONG_USE)
    began = time.monotonic()
    wanted = _wanted(options.names, settings)
    with store_errors(settings):
        puller = Puller(open_home(settings, writes=True), settings, say)
        pulled = [puller.pull(source, again=options.again) for source in wanted]
    answer = _answer(pulled, time.monotonic() - began)
    code = 1 if answer["rejected"] else 0
    return (SOURCE_UNREACHABLE if any(each.error for each in pulled) else code), answer, _words(pulled, answer)


def _wanted(names: list[str], settings: Settings) -> list[Source]:
    by_name: dict[str, Source] = {source.name: source for source in settings.sources}
    known = ", ".join(by_name) or "none"
    if not by_name:
        raise CommandError("the configuration has no [[sources]]: nothing to pull. See docs/sources.md.", WRONG_USE)
    for name in names:
        if name not in by_name:
            raise CommandError(f"{name!r} is no source of the configuration; there are: {known}.", WRONG_USE)
    return [by_name[name] for name in dict.fromkeys(names)] or list(by_name.values())


def _answer(pulled: list[Pulled], seconds: float) -> dict[str, Any]:
    """The keys of `load`, and `sources` with those of each."""
    totals = {verdict: sum(each.total(verdict) for each in pulled) for verdict in _VERDICTS}
    by_kind: dict[str, Counter[str]] = {}
    for each in pulled:
        for kind, counts in each.by_source().items():
            by_kind.setdefault(kind, Counter()).update(counts)
    outcomes = [outcome for each in pulled for outcome in each.outcomes]
    return {
        "offered": sum(totals.values()),
        **totals,
        "by_source": {
            kind: {"offered": counts.total(), **{verdict: counts[verdict] for verdict in _VERDICTS}}
            for kind, counts in sorted(by_kind.items())
        },
        "sources": {each.source.name: each.as_json() for each in pulled},
        "run_id": outcomes[-1].run_id if outcomes else None,
        "seconds": round(seconds, 3),
        "publication": next((each.publication for each in reversed(outcomes) if each.publication), None),
    }


def _words(pulled: list[Pulled], answer: dict[str, Any]) -> str:
    columns = ("files", "offered", "accepted", "duplicate", "rejected", "not_applicable")
    lines = [f"{'source':<20}" + "".join(f"{column.replace('_', ' '):>16}" for column in columns)]
    for name, counts in answer["sources"].items():
        lines.append(f"{name:<20}" + "".join(f"{counts[column]:>16,}" for column in columns))
    lines.append(f"{answer['seconds']:.1f} s")
    lines += [each.error for each in pulled if each.error]
    if answer["rejected"]:
        lines.append("`python -m etl rejects` lists what was rejected and what to do.")
    return "\n".join(lines)


COMMAND = Command(
    "pull",
    "fetch and load what is new from the configured sources",
    _arguments,
    _run,
    8,
    "Asks each source of the configuration for what is new since the last pull, loads it, and remembers where to go on. A "
    "pull that was stopped is completed by the next one.",
)
