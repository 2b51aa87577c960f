"""Exams against plan: sums made by hand from the star's rows, full months alone, and what each reader is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from dash import Dash
from hypothesis import given
from hypothesis import strategies as st

from dashboards._shell.cards import Card, Empty
from dashboards._shell.reading import Reading
from dashboards._shell.sections import SECTIONS
from dashboards.utilization.planned import against_plan, full_months, template
from warehouse.filters import Filters
from warehouse.scope import Scope
from warehouse.volume_plan import read_plan


@given(st.dates(date(2020, 1, 1), date(2030, 12, 31)), st.integers(0, 900))
def test_only_full_months_are_compared(end: date, days_of_data: int) -> None:
    data_from = end - timedelta(days=days_of_data)
    over = full_months(Filters(start=end, end=end), data_from)
    assert (over.end + timedelta(days=1)).day == 1
    assert end - timedelta(days=31) < over.end <= end
    if over.start <= over.end:
        assert over.start.day == 1
        assert over.start >= data_from
        assert over.days <= 366
    if days_of_data > 400:
        assert over.days >= 365


def test_exams_and_plan_of_the_months_that_have_one(app: Dash, reading: Reading) -> None:
    """The small star plans two CT exams a day at each site and one MR exam at North from January 2026; data ends on 15 November."""
    by_modality = {row["modality"]: row for row in against_plan(reading, "modality").to_dicts()}
    days = (date(2026, 11, 1) - date(2026, 1, 1)).days
    assert {name: round(row["planned"], 6) for name, row in by_modality.items()} == {"CT": 4 * days, "MR": days}
    for modality, row in by_modality.items():
        made = reading.star.text(
            f"SELECT count(*) FROM fact_exam WHERE modality = '{modality}' AND is_performed AND not_patient IS NULL "
            "AND local_day BETWEEN DATE '2026-01-01' AND DATE '2026-10-31'"
        ).item()
        assert row["exams"] == made
        assert row["change"] == pytest.approx(100 * (made - row["planned"]) / row["planned"])
    months = against_plan(reading, "month")
    assert months["month"].to_list() == [date(2026, month, 1) for month in range(1, 11)]
    assert months["exams"].sum() == sum(row["exams"] for row in by_modality.values())


def test_exams_without_a_plan_are_not_held_against_it(app: Dash, reading: Reading) -> None:
    narrowed = replace(reading, filters=reading.filters.narrowed(modality=("XR",)))
    assert against_plan(narrowed, "month").is_empty()
    assert isinstance(SECTIONS["utilization.plan"].draw(narrowed), Empty)


def test_a_choice_that_no_plan_speaks_of_says_so(app: Dash, reading: Reading) -> None:
    narrowed = replace(reading, filters=reading.filters.narrowed(priority=("stat",)))
    found = SECTIONS["utilization.plan"].draw(narrowed)
    assert isinstance(found, Empty)
    assert found.reason == "A plan is made by site and modality, not by priority."


def test_a_site_sees_its_own_plan(app: Dash, reading: Reading) -> None:
    limited = replace(reading, scope=Scope(sites=frozenset({"WEST"})))
    assert against_plan(limited, "site")["site"].to_list() == ["WEST"]
    with app.server.test_request_context():
        assert "Import the plan" in str(SECTIONS["utilization.planning"].draw(reading))
        assert "Import the plan" not in str(SECTIONS["utilization.planning"].draw(limited))


def test_departments_have_no_plan(app: Dash, reading: Reading) -> None:
    limited = replace(reading, scope=Scope(departments=frozenset({"Emergency"})))
    found = SECTIONS["utilization.plan"].draw(limited)
    assert isinstance(found, Empty)
    assert "limited to departments" in found.reason


def test_the_mix_names_the_plan_where_it_covers_the_period(app: Dash, reading: Reading) -> None:
    def columns(of: Reading) -> set[str]:
        found = SECTIONS["utilization.mix"].draw(of)
        assert isinstance(found, Card)
        return {column.name for column in found.table.columns}

    year = replace(reading, filters=Filters.from_query({"period": "365d"}, reading.as_of))
    assert {"planned", "off_plan"} <= columns(reading)
    assert not {"planned", "off_plan"} & columns(year)
    assert not {"planned", "off_plan"} & columns(replace(reading, extra={"split": "department"}))


def test_the_form_to_start_from_can_be_imported(app: Dash, reading: Reading) -> None:
    years = read_plan(template(reading), list(reading.names.sites), ["CT", "MG", "MR", "US", "XR"])
    assert list(years) == [str(reading.as_of.year)]
