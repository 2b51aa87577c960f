"""One pull of one source: fetch into the spool, load, advance the cursor, clear the spool; again while more is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from etl.faults import fault
from etl.load import Loader, Outcome
from etl.pull.contract import Fetched, PullError
from etl.pull.cursors import CursorFile
from etl.pull.registry import connection
from etl.pull.spool import Spool
from etl.sources.contract import shown
from settings import Settings, Source
from state.home import DataHome

Say = Callable[[str], None]


@dataclass
class Pulled:
    """What the pull of one source did."""

    source: Source
    files: int = 0
    records: int = 0
    """Records fetched now; not those that a killed pull had left in the spool."""
    outcomes: list[Outcome] = field(default_factory=list)
    error: str | None = None
    """Why the source could not be asked to the end, in plain words."""

    def total(self, verdict: str) -> int:
        """Inputs with a verdict, over all its loads."""
        return sum(outcome.total(verdict) for outcome in self.outcomes)

    def by_source(self) -> dict[str, Counter[str]]:
        """Kind of input to verdict to number."""
        counts: dict[str, Counter[str]] = {}
        for outcome in self.outcomes:
            for kind, verdicts in outcome.by_source.items():
                counts.setdefault(kind, Counter()).update(verdicts)
        return counts

    def as_json(self) -> dict[str, Any]:
        """Stable keys."""
        verdicts = ("accepted", "duplicate", "rejected", "not_applicable")
        totals = {verdict: self.total(verdict) for verdict in verdicts}
        return {
            "kind": self.source.kind,
            "files": self.files,
            "records": self.records,
            "offered": sum(totals.values()),
            **totals,
            "error": self.error,
        }


class Puller:
    """Pulls into one data directory."""

    def __init__(self, home: DataHome, settings: Settings, say: Say = lambda _: None) -> None:
        self._home, self._settings, self._say = home, settings, say

    def pull(self, source: Source, *, again: bool = False) -> Pulled:
        """Everything new of one source, loaded and published. What the source does wrong ends in `error`.

        Args:
            source: what to ask.
            again: forget where the last pull ended and ask for everything.

        Raises:
            LockedError: another pull of the source, or another load, is running.
        """
        pulled = Pulled(source)
        cursor_file = CursorFile(self._home.path / "sources", source.name)
        with cursor_file.locked():
            try:
                self._pull(source, cursor_file, pulled, again=again)
            except PullError as error:
                pulled.error = str(error)
        return pulled

    def _pull(self, source: Source, cursor_file: CursorFile, pulled: Pulled, *, again: bool) -> None:
        spool = Spool(self._home.path / "spool" / source.name)
        if (left := spool.waiting()) is not None:
            self._say(f"{source.name}: loading {left.files} files that a stopped pull had fetched")
            self._land(source, spool, left, cursor_file, pulled)
        asked = connection(source, self._settings)
        if again:
            cursor_file.write({})
        is_complete = False
        while not is_complete:
            cursor = cursor_file.read()
            files = spool.begin()
            try:
                fetched = asked.fetch(cursor, files)
            except PullError:
                self._land_part(source, spool, Fetched(cursor=cursor), cursor_file, pulled)
                raise
            fault("fetch")
            self._say(f"{source.name}: {fetched.records:,} records in {fetched.files:,} files")
            pulled.records += fetched.records
            spool.complete(fetched)
            fault("spool")
            self._land(source, spool, fetched, cursor_file, pulled)
            is_complete = fetched.is_complete
            if not is_complete and fetched.cursor == cursor:
                raise PullError(
                    f"{source.name}: more is said to be there, but the source does not move on. What came is loaded; report "
                    "this as a defect."
                )

    def _land_part(
        self, source: Source, spool: Spool, fetched: Fetched, cursor_file: CursorFile, pulled: Pulled
    ) -> None:
        """Loads what came before the source failed; the cursor stays, so the next pull asks for all of it again."""
        spool.complete(fetched)
        if (part := spool.waiting()) is not None:
            self._land(source, spool, part, cursor_file, pulled)

    def _land(self, source: Source, spool: Spool, fetched: Fetched, cursor_file: CursorFile, pulled: Pulled) -> None:
        if any(spool.files.iterdir()):
            named = (f"{shown(spool.files, 1000)}/", f"{source.name}:")
            outcome = Loader(self._home, self._settings, self._say, renamed=named).load([spool.files])
            pulled.outcomes.append(outcome)
            pulled.files += fetched.files
        cursor_file.write(fetched.cursor)
        fault("sweep")
        spool.clear()
