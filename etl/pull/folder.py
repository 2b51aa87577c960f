"""A folder into which another system writes: what changed there since the last pull.

Files are told by their change time (`st_ctime`), which, unlike the modification time, no copying program can set back: a
file that is moved in, copied with its old date or written over counts as new.
"""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from etl.pull.contract import Cursor, Fetched, PullError, Remark
from etl.pull.trial import remarks, try_paths
from settings import FolderSource, Settings

KIND = "folder"

ROUND_FILES = 10_000
"""Files of one round: they bound memory and the size of the spool."""
_SAME_INSTANT_S = 2.0
"""File systems tick in steps of up to two seconds: what is younger is taken, and taken again by the next pull."""


class Found(NamedTuple):
    """A file and what orders it."""

    changed_ns: int
    path: str
    """Relative to the folder."""


class FolderConnection:
    """One folder."""

    def __init__(self, source: FolderSource, settings: Settings) -> None:
        self._source, self._settings = source, settings

    def check(self) -> Iterator[Remark]:
        """Whether the folder can be read, and what the readers make of a sample of its files."""
        try:
            files = sum(1 for _ in self._files())
        except PullError as error:
            yield Remark("fails", str(error))
            return
        yield Remark("works", f"{self._source.path} can be read and holds {files:,} files.")
        if self._settings.limits.quiet_seconds == 0:
            yield Remark(
                "missing",
                "limits.quiet_seconds is 0, so a file that is still being written is read too early and rejected. Set it to "
                "30 unless files are moved in when they are complete.",
            )
        yield from remarks(try_paths([self._source.path], self._settings))

    def fetch(self, cursor: Cursor, spool: Path) -> Fetched:
        """Links to the files that changed since the cursor, oldest first; nothing is copied."""
        settled_ns = int((time.time() - max(_SAME_INSTANT_S, self._settings.limits.quiet_seconds)) * 1e9)
        growing_ns = int((time.time() - self._settings.limits.quiet_seconds) * 1e9)
        after = Found(*cursor["after"]) if "after" in cursor else Found(0, "")
        found = heapq.nsmallest(
            ROUND_FILES + 1, (file for file in self._files() if file > after and file.changed_ns <= growing_ns)
        )
        taken = found[:ROUND_FILES]
        for file in taken:
            link = spool / file.path
            link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            link.symlink_to((self._source.path / file.path).absolute())
        settled = [file for file in taken if file.changed_ns < settled_ns]
        return Fetched(
            files=len(taken),
            records=len(taken),
            cursor={"after": list(settled[-1])} if settled else cursor,
            # A round of the youngest files alone would only take the same again: the next pull takes them.
            is_complete=len(found) <= ROUND_FILES or not settled,
        )

    def _files(self) -> Iterator[Found]:
        """Everything below the folder that is no folder, in no order."""
        root = self._source.path

        def refuse(error: OSError) -> None:
            raise PullError(
                f"{self._source.name}: {error.filename or root} cannot be read ({error.strerror}). Check that it is mounted and "
                "that the loading user may read it."
            )

        if not root.is_dir():
            raise PullError(f"{self._source.name}: {root} is no folder. Correct `path`, or mount the share.")
        for folder, _, names in os.walk(root, onerror=refuse):
            for name in names:
                path = Path(folder, name)
                try:
                    changed_ns = path.lstat().st_ctime_ns
                except FileNotFoundError:
                    continue  # taken away by its owner since the folder was listed
                yield Found(changed_ns, str(path.relative_to(root)))


def connect(source: FolderSource, settings: Settings) -> FolderConnection:
    """The folder of a `[[sources]]` entry."""
    return FolderConnection(source, settings)
