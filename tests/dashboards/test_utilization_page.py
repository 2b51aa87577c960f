"""The utilization pages: what they say of the small star, what they keep to themselves, and their arithmetic."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from math import sqrt
from typing import Any

import numpy as np
import pytest
from dash import Dash
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dashboards._shell.cards import Card, Empty
from dashboards._shell.look import DARK
from dashboards._shell.reading import Reading
from dashboards._shell.sections import SECTIONS, rendered
from dashboards.utilization.compute import freed_share, funnel, proposed_slot, rate_of_days
from warehouse.filters import Filters
from warehouse.scope import Scope

NAMES = (
    "utilization.headlines", "utilization.devices", "utilization.gap", "utilization.trend", "utilization.funnel", "utilization.pace", "utilization.evenings",
    "utilization.booked", "utilization.access", "utilization.missed", "utilization.hours", "utilization.slots",
    "utilization.first", "utilization.causes", "utilization.worst", "utilization.turnover", "utilization.starts", "utilization.idle", "utilization.overlaps",
    "utilization.counts", "utilization.volume", "utilization.mix", "utilization.minutes", "utilization.day", "utilization.daily",
    "utilization.planned", "utilization.plan", "utilization.off_plan", "utilization.planning",
    "utilization.waiting", "utilization.ages", "utilization.work", "utilization.breaching",
)  # fmt: skip
SCANNER_TIME = (
    "devices",
    "gap",
    "trend",
    "evenings",
    "access",
    "causes",
    "worst",
    "turnover",
    "starts",
    "idle",
    "overlaps",
    "pace",
)
NOW = datetime(2026, 11, 16, 8, tzinfo=UTC)


def drawn(name: str, reading: Reading, **extra: str) -> Any:
    return SECTIONS[f"utilization.{name}"].draw(replace(reading, extra=extra))


def card(name: str, reading: Reading, **extra: str) -> Card:
    found = drawn(name, reading, **extra)
    assert isinstance(found, Card), found
    return found


def test_these_are_the_sections(app: Dash) -> None:
    assert {name for name in SECTIONS if name.startswith("utilization.")} == set(NAMES)


@pytest.mark.parametrize("scope", [Scope(rows=True), Scope(small_count=11)], ids=("rows", "counts"))
@pytest.mark.parametrize("name", NAMES)
def test_each_section_draws(app: Dash, reading: Reading, name: str, scope: Scope) -> None:
    seen = replace(reading, scope=scope, look=DARK)
    with app.server.test_request_context():  # what people decided is asked of the server
        found = SECTIONS[name].draw(seen)
        assert rendered(found, name, seen) is not None
    if isinstance(found, Card):
        assert found.table.frame.height > 0
        assert {column.name for column in found.table.columns} <= set(found.table.frame.columns)
        assert "None" not in found.title
        assert "nan" not in found.title


@pytest.mark.parametrize("name", NAMES)
def test_each_section_says_why_it_is_empty(app: Dash, reading: Reading, name: str) -> None:
    nothing = replace(
        reading,
        filters=Filters.from_query({"from": "1999-01-01", "to": "1999-02-01"}, reading.as_of),
        scope=Scope(sites=frozenset()),
    )
    with app.server.test_request_context():
        found = SECTIONS[name].draw(nothing)
        assert rendered(found, name, nothing) is not None
    assert not isinstance(found, Empty) or len(found.reason) > 10


@pytest.mark.parametrize("name", SCANNER_TIME)
def test_readers_of_departments_are_told_why_scanner_time_is_hidden(app: Dash, reading: Reading, name: str) -> None:
    found = drawn(name, replace(reading, scope=Scope(departments=frozenset({"Surgery"}))))
    assert isinstance(found, Empty)
    assert "limited to departments" in found.reason


@pytest.mark.parametrize("way", ["lead", "hour", "modality", "site", "patient_class"])
def test_missed_slots_split_every_way(app: Dash, reading: Reading, way: str) -> None:
    assert card("missed", reading, missed=way).table.frame.height > 0


@pytest.mark.parametrize("what", ["performed", "booked", "demand"])
def test_small_counts_of_hours_are_withheld(app: Dash, reading: Reading, what: str) -> None:
    found = card("hours", replace(reading, scope=Scope(small_count=11)), heat=what)
    assert found.table.has_withheld
    assert all(row["value"] is None for row in found.table.rows() if row["withheld"])


def test_used_and_lost_time_add_up_to_the_available(app: Dash, reading: Reading) -> None:
    rows = card("gap", reading).table.rows()
    inside = [row for row in rows if row["kind"] != "outside"]
    hours = reading.frame("available_hours")["value"][0]
    assert sum(row["hours"] for row in inside) == pytest.approx(hours)
    assert sum(row["share"] for row in inside) == pytest.approx(100)
    room = reading.frame("room_utilization")["value"][0]
    assert rows[0]["share"] == pytest.approx(room)


def test_causes_come_with_their_days(app: Dash, reading: Reading) -> None:
    rows = card("causes", reading).table.rows()
    assert [row["hours"] for row in rows] == sorted((row["hours"] for row in rows), reverse=True)
    for row in rows:
        assert row["days"] > 0
        assert card("worst", reading, lost=row["cause"]).table.frame.height > 0


def test_an_unknown_choice_is_the_default(app: Dash, reading: Reading) -> None:
    assert card("worst", reading, lost="'; drop table").title == card("worst", reading).title


def test_an_interval_over_days_is_that_of_a_bootstrap() -> None:
    """Days of unequal length whose work varies: the limits are held against SciPy's bootstrap of the same ratio."""
    draw = np.random.default_rng(5)
    hours = draw.uniform(6, 12, 80)
    done = hours * draw.gamma(9, 1 / 4, 80)
    found = rate_of_days(done.tolist(), hours.tolist())
    assert found is not None
    assert found.value == pytest.approx(done.sum() / hours.sum())
    other = stats.bootstrap(
        (done, hours), lambda a, b, axis: a.sum(axis) / b.sum(axis), paired=True, confidence_level=0.99, method="percentile", random_state=5
    ).confidence_interval  # fmt: skip
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=0.15 * (other.high - other.low))
    assert rate_of_days([1.0] * 19, [8.0] * 19) is None
    assert rate_of_days([1.0] * 30, [0.0] * 30) is None


def test_paces_are_those_of_the_measure(app: Dash, reading: Reading) -> None:
    rows = card("pace", reading, pace="CT").table.rows()
    assert {row["device"] for row in rows} == {"dev-ct1", "dev-ct2"}
    ct = reading.over(reading.filters.narrowed(modality=("CT",)))
    plain = {row["device"]: row["value"] for row in ct.frame("throughput", "device").to_dicts()}
    adjusted = {row["device"]: row["value"] for row in ct.frame("throughput_mix_adjusted", "device").to_dicts()}
    for row in rows:
        assert row["plain"] == pytest.approx(plain[row["device"]])
        assert row["value"] == pytest.approx(adjusted[row["device"]], rel=0.02)
        assert row["low"] < row["value"] < row["high"]


@pytest.mark.parametrize("like", ["device", "site", "CT"])
def test_the_funnel_names_nobody_best_or_worst(app: Dash, reading: Reading, like: str) -> None:
    found = drawn("funnel", reading, like=like, figure="no_show_share")
    if isinstance(found, Card):
        names = [row["name"] for row in found.table.rows()]
        assert names == sorted(names)


def test_a_funnel_is_binomial_where_units_are_few() -> None:
    """Two units of 100 cases, 10 and 20 %: centre 15 %, limits 15 ± 3.09 · sqrt(0.15 · 0.85 / 100)."""
    found = funnel([10, 20], [100, 100])
    half = 100 * 3.09 * sqrt(0.15 * 0.85 / 100)
    assert found.limits(100) == pytest.approx((15 - half, 15 + half))
    assert not found.is_outside(20, 100)
    assert found.is_outside(20, 1000)


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 5000)), min_size=1, max_size=30))
def test_limits_of_a_funnel_hold_its_centre_and_narrow_with_n(units: list[tuple[float, int]]) -> None:
    found = funnel([value for value, _ in units], [n for _, n in units])
    assert found.dispersion >= 1
    (low, high), (wide_low, wide_high) = found.limits(400), found.limits(100)
    assert wide_low <= low <= found.centre + 1e-9
    assert found.centre - 1e-9 <= high <= wide_high


@pytest.mark.parametrize(("p90", "slot"), [(20.0, 20), (20.1, 25), (3, 5), (0.0, 5)])
def test_proposed_slots_hold_nine_of_ten_in_steps_of_five(p90: float, slot: float) -> None:
    assert proposed_slot(p90) == slot


def test_a_shorter_slot_gives_more_exams() -> None:
    assert freed_share(30, 20) == pytest.approx(50)
    assert freed_share(20, 30) == pytest.approx(-100 / 3)
