"""The star against the simulator's own event log, which no part of the product reads."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from etl.__main__ import main
from state.home import DataHome
from warehouse.engines import StarReader

UNTIL = date(2026, 6, 1)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """One row an exam of the truth: its true times, and the star's."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISOCENTER_DATA", str(folder / "data"))
        assert (
            main(
                [
                    "demo",
                    "--out",
                    str(folder / "demo"),
                    "--seed",
                    "5",
                    "--scale",
                    "0.02",
                    "--days",
                    "60",
                    "--file-days",
                    "1",
                    "--until",
                    str(UNTIL),
                ]
            )
            == 0
        )
    home = DataHome.open(folder / "data")
    truth = pl.read_parquet(folder / "demo" / "truth_events.parquet")
    true = (
        truth.group_by("accession", "event")
        .agg(pl.col("true_at").min())
        .pivot(on="event", index="accession", values="true_at")
    )
    pseudonyms = [home.pseudonymiser.pseudonym("order", accession) for accession in true["accession"]]
    star = StarReader(home.star).current().text("SELECT * FROM fact_exam")
    times = [pl.col(name).dt.convert_time_zone("UTC") for name in star.columns if name.endswith("_at")]
    return true.with_columns(accession_pseudonym=pl.Series(pseudonyms, dtype=pl.Utf8)).join(
        star.with_columns(times), on="accession_pseudonym", how="left"
    )


@pytest.mark.parametrize(
    ("event", "column", "seconds", "share"),
    [
        ("order_placed", "ordered_at", 1, 0.999),
        ("report_preliminary", "prelim_at", 1, 0.999),
        ("report_final", "final_at", 1, 0.999),
        # Scanner clocks are off by up to a few minutes, and buttons are pressed late: planted dirt.
        ("exam_started", "started_at", 300, 0.97),
        ("exam_completed", "ended_at", 300, 0.97),
    ],
)
def test_milestones_are_those_that_happened(
    event: str, column: str, seconds: int, share: float, both: pl.DataFrame
) -> None:
    happened = both.drop_nulls([event, column])
    assert happened.height > 0.95 * both[event].count()
    close = ((happened[column] - happened[event]).dt.total_seconds().abs() <= seconds).mean()
    assert isinstance(close, float)
    assert close >= share


def test_exams_and_outcomes_are_counted_right(both: pl.DataFrame) -> None:
    """Group cases stand under two accessions, order-less exams under none, so a few per cent may differ; no more."""
    found = both.filter(pl.col("exam_key").is_not_null())
    assert found.height >= 0.98 * both.height
    for event, state in (("patient_no_show", "no_show"), ("order_cancelled", "cancelled")):
        if event in both.columns:
            told = found.filter(pl.col(event).is_not_null() & pl.col("report_final").is_null())
            assert (told["state"] == state).mean() == pytest.approx(1.0, abs=0.03)
