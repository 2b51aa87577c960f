"""Numbers of the turnaround pages from rows alone: no query, no picture."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

AGE_BANDS = (
    ("under 1 h", 1),
    ("1 to 4 h", 4),
    ("4 to 24 h", 24),
    ("1 to 3 days", 72),
    ("3 to 7 days", 168),
    ("7 to 28 days", 672),
    ("over 28 days", None),
)
"""Age bands of unread exams and the hours at which each ends."""


def age_counts(waited_minutes: Sequence[float]) -> list[int]:
    """How many fall into each of `AGE_BANDS`; an exam that waited exactly to a limit is in the band above it."""
    counts = [0] * len(AGE_BANDS)
    for minutes in waited_minutes:
        band = next(
            (index for index, (_, hours) in enumerate(AGE_BANDS) if hours is not None and minutes < hours * 60),
            len(AGE_BANDS) - 1,
        )
        counts[band] += 1
    return counts


def reader_groups(frame: pl.DataFrame, least: int) -> tuple[pl.DataFrame, int]:
    """Figures of each group with so many readers or more, the most reports first; and how many groups have fewer.

    Args:
        frame: one row a report, as `queries.reads` gives.
    """
    groups = (
        frame.drop_nulls("group")
        .group_by("group")
        .agg(
            readers=pl.col("reader").n_unique(), n=pl.len(), read_p50=pl.col("read_minutes").median(), p50=pl.col("report_minutes").median(),
            p90=pl.col("report_minutes").quantile(0.9, "linear"), in_target=100 * pl.col("in_target").mean(),
        )
        .sort("n", "group", descending=[True, False])
    )  # fmt: skip
    kept = groups.filter(pl.col("readers") >= least)
    return kept, groups.height - kept.height
