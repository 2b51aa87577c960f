"""Why the counts of two systems differ, day by day, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from dashboards._shell import numbers
from warehouse.measures.quality import DAILY, DIFFERENCES

SYSTEMS = {"orders": "Orders done", "images": "Images", "reports": "Reports", "dose": "Dose", "charges": "Charges"}
"""Counts of a day as people call them."""
GAPS = {
    "orders": "Orders less images",
    "images": "Images less reports",
    "reports": "Reports less charges",
    "irradiated": "Without dose",
}
_CLASSES = {
    "orders": ("ordered_not_imaged", "imaged_not_ordered"),
    "images": ("imaged_not_reported", "reported_not_imaged"),
    "reports": ("reported_not_charged", "charged_not_reported"),
    "irradiated": ("irradiated_without_dose",),
}


def explained(frame: pl.DataFrame, small: int) -> pl.DataFrame:
    """The days with each difference in words: `day`, the counts of `SYSTEMS`, `<gap>_words`, `withheld`.

    A count that is too small to show withholds the class beside it too: the two would give it away.
    """
    rows = []
    for row in frame.iter_rows(named=True):
        is_small = any(0 < row[name] < small for name in DAILY)
        counts = dict.fromkeys(DAILY) if is_small else {name: row[name] for name in DAILY}
        words = {f"{gap}_words": difference(row, gap, small) for gap in GAPS}
        rows.append({"day": row["day"], **counts, **words, "withheld": is_small})
    schema: dict[str, Any] = {
        "day": pl.Date,
        **dict.fromkeys(DAILY, pl.Int64),
        **{f"{gap}_words": pl.Utf8 for gap in GAPS},
        "withheld": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema)


def difference(counts: Mapping[str, Any], gap: str, small: int) -> str:
    """Why two counts differ, by class: `12 no images arrived, 3 no order`."""
    classes = _CLASSES[gap]
    if any(0 < counts[name] < small for name in classes):
        return "withheld"
    words = [f"{numbers.count(counts[name])} {DIFFERENCES[name][2]}" for name in classes if counts[name]]
    return ", ".join(words) or "none"


def sums(frame: pl.DataFrame) -> dict[str, int]:
    """The counts and classes of all days together."""
    return {name: int(frame[name].sum()) for name in (*DAILY, *DIFFERENCES)}
