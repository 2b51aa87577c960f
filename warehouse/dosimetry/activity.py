"""Administered activity beside a plan by weight.

A plan gives an activity for one kilogram, within a least and a most activity; what differs from it by more than the tolerance
is off plan. The numbers come from the table that a physicist imported, none is shipped.
"""

from __future__ import annotations

import polars as pl


def beside_plan(administrations: pl.DataFrame, plans: pl.DataFrame) -> pl.DataFrame:
    """Administrations that have a plan, with what was planned.

    Args:
        administrations: `agent` as written, `age_band`, `weight_kg`, `activity_mbq`, and more columns that are kept.
        plans: rows of `dim_activity_plan`; a plan for the age band holds before one for every age.

    Returns:
        The rows with a plan and a weight, with `planned_mbq`, `difference` in percent of the plan, `tolerance_percent`,
        `is_off` and the plan's `source`.
    """
    columns = ["mbq_per_kg", "least_mbq", "most_mbq", "tolerance_percent", "source"]
    given = administrations.with_columns(key=pl.col("agent").str.strip_chars().str.to_lowercase())
    own = plans.filter(pl.col("age_band") != "").select("agent", "age_band", *columns)
    every = plans.filter(pl.col("age_band") == "").select("agent", *columns)
    joined = given.join(own, left_on=["key", "age_band"], right_on=["agent", "age_band"], how="left").join(
        every, left_on="key", right_on="agent", how="left", suffix="_every"
    )
    # A plan is taken whole: its own bounds, not those of the plan for every age.
    has_own = pl.col("mbq_per_kg").is_not_null()
    chosen = {name: pl.when(has_own).then(name).otherwise(f"{name}_every") for name in columns}
    planned = (pl.col("weight_kg") * pl.col("mbq_per_kg")).clip(
        lower_bound=pl.col("least_mbq").fill_null(0.0), upper_bound=pl.col("most_mbq").fill_null(float("inf"))
    )
    return (
        joined.with_columns(**chosen)
        .filter(pl.col("mbq_per_kg").is_not_null() & (pl.col("weight_kg") > 0) & (pl.col("activity_mbq") > 0))
        .with_columns(planned_mbq=planned)
        .with_columns(difference=100 * (pl.col("activity_mbq") / pl.col("planned_mbq") - 1))
        .with_columns(is_off=pl.col("difference").abs().round(9) > pl.col("tolerance_percent"))
        .drop("key", *(f"{name}_every" for name in columns))
    )
