"""Activity beside the plan by weight, reckoned by hand."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.dosimetry.activity import beside_plan
from warehouse.dosimetry.tables import ACTIVITY_PLANS, activity_plans, read_table
from warehouse.typed_csv import TableError

PLANS = """agent,age_band,mbq_per_kg,least_mbq,most_mbq,tolerance_percent,source
Fluorodeoxyglucose F^18^,,3.5,,350,10,department 2026
Fluorodeoxyglucose F^18^,6–17 years,3,60,,20,department 2026
"""


def given_of(*rows: tuple[str, str | None, float | None, float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        rows,
        schema={"agent": pl.Utf8, "age_band": pl.Utf8, "weight_kg": pl.Float64, "activity_mbq": pl.Float64},
        orient="row",
    )


def plans(content: str = PLANS) -> pl.DataFrame:
    return activity_plans(read_table(ACTIVITY_PLANS, content))


@pytest.mark.parametrize(
    ("age_band", "weight_kg", "activity_mbq", "planned_mbq", "difference", "is_off"),
    [
        ("adult", 80.0, 280.0, 280.0, 0.0, False),  # 80 · 3.5
        ("adult", 80.0, 308.0, 280.0, 10.0, False),  # exactly the tolerance
        ("adult", 80.0, 309.0, 280.0, 10.357142857, True),
        ("adult", 120.0, 420.0, 350.0, 20.0, True),  # 420 is above the most
        (None, 60.0, 180.0, 210.0, -14.285714286, True),
        ("6–17 years", 15.0, 66.0, 60.0, 10.0, False),  # 45 is below the least of the children's plan
        ("6–17 years", 130.0, 390.0, 390.0, 0.0, False),  # whose most is open: the adults' most is not taken
    ],
)
def test_the_plan_by_hand(
    age_band: str | None, weight_kg: float, activity_mbq: float, planned_mbq: float, difference: float, is_off: bool
) -> None:
    [row] = beside_plan(given_of((" FLUORODEOXYGLUCOSE f^18^", age_band, weight_kg, activity_mbq)), plans()).to_dicts()
    assert row["planned_mbq"] == pytest.approx(planned_mbq)
    assert row["difference"] == pytest.approx(difference, abs=1e-6)
    assert row["is_off"] is is_off


def test_without_plan_or_weight_nothing_is_judged() -> None:
    rows = given_of(("Technetium", "adult", 80.0, 500.0), ("Fluorodeoxyglucose F^18^", "adult", None, 280.0), ("Fluorodeoxyglucose F^18^", "adult", 80.0, 0.0))  # fmt: skip
    assert beside_plan(rows, plans()).is_empty()


@given(st.floats(1, 300), st.floats(0.1, 2000), st.sampled_from(["adult", "6–17 years", None]))
def test_what_is_planned_lies_within_the_plans_bounds(weight: float, activity: float, age_band: str | None) -> None:
    [row] = beside_plan(given_of(("fluorodeoxyglucose f^18^", age_band, weight, activity)), plans()).to_dicts()
    least, most = row["least_mbq"] or 0, row["most_mbq"] or float("inf")
    assert least <= row["planned_mbq"] <= most


def test_a_plan_stands_once() -> None:
    row: Any = PLANS.splitlines()[1]
    with pytest.raises(TableError, match="Line 4: the plan of fluorodeoxyglucose f\\^18\\^, any stands twice"):
        plans(PLANS + row)
