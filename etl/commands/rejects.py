"""`rejects`: what could not be used, and reading it again."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from etl.commands.command import WRONG_USE, Command, CommandError, Say, open_home, store_errors
from etl.commands.load import words
from etl.lake.store import Lake
from etl.load import Loader
from etl.star.loads import fact_reject
from settings import Settings
from state.errors import StateError
from state.home import DataHome
from state.quarantine import Quarantine


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="list resolved ones too")
    parser.add_argument("--skipped", action="store_true", help="list what was not applicable instead")
    parser.add_argument(
        "--retry",
        nargs="*",
        metavar="DIGEST",
        help="read these again (all open ones without a digest), from their file or the quarantine",
    )
    parser.add_argument(
        "--export", metavar="DIGEST", help="write one rejected input to --out, to be corrected and loaded"
    )
    parser.add_argument("--out", type=Path, help="file for --export")


def _run(options: argparse.Namespace, settings: Settings, say: Say) -> tuple[int, Any, str]:
    with store_errors(settings):
        home = open_home(settings)
        if options.export:
            return _export(options, home)
        if options.retry is not None:
            return _retry(options.retry, home, settings, say)
        lake = Lake(home.lake)
        if options.skipped:
            found = (
                lake.read("reject")
                .filter(pl.col("verdict") == "not_applicable")
                .select("source", "file", "position", "reason", "message", "digest")
                .collect()
            )
        else:
            found = fact_reject(lake)
            found = found if options.all else found.filter(pl.col("status") == "open")
    rows = found.sort("file", "position").to_dicts()
    text = "\n".join(_line(row) for row in rows) or "nothing"
    return 0, rows, text


def _line(row: dict[str, Any]) -> str:
    where = f"{row['file']}{' · ' + row['position'] if row['position'] else ''}"
    what = f"{row['reason']}: {row['message']}"
    return f"{where}\n    {what}" + (
        f"\n    {row['remedy']}\n    {row['digest'][:16]}, {row['status']}" if "remedy" in row else ""
    )


def _wanted(lake: Lake, prefixes: list[str]) -> pl.DataFrame:
    found = fact_reject(lake).filter(pl.col("status") == "open")
    if prefixes:
        found = found.filter(pl.any_horizontal([pl.col("digest").str.starts_with(prefix) for prefix in prefixes]))
        if found.is_empty():
            raise CommandError(
                f"no open reject begins with {', '.join(prefixes)}; `python -m etl rejects` lists them", WRONG_USE
            )
    return found


def _retry(prefixes: list[str], home: DataHome, settings: Settings, say: Say) -> tuple[int, Any, str]:
    """Offers rejected inputs again: the file where it still stands, else the sealed copy."""
    quarantine = Quarantine(home.quarantine, home.derived("quarantine"))
    found = _wanted(Lake(home.lake), prefixes)
    with tempfile.TemporaryDirectory(prefix="isocenter-") as folder:
        paths = []
        for file, digest in found.select("file", "digest").unique("digest", maintain_order=True).iter_rows():
            if Path(file).is_file():
                paths.append(Path(file))
                continue
            try:
                content = quarantine.read(digest)
            except StateError as error:
                say(f"{file}: {error}")
                continue
            copy = Path(folder) / f"{digest[:16]}{Path(file.rsplit('!', 1)[-1]).suffix}"
            copy.write_bytes(content)
            paths.append(copy)
        if not paths:
            return 0, {"offered": 0}, "nothing to read again"
        outcome = Loader(home, settings, say).load(sorted(set(paths)))
    return (1 if outcome.total("rejected") else 0), outcome.as_json(), words(outcome)


def _export(options: argparse.Namespace, home: DataHome) -> tuple[int, Any, str]:
    if options.out is None:
        raise CommandError("--export needs --out FILE", WRONG_USE)
    found = _wanted(Lake(home.lake), [options.export])
    digest = str(found["digest"][0])
    options.out.write_bytes(Quarantine(home.quarantine, home.derived("quarantine")).read(digest))
    return (
        0,
        {"digest": digest, "out": str(options.out)},
        f"{options.out}: correct it and load it with `python -m etl load`",
    )


COMMAND = Command("rejects", "list, export or retry what could not be used", _arguments, _run, 2)
