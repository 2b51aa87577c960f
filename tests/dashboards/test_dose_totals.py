"""Stated totals beside sums of events: agreement is a share of the total, whatever the unit."""

from __future__ import annotations

import polars as pl
import pytest
from dash import Dash


@pytest.mark.parametrize(
    ("total", "stated", "words"),
    [
        (0.065905531, 0.078391324, "differ"),  # Allura Clarity u104, Gy·cm²: 19 % more than its events
        (116.61, 116.61, "agree"),
        (0.1597, 0.16, "agree"),  # rounded to the last digit
        (2.0, 3.0, "differ"),
        (1.0, None, "No stated total"),
        (None, 0.2359, "No stated total"),
    ],
)
def test_totals_are_judged_by_share(app: Dash, total: float | None, stated: float | None, words: str) -> None:
    from dashboards.dose.event import totals_title

    frame = pl.DataFrame({"sum": [total], "stated": [stated]}, schema={"sum": pl.Float64, "stated": pl.Float64})
    assert words in totals_title(frame)
