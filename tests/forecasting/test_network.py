"""The network's forecast: levels that agree, a poor model that steps back, and a store that keeps whole forecasts alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from forecasting.calendar import Place
from forecasting.grain import Grain
from forecasting.models import forecast
from forecasting.network import ADDED, NAIVE, NetworkForecast, network_forecast, nodes_of
from forecasting.series import Series
from forecasting.store import FOLDER, Forecasts
from forecasting.why import parts_by_day, standing_out

HORIZON = 14
PLACES = {"NORTH": Place(), "WEST": Place("US")}


def series(name: str, mean: float, seed: int, count: int = 200) -> Series:
    draw = np.random.default_rng(seed)
    week = np.tile([1.3, 1.2, 1.2, 1.1, 1.1, 0.6, 0.5], count // 7 + 1)[-count:]
    return Series(name, Grain.DAY, np.datetime64("2026-11-15") - np.arange(count)[::-1], draw.poisson(mean * week).astype(float))  # fmt: skip


@pytest.fixture(scope="module")
def found() -> NetworkForecast:
    every = [series("NORTH/CT/OP", 20, 1), series("NORTH/MR/OP", 8, 2), series("WEST/CT/ED", 5, 3, count=120)]
    return network_forecast(every, PLACES, horizon=HORIZON, origins=2, workers=1)


def test_children_add_up_to_their_parents(found: NetworkForecast) -> None:
    means = found.forecast.pivot("unique_id", index="ds", values="mean")
    np.testing.assert_allclose(means["NORTH/*/*"], means["NORTH/CT/OP"] + means["NORTH/MR/OP"], rtol=1e-12)
    np.testing.assert_allclose(means["*/CT/*"], means["NORTH/CT/OP"] + means["WEST/CT/ED"], rtol=1e-12)
    np.testing.assert_allclose(means["*/*/*"], means["NORTH/*/*"] + means["WEST/*/*"], rtol=1e-12)
    assert set(found.forecast["unique_id"]) == {node for one in ("NORTH/CT/OP", "NORTH/MR/OP", "WEST/CT/ED") for node in nodes_of(one)}  # fmt: skip
    np.testing.assert_allclose(means["*/*/OP"], means["NORTH/*/*"], rtol=1e-12)
    assert set(found.backtest["unique_id"]) == set(found.forecast["unique_id"])


def test_the_next_days_begin_after_the_last_and_lie_within_their_intervals(found: NetworkForecast) -> None:
    days = found.forecast.filter(pl.col("unique_id") == "*/*/*")["ds"].dt.date().to_list()
    assert days == [date(2026, 11, 16) + timedelta(days=count) for count in range(HORIZON)]
    told = found.forecast
    ordered = (told["q025"] <= told["q10"]) & (told["q10"] <= told["mean"]) & (told["mean"] <= told["q90"]) & (told["q90"] <= told["q975"])  # fmt: skip
    assert ordered.all()
    assert (told["q025"] >= 0).all()


def test_parts_add_up_to_each_day_at_every_level(found: NetworkForecast) -> None:
    for name in found.forecast["unique_id"].unique():
        days = parts_by_day(found, name)
        sums = days.select(pl.sum_horizontal(pl.exclude("ds", "mean")))["level"]
        np.testing.assert_allclose(sums, days["mean"], atol=1e-9)


def test_the_day_that_stands_out_is_named_with_what_put_it_there() -> None:
    """Seven days of 50, one of them 20 lower by a holiday and 3 by its weekday: their means are 20/7 and 3/7 away from the rest."""
    days = pl.DataFrame({"ds": list(range(7)), "mean": [50.0] * 6 + [27.0], "level": [50.0] * 7, "weekday": [0.0] * 6 + [-3.0], "holiday": [0.0] * 6 + [-20.0]})  # fmt: skip
    row, moved = standing_out(days)
    assert row == 6
    assert [(name, round(amount, 6)) for name, amount in moved] == [("holiday", round(-20 * 6 / 7, 6)), ("weekday", round(-3 * 6 / 7, 6))]  # fmt: skip


def test_a_week_is_the_sum_of_its_days_with_an_interval_of_its_own(found: NetworkForecast) -> None:
    days = found.forecast.filter(pl.col("unique_id") == "NORTH/CT/OP").sort("ds")
    weeks = found.weeks.filter(pl.col("unique_id") == "NORTH/CT/OP").sort("week")
    assert weeks["week"].to_list() == [1, 2]
    np.testing.assert_allclose(weeks["mean"], [days["mean"][:7].sum(), days["mean"][7:14].sum()])
    for week, part in zip(weeks.iter_rows(named=True), (days[:7], days[7:]), strict=True):
        assert week["q025"] <= week["q10"] <= week["mean"] <= week["q90"] <= week["q975"]
        assert week["q90"] - week["q10"] < (part["q90"] - part["q10"]).sum()  # days do not err all to one side


def test_a_series_by_itself_is_what_the_model_says(found: NetworkForecast) -> None:
    told = found.forecast.filter(pl.col("unique_id") == "NORTH/CT/OP")
    assert told["model"][0] == "calendar and theta"
    np.testing.assert_allclose(told["mean"], forecast(series("NORTH/CT/OP", 20, 1), HORIZON, Place()).mean)
    assert found.forecast.filter(pl.col("unique_id") == "*/*/*")["model"][0] == ADDED


def test_where_no_model_is_better_last_week_is_repeated() -> None:
    """A clock: each week is exactly the one before, and no model can beat repeating it."""
    exact = Series("NORTH/CT/OP", Grain.DAY, np.datetime64("2026-11-15") - np.arange(140)[::-1], np.tile([9.0, 5, 7, 1, 8, 0, 3], 20))  # fmt: skip
    jumping = Series("NORTH/CT/OP", Grain.DAY, exact.starts, exact.y * np.repeat([1.0, 4.0], [100, 40]))
    told = network_forecast([jumping], PLACES, horizon=7, origins=2, workers=1).forecast
    own = told.filter(pl.col("unique_id") == "NORTH/CT/OP")
    assert own["model"].unique().to_list() == [NAIVE]
    np.testing.assert_array_equal(own["mean"], jumping.y[-7:])


def test_forecasts_are_kept_with_their_birth_date_and_never_overwritten(tmp_path: Path, found: NetworkForecast) -> None:
    store = Forecasts(tmp_path)
    assert store.latest() is None
    first, second = datetime(2026, 11, 16, 6, tzinfo=UTC), datetime(2026, 11, 17, 6, tzinfo=UTC)
    store.keep(found, "p1", first)
    store.keep(NetworkForecast(found.forecast.head(1), found.parts, found.weeks, found.backtest), "p2", second)
    latest = store.latest()
    assert latest is not None
    assert (latest.made_at, latest.publication, latest.found.forecast.height) == (second, "p2", 1)
    (tmp_path / FOLDER / "20261118T060000000000").mkdir()  # of another version: it lacks what this one reads
    newest = store.latest()
    assert newest is not None
    assert newest.publication == "p2"
    (tmp_path / FOLDER / "20261118T060000000000").rmdir()
    with pytest.raises(OSError, match=r"not empty|exists"):
        store.keep(found, "p3", second)
    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == ["20261116T060000000000", "20261117T060000000000"]  # fmt: skip


def test_a_forecast_that_cannot_be_written_leaves_nothing(tmp_path: Path, found: NetworkForecast, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        Forecasts(tmp_path).keep(found, "p1")
    assert list((tmp_path / FOLDER).iterdir()) == []
    assert Forecasts(tmp_path).latest() is None
