"""Outpatient appointments: slots of each scanner's day, filled from the wished day on."""

from __future__ import annotations

import numpy as np

from etl.demo.clocks import DAY, SiteClock, day_number
from etl.demo.network import Device
from etl.demo.stories import Story, of_kind

SLOT_MINUTES = {"CT": 20, "MR": 40, "US": 30, "MG": 20, "NM": 60, "PT": 40, "XA": 120, "RF": 30, "XR": 10}
FURTHEST_DAYS = 60


class Book:
    """The appointment book of one site and modality."""

    def __init__(self, fleet: list[Device], clock: SiteClock, stories: tuple[Story, ...]) -> None:
        self._fleet, self._clock = fleet, clock
        self._idle = of_kind(stories, "idle_evenings")
        self._free: dict[tuple[int, int], list[float]] = {}

    def _slots(self, device: Device, day: int, rng: np.random.Generator) -> list[float]:
        """Free slots of a scanner's day in the order in which they are given out: mostly early ones first."""
        weekday = (day + 3) % 7 + 1
        opens, closes = (
            max(device.hours.opens, 8.0 if device.hours.opens == 0 else 0.0),
            min(device.hours.closes, 18.0 if device.hours.closes == 24 else 24.0),
        )
        if weekday == 7 or (weekday == 6 and not device.hours.saturday):
            return []
        if weekday == 6:
            closes = min(closes, 14.0)
        if self._idle is not None and self._idle.device == device.station and day >= day_number(self._idle.starts_on):
            closes = min(closes, float(self._idle.more["from_hour"]))
        length = SLOT_MINUTES[device.modality]
        slots = np.arange(opens * 60, closes * 60 - length + 1, length)
        taste = rng.uniform(0, 1, len(slots)) + 0.3 * np.arange(len(slots)) / max(1, len(slots))
        return list(slots[np.argsort(-taste)])

    def take(self, day: int, not_before: float, rng: np.random.Generator) -> tuple[int, float] | None:
        """Scanner and UTC minute of the next free slot from a day on; None where the book is full for two months."""
        for wished in range(day, day + FURTHEST_DAYS):
            for device in self._fleet:
                key = (device.index, wished)
                if key not in self._free:
                    self._free[key] = self._slots(device, wished, rng)
                if self._free[key]:
                    at = self._clock.utc(wished * DAY + self._free[key][-1])
                    if at > not_before:
                        self._free[key].pop()
                        return device.index, at
        return None
