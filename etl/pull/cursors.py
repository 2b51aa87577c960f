"""Where each source goes on, one small file a source, and the lock that lets one pull of it run at a time."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from etl.faults import fault
from etl.lake.store import LockedError
from etl.pull.contract import Cursor, PullError
from state.home import sync_directory, write_private


class CursorFile:
    """`<data_directory>/sources/<name>.json`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._file = folder / f"{name}.json"

    def read(self) -> Cursor:
        """The cursor; empty before the first pull.

        Raises:
            PullError: the file is damaged.
        """
        if not self._file.exists():
            return {}
        try:
            cursor = json.loads(self._file.read_text(encoding="utf-8"))
        except (ValueError, UnicodeDecodeError):
            cursor = None
        if not isinstance(cursor, dict):
            raise PullError(
                f"{self._name}: the cursor {self._file} is damaged. Remove it to pull everything again (what landed before "
                "is known and lands once), or restore it from your backup."
            )
        return cursor

    def write(self, cursor: Cursor) -> None:
        """Replaces the cursor; afterwards it is on the disk, and at no time half written."""
        draft = self._file.with_suffix(".new")
        write_private(draft, json.dumps(cursor).encode())
        fault("cursor")
        draft.replace(self._file)
        sync_directory(self._folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the source for one pull; a dead process's lock is free by itself.

        Raises:
            LockedError: another pull of the source is running; the message says which.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / f"{self._name}.lock").open("a+") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.seek(0)
                holder = stream.read().strip() or "process unknown"
                raise LockedError(
                    f"another pull of {self._name} is running: {holder}. Wait for it, or stop it."
                ) from None
            stream.seek(0)
            stream.truncate()
            stream.write(f"process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
            stream.flush()
            yield
