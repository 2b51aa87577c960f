"""The star against the simulator's own event log, which no part of the product reads."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from etl.__main__ import main
from state.home import DataHome
from warehouse.engines import Star, StarReader

UNTIL = date(2026, 6, 1)


class Both(NamedTuple):
    """What was true, and the star that was made of what was said."""

    folder: Path
    star: Star
    exams: pl.DataFrame
    """One row an exam of the truth that somebody ordered, with the columns of `fact_exam` beside it."""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    """A small hospital, loaded by the command."""
    folder = tmp_path_factory.mktemp("demo")
    options = ["--seed", "5", "--scale", "0.02", "--days", "60", "--file-days", "1", "--until", str(UNTIL)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISOCENTER_DATA", str(folder / "data"))
        assert main(["demo", "--out", str(folder / "demo"), *options]) == 0
    home = DataHome.open(folder / "data")
    star = StarReader(home.star).current()
    events = pl.read_parquet(folder / "demo" / "truth_events.parquet")
    ordered = events.filter((pl.col("event") == "order_placed") & pl.col("emitted_at").is_not_null())
    true = pl.read_parquet(folder / "demo" / "truth_exams.parquet").join(ordered, on="exam", how="semi")
    pseudonyms = [home.pseudonymiser.pseudonym("order", accession) for accession in true["accession"]]
    true = true.rename({"site": "true_site", "modality": "true_modality", "section": "true_section"}).with_columns(
        accession_pseudonym=pl.Series(pseudonyms, dtype=pl.Utf8)
    )
    told = true.select(
        "exam", "accession_pseudonym", "outcome", "reason", "orderless", "late_order", "true_site", "true_section", "study",
        "is_second", "station", "steps", "habit", "procedure_code", pl.col("images_of") != pl.col("exam"),
    )  # fmt: skip
    facts = in_utc(star.text("SELECT * FROM fact_exam")).rename({"study_uid": "found_study"})
    return Both(folder / "demo", star, told.join(facts, on="accession_pseudonym", how="left"))


def in_utc(frame: pl.DataFrame) -> pl.DataFrame:
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone]
    return frame.with_columns(pl.col(name).dt.convert_time_zone("UTC") for name in times)


def true_times(both: Both, event: str, *sources: str) -> pl.DataFrame:
    """`exam`, `true_at` of one event; of some sources alone where a machine and people mean different things by it."""
    events = pl.read_parquet(both.folder / "truth_events.parquet").filter(
        (pl.col("event") == event) & pl.col("true_at").is_not_null() & pl.col("emitted_at").is_not_null()
    )
    some = events.filter(pl.col("source").is_in(sources)) if sources else events
    return some.group_by("exam").agg(pl.col("true_at").min())


@pytest.mark.parametrize(
    ("event", "sources", "column", "seconds", "share"),
    [
        ("order_placed", [], "ordered_at", 0, 0.999),
        ("scheduling_done", ["siu"], "booked_at", 0, 0.999),
        ("emergency_arrival", ["hl7"], "door_at", 0, 0.999),
        ("patient_arrived", ["siu"], "arrived_at", 0, 0.999),
        # A few are typed only after the scan has begun: planted dirt.
        ("patient_in_room", ["hl7"], "in_room_at", 0, 0.9),
        ("patient_left_room", ["hl7"], "left_room_at", 0, 0.999),
        ("report_preliminary", [], "prelim_at", 0, 0.999),
        ("report_final", [], "final_at", 0, 0.999),
        ("result_communicated", ["extract"], "communicated_at", 0, 0.999),
        ("exam_completed", ["hl7"], "ended_at", 0, 0.999),
        # Scanner clocks are off by up to a few minutes, and buttons are pressed late: planted dirt.
        ("exam_started", [], "started_at", 300, 0.97),
    ],
)
def test_milestones_are_those_that_happened(
    event: str, sources: list[str], column: str, seconds: int, share: float, both: Both
) -> None:
    happened = both.exams.join(true_times(both, event, *sources), on="exam")
    assert happened.height > 5
    known = happened.drop_nulls(column)
    assert known.height >= 0.99 * happened.height
    close = ((known[column] - known["true_at"]).dt.total_seconds().abs() <= seconds).mean()
    assert isinstance(close, float)
    assert close >= share


def test_every_ordered_exam_is_found_once(both: Both) -> None:
    assert both.exams["exam_key"].null_count() == 0
    assert both.exams["exam_key"].n_unique() == both.exams.height


def test_outcomes_are_those_that_happened(both: Both) -> None:
    states = {"cancelled": "cancelled", "no_show": "no_show", "discontinued": "discontinued"}
    for outcome, state in states.items():
        told = both.exams.filter((pl.col("outcome") == outcome) & (pl.col("state") != "scheduled"))
        assert told.height > 5
        assert (told["state"] == state).mean() == pytest.approx(1.0, abs=0.05), outcome


def test_reasons_of_exams_that_were_broken_off_are_known(both: Both) -> None:
    broken = both.exams.filter((pl.col("outcome") == "discontinued") & (pl.col("state") == "discontinued"))
    assert (broken["reason_code"] == broken["reason"]).mean() == pytest.approx(1.0, abs=0.03)


def test_appointments_are_those_that_were_booked(both: Both) -> None:
    """Every slot with its device, length, booking and end, to the second, and how it ended."""
    true = pl.read_parquet(both.folder / "truth_appointments.parquet")
    known = both.exams.select("exam", "exam_key")
    true = true.join(known, on="exam").with_columns(pl.col("slot_number").cast(pl.Int32))
    found = in_utc(both.star.text("SELECT a.*, d.station FROM fact_appointment a JOIN dim_device d USING (device_key)"))
    pairs = true.join(found, on=["exam_key", "slot_number"], how="full", suffix="_found", coalesce=True)
    assert pairs.height == true.height
    for column in ("slot_at", "slot_minutes", "booked_at"):
        assert (pairs[column] == pairs[f"{column}_found"]).mean() == 1.0, column
    same = (pairs["outcome"] == pairs["outcome_found"]).mean()
    assert isinstance(same, float)
    assert same >= 0.985, (
        pairs.filter(pl.col("outcome") != pl.col("outcome_found")).group_by("outcome", "outcome_found").len()
    )
    ended = pairs.filter((pl.col("outcome") == pl.col("outcome_found")) & pl.col("ended_at").is_not_null())
    late = (ended["ended_at_found"] - ended["ended_at"]).dt.total_seconds().abs()
    assert (late <= 60).mean() >= 0.97  # some messages are sent more than an hour late: planted dirt
    gone = pairs.filter(pl.col("outcome").is_in(["cancelled", "late_cancelled", "moved", "no_show"]))
    assert (gone["station"] == gone["station_found"]).mean() > 0.99


def test_images_without_an_order_are_joined_with_the_late_one(both: Both) -> None:
    late = both.exams.filter(pl.col("late_order") & (pl.col("outcome") == "performed"))
    # An unscheduled performed step names the study of the images, so that they are an exam before the order comes.
    late = late.filter(pl.col("steps") == 0)
    assert late.height > 3
    assert (late["series"] > 0).mean() >= 0.9


def test_long_accession_numbers_are_found_by_their_first_characters(both: Both) -> None:
    scanned = both.exams.filter((pl.col("true_site") == "CLINIC") & (pl.col("outcome") == "performed")).drop_nulls(
        "started_at"
    )
    assert scanned.height > 20
    assert (scanned["series"] > 0).mean() > 0.97


def test_orders_of_one_acquisition_share_it(both: Both) -> None:
    scanned = both.exams.filter(pl.col("series") > 0)
    members = scanned.filter(pl.col("study").is_in(scanned.filter("is_second")["study"].implode()))
    assert members["study"].n_unique() > 1
    shared = members.group_by("study").agg(
        pl.col("acquisition_key").n_unique().alias("keys"), pl.col("sharers").max(), pl.len()
    )
    assert (shared["keys"] == 1).all()
    assert (shared["sharers"] == shared["len"]).all()


def test_sections_are_those_of_the_procedures(both: Both) -> None:
    known = both.exams.drop_nulls("section")
    assert known.height > 0.99 * both.exams.height
    assert (known["section"] == known["true_section"]).mean() > 0.995


def test_phantoms_are_kept_apart(both: Both) -> None:
    true = pl.read_parquet(both.folder / "truth_exams.parquet").filter("is_phantom")
    found = both.star.text("SELECT study_uid FROM fact_exam WHERE not_patient IS NOT NULL")
    assert set(found["study_uid"]) == set(true["study_uid"])


def test_no_patient_is_taken_for_a_phantom(both: Both) -> None:
    assert both.exams["not_patient"].null_count() == both.exams.height


def test_the_second_feed_says_nothing_new(both: Both) -> None:
    """What FHIR says of the clinic's last days other sources said too, at the same time: they are chosen."""
    events = both.star.text("SELECT exam_key, event, event_at, source, is_chosen FROM fact_exam_event")
    second = events.filter(pl.col("source") == "fhir")
    assert second.height > 3
    assert not second["is_chosen"].any()
    others = events.filter(pl.col("source") != "fhir").select("exam_key", "event", "event_at").unique()
    assert second.join(others, on=["exam_key", "event", "event_at"], how="anti").is_empty()
