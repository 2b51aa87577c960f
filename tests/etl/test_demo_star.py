"""The demo's files and its direct history give the same star."""

import shutil
from datetime import date

import polars as pl
import pytest

from etl.commands.demo import _readings
from etl.demo import demo_settings, simulate, write_demo
from etl.load import Loader
from settings import Settings
from state.home import DataHome
from warehouse.engines import StarReader

NEITHER = {"file", "position", "digest", "run_id"}
"""Where a row came from differs: a file in one way, the history in the other."""


@pytest.fixture(scope="module")
def stars(tmp_path_factory):
    """One hospital in two data directories with one key: as files through the sources, and as landing rows."""
    folder = tmp_path_factory.mktemp("two-ways")
    history = simulate(seed=9, scale=0.008, until=date(2026, 6, 30), days=14)
    write_demo(folder / "demo", history, file_days=400)
    DataHome.initialise(folder / "by-file")
    shutil.copytree(folder / "by-file", folder / "by-row")
    settings = Settings.model_validate(demo_settings() | {"load": {"workers": 1}})
    homes = [DataHome.open(folder / name) for name in ("by-file", "by-row")]
    Loader(homes[0], settings).load([folder / "demo" / "files"])
    Loader(homes[1], settings).load_frames(_readings(history, homes[1], file_days=0))
    return [StarReader(home.star).current() for home in homes]


TABLES = ["dim_device", "dim_procedure", "dim_protocol", "dim_patient", "dim_provider", "dim_department", "dim_payer", "fact_exam", "fact_exam_event",
          "fact_series", "fact_irradiation_event", "fact_exam_dose", "fact_appointment", "fact_device_span", "fact_device_clock"]  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_both_ways_give_the_same_table(stars, table):
    by_file, by_row = (star.text(f"SELECT * FROM {table}") for star in stars)
    columns = [name for name in by_file.columns if name not in NEITHER]
    assert by_file.height > 1
    left, right = (frame.select(columns).sort(pl.all()) for frame in (by_file, by_row))
    differing = [
        name for name in columns if left.height != right.height or not left[name].equals(right[name], null_equal=True)
    ]
    assert (left.height, differing) == (right.height, [])
