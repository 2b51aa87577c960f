"""Dosimetry against hand calculations: size-specific dose, typical values, levels, imported tables."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from warehouse.dosimetry import tables
from warehouse.dosimetry.bands import AGE_BANDS, age_band, size_band, weight_band
from warehouse.dosimetry.effective_dose import effective_dose
from warehouse.dosimetry.icrp135 import difference, local_level, typical
from warehouse.dosimetry.ssde import (
    body_factor,
    effective_diameter_cm,
    head_factor,
    ssde_mgy,
    water_equivalent_diameter_cm,
)
from warehouse.typed_csv import TableError

ROOM = [212, 225, 231, 240, 248, 251, 259, 263, 270, 274, 281, 288, 292, 301, 309, 318, 326, 340, 355, 392]


def test_the_worked_examples_of_size_specific_dose() -> None:
    assert effective_diameter_cm(20.0, 31.25) == 25.0
    assert body_factor(25.0, "body32") == pytest.approx(1.479240, abs=5e-7)
    assert 10 * body_factor(25.0, "body32") == pytest.approx(14.7924, abs=5e-5)
    diameter = water_equivalent_diameter_cm(-60, 700)
    assert diameter == pytest.approx(28.94463, abs=5e-6)
    assert body_factor(diameter, "body32") == pytest.approx(1.279775, abs=5e-7)


@pytest.mark.parametrize(("size", "phantom", "factor"), [(20, "body32", 1.777354), (30, "body32", 1.231129), (16, "head16", 1.009133)])  # fmt: skip
def test_check_points_of_the_body_factor(size: float, phantom: str, factor: float) -> None:
    assert body_factor(size, phantom) == pytest.approx(factor, abs=5e-7)


def test_check_point_of_the_head_factor() -> None:
    assert head_factor(18) == pytest.approx(0.827720, abs=5e-7)


def test_size_specific_dose_needs_phantom_and_a_size_within_the_fits() -> None:
    frame = pl.DataFrame(
        {
            "ctdivol": [10.0, 10.0, 10.0, 10.0, 10.0, None],
            "size": [25.0, 25.0, 5.0, None, 18.0, 25.0],
            "phantom": ["body32", None, "body32", "body32", "head16", "body32"],
            "head": [False, False, False, False, True, False],
        }
    )
    made = frame.select(ssde_mgy(pl.col("ctdivol"), pl.col("size"), pl.col("phantom"), pl.col("head"))).to_series()
    assert made[0] == pytest.approx(14.7924, abs=5e-5)
    assert made[1:4].to_list() == [None, None, None]
    assert made[4] == pytest.approx(8.27720, abs=5e-5)
    assert made[5] is None


def test_bands_hold_their_borders() -> None:
    frame = pl.DataFrame({"v": [0.0, 0.24, 0.25, 1.0, 6.0, 17.9, 18.0, 130.0, -1.0, None]})
    assert frame.select(age_band(pl.col("v"))).to_series().to_list() == [
        *[AGE_BANDS[index] for index in (0, 0, 1, 2, 3, 3, 4, 4)], None, None,
    ]  # fmt: skip
    assert frame.select(weight_band(pl.lit(79.9))).item(0, 0) == "50–80 kg"
    assert pl.select(weight_band(pl.lit(0.0))).item() is None
    assert pl.select(size_band(pl.lit(21.0))).item() == "21–25 cm"


def test_the_worked_example_of_a_typical_value() -> None:
    found = typical(ROOM)
    assert found is not None
    assert (found.n, found.median, found.p25, found.p75) == (20, 277.5, 250.25, 311.25)
    assert found.p95 == pytest.approx(356.85)
    assert typical(ROOM[:19]) is None


def test_a_local_level_is_that_of_ten_rooms_at_least() -> None:
    medians = [212, 240, 251, 263, 288, 301, 318, 355]
    assert float(np.quantile(medians, 0.75)) == 305.25  # the reference's example has eight rooms
    assert local_level(medians) is None
    assert local_level([*medians, 305.25, 305.25]) == pytest.approx(float(np.quantile([*medians, 305.25, 305.25], 0.75)))  # fmt: skip


def test_the_interval_of_a_median_is_scipys() -> None:
    values = np.random.default_rng(5).lognormal(5.6, 0.3, 120)
    found = typical(values)
    theirs = stats.bootstrap((values,), np.median, n_resamples=4999, method="percentile", rng=np.random.default_rng(1))
    assert found is not None
    assert found.low == pytest.approx(theirs.confidence_interval.low, rel=0.02)
    assert found.high == pytest.approx(theirs.confidence_interval.high, rel=0.02)
    assert typical(values) == found  # it reproduces


def test_a_difference_is_certain_only_where_its_interval_leaves_zero_out() -> None:
    rng = np.random.default_rng(3)
    before, after = rng.lognormal(6, 0.25, 200), rng.lognormal(6, 0.25, 200) * 0.75
    lowered, nothing = difference(before, after), difference(before, rng.lognormal(6, 0.25, 200))
    assert lowered is not None
    assert lowered.is_certain
    assert lowered.share == pytest.approx(-0.25, abs=0.08)
    assert nothing is not None
    assert not nothing.is_certain
    assert difference([1, 2, 3], after) is None


def test_shipped_levels_are_the_sourced_ones() -> None:
    found = tables.shipped_reference_levels()
    assert found.height == 21
    assert set(found["authority"]) == {"UK UKHSA"}
    assert found["source"].str.contains("gov.uk").all()
    head = found.filter((pl.col("standard_code") == "CT-HEAD-WO") & (pl.col("metric") == "dlp_mgycm"))
    assert head.row(0, named=True)["level"] == 790.0
    assert found["level_key"].is_unique().all()


HEAD = "authority;year;population;modality;procedure_name;metric;level;source;valid_from"
ROW = "Ministry;2024;adult;CT;Head;dlp_mgycm;812,5;Gazette 3/2024;2024-05-01"


def test_a_table_with_semicolons_decimal_commas_and_a_mark_is_read() -> None:
    rows = tables.read_table(tables.REFERENCE_LEVELS, f"\ufeff{HEAD}\r\n{ROW}\r\n")
    (level,) = tables.reference_levels(rows, "imported").to_dicts()
    assert (level["level"], level["unit"], level["origin"], level["year"]) == (812.5, "mGy·cm", "imported", 2024)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        (HEAD, "no row"),
        (f"{HEAD}\n{ROW.replace('812,5', 'much')}", "Line 2, column level: is 'much'"),
        (f"{HEAD}\n{ROW.replace('812,5', '0')}", "Line 2, column level"),
        (f"{HEAD}\n{ROW.replace('dlp_mgycm', 'dose')}", "Line 2, column metric"),
        (f"{HEAD}\n{ROW.replace('2024-05-01', '1.5.2024')}", "Line 2, column valid_from"),
        (f"{HEAD}\n{ROW.replace('Gazette 3/2024', '')}", "Line 2, column source: may not be empty"),
        (f"{HEAD}\n{ROW};more", "Line 2: 10 cells"),
        (HEAD.replace("source;", "") + "\n" + ROW, "the column source is missing"),
        (f"{HEAD};colour\n{ROW};red", "the column 'colour' is not known"),
    ],
)
def test_a_wrong_table_names_line_and_column(content: str, message: str) -> None:
    with pytest.raises(TableError, match=message.replace("(", r"\(")):
        tables.read_table(tables.REFERENCE_LEVELS, content)


@given(st.text(max_size=300))
def test_any_text_is_a_table_or_refused(content: str) -> None:
    for kind in (tables.REFERENCE_LEVELS, tables.COEFFICIENTS):
        try:
            rows = tables.read_table(kind, content)
        except TableError:
            continue
        assert rows


def test_a_factor_that_stands_twice_is_refused() -> None:
    head = "quantity,region,phantom,age_band,factor,source"
    row = "dlp_mgycm,chest,body32,adult,0.014,a table"
    with pytest.raises(TableError, match="Line 3"):
        tables.read_table(tables.COEFFICIENTS, f"{head}\n{row}\n{row}")
    (one,) = tables.coefficients(tables.read_table(tables.COEFFICIENTS, f"{head}\n{row}")).to_dicts()
    assert (one["factor"], one["agent"]) == (0.014, "")


FACTORS = [
    {"quantity": "dlp_mgycm", "region": "chest", "agent": "", "phantom": "body32", "age_band": "adult", "factor": 0.014, "source": "imported"},
    {"quantity": "dlp_mgycm", "region": "chest", "agent": "", "phantom": "head16", "age_band": "1–5 years", "factor": 0.018, "source": "imported"},
    {"quantity": "dlp_mgycm", "region": "chest", "agent": "", "phantom": "body32", "age_band": "1–5 years", "factor": 0.036, "source": "imported"},
    {"quantity": "activity_mbq", "region": "", "agent": "f-18 fdg", "phantom": "", "age_band": "adult", "factor": 0.02, "source": "imported"},
]  # fmt: skip


def shot(dlp: float, phantom: str | None, region: str = "chest") -> dict[str, object]:
    return {"event_kind": "ct", "dlp_mgycm": dlp, "ctdi_phantom": phantom, "body_region": region}


@pytest.mark.parametrize(
    ("events", "age", "msv", "reason"),
    [
        ([shot(290, "body32")], "adult", 4.06, "imported"),
        ([shot(100, "head16")], "1–5 years", 1.80, "imported"),
        ([shot(50, "body32")], "1–5 years", 1.80, "imported"),  # the same child on the other phantom
        ([shot(50, None)], "1–5 years", None, "phantom unknown"),
        ([shot(290, "body32", "head")], "adult", None, "no factor for head"),
        ([shot(290, "body32")], None, None, "age unknown"),
        ([{"event_kind": "administration", "activity_mbq": 394.0, "radiopharmaceutical": "F-18 FDG", "body_region": None, "ctdi_phantom": None}], "adult", 7.88, "imported"),
        ([{"event_kind": "mammography", "agd_mgy": 1.0}], "adult", None, "glandular"),
        ([], "adult", None, "no event"),
    ],
)  # fmt: skip
def test_effective_dose_is_an_estimate_with_its_source_or_a_reason(
    events: list[dict[str, object]], age: str | None, msv: float | None, reason: str
) -> None:
    found = effective_dose(events, FACTORS, age)
    assert found.msv == (None if msv is None else pytest.approx(msv))
    assert reason in found.reason
    assert ("population estimate" in found.words) == (msv is not None)
