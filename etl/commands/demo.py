"""`demo`: a simulated hospital network, loaded and ready to be looked at."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from etl.commands.command import WRONG_USE, Command, CommandError, Say, open_home, store_errors
from etl.demo.decided import decide
from etl.demo.history import History, simulate
from etl.demo.landing import identities, landing_rows
from etl.demo.write import cut, write_demo
from etl.lake.schema import polars_schema
from etl.load import Loader
from etl.reading import Line, Reading
from etl.sources.contract import Verdict
from settings import Settings, load_settings
from state.home import DataHome

DAYS = 400
"""A year with the weeks before it, so that every figure has a year to be compared with."""
FILE_DAYS = 2
WRITTEN = {
    "images": "images",
    "reports": "dose reports",
    "steps": "performed steps",
    "worklist": "worklist entries",
    "messages": "message files",
    "resources": "FHIR files",
    "extracts": "extracts",
    "calendars": "calendars",
}
"""What `write_demo` counts, in words."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for configuration, files and truth"
    )
    parser.add_argument(
        "--seed", type=int, default=7, help="another seed, another hospital and other planted stories (default 7)"
    )
    parser.add_argument(
        "--scale", type=float, default=0.08, help="1 is a network with 630,000 exams a year (default 0.08)"
    )
    parser.add_argument(
        "--until",
        type=date.fromisoformat,
        default=datetime.now(UTC).date(),
        metavar="YYYY-MM-DD",
        help="the day on which it ends, at midnight UTC (default today)",
    )
    parser.add_argument("--days", type=int, default=DAYS, help=f"length of the history (default {DAYS})")
    parser.add_argument(
        "--file-days", type=int, default=FILE_DAYS, help=f"last days that come as files (default {FILE_DAYS})"
    )
    parser.add_argument("--files-only", action="store_true", help="write the folder and load nothing")


def _run(options: argparse.Namespace, settings: Settings, say: Say) -> tuple[int, Any, str]:
    del settings  # the demo brings its own configuration; only the data directory is the caller's
    if not 0 < options.scale <= 2 or options.days < 30 or not 1 <= options.file_days <= options.days:
        raise CommandError(
            "--scale must lie in (0, 2], --days be at least 30 and --file-days between 1 and --days", WRONG_USE
        )
    began = time.monotonic()
    say("simulating the hospital network")
    history = simulate(options.seed, options.scale, options.until, options.days)
    say("writing files and truth")
    counts: dict[str, Any] = dict(write_demo(options.out, history, options.file_days))
    if not options.files_only:
        own = _own_settings(options.out)
        with store_errors(own):
            home = open_home(own, writes=True)
            decide(home, history)
            loader = Loader(home, own, say)
            say("loading the history")
            loader.load_frames(_readings(history, home, options.file_days))
            say("loading the files of the last days")
            counts |= loader.load([options.out / "files"]).as_json()
        counts["data_directory"] = str(own.data_directory)
    counts["seconds"] = round(time.monotonic() - began, 1)
    written = ", ".join(f"{counts[name]:,} {words}" for name, words in WRITTEN.items())
    text = f"{options.out}: {written}; {counts['seconds']} s"
    return 0, counts, text


def _own_settings(out: Path) -> Settings:
    """The demo's configuration, with its data where `ISOCENTER_DATA` says, else in the demo's folder."""
    own = load_settings(out / "isocenter.toml")
    return own if os.environ.get("ISOCENTER_DATA") else own.model_copy(update={"data_directory": out / "store"})


def _readings(history: History, home: DataHome, file_days: int) -> Iterator[Reading]:
    """The history as the sources would have read it, a month at a time."""
    received_at = datetime.now(UTC)
    pseudonymiser = home.pseudonymiser
    known = identities(history, pseudonymiser)
    for chunk in landing_rows(history, pseudonymiser, cut(history, file_days)):
        frames = {table: _complete(table, frame, received_at) for table, frame in chunk.items() if not frame.is_empty()}
        inputs = pl.concat(
            [frame.select("source", "input_digest", "file", "position") for frame in frames.values()]
        ).unique("input_digest", keep="first", maintain_order=True)
        lines = [
            Line("hl7" if source == "siu" else source, Verdict.ACCEPTED.value, digest, file, position or "")
            for source, digest, file, position in inputs.iter_rows()
        ]
        yield Reading(lines=lines, frames=frames, identities=known, files=0)
        known = []


def _complete(table: str, frame: pl.DataFrame, received_at: datetime) -> pl.DataFrame:
    schema = polars_schema(table)
    stamped = frame.with_columns(pl.col("digest").str.slice(0, 32), received_at=pl.lit(received_at))
    return stamped.select(
        [
            (pl.col(name) if name in stamped.columns else pl.lit(None)).cast(kind).alias(name)
            for name, kind in schema.items()
        ]
    )


COMMAND = Command(
    "demo",
    "make and load a simulated hospital network",
    _arguments,
    _run,
    8,
    "Writes DIR/isocenter.toml, DIR/files (images, dose reports, performed steps, worklists, HL7, FHIR, extracts and calendars of the last days) and the truth (DIR/truth.json, DIR/truth_*.parquet), and loads history and files. "
    "Invented data throughout; the same seed gives the same hospital.",
)
