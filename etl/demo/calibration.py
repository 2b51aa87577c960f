"""The figures that the simulator is calibrated from, read once from `calibration.csv`.

They give a demo its shape; none is a benchmark or a standard. Quartiles give a log-normal (σ = ln(p75/p25)/1.349).
"""

from __future__ import annotations

import csv
from functools import cache
from math import log
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("calibration.csv")


class Spread(NamedTuple):
    """A log-normal by its median and quartiles."""

    median: float
    p25: float
    p75: float

    @property
    def mu(self) -> float:
        """Mean of the logarithm."""
        return log(self.median)

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm."""
        return log(self.p75 / self.p25) / 1.349


@cache
def spreads() -> dict[tuple[str, str], Spread]:
    """Every row by group and key; a plain rate has equal quartiles."""
    with FILE.open(encoding="utf-8", newline="") as stream:
        return {
            (row["group"], row["key"]): Spread(
                float(row["median"]), float(row["p25"] or row["median"]), float(row["p75"] or row["median"])
            )
            for row in csv.DictReader(stream)
        }


def spread(group: str, key: str) -> Spread:
    """One calibrated distribution."""
    return spreads()[group, key]


def rate(key: str, group: str = "other") -> float:
    """One calibrated rate."""
    return spreads()[group, key].median


def factors(group: str) -> list[float]:
    """The values of a group in the order of the file: hours, weekdays, months."""
    return [row.median for (name, _), row in spreads().items() if name == group]
