"""The readers of dose outliers, each against frames made by hand and figures reckoned by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from insights.dose.baselines import falls_short, stands_out, with_group
from insights.dose.causes import causes, twins_of
from insights.dose.drift import drifts, first_crossing
from insights.dose.evidence import Baseline, Cause, Evidence, Twin
from insights.dose.limits import outside_ranges, over_limits
from insights.dose.outliers import Judged, outliers
from insights.dose.rules import RULES, Rule, legal_rule, rules_with
from insights.dose.size_model import with_size_model
from state.decisions import Decision, DecisionKind
from warehouse.arrow import frame_schema
from warehouse.dosimetry.tables import LEGAL_RULES, read_table

RULE = {rule.id: rule for rule in RULES}
DAY = date(2026, 6, 15)


def exam(number: int, value: float, **more: Any) -> dict[str, Any]:
    day = more.pop("local_day", DAY - timedelta(days=200 - number % 160))
    return {
        "exam_key": number, "exam_id": f"E{number}", "local_day": day, "started_at": datetime(day.year, day.month, day.day, 9, tzinfo=UTC), "modality": "CT", "patient_key": number, "age_years": 60.0, "weight_kg": 75.0,
        "site_code": "NORTH", "device_id": "ct1", "device_name": "CT 1", "software": "1", "protocol_key": 7, "protocol_name": "CHEST", "procedure_key": 3, "procedure_text": "CT chest", "standard_code": None, "dose_kind": "ct", "age_band": "adult",
        "weight_band": "50–80 kg", "size_cm": None, "size_method": None, "acquisitions": 1, "events": 1, "repeats": 0, "dlp_mgycm": value, "ctdivol_mgy": value / 40, "ssde_mgy": None, "dap_gycm2": None, "rp_air_kerma_mgy": None,
        "rp_comparable": True, "agd_mgy": None, "activity_mbq": None, "fluoro_time_s": None, "flags": None, "value": value, "level": value / 40, "projections": 0, "length_mm": 350.0, "phantom": "body32", "phantoms": 1,
        "modulation": "XYZ_EC", "current_ratio": 1.4, "alert_ratio": 0.0, "notify_ratio": 0.0,
    } | more  # fmt: skip


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    kinds = {"standard_code": pl.Utf8, "size_cm": pl.Float64, "size_method": pl.Utf8, "ssde_mgy": pl.Float64, "dap_gycm2": pl.Float64, "rp_air_kerma_mgy": pl.Float64, "agd_mgy": pl.Float64, "activity_mbq": pl.Float64, "fluoro_time_s": pl.Float64, "flags": pl.Utf8}  # fmt: skip
    return pl.DataFrame(rows, infer_schema_length=None, schema_overrides=kinds)


def usual(n: int, seed: int = 1, spread: float = 0.15, **more: Any) -> list[dict[str, Any]]:
    values = 300 * np.exp(np.random.default_rng(seed).normal(0, spread, n))
    return [exam(number, float(value), **more) for number, value in enumerate(values, 1)]


def test_the_robust_z_of_the_worked_example() -> None:
    """Eleven CTDIvol values: mean and SD miss the last at 3, median and MAD of logarithms give 10.5."""
    values = [8.1, 8.4, 8.9, 9.0, 9.3, 9.6, 9.8, 10.1, 10.4, 11.0, 31.2]
    plain = (values[-1] - np.mean(values)) / np.std(values, ddof=1)
    assert plain == pytest.approx(2.99, abs=0.005)
    logs = np.log(values)
    mad = np.median(np.abs(logs - np.median(logs)))
    assert mad == pytest.approx(0.0757118, abs=5e-8)
    # The same group twice over and more, so that it is large enough for a z: median and MAD stay.
    rows = [exam(number, value) for number, value in enumerate(values * 3, 1)]
    late = [exam(99, 31.2, local_day=DAY), exam(98, 8.1, local_day=DAY)]
    judged = with_group(frame([*rows, *late]), DAY, DAY)
    z = dict(judged.select("exam_key", "z").iter_rows())
    assert z[99] == pytest.approx(10.500, abs=0.001)
    assert z[98] == pytest.approx(-1.514, abs=0.001)


def test_an_exam_is_never_compared_with_later_ones_nor_with_children() -> None:
    later = [exam(1000 + n, 3000.0, local_day=DAY + timedelta(days=20)) for n in range(30)]
    children = [exam(2000 + n, 30.0, age_band="6–17 years") for n in range(30)]
    judged = with_group(frame([*usual(40), *later, *children, exam(99, 900.0, local_day=DAY)]), DAY, DAY)
    (one,) = judged.to_dicts()
    assert one["n"] == 40
    assert one["median"] == pytest.approx(300, rel=0.1)
    assert judged.filter(stands_out(3.5)).height == 1


def test_a_small_group_asks_its_wider_one_and_a_lone_one_nobody() -> None:
    heavy = [exam(500 + n, 500.0, weight_band="110 kg and more") for n in range(6)]
    rows = frame([*usual(40), *heavy, exam(99, 520.0, local_day=DAY, weight_band="110 kg and more")])
    assert with_group(rows, DAY, DAY).row(0, named=True)["group"] == 1  # the scanner's group without weight
    alone = frame([*usual(4), exam(99, 5000.0, local_day=DAY)])
    judged = with_group(alone, DAY, DAY)
    assert judged.row(0, named=True)["group"] is None
    assert judged.filter(stands_out(3.5)).is_empty()


def test_few_exams_are_judged_by_twice_their_median_and_the_95th_percentile() -> None:
    rows = usual(9)
    for value, out, short in ((700.0, True, False), (500.0, False, False), (90.0, False, True)):
        judged = with_group(frame([*rows, exam(99, value, local_day=DAY)]), DAY, DAY)
        assert judged.filter(stands_out(3.5)).height == out
        assert judged.filter(falls_short(3.5)).height == short


def test_a_large_patient_is_usual_for_the_size_and_a_small_one_with_the_same_dose_is_not() -> None:
    rng = np.random.default_rng(4)
    sizes = rng.uniform(22, 40, 120)
    rows = [
        exam(n, float(100 * np.exp(0.05 * size + rng.normal(0, 0.08))), size_cm=float(size))
        for n, size in enumerate(sizes, 1)
    ]
    much = float(100 * np.exp(0.05 * 40))
    two = [exam(901, much, size_cm=40.0, local_day=DAY), exam(902, much, size_cm=23.0, local_day=DAY)]
    judged = with_size_model(frame([*rows, *two]), with_group(frame([*rows, *two]), DAY, DAY))
    z = dict(judged.select("exam_key", "value_z").iter_rows())
    assert abs(z[901]) < 2
    assert z[902] > 3.5
    assert dict(judged.select("exam_key", "value_expected").iter_rows())[902] == pytest.approx(100 * np.exp(0.05 * 23), rel=0.05)  # fmt: skip


def test_without_sizes_weight_stands_in() -> None:
    rng = np.random.default_rng(4)
    weights = rng.uniform(45, 120, 120)
    rows = [exam(n, float(10 * np.exp(0.35 * np.sqrt(w) + rng.normal(0, 0.08))), weight_kg=float(w)) for n, w in enumerate(weights, 1)]  # fmt: skip
    one = exam(901, float(10 * np.exp(0.35 * np.sqrt(115))), weight_kg=50.0, local_day=DAY)
    judged = with_size_model(frame([*rows, one]), with_group(frame([*rows, one]), DAY, DAY))
    assert judged.row(0, named=True)["size_by"] == "weight"
    assert judged.row(0, named=True)["value_z"] > 3.5


def xa(number: int, kerma: float, day: date, patient: int = 1, **more: Any) -> dict[str, Any]:
    fields = {"modality": "XA", "dose_kind": "projection", "rp_air_kerma_mgy": kerma, "dap_gycm2": kerma / 10, "patient_key": patient, "local_day": day}  # fmt: skip
    return exam(number, kerma / 10, **{**fields, **more})


def test_air_kerma_over_the_window_fires_once_a_crossing_and_each_quantity_by_itself() -> None:
    days = [date(2026, 3, 1), date(2026, 4, 1), date(2026, 4, 20), date(2026, 12, 1)]
    rows = frame([xa(n, kerma, day) for n, (kerma, day) in enumerate(zip((900.0, 900.0, 400.0, 900.0), days, strict=True), 1)])  # fmt: skip
    found = over_limits(rows, [RULE["kerma-window"]], 12)
    assert found.select("exam_key", "found").rows() == [(3, 2200.0)]  # 900 + 900 + 400; the last is alone again
    assert over_limits(rows, [RULE["kerma-window"]], 5).is_empty()
    assert over_limits(rows, [RULE["kerma-exam"]], 12).is_empty()
    both = over_limits(frame([xa(1, 2500.0, days[0])]), RULES, 12)
    assert both.select("rule", "found").rows() == [("kerma-exam", 2500.0), ("dap-exam", 250.0)]


def test_a_baseline_names_its_own_quantity_where_another_crossed_the_rule() -> None:
    """Air kerma crosses its limit; the group that stands beside it is known by dose area product: 10 Gy·cm² each."""
    usual_days = [DAY - timedelta(days=number) for number in range(40, 100)]
    rows = frame([*(xa(n, 100.0, day, patient=n) for n, day in enumerate(usual_days, 1)), xa(999, 2500.0, DAY, patient=999)])  # fmt: skip
    ranges = pl.DataFrame(schema={"protocol_key": pl.Int64, "device_id": pl.Utf8, "metric": pl.Utf8, "low": pl.Float64, "high": pl.Float64})  # fmt: skip
    judged = Judged(DAY, DAY, "p1", rows, with_size_model(rows, with_group(rows, DAY, DAY)), ranges, 12)
    (found,) = (Evidence.of_json(one.evidence) for one in outliers(judged, RULE).raised if one.rule == "kerma-exam")
    assert (found.quantity, found.value, found.unit) == ("rp_air_kerma_mgy", 2500.0, "mGy")
    assert found.baseline is not None
    assert (found.baseline.quantity, round(found.baseline.median, 9), found.baseline.unit) == (
        "dap_gycm2",
        10.0,
        "Gy·cm²",
    )


def test_another_reference_point_is_no_skin_dose() -> None:
    rows = frame([xa(1, 5000.0, DAY, rp_comparable=False, dap_gycm2=1.0)])
    assert over_limits(rows, RULES, 12).is_empty()


def test_the_scanners_own_alert_value_counts() -> None:
    rows = frame([exam(1, 400.0, alert_ratio=1.2), exam(2, 400.0, alert_ratio=0.9, notify_ratio=1.1)])
    found = over_limits(rows, RULES, 12)
    assert found.select("exam_key", "rule").rows() == [(1, "check-alert"), (2, "check-notification")]


def test_a_scanners_own_range_holds_before_that_of_all() -> None:
    ranges = pl.DataFrame(
        {"protocol_key": [7, 7], "device_id": ["", "ct1"], "metric": ["dlp_mgycm"] * 2, "low": [100.0, 250.0], "high": [900.0, 350.0]}
    )  # fmt: skip
    rows = frame([exam(1, 400.0), exam(2, 400.0, device_id="ct2"), exam(3, 200.0), exam(4, 50.0, device_id="ct2")])
    found = outside_ranges(rows, ranges, RULE)
    assert set(found.select("exam_key", "rule").rows()) == {(1, "range-high"), (3, "range-low"), (4, "range-low")}


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ({"acquisitions": 3}, "extra_phase"),
        ({"repeats": 1}, "repeat"),
        ({"length_mm": 700.0}, "long_range"),
        ({"phantom": "head16"}, "data_error"),
        ({"modulation": "NONE"}, "modulation"),
        ({"modulation": None, "current_ratio": 1.0}, "modulation"),
        ({"procedure_key": 9, "procedure_text": "CT pelvis"}, "wrong_protocol"),
        ({"flags": "stated total and sum of events differ"}, "data_error"),
    ],
)
def test_a_cause_is_told_by_what_differs_from_the_twins(more: dict[str, Any], cause: str) -> None:
    group = frame(usual(60))
    one = {**exam(99, 800.0, **more), "ratio": 800 / 300, "median": 300.0, "value_expected": None, "size_by": None}
    found = causes(one, twins_of(one, group), group)
    assert cause in [each.cause for each in found]
    same = {**exam(99, 800.0), "ratio": 800 / 300, "median": 300.0, "value_expected": None, "size_by": None}
    assert causes(same, twins_of(same, group), group) == ()


def test_size_is_a_cause_where_it_explains_most_of_the_excess() -> None:
    one = {**exam(99, 600.0, size_cm=40.0), "ratio": 2.0, "median": 300.0, "value_expected": 560.0, "size_by": "size"}
    group = frame(usual(60))
    (found,) = causes(one, twins_of(one, group), group)
    assert found.cause == "large_patient"
    assert found.share == pytest.approx(np.log(560 / 300) / np.log(2))


def stream(n: int, step_at: int, factor: float, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        exam(number, float(300 * np.exp(rng.normal(0, 0.15)) * (factor if number >= step_at else 1)), local_day=date(2026, 1, 1) + timedelta(days=number // 4))
        for number in range(n)
    ]  # fmt: skip


def test_a_step_of_a_protocol_is_seen_within_ten_exams_on_average() -> None:
    delays, shares = [], []
    for seed in range(20):
        found = drifts(frame(stream(260, 200, 1.3, seed)), RULE["drift"].threshold or 7)
        hits = [change for _, _, change in found if change.seen >= 200]
        assert hits, seed
        delays.append(hits[0].seen - 199)
        shares.append(hits[0].after / hits[0].before)
    assert np.mean(delays) <= 10
    assert np.mean(shares) == pytest.approx(1.3, rel=0.1)


def test_nothing_changed_raises_little() -> None:
    """Forty protocols of 400 exams that never change: false alarms are rarer than one in a thousand exams."""
    false = sum(len(drifts(frame(stream(400, 10_000, 1.0, 100 + seed)), RULE["drift"].threshold or 7)) for seed in range(40))  # fmt: skip
    assert false <= 16


def test_one_outlier_is_no_change_of_level() -> None:
    log = np.random.default_rng(1).normal(5.7, 0.15, 200)
    log[120] += 2.5
    assert first_crossing(log, RULE["drift"].threshold or 7) is None


def test_decisions_change_rules_and_a_rule_without_a_number_is_silent() -> None:
    assert not RULE["kerma-substantial"].fires
    value = {"active": True, "threshold": 5000.0, "severity": 3, "source": "NCRP 168, table 4.7"}
    one = Decision(1, DecisionKind.DOSE_RULE, "kerma-substantial", value, "policy", "ada", datetime.now(UTC))
    changed = rules_with([one])["kerma-substantial"]
    assert (changed.fires, changed.threshold, changed.source) == (True, 5000.0, "NCRP 168, table 4.7")
    assert rules_with([])["group"].threshold == 3.5


NO_RANGES = pl.DataFrame(schema=frame_schema("dim_expected_range"))
LEGAL = """authority;rule;modality;standard_code;age_band;quantity;threshold;severity;valid_from;valid_to;source
Ministry;Significant event, head;CT;CT-HEAD-WO;adult;ctdivol_mgy;120;;2025-01-01;2026-07-01;Gazette 3/2024
Ministry;Significant event;CT;;;dlp_mgycm;2000,5;2;2026-01-01;;Gazette 3/2024
"""


def legal(*on: int) -> dict[str, Rule]:
    """The rules with the legal table, those of these lines switched on."""
    rows = read_table(LEGAL_RULES, LEGAL)
    table = Decision(
        1, DecisionKind.DOSE_TABLE, "Gazette", {"kind": LEGAL_RULES, "rows": rows}, "law", "ada", datetime.now(UTC)
    )
    switched = [
        Decision(2 + line, DecisionKind.DOSE_RULE, legal_rule(rows[line]).id, {"active": True, "threshold": 1.0, "severity": 3}, "tried", "ada", datetime.now(UTC))
        for line in on
    ]  # fmt: skip
    return rules_with([table, *switched])


def test_a_legal_rule_holds_for_its_exams_on_its_days_once_it_is_switched_on() -> None:
    head = {"standard_code": "CT-HEAD-WO", "ctdivol_mgy": 130.0}
    rows = frame(
        [
            exam(1, 900.0, local_day=DAY, **head),
            exam(2, 900.0, local_day=date(2026, 7, 1), **head),  # the first day on which it holds no longer
            exam(3, 900.0, local_day=date(2024, 12, 31), **head),
            exam(4, 900.0, local_day=DAY, age_band="1–5 years", **head),
            exam(5, 900.0, local_day=DAY, standard_code="CT-CHEST-W", ctdivol_mgy=130.0),
            exam(6, 2000.5, local_day=DAY),
            exam(7, 2000.4, local_day=DAY),
        ]
    )
    assert not [rule for rule in legal().values() if rule.reader == "legal" and rule.fires]
    found = over_limits(rows, [rule for rule in legal(0, 1).values() if rule.reader == "legal"], 12)
    assert sorted(found.select("exam_key", "quantity", "found", "limit").rows()) == [
        (1, "ctdivol_mgy", 130.0, 120.0),
        (6, "dlp_mgycm", 2000.5, 2000.5),
    ]
    judged = Judged(DAY, DAY, "p", rows, with_size_model(rows, with_group(rows, DAY, DAY)), NO_RANGES, 12)
    raised = [one for one in outliers(judged, legal(0)).raised if one.reader == "legal"]
    assert [(one.exam_key, one.severity) for one in raised] == [(1, 3)]
    assert raised[0].evidence["source"] == "Gazette 3/2024"
    assert "Ministry: Significant event, head" in raised[0].evidence["text"]


def test_a_legal_table_that_is_imported_again_is_the_same_rules() -> None:
    assert {rule.id for rule in legal().values()} == {rule.id for rule in legal(0).values()}
    assert len([rule for rule in legal().values() if rule.reader == "legal"]) == 2


def test_no_reference_level_is_a_rule_for_one_exam() -> None:
    assert not any("reference" in rule.title.casefold() and "level" in rule.title.casefold() for rule in RULES)


def test_evidence_survives_its_storage() -> None:
    base = Baseline("CHEST on CT 1", DAY, DAY, 40, "dlp_mgycm", "mGy·cm", 300.0, 0.1, 200.0, 400.0)
    made = Evidence(
        "dlp_mgycm", "mGy·cm", 800.0, "DLP 800", "rule", "source", expected=300.0, baseline=base, why=(Cause("repeat", "again", 0.5),), twins=(Twin(2**62, "E1", 310.0, 28.0),),
    )  # fmt: skip
    assert Evidence.of_json(made.as_json()) == made
