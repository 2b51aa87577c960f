"""From orders to exams: appointments, no-shows, and scanners as resources that are used one patient at a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from etl.demo.appointments import Diary, Plans, Scheduler, SlotEnd
from etl.demo.arrivals import CLASSES, Orders
from etl.demo.booking import Book
from etl.demo.calibration import rate, spread
from etl.demo.clocks import DAY, Minutes, SiteClock, day_of, hour, weekday
from etl.demo.network import ALWAYS, SITES, Device, is_holiday
from etl.demo.outages import Outage
from etl.demo.procedures import PROCEDURES, STROKE, index_of
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
    scheduled: Minutes
    cancelled: Minutes
    arrived: Minutes
    started: Minutes
    ended: Minutes
    completed: Minutes
    reason: np.ndarray[tuple[int], np.dtype[np.int64]]
    """Why it was broken off, a code of CID 9301; 0 otherwise."""


EQUIPMENT_FAILURE = 110501
BROKEN_OFF = {110505: 0.39, 110515: 0.27, 110513: 0.17, 110503: 0.06, 110506: 0.04, 110502: 0.02, 110501: 0.05}
"""Why exams are broken off where the scanner did not stand still (CID 9301), by share; about 6 % in all are equipment."""


def planned(orders: Orders, plans: Plans) -> Visits:
    """Visits as the scheduler leaves them, before anybody came."""
    n = len(orders)
    arrived, started, ended, completed = (np.full(n, NEVER) for _ in range(4))
    cancelled = np.where(np.isnan(plans.cancelled), plans.missed, plans.cancelled)
    stays_away = np.isnan(plans.cancelled) & ~np.isnan(plans.missed) & np.isnan(plans.walk_in)
    outcome = np.where(~np.isnan(plans.cancelled), Outcome.CANCELLED, np.where(stays_away, Outcome.NO_SHOW, 0))
    return Visits(
        outcome.astype(np.int64),
        plans.device.copy(),
        plans.booked,
        plans.scheduled,
        np.where(outcome == Outcome.PERFORMED, NEVER, cancelled),
        arrived,
        started,
        ended,
        completed,
        np.zeros(n, dtype=np.int64),
    )


def schedule(
    rng: np.random.Generator,
    orders: Orders,
    fleet: tuple[Device, ...],
    clocks: dict[str, SiteClock],
    outages: list[list[Outage]],
    stories: tuple[Story, ...],
) -> tuple[Visits, Diary]:
    """What became of every order, and of every slot that was booked."""
    books = {
        (n, modality): Book(
            [d for d in reversed(fleet) if d.site == site.code and d.modality == modality],
            clocks[site.code],
            outages,
            stories,
        )
        for n, site in enumerate(SITES)
        for modality in {d.modality for d in fleet if d.site == site.code}
    }
    scheduler = Scheduler(rng, orders, books)
    scheduler.run()
    visits = planned(orders, scheduler.plans)
    scanners = Scanners(fleet, clocks, outages)
    ready = _ready_times(rng, orders, visits, scheduler.plans.walk_in, scanners)
    _run(rng, orders, visits, ready, scheduler.plans.walk_in, scanners)
    _close(visits, scheduler)
    return visits, scheduler.diary


def _close(visits: Visits, scheduler: Scheduler) -> None:
    """Writes into the diary how the slots ended that only the visit tells of."""
    diary, slots = scheduler.diary, scheduler.plans.slot
    missed = np.flatnonzero((visits.outcome == Outcome.NO_SHOW) & np.isnan(visits.cancelled))
    visits.cancelled[missed] = scheduler.plans.missed[missed]
    for i in np.flatnonzero(slots >= 0):
        number = int(slots[i])
        if diary.outcome[number]:
            continue
        if visits.outcome[i] == Outcome.CANCELLED:
            diary.end(number, SlotEnd.CANCELLED, float(visits.cancelled[i]), "CENTRE")
        else:
            kept = visits.outcome[i] == Outcome.PERFORMED
            diary.outcome[number] = (SlotEnd.KEPT if kept else SlotEnd.BROKEN_OFF).value


def _ready_times(
    rng: np.random.Generator, orders: Orders, visits: Visits, walk_in_at: Minutes, scanners: Scanners
) -> Minutes:
    """When the patient could lie on the scanner: arrival of outpatients, order and preparation of all others."""
    n = len(orders)
    modality = np.array([p.modality for p in PROCEDURES])[orders.procedure]
    ready = orders.ordered + np.exp(rng.normal(np.log(60 * 24 * 0.45), 1.2, n))
    for name in ("XR", "CT", "US", "MR"):
        row = spread("order_to_start", f"ED {name}")
        mine = (orders.patient_class == 0) & (modality == name)
        ready[mine] = orders.ordered[mine] + np.exp(rng.normal(row.mu, row.sigma, int(mine.sum()))) * 0.93
    row, mine = spread("order_to_start", "stroke CT"), orders.procedure == index_of(STROKE)
    ready[mine] = orders.ordered[mine] + np.exp(rng.normal(row.mu, row.sigma, int(mine.sum()))) * 0.9
    portable = (orders.patient_class == 1) & (modality == "XR")
    ready[portable] = orders.ordered[portable] + np.exp(rng.normal(np.log(200), 1.1, int(portable.sum())))
    walk_in = (orders.patient_class == 2) & (modality == "XR")
    ready[walk_in] = orders.ordered[walk_in] + 20 + orders.lead_days[walk_in] * DAY
    for i in np.flatnonzero(walk_in):
        ready[i] = scanners.office_hours(int(orders.site[i]), ready[i])
    booked = ~np.isnan(visits.scheduled) & np.isnan(walk_in_at)
    ready[booked] = visits.scheduled[booked] + rng.normal(-11, 11, int(booked.sum()))
    ready = np.where(np.isnan(walk_in_at), ready, walk_in_at)
    visits.arrived = np.where(booked, ready, ready - np.exp(rng.normal(np.log(9), 0.5, n)))
    visits.arrived = np.maximum(visits.arrived, orders.ordered + 1)
    return np.where(booked, np.maximum(ready + 4, visits.scheduled - 10), np.maximum(ready, orders.ordered + 3))


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

    def office_hours(self, site: int, at: float) -> float:
        """The time moved into weekday office hours: walk-in patients come while radiography is staffed."""
        clock, device = self._clocks[SITES[site].code], self.fleet[self.by_place[site, "XR"][0]]
        opens, closes = 8.0, 17.0 if device.hours == ALWAYS else device.staffed.closes
        local = clock.local(at)
        if weekday(local) > 5:
            local += (8 - weekday(local)) * DAY
        if not opens <= hour(local) < closes:
            local = local // DAY * DAY + opens * 60 + (local * 7.3) % ((closes - opens) * 60 - 10)
        return clock.utc(local)

    def possible(self, index: int, at: float, patient_class: str) -> float:
        """The first minute from `at` on at which a scanner is free, open to a class of patients and in order."""
        at = max(at, self.free[index])
        device, clock = self.fleet[index], self._clocks[self.fleet[index].site]
        hours = device.hours_for(patient_class)
        for _ in range(60):
            local = clock.local(at)
            if device.closes_on_holidays and is_holiday(day_of(local // DAY)):
                at = clock.utc((local // DAY + 1) * DAY + hours.opens * 60)
                continue
            if not hours.on(weekday(local), hour(local)):
                next_day = hour(local) >= hours.opens
                at = clock.utc((local // DAY + next_day) * DAY + hours.opens * 60)
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


def _run(
    rng: np.random.Generator,
    orders: Orders,
    visits: Visits,
    ready: Minutes,
    walk_in_at: Minutes,
    scanners: Scanners,
) -> None:
    """Puts the patients on the scanners in the order in which they are ready."""
    durations, gaps = _durations(rng, orders), _gaps(rng, orders)
    broken_off = rng.uniform(0, 1, len(orders)) < rate("DISCONTINUED share of MPPS")
    why = rng.choice(list(BROKEN_OFF), size=len(orders), p=list(BROKEN_OFF.values()))
    lag = np.exp(rng.normal(np.log(4), 0.7, len(orders)))
    called = np.exp(rng.normal(np.log(12), 0.6, len(orders)))  # before the start those who lie in the house are called
    coming = np.flatnonzero(visits.outcome == Outcome.PERFORMED)
    for i in coming[np.argsort(ready[coming], kind="stable")]:
        index, start = _choose(orders, visits, int(i), float(ready[i]), scanners)
        if orders.patient_class[i] == 2 and not np.isnan(visits.scheduled[i]) and start > ready[i] + 300:
            walked_in = not np.isnan(walk_in_at[i])
            visits.outcome[i] = Outcome.NO_SHOW if walked_in else Outcome.CANCELLED
            visits.cancelled[i], visits.arrived[i] = NEVER if walked_in else ready[i], NEVER
            continue
        minutes = float(durations[i])
        failure = scanners.fails_within(index, start, minutes)
        if failure is not None or broken_off[i]:
            minutes = (failure - start) if failure is not None else minutes * 0.4
            visits.outcome[i] = Outcome.DISCONTINUED
            visits.reason[i] = EQUIPMENT_FAILURE if failure is not None else why[i]
        visits.device[i], visits.started[i], visits.ended[i] = index, start, start + minutes
        visits.completed[i] = start + minutes + lag[i]
        came = visits.arrived[i] if CLASSES[orders.patient_class[i]] == "O" else start - called[i]
        visits.arrived[i] = min(max(visits.arrived[i], came), start - 2)
        scanners.free[index] = start + minutes + float(gaps[i])


def _choose(orders: Orders, visits: Visits, i: int, ready: float, scanners: Scanners) -> tuple[int, float]:
    """The booked scanner unless it is late, else the one that is possible first; emergencies prefer the first of a kind."""
    modality, patient_class = PROCEDURES[orders.procedure[i]].modality, CLASSES[orders.patient_class[i]]
    booked = int(visits.device[i])
    if booked >= 0 and (start := scanners.possible(booked, ready, patient_class)) < ready + 90:
        return booked, start
    candidates = scanners.by_place[int(orders.site[i]), modality]
    if patient_class != "E":
        candidates = candidates[::-1]
    starts = ((index, scanners.possible(index, ready, patient_class)) for index in candidates)
    return min(starts, key=lambda found: found[1])


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
