"""Back-tests: no leakage, the right origins, intervals that cover, and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from forecasting.__main__ import main
from forecasting.backtest import METRICS, backtest
from forecasting.calendar import Place
from forecasting.grain import Grain
from forecasting.guess import likeliest_place
from forecasting.models import forecast
from forecasting.series import Series

NOWHERE = Place()
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "forecasting"


def noisy(name: str, count: int, seed: int, mean: float = 50.0) -> Series:
    draw = np.random.default_rng(seed)
    week = np.tile([1.2, 1.1, 1.1, 1.1, 1.0, 0.8, 0.7], count // 7 + 1)[:count]
    return Series(name, Grain.DAY, np.datetime64("2024-01-01") + np.arange(count), draw.negative_binomial(20, 20 / (20 + mean * week)).astype(float))  # fmt: skip


def test_each_origin_forecasts_from_what_lies_before_it() -> None:
    series = noisy("a", 200, 1)
    found = backtest([series], 10, 2, NOWHERE, workers=1)
    origins = found.rows["origin"].unique().sort().to_list()
    last = np.datetime64("2024-01-01") + 199
    assert [np.datetime64(one, "D") for one in origins] == [last - 38, last - 10]
    late = found.rows.filter(pl.col("origin") == origins[1])
    np.testing.assert_allclose(late["mean"].to_numpy(), forecast(series.upto(190), 10, NOWHERE).mean)
    np.testing.assert_array_equal(late["y"].to_numpy(), series.y[190:])
    assert late["horizon"].to_list() == list(range(1, 11))


def test_the_scores_are_those_reckoned_by_hand() -> None:
    found = backtest([noisy("a", 200, 1)], 14, 2, NOWHERE, workers=1)
    [row] = found.series.to_dicts()
    rows = found.rows
    error = (rows["y"] - rows["mean"]).abs()
    assert row["mase"] == pytest.approx((error / rows["scale"]).mean())
    assert row["rmsse"] == pytest.approx(np.sqrt((error**2 / rows["square_scale"]).mean()))
    inside = [low <= y <= high for low, y, high in rows.select("q10", "y", "q90").iter_rows()]
    assert row["coverage80"] == pytest.approx(np.mean(inside))
    assert row["bias"] == pytest.approx(100 * (rows["mean"].sum() - rows["y"].sum()) / rows["y"].sum())
    assert (rows["q025"] <= rows["q10"]).all()
    assert (rows["q90"] <= rows["q975"]).all()
    assert rows["q025"].min() >= 0


def test_what_comes_after_changes_no_earlier_interval() -> None:
    series = noisy("a", 220, 4)
    changed = Series("a", Grain.DAY, series.starts, np.concatenate([series.y[:192], series.y[192:] * 9 + 7]))
    before, after = (backtest([one], 28, 2, NOWHERE, workers=1).rows.sort("origin") for one in (series, changed))
    first = before["origin"].min()
    columns = ["ds", "mean", "q025", "q10", "q90", "q975"]
    kept = before.filter(pl.col("origin") == first).select(columns)
    assert kept.equals(after.filter(pl.col("origin") == first).select(columns))


@pytest.mark.slow
def test_intervals_cover_and_the_pair_beats_the_naive_forecast() -> None:
    found = backtest([noisy(f"s{seed}", 300, seed) for seed in range(24)], 28, 3, NOWHERE, workers=1)
    assert 0.75 < found.overall["coverage80"] < 0.86
    assert 0.92 < found.overall["coverage95"] < 0.98
    assert found.overall["mase"] < 0.85 * found.overall["mase_seasonal_naive"]


def test_series_that_cannot_be_judged_are_named() -> None:
    flat = Series("flat", Grain.DAY, np.datetime64("2024-01-01") + np.arange(100), np.full(100, 5.0))
    short = Series("short", Grain.DAY, np.datetime64("2024-01-01") + np.arange(9), np.arange(9.0))
    found = backtest([flat, noisy("good", 100, 2), short], 7, 2, NOWHERE, workers=1)
    assert found.series["unique_id"].to_list() == ["good"]
    assert "never changes" in found.left_out["flat"]
    assert "too few" in found.left_out["short"]


def test_more_processes_give_the_same() -> None:
    series = [noisy(f"s{seed}", 90, seed) for seed in range(6)]
    one, two = (backtest(series, 7, 2, NOWHERE, workers=count) for count in (1, 2))
    assert one.rows.drop("seconds").equals(two.rows.drop("seconds"))


def written(folder: Path, *series: Series) -> Path:
    frames = [pl.DataFrame({"unique_id": [one.unique_id] * len(one.y), "ds": one.starts.astype(str), "y": one.y}) for one in series]  # fmt: skip
    path = folder / "series.csv"
    pl.concat(frames).write_csv(path)
    return path


def test_the_command_answers_as_json_and_as_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, noisy("a", 120, 1), noisy("b", 120, 2))
    asked = ["backtest", "--csv", str(path), "--grain", "day", "--horizon", "7", "--origins", "2", "--country", "", "--workers", "1"]  # fmt: skip
    assert main([*asked, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(METRICS) <= set(answer["overall"])
    assert [one["unique_id"] for one in answer["series"]] == ["a", "b"]
    assert all(set(METRICS) <= set(one) for one in answer["series"])
    assert answer["overall"]["mase"] == pytest.approx(np.mean([one["mase"] for one in answer["series"]]))
    assert main(asked) == 0
    assert "Without public holidays." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [({"--csv": "nowhere.csv"}, "no such file"), ({"--country": "XX"}, "ISO 3166"), ({"--horizon": "119"}, "too few")],
)
def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], message: str) -> None:  # fmt: skip
    path = written(tmp_path, noisy("a", 120, 1))
    options = {"--csv": str(path), "--grain": "day", "--horizon": "7", "--country": ""} | change
    assert main(["backtest", *(part for pair in options.items() for part in pair)]) == 2
    assert message in capsys.readouterr().err


def test_a_calendar_is_guessed_from_the_history_and_none_where_none_helps() -> None:
    dates = np.arange("2021-01-01", "2025-01-01", dtype="datetime64[D]")
    draw = np.random.default_rng(1)
    thanksgiving = np.isin(
        dates, np.array(["2021-11-25", "2022-11-24", "2023-11-23", "2024-11-28"], dtype="datetime64[D]")
    )
    july = np.isin(dates.astype(str), ["2021-07-05", "2022-07-04", "2023-07-04", "2024-07-04"])
    plain = draw.poisson(100, len(dates)).astype(float)
    american = np.where(thanksgiving | july, 10.0, plain)
    assert likeliest_place([Series("a", Grain.DAY, dates, american)], 28) == Place("US", "")
    assert likeliest_place([Series("a", Grain.DAY, dates, plain)], 28) == NOWHERE


@pytest.mark.parametrize(("file", "grain", "horizon", "origins", "most"), [("ambulance_daily_swast.csv", Grain.DAY, 28, 3, 0.85)])  # fmt: skip
def test_real_series_are_forecast_better_than_by_last_week(file: str, grain: Grain, horizon: int, origins: int, most: float) -> None:  # fmt: skip
    if not SHARED.is_dir():
        pytest.skip("needs the shared collection of real series (../shared/data), which is not part of the repository")
    from forecasting.series import read_series

    found = backtest(read_series(SHARED / file, grain), horizon, origins, Place("GB", "ENG"), workers=1)
    assert found.overall["mase"] < most * found.overall["mase_seasonal_naive"]
    assert 0.7 < found.overall["coverage80"] < 0.9
