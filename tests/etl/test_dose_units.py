"""Units of dose figures to ours: golden conversions of the dose reference, section 12, and nothing guessed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from etl.sources.dose.dose_codes import EVENT_COLUMNS, TOTAL_COLUMNS
from etl.sources.dose.figures import UNITS, Figures
from etl.sources.dose.units import FACTORS, factor
from settings import Dose
from warehouse import dose_columns


@pytest.mark.parametrize(("column", "text", "unit", "expected"), [
    ("dap_gycm2", "126.596", "dGy.cm2", "12.6596"),
    ("dap_gycm2", "0.00015356864017", "Gy.m2", "1.5356864017"),
    ("dap_gycm2", "1.6e-005", "Gym2", "0.16"),
    ("dap_gycm2", "0.2359", "Gy.cm^2", "0.2359"),
    ("rp_air_kerma_mgy", "30.573", "mGy", "30.573"),
    ("rp_air_kerma_mgy", "0.00252", "Gy", "2.52"),
    ("agd_mgy", "0.00547", "dGy", "0.547"),
    ("activity_mbq", "394000000", "Bq", "394"),
    ("exposure_mas", "1040", "uA.s", "1.04"),
    ("exposure_time_s", "609.5", "ms", "0.6095"),
    ("exposure_time_s", "3.72", "s", "3.72"),
    ("field_area_cm2", "0.0696", "m2", "696"),
])  # fmt: skip
def test_conversions(column: str, text: str, unit: str, expected: str) -> None:
    figures = Figures(Dose())
    figures.number(column, text, unit, "path")
    assert figures.value(column) == Decimal(expected)
    assert figures.stated == [{"path": "path", "column": column, "text": text, "unit": unit, "value": float(expected)}]


def test_every_numeric_column_has_a_table() -> None:
    assert set(UNITS.values()) <= FACTORS.keys()


def test_every_concept_has_a_column() -> None:
    assert set(EVENT_COLUMNS.values()) <= {column.name for column in dose_columns.EVENT_COLUMNS}
    assert set(TOTAL_COLUMNS.values()) <= {column.name for column in dose_columns.TOTAL_COLUMNS}


@pytest.mark.parametrize(
    ("stated", "ours"), [("MGy", "mGy"), ("", "mGy"), ("furlong", "mm"), ("Gy.m2", "mGy·cm"), ("gy", "mGy")]
)
def test_unknown_units_are_not_guessed(stated: str, ours: str) -> None:
    assert factor(stated, ours) is None


def test_pulses_give_a_mean_and_sources_the_first() -> None:
    """(34.1 + 33.99) / 2 = 34.045 kV over two pulses; of two CT sources the first."""
    for over_pulses, expected in ((True, "34.045"), (False, "34.1")):
        figures = Figures(Dose(), mean_over_pulses=over_pulses)
        figures.number("kvp", "34.1", "kV", "113733")
        figures.number("kvp", "33.99", "kV", "113733")
        assert figures.value("kvp") == Decimal(expected)


def test_an_empty_measured_value_is_never_zero() -> None:
    figures = Figures(Dose())
    figures.number("dap_gycm2", None, "Gy.m2", "122130")
    assert figures.row() == {}
    assert figures.stated[0]["text"] is None


def test_limits_come_from_the_settings() -> None:
    figures = Figures(Dose(max_ctdivol_mgy=50))
    figures.number("ctdivol_mgy", "51", "mGy", "113830")
    assert figures.row() == {}
    assert figures.flags == ["ctdivol_mgy: implausible 51"]
