"""The turnaround pages: what they say of the small star, and what they keep to themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from dash import Dash
from hypothesis import given
from hypothesis import strategies as st

from dashboards._access.people import Person
from dashboards._shell.cards import Card, Empty
from dashboards._shell.look import DARK
from dashboards._shell.reading import Reading
from dashboards._shell.sections import SECTIONS, rendered
from dashboards.turnaround import queries
from dashboards.turnaround.compute import AGE_BANDS, age_counts, reader_groups
from settings import ReadingHours, Turnaround, TurnaroundTarget
from state.roles import Role
from warehouse.filters import Filters
from warehouse.scope import Scope

NAMES = (
    "turnaround.headlines", "turnaround.curves", "turnaround.parts", "turnaround.median", "turnaround.tail", "turnaround.targets", "turnaround.week", "turnaround.procedures",
    "turnaround.tabs-why", "turnaround.stages", "turnaround.change", "turnaround.distribution", "turnaround.clock", "turnaround.intervals", "turnaround.counted",
    "turnaround.now", "turnaround.unread", "turnaround.waiting", "turnaround.next", "turnaround.flow",
    "turnaround.tabs-paths", "turnaround.paths", "turnaround.nights", "turnaround.corrections", "turnaround.readers",
)  # fmt: skip
EXECUTIVE = Scope(small_count=11)
"""Somebody who may see counts alone."""


def drawn(name: str, reading: Reading, **extra: str) -> Any:
    return SECTIONS[name].draw(replace(reading, extra=extra))


def card(name: str, reading: Reading, **extra: str) -> Card:
    found = drawn(name, reading, **extra)
    assert isinstance(found, Card), found
    return found


def test_these_are_the_sections(app: Dash) -> None:
    assert {name for name in SECTIONS if name.startswith("turnaround.")} == set(NAMES)


@pytest.mark.parametrize("scope", [Scope(rows=True), EXECUTIVE], ids=("rows", "counts"))
@pytest.mark.parametrize("name", NAMES)
def test_each_section_draws(app: Dash, reading: Reading, name: str, scope: Scope) -> None:
    seen = replace(reading, scope=scope, look=DARK)
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
    found = SECTIONS[name].draw(nothing)
    assert rendered(found, name, nothing) is not None
    assert not isinstance(found, Empty) or len(found.reason) > 10


@pytest.mark.parametrize("way", ["modality", "site", "patient_class", "priority", "section"])
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("turnaround.curves", "curve"),
        ("turnaround.parts", "split"),
        ("turnaround.change", "why"),
        ("turnaround.waiting", "waiting"),
    ],
)
def test_every_split_draws(app: Dash, reading: Reading, name: str, key: str, way: str) -> None:
    assert isinstance(drawn(name, reading, **{key: way}), Card)


def test_an_unknown_choice_is_the_default(app: Dash, reading: Reading) -> None:
    assert card("turnaround.parts", reading, split="'; drop table").title == card("turnaround.parts", reading).title


def test_curves_name_their_groups_and_count_who_waits(app: Dash, reading: Reading) -> None:
    found = card("turnaround.curves", reading, curve="modality")
    assert "Half of the reports are there within" in found.title
    assert "log-rank test, p < 0.001" in found.note
    for row in found.table.rows():
        shares = [row[name] for name in row if name.startswith("by_") and row[name] is not None]
        assert shares == sorted(shares)
        assert row["n"] >= row["open"]


def test_small_counts_at_a_mark_are_withheld(app: Dash, reading: Reading) -> None:
    month = replace(reading.over(Filters.from_query({"period": "28d"}, reading.as_of)), scope=EXECUTIVE)
    rows = card("turnaround.curves", month).table.rows()
    waiting = [row[name] for row in rows for name in row if name.startswith("left_")]
    assert "<11" in waiting
    assert not {str(count) for count in range(1, 11)} & set(waiting)


def test_the_stages_add_up_to_the_whole(app: Dash, reading: Reading) -> None:
    found = card("turnaround.stages", reading)
    rows = found.table.rows()
    assert [row["name"] for row in rows] == ["Wait after arrival", "Exam", "Wait and reading", "Signature"]
    whole = reading.star.text(
        "SELECT avg(epoch(final_at - arrived_at)) / 60 AS m FROM fact_exam WHERE final_at IS NOT NULL AND arrived_at <= started_at AND started_at <= ended_at"
        f" AND local_day BETWEEN '{reading.filters.start}' AND '{reading.filters.end}'"
    )["m"][0]
    assert sum(row["minutes"] for row in rows) == pytest.approx(whole)
    assert sum(row["share"] for row in rows) == pytest.approx(100)
    assert "read started" in found.note


def test_the_slowdown_is_speed_and_ct(app: Dash, reading: Reading) -> None:
    """CT reports take 1.7 times as long in the last eight weeks."""
    month = reading.over(Filters.from_query({"from": "2026-09-21", "to": "2026-11-01"}, reading.as_of))
    found = card("turnaround.change", month)
    assert found.title.startswith("Mean turnaround rose by")
    assert found.title.endswith("CT weighs most")
    rows = found.table.rows()
    before, after = (
        month.over(filters).frame("report_minutes_mean")["value"][0]
        for filters in (month.filters.before(), month.filters)
    )
    assert sum(row["mix"] + row["speed"] for row in rows) == pytest.approx(after - before)
    share = card("turnaround.change", month, figure="target")
    assert "pt" in share.title


def test_targets_say_which_are_missed(app: Dash, reading: Reading) -> None:
    targets = (TurnaroundTarget(minutes=100000, share=90), TurnaroundTarget(minutes=1, share=50, modality=("CT",)))
    found = card(
        "turnaround.targets",
        replace(reading, settings=reading.settings.model_copy(update={"turnaround": Turnaround(targets=targets)})),
    )
    assert found.title == "1 of 2 targets are kept: CT within 1 min come in time for 0 %, agreed are 50 %"
    without = drawn(
        "turnaround.targets",
        replace(reading, settings=reading.settings.model_copy(update={"turnaround": Turnaround(targets=())})),
    )
    assert isinstance(without, Empty)
    assert "names no target" in without.reason


def test_reading_hours_stand_beside_the_wall_clock(app: Dash, reading: Reading) -> None:
    assert "no site has reading hours" in card("turnaround.clock", reading).title
    hours = (ReadingHours(opens=datetime(2026, 1, 1, 8).time(), closes=datetime(2026, 1, 1, 18).time()),)
    first, second = reading.settings.sites
    settings = reading.settings.model_copy(
        update={"sites": (first.model_copy(update={"reading_hours": hours}), second)}
    )
    found = card("turnaround.clock", replace(reading, settings=settings))
    rows = {row["site"]: row for row in found.table.rows()}
    assert rows["NORTH"]["open_p50"] < rows["NORTH"]["wall_p50"]
    assert rows["WEST"]["open_p50"] is None


def test_the_board_counts_what_the_star_has(app: Dash, reading: Reading) -> None:
    frame = queries.unread_now(reading)
    counted = reading.star.text(
        "SELECT count(*) AS n FROM fact_exam WHERE ended_at IS NOT NULL AND final_at IS NULL AND has_order"
    )["n"][0]
    assert frame.height == counted > 0
    assert sum(card("turnaround.unread", reading).table.frame["n"]) == counted
    assert sum(card("turnaround.waiting", reading).table.frame["n"]) == counted
    left = [row["left_minutes"] for row in card("turnaround.next", reading).table.rows()]
    ahead = [value for value in left if value >= 0]
    assert left[: len(ahead)] == sorted(ahead)
    assert left[len(ahead) :] == sorted(left[len(ahead) :], reverse=True)


def test_who_may_not_see_exams_sees_none_of_them(app: Dash, reading: Reading) -> None:
    found = card("turnaround.next", replace(reading, scope=EXECUTIVE))
    assert [column.name for column in found.table.columns] == ["band", "n"]
    exams = set(queries.unread_now(reading)["exam_id"])
    assert not any(exam in str(rendered(found, "turnaround.next", reading)) for exam in exams)


@given(st.lists(st.floats(0, 10**6), max_size=50))
def test_every_age_is_in_one_band(minutes: list[float]) -> None:
    assert sum(age_counts(minutes)) == len(minutes)


def test_ages_at_the_limits() -> None:
    assert age_counts([0, 59.9, 60, 239, 240, 1440, 4320, 10080, 40320]) == [2, 2, 1, 1, 1, 1, 1]
    assert len(AGE_BANDS) == 7


def test_littles_law_holds_for_a_steady_queue(app: Dash, reading: Reading) -> None:
    found = queries.flow(reading)
    expected = found["arrived"] / (queries.FLOW_DAYS * 24) * found["minutes"] / 60
    assert expected > 0
    now, start = reading.data_to, reading.data_to - timedelta(days=queries.FLOW_DAYS)
    waits = reading.star.text(
        "SELECT ended_at, final_at FROM fact_exam WHERE ended_at IS NOT NULL AND has_order OR final_at IS NOT NULL"
    )
    inside = sum(
        max(0.0, (min(final or now, now) - max(ended, start)).total_seconds())
        for ended, final in waits.iter_rows()
        if ended is not None and ended <= now
    )
    assert found["standing"] == pytest.approx(inside / (now - start).total_seconds(), rel=1e-6)
    assert isinstance(card("turnaround.flow", reading), Card)


def test_paths_without_events_say_which_are_missing(app: Dash, reading: Reading) -> None:
    rows = {row["name"]: row for row in card("turnaround.paths", reading).table.rows()}
    assert "ADT^A04" in rows["Emergency: door to exam"]["why"]
    assert rows["Emergency: exam to first report"]["p50"] > 0
    outpatients = reading.over(reading.filters.narrowed(patient_class=("OP",)))
    found = drawn("turnaround.paths", outpatients)
    assert isinstance(found, Empty)
    assert "filters leave its exams out" in found.reason


def reads(*groups: tuple[str, int]) -> pl.DataFrame:
    rows = [
        {
            "group": group,
            "reader": f"{group}{reader}",
            "report_minutes": float(10 * reader),
            "read_minutes": None,
            "in_target": reader % 2 == 0,
        }
        for group, readers in groups
        for reader in range(readers)
    ]
    return pl.DataFrame(
        rows,
        schema={
            "group": pl.Utf8,
            "reader": pl.Utf8,
            "report_minutes": pl.Float64,
            "read_minutes": pl.Float64,
            "in_target": pl.Boolean,
        },
    )


def test_small_groups_of_readers_are_not_shown() -> None:
    shown, hidden = reader_groups(reads(("neuro", 6), ("chest", 4), ("bone", 5)), 5)
    assert shown["group"].to_list() == ["neuro", "bone"]
    assert hidden == 1
    assert shown.row(0, named=True) == {
        "group": "neuro",
        "readers": 6,
        "n": 6,
        "read_p50": None,
        "p50": 25.0,
        "p90": 45.0,
        "in_target": 50.0,
    }


def person(role: Role) -> Person:
    return Person(role.value, role.words, (role,))


def test_single_readers_need_the_permission(app: Dash, reading: Reading) -> None:
    asked: dict[str, Any] = {"extra": {"readers": "readers"}}
    lead = SECTIONS["turnaround.readers"].draw(replace(reading, person=person(Role.READING_LEAD), **asked))
    assert isinstance(lead, Card)
    assert "Reader reader" in lead.table.frame["name"][0]
    other = SECTIONS["turnaround.readers"].draw(replace(reading, person=person(Role.OPERATIONS), **asked))
    assert isinstance(other, Card)
    assert all(row["readers"] >= 5 for row in other.table.rows())
    assert "reader0" not in str(rendered(other, "turnaround.readers", reading))
    by_site = SECTIONS["turnaround.readers"].draw(
        replace(reading, person=person(Role.EXECUTIVE), extra={"readers": "site"})
    )
    assert isinstance(by_site, Card)
    assert all(row["readers"] >= 5 for row in by_site.table.rows())
    assert "reader0" not in str(rendered(by_site, "turnaround.readers", reading))


def test_the_data_ends_where_the_pages_say(app: Dash, reading: Reading) -> None:
    oldest = queries.unread_now(reading).row(0, named=True)
    waited = timedelta(minutes=oldest["waited_minutes"])
    newest = reading.star.text("SELECT max(greatest(arrived_at, started_at, ended_at, final_at)) AS at FROM fact_exam")[
        "at"
    ][0]
    assert oldest["ended_at"] + waited == pytest.approx(newest, abs=timedelta(seconds=1))
    assert newest <= reading.data_to.astimezone(UTC)
