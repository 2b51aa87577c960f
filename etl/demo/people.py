"""Invented patients and staff."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.demo.arrivals import Orders
from etl.demo.procedures import PROCEDURES

FAMILY = (
    "ALDERBROOK",
    "BIRCHWELL",
    "CINDERFORD",
    "DUNMORROW",
    "ELDERTHORN",
    "FENWICKE",
    "GORSEHAM",
    "HAZELDYNE",
    "IVORSLEY",
    "JUNIPERTON",
    "KESTRELLE",
    "LARKSPURN",
    "MOSSINGTON",
    "NETTLECOMB",
    "OAKENSHAW",
    "PEBBLEWICK",
    "QUARRIMOND",
    "ROWANMERE",
    "SORRELBY",
    "THISTLEWOD",
)
GIVEN_F = ("ADELRA", "BRYNNA", "CORALIE", "DELPHA", "EMBERLY", "FENNA", "GALIA", "HESPRA", "ISOLDA", "JUNARA")
GIVEN_M = ("ALDRIC", "BRAMWEL", "CORVIN", "DARIAN", "EDRIC", "FALKOR", "GARETHO", "HADRIAN", "IVOREN", "JORVAN")
PAYERS = ("Statewide Health Plan", "Lakeshore Mutual", "Federal Senior Care", "Open Prairie Insurance", "Self pay")
PAYER_SHARE = (0.34, 0.22, 0.30, 0.10, 0.04)
WARDS = ("3 WEST", "4 EAST", "5 NORTH", "ICU", "CARDIOLOGY", "ONCOLOGY", "SURGERY")
CLINICS = (
    "FAMILY MEDICINE",
    "ORTHOPEDICS",
    "NEUROLOGY",
    "GASTROENTEROLOGY",
    "ONCOLOGY CLINIC",
    "WOMENS HEALTH",
    "PULMONOLOGY",
)


@dataclass
class Patients:
    """Columns of the network's patients."""

    identifier: list[str]
    name: list[str]
    sex: list[str]
    birth_year: NDArray[np.int64]
    birth_day: NDArray[np.int64]
    """Day of the year, 0 to 364."""
    weight_kg: NDArray[np.float64]
    height_m: NDArray[np.float64]
    merged_from: list[str | None]
    """A temporary number under which some of them were first known."""


def patients(rng: np.random.Generator, count: int, year: int) -> Patients:
    """A population: mostly adults, the old ones more often."""
    female = rng.uniform(0, 1, count) < 0.53
    age = np.where(
        rng.uniform(0, 1, count) < 0.07, rng.integers(0, 18, count), np.clip(rng.normal(58, 18, count), 18, 99)
    ).astype(np.int64)
    grown = np.minimum(1.0, 0.28 + 0.72 * age / 18)
    height = np.where(female, rng.normal(1.64, 0.07, count), rng.normal(1.77, 0.07, count)) * np.minimum(
        1.0, 0.40 + 0.60 * age / 17
    )
    weight = (
        np.where(female, np.exp(rng.normal(np.log(71), 0.20, count)), np.exp(rng.normal(np.log(84), 0.18, count)))
        * grown**1.8
    )
    family, given = rng.integers(0, len(FAMILY), count), rng.integers(0, 10, count)
    middle = rng.integers(0, 26, count)
    numbers = rng.permutation(np.arange(100_000, 100_000 + 9 * max(count, 1)))[:count]
    temporary = rng.uniform(0, 1, count) < 0.012
    return Patients(
        identifier=[f"M{n:07d}" for n in numbers],
        name=[
            f"{FAMILY[f]}^{(GIVEN_F if w else GIVEN_M)[g]}^{chr(65 + m)}"
            for f, g, m, w in zip(family, given, middle, female, strict=True)
        ],
        sex=["F" if w else "M" for w in female],
        birth_year=year - age,
        birth_day=rng.integers(0, 365, count),
        weight_kg=np.clip(weight, 3, 220).astype(np.float64).round(1),
        height_m=np.clip(height, 0.45, 2.1).astype(np.float64).round(2),
        merged_from=[f"T{n:07d}" if t else None for n, t in zip(numbers, temporary, strict=True)],
    )


def with_phantoms(people: Patients, count: int) -> Patients:
    """The population and behind it that many phantoms: cylinders of 20 kg, named as service engineers name them."""
    return Patients(
        identifier=[*people.identifier, *(f"QC{n:05d}" for n in range(1, count + 1))],
        name=[*people.name, *(f"PHANTOM^WATER {n}" for n in range(1, count + 1))],
        sex=[*people.sex, *["O"] * count],
        birth_year=np.append(people.birth_year, np.full(count, 2010)),
        birth_day=np.append(people.birth_day, np.zeros(count, dtype=np.int64)),
        weight_kg=np.append(people.weight_kg, np.full(count, 20.0)),
        height_m=np.append(people.height_m, np.full(count, 0.5)),
        merged_from=[*people.merged_from, *[None] * count],
    )


def assign(rng: np.random.Generator, orders: Orders, people: Patients, year: int) -> NDArray[np.int64]:
    """A patient for each order: some come often; breast imaging is for women from 40, prostate imaging for men."""
    count = len(people.identifier)
    favour = rng.gamma(0.9, 1.0, count)
    age, female = year - people.birth_year, np.array(people.sex) == "F"
    fits = {"MG": female & (age >= 40) & (age < 80), "MRPR": ~female & (age >= 45), "XA": age >= 35, "adult": age >= 18}
    kind = np.array(
        [
            p.code
            if p.code == "MRPR"
            else p.modality
            if p.modality in ("MG", "XA")
            else "adult"
            if p.modality != "XR"
            else ""
            for p in PROCEDURES
        ]
    )
    chosen = np.zeros(len(orders), dtype=np.int64)
    for name in np.unique(kind):
        mine = kind[orders.procedure] == name
        weights = favour * fits.get(str(name), np.ones(count, dtype=bool))
        weights = weights if weights.sum() > 0 else np.ones(count)
        chosen[mine] = rng.choice(count, size=int(mine.sum()), p=weights / weights.sum())
    return chosen


def staff(prefix: str, count: int) -> list[str]:
    """Staff numbers."""
    return [f"{prefix}{n:03d}" for n in range(1, count + 1)]
