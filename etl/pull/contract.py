"""What a kind of pulled source is: one module of this package with `KIND` and `connect`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from settings import Settings

Cursor = dict[str, Any]
"""Where the next pull goes on, as JSON; empty at first. It holds no identifier in clear."""


class PullError(Exception):
    """The source cannot be asked; the message names it, says what happened and what to do."""


@dataclass(frozen=True)
class Remark:
    """One line of what `check-source` says."""

    kind: Literal["works", "gives", "missing", "ask", "fails"]
    """`works` a step that went well; `gives` what it would load; `missing` a measure that lacks a field; `ask` what to ask
    the vendor for; `fails` what stops it."""
    text: str


@dataclass
class Fetched:
    """What a fetch put into the spool."""

    files: int = 0
    records: int = 0
    cursor: Cursor = field(default_factory=dict)
    """Where the next pull begins, once these files have landed."""
    is_complete: bool = True
    """False where more is to be had: the pull goes on after loading these."""


class Connection(Protocol):
    """One configured source of this kind."""

    def check(self) -> Iterator[Remark]:
        """Tries the source as far as possible without loading.

        Remarks come as it goes; what the source does wrong is one of them, never an exception.
        """
        ...

    def fetch(self, cursor: Cursor, spool: Path) -> Fetched:
        """Writes what is new since the cursor into the spool folder, as files that a reader claims, within bounded memory.

        Raises:
            PullError: the source cannot be asked, or stopped answering; files written so far may stay, they are loaded.
        """
        ...


class Connect(Protocol):
    """A module's `connect`: a connection from the source's settings (one of `settings.Source`) and all settings."""

    def __call__(self, source: Any, settings: Settings) -> Connection:
        """The connection.

        Raises:
            PullError: the settings do not fit together.
        """
        ...
