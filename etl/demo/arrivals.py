"""Orders as they come in: a Poisson process whose rate follows hour, weekday, month, holidays, trend and stories."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from etl.demo.calibration import factors, rate, spread
from etl.demo.clocks import DAY, Minutes, SiteClock, day_number, day_of
from etl.demo.network import SITES, Site, is_holiday, site_mix
from etl.demo.procedures import BY_MODALITY, CLASS_INDEX, PROCEDURES
from etl.demo.stories import Story, of_kind

Ints = NDArray[np.int64]
GROWTH_A_YEAR = 0.04
LONGEST_LEAD_DAYS = 120
WEEKDAYS = {
    "E": (1.05, 1.0, 0.99, 0.98, 0.99, 1.0, 0.99),
    "I": (1.07, 1.08, 1.07, 1.06, 1.04, 0.87, 0.81),
    "O": (1.36, 1.35, 1.34, 1.33, 1.29, 0.25, 0.08),
}
HOURS_ED = (
    2.6,
    2.2,
    1.9,
    1.7,
    1.7,
    1.8,
    2.2,
    3.0,
    4.0,
    4.9,
    5.5,
    5.7,
    5.6,
    5.5,
    5.4,
    5.4,
    5.5,
    5.6,
    5.6,
    5.4,
    5.1,
    4.7,
    4.0,
    3.3,
)
CLASSES = ("E", "I", "O")


@dataclass
class Orders:
    """Columns of all orders, sorted by time."""

    site: Ints
    patient_class: Ints
    procedure: Ints
    ordered: Minutes
    lead_days: Minutes
    """From order to the wished day; outpatients."""

    def __len__(self) -> int:
        return len(self.ordered)


def day_factor(patient_class: str, day: date, first: date) -> float:
    """How busy a day is against the mean day."""
    busy: float = (
        WEEKDAYS[patient_class][day.weekday()]
        * factors("month_factor")[day.month - 1]
        * (1 + GROWTH_A_YEAR) ** ((day - first).days / 365)
    )
    if is_holiday(day):
        busy *= {"E": 0.95, "I": 0.75, "O": 0.05}[patient_class]
    return busy


def booked_share(modality: str) -> float:
    """Share of booked outpatient exams that take place after cancellations and no-shows."""
    return 1.0 if modality == "XR" else 1 - rate("cancel all", "cancel_rate") - no_show_rate(modality)


def no_show_rate(modality: str) -> float:
    """Calibrated no-show rate of a modality."""
    key = {"NM": "NM/PT", "PT": "NM/PT"}.get(modality, modality)
    return rate(key if key in {"XR", "CT", "MR", "US", "MG", "NM/PT"} else "all", "no_show_rate")


def orders(
    rng: np.random.Generator,
    scale: float,
    first: date,
    last: date,
    clocks: dict[str, SiteClock],
    stories: tuple[Story, ...],
    demand: float,
) -> Orders:
    """All orders between two days (last excluded), outpatient requests from earlier so that the first days are booked."""
    parts: list[tuple[Ints, Ints, Ints, Minutes]] = []
    spike = of_kind(stories, "demand_spike")
    for number, site in enumerate(SITES):
        for (patient_class, modality), share in site_mix(site).items():
            mean = (
                site.exams_a_year
                * scale
                * demand
                / 365
                * share
                / (booked_share(modality) if patient_class == "O" else 1.0)
            )
            start = first - timedelta(days=LONGEST_LEAD_DAYS + 10 if patient_class == "O" and modality != "XR" else 14)
            days = [start + timedelta(days=n) for n in range((last - start).days)]
            counts = rng.poisson([mean * day_factor(patient_class, day, first) for day in days])
            parts.append(_placed(rng, number, patient_class, modality, days, counts, clocks[site.code]))
            if spike is not None and spike.site == site.code and patient_class == "E" and modality in ("XR", "CT"):
                parts.append(_wave(rng, spike, number, site, modality, mean, days, clocks[site.code]))
    site_of, class_of, procedure_of, ordered = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(ordered, kind="stable")
    found = Orders(site_of[order], class_of[order], procedure_of[order], ordered[order], np.zeros(len(order)))
    found.lead_days = _leads(rng, found)
    return found


def _placed(
    rng: np.random.Generator,
    site: int,
    patient_class: str,
    modality: str,
    days: list[date],
    counts: Ints,
    clock: SiteClock,
    choices: tuple[int, ...] | None = None,
) -> tuple[Ints, Ints, Ints, Minutes]:
    """Orders of one stream: counts a day turned into procedures and times."""
    n = int(counts.sum())
    choices = choices or BY_MODALITY[modality]
    weights = np.array([PROCEDURES[c].weights[CLASS_INDEX[patient_class]] for c in choices])
    procedure = rng.choice(np.array(choices), size=n, p=weights / weights.sum())
    hours = np.array(HOURS_ED if patient_class == "E" else factors("hour_weight"))
    if patient_class == "O":
        hours = np.where((np.arange(24) >= 8) & (np.arange(24) < 18), hours, 0.0)
    hour = rng.choice(24, size=n, p=hours / hours.sum())
    local = np.repeat(np.array([day_number(day) for day in days]), counts) * DAY + hour * 60.0 + rng.uniform(0, 60, n)
    return np.full(n, site), np.full(n, CLASS_INDEX[patient_class]), procedure, clock.utcs(local)


def _wave(
    rng: np.random.Generator,
    spike: Story,
    site_number: int,
    site: Site,
    modality: str,
    mean: float,
    days: list[date],
    clock: SiteClock,
) -> tuple[Ints, Ints, Ints, Minutes]:
    """The extra chest exams of a demand spike: `size` times those of a usual day."""
    choices = tuple(c for c in BY_MODALITY[modality] if PROCEDURES[c].body_part == "CHEST")
    usual = sum(PROCEDURES[c].weights[0] for c in choices) / sum(
        PROCEDURES[c].weights[0] for c in BY_MODALITY[modality]
    )
    assert site.code == spike.site
    counts = rng.poisson([mean * usual * spike.size if spike.holds(day) else 0.0 for day in days])
    return _placed(rng, site_number, "E", modality, days, counts, clock, choices)


def _leads(rng: np.random.Generator, found: Orders) -> Minutes:
    """Days from request to the wished day, by modality; outpatients alone."""
    lead = np.zeros(len(found))
    modality_of = np.array([p.modality for p in PROCEDURES])[found.procedure]
    for modality in np.unique(modality_of):
        mine = (modality_of == modality) & (found.patient_class == CLASS_INDEX["O"])
        key = {"MG": "OP MG screening"}.get(
            str(modality), f"OP {modality}" if modality in ("XR", "US", "CT", "MR") else "OP CT"
        )
        row = spread("order_to_exam_days", key)
        lead[mine] = np.exp(rng.normal(row.mu, min(row.sigma, 1.6), mine.sum()))
    return np.minimum(lead, LONGEST_LEAD_DAYS)


def wished_day(order_minutes: float, lead_days: float) -> date:
    """The day that an outpatient asks for."""
    return day_of((order_minutes + lead_days * DAY) // DAY)
