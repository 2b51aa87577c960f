"""Detectors on small stars: the planted trouble is told with its place and time, and of a past day only what it knew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from insights import surges
from insights.finding import Finding
from insights.findings import findings
from insights.names import names_of
from tests.insights.conftest import exam, span, star_of
from warehouse.engines import Star
from warehouse.scope import EVERYTHING, Scope

FIRST = date(2026, 1, 5)
DAYS = [FIRST + timedelta(days=number) for number in range(200)]
LAST = DAYS[-1]
AS_OF = LAST + timedelta(days=1)
TROUBLE = 170
"""Number of the day from which on there is trouble."""


def exams(change: Callable[[int, int], dict[str, Any]] = lambda _number, _place: {}) -> list[dict[str, Any]]:
    """Ten exams a day at CT1, half an hour apart, some of them changed; and as many at MR1."""
    keys, rows = count(1), []
    for number, day in enumerate(DAYS):
        for place in range(10):
            start = datetime.combine(day, time(8), UTC) + timedelta(minutes=30 * place)
            at = {
                "started_at": start, "ended_at": start + timedelta(minutes=15), "machine_started_at": start,
                "machine_ended_at": start + timedelta(minutes=15), "final_at": start + timedelta(minutes=75), "time_key": start.hour,
            }  # fmt: skip
            rows.append(exam(next(keys), day, "ct1", **at | change(number, place)))
            rows.append(exam(next(keys), day, "mr1", **at))
    return rows


def of_topic(star: Star, topic: str, as_of: date = AS_OF, scope: Scope = EVERYTHING) -> list[Finding]:
    return [one for one in findings(star, as_of, scope, limit=99) if one.topic == topic]


def swapped(number: int, place: int) -> dict[str, Any]:
    """From the day of trouble on, images of every other exam lie with the one before, which lasts into it."""
    if number < TROUBLE or number >= TROUBLE + 8:
        return {}
    start = datetime.combine(DAYS[number], time(8), UTC) + timedelta(minutes=30 * place)
    if place % 2:
        lost = {
            "has_images": False,
            "has_dose_report": False,
            "device_key": 0,
            "worklist_used": None,
            "machine_minutes": None,
        }
        return lost | {"machine_started_at": None, "machine_ended_at": None}
    return {"machine_ended_at": start + timedelta(minutes=45)}


def test_wrong_worklist_entries_are_told_while_they_last_and_after(tmp_path: Path) -> None:
    star = star_of(tmp_path, exams(swapped))
    began = DAYS[TROUBLE]
    assert of_topic(star, "wrong entry", began) == [], "of a day before, nothing is known"
    (during,) = of_topic(star, "wrong entry", began + timedelta(days=5))
    assert (during.scope, during.since, during.until) == ({"device": "ct1"}, began, None)
    (after,) = of_topic(star, "wrong entry", began + timedelta(days=18))
    assert (after.since, after.until) == (began, began + timedelta(days=7))
    assert after.text.startswith("Wrong worklist entries at CT1 (North): 40 of 80 exams from 24 Jun to 1 Jul")
    assert of_topic(star, "wrong entry", AS_OF) == [], "four weeks later it is history"
    assert of_topic(star, "wrong entry", began + timedelta(days=5), Scope(sites=frozenset({"WEST"}))) == []
    assert of_topic(star, "wrong entry", began + timedelta(days=5), Scope(small_count=50)) == []


def test_a_surge_of_emergency_exams_is_told_at_its_site_and_section(tmp_path: Path) -> None:
    """Ten emergency exams a day, sixteen on the first three weeks of trouble; nobody books them."""
    emergency = {"patient_class": "ED", "section": "chest"}
    rows = exams(lambda _number, _place: emergency)
    keys = count(1_000_000)
    rows += [exam(next(keys), day, "ct1", **emergency) for day in DAYS[TROUBLE : TROUBLE + 21] for _ in range(6)]
    star = star_of(tmp_path, rows)
    begun = DAYS[TROUBLE]

    def told(last: date, scope: Scope = EVERYTHING) -> list[Finding]:
        return surges.find(star, last, last + timedelta(days=1), scope, None, names_of(star, scope)).findings

    (found,) = told(DAYS[TROUBLE + 20])
    assert found.scope == {"site": "NORTH", "section": "chest", "patient_class": "ED"}
    assert (found.since, found.until) == (begun, None)
    assert found.text == "Surge of exams of emergency chest at North: 336 since 24 Jun, 210 would be usual"
    assert told(begun - timedelta(days=1)) == [], "of a day before, nothing is known"
    assert told(DAYS[TROUBLE + 20], Scope(sites=frozenset({"WEST"}))) == []
    assert told(DAYS[TROUBLE + 20], Scope(small_count=400)) == []


def test_lost_dose_reports_are_told_at_their_scanner(tmp_path: Path) -> None:
    star = star_of(tmp_path, exams(lambda number, _: {"has_dose_report": number < TROUBLE + 20}))
    (found,) = of_topic(star, "dose capture")
    assert (found.scope, found.since, found.until) == ({"device": "ct1"}, DAYS[TROUBLE + 20], None)
    assert found.size == pytest.approx(-100.0)
    assert of_topic(star, "dose capture", DAYS[TROUBLE + 20]) == []


def spans(*, idle_from: int = 18, down: tuple[int, ...] = (), silent_from: int = 999) -> list[dict[str, Any]]:
    """Staffed days of both scanners from 8 to 18, three exams every two hours; with CT1's idle evenings, breakdowns and silence."""
    rows = []
    for number, day in enumerate(DAYS):
        for device in ("ct1", "mr1"):
            is_changed = device == "ct1"
            works = not (is_changed and number >= silent_from)
            if is_changed and number in down:
                rows.append(span(day, device, 8, 18, "unplanned_down"))
                continue
            for hour in range(8, 18, 2):
                busy = works and not (is_changed and number >= 100 and hour >= idle_from)
                rows.append(span(day, device, hour, hour + 1, "in_use" if busy else "idle", exams=3 if busy else 0))
                rows.append(
                    span(
                        day,
                        device,
                        hour + 1,
                        hour + 2,
                        "turnover" if busy else "idle",
                        cause="unfilled" if not busy else "turnover",
                    )
                )
    return rows


def test_idle_evenings_are_told_with_hour_days_and_hours(tmp_path: Path) -> None:
    star = star_of(tmp_path, exams(), fact_device_span=spans(idle_from=14))
    (found,) = of_topic(star, "idle hours")
    assert found.scope == {"device": "ct1"}
    assert found.text.startswith("Staffed and idle from 14:00 at CT1 (North): 28 h a week on Mon to Sun, since ")
    assert abs((found.since - DAYS[100]).days) < 7
    assert of_topic(star, "idle hours", DAYS[100]) == []
    assert of_topic(star, "idle hours", AS_OF, Scope(departments=frozenset({"Ward"}))) == []


def test_a_failing_scanner_is_told(tmp_path: Path) -> None:
    down = (20, 90, 165, 171, 176, 180, 184, 187, 190, 192, 194)
    star = star_of(tmp_path, exams(), fact_device_span=spans(down=down))
    (found,) = of_topic(star, "failing scanner")
    assert (found.scope, found.until) == ({"device": "ct1"}, None)
    assert found.since == DAYS[165]
    assert "9 failures in 35 days" in found.text
    assert found.because.startswith("2 failures in the 165 days before")
    assert of_topic(star, "failing scanner", DAYS[166]) == []


def test_exams_broken_off_for_the_equipment_are_failures_too(tmp_path: Path) -> None:
    days = {171, 176, 180, 184, 187, 190, 194}
    broken = {"state": "discontinued", "reason_code": "110501"}
    star = star_of(
        tmp_path, exams(lambda number, place: broken if number in days and place == 3 else {}), fact_device_span=spans()
    )
    (found,) = of_topic(star, "failing scanner")
    assert (found.scope, found.since) == ({"device": "ct1"}, DAYS[171])


def test_a_scanner_that_stands_still_is_told(tmp_path: Path) -> None:
    star = star_of(tmp_path, exams(), fact_device_span=spans(silent_from=197))
    (found,) = of_topic(star, "failing scanner")
    assert (found.scope, found.since) == ({"device": "ct1"}, DAYS[197])
    assert found.text == "Scanner at CT1 (North): no exam since 21 Jul, 3 staffed days"


def clock_days(*, wrong_from: int, applied: float | None) -> list[dict[str, Any]]:
    return [
        {"device_id": "ct1", "site_key": 1, "modality": "CT", "local_day": day, "offset_s": 3600.0 if number >= wrong_from else 5.0,
         "exams": 10, "applied_s": applied if number >= wrong_from else None, "rule": "whole_hours" if applied else None}
        for number, day in enumerate(DAYS)
    ]  # fmt: skip


def test_a_wrong_clock_is_told_with_its_correction(tmp_path: Path) -> None:
    star = star_of(tmp_path / "open", exams(), fact_device_clock=clock_days(wrong_from=TROUBLE, applied=None))
    (found,) = of_topic(star, "clock")
    assert found.text == "Clock at CT1 (North): 60 min slow since 24 Jun, not corrected"
    assert of_topic(star, "clock", DAYS[TROUBLE]) == []
    right = star_of(tmp_path / "right", exams(), fact_device_clock=clock_days(wrong_from=TROUBLE, applied=3600.0))
    (corrected,) = of_topic(right, "clock")
    assert corrected.text.endswith("corrected on 30 of 30 compared days")
    assert corrected.weight < found.weight


def test_nothing_is_told_where_nothing_is_wrong(tmp_path: Path) -> None:
    star = star_of(
        tmp_path,
        exams(),
        fact_device_span=spans(down=(20, 90, 150)),
        fact_device_clock=clock_days(wrong_from=999, applied=None),
    )
    assert findings(star, AS_OF, EVERYTHING) == []
