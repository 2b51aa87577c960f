"""Quality control: phantoms on scanners before the day begins, which nobody orders and nobody reads."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl

from etl.demo.clocks import DAY, Minutes, SiteClock, day_number
from etl.demo.network import Device
from etl.demo.outages import Outage
from etl.demo.procedures import QC, index_of
from etl.demo.scheduling import Outcome

QC_MINUTES, MARGIN_MINUTES = 6.0, 12.0
FIRST_MINUTE = {"CT": 6 * 60 + 10, "MG": 7 * 60 + 15}
"""Of the local day, from which on it is tried."""
WEEKDAYS = {"CT": (1, 2, 3, 4, 5, 6, 7), "MG": (1,)}
"""CT daily with a water phantom, mammography weekly."""


def phantom_exams(
    rng: np.random.Generator,
    exams: pl.DataFrame,
    fleet: tuple[Device, ...],
    clocks: dict[str, SiteClock],
    stops: list[list[Outage]],
    days: tuple[date, date],
    first_patient: int,
) -> pl.DataFrame:
    """Exams of phantoms with the columns of `exams`; the phantom of the n-th such device is patient `first_patient + n`."""
    rows: list[dict[str, Any]] = []
    for number, device in enumerate(tested(fleet)):
        mine = exams.filter((pl.col("device") == device.index) & pl.col("started").is_finite()).sort("started")
        taken = mine["started"].to_numpy(), mine["ended"].to_numpy()
        for day in range(day_number(days[0]), day_number(days[1])):
            if (day + 3) % 7 + 1 not in WEEKDAYS[device.modality]:
                continue
            at = _free_minute(float(rng.uniform(0, 20)), day, device, clocks[device.site], taken, stops[device.index])
            if at is not None:
                rows.append(
                    {
                        "site": device.site,
                        "patient_class": "O",
                        "procedure": index_of(QC[device.modality]),
                        "modality": device.modality,
                        "device": device.index,
                        "patient": first_patient + number,
                        "outcome": int(Outcome.PERFORMED),
                        "ordered": at,
                        "started": at,
                        "ended": at + QC_MINUTES,
                        "uploaded": at,
                    }
                )
    made = pl.DataFrame(rows, schema={name: exams.schema[name] for name in (rows[0] if rows else {"site": None})})
    made = made.with_columns(
        exam=len(exams) + pl.int_range(len(made), dtype=pl.Int64),
        is_phantom=pl.lit(True),
        orderless=pl.lit(True),
        has_order=pl.lit(False),
        late_order=pl.lit(False),
        is_second=pl.lit(False),
        waits=pl.lit(False),
        technologist=pl.lit(""),
    )
    made = made.with_columns(study="exam", images_of="exam")
    return pl.concat([exams.with_columns(is_phantom=pl.lit(False)), made], how="diagonal_relaxed")


def tested(fleet: tuple[Device, ...]) -> list[Device]:
    """Scanners that are tested with a phantom."""
    return [device for device in fleet if device.modality in QC]


def _free_minute(
    start: float, day: int, device: Device, clock: SiteClock, taken: tuple[Minutes, Minutes], stops: list[Outage]
) -> float | None:
    """The first minute of a morning at which the scanner is neither used nor down; None where it is busy throughout."""
    starts, ends = taken
    for attempt in range(6):
        at = clock.utc(day * DAY + FIRST_MINUTE[device.modality] + start + 8 * attempt)
        next_one = int(np.searchsorted(starts, at + QC_MINUTES + MARGIN_MINUTES))
        is_free = next_one == 0 or ends[next_one - 1] + MARGIN_MINUTES <= at
        if is_free and not any(stop.starts < at + QC_MINUTES and at < stop.ends for stop in stops):
            return at
    return None
