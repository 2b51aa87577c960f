"""`check-source`: what a source, or the files below a path, would load, and what to ask the vendor for; nothing is stored."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from etl.commands.command import SOURCE_UNREACHABLE, WRONG_USE, Command, CommandError, Say, store_errors
from etl.pull.contract import PullError, Remark
from etl.pull.registry import connection
from etl.pull.trial import Trial, remarks, try_paths
from etl.sources.contract import Verdict
from etl.sources.extract.reader import check_extracts
from settings import Settings, Source

_TITLES = {"works": "works", "fails": "fails", "gives": "gives", "missing": "missing", "ask": "ask for"}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="NAME|PATH", help="source, as [[sources]] names it, or a file or folder")


def _run(options: argparse.Namespace, settings: Settings, say: Say) -> tuple[int, Any, str]:
    if problems := check_extracts(settings):
        raise CommandError("\n".join(problems), WRONG_USE)
    source = next((each for each in settings.sources if each.name == options.source), None)
    if source is not None:
        return _try_source(source, settings, say)
    path = Path(options.source)
    if not path.exists():
        known = ", ".join(each.name for each in settings.sources) or "none"
        raise CommandError(
            f"{options.source}: no such file or folder, and no source of the configuration; sources are: {known}.",
            WRONG_USE,
        )
    with store_errors(settings):
        return _try_path(path, settings)


def _try_source(source: Source, settings: Settings, say: Say) -> tuple[int, Any, str]:
    say(f"asking {source.name}")
    try:
        found = list(connection(source, settings).check())
    except PullError as error:
        found = [Remark("fails", str(error))]
    has_failed = any(remark.kind == "fails" for remark in found)
    answer = {"source": source.name, "kind": source.kind, "remarks": _as_json(found)}
    return (SOURCE_UNREACHABLE if has_failed else 0), answer, "\n".join(_words(found))


def _try_path(path: Path, settings: Settings) -> tuple[int, Any, str]:
    trial: Trial = try_paths([path], settings)
    found = list(remarks(trial))
    answer = {"path": str(path), **trial.as_json(), "remarks": _as_json(found)}
    return (1 if trial.total(Verdict.REJECTED) else 0), answer, "\n".join(_words(found)) or "there are no files"


def _as_json(found: Iterable[Remark]) -> list[dict[str, str]]:
    return [{"kind": remark.kind, "text": remark.text} for remark in found]


def _words(found: list[Remark]) -> Iterator[str]:
    for remark in found:
        yield f"{_TITLES[remark.kind]:<9}{remark.text}"


COMMAND = Command(
    "check-source",
    "try a source, or files, without loading",
    _arguments,
    _run,
    9,
    "Asks a source of the configuration, or reads up to 200 inputs below a path, and tells what would be loaded, what would "
    "be rejected and why, which measures would work, which lack something, and what to ask the vendor for.",
)
