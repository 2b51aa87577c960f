"""Peak skin dose against hand calculations, and beside PySkinDose on real reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etl.sources.contract import Context, Input
from etl.sources.dicom.reader import READER
from settings import Settings
from state.identity import Pseudonymiser
from warehouse.dose_columns import EVENT_COLUMNS
from warehouse.dosimetry.skin_dose import HALF_DEPTH_CM, Factors, peak_skin_dose

REPORT = Path(__file__).resolve().parents[3] / "shared/data/dose/files/pyskindose-siemens_axiom_artis.dcm"

PLAIN = Factors(backscatter=1.0, table_transmission=1.0, tissue=1.0)


def shot(kerma: float = 1000.0, primary: float = 0.0, secondary: float = 0.0, area: float = 100.0, **more: Any) -> dict[str, Any]:  # fmt: skip
    return {
        "rp_air_kerma_mgy": kerma, "dap_gycm2": kerma * area / 1000, "primary_angle_deg": primary, "secondary_angle_deg": secondary, "primary_end_angle_deg": None, "secondary_end_angle_deg": None,
        "source_to_isocentre_mm": 700.0, "source_to_rp_mm": None,
    } | more  # fmt: skip


def test_the_inverse_square_of_distance_to_the_back() -> None:
    """Source 70 cm below the isocentre, reference point at 55 cm, skin of the back at 60 cm."""
    found = peak_skin_dose([shot()], PLAIN)
    assert found.peak_mgy == pytest.approx(1000 * (55 / (70 - HALF_DEPTH_CM)) ** 2, rel=1e-6)
    assert found.exposures == 1


def test_from_the_side_the_skin_is_nearer_to_the_source() -> None:
    assert peak_skin_dose([shot(primary=90.0)], PLAIN).peak_mgy == pytest.approx(1000 * (55 / 50) ** 2, rel=1e-3)


def test_the_table_weakens_what_comes_from_below_alone() -> None:
    table = Factors(1.0, 0.5, 1.0)
    below, above = (peak_skin_dose([shot(primary=angle)], table).peak_mgy for angle in (0.0, 180.0))
    assert below is not None
    assert above is not None
    assert above == pytest.approx(2 * below, rel=1e-6)


def test_factors_multiply() -> None:
    made = peak_skin_dose([shot()], Factors(1.4, 0.8, 1.06)).peak_mgy
    plain = peak_skin_dose([shot()], PLAIN).peak_mgy
    assert made is not None
    assert plain is not None
    assert made == pytest.approx(plain * 1.4 * 0.8 * 1.06)


def test_beams_that_meet_other_skin_do_not_add_up() -> None:
    same = peak_skin_dose([shot(), shot()], PLAIN).peak_mgy
    apart = peak_skin_dose([shot(), shot(primary=180.0)], PLAIN).peak_mgy
    one = peak_skin_dose([shot()], PLAIN).peak_mgy
    assert one is not None
    assert same == pytest.approx(2 * one)
    assert apart == pytest.approx(one)


def test_a_rotation_spreads_its_dose() -> None:
    turning = peak_skin_dose([shot(primary=-60.0, primary_end_angle_deg=60.0, area=25.0)], PLAIN).peak_mgy
    still = peak_skin_dose([shot(area=25.0)], PLAIN).peak_mgy
    assert turning is not None
    assert still is not None
    assert turning < 0.5 * still


@pytest.mark.parametrize(
    ("more", "missing"),
    [
        ({"primary_angle_deg": None}, "1 of 2 exposures state no primary angle"),
        ({"source_to_isocentre_mm": None}, "1 of 2 exposures state no distance source to isocentre"),
        ({"dap_gycm2": None}, "1 of 2 exposures state no dose area product"),
    ],
)
def test_it_refuses_and_says_what_is_missing(more: dict[str, Any], missing: str) -> None:
    found = peak_skin_dose([shot(), shot(**more)], PLAIN)
    assert found.peak_mgy is None
    assert found.reason == missing
    assert found.words == f"not estimated: {missing}"


def test_no_air_kerma_is_no_estimate() -> None:
    assert "no exposure states air kerma" in peak_skin_dose([shot() | {"rp_air_kerma_mgy": None}], PLAIN).words


def test_it_is_said_as_an_estimate_to_two_digits() -> None:
    assert peak_skin_dose([shot()], PLAIN).words.startswith("about 840 mGy (estimate from the geometry of 1 exposures")


@pytest.mark.skipif(not REPORT.exists(), reason="the shared sample files are not on this machine")
def test_it_is_near_to_pyskindose_on_a_real_report() -> None:
    """PySkinDose 25.1.1, cylinder phantom, table transmission 0.8, gave 1.302 mGy with these mean factors of its own.

    It counts the table's place and each exposure's own backscatter, which this estimate does not.
    """
    source = Input(REPORT.name, REPORT.stat().st_size, lambda: REPORT.open("rb"))
    (read,) = READER.read(source, Context(Settings(), Pseudonymiser(b"k" * 32)))
    empty = {column.name: None for column in EVENT_COLUMNS}
    found = peak_skin_dose([empty | row for row in read.rows["irradiation_event"]], Factors(1.4066, 0.8, 1.0338))
    assert found.peak_mgy == pytest.approx(1.302, rel=0.15)
