"""The day board: which day, which lanes, and what of single exams it shows to whom."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from dash import Dash

from dashboards._shell.reading import Reading
from dashboards._shell.sections import SECTIONS
from dashboards.utilization.compute import clock
from dashboards.utilization.parts import day_of
from warehouse.scope import Scope

FRIDAY = "2026-11-13"


def text_of(reading: Reading, **extra: str) -> str:
    drawn: Any = SECTIONS["utilization.day"].draw(replace(reading, extra=extra))
    return json.dumps(drawn.to_plotly_json(), default=lambda part: part.to_plotly_json(), ensure_ascii=False)


def test_the_day_is_the_one_of_the_address_else_the_last_full_one(reading: Reading) -> None:
    assert day_of(replace(reading, extra={"day": FRIDAY})) == date(2026, 11, 13)
    assert day_of(replace(reading, extra={"day": "soon"})) == reading.as_of
    assert day_of(reading) == reading.as_of


def test_a_day_has_a_lane_for_each_scanner_and_leads_to_its_neighbours(app: Dash, reading: Reading) -> None:
    text = text_of(reading, day=FRIDAY)
    used = reading.star.text(f"SELECT DISTINCT device_id AS d FROM fact_device_span WHERE local_day = '{FRIDAY}'")["d"]
    assert text.count('"lane-track"') == len(used) > 0
    assert "day=2026-11-12" in text
    assert "day=2026-11-14" in text


def test_exams_are_links_for_those_who_may_see_them(app: Dash, reading: Reading) -> None:
    exams = reading.star.text(
        f"SELECT exam_key AS k FROM fact_device_span WHERE local_day = '{FRIDAY}' AND kind = 'in_use'"
    )["k"]
    text = text_of(reading, day=FRIDAY)
    assert all(f"/exam?exam={key}" in text for key in exams)
    assert text.count('"className": "scanning"') == len(exams)


def test_readers_of_counts_see_no_single_exam(app: Dash, reading: Reading) -> None:
    text = text_of(replace(reading, scope=Scope(small_count=11)), day=FRIDAY)
    assert "/exam?exam=" not in text
    assert "MR knee" not in text
    assert "not shown to your role" in text


def test_a_site_has_its_own_scanners_alone(app: Dash, reading: Reading) -> None:
    text = text_of(replace(reading, scope=Scope(sites=frozenset({"WEST"}), rows=True)), day=FRIDAY)
    assert "West Clinic" in text
    assert "North Hospital" not in text


def test_an_empty_day_says_so_and_still_leads_on(app: Dash, reading: Reading) -> None:
    text = text_of(reading, day="1999-01-01")
    assert "No scanner was staffed or used" in text
    assert "day=1999-01-02" in text


@pytest.mark.parametrize(("minute", "said"), [(0, "00:00"), (485.9, "08:05"), (1440, "24:00")])
def test_the_clock(minute: float, said: str) -> None:
    assert clock(minute) == said
