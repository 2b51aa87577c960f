"""The planted stories: what goes wrong where, from when, by how much. All drawn from the seed, all written to the truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from etl.demo.network import SITE_BY_CODE, Device


@dataclass(frozen=True)
class Story:
    """One planted change."""

    kind: str
    site: str | None
    starts_on: date
    ends_on: date | None
    """First day that is as before again; None where it lasts until the end of the history."""
    size: float
    unit: str
    text: str
    device: str | None = None
    protocol: str | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def holds(self, day: date) -> bool:
        """Whether the story is on at a day."""
        return self.starts_on <= day and (self.ends_on is None or day < self.ends_on)

    def as_truth(self) -> dict[str, Any]:
        """The entry of `truth.json`."""
        return {
            "kind": self.kind,
            "site": self.site,
            "device": self.device,
            "protocol": self.protocol,
            **self.more,
            "starts_on": self.starts_on.isoformat(),
            "ends_on": self.ends_on.isoformat() if self.ends_on else None,
            "size": self.size,
            "unit": self.unit,
            "text": self.text,
        }


class _Draw:
    """Draws for the plan: one generator, helpers for days within the history."""

    def __init__(self, seed: int, until: date, days: int, fleet: tuple[Device, ...]) -> None:
        self.rng = np.random.default_rng([seed, 1])
        self.until, self.days, self.fleet = until, days, fleet
        self.used: set[int] = set()

    def day(self, low: float, high: float) -> date:
        """A day between two shares of the history."""
        return self.until - timedelta(days=round(self.days * (1 - self.rng.uniform(low, high))))

    def length(self, low: int, high: int) -> timedelta:
        """A length in days, at most a quarter of the history."""
        return timedelta(days=max(2, min(int(self.rng.integers(low, high + 1)), self.days // 4)))

    def device(self, *modalities: str) -> Device:
        """A scanner of one of the modalities, if possible one that no other story has."""
        fits = [d for d in self.fleet if d.modality in modalities]
        free = [d for d in fits if d.index not in self.used] or fits
        chosen = free[int(self.rng.integers(len(free)))]
        self.used.add(chosen.index)
        return chosen

    def pick(self, values: tuple[str, ...]) -> str:
        """One of the values."""
        return values[int(self.rng.integers(len(values)))]

    def size(self, low: float, high: float) -> float:
        """A size, to two decimals."""
        return round(float(self.rng.uniform(low, high)), 2)


def plan(seed: int, until: date, days: int, fleet: tuple[Device, ...]) -> tuple[Story, ...]:
    """The stories of one seed."""
    draw = _Draw(seed, until, days, fleet)
    makers = (
        _dose_step,
        _slow_section,
        _failing_scanner,
        _demand_spike,
        _idle_evenings,
        _clock,
        _worklist,
        _lost_reports,
        _unbilled,
        _dose_drop,
    )
    return tuple(story for make in makers if (story := make(draw)) is not None)


def next_version(software: str) -> str:
    """The version after an upgrade: its last number raised."""
    digits = len(software) - len(software.rstrip("0123456789"))
    return software[: len(software) - digits] + str(int(software[len(software) - digits :] or 0) + 1)


def _dose_step(draw: _Draw) -> Story:
    device, starts, size = draw.device("CT"), draw.day(0.45, 0.8), draw.size(0.15, 0.45)
    protocol = draw.pick(("HEAD ROUTINE", "CHEST ROUTINE", "ABD PELVIS ROUTINE"))
    after = next_version(device.software)
    return Story(
        "protocol_dose_step",
        device.site,
        starts,
        None,
        size,
        "share of CTDIvol",
        f"After the software upgrade of {device.station} the dose of {protocol} rose by {size:.0%}.",
        device.station,
        protocol,
        {"measure": "ctdivol_mgy", "software_before": device.software, "software_after": after},
    )


def _slow_section(draw: _Draw) -> Story:
    section, starts, size = draw.pick(("neuro", "msk")), draw.day(0.5, 0.75), draw.size(0.25, 0.4)
    return Story(
        "slow_subspecialty",
        None,
        starts,
        None,
        size,
        "share of reader hours lost",
        f"The {section} section lost {size:.0%} of its reading hours; outpatient MR reports take longer.",
        more={"section": section, "modality": "MR"},
    )


def _failing_scanner(draw: _Draw) -> Story:
    device, starts = draw.device("CT", "MR", "XR"), draw.day(0.55, 0.8)
    ends = starts + draw.length(40, 70)
    final_days = draw.size(3, 7)
    return Story(
        "failing_scanner",
        device.site,
        starts,
        ends,
        final_days,
        "days of the last outage",
        f"{device.station} failed more and more often, then stood still for {final_days:.1f} days.",
        device.station,
        more={"modality": device.modality},
    )


def _demand_spike(draw: _Draw) -> Story:
    site, starts, size = draw.pick(("TEACH", "COMM")), draw.day(0.3, 0.85), draw.size(0.5, 1.2)
    return Story(
        "demand_spike",
        site,
        starts,
        starts + draw.length(14, 28),
        size,
        "share more exams",
        f"A respiratory wave brought {size:.0%} more emergency chest exams.",
        more={"patient_class": "ED", "body_part": "CHEST", "modalities": ["XR", "CT"]},
    )


def _idle_evenings(draw: _Draw) -> Story:
    device, hour = draw.device("MR"), float(draw.rng.integers(16, 18))
    starts = draw.day(0.0, 0.5)
    hours = device.hours.closes - hour
    return Story(
        "idle_evenings",
        device.site,
        starts,
        None,
        hours,
        "hours each weekday",
        f"{device.station} is staffed until {device.hours.closes:.0f}:00, but nothing is booked after {hour:.0f}:00.",
        device.station,
        more={"modality": "MR", "from_hour": int(hour)},
    )


def summer_time(zone: ZoneInfo, first: date, last: date) -> date | None:
    """The latest day on which clocks go forward in a zone between two days."""
    day = last
    while day > first:
        before, after = (
            datetime(d.year, d.month, d.day, tzinfo=zone).utcoffset() for d in (day, day + timedelta(days=1))
        )
        if before is not None and after is not None and after > before:
            return day
        day -= timedelta(days=1)
    return None


def _clock(draw: _Draw) -> Story | None:
    device = draw.device("XR", "US", "MR", "CT")
    starts = summer_time(
        SITE_BY_CODE[device.site].zone, draw.until - timedelta(days=draw.days), draw.until - timedelta(days=3)
    )
    length = draw.length(30, 90)
    if starts is None:
        return None
    ends = starts + length if starts + length < draw.until else None
    return Story(
        "clock_off",
        device.site,
        starts,
        ends,
        -3600,
        "s",
        f"The clock of {device.station} was not put forward with summer time: its images are an hour early.",
        device.station,
        more={"modality": device.modality},
    )


def _worklist(draw: _Draw) -> Story:
    device, starts, size = draw.device("XR", "US", "CT"), draw.day(0.4, 0.92), draw.size(0.35, 0.7)
    return Story(
        "wrong_worklist",
        device.site,
        starts,
        starts + draw.length(5, 14),
        size,
        "share of exams",
        f"At {device.station} {size:.0%} of the exams were made under another patient's worklist entry.",
        device.station,
        more={"modality": device.modality, "device_index": device.index},
    )


def _lost_reports(draw: _Draw) -> Story:
    device, starts = draw.device("CT"), draw.day(0.3, 0.92)
    return Story(
        "lost_dose_reports",
        device.site,
        starts,
        starts + draw.length(6, 21),
        1.0,
        "share of exams",
        f"{device.station} sent no dose reports.",
        device.station,
        more={"modality": "CT"},
    )


def _unbilled(draw: _Draw) -> Story:
    modality, starts, size = draw.pick(("CT", "MR", "US")), draw.day(0.35, 0.85), draw.size(0.6, 1.0)
    sites = tuple(sorted({d.site for d in draw.fleet if d.modality == modality}))
    site = draw.pick(sites)
    return Story(
        "unbilled_exams",
        site,
        starts,
        starts + draw.length(14, 35),
        size,
        "share of exams",
        f"{size:.0%} of the {modality} exams at {site} were never charged.",
        more={"modality": modality},
    )


def _dose_drop(draw: _Draw) -> Story:
    device, starts, size = draw.device("CT"), draw.day(0.5, 0.85), draw.size(0.15, 0.3)
    protocol = draw.pick(("HEAD ROUTINE", "CHEST ROUTINE", "ABD PELVIS ROUTINE"))
    return Story(
        "protocol_dose_drop",
        device.site,
        starts,
        None,
        -size,
        "share of CTDIvol",
        f"At {device.station} the dose of {protocol} was lowered by {size:.0%} on purpose.",
        device.station,
        protocol,
        {"measure": "ctdivol_mgy"},
    )


def utc_midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which a local day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def of_kind(stories: tuple[Story, ...], kind: str) -> Story | None:
    """The story of one kind, if this seed has it."""
    return next((story for story in stories if story.kind == kind), None)
