"""Forecasts: what they are made of, what they must not see, and what they do with series that no model fits."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from forecasting.calendar import PARTS, Place, design, is_working_day
from forecasting.errors import SeriesError
from forecasting.grain import Grain, ahead
from forecasting.hours import daily, forecast_hours, profile
from forecasting.models import Forecast, forecast, seasonal_naive, two_sided_mean
from forecasting.series import Series

NOWHERE, ENGLAND = Place(), Place("GB", "ENG")
Floats = NDArray[np.float64]


def days(y: Floats, start: str = "2023-01-02") -> Series:
    return Series("a", Grain.DAY, np.datetime64(start) + np.arange(len(y)), np.asarray(y, dtype=float))


def months(y: Floats, start: str = "2020-01") -> Series:
    return Series("a", Grain.MONTH, (np.datetime64(start) + np.arange(len(y))).astype("datetime64[D]"), np.asarray(y, dtype=float))  # fmt: skip


def adds_up(told: Forecast) -> bool:
    return bool(np.allclose(np.maximum(sum(told.parts.values()), 0), told.mean))


def test_a_perfect_week_is_continued_and_its_parts_add_up() -> None:
    y = np.tile([120.0, 110, 105, 100, 90, 30, 20], 60)
    told = forecast(days(y), 28, NOWHERE)
    assert np.abs(told.mean - y[:28]).mean() / np.abs(np.diff(y)).mean() < 0.01
    assert told.model == "calendar and theta"
    assert {"level", "trend", "weekday"} <= set(told.parts) <= {"level", "trend", "adjustment", *PARTS}
    assert adds_up(told)


def test_a_forecast_knows_nothing_of_what_comes_after() -> None:
    draw = np.random.default_rng(1)
    y = draw.poisson(80, 900).astype(float)
    whole, other = days(y), days(np.concatenate([y[:700], draw.permutation(y[700:]) * 5]))
    for one in (whole, other):
        np.testing.assert_array_equal(forecast(one.upto(700), 28, ENGLAND).mean, forecast(days(y[:700]), 28, ENGLAND).mean)  # fmt: skip


def test_scale_and_date_do_not_matter() -> None:
    y = np.random.default_rng(2).poisson(60, 200) + 20.0
    once = forecast(days(y, "2023-01-09"), 14, NOWHERE).mean
    np.testing.assert_allclose(forecast(days(1000 * y, "2023-01-09"), 14, NOWHERE).mean, 1000 * once, rtol=0.02)
    np.testing.assert_allclose(forecast(days(y, "2024-01-08"), 14, NOWHERE).mean, once, rtol=1e-6)  # 52 weeks later


def test_a_holiday_lowers_its_own_day_and_no_other() -> None:
    """Four years of 100 a day and 20 on each of England's public holidays: the next Christmas is far below the days about it."""
    start, last = np.datetime64("2021-01-01"), np.datetime64("2024-12-16")
    dates = np.arange(start, last)
    free = ~is_working_day(dates, ENGLAND) & ((dates.astype(int) + 3) % 7 < 5)
    told = forecast(Series("a", Grain.DAY, dates, np.where(free, 20.0, 100.0)), 14, ENGLAND)
    by_day = dict(zip(ahead(dates[-1], 14, Grain.DAY).astype(str), told.mean, strict=True))
    assert by_day["2024-12-25"] < 70
    assert by_day["2024-12-26"] < 70
    assert min(by_day[day] for day in ("2024-12-18", "2024-12-19", "2024-12-23")) > 88
    assert told.parts["holiday"].min() < -30


def test_working_days_of_a_month_are_counted_by_place() -> None:
    """December 2026 has 23 weekdays; Christmas Day is a Friday and Boxing Day's substitute a Monday."""
    december = np.arange("2026-12-01", "2027-01-01", dtype="datetime64[D]")
    assert is_working_day(december, NOWHERE).sum() == 22  # the 25th is known everywhere
    assert is_working_day(december, ENGLAND).sum() == 21
    columns = design(np.array(["2026-12-01"], dtype="datetime64[D]"), Grain.MONTH, ENGLAND, 36)
    np.testing.assert_allclose(columns.x[0, -2:], [31 - 30.4, 0.0])
    with pytest.raises(SeriesError, match="ISO 3166"):
        Place.of("XX-YY")


def test_counts_are_smoothed_with_the_variance_of_their_last_periods() -> None:
    y = np.array([3.0, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4])
    told = forecast(months(y), 3, NOWHERE)
    level = y[0]
    for value in y[1:]:
        level = 0.85 * level + 0.15 * value
    assert told.model == "smoothed counts"
    np.testing.assert_allclose(told.mean, [level] * 3)
    assert told.variance == pytest.approx(np.var(y[-18:], ddof=1))


def test_the_trend_is_a_mean_with_halving_weights() -> None:
    y = np.random.default_rng(0).normal(10, 3, 50)
    weights = 0.5 ** (np.abs(np.subtract.outer(np.arange(50), np.arange(50))) / 7.0)
    np.testing.assert_allclose(two_sided_mean(y, 7.0), weights @ y / weights.sum(axis=1))


def test_the_naive_forecast_repeats_the_last_season_over_its_gaps() -> None:
    y = np.array([1.0, 2, 3, 4, 5, np.nan, 7, 8])
    np.testing.assert_array_equal(seasonal_naive(y, 6, 4), [5, 2, 7, 8, 5, 2])
    np.testing.assert_array_equal(seasonal_naive(np.array([4.0, 6.0]), 3, 7), [6, 6, 6])


@pytest.mark.parametrize(
    "y",
    [[5.0], [0.0] * 40, [7.0] * 40, [np.nan] * 30, [0.0] * 39 + [500.0], [1e9, 0.0] * 20, [np.nan, 3.0] * 30, [1.0, 2, 3, 4, 5, 6, 7], list(range(40))],
    ids=["one value", "zeros", "constant", "nothing known", "a spike at the end", "wild", "every other day missing", "a week", "a line"],
)  # fmt: skip
@pytest.mark.parametrize("grain", [Grain.DAY, Grain.WEEK, Grain.MONTH])
def test_what_no_model_fits_still_has_a_forecast(y: list[float], grain: Grain) -> None:
    starts = ahead(np.datetime64("2021-12-27"), len(y), grain)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = forecast(Series("a", grain, starts, np.array(y)), 10, ENGLAND)
    assert np.isfinite(told.mean).all()
    assert (told.mean >= 0).all()
    assert adds_up(told)


@given(st.lists(st.one_of(st.integers(0, 400), st.none()), min_size=1, max_size=120), st.integers(1, 20))
@hypothesis_settings(max_examples=25, deadline=None)
def test_any_series_has_a_forecast_that_is_not_below_zero(values: list[int | None], horizon: int) -> None:
    told = forecast(days(np.array([np.nan if value is None else value for value in values], dtype=float)), horizon, NOWHERE)  # fmt: skip
    assert len(told.mean) == horizon
    assert np.isfinite(told.mean).all()
    assert (told.mean >= 0).all()
    assert adds_up(told)


# -- hours --------------------------------------------------------------------------------------------------------------


def hours(count: int, start: str = "2026-01-05T00") -> Series:
    starts = np.datetime64(start, "h") + np.arange(count)
    shape = np.where((starts.astype(int) % 24 >= 8) & (starts.astype(int) % 24 < 20), 10.0, 2.0)
    return Series("a", Grain.HOUR, starts, shape)


def test_hours_add_up_to_their_day() -> None:
    series = hours(24 * 7 * 30)
    told = forecast_hours(series, 24 * 7, NOWHERE)
    by_day = forecast(daily(series), 7, NOWHERE)
    np.testing.assert_allclose(told.mean.reshape(7, 24).sum(axis=1), by_day.mean)
    np.testing.assert_allclose(profile(series).sum(axis=1), np.ones(7))
    np.testing.assert_allclose(told.mean[:24], series.y[:24], rtol=0.02)
    assert adds_up(told)


@pytest.mark.parametrize("start", ["2026-01-05T00", "2026-01-05T07"])
@pytest.mark.parametrize("count", [24 * 40, 24 * 40 + 5])
def test_only_whole_days_are_summed(start: str, count: int) -> None:
    series = hours(count, start)
    days_of = daily(series)
    assert set(days_of.y.tolist()) == {144.0}
    told = forecast_hours(series, 30, NOWHERE)
    expected = hours(count + 30, start).y[-30:]
    np.testing.assert_allclose(told.mean, expected, rtol=0.03)
