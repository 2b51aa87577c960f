"""What becomes of booked slots: kept, moved, cancelled early or late, missed; and what is booked in their place."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from etl.demo.arrivals import Orders, no_show_rate, wished_day
from etl.demo.booking import Book, Slot
from etl.demo.calibration import rate
from etl.demo.clocks import DAY, Minutes, day_number
from etl.demo.procedures import PROCEDURES

MOVED, MOVED_AGAIN, SHORT_NOTICE, LATE_CANCEL = 0.07, 0.12, 0.3, 0.3
"""Shares of first appointments that are moved, of moves that are moved again, of moves and of cancellations within the
last day: proposals, the calibration has none."""
WALKS_IN, BOOKED_ANEW = 0.3, 0.25
"""Shares of missed appointments whose patient comes later the same day, or gets another one."""
LATE_MINUTES = DAY
PULLED_FORWARD, NOTICE_MINUTES, WAITS_DAYS = 0.35, 90, 3
"""Share of slots that fall free at short notice and are offered to somebody with a later one, the notice that this needs,
and how much later the other one must be."""


class SlotEnd(StrEnum):
    """How a slot ended."""

    KEPT = "kept"
    MOVED = "moved"
    CANCELLED = "cancelled"
    LATE_CANCELLED = "late_cancelled"
    NO_SHOW = "no_show"
    BROKEN_OFF = "broken_off"
    OPEN = "open"
    UNRESOLVED = "unresolved"


REASONS = {
    "PATIENT": "Cancelled by patient",
    "PROVIDER": "Cancelled by referrer",
    "CENTRE": "Cancelled by department",
    "EARLIER": "Earlier slot accepted",
}
"""Local reasons of a cancelled or moved appointment (SCH-6)."""


@dataclass
class Diary:
    """Columns of all booked slots, in the order of booking."""

    order: list[int] = field(default_factory=list)
    device: list[int] = field(default_factory=list)
    slot_at: list[float] = field(default_factory=list)
    booked_at: list[float] = field(default_factory=list)
    ended_at: list[float] = field(default_factory=list)
    """When it was moved, cancelled or found missed; NaN otherwise."""
    outcome: list[str] = field(default_factory=list)
    """Empty as long as only the visit can tell."""
    reason: list[str] = field(default_factory=list)

    def add(self, order: int, slot: Slot, booked_at: float) -> int:
        """Books a slot; returns its number."""
        self.order.append(order)
        self.device.append(slot.device)
        self.slot_at.append(slot.at)
        self.booked_at.append(booked_at)
        self.ended_at.append(np.nan)
        self.outcome.append("")
        self.reason.append("")
        return len(self.order) - 1

    def end(self, number: int, outcome: SlotEnd, at: float, reason: str = "") -> None:
        """Ends a slot; of a cancellation the lead time says whether it is a late one."""
        if outcome is SlotEnd.CANCELLED and at > self.slot_at[number] - LATE_MINUTES:
            outcome = SlotEnd.LATE_CANCELLED
        self.outcome[number], self.ended_at[number], self.reason[number] = outcome.value, at, reason


@dataclass
class Plans:
    """Columns beside `Orders`: what the scheduler knows; NaN where it does not apply."""

    device: np.ndarray[tuple[int], np.dtype[np.int64]]
    booked: Minutes
    scheduled: Minutes
    cancelled: Minutes
    missed: Minutes
    walk_in: Minutes
    """When a patient who missed the appointment comes all the same."""
    slot: np.ndarray[tuple[int], np.dtype[np.int64]]
    """Number of the last slot in the diary; -1 without."""


def empty_plans(n: int) -> Plans:
    """Columns in which nothing is planned yet."""
    booked, scheduled, cancelled, missed, walk_in = (np.full(n, np.nan) for _ in range(5))
    return Plans(np.full(n, -1), booked, scheduled, cancelled, missed, walk_in, np.full(n, -1))


class _Step(NamedTuple):
    at: float
    order: int
    kind: str
    slot: int
    """Number of the slot that it is about; the step is void once the order holds another one."""


NO_SLOT = -1


class Scheduler:
    """Books, moves, cancels and books anew in the order of time, so that a slot that falls free can be filled again."""

    def __init__(self, rng: np.random.Generator, orders: Orders, books: dict[tuple[int, str], Book]) -> None:
        self._rng, self._orders, self._books = rng, orders, books
        n = len(orders)
        self._luck = rng.uniform(0, 1, (n, 9))
        self._held: dict[int, tuple[Slot, int]] = {}
        self._holders: dict[tuple[int, str], dict[int, None]] = {key: {} for key in books}
        self.diary = Diary()
        self.plans = empty_plans(n)
        self._queue: list[_Step] = []

    def run(self) -> None:
        """Lives through all appointments."""
        booked = np.flatnonzero(self._orders.patient_class == 2)
        self._queue = [
            _Step(float(self._orders.ordered[i]), int(i), "ask", NO_SLOT)
            for i in booked
            if self._modality(int(i)) != "XR"
        ]
        heapq.heapify(self._queue)
        steps = {
            "ask": self._ask,
            "move": self._move,
            "cancel": self._cancel,
            "miss": self._miss,
            "again": self._again,
        }
        while self._queue:
            step = heapq.heappop(self._queue)
            if step.slot in (NO_SLOT, self._held[step.order][1] if step.order in self._held else NO_SLOT):
                steps[step.kind](step.order, step.at)

    def _place(self, i: int) -> tuple[int, str]:
        """Site and modality: whose book it is."""
        return int(self._orders.site[i]), self._modality(i)

    def _modality(self, i: int) -> str:
        return PROCEDURES[int(self._orders.procedure[i])].modality

    def _take(self, i: int, day: int, not_before: float, booked_at: float | None) -> Slot | None:
        """Gives an order a slot; without a time of booking it is made between order and slot."""
        slot = self._books[self._place(i)].take(day, not_before, self._rng)
        if slot is None:
            return None
        if booked_at is None:
            ordered = float(self._orders.ordered[i])
            booked_at = ordered + min(60 * 20 * self._luck[i, 0] ** 2, (slot.at - ordered) / 2)
        self._hold(i, slot, booked_at)
        return slot

    def _hold(self, i: int, slot: Slot, booked_at: float) -> None:
        self._held[i] = (slot, self.diary.add(i, slot, booked_at))
        self._holders[self._place(i)][i] = None
        self.plans.slot[i], self.plans.device[i], self.plans.scheduled[i] = self._held[i][1], slot.device, slot.at

    def _leave(self, i: int) -> tuple[Slot, int]:
        """Takes an order's slot from it."""
        self._holders[self._place(i)].pop(i)
        return self._held.pop(i)

    def _free(self, i: int, slot: Slot, at: float) -> None:
        """Gives a slot back; at short notice it is offered to somebody who has a later one."""
        place = self._place(i)
        late = slot.at - LATE_MINUTES < at < slot.at - NOTICE_MINUTES
        if late and self._rng.uniform() < PULLED_FORWARD:
            later = [
                other
                for other in self._holders[place]
                if self._held[other][0].at > slot.at + WAITS_DAYS * DAY
                and self.diary.booked_at[self._held[other][1]] < at
            ]
            if later:
                chosen = later[int(self._rng.integers(len(later)))]
                old, number = self._leave(chosen)
                self.diary.end(number, SlotEnd.MOVED, at, "EARLIER")
                self._books[place].give_back(old)
                self._hold(chosen, slot, at)
                return
        self._books[place].give_back(slot)

    def _ask(self, i: int, at: float) -> None:
        """The first appointment."""
        day = day_number(wished_day(at, self._orders.lead_days[i]))
        slot = self._take(i, day, at + 45, None)
        if slot is None:
            self.plans.cancelled[i] = at + DAY
            return
        self.plans.booked[i] = self.diary.booked_at[-1]
        self._plan(i, float(self.plans.booked[i]), self._luck[i, 1] < MOVED)

    def _plan(self, i: int, since: float, moves: bool) -> None:
        """Draws what happens next to the appointment that an order holds."""
        (slot, number), luck = self._held[i], self._luck[i]
        if moves:
            self._later(i, "move", since, slot.at, luck[3], luck[4] < SHORT_NOTICE)
        elif luck[2] < rate("cancel all", "cancel_rate"):
            self._later(i, "cancel", since, slot.at, luck[5], luck[6] < LATE_CANCEL)
        elif luck[2] > 1 - no_show_rate(self._modality(i)):
            heapq.heappush(self._queue, _Step(slot.at + 30 + 30 * luck[3], i, "miss", number))

    def _later(self, i: int, kind: str, since: float, slot_at: float, share: float, late: bool) -> None:
        """Queues a change between the booking and the slot: within its last day, or before it."""
        last_day = max(since, slot_at - LATE_MINUTES)
        low, high = (last_day, slot_at - 20) if late or last_day == since else (since, last_day)
        at = low + (high - low) * (0.02 + 0.96 * share)
        heapq.heappush(self._queue, _Step(at, i, kind, self._held[i][1]))

    def _move(self, i: int, at: float) -> None:
        """Moved to another day, with or without notice."""
        slot, number = self._leave(i)
        reason = "PATIENT" if self._luck[i, 7] < rate("cancel by patient", "cancel_rate") else "CENTRE"
        self.diary.end(number, SlotEnd.MOVED, at, reason)
        self._free(i, slot, at)
        if self._take(i, slot.day + 1 + int(self._luck[i, 8] * 9), at + 45, at) is None:
            self.plans.cancelled[i] = at
            return
        again = self._luck[i, 1] < MOVED * MOVED_AGAIN and self.diary.order.count(i) == 2
        self._plan(i, at, bool(again))

    def _cancel(self, i: int, at: float) -> None:
        """Cancelled by patient, referrer or department."""
        slot, number = self._leave(i)
        by_patient, by_provider = rate("cancel by patient", "cancel_rate"), rate("cancel by provider", "cancel_rate")
        share = self._luck[i, 7]
        reason = "PATIENT" if share < by_patient else "PROVIDER" if share < by_patient + by_provider else "CENTRE"
        self.diary.end(number, SlotEnd.CANCELLED, at, reason)
        self._free(i, slot, at)
        self.plans.cancelled[i] = at

    def _miss(self, i: int, at: float) -> None:
        """The patient did not come; some come later the same day, some get another appointment."""
        slot, number = self._leave(i)
        self.diary.end(number, SlotEnd.NO_SHOW, at)
        share = self._luck[i, 8]
        if share < WALKS_IN:
            self.plans.walk_in[i] = max(at + 10, slot.at + 60 + 180 * self._luck[i, 6])
        elif share < WALKS_IN + BOOKED_ANEW:
            heapq.heappush(self._queue, _Step(at + 60 + 2 * DAY * self._luck[i, 6], i, "again", NO_SLOT))
        self.plans.missed[i] = at

    def _again(self, i: int, at: float) -> None:
        """Another appointment after a missed one, which is kept."""
        if self._take(i, int(at // DAY) + 2, at + 45, at) is not None:
            self.plans.missed[i] = np.nan
