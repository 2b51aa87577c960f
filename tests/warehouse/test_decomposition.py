"""What a changed average is made of: by hand, and as sums that leave nothing over."""

from __future__ import annotations

from math import isclose

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.measures.decomposition import average, decompose

GROUPS = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.floats(0, 1e4), st.integers(1, 10**5)), min_size=1)


def period(groups: dict[str, tuple[float, int]]) -> pl.DataFrame:
    rows = [(name, value, n) for name, (value, n) in groups.items()]
    return pl.DataFrame(rows, schema={"group": pl.Utf8, "value": pl.Float64, "n": pl.Int64}, orient="row")


@given(GROUPS, GROUPS)
def test_mix_and_speed_add_up_to_the_change(
    before: dict[str, tuple[float, int]], after: dict[str, tuple[float, int]]
) -> None:
    first, second = period(before), period(after)
    found = decompose(first, second, "group")
    one, two = average(first), average(second)
    assert one is not None
    assert two is not None
    assert isclose(float(found["mix"].sum()) + float(found["speed"].sum()), two - one, rel_tol=1e-9, abs_tol=1e-6)
    assert set(found["group"]) == set(before) | set(after)


@pytest.mark.parametrize(("before", "after", "mix", "speed"), [
    # Each kind takes as long as before, the slow one is done three times as often: 0.5 of the exams more, 40 min slower.
    ({"CT": (60.0, 75), "MR": (100.0, 25)}, {"CT": (60.0, 25), "MR": (100.0, 75)}, 20.0, 0.0),
    # The same exams, each kind 10 min slower.
    ({"CT": (60.0, 50), "MR": (100.0, 50)}, {"CT": (70.0, 50), "MR": (110.0, 50)}, 0.0, 10.0),
    # CT from 60 to 80 min and from half to three quarters: its speed 20 · 0.625, mix 0.25 · (70 - 100).
    ({"CT": (60.0, 50), "MR": (100.0, 50)}, {"CT": (80.0, 75), "MR": (100.0, 25)}, -7.5, 12.5),
    # A kind that was not there changes the mix alone.
    ({"CT": (60.0, 10)}, {"CT": (60.0, 10), "MR": (100.0, 10)}, 20.0, 0.0),
])  # fmt: skip
def test_by_hand(
    before: dict[str, tuple[float, int]], after: dict[str, tuple[float, int]], mix: float, speed: float
) -> None:
    found = decompose(period(before), period(after), "group")
    assert found["mix"].sum() == pytest.approx(mix)
    assert found["speed"].sum() == pytest.approx(speed)


def test_more_of_a_slow_kind_is_named_as_slowing() -> None:
    found = decompose(
        period({"CT": (60.0, 75), "MR": (100.0, 25)}), period({"CT": (60.0, 25), "MR": (100.0, 75)}), "group"
    )
    effects = {row["group"]: row["mix"] for row in found.iter_rows(named=True)}
    assert effects == {"CT": pytest.approx(10.0), "MR": pytest.approx(10.0)}


def test_nothing_is_said_where_a_period_has_no_exams() -> None:
    empty = period({}).with_columns(pl.col("value").cast(pl.Float64))
    assert decompose(empty, period({"CT": (60.0, 5)}), "group").is_empty()
    assert average(empty) is None


def test_groups_whose_numbers_are_withheld_are_left_out() -> None:
    before = pl.DataFrame({"group": ["CT", "NM"], "value": [60.0, None], "n": [50, None]})
    found = decompose(before, period({"CT": (70.0, 50)}), "group")
    assert found["group"].to_list() == ["CT"]
    assert average(before) == 60.0
