"""The demand page: which forecast a reader sees, and what stands where there is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from dash import Dash

from dashboards._shell.cards import Card, Empty
from dashboards._shell.reading import Reading
from dashboards._shell.sections import SECTIONS, rendered
from dashboards.demand.kept import Shown, shown
from forecasting.network import ADDED, NetworkForecast
from forecasting.store import Forecasts
from settings import Settings
from warehouse.scope import Scope

NODES = {
    "NORTH/CT/*": 10.0, "WEST/CT/*": 5.0, "NORTH/MR/*": 3.0, "NORTH/*/*": 13.0, "WEST/*/*": 5.0, "*/CT/*": 15.0, "*/MR/*": 3.0, "*/*/*": 18.0,
    "*/*/ED": 4.0, "*/*/OP": 14.0,
}  # fmt: skip


@pytest.fixture
def forecast_reading(app: Dash, reading: Reading, tmp_path: Path) -> Reading:
    first = datetime(2026, 11, 16)
    rows = [
        {"unique_id": name, "ds": first + timedelta(days=day), "horizon": day + 1, "mean": mean, "q025": mean - 2, "q10": mean - 1, "q90": mean + 1, "q975": mean + 2, "model": ADDED}
        for name, mean in NODES.items()
        for day in range(28)
    ]  # fmt: skip
    parts = [{"unique_id": row["unique_id"], "ds": row["ds"], "part": part, "value": value} for row in rows for part, value in (("level", row["mean"]), ("weekday", 0.0))]  # fmt: skip
    weeks = [{"unique_id": name, "week": week, "mean": 7 * mean, "q025": 6.0 * mean, "q10": 6.5 * mean, "q90": 7.5 * mean, "q975": 8.0 * mean} for name, mean in NODES.items() for week in (1, 2, 3, 4)]  # fmt: skip
    scores = [{"unique_id": name, "mase": 0.6, "mase_seasonal_naive": 0.8, "rmsse": 0.7, "wis": 1.0, "bias": -1.0, "coverage80": 0.81, "coverage95": 0.96, "seconds": 0.1} for name in NODES]  # fmt: skip
    Forecasts(tmp_path).keep(NetworkForecast(pl.DataFrame(rows), pl.DataFrame(parts), pl.DataFrame(weeks), pl.DataFrame(scores)), "p", datetime(2026, 11, 16, 7, tzinfo=UTC))  # fmt: skip
    settings: Settings = reading.settings.model_copy(update={"data_directory": tmp_path})
    return replace(reading, settings=settings)


def chosen(reading: Reading, **lists: tuple[str, ...]) -> Reading:
    return replace(reading, filters=reading.filters.narrowed(**lists))


def test_each_section_draws(forecast_reading: Reading) -> None:
    for name in ("demand.next", "demand.days", "demand.parts", "demand.why"):
        found = SECTIONS[name].draw(forecast_reading)
        assert rendered(found, name, forecast_reading) is not None
    days = SECTIONS["demand.days"].draw(forecast_reading)
    assert isinstance(days, Card)
    assert "Newer data is loaded since" in days.note
    parts = SECTIONS["demand.parts"].draw(forecast_reading)
    assert isinstance(parts, Card)
    rows = {row["name"]: row for row in parts.table.rows()}
    assert {name: row["next"] for name, row in rows.items()} == {"CT": 28 * 15, "MR": 28 * 3}
    assert rows["CT"]["gain"] == pytest.approx(25)
    by_class = SECTIONS["demand.parts"].draw(replace(forecast_reading, extra={"split": "patient_class"}))
    assert isinstance(by_class, Card)
    assert sorted(row["next"] for row in by_class.table.rows()) == [28 * 4, 28 * 14]
    assert "80 % interval 117 to 135" in str(SECTIONS["demand.next"].draw(forecast_reading))
    by_site = SECTIONS["demand.parts"].draw(replace(forecast_reading, extra={"split": "site"}))
    assert isinstance(by_site, Card)
    assert {row["name"]: row["next"] for row in by_site.table.rows()} == {"North Hospital": 28 * 13, "West Clinic": 28 * 5}  # fmt: skip


@pytest.mark.parametrize(
    ("lists", "node"),
    [({}, "*/*/*"), ({"modality": ("CT",)}, "*/CT/*"), ({"site": ("WEST",)}, "WEST/*/*"), ({"site": ("NORTH",), "modality": ("MR",)}, "NORTH/MR/*"), ({"patient_class": ("ED",)}, "*/*/ED")],
)  # fmt: skip
def test_the_filters_choose_the_forecast(forecast_reading: Reading, lists: dict[str, tuple[str, ...]], node: str) -> None:  # fmt: skip
    found = shown(chosen(forecast_reading, **lists))
    assert isinstance(found, Shown)
    assert found.unique_id == node
    assert set(found.days["mean"]) == {NODES[node]}


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        ({"modality": ("CT", "MR")}, "one modality"), ({"site": ("NORTH", "WEST")}, "one site"), ({"priority": ("stat",)}, "not by priority"),
        ({"site": ("WEST",), "modality": ("MR",)}, "no forecast for this choice"),
    ],
)  # fmt: skip
def test_where_there_is_none_the_page_says_why(forecast_reading: Reading, lists: dict[str, tuple[str, ...]], why: str) -> None:  # fmt: skip
    seen = chosen(forecast_reading, **lists)
    found = SECTIONS["demand.days"].draw(seen)
    assert isinstance(found, Empty)
    assert why in found.reason
    for name in ("demand.next", "demand.parts", "demand.why"):
        assert rendered(SECTIONS[name].draw(seen), name, seen) is not None


def test_a_reader_of_one_site_sees_that_site_alone(forecast_reading: Reading) -> None:
    west = replace(forecast_reading, scope=Scope(sites=frozenset({"WEST"})))
    found = shown(west)
    assert isinstance(found, Shown)
    assert found.unique_id == "WEST/*/*"
    assert "not in your scope" in str(shown(chosen(west, site=("NORTH",))))
    both = replace(forecast_reading, scope=Scope(sites=frozenset({"WEST", "NORTH"})))
    assert "Choose one site" in str(shown(both))
    limited = replace(forecast_reading, scope=Scope(departments=frozenset({"Emergency"})))
    assert "limited to departments" in str(shown(limited))


def test_without_a_forecast_the_page_says_how_to_make_one(app: Dash, reading: Reading, tmp_path: Path) -> None:
    bare = replace(reading, settings=reading.settings.model_copy(update={"data_directory": tmp_path}))
    found = SECTIONS["demand.days"].draw(bare)
    assert isinstance(found, Empty)
    assert "python -m forecasting run" in found.reason
