"""The statistics of the measures, by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

Wait = tuple[float, bool]
"""Minutes waited, and whether the wait is over."""


def percentile(values: Iterable[float], share: float) -> float | None:
    """The percentile with linear interpolation between neighbours (SQL's `percentile_cont`)."""
    ordered = sorted(values)
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def percent(part: float, whole: float) -> float | None:
    """A part in percent of the whole."""
    return 100 * part / whole if whole else None


def share_of(rows: Sequence[bool]) -> float | None:
    """Percent of the rows that are true."""
    return percent(sum(rows), len(rows))


def _length(wait: Wait) -> float:
    return wait[0]


def product_limit(waits: Iterable[Wait], share: float) -> float | None:
    """The least wait by which that share is over (Kaplan and Meier 1958); None where too many still wait to tell.

    Just before each wait's length everybody who waited at least so long was at risk; of them those whose wait ended then
    leave. Who still waits leaves the number at risk without an end.
    """
    ordered = sorted(waits)
    at_risk, left = len(ordered), 1.0
    for length, same in groupby(ordered, key=_length):
        ended = [is_over for _, is_over in same]
        left *= 1 - sum(ended) / at_risk
        if left <= 1 - share + 1e-9:
            return length
        at_risk -= len(ended)
    return None
