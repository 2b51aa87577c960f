"""The spool: where fetched files wait to be loaded, so that a pull killed anywhere goes on without loss.

`new` is being filled, and is thrown away where a pull was killed: its cursor had not moved, so all of it is fetched
again. `ready` is complete and on the disk, with the cursor that holds once it has landed. One becomes the other by a
rename, and back again when it may go.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from etl.pull.contract import Cursor, Fetched
from state.home import sync_directory, write_private


class Spool:
    """The spool folder of one source."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._new, self._ready = folder, folder / "new", folder / "ready"

    @property
    def files(self) -> Path:
        """Where complete files lie."""
        return self._ready / "files"

    def begin(self) -> Path:
        """An empty folder to fetch into; what a killed fetch left is gone."""
        shutil.rmtree(self._new, ignore_errors=True)
        files = self._new / "files"
        for folder in (self._folder.parent, self._folder, self._new, files):
            folder.mkdir(mode=0o700, exist_ok=True)
        return files

    def complete(self, fetched: Fetched) -> None:
        """Makes what was fetched ready to load, durable when this returns."""
        for folder, _, names in os.walk(self._new):
            for path in (Path(folder, name) for name in names):
                if not path.is_symlink():
                    _sync_file(path)
            sync_directory(Path(folder))
        state = {"cursor": fetched.cursor, "is_complete": fetched.is_complete}
        write_private(self._new / "cursor.json", json.dumps(state).encode())
        sync_directory(self._new)
        self._new.rename(self._ready)
        sync_directory(self._ready.parent)

    def waiting(self) -> Fetched | None:
        """What waits to be loaded; None where nothing does."""
        file = self._ready / "cursor.json"
        if not file.exists():
            return None
        state = json.loads(file.read_text(encoding="utf-8"))
        cursor: Cursor = state["cursor"]
        files = sum(len(names) for _, _, names in os.walk(self.files))
        return Fetched(files=files, cursor=cursor, is_complete=state["is_complete"])

    def clear(self) -> None:
        """Removes what was loaded."""
        shutil.rmtree(self._new, ignore_errors=True)
        if self._ready.exists():
            self._ready.rename(self._new)
            shutil.rmtree(self._new)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
