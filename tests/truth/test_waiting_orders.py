"""The waiting list of a simulated hospital against the simulator's own log: the same orders, counted by age and modality."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from tests.truth.test_demo_measures import Hospital, hospital
from warehouse.scope import EVERYTHING
from warehouse.waiting import AGE_BANDS, waiting

__all__ = ["hospital"]
STALE_DAYS = 180


def test_the_same_orders_wait_as_the_log_says(hospital: Hospital) -> None:
    ends = hospital.log.data_ends
    found = waiting(hospital.star, hospital.filters, EVERYTHING, ends, STALE_DAYS)
    told = Counter(zip(found["modality"], found["band"], strict=True))
    latest = {one.exam.number: one for one in hospital.log.slots}
    expected: Counter[tuple[str, str]] = Counter()
    for exam in hospital.log.exams:
        ordered, slot = exam.times.get("ordered"), latest.get(exam.number)
        moved_on = exam.state or exam.is_performed or "arrived" in exam.times or (slot and slot.outcome == "no_show")
        if not exam.has_order or moved_on or exam.is_phantom or ordered is None or ordered > ends:
            continue
        ahead = slot is not None and slot.starts > ends
        if ordered < ends - timedelta(days=STALE_DAYS) and not ahead:
            continue
        waited = (ends - ordered).total_seconds() / 86_400
        expected[exam.modality, next(name for name, below in AGE_BANDS if waited < below)] += 1
    assert told == expected
    assert sum(told.values()) > 100
