"""Who may see which rows: carried by every request for data, applied where the query is built."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scope:
    """What one reader may see."""

    sites: frozenset[str] | None = None
    """Site codes; None is all of them. An empty set sees nothing."""
    departments: frozenset[str] | None = None
    """Names of ordering departments; None is all of them."""
    rows: bool = False
    """May see single exams (pseudonymous), not only counts."""
    identified: bool = False
    """May open identities in the vault."""
    small_count: int = 0
    """Counts from 1 to below this are withheld; 0 withholds none."""


EVERYTHING = Scope(rows=True, identified=True)
"""For commands run by the machine's own operator."""
NOTHING = Scope(sites=frozenset())
"""For anybody not signed in."""
