"""Bands of age, weight and size that doses are compared in: children are never mixed with adults.

Age and weight bands follow the division that the European guidelines on paediatric reference levels propose (Radiation
Protection 185: weight for the body, age for the head); the size bands are those of the US registry (ACR DIR, bins of
21 to 41 cm). Adults beyond 80 kg are divided further, because their dose is.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

Band = tuple[str, float]
"""Name, and where the next one begins."""

_AGES: tuple[Band, ...] = (
    ("0–2 months", 0.25),
    ("3–11 months", 1),
    ("1–5 years", 6),
    ("6–17 years", 18),
    ("adult", 131),
)
_WEIGHTS: tuple[Band, ...] = (
    ("under 5 kg", 5),
    ("5–15 kg", 15),
    ("15–30 kg", 30),
    ("30–50 kg", 50),
    ("50–80 kg", 80),
    ("80–110 kg", 110),
    ("110 kg and more", 500),
)
_SIZES: tuple[Band, ...] = (
    ("under 21 cm", 21),
    ("21–25 cm", 25),
    ("25–29 cm", 29),
    ("29–33 cm", 33),
    ("33–37 cm", 37),
    ("37–41 cm", 41),
    ("41 cm and more", 100),
)
AGE_BANDS, WEIGHT_BANDS = (tuple(name for name, _ in bands) for bands in (_AGES, _WEIGHTS))
ADULT = "adult"


def age_band(age_years: pl.Expr) -> pl.Expr:
    """The age band of ages in years; null without a plausible one."""
    return _band(age_years, _AGES)


def weight_band(weight_kg: pl.Expr) -> pl.Expr:
    """The weight band of weights in kg; null without a plausible one."""
    return _band(pl.when(weight_kg > 0).then(weight_kg), _WEIGHTS)


def size_band(size_cm: pl.Expr) -> pl.Expr:
    """The size band of effective or water-equivalent diameters in cm; null without a plausible one."""
    return _band(pl.when(size_cm > 0).then(size_cm), _SIZES)


def _band(value: pl.Expr, bands: Sequence[Band]) -> pl.Expr:
    made = pl.lit(None, pl.Utf8)
    for name, below in reversed(bands):
        made = pl.when(value < below).then(pl.lit(name)).otherwise(made)
    return pl.when(value >= 0).then(made)
