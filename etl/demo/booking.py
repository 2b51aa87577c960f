"""The appointment book: slots of each scanner's day, given out from the wished day on, given back and given out again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from etl.demo.clocks import DAY, SiteClock, day_number, day_of
from etl.demo.network import Device, is_holiday
from etl.demo.outages import Outage
from etl.demo.stories import Story, of_kind

SLOT_MINUTES = {"CT": 20, "MR": 40, "US": 30, "MG": 20, "NM": 60, "PT": 40, "XA": 120, "RF": 30, "XR": 10}
FURTHEST_DAYS = 60


class Slot(NamedTuple):
    """One slot of a scanner's day."""

    device: int
    day: int
    """Local day number."""
    minute: float
    """Of the local day."""
    at: float
    """UTC minute."""


class Book:
    """The appointment book of one site and modality."""

    def __init__(
        self, fleet: list[Device], clock: SiteClock, stops: list[list[Outage]], stories: tuple[Story, ...]
    ) -> None:
        self._fleet, self._clock = fleet, clock
        self._planned = {device.index: [o for o in stops[device.index] if o.planned] for device in fleet}
        self._idle = of_kind(stories, "idle_evenings")
        self._free: dict[tuple[int, int], list[float]] = {}

    def _slots(self, device: Device, day: int, rng: np.random.Generator) -> list[float]:
        """Free slots of a scanner's day in the order in which they are given out: mostly early ones first."""
        weekday = (day + 3) % 7 + 1
        opens, closes = device.staffed.opens, device.staffed.closes
        if weekday == 7 or weekday not in device.staffed.weekdays:
            return []
        if device.closes_on_holidays and is_holiday(day_of(day)):
            return []
        if weekday == 6:
            closes = min(closes, 14.0)
        if self._idle is not None and self._idle.device == device.station and day >= day_number(self._idle.starts_on):
            closes = min(closes, float(self._idle.more["from_hour"]))
        length = SLOT_MINUTES[device.modality]
        slots = np.arange(opens * 60, closes * 60 - length + 1, length)
        taste = rng.uniform(0, 1, len(slots)) + 0.3 * np.arange(len(slots)) / max(1, len(slots))
        return [slot for slot in slots[np.argsort(-taste)].tolist() if not self._is_down(device, day, slot, length)]

    def _is_down(self, device: Device, day: int, minute: float, length: float) -> bool:
        """Whether planned maintenance falls into a slot."""
        stops = self._planned[device.index]
        at = self._clock.utc(day * DAY + minute) if stops else 0.0
        return any(stop.starts < at + length and at < stop.ends for stop in stops)

    def _days(self, day: int, rng: np.random.Generator) -> Iterator[tuple[Device, int, list[float]]]:
        for wished in range(day, day + FURTHEST_DAYS):
            for device in self._fleet:
                key = (device.index, wished)
                if key not in self._free:
                    self._free[key] = self._slots(device, wished, rng)
                yield device, wished, self._free[key]

    def take(self, day: int, not_before: float, rng: np.random.Generator) -> Slot | None:
        """The next free slot from a day on; None where the book is full for two months."""
        for device, wished, free in self._days(day, rng):
            if free:
                at = self._clock.utc(wished * DAY + free[-1])
                if at > not_before:
                    return Slot(device.index, wished, free.pop(), at)
        return None

    def give_back(self, slot: Slot) -> None:
        """Makes a slot free again; who asks next for its day gets it."""
        self._free[slot.device, slot.day].append(slot.minute)
