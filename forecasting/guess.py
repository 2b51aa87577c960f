"""Whose public holidays a file of series follows, where nobody says: those that leave least unexplained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecasting.calendar import Place, design
from forecasting.grain import RHYTHMS, Grain
from forecasting.hours import daily
from forecasting.models import RIDGE, two_sided_mean
from forecasting.series import Series

CANDIDATES = (
    "",
    "US",
    "GB-ENG",
    "GB-SCT",
    "IE",
    "DE",
    "FR",
    "ES",
    "IT",
    "NL",
    "SE",
    "CA",
    "AU",
    "NZ",
    "BR",
    "IN",
    "JP",
)
MOST_SERIES = 12
WORTH = 0.02
"""Share of what is unexplained by which a calendar must be better than none."""


def likeliest_place(series: Sequence[Series], held_back: int) -> Place:
    """The place whose holidays explain the history best; none where none helps.

    Args:
        held_back: periods at the end that are not looked at, since they are to be forecast.
    """
    rests = {code: _unexplained(series[:MOST_SERIES], held_back, Place.of(code)) for code in CANDIDATES}
    best = min(rests, key=lambda code: rests[code])
    return Place.of(best if rests[best] < (1 - WORTH) * rests[""] else "")


def _unexplained(series: Sequence[Series], held_back: int, place: Place) -> float:
    """Mean share of the variance about the trend that the calendar of a place leaves."""
    shares = []
    for one in series:
        kept = one.upto(max(len(one.y) - held_back, len(one.y) // 2))
        whole = daily(kept) if one.grain is Grain.HOUR else kept
        known = ~np.isnan(whole.y)
        if known.sum() < RHYTHMS[whole.grain].season * 2:
            continue
        y = np.where(known, whole.y, np.nanmean(whole.y))
        rest = y - two_sided_mean(y, RHYTHMS[whole.grain].half_life)
        x = design(whole.starts, whole.grain, place, len(y)).x
        effects = np.linalg.solve(x.T @ x + RIDGE[whole.grain] * np.eye(x.shape[1]), x.T @ rest)
        shares.append(float(np.mean((rest - x @ effects) ** 2) / (np.mean(rest**2) or 1.0)))
    return float(np.mean(shares)) if shares else 1.0
