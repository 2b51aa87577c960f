"""Reading as a queue: worklists with sessions, readers who take the most urgent exam first, trainees who sign in batches.

Turnaround is never drawn: it follows from how much is waiting and how many reading hours there are.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from etl.demo.clocks import DAY, Minutes, SiteClock, day_number, hour
from etl.demo.stories import Story, of_kind

SIGNING_HOURS = (7.5, 16.5)
"""When attendings sign what trainees have dictated."""
LATEST_DAYS = 6.0
"""When something waits longer than this, its readers stay on and work through the list."""
ALL_WEEK = (1, 2, 3, 4, 5, 6, 7)
WORKDAYS = (1, 2, 3, 4, 5)


class Worklist(NamedTuple):
    """One queue of exams and the readers behind it."""

    name: str
    weekdays: tuple[int, ...]
    opens: float
    closes: float
    cycle_minutes: float | None
    """How often the readers return to this list; None: once a session."""
    busy: float
    """Share of the reading time that the usual volume fills."""
    trainee_share: float
    readers: int
    """People who take turns."""
    section: str = ""


WORKLISTS: dict[str, Worklist] = {
    w.name: w
    for w in (
        Worklist("ed", ALL_WEEK, 0, 24, 45, 0.62, 0.0, 6, "emergency"),
        Worklist("ed_ct", ALL_WEEK, 0, 24, 30, 0.55, 1.0, 6, "emergency"),
        Worklist("ip_xr", ALL_WEEK, 6, 23, 170, 0.66, 0.0, 5, "chest"),
        Worklist("ip_cross", ALL_WEEK, 6, 24, 100, 0.60, 0.35, 6, "body"),
        Worklist("op_xr", WORKDAYS, 8, 18, None, 0.72, 0.0, 5, "chest"),
        Worklist("op_us", WORKDAYS, 8, 18, 150, 0.70, 0.0, 4, "body"),
        Worklist("op_ct", WORKDAYS, 9, 17, None, 0.78, 0.3, 5, "body"),
        Worklist("op_mr_neuro", WORKDAYS, 9, 17, None, 0.86, 0.3, 4, "neuro"),
        Worklist("op_mr_msk", WORKDAYS, 9, 17, None, 0.86, 0.3, 4, "msk"),
        Worklist("op_mr_body", WORKDAYS, 9, 17, None, 0.84, 0.3, 4, "body"),
        Worklist("breast", (1, 3, 5), 8, 12, None, 0.84, 0.0, 4, "breast"),
        Worklist("nuclear", (1, 2, 4, 5), 9, 13, None, 0.80, 0.3, 3, "nuclear"),
        Worklist("interventional", ALL_WEEK, 7, 22, 120, 0.60, 0.0, 3, "interventional"),
    )
}


def worklist_of(patient_class: str, modality: str, section: str) -> str:
    """The queue that an exam waits in."""
    if modality == "XA":
        return "interventional"
    if modality == "MG":
        return "breast"
    if modality in ("NM", "PT"):
        return "nuclear"
    if patient_class == "E":
        return "ed_ct" if modality in ("CT", "MR") else "ed"
    if patient_class == "I":
        return "ip_xr" if modality == "XR" else "ip_cross"
    if modality == "MR":
        return f"op_mr_{section}"
    return {"XR": "op_xr", "US": "op_us", "RF": "op_us"}.get(modality, "op_ct")


@dataclass(frozen=True)
class Stints:
    """The stretches of time in which a list is worked on, and by how many at once."""

    starts: list[float]
    ends: list[float]
    servers: int


def stints(
    worklist: Worklist, minutes_a_week: float, first: date, last: date, clock: SiteClock, slow: Story | None = None
) -> Stints:
    """Reading time sized for the usual work of a week; a story takes hours away from its start on."""
    hours = worklist.closes - worklist.opens
    offered = hours * 60 * len(worklist.weekdays)
    needed = minutes_a_week / worklist.busy
    servers = max(1, ceil(needed / offered))
    duty = min(1.0, needed / (offered * servers))
    cycle = worklist.cycle_minutes or hours * 60
    starts, ends = [], []
    for day in range(day_number(first), day_number(last) + 1):
        if (day + 3) % 7 + 1 not in worklist.weekdays:
            continue
        less = 1 - slow.size if slow is not None and day >= day_number(slow.starts_on) else 1.0
        for k in range(max(1, int(hours * 60 // cycle))):
            begin = clock.utc(
                day * DAY
                + worklist.opens * 60
                + k * cycle
                + (0 if worklist.cycle_minutes else (day * 53 % 5) * 0.2 * hours * 60 * (1 - duty))
            )
            starts.append(begin)
            ends.append(begin + max(duty * cycle * less, 0.5))
    return Stints(starts, ends, servers)


@dataclass
class Read:
    """When and by whom each exam of a list was read; infinite where never within the stints."""

    started: Minutes
    ended: Minutes
    server: NDArray[np.int64]


def read_queue(ready: Minutes, urgency: NDArray[np.int64], minutes: Minutes, stints: Stints) -> Read:
    """Serves exams: whoever is free takes the most urgent that is ready, oldest first; `ready` must be sorted."""
    n = len(ready)
    read = Read(np.full(n, np.inf), np.full(n, np.inf), np.zeros(n, dtype=np.int64))
    free = [(stints.starts[0], server) for server in range(stints.servers)]
    waiting: list[tuple[int, float, int]] = []
    coming, ready_list, now = 0, ready.tolist(), 0.0
    while coming < n or waiting:
        at, server = heapq.heappop(free)
        at = max(at, now)
        if not waiting and at < ready_list[coming]:
            at = ready_list[coming]
        found = _working(stints, at)
        if found is None:
            break
        at = now = found
        while coming < n and ready_list[coming] <= at:
            heapq.heappush(waiting, (int(urgency[coming]), ready_list[coming], coming))
            coming += 1
        _, since, i = heapq.heappop(waiting)
        pace = 0.5 if at - since > LATEST_DAYS * DAY else 1.0
        read.started[i], read.ended[i], read.server[i] = at, at + float(minutes[i]) * pace, server
        heapq.heappush(free, (read.ended[i], server))
    return read


def _working(stints: Stints, at: float) -> float | None:
    """The first minute from `at` on within a stint; None after the last."""
    k = bisect_right(stints.starts, at) - 1
    if k >= 0 and at < stints.ends[k]:
        return at
    return stints.starts[k + 1] if k + 1 < len(stints.starts) else None


def sign_times(
    rng: np.random.Generator, read_ended: Minutes, by_trainee: NDArray[np.bool_], emergency: bool, clock: SiteClock
) -> Minutes:
    """When reports become final: at once by attendings, in batches at fixed hours for trainees, soon after in the ED's day."""
    final = read_ended + rng.uniform(0.5, 2.5, len(read_ended))
    for i in np.flatnonzero(by_trainee & np.isfinite(read_ended)):
        now = hour(clock.local(float(read_ended[i])))
        if emergency and SIGNING_HOURS[0] <= now < 22:
            final[i] = read_ended[i] + np.exp(rng.normal(np.log(15), 0.8))
            continue
        batch = next((h for h in SIGNING_HOURS if h > now), SIGNING_HOURS[0] + 24)
        final[i] = read_ended[i] + (batch - now) * 60 + rng.uniform(1, 40)
    return final


def slow_story(stories: tuple[Story, ...], worklist: Worklist) -> Story | None:
    """The story that takes reading hours from a list."""
    story = of_kind(stories, "slow_subspecialty")
    return story if story is not None and worklist.name == f"op_mr_{story.more['section']}" else None
