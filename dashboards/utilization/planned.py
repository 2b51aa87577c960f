"""What was made against what was planned, over full months."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import polars as pl

from dashboards._shell.reading import Reading
from dashboards.utilization.decide import modalities
from warehouse.filters import Filters
from warehouse.volume_plan import COLUMNS

MONTHS = 12
CHANCE = 2.0
"""Standard deviations that a count is from its plan by chance alone, 19 times in 20."""


def full_months(filters: Filters, data_from: date) -> Filters:
    """The same choice over the 12 full months that end last within the period, or as many as the data has.

    The end lies before the start where there is none.
    """
    after = filters.end + timedelta(days=1)
    first = date(after.year - 1, after.month, 1)
    begun = data_from if data_from.day == 1 else (data_from.replace(day=28) + timedelta(days=4)).replace(day=1)
    return filters.over(max(first, begun), after.replace(day=1) - timedelta(days=1))


def planned_months(reading: Reading) -> Filters:
    """`full_months` of what the reader chose."""
    return full_months(reading.filters, reading.data_from or reading.as_of)


def against_plan(reading: Reading, *by: str) -> pl.DataFrame:
    """Exams and plan of the sites, modalities and months that have a plan; no row where there is none.

    Returns:
        One row a combination of `by` (of `site`, `modality`, `month`), with `planned`, `exams`, `difference`, `change` in
        percent, and `chances`: the difference in standard deviations of a count about the plan (Poisson: its square root).
        All but `planned` are null where the reader may not see so few exams.
    """
    keys = ("site", "modality", "month")
    everything = replace(reading, scope=replace(reading.scope, small_count=0))
    over = planned_months(reading)
    planned = everything.frame("planned_exams", *keys, filters=over).select(*keys, planned="value")
    exams = everything.frame("exams", *keys, filters=over).select(*keys, exams="value")
    small = pl.col("exams").is_between(1, reading.scope.small_count - 1)
    joined = planned.join(exams, on=keys, how="left")
    return (
        (joined.clear() if reading.filters.plan_note else joined)
        .group_by(by, maintain_order=True)
        .agg(pl.col("planned").sum(), pl.col("exams").fill_null(0).sum())
        .with_columns(exams=pl.when(~small).then("exams"))
        .with_columns(difference=pl.col("exams") - pl.col("planned"))
        .with_columns(change=100 * pl.col("difference") / pl.when(pl.col("planned") > 0).then("planned"))
        .with_columns(chances=pl.col("difference") / pl.when(pl.col("planned") > 0).then(pl.col("planned").sqrt()))
        .sort(by)
    )


def template(reading: Reading) -> str:
    """The exams of the last 12 full months in the form of a plan of this year; empty where the data has fewer."""
    everything = Filters(start=reading.as_of, end=reading.as_of)
    over = full_months(everything, reading.data_from or reading.as_of)
    if (over.end.year - over.start.year) * 12 + over.end.month - over.start.month != MONTHS - 1:
        return ""
    exams = reading.frame("exams", "site", "modality", "month", filters=over).drop_nulls()
    made = {
        (site, modality, month.month): int(value)
        for site, modality, month, value in exams.select("site", "modality", "month", "value").iter_rows()
        if site in reading.names.sites and modality in modalities(reading)
    }
    groups = sorted({(site, modality) for site, modality, _ in made})
    lines = [
        f"{site},{modality},{reading.as_of.year}-{month:02},{made.get((site, modality, month), 0)}"
        for site, modality in groups
        for month in range(1, MONTHS + 1)
    ]
    return "\n".join([",".join(COLUMNS), *lines])
