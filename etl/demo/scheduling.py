"""From orders to exams: appointments, no-shows, and scanners as resources that are used one patient at a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from etl.demo.arrivals import CLASSES, Orders, no_show_rate, wished_day
from etl.demo.booking import Book
from etl.demo.calibration import rate, spread
from etl.demo.clocks import DAY, Minutes, SiteClock, day_number, hour, weekday
from etl.demo.network import SITES, Device
from etl.demo.outages import Outage
from etl.demo.procedures import PROCEDURES
from etl.demo.stories import Story

NEVER = np.nan


class Outcome(IntEnum):
    """How an order ended."""

    PERFORMED = 0
    CANCELLED = 1
    NO_SHOW = 2
    DISCONTINUED = 3


@dataclass
class Visits:
    """Columns beside `Orders`: what happened at the scanner; NaN where it did not happen."""

    outcome: np.ndarray[tuple[int], np.dtype[np.int64]]
    device: np.ndarray[tuple[int], np.dtype[np.int64]]
    booked: Minutes
    first_scheduled: Minutes
    scheduled: Minutes
    moved: Minutes
    cancelled: Minutes
    arrived: Minutes
    started: Minutes
    ended: Minutes
    completed: Minutes


def empty_visits(n: int) -> Visits:
    """Columns in which nothing has happened yet."""
    times = [np.full(n, NEVER) for _ in range(9)]
    return Visits(np.zeros(n, dtype=np.int64), np.full(n, -1), *times)


def schedule(
    rng: np.random.Generator,
    orders: Orders,
    fleet: tuple[Device, ...],
    clocks: dict[str, SiteClock],
    outages: list[list[Outage]],
    stories: tuple[Story, ...],
) -> Visits:
    """What became of every order."""
    visits = empty_visits(len(orders))
    _book(rng, orders, visits, fleet, clocks, stories)
    ready = _ready_times(rng, orders, visits, clocks)
    _run(rng, orders, visits, ready, Scanners(fleet, clocks, outages))
    return visits


def _book(
    rng: np.random.Generator,
    orders: Orders,
    visits: Visits,
    fleet: tuple[Device, ...],
    clocks: dict[str, SiteClock],
    stories: tuple[Story, ...],
) -> None:
    """Gives outpatients their appointments, and draws who moves, cancels or stays away."""
    books: dict[tuple[int, str], Book] = {}
    luck = rng.uniform(0, 1, (len(orders), 4))
    for i in np.flatnonzero(orders.patient_class == 2):
        procedure, site = PROCEDURES[orders.procedure[i]], SITES[orders.site[i]]
        if procedure.modality == "XR":
            continue
        key = (int(orders.site[i]), procedure.modality)
        if key not in books:
            books[key] = Book(
                [d for d in fleet if d.site == site.code and d.modality == procedure.modality],
                clocks[site.code],
                stories,
            )
        wished = day_number(wished_day(orders.ordered[i], orders.lead_days[i]))
        taken = books[key].take(wished, orders.ordered[i] + 45, rng)
        if taken is None:
            visits.outcome[i], visits.cancelled[i] = Outcome.CANCELLED, orders.ordered[i] + DAY
            continue
        visits.device[i], visits.scheduled[i] = taken
        visits.booked[i] = orders.ordered[i] + min(
            60 * 20 * luck[i, 0] ** 2, (visits.scheduled[i] - orders.ordered[i]) / 2
        )
        visits.first_scheduled[i] = visits.scheduled[i]
        _draw_fate(visits, i, procedure.modality, luck[i])


def _draw_fate(visits: Visits, i: np.int64, modality: str, luck: Minutes) -> None:
    """Moved, cancelled, not shown up, or neither."""
    ahead = visits.scheduled[i] - visits.booked[i]
    if luck[1] < 0.06:
        visits.first_scheduled[i] += round((luck[2] - 0.3) * 6) * DAY
        visits.moved[i] = visits.booked[i] + ahead * 0.6 * luck[3]
    if luck[2] < rate("cancel all", "cancel_rate"):
        visits.outcome[i] = Outcome.CANCELLED
        visits.cancelled[i] = visits.booked[i] + ahead * (0.62 + 0.38 * luck[3] ** 0.5)
    elif luck[2] > 1 - no_show_rate(modality):
        visits.outcome[i], visits.cancelled[i] = Outcome.NO_SHOW, visits.scheduled[i] + 30 + 30 * luck[3]


def _ready_times(rng: np.random.Generator, orders: Orders, visits: Visits, clocks: dict[str, SiteClock]) -> Minutes:
    """When the patient could lie on the scanner: arrival of outpatients, order and preparation of all others."""
    n = len(orders)
    modality = np.array([p.modality for p in PROCEDURES])[orders.procedure]
    ready = orders.ordered + np.exp(rng.normal(np.log(60 * 24 * 0.45), 1.2, n))
    for name in ("XR", "CT", "US", "MR"):
        row = spread("order_to_start", f"ED {name}")
        mine = (orders.patient_class == 0) & (modality == name)
        ready[mine] = orders.ordered[mine] + np.exp(rng.normal(row.mu, row.sigma, int(mine.sum()))) * 0.93
    portable = (orders.patient_class == 1) & (modality == "XR")
    ready[portable] = orders.ordered[portable] + np.exp(rng.normal(np.log(200), 1.1, int(portable.sum())))
    walk_in = (orders.patient_class == 2) & (modality == "XR")
    ready[walk_in] = orders.ordered[walk_in] + 20 + orders.lead_days[walk_in] * DAY
    for i in np.flatnonzero(walk_in):
        ready[i] = _office_hours(ready[i], clocks[SITES[orders.site[i]].code])
    booked = ~np.isnan(visits.scheduled)
    ready[booked] = visits.scheduled[booked] + rng.normal(-11, 11, int(booked.sum()))
    visits.arrived = np.where(booked, ready, ready - np.exp(rng.normal(np.log(9), 0.5, n)))
    visits.arrived = np.maximum(visits.arrived, orders.ordered + 1)
    return np.where(booked, np.maximum(ready + 4, visits.scheduled - 10), np.maximum(ready, orders.ordered + 3))


def _office_hours(at: float, clock: SiteClock) -> float:
    """The time moved into weekday office hours: walk-in patients come in the daytime."""
    local = clock.local(at)
    if weekday(local) > 5:
        local += (8 - weekday(local)) * DAY
    if not 8 <= hour(local) < 17:
        local = local // DAY * DAY + 8 * 60 + (local * 7.3) % 530
    return clock.utc(local)


class Scanners:
    """Scanners in time: when each is free, open and working."""

    def __init__(self, fleet: tuple[Device, ...], clocks: dict[str, SiteClock], outages: list[list[Outage]]) -> None:
        self.fleet, self._clocks, self.outages = fleet, clocks, outages
        self.free = [0.0] * len(fleet)
        self.by_place = {
            (n, m): [d.index for d in fleet if d.site == s.code and d.modality == m]
            for n, s in enumerate(SITES)
            for m in {d.modality for d in fleet}
        }

    def possible(self, index: int, at: float) -> float:
        """The first minute from `at` on at which a scanner is free, staffed and in order."""
        at = max(at, self.free[index])
        device, clock = self.fleet[index], self._clocks[self.fleet[index].site]
        for _ in range(60):
            local = clock.local(at)
            if not device.is_open(weekday(local), hour(local)):
                next_day = hour(local) >= device.hours.opens
                at = clock.utc((local // DAY + next_day) * DAY + device.hours.opens * 60)
                continue
            down = next((o for o in self.outages[index] if o.starts <= at < o.ends), None)
            if down is None:
                return at
            at = down.ends
        return at

    def fails_within(self, index: int, start: float, minutes: float) -> float | None:
        """The minute at which the scanner breaks down during an exam."""
        return next(
            (o.starts for o in self.outages[index] if not o.planned and start < o.starts < start + minutes), None
        )


def _run(rng: np.random.Generator, orders: Orders, visits: Visits, ready: Minutes, scanners: Scanners) -> None:
    """Puts the patients on the scanners in the order in which they are ready."""
    durations, gaps = _durations(rng, orders), _gaps(rng, orders)
    broken_off = rng.uniform(0, 1, len(orders)) < rate("DISCONTINUED share of MPPS")
    lag = np.exp(rng.normal(np.log(4), 0.7, len(orders)))
    coming = np.flatnonzero(visits.outcome == Outcome.PERFORMED)
    for i in coming[np.argsort(ready[coming], kind="stable")]:
        index, start = _choose(orders, visits, int(i), float(ready[i]), scanners)
        if orders.patient_class[i] == 2 and not np.isnan(visits.scheduled[i]) and start > ready[i] + 300:
            visits.outcome[i], visits.cancelled[i], visits.arrived[i] = Outcome.CANCELLED, ready[i], NEVER
            continue
        minutes = float(durations[i])
        failure = scanners.fails_within(index, start, minutes)
        if failure is not None or broken_off[i]:
            minutes = (failure - start) if failure is not None else minutes * 0.4
            visits.outcome[i] = Outcome.DISCONTINUED
        visits.device[i], visits.started[i], visits.ended[i] = index, start, start + minutes
        visits.completed[i] = start + minutes + lag[i]
        visits.arrived[i] = min(visits.arrived[i], start - 2)
        scanners.free[index] = start + minutes + float(gaps[i])


def _choose(orders: Orders, visits: Visits, i: int, ready: float, scanners: Scanners) -> tuple[int, float]:
    """The booked scanner unless it is late, else the one that is possible first; emergencies prefer the first of a kind."""
    modality = PROCEDURES[orders.procedure[i]].modality
    booked = int(visits.device[i])
    if booked >= 0 and (start := scanners.possible(booked, ready)) < ready + 90:
        return booked, start
    candidates = scanners.by_place[int(orders.site[i]), modality]
    if CLASSES[orders.patient_class[i]] == "O":
        candidates = candidates[::-1]
    return min(((index, scanners.possible(index, ready)) for index in candidates), key=lambda found: found[1])


def _durations(rng: np.random.Generator, orders: Orders) -> Minutes:
    """Machine minutes by procedure."""
    rows = [spread("machine_minutes", p.duration) for p in PROCEDURES]
    mu, sigma = np.array([r.mu for r in rows]), np.array([r.sigma for r in rows])
    return np.exp(rng.normal(mu[orders.procedure], sigma[orders.procedure]))


def _gaps(rng: np.random.Generator, orders: Orders) -> Minutes:
    """Minutes between two patients by modality."""
    keys = [p.modality if p.modality in ("CT", "MR", "XR", "US", "MG", "XA") else "MR" for p in PROCEDURES]
    rows = [spread("gap_minutes", key) for key in keys]
    mu, sigma = np.array([r.mu for r in rows]), np.array([min(r.sigma, 0.8) for r in rows])
    return np.exp(rng.normal(mu[orders.procedure], sigma[orders.procedure]))
