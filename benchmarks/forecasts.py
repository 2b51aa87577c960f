"""Forecasts beside AutoETS of statsforecast: scaled errors, interval scores and time, from the same origins in one run.

Needs `pip install statsforecast`, which is no requirement of ours, and a folder of series (`--data`): daily and hourly
emergency arrivals and monthly imaging as listed in GROUPS. Says what is missing and measures nothing where either is.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import polars as pl
from _compare import Comparison, arguments, show

from forecasting.backtest import EARLIER, backtest
from forecasting.calendar import Place
from forecasting.grain import RHYTHMS, Grain
from forecasting.metrics import scales, weighted_interval_score
from forecasting.series import Series, series_of

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "forecasting"
MODALITY_TESTS = pl.col("planned") + pl.col("unscheduled") + pl.col("waiting_list_tests")
GROUPS: dict[str, tuple[str, Grain, int, int, str, pl.Expr]] = {
    "daily ambulance": ("ambulance_daily_swast.csv", Grain.DAY, 28, 8, "GB-ENG", pl.col("y")),
    "monthly imaging by region": ("dm01_imaging_region_monthly.csv", Grain.MONTH, 6, 6, "GB-ENG", MODALITY_TESTS),
    "monthly emergency, England": ("ae_monthly_england_type1.csv", Grain.MONTH, 6, 6, "GB-ENG", pl.col("attendances")),
    "monthly emergency, Scotland": ("ae_monthly_scotland.csv", Grain.MONTH, 6, 6, "GB-SCT", pl.col("y")),
}
"""File, grain, periods ahead, origins, public holidays, and what is forecast."""
BEFORE = "2020-03"
"""Scotland's series are read up to the epidemic's first month: no method is good across that break."""


def main() -> None:
    """Prints the table."""
    arguments(__doc__)
    try:
        from statsforecast.models import AutoETS
    except ImportError:
        print("statsforecast is not installed: pip install statsforecast (a benchmark extra), then run this again.")
        return
    if not DATA.is_dir():
        print(f"{DATA} is not there: the real series are no part of the repository.")
        return
    lines, ratios = [], []
    for name, group in GROUPS.items():
        found, ratio = _compared(name, *group, auto_ets=AutoETS)
        lines += found
        ratios.append(ratio)
    mean = float(np.exp(np.mean(np.log(ratios))))
    show(*lines, Comparison("geometric mean over groups, MASE", "", "AutoETS", mean, at_most=0.97))


def _compared(
    name: str, file: str, grain: Grain, horizon: int, origins: int, country: str, y: pl.Expr, auto_ets: Any
) -> tuple[list[Comparison], float]:
    frame = pl.read_csv(DATA / file, infer_schema_length=None).select("unique_id", pl.col("ds").cast(pl.Utf8), y=y)
    if file.endswith("scotland.csv"):
        frame = frame.filter(pl.col("ds") < BEFORE)
    series = [one for one in series_of(frame, grain) if len(one.y) >= horizon + 24 and not np.isnan(one.y).any()]
    ours = backtest(series, horizon, origins, Place.of(country), workers=1)
    names = set(ours.series["unique_id"])
    theirs = [_auto_ets(one, horizon, origins, auto_ets) for one in series if one.unique_id in names]
    mase, wis, seconds = (float(np.mean([row[at] for row in theirs])) for at in range(3))
    overall = ours.overall
    took = overall["seconds"] / ours.series.height
    ratio = overall["mase"] / mase
    return [
        Comparison(f"{name}: MASE", f"{overall['mase']:.3f}", f"AutoETS {mase:.3f}", ratio, at_most=1.05),
        Comparison(f"{name}: MASE", f"{overall['mase']:.3f}", f"seasonal naive {overall['mase_seasonal_naive']:.3f}", overall["mase"] / overall["mase_seasonal_naive"]),
        Comparison(f"{name}: scaled WIS", f"{overall['wis']:.3f}", f"AutoETS {wis:.3f}", overall["wis"] / wis),
        Comparison(f"{name}: 80 % cover", f"{overall['coverage80']:.3f}", "0.8", overall["coverage80"] / 0.8, at_least=0.875),
        Comparison(f"{name}: seconds a series", f"{took:.2f}", f"AutoETS {seconds:.2f}", took / seconds),
    ], ratio  # fmt: skip


def _auto_ets(series: Series, horizon: int, origins: int, auto_ets: Any) -> tuple[float, float, float]:
    """MASE, WIS in units of the scale, and seconds of all origins; their own intervals. Our seconds count earlier origins no more."""
    rhythm = RHYTHMS[series.grain]
    errors, scores, took = [], [], 0.0
    for back in range(origins):
        end = len(series.y) - horizon - rhythm.step * back
        if end < EARLIER + rhythm.season:
            continue
        y = series.y[max(0, end - rhythm.history) : end]
        truth = series.y[end : end + horizon]
        began = process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told = auto_ets(season_length=rhythm.season).forecast(y=y, h=horizon, level=[80, 95])
        took += process_time() - began
        scale, _ = scales(y, rhythm.season)
        if not scale > 0:
            continue
        mean = np.maximum(told["mean"], 0)
        bounds = [(np.maximum(told[f"lo-{level}"], 0), told[f"hi-{level}"]) for level in (80, 95)]
        errors.append(np.abs(truth - mean) / scale)
        scores.append(weighted_interval_score(truth, mean, *bounds) / scale)
    return float(np.mean(errors)), float(np.mean(scores)), took


if __name__ == "__main__":
    main()
