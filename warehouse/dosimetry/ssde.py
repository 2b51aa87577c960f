"""Size-specific dose estimates of CT: CTDIvol times a factor of the patient's size.

The factors are the exponential fits of AAPM reports 204 (body, by effective diameter), 220 (the same by water-equivalent
diameter) and 293 (head). Their coefficients agree with the tabulated check points of the reference; the reports state them
for diameters of about 6 to 55 cm (body), outside of which nothing is computed.
"""

from __future__ import annotations

from math import exp, pi, sqrt

import polars as pl

_BODY = {"body32": (3.704369, 0.03671937), "head16": (1.874799, 0.03871313)}
"""Phantom to the factor's level and decay by cm: AAPM report 204, equations A-1 and A-2."""
_HEAD = (1.9852, 0.0486)
"""AAPM report 293: heads, CTDIvol of the 16 cm phantom."""
LEAST_CM, MOST_CM = 6.0, 55.0


def body_factor(size_cm: float, phantom: str) -> float:
    """The factor of a body.

    Args:
        size_cm: effective or water-equivalent diameter.
        phantom: body32 or head16.
    """
    level, decay = _BODY[phantom]
    return level * exp(-decay * size_cm)


def head_factor(size_cm: float) -> float:
    """The factor of a head for the 16 cm phantom, by water-equivalent diameter in cm."""
    level, decay = _HEAD
    return level * exp(-decay * size_cm)


def effective_diameter_cm(ap_cm: float, lateral_cm: float) -> float:
    """The diameter of the circle with the area of an ellipse: AAPM report 204."""
    return sqrt(ap_cm * lateral_cm)


def water_equivalent_diameter_cm(mean_hu: float, area_cm2: float) -> float:
    """The diameter of the water cylinder that attenuates as much: AAPM report 220, equation 4."""
    return 2 * sqrt((mean_hu / 1000 + 1) * area_cm2 / pi)


def ssde_mgy(ctdivol_mgy: pl.Expr, size_cm: pl.Expr, phantom: pl.Expr, is_head: pl.Expr) -> pl.Expr:
    """Size-specific dose in mGy; null without CTDIvol, phantom or a size within the fits.

    Args:
        phantom: body32 or head16.
        is_head: whether a head was scanned; its own factor needs the 16 cm phantom.
    """
    within = size_cm.is_between(LEAST_CM, MOST_CM)
    factor = pl.coalesce(
        pl.when(is_head & (phantom == "head16")).then(_fit(_HEAD, size_cm)),
        *(pl.when(~is_head & (phantom == name)).then(_fit(fit, size_cm)) for name, fit in _BODY.items()),
    )
    return pl.when(within).then(ctdivol_mgy * factor)


def _fit(fit: tuple[float, float], size_cm: pl.Expr) -> pl.Expr:
    level, decay = fit
    return level * (-decay * size_cm).exp()
