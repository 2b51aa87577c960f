"""For how many hours scanners are staffed: as many as the volume of a scale fills well.

A network at a twelfth of its size does not keep its scanners staffed from seven to ten. Scanners of rare exams have
sessions on some weekdays; those that serve emergencies run day and night, and are staffed for a shift.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np

from etl.demo.arrivals import no_show_rate
from etl.demo.booking import SLOT_MINUTES
from etl.demo.calibration import spread
from etl.demo.network import ALWAYS, SITE_BY_CODE, Device, Hours, site_mix
from etl.demo.procedures import BY_MODALITY, CLASS_INDEX, PROCEDURES
from etl.demo.stories import Story, of_kind

FILLED, SLOTS_FILLED = 0.65, 0.85
"""Share of the staffed time that the usual volume takes, and of the slots that are kept: proposals."""
IN_SHIFT = {"E": 0.5, "I": 0.65, "O": 1.0}
"""Share of each class that is examined in the day's shift of a scanner that never closes."""
SHORTEST, SHORTEST_SHIFT, LONGEST_SHIFT = 240.0, 300.0, 12 * 60.0
"""Minutes of a session, and least and most of the shift of a scanner that never closes."""
SESSIONS = {1: (3,), 2: (2, 4), 3: (1, 3, 5), 4: (1, 2, 4, 5), 5: (1, 2, 3, 4, 5)}
"""Weekdays by how many there are."""
CHANGE_MINUTES = {"NM": 10.0, "PT": 10.0, "RF": 10.0}
"""Between two patients where the calibration says nothing."""


def staffed(fleet: tuple[Device, ...], scale: float, stories: tuple[Story, ...] = ()) -> tuple[Device, ...]:
    """The scanners with their staffed hours; the one of the story of idle evenings stays staffed until it used to close."""
    idle = of_kind(stories, "idle_evenings")
    made = []
    for device in fleet:
        peers = [d.index for d in fleet if d.site == device.site and d.modality == device.modality]
        hours = _hours(device, peers.index(device.index), len(peers), scale)
        if idle is not None and idle.device == device.station:
            hours = _until_evening(device, hours, float(idle.more["from_hour"]))
        made.append(replace(device, staffed=hours))
    return tuple(made)


def _hours(device: Device, place: int, peers: int, scale: float) -> Hours:
    """Hours of the place-th of several like scanners."""
    weekly = _weekly_minutes(device, scale)
    if device.hours != ALWAYS:
        return _sessions(device.hours, weekly / peers, daily=device.modality == "XR")
    days = ALWAYS.weekdays if weekly > 7 * SHORTEST_SHIFT else SESSIONS[5]
    shift = min(max(weekly / len(days), SHORTEST_SHIFT), LONGEST_SHIFT)
    if place == 0:
        return Hours(8.0, 8.0 + _half_hours(shift), days)
    rest = max(0.0, weekly - len(days) * shift) / (peers - 1)
    return _sessions(Hours(8.0, 18.0, SESSIONS[5]), max(rest, 2 * SHORTEST), daily=False)


def _sessions(most: Hours, minutes: float, *, daily: bool) -> Hours:
    """So many minutes a week within the widest hours: every day, or in longer sessions on fewer days."""
    days = most.weekdays
    while not daily and minutes / len(days) < SHORTEST and len(days) > 1:
        days = SESSIONS[min(len(days) - 1, 5)]
    length = min(_half_hours(max(minutes / len(days), SHORTEST)), most.closes - most.opens)
    return Hours(most.opens, most.opens + length, days)


def _half_hours(minutes: float) -> float:
    """Hours, rounded up to the half."""
    return ceil(minutes / 30) / 2


def _until_evening(device: Device, hours: Hours, from_hour: float) -> Hours:
    """Every weekday until the old closing time, with the same work before the hour at which nothing is booked any more."""
    week = (hours.closes - hours.opens) * len(hours.weekdays)
    opens = max(device.hours.opens, from_hour - max(3.0, _half_hours(week * 60 / 5)))
    return Hours(opens, device.hours.closes, SESSIONS[5])


def _weekly_minutes(device: Device, scale: float) -> float:
    """Staffed minutes a week that the scanners of a site and modality need: for exams, and for the slots of outpatients."""
    site = SITE_BY_CODE[device.site]
    exams, slots = 0.0, 0.0
    for (patient_class, modality), share in site_mix(site).items():
        if modality != device.modality:
            continue
        weekly = site.exams_a_year * scale / 365 * 7 * share
        present = IN_SHIFT[patient_class] if device.hours == ALWAYS else 1.0
        exams += weekly * present * _room_minutes(modality, patient_class)
        if patient_class == "O" and modality != "XR":
            slots = weekly / (1 - no_show_rate(modality)) * SLOT_MINUTES[modality]
    return max(exams / FILLED, slots / SLOTS_FILLED)


def _room_minutes(modality: str, patient_class: str) -> float:
    """Mean minutes of an exam with the change of patients."""
    choices = [PROCEDURES[c] for c in BY_MODALITY[modality]]
    weights = np.array([p.weights[CLASS_INDEX[patient_class]] for p in choices])
    rows = [spread("machine_minutes", p.duration) for p in choices]
    means = np.array([row.median * np.exp(row.sigma**2 / 2) for row in rows])
    change = CHANGE_MINUTES.get(modality) or spread("gap_minutes", modality).median
    return float((means * weights).sum() / weights.sum()) + change
