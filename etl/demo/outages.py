"""When scanners stand still: planned maintenance, chance failures, and the failing scanner of the story."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import numpy as np

from etl.demo.calibration import rate
from etl.demo.clocks import DAY, SiteClock, day_number
from etl.demo.network import Device
from etl.demo.stories import Story, of_kind

FAILURES_A_YEAR = {"CT": "CT unplanned failures per year", "MR": "MR unplanned failures per year"}


class Outage(NamedTuple):
    """One standstill, UTC minutes."""

    starts: float
    ends: float
    planned: bool


def outages(
    rng: np.random.Generator,
    fleet: tuple[Device, ...],
    first: date,
    last: date,
    clocks: dict[str, SiteClock],
    stories: tuple[Story, ...],
) -> list[list[Outage]]:
    """Standstills of every device in order of time, without overlaps."""
    failing = of_kind(stories, "failing_scanner")
    found = []
    for device in fleet:
        mine = _planned(rng, device, first, last, clocks[device.site]) + _chance(rng, device, first, last)
        if failing is not None and failing.device == device.station:
            mine += _failing(rng, failing, clocks[device.site])
        found.append(_apart(sorted(mine)))
    return found


def _planned(rng: np.random.Generator, device: Device, first: date, last: date, clock: SiteClock) -> list[Outage]:
    """A maintenance morning a quarter: 07:00, four hours (CT, MR) or two."""
    hours = rate("CT preventive maintenance h per quarter") if device.modality in ("CT", "MR", "PT", "XA") else 2.0
    day = day_number(first) + int(rng.integers(5, 80))
    found = []
    while day < day_number(last):
        if (day + 3) % 7 < 5:
            at = clock.utc(day * DAY + 7 * 60)
            found.append(Outage(at, at + hours * 60, True))
            day += 91
        else:
            day += 1
    return found


def _chance(rng: np.random.Generator, device: Device, first: date, last: date) -> list[Outage]:
    """Failures at the calibrated rate, repaired after a log-normal time."""
    a_year = rate(FAILURES_A_YEAR.get(device.modality, "XR room unplanned failures per year"))
    median_h = rate("MR MTTR median h") if device.modality == "MR" else rate("CT MTTR median h")
    span = day_number(last) - day_number(first)
    starts = (day_number(first) + rng.uniform(0, span, rng.poisson(a_year * span / 365))) * DAY
    return [Outage(float(at), float(at + 60 * median_h * np.exp(rng.normal(0, 0.6))), False) for at in starts]


def _failing(rng: np.random.Generator, story: Story, clock: SiteClock) -> list[Outage]:
    """Short failures that come closer and closer and last longer and longer, then the long one."""
    assert story.ends_on is not None
    start, end = clock.utc(day_number(story.starts_on) * DAY), clock.utc(day_number(story.ends_on) * DAY)
    long_start = end - story.size * DAY
    found, at, gap_days = [], start + 8 * 60.0, 6.0
    while at < long_start - DAY:
        share = (at - start) / (long_start - start)
        local = clock.local(at) // DAY * DAY + float(rng.uniform(9, 16)) * 60
        begins = clock.utc(local)
        found.append(Outage(begins, begins + 60 * (0.8 + 5 * share) * float(np.exp(rng.normal(0, 0.3))), False))
        at += max(1.0, gap_days * (1 - share)) * DAY * float(rng.uniform(0.8, 1.2))
    return [*found, Outage(long_start, end, False)]


def _apart(found: list[Outage]) -> list[Outage]:
    """Overlapping standstills joined."""
    joined: list[Outage] = []
    for outage in found:
        if joined and outage.starts <= joined[-1].ends:
            joined[-1] = Outage(
                joined[-1].starts, max(joined[-1].ends, outage.ends), joined[-1].planned and outage.planned
            )
        else:
            joined.append(outage)
    return joined
