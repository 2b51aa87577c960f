"""Peak skin dose of a fluoroscopic exam, estimated from the geometry that its exposures state.

Every exposure's air kerma at the reference point is carried to the skin by the inverse square of distance, with backscatter,
table and tissue factors that a physicist enters, over a square field of the size that dose area product and air kerma
imply, onto an elliptical cylinder of 40 × 20 cm whose axis runs through the isocentre. Limits: the patient's true shape and
place on the table, field rotation, arms and pads are not known; a third to half of the value either way is usual. Nothing
is computed where an exposure lacks what it needs; then it is said what is missing.

Coordinates: x to the patient's left, y to the front, z to the head, origin in the isocentre. Angles as PS3.3 C.8.7.5
defines them: primary positive to the left, secondary positive to the head, of the detector as seen from the isocentre.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import floor, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

HALF_WIDTH_CM, HALF_DEPTH_CM = 20.0, 10.0
LENGTH_CM = 80.0
STEP_DEG, STEP_CM = 4.0, 1.0
POINT_TO_ISOCENTRE_CM = 15.0
"""The interventional reference point lies 15 cm from the isocentre towards the source (IEC 60601-2-43)."""
ROTATION_STEPS = 9
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Factors:
    """What a physicist enters: none of it is shipped."""

    backscatter: float
    table_transmission: float
    tissue: float
    """Ratio of tissue to air kerma."""


@dataclass(frozen=True)
class SkinDose:
    """The estimate, or what is missing for one."""

    peak_mgy: float | None
    reason: str
    """What is missing; empty where nothing is."""
    exposures: int = 0

    @property
    def words(self) -> str:
        """To two digits, with what it is."""
        if self.peak_mgy is None:
            return f"not estimated: {self.reason}"
        if self.peak_mgy == 0:
            return "no exposure meets the modelled skin"
        places = 1 - floor(log10(self.peak_mgy))
        return f"about {round(self.peak_mgy, places):,.0f} mGy (estimate from the geometry of {self.exposures} exposures; a third to half either way is usual)"


NEEDED = {
    "primary_angle_deg": "primary angle",
    "secondary_angle_deg": "secondary angle",
    "dap_gycm2": "dose area product",
    "source_to_isocentre_mm": "distance source to isocentre",
}


def peak_skin_dose(events: Iterable[Mapping[str, Any]], factors: Factors) -> SkinDose:
    """The greatest dose on the modelled skin.

    Args:
        events: rows of `fact_irradiation_event`; those without air kerma count as none.
    """
    shots = [one for one in events if one["rp_air_kerma_mgy"]]
    if not shots:
        return SkinDose(None, "no exposure states air kerma at the reference point")
    for name, words in NEEDED.items():
        missing = sum(one[name] is None for one in shots)
        if missing:
            return SkinDose(None, f"{missing} of {len(shots)} exposures state no {words}")
    skin, normals = _skin()
    total = np.zeros(skin.shape[0])
    for one in shots:
        steps = _angles(one)
        for primary, secondary in steps:
            total += _on_skin(one, primary, secondary, skin, normals, factors) / len(steps)
    return SkinDose(float(total.max()), "", len(shots))


def _skin() -> tuple[Floats, Floats]:
    """Points of the cylinder and their outward directions."""
    around = np.deg2rad(np.arange(0, 360, STEP_DEG))
    along = np.arange(-LENGTH_CM / 2, LENGTH_CM / 2 + STEP_CM, STEP_CM)
    angle, z = (one.ravel() for one in np.meshgrid(around, along))
    points = np.column_stack([HALF_WIDTH_CM * np.sin(angle), HALF_DEPTH_CM * np.cos(angle), z])
    outward = np.column_stack([np.sin(angle) / HALF_WIDTH_CM, np.cos(angle) / HALF_DEPTH_CM, np.zeros_like(z)])
    return points, outward


def _angles(event: Mapping[str, Any]) -> list[tuple[float, float]]:
    """The angles of an exposure; of a rotation evenly spaced ones from its first to its last."""
    start = (float(event["primary_angle_deg"]), float(event["secondary_angle_deg"]))
    ends = (event.get("primary_end_angle_deg"), event.get("secondary_end_angle_deg"))
    end = tuple(first if last is None else float(last) for first, last in zip(start, ends, strict=True))
    if max(abs(a - b) for a, b in zip(start, end, strict=True)) < 1:
        return [start]
    return [
        (start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share)
        for share in np.linspace(0, 1, ROTATION_STEPS)
    ]


def _on_skin(
    event: Mapping[str, Any], primary: float, secondary: float, skin: Floats, normals: Floats, factors: Factors
) -> Floats:
    """Dose of one exposure on every point of the skin, mGy."""
    alpha, beta = np.deg2rad(primary), np.deg2rad(secondary)
    axis = np.array([np.sin(alpha) * np.cos(beta), np.cos(alpha) * np.cos(beta), np.sin(beta)])
    across = np.array([np.cos(alpha), -np.sin(alpha), 0.0])
    up = np.cross(axis, across)
    to_isocentre = event["source_to_isocentre_mm"] / 10
    stated = event.get("source_to_rp_mm")
    to_point = stated / 10 if stated else to_isocentre - POINT_TO_ISOCENTRE_CM
    source = -to_isocentre * axis
    ray = skin - source
    distance = np.linalg.norm(ray, axis=1)
    along = ray @ axis
    kerma = float(event["rp_air_kerma_mgy"])
    side = np.sqrt(event["dap_gycm2"] * 1000 / kerma)  # Gy·cm² by mGy: cm² at the reference point
    half = side / 2 * along / to_point
    hit = (np.abs(ray @ across) <= half) & (np.abs(ray @ up) <= half) & (np.einsum("ij,ij->i", normals, -ray) > 0)
    through_table = (source[1] < 0) & (skin[:, 1] < 0)
    table = np.where(through_table, factors.table_transmission, 1.0)
    dose = kerma * (to_point / distance) ** 2 * factors.backscatter * factors.tissue * table
    return np.asarray(np.where(hit, dose, 0.0))
