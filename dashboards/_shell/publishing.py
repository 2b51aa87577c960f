"""Brings decisions into the star: starts `python -m etl publish` as a process of its own, never two at a time.

The lock is a file's, held by the server's thread and inherited by the process: it is free when both are gone, whatever
ended them, and every serving process sees it.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from dashboards._shell import numbers
from dashboards._shell.reading import Reading
from state.decisions import Decisions
from warehouse.publication import Publications, write_durably

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "etl", "publish")
MARK = "standing"
"""Where a publication names the decisions that are in it."""

State = Literal["settled", "running", "waiting", "failed"]


@dataclass(frozen=True)
class Effect:
    """Whether decisions are in the star that is served."""

    state: State
    words: str


class Publishing:
    """Runs of the publishing command over one data directory."""

    def __init__(self, data_directory: Path, command: Sequence[str] = COMMAND) -> None:
        self._data, self._command = data_directory, tuple(command)
        self._lock, self._log = data_directory / "publish.lock", data_directory / "publish.log"
        self._failure = data_directory / "publish.failed"

    def start(self, decisions: Decisions) -> threading.Thread:
        """Begins to bring what was decided into the star, after a run that is under way; returns at once."""
        thread = threading.Thread(target=self._run, args=(decisions,), name="publish", daemon=True)
        thread.start()
        return thread

    def is_running(self) -> bool:
        """Whether a run is under way, in this process or another."""
        with self._lock.open("a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    def failure(self) -> str | None:
        """What the last run said where it failed."""
        try:
            return self._failure.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def missing(self, decisions: Decisions) -> set[str]:
        """Numbers of decisions that stand and are not in the star, or are in it and were taken back."""
        current = Publications(self._data / "star").current()
        published = set(current.decided.get(MARK, ())) if current else set()
        return published ^ {str(one.id) for one in decisions.standing()}

    def _run(self, decisions: Decisions) -> None:
        with self._lock.open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if not self.missing(decisions):  # the run before took them along
                return
            self._failure.unlink(missing_ok=True)
            with self._log.open("w", encoding="utf-8") as log:  # a file, for it outlives the server
                done = subprocess.run(  # noqa: S603 -- this program's own command, nothing that anybody typed
                    self._command,
                    cwd=ROOT,
                    env={**os.environ, "ISOCENTER_DATA": str(self._data.resolve())},
                    pass_fds=(stream.fileno(),),
                    start_new_session=True,  # stopping the server does not stop it
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
            if done.returncode != 0:
                lines = self._log.read_text(encoding="utf-8").strip().splitlines()
                write_durably(self._failure, lines[-1] if lines else f"it ended with code {done.returncode}")


def effect(publishing: Publishing, decisions: Decisions, reading: Reading) -> Effect:
    """Whether what people decided is in the star, in words."""
    missing = publishing.missing(decisions)
    changes = "1 decision" if len(missing) == 1 else f"{len(missing)} decisions"
    if publishing.is_running():
        return Effect("running", "Taking effect: the star is being brought up to date.")
    if not missing:
        made = numbers.moment(datetime.fromisoformat(reading.star.publication.made_at), reading.zone)
        return Effect("settled", f"No decision is waiting: the star was published {made}.")
    if (why := publishing.failure()) is not None:
        return Effect("failed", f"Not in the star yet: {changes}. The last run failed: {why}")
    return Effect("waiting", f"Not in the star yet: {changes}. They come in with the next load, or now.")
