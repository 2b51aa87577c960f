"""A plan is read whole or refused with its line, and its days add up to its months."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.typed_csv import TableError
from warehouse.volume_plan import COLUMNS, planned_days, read_plan

SITES, MODALITIES = ("NORTH", "WEST"), ("CT", "MR")
EXAMS = st.lists(st.integers(0, 100_000), min_size=12, max_size=12)


def plan(exams: list[int], *, site: str = "NORTH", modality: str = "CT", year: int = 2026, separator: str = ",") -> str:
    rows = [[site, modality, f"{year}-{month:02}", str(count)] for month, count in enumerate(exams, start=1)]
    return "\n".join(separator.join(row) for row in rows)


def whole(*parts: str, separator: str = ",") -> str:
    return "\n".join((separator.join(COLUMNS), *parts))


@given(EXAMS, st.sampled_from(",;\t"), st.integers(2000, 2099))
def test_days_add_up_to_the_months(exams: list[int], separator: str, year: int) -> None:
    content = whole(plan(exams, year=year, separator=separator), separator=separator)
    [(name, rows)] = read_plan(content, SITES, MODALITIES).items()
    assert name == str(year)
    days = planned_days(rows, {"NORTH": 11})
    assert days.height == (date(year, 12, 31) - date(year, 1, 1)).days + 1
    sums = days.group_by("month").agg(pl.col("planned_exams").sum()).sort("month")["planned_exams"].to_list()
    assert sums == pytest.approx(exams)
    assert days["date_key"].to_list() == [int(f"{day:%Y%m%d}") for day in days["local_day"]]


@given(st.text(max_size=300) | st.text(alphabet="site,modality,month,exams\nNORTHCT2026-01 15;", max_size=300))
def test_any_text_is_a_plan_or_refused(content: str) -> None:
    try:
        years = read_plan(content, SITES, MODALITIES)
    except TableError:
        return
    assert all(rows for rows in years.values())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("NORTH,CT,2026-03", "SOUTH,CT,2026-03", "Line 4, column site: is 'SOUTH'; allowed are NORTH, WEST."),
        ("NORTH,CT,2026-03", "NORTH,XX,2026-03", "Line 4, column modality: is 'XX'; allowed are CT, MR."),
        ("NORTH,CT,2026-03", "NORTH,CT,03/2026", "Line 4, column month: is '03/2026'; a month such as 2026-01 is expected."),
        ("2026-03,3", "2026-03,1.000", "Line 4, column exams: is '1.000'; a whole number such as 1200, without a thousands separator, is expected."),
        ("2026-03,3", "2026-03,-3", "Line 4, column exams: is '-3'; a whole number"),
        ("2026-03,3", "2026-02,3", "Line 4: the plan of NORTH, CT, 2026-02 stands twice."),
        ("NORTH,CT,2026-03,3\n", "", "NORTH, CT: the month 2026-03 is missing. Write 0 where none is planned."),
        ("exams\n", "exam\n", "Line 1: the column exams is missing."),
    ],
)  # fmt: skip
def test_a_wrong_plan_names_line_and_column(old: str, new: str, message: str) -> None:
    content = whole(plan(list(range(1, 13))))
    assert old in content
    with pytest.raises(TableError) as raised:
        read_plan(content.replace(old, new), SITES, MODALITIES)
    assert str(raised.value).startswith(message)


def test_a_plan_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(TableError, match="at most 500,000 are taken"):
        read_plan(whole(plan([1] * 12)) + "\n" * 500_000, SITES, MODALITIES)


def test_a_plan_of_two_years_is_told_apart_and_unknown_sites_are_left_out_of_the_star() -> None:
    years = read_plan(whole(plan([31] * 12), plan([62] * 12, site="WEST", year=2027)), SITES, MODALITIES)
    assert sorted(years) == ["2026", "2027"]
    days = planned_days([*years["2026"], *years["2027"]], {"WEST": 12})
    assert days["site_key"].unique().to_list() == [12]
    assert days.filter(pl.col("month") == "2027-01")["planned_exams"].to_list() == [2.0] * 31
