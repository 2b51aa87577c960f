"""What the demo's configuration says, read from the file alone: zones, configured hours and the rules of utilization."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
USUAL_CHANGE = {"CT": 7.0, "MR": 10.0, "XR": 4.0, "US": 8.0, "MG": 5.0, "XA": 30.0}
"""Minutes of patient change by modality where the file says nothing, as `isocenter.toml` documents them."""


@dataclass(frozen=True)
class Rules:
    """The configuration, with the documented values where the file has none."""

    zones: dict[str, ZoneInfo]
    hours: dict[tuple[str, str, int], list[tuple[time, time]]]
    """Site, modality and weekday (0 is Monday) to opening and closing; closing at 0:00 is midnight after."""
    change_minutes: dict[str, float]
    turnover_minutes: float
    bookable_minutes: float
    grace_minutes: float
    targets: list[dict[str, Any]]
    """`minutes` to a report, and which `priority`, `patient_class`, `modality` and days from `starts_on` it is for."""

    def target_minutes(self, priority: str, patient_class: str, modality: str, day: date) -> float | None:
        """Minutes in which a report is due: of the last target that fits; None where none does."""
        said = {"priority": priority, "patient_class": patient_class, "modality": modality}
        fitting = [
            target["minutes"]
            for target in self.targets
            if day >= target.get("starts_on", date.min)
            and all(name not in target or value in target[name] for name, value in said.items())
        ]
        return float(fitting[-1]) if fitting else None


def read_rules(file: Path) -> Rules:
    """The rules of a demo's `isocenter.toml`."""
    said = tomllib.loads(file.read_text(encoding="utf-8"))
    use = said.get("utilization", {})
    hours: dict[tuple[str, str, int], list[tuple[time, time]]] = {}
    for site in said["sites"]:
        for row in site.get("hours", []):
            for day in row["days"]:
                key = (site["code"], row["modality"], WEEKDAYS.index(day))
                hours.setdefault(key, []).append((row["opens"], row["closes"]))
    return Rules(
        {site["code"]: ZoneInfo(site["time_zone"]) for site in said["sites"]},
        hours,
        use.get("change_minutes", USUAL_CHANGE),
        use.get("turnover_minutes", 60),
        use.get("bookable_minutes", 30),
        use.get("first_case_grace_minutes", 5),
        said.get("turnaround", {}).get("targets", []),
    )
