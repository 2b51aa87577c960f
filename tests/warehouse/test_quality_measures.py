"""Shares of what was joined and what is known, and the counts of systems beside each other, against a recount by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.warehouse.small_star import MONDAY, TUESDAY, exam, star_of
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures import evaluate
from warehouse.measures.quality import (
    DAILY,
    FIELDS,
    JOINS,
    MEASURES,
    TIMES,
    daily_counts,
    flag_counts,
    match_counts,
    milestone_sources,
    part_counts,
)
from warehouse.scope import EVERYTHING, Scope

NOON = datetime(MONDAY.year, MONDAY.month, MONDAY.day, 12, tzinfo=UTC)
FILTERS = Filters(MONDAY, TUESDAY)
FLAGS = ("has_order", "has_images", "has_dose_report", "has_charge")


def known(key: int, device: str = "ct1", at: datetime = NOON, **more: Any) -> dict[str, Any]:
    """An exam that everything is known of, less what is said otherwise."""
    return exam(key, device, at, 10) | {
        **dict.fromkeys(FLAGS, True), "worklist_used": True, "match_rule": "accession", "match_confidence": "certain", "ordered_at": at, "final_at": at, "started_at": at,
        "started_source": "mpps", "ordered_source": "hl7", "final_source": "hl7", "accession_pseudonym": "a", "procedure_key": 1, "protocol_key": 1, "age_years": 40.0, "sex": "F",
        "weight_kg": 70.0, "date_key": int(f"{at:%Y%m%d}"), "moves": 0, "series": 1, "instances": 1, "bytes": 1, "addenda": 0,
    } | more  # fmt: skip


@pytest.fixture(scope="module")
def star(tmp_path_factory: pytest.TempPathFactory) -> Star:
    rows = [
        known(1),
        known(2, has_order=False, ordered_at=None, ordered_source=None, match_rule="study"),
        known(3, has_images=False, match_rule="filler", match_confidence="strong", protocol_key=0),
        known(4, final_at=None, final_source=None, has_charge=False, weight_kg=None),
        known(5, "ct2", has_order=False, has_images=False, has_dose_report=False, match_rule="alone", match_confidence="alone"),
        known(6, "ct2", NOON + timedelta(days=1), flags="arrived before ordered; cancelled, yet performed", match_rule="near", match_confidence="probable"),
        known(7, "ct2", NOON + timedelta(days=1), flags="arrived before ordered", patient_class="unknown"),
        known(8, not_patient="phantom", flags="arrived before ordered"),
        known(9, is_performed=False, state="cancelled", has_images=False, has_dose_report=False, has_charge=False, final_at=None, started_at=None),
    ]  # fmt: skip
    return star_of(tmp_path_factory.mktemp("quality"), fact_exam=rows)


@pytest.mark.parametrize(
    ("name", "value", "n"),
    [
        ("images_with_order_share", 100 * 4 / 5, 5),  # 1, 2, 4, 6, 7; without an order: 2
        ("orders_with_images_share", 100 * 4 / 5, 5),  # 1, 3, 4, 6, 7; without images: 3
        ("reports_with_exam_share", 100 * 5 / 6, 6),  # all performed but 4; known from the report alone: 5
        ("dose_with_exam_share", 100.0, 6),
        ("charges_with_exam_share", 100.0, 6),
        ("probable_match_share", 100 / 7, 7),
        ("doubtful_share", 200 / 7, 7),
        ("ordered_known_share", 600 / 7, 7),
        ("final_known_share", 600 / 7, 7),
        ("door_known_share", None, 0),
        ("weight_stated_share", 600 / 7, 7),
        ("protocol_stated_share", 100.0, 5),
        ("class_stated_share", 600 / 7, 7),
        ("dose_stated_share", 100.0, 5),
    ],
)
def test_a_share_counts_those_that_should_have_it(star: Star, name: str, value: float | None, n: int) -> None:
    frame = evaluate(star, name, FILTERS, EVERYTHING)
    assert frame["value"][0] == (None if value is None else pytest.approx(value))
    assert frame["n"][0] == n


def test_the_parts_of_a_page_are_the_measures(star: Star) -> None:
    wide = star.frame(part_counts((*JOINS, *TIMES, *FIELDS), FILTERS, EVERYTHING)).row(0, named=True)
    for part in (*JOINS, *TIMES, *FIELDS):
        found = evaluate(star, f"{part.name}_share", FILTERS, EVERYTHING)
        assert wide[f"{part.name}_of"] == found["n"][0]
        share = 100 * wide[part.name] / wide[f"{part.name}_of"] if wide[f"{part.name}_of"] else None
        assert found["value"][0] == (None if share is None else pytest.approx(share))


def test_every_measure_can_be_split_by_site_device_and_week(star: Star) -> None:
    for found in MEASURES:
        for way in ("site", "device", "week", "day"):
            split = evaluate(star, found, FILTERS, EVERYTHING, (way,))
            assert split["n"].sum() == evaluate(star, found, FILTERS, EVERYTHING)["n"].sum()


def test_small_counts_are_withheld(star: Star) -> None:
    frame = evaluate(star, "images_with_order_share", FILTERS, Scope(small_count=11))
    assert frame["withheld"].to_list() == [True]
    assert frame["value"].to_list() == [None]


def test_matches_doubts_and_sources_are_counted(star: Star) -> None:
    rules = dict(star.frame(match_counts(FILTERS, EVERYTHING)).select("match_rule", "n").iter_rows())
    assert rules == {"accession": 3, "study": 1, "filler": 1, "alone": 1, "near": 1}
    flags = dict(star.frame(flag_counts(FILTERS, EVERYTHING)).iter_rows())
    assert flags == {"arrived before ordered": 1, "arrived before ordered; cancelled, yet performed": 1}
    told = star.frame(milestone_sources(FILTERS, EVERYTHING))
    assert set(told.rows()) == {("final", "hl7", 6), ("ordered", "hl7", 6), ("started", "mpps", 7)}


def check_reconciliation(row: dict[str, Any]) -> None:
    assert row["orders"] - row["images"] == row["ordered_not_imaged"] - row["imaged_not_ordered"]
    assert row["images"] - row["reports"] == row["imaged_not_reported"] - row["reported_not_imaged"]
    assert row["reports"] - row["charges"] == row["reported_not_charged"] - row["charged_not_reported"]


def test_the_day_by_day_counts_explain_every_difference(star: Star) -> None:
    days = star.frame(daily_counts(FILTERS, EVERYTHING)).rows(named=True)
    assert [row["day"] for row in days] == [MONDAY, TUESDAY]
    monday = days[0]
    assert {name: monday[name] for name in DAILY} == {"orders": 3, "images": 3, "reports": 4, "dose": 4, "charges": 4}
    assert (monday["ordered_not_imaged"], monday["imaged_not_ordered"]) == (1, 1)
    assert (monday["imaged_not_reported"], monday["reported_not_imaged"]) == (1, 2)
    for row in days:
        check_reconciliation(row)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(*[st.booleans()] * 6), min_size=1, max_size=30))
def test_differences_are_explained_whatever_is_missing(tmp_path: Path, facts: list[tuple[bool, ...]]) -> None:
    rows = [
        known(key, **dict(zip(FLAGS, flags, strict=False)), final_at=NOON if flags[4] else None, is_performed=flags[1] or flags[4] or flags[5])
        for key, flags in enumerate(facts, 1)
    ]  # fmt: skip
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    for row in star_of(folder, fact_exam=rows).frame(daily_counts(FILTERS, EVERYTHING)).rows(named=True):
        check_reconciliation(row)
        assert row["images"] == sum(flags[1] for flags in facts)
