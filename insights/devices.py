"""What the data says of the scanners themselves: clocks that are off, one machine under two names, comings and goings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Literal

import polars as pl

_NOW_DAYS = 7
"""Compared days whose median is the clock's offset now."""
_SMOOTH_DAYS = 3
"""Compared days whose running median tells since when: one odd day begins nothing."""
_LEAST_DAYS = 3
"""Compared days that a clock must be off: less is the noise of few exams."""
QUIET_DAYS = 14
"""A station that shows nothing for so long has vanished; one seen again is no new one."""
_NO_SERIALS = frozenset({"", "0", "00000", "NONE", "UNKNOWN", "N/A", "NA", "SN", "SERIAL", "TEST", "12345"})
"""What stands where no serial number was entered."""


@dataclass(frozen=True)
class Clock:
    """One scanner's clock over the days on which it could be compared."""

    device_id: str
    days: tuple[date, ...]
    offsets_s: tuple[float, ...]
    """What has to be added to the scanner's times, a day."""
    now_s: float
    """The same now: the median of the latest compared days."""
    since: date | None
    """First day of the stretch, up to now, in which it is off; None where it is right."""
    applied_s: float | None
    """What was added on the latest compared day."""
    rule: str | None
    """whole_hours or approved, of that day."""
    corrected: tuple[date, ...]
    """Days on which something was added."""
    is_open: bool
    """Off now, and not corrected."""

    @property
    def is_off(self) -> bool:
        """Whether the clock is off now."""
        return self.since is not None

    @property
    def left_s(self) -> float:
        """What is not corrected."""
        return self.now_s - (self.applied_s or 0.0)


def clocks(frame: pl.DataFrame, flag_s: float) -> list[Clock]:
    """Every scanner's clock, the one with the most left to correct first.

    Args:
        frame: `device_id, local_day, offset_s, applied_s, rule`.
        flag_s: seconds beyond which a clock is called wrong.
    """
    parts = frame.sort("device_id", "local_day").partition_by("device_id", maintain_order=True)
    found = (_clock(part, flag_s) for part in parts)
    return sorted(found, key=lambda one: (-abs(one.left_s), -abs(one.now_s), one.device_id))


def _clock(rows: pl.DataFrame, flag_s: float) -> Clock:
    days, offsets = tuple(rows["local_day"].to_list()), tuple(rows["offset_s"].to_list())
    now = median(offsets[-_NOW_DAYS:])
    last = rows.row(-1, named=True)
    since = _off_since(days, offsets, flag_s) if abs(now) > flag_s else None
    corrected = tuple(rows.filter(pl.col("applied_s").is_not_null())["local_day"].to_list())
    is_open = since is not None and abs(now - (last["applied_s"] or 0.0)) > flag_s
    return Clock(last["device_id"], days, offsets, now, since, last["applied_s"], last["rule"], corrected, is_open)


def _off_since(days: Sequence[date], offsets: Sequence[float], flag_s: float) -> date | None:
    """The first day of the stretch to the end in which the running median stays off, on the same side; None if short."""
    side = 1.0 if median(offsets[-_NOW_DAYS:]) > 0 else -1.0
    half = _SMOOTH_DAYS // 2
    first = len(days) - 1
    for index in range(len(days) - 1, -1, -1):
        around = offsets[max(0, index - half) : index + half + 1]
        if side * median(around) <= flag_s:
            break
        first = index
    return days[first] if len(days) - first >= _LEAST_DAYS else None


@dataclass(frozen=True)
class Doubt:
    """Versions of devices that may be one machine, or one name of two."""

    kind: Literal["same serial at two stations", "same station with two serials"]
    site_key: int
    what: str
    """The serial number, or the station name."""
    device_keys: tuple[int, ...]


def doubtful_devices(devices: pl.DataFrame) -> list[Doubt]:
    """Candidates for one machine under two names, and for two machines under one.

    Args:
        devices: `device_key, device_id, site_key, serial, station` of every version.
    """
    known = devices.filter(pl.col("device_key") != 0).with_columns(
        pl.col("serial").fill_null("").str.strip_chars().str.to_uppercase(),
        pl.col("station").fill_null("").str.strip_chars().str.to_uppercase(),
    )
    with_serial = known.filter(~pl.col("serial").is_in(list(_NO_SERIALS)))
    twice = with_serial.filter((pl.col("station") != "") & (pl.col("station").n_unique().over("serial") > 1))
    shared = with_serial.filter(
        (pl.col("station") != "") & (pl.col("serial").n_unique().over("site_key", "station") > 1)
    )
    return [
        *(
            Doubt("same serial at two stations", int(part["site_key"][0]), part["serial"][0], _keys(part))
            for part in twice.sort("serial").partition_by("serial", maintain_order=True)
        ),
        *(
            Doubt("same station with two serials", int(part["site_key"][0]), part["station"][0], _keys(part))
            for part in shared.sort("site_key", "station").partition_by("site_key", "station", maintain_order=True)
        ),
    ]


@dataclass(frozen=True)
class Moved:
    """A device that came or went in a period."""

    device_id: str
    what: Literal["appeared", "vanished"]
    at: datetime


def moved(devices: pl.DataFrame, start: date, end: date, data_from: date | None) -> list[Moved]:
    """Devices first seen in the period, and devices not seen for long at its end, the latest first.

    Args:
        devices: `device_id, valid_from, last_seen` of every version.
        data_from: first day of the data; what is there from the start did not appear.
    """
    spans = (
        devices.filter(pl.col("device_id") != "unknown")
        .group_by("device_id")
        .agg(pl.col("valid_from").min(), pl.col("last_seen").max())
    )
    found: list[Moved] = []
    for row in spans.iter_rows(named=True):
        first, last = row["valid_from"], row["last_seen"]
        began = data_from + timedelta(days=QUIET_DAYS) if data_from else start
        if first is not None and max(start, began) <= first.date() <= end:
            found.append(Moved(row["device_id"], "appeared", first))
        if last is not None and start <= last.date() <= end - timedelta(days=QUIET_DAYS):
            found.append(Moved(row["device_id"], "vanished", last))
    return sorted(found, key=lambda one: (one.at, one.device_id), reverse=True)


def _keys(part: pl.DataFrame) -> tuple[int, ...]:
    return tuple(sorted(part["device_key"].to_list()))
