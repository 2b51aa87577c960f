"""Orders that wait: who counts, how long, how much work they are, and which pass their target, on rows made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.warehouse.small_star import MONDAY, exam, slot, span, star_of
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.scope import EVERYTHING, Scope
from warehouse.waiting import breaches, days_of_work, waiting

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
FILTERS = Filters(MONDAY, MONDAY)
WAIT_DAYS = {"urgent": 7.0, "routine": 42.0}


def order(key: int, age_days: float, **more: Any) -> dict[str, Any]:
    fields = {"state": "ordered", "is_performed": False, "ordered_at": NOW - timedelta(days=age_days), "machine_minutes": None, "procedure_key": 5}  # fmt: skip
    return exam(key, more.pop("device", "ct2"), NOW, 0, **{**fields, **more})


@pytest.fixture(scope="module")
def star(tmp_path_factory: pytest.TempPathFactory) -> Star:
    folder: Path = tmp_path_factory.mktemp("waiting")
    done = [
        exam(100 + n, "ct2", NOW - timedelta(days=1 + n), 30, procedure_key=5) for n in range(14)
    ]  # 25 scanner minutes each
    orders = [
        order(1, 0.5),
        order(2, 10, priority="urgent"),
        order(3, 41, state="scheduled", scheduled_for_at=NOW + timedelta(days=3)),
        order(4, 20, state="scheduled", scheduled_for_at=NOW + timedelta(days=2)),
        order(5, 200),  # forgotten
        order(6, 30, state="cancelled"),
        order(7, 5, priority="urgent"),
        order(8, -1),  # ordered after the data
        order(9, 3, device="mr1"),
    ]
    # Usual slots of 30 minutes; tomorrow one hour is open on CT 2, so that two can be booked.
    slots = [slot(200 + n, "ct2", NOW - timedelta(days=5 + n), "kept") for n in range(5)]
    tomorrow = MONDAY + timedelta(days=3)
    open_time = [span("ct2", tomorrow, "08:00", "09:00", "idle", None, exam_key=None)]
    procedures = [{"procedure_key": 0, "mapping_status": "unmapped"}, {"procedure_key": 5, "procedure_text": "CT chest", "mapping_status": "unmapped"}]  # fmt: skip
    return star_of(folder, fact_exam=done + orders, fact_appointment=slots, fact_device_span=open_time, dim_procedure=procedures)  # fmt: skip


def test_who_waits_and_how_long(star: Star) -> None:
    found = waiting(star, FILTERS, EVERYTHING, NOW, 180)
    assert found.select("exam_key", "band").rows() == [
        (3, "4–13 weeks"), (4, "1–4 weeks"), (2, "1–4 weeks"), (7, "1–7 days"), (9, "1–7 days"), (1, "up to 1 day"),
    ]  # fmt: skip
    assert dict(found.select("exam_key", "waited_days").iter_rows())[2] == pytest.approx(10)
    assert dict(found.select("exam_key", "minutes").iter_rows())[1] == 25.0
    assert dict(found.select("exam_key", "minutes").iter_rows())[9] is None  # nothing of MR is known


def test_a_stale_order_counts_again_with_a_longer_limit(star: Star) -> None:
    assert 5 in waiting(star, FILTERS, EVERYTHING, NOW, 365)["exam_key"]


def test_days_of_work_are_minutes_by_the_pace(star: Star) -> None:
    orders = waiting(star, FILTERS, EVERYTHING, NOW, 180)
    (ct, mr) = days_of_work(star, orders, FILTERS, EVERYTHING, NOW).to_dicts()
    # Five orders of 25 minutes; 14 exams of 25 minutes in 28 days.
    assert (ct["orders"], ct["unbooked"]) == (5, 3)
    assert ct["hours"] == pytest.approx(5 * 25 / 60)
    assert ct["hours_a_day"] == pytest.approx(14 * 25 / 60 / 28)
    assert ct["days"] == pytest.approx(10)
    assert (mr["modality"], mr["days"]) == ("MR", None)


def test_open_slots_go_by_priority_then_age_and_what_passes_its_target_is_told(star: Star) -> None:
    orders = waiting(star, FILTERS, EVERYTHING, NOW, 180)
    found = {row["exam_key"]: row for row in breaches(star, orders, FILTERS, EVERYTHING, NOW, WAIT_DAYS).to_dicts()}
    first, second = datetime(2026, 3, 5, 8, tzinfo=UTC), datetime(2026, 3, 5, 8, 30, tzinfo=UTC)
    assert found[2]["expected_at"] == first  # urgent and oldest, though late already
    assert found[7]["expected_at"] == second
    assert found[1]["expected_at"] is None  # no third slot is open
    assert {key for key, row in found.items() if row["is_late"]} == {2}
    # 3 is due after one day and booked after three; 7 is due after two and gets a slot after three; 1 and 9 get none.
    assert {key for key, row in found.items() if row["will_breach"]} == {3, 7, 1, 9}
    assert found[4]["will_breach"] is False


def test_another_site_sees_none_of_them(star: Star) -> None:
    assert waiting(star, FILTERS, Scope(sites=frozenset({"NORTH"}), rows=True), NOW, 180).is_empty()
