"""The pages about the data, drawn from a small star with clocks, closures, doubts and doubtful devices."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dash import Dash
from star_builder import DATA_TO, DAYS, LAST_DAY, SITES, _day, _written, dimensions, facts, settings_for

from dashboards._shell.cards import Card, Empty
from dashboards._shell.look import DARK
from dashboards._shell.reading import Reading
from dashboards._shell.sections import SECTIONS, rendered
from dashboards.calendar.queries import days as calendar_days
from dashboards.calendar.queries import month_of
from dashboards.mapping.queries import procedures
from dashboards.mapping.used import coverage, still_open
from dashboards.quality import queries
from dashboards.quality.issues import doubt, issue, missing
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures.quality import FIELDS, JOINS, TIMES
from warehouse.publication import Publication, schema_digest
from warehouse.schema import TABLES
from warehouse.scope import Scope

PAGES = ("quality", "scanners", "decisions", "mapping", "calendar")
JUMP = LAST_DAY - timedelta(days=20)


def _clocks() -> list[dict[str, Any]]:
    rows = []
    for index in range(60):
        day = LAST_DAY - timedelta(days=59 - index)
        for device, site, offset in (("dev-ct1", "NORTH", 3500.0 if day >= JUMP else 5.0), ("dev-ct2", "WEST", -8.0)):
            whole = offset > 3000 and index % 2 == 0
            rows.append({"device_id": device, "site_key": SITES[site][0], "modality": "CT", "local_day": day, "offset_s": offset + index % 3, "spread_s": 30.0, "exams": 5,
                         "applied_s": 3600.0 if whole else None, "rule": "whole_hours" if whole else None})  # fmt: skip
    return rows


def _closures() -> list[dict[str, Any]]:
    common = {
        "month": "2026-11",
        "device_id": "dev-ct2",
        "device_key": 102,
        "site_key": 12,
        "modality": "CT",
        "staffed_basis": "calendar",
        "exams": 0,
    }
    saturday = date(2026, 11, 7)
    return [
        common | {"local_day": saturday, "date_key": 20261107, "starts_at": datetime(2026, 11, 7, 7, tzinfo=UTC), "start_minute": 480.0, "end_minute": 600.0, "minutes": 120.0, "kind": "closed", "is_staffed": True, "reason": "Public holiday"},
        common | {"local_day": saturday, "date_key": 20261107, "starts_at": datetime(2026, 11, 7, 9, tzinfo=UTC), "start_minute": 600.0, "end_minute": 690.0, "minutes": 90.0, "kind": "unplanned_down", "is_staffed": True, "reason": "Tube"},
    ]  # fmt: skip


@pytest.fixture(scope="module")
def star(tmp_path_factory: pytest.TempPathFactory) -> Star:
    rng = random.Random(11)
    days = [LAST_DAY - timedelta(days=DAYS - 1 - index) for index in range(DAYS)]
    exams = [exam for day in days[-120:] for exam in _day(rng, day, 14)]
    for index, exam in enumerate(exams):
        exam |= {"match_confidence": "certain", "section": None, "weight_kg": None if index % 4 else 70.0, "addenda": 0}
        if index % 50 == 0 and exam["is_performed"]:
            exam |= {
                "flags": "arrived before ordered",
                "match_rule": "near",
                "match_confidence": "probable",
                "worklist_used": False,
            }
        if index % 70 == 0 and exam["is_performed"]:
            exam |= {"flags": "images of several patients"}
    rows = dimensions()
    ct1 = next(row for row in rows["dim_device"] if row["device_key"] == 101)
    rows["dim_device"].append(
        ct1
        | {
            "device_key": 199,
            "device_id": "dev-ct1-er",
            "device_name": "CT ER",
            "station": "CT-ER",
            "valid_from": DATA_TO - timedelta(days=30),
        }
    )
    rows |= facts(rng, exams)
    wrong = next(row for row in rows["fact_exam_event"] if row["source"] == "dicom" and row["month"] == "2026-11")
    rows["fact_exam_event"].append(
        wrong | {"digest": "wrong", "is_chosen": False, "passed_over": "wrong worklist entry"}
    )
    rows["fact_device_clock"] = _clocks()
    rows["fact_device_span"] = [*rows.get("fact_device_span", []), *_closures()]
    folder = tmp_path_factory.mktemp("steward")
    tables = {name: _written(folder, name, table, rows.get(name, [])) for name, table in TABLES.items()}
    at = DATA_TO.astimezone(UTC).isoformat()
    return Star(folder, Publication("1", at, tables, schema_digest(), "test", "test", 1, at))


@pytest.fixture
def reading(star: Star, app: Dash, tmp_path: Path) -> Iterator[Reading]:
    with app.server.app_context():
        yield Reading(star, Filters.from_query({}, LAST_DAY), Scope(rows=True), settings_for(tmp_path))


def names() -> list[str]:
    return sorted(name for name in SECTIONS if name.split(".")[0] in PAGES)


def card(name: str, reading: Reading) -> Card:
    drawn = SECTIONS[name].draw(reading)
    assert isinstance(drawn, Card), drawn
    return drawn


def test_every_section_draws_with_data_and_without(reading: Reading) -> None:
    assert len(names()) >= 23
    full = replace(reading, extra={"issue": missing("weight_stated")}, look=DARK)
    nothing = replace(
        reading,
        filters=Filters.from_query({"from": "1999-01-01", "to": "1999-02-01"}, LAST_DAY),
        scope=Scope(sites=frozenset()),
    )
    for name in names():
        drawn = SECTIONS[name].draw(full)
        assert not isinstance(drawn, Empty), (name, drawn)
        assert rendered(drawn, name, full) is not None
        if isinstance(drawn, Card):
            assert {column.name for column in drawn.table.columns} <= set(drawn.table.frame.columns)
        assert rendered(SECTIONS[name].draw(nothing), name, nothing) is not None


def test_the_count_of_an_issue_and_its_list_agree(reading: Reading) -> None:
    for parts in (JOINS, TIMES, FIELDS):
        for row in queries.parts(reading, parts).iter_rows(named=True):
            found = issue(missing(row["part"]))
            assert found is not None
            assert queries.exams(reading, found)[0] == row["missing"], row["part"]
    for row in queries.doubts(reading).group_by("flag").agg(pl.col("n").sum()).iter_rows(named=True):
        found = issue(doubt(row["flag"]))
        assert found is not None
        assert queries.exams(reading, found)[0] == row["n"]


@pytest.mark.parametrize("name", ["", "nothing", "doubt:", "joined:", "no_everything"])
def test_an_unknown_issue_is_none(name: str) -> None:
    assert issue(name) is None


def test_a_flag_in_the_address_is_a_value_and_no_pattern(reading: Reading) -> None:
    for flag in ("%", "_", "' OR 1=1 --"):
        found = issue(doubt(flag))
        assert found is not None
        assert queries.exams(reading, found)[0] == 0


def test_a_wrong_clock_is_told_with_its_day_and_a_form_to_correct_it(reading: Reading) -> None:
    told = card("scanners.clocks", reading)
    assert told.title == "1 of 2 clocks are off, 1 of them not corrected"
    first = told.table.rows()[0]
    assert (first["name"], first["since"], first["was"]) == ("CT 1", JUMP, 10)
    text = json.dumps(SECTIONS["scanners.corrections"].draw(reading).to_plotly_json(), default=str)
    assert "Approve the correction of CT 1" in text
    assert '\\"value\\":\\"3501\\"' in text


def test_doubtful_and_new_devices_are_candidates(reading: Reading) -> None:
    assert card("scanners.doubtful", reading).table.rows()[0]["what"] == "101"
    assert [(row["name"], row["what"]) for row in card("scanners.moved", reading).table.rows()] == [
        ("CT ER", "appeared")
    ]


def test_wrong_entries_and_mixed_patients_are_counted(reading: Reading) -> None:
    rows = card("scanners.wrong", reading).table.rows()
    assert rows[0]["n"] == 1
    assert {row["what"] for row in rows[1:]} == {"images of several patients"}


def test_a_closed_day_shows_in_its_month(reading: Reading) -> None:
    frame = calendar_days(reading, date(2026, 11, 1)).filter(
        (pl.col("device") == "dev-ct2") & (pl.col("day") == date(2026, 11, 7))
    )
    row = frame.row(0, named=True)
    assert (row["staffed"], row["closed"], row["unplanned_down"]) == (1.5, 2.0, 1.5)
    assert set(row["reasons"].split("; ")) == {"Public holiday", "Tube"}
    told = card("calendar.month", replace(reading, extra={"month": "2026-11"}))
    assert "closed or down" in told.title
    assert isinstance(SECTIONS["calendar.month"].draw(replace(reading, extra={"month": "1999-01"})), Empty)


@pytest.mark.parametrize(
    ("text", "month"), [("2026-03", date(2026, 3, 1)), ("x", LAST_DAY.replace(day=1)), ("", LAST_DAY.replace(day=1))]
)
def test_a_month_that_is_none_is_the_latest(text: str, month: date) -> None:
    assert month_of(text, LAST_DAY) == month


def test_the_queue_holds_what_is_open_by_volume(reading: Reading) -> None:
    found = procedures(reading)
    assert [one.n for one in found] == sorted((one.n for one in found), reverse=True)
    assert coverage(found) == (0.0, sum(one.n for one in found))
    first = str(found[0].local.key)
    assert first not in {str(one.local.key) for one in still_open(found, {first})}
    half = [
        replace(one, status="confirmed" if index == 0 else "rejected" if index == 1 else "unmapped")
        for index, one in enumerate(found)
    ]
    share, total = coverage(half)
    assert total == sum(one.n for one in found) - found[1].n
    assert share == pytest.approx(100 * found[0].n / total)
    counts = reading.star.text(
        f"SELECT count(*) AS n FROM fact_exam WHERE is_performed AND procedure_key = {first} AND local_day > DATE '{LAST_DAY - timedelta(days=90)}' AND local_day <= DATE '{LAST_DAY}'"
    )
    assert counts["n"][0] == found[0].n


def test_small_counts_are_withheld_with_what_would_tell_them(reading: Reading) -> None:
    counted = replace(reading, scope=Scope(small_count=11))
    for name in (
        "quality.joins",
        "quality.doubts",
        "quality.fields",
        "quality.times",
        "scanners.wrong",
        "mapping.all",
        "quality.days",
    ):
        drawn = SECTIONS[name].draw(counted)
        if not isinstance(drawn, Card) or "withheld" not in drawn.table.frame.columns:
            continue
        for row in drawn.table.rows():
            if row["withheld"]:
                assert row.get("n") is None
                assert row.get("share") is None
            else:
                assert not 0 < (row.get("n") or row.get("of") or 11) < 11, (name, row)
    days = card("quality.days", counted)
    assert any(row["orders_words"] == "withheld" or row["reports_words"] == "withheld" for row in days.table.rows())


@pytest.mark.parametrize(
    "scope", [Scope(rows=True, sites=frozenset()), Scope(rows=True, departments=frozenset({"Elsewhere"}))]
)
def test_nothing_of_other_sites_or_departments_is_shown(reading: Reading, scope: Scope) -> None:
    closed = replace(reading, scope=scope)
    weight = issue(missing("weight_stated"))
    assert weight is not None
    assert queries.exams(closed, weight)[0] == 0
    assert queries.parts(closed, FIELDS)["of"].sum() == 0
    for frame in (
        queries.doubts(closed),
        queries.clock_days(closed),
        queries.device_versions(closed),
        queries.wrong_entries(closed),
        calendar_days(closed, date(2026, 11, 1)),
    ):
        assert frame.is_empty()
    assert procedures(closed) == []


def test_one_site_sees_its_own_alone(reading: Reading) -> None:
    west = replace(reading, scope=Scope(rows=True, sites=frozenset({"WEST"})))
    assert set(queries.clock_days(west)["device_id"]) == {"dev-ct2"}
    assert set(queries.doubts(west)["site"]) <= {"WEST"}
    assert "CT 1" not in {row["name"] for row in card("scanners.clocks", west).table.rows()}
