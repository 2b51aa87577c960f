"""The simulated history: reproducible, calibrated, with queues that react and stories that show."""

import json
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from etl.demo import landing_rows, simulate
from etl.demo.calibration import rate, spread
from etl.demo.clocks import DAY, SiteClock, day_number
from etl.demo.dose import exposures
from etl.demo.messages import charges
from etl.demo.network import SITE_BY_CODE, devices
from etl.demo.reading import WORKLISTS, Stints, read_queue, stints
from etl.demo.series_rows import series
from etl.demo.stories import next_version, of_kind, plan, summer_time
from etl.demo.truth import truth
from etl.lake.schema import polars_schema
from state.identity import Pseudonymiser

UNTIL = date(2026, 11, 24)
KEY = Pseudonymiser(b"k" * 32)
KINDS = {
    "protocol_dose_step", "protocol_dose_drop", "slow_subspecialty", "failing_scanner", "demand_spike", "idle_evenings", "clock_off", "wrong_worklist",
    "lost_dose_reports", "unbilled_exams",
}  # fmt: skip


@pytest.fixture(scope="module")
def history():
    return simulate(seed=11, scale=0.06, until=UNTIL, days=420)


def minutes(later, earlier):
    return (pl.col(later) - pl.col(earlier)).dt.total_seconds() / 60


def test_same_seed_gives_the_same_truth_and_rows():
    once, again = (simulate(5, 0.005, UNTIL, 60) for _ in range(2))
    assert json.dumps(truth(once), sort_keys=True) == json.dumps(truth(again), sort_keys=True)
    for left, right in zip(landing_rows(once, KEY), landing_rows(again, KEY), strict=True):
        assert left.keys() == right.keys()
        assert all(left[table].equals(right[table]) for table in left)


def test_another_seed_tells_other_stories():
    fleet = devices(0.06)
    told = {json.dumps([story.as_truth() for story in plan(seed, UNTIL, 420, fleet)]) for seed in range(8)}
    assert len(told) == 8


def test_rows_have_the_columns_and_types_of_the_landing_tables(history):
    for chunk in landing_rows(simulate(2, 0.004, UNTIL, 40), KEY):
        for table, frame in chunk.items():
            assert dict(frame.schema) == polars_schema(table)
            assert frame["month"].n_unique() == 1
            assert frame["digest"].n_unique() == len(frame)


@pytest.mark.parametrize(
    ("modality", "low", "high"),
    [
        ("XR", 0.44, 0.60),
        ("US", 0.16, 0.24),
        ("CT", 0.11, 0.17),
        ("MR", 0.05, 0.09),
        ("MG", 0.02, 0.05),
        ("RF", 0.01, 0.03),
        ("XA", 0.005, 0.02),
    ],
)
def test_modalities_have_their_calibrated_share(history, modality, low, high):
    done = history.exams.filter(pl.col("completed").is_not_null())
    assert low < len(done.filter(pl.col("modality") == modality)) / len(done) < high


def test_volume_follows_the_scale(history):
    done = history.exams.filter(pl.col("started").is_not_null())
    assert len(done) == pytest.approx(630_000 * 0.06 * 420 / 365, rel=0.12)


@pytest.mark.parametrize(
    ("code", "key"),
    [("XCH2", "XR chest 2 views"), ("CTHW", "CT head without"), ("CTAP", "CT abdomen pelvis with"), ("MRBR", "MR brain with/without"), ("MRKN", "MR knee"),
     ("USAB", "US abdomen"), ("MGSC", "MG screening")],
)  # fmt: skip
def test_exams_last_as_long_as_calibrated(history, code, key):
    from etl.demo.procedures import PROCEDURES

    index = next(i for i, p in enumerate(PROCEDURES) if p.code == code)
    mine = history.exams.filter((pl.col("procedure") == index) & (pl.col("outcome") == 0) & ~pl.col("is_second"))
    assert mine.select(minutes("ended", "started").median()).item() == pytest.approx(
        spread("machine_minutes", key).median, rel=0.15
    )


@pytest.mark.parametrize(
    ("patient_class", "modality", "key"),
    [("E", "XR", "ED XR final"), ("E", "CT", "ED CT final"), ("I", "CT", "IP CT final"), ("I", "XR", "IP XR final"), ("O", "CT", "OP CT final"),
     ("O", "MR", "OP MR final"), ("O", "XR", "OP XR final"), ("O", "US", "OP US final"), ("O", "MG", "MG screening final")],
)  # fmt: skip
def test_turnaround_has_the_calibrated_order_of_magnitude(history, patient_class, modality, key):
    """Turnaround comes out of queues, so it is only compared within a factor of two."""
    mine = history.exams.filter(
        (pl.col("patient_class") == patient_class) & (pl.col("modality") == modality) & pl.col("final").is_not_null()
    )
    median = mine.select(minutes("final", "completed").median()).item()
    assert 0.5 < median / spread("complete_to_report", key).median < 2


def test_times_of_an_exam_are_in_order(history):
    exams = history.exams
    for earlier, later in (("ordered", "arrived"), ("arrived", "started"), ("started", "ended"), ("ended", "completed"), ("completed", "read_started"),
                           ("read_started", "final"), ("prelim", "final"), ("final", "addendum")):  # fmt: skip
        assert exams.filter(pl.col(later) < pl.col(earlier)).is_empty(), (earlier, later)


def test_no_scanner_has_two_patients_at_once(history):
    exams = history.exams.filter(pl.col("started").is_not_null() & ~pl.col("is_second")).sort("device", "started")
    overlaps = exams.filter(
        (pl.col("started") < pl.col("ended").shift(1)) & (pl.col("device") == pl.col("device").shift(1))
    )
    assert overlaps.is_empty()


def test_nothing_happens_after_the_end(history):
    for column, kind in history.exams.schema.items():
        if isinstance(kind, pl.Datetime) and column != "scheduled":
            assert history.exams[column].max().date() < UNTIL


def test_twice_the_demand_means_longer_turnaround():
    usual, busy = (
        simulate(4, 0.02, UNTIL, 120, demand=demand).exams.filter(pl.col("final").is_not_null())
        for demand in (1.0, 1.8)
    )
    for patient_class in ("E", "I", "O"):
        before, after = (e.filter((pl.col("patient_class") == patient_class) & (pl.col("modality") == "XR")).select(minutes("final", "completed").median()).item()
                         for e in (usual, busy))  # fmt: skip
        assert after > before


def test_the_queue_takes_the_urgent_first():
    """One reader from minute 0. Exam 0 takes 10 min; meanwhile 1 (routine) and 2 (urgent) come: 2 is read at 10, 1 at 15."""
    read = read_queue(
        np.array([0.0, 1.0, 2.0]), np.array([2, 2, 0]), np.array([10.0, 5.0, 5.0]), Stints([0.0], [100.0], 1)
    )
    assert read.started.tolist() == [0.0, 15.0, 10.0]
    assert read.ended.tolist() == [10.0, 20.0, 15.0]


def test_the_queue_waits_for_the_next_stint_and_uses_all_readers():
    """Stints 0–5 and 100–200, two readers: at minute 6 nobody reads, so both start at 100; the third waits for one of them."""
    read = read_queue(
        np.array([6.0, 7.0, 8.0]),
        np.array([0, 0, 0]),
        np.array([10.0, 30.0, 5.0]),
        Stints([0.0, 100.0], [5.0, 200.0], 2),
    )
    assert read.started.tolist() == [100.0, 100.0, 110.0]


def test_reading_time_is_sized_for_the_usual_work():
    clock = SiteClock(SITE_BY_CODE["TEACH"].zone, date(2026, 1, 1), date(2026, 3, 1))
    worklist = WORKLISTS["op_ct"]
    when = stints(worklist, 600, date(2026, 1, 5), date(2026, 2, 1), clock)
    offered = sum(end - start for start, end in zip(when.starts, when.ends, strict=True)) * when.servers
    assert offered == pytest.approx(4 * 600 / worklist.busy, rel=0.01)


@pytest.mark.parametrize(("before", "after"), [("7.1.0", "7.1.1"), ("VB20A", "VB20A1"), ("R9.9", "R9.10")])
def test_an_upgrade_raises_the_last_number(before, after):
    assert next_version(before) == after


def test_summer_time_of_both_zones():
    """US clocks went forward on 8 March 2026."""
    for site in ("TEACH", "COMM"):
        assert summer_time(SITE_BY_CODE[site].zone, date(2025, 11, 20), date(2026, 11, 20)) == date(2026, 3, 8)


def test_all_stories_stand_in_the_truth(history):
    told = truth(history)["stories"]
    assert {story["kind"] for story in told} == KINDS
    for story in told:
        assert history.first.isoformat() <= story["starts_on"] < UNTIL.isoformat()
        assert story["text"]
        assert story["unit"]


def test_the_dose_step_shows_in_the_events(history):
    story = of_kind(history.stories, "protocol_dose_step")
    events = exposures(history).filter(
        (pl.col("station") == story.device) & (pl.col("acquisition_protocol") == story.protocol)
    )
    sides = (
        events.group_by(pl.col("software") == story.more["software_after"])
        .agg(pl.col("ctdivol_mgy").median(), pl.len())
        .sort("software")
    )
    before, after = sides["ctdivol_mgy"].to_list()
    assert after / before == pytest.approx(1 + story.size, rel=0.12)
    first = events.filter(pl.col("software") == story.more["software_after"])["started"].min()
    assert first.date() >= story.starts_on


def test_the_slow_section_takes_longer(history):
    story = next(s for s in truth(history)["stories"] if s["kind"] == "slow_subspecialty")
    assert story["measured"]["median_hours_after"] > 1.3 * story["measured"]["median_hours_before"]


def test_the_failing_scanner_stands_still_at_the_end(history):
    story = of_kind(history.stories, "failing_scanner")
    device = next(d.index for d in history.fleet if d.station == story.device)
    days = history.exams.filter((pl.col("device") == device) & pl.col("started").is_not_null()).with_columns(
        day=pl.col("started").dt.date()
    )
    last = days.filter(
        (pl.col("day") >= story.ends_on - timedelta(days=int(story.size) - 1))
        & (pl.col("day") < story.ends_on - timedelta(days=1))
    )
    assert last.is_empty()
    month_before = days.filter(
        (pl.col("day") >= story.starts_on - timedelta(days=28)) & (pl.col("day") < story.starts_on)
    )
    assert len(month_before) > 20


def test_the_demand_spike_shows(history):
    from etl.demo.procedures import PROCEDURES

    story = of_kind(history.stories, "demand_spike")
    chest = [i for i, p in enumerate(PROCEDURES) if p.body_part == "CHEST"]
    mine = history.exams.filter(
        (pl.col("site") == story.site) & (pl.col("patient_class") == "E") & pl.col("procedure").is_in(chest)
    )
    length = (story.ends_on - story.starts_on).days
    day = pl.col("ordered").dt.date()
    during = len(mine.filter((day >= story.starts_on) & (day < story.ends_on))) / length
    before = len(mine.filter((day >= story.starts_on - timedelta(days=56)) & (day < story.starts_on))) / 56
    assert during / before == pytest.approx(1 + story.size, rel=0.3)


def test_no_appointments_in_idle_evenings(history):
    story = of_kind(history.stories, "idle_evenings")
    device = next(d for d in history.fleet if d.station == story.device)
    zone = SITE_BY_CODE[device.site].zone_name
    local = pl.col("scheduled").dt.convert_time_zone(zone)
    booked = history.exams.filter(
        (pl.col("device") == device.index) & pl.col("scheduled").is_not_null() & (pl.col("outcome") == 0)
    )
    late = booked.filter(local.dt.hour() >= story.more["from_hour"])
    assert late.filter(local.dt.date() >= story.starts_on).is_empty()


def test_the_wrong_clock_is_an_hour_off(history):
    story = of_kind(history.stories, "clock_off")
    images = series(history).filter(pl.col("station") == story.device).with_columns(
        off=(pl.col("exam_started") - pl.col("true_started")).dt.total_seconds(), day=pl.col("true_started").dt.date())  # fmt: skip
    ends = story.ends_on or UNTIL
    during = images.filter((pl.col("day") > story.starts_on) & (pl.col("day") < ends))
    before = images.filter(pl.col("day") < story.starts_on)
    assert during["off"].median() - before["off"].median() == pytest.approx(-3600, abs=2)


def test_wrong_worklist_entries_show(history):
    story = of_kind(history.stories, "wrong_worklist")
    day = pl.col("started").dt.date()
    mine = history.exams.filter(
        (pl.col("device") == story.more["device_index"])
        & (day > story.starts_on)
        & (day < story.ends_on - timedelta(days=1))
    )
    share = len(mine.filter(pl.col("images_of") != pl.col("exam"))) / len(mine)
    assert share == pytest.approx(story.size, abs=0.25)
    others = history.exams.filter((pl.col("device") != story.more["device_index"]) & ~pl.col("is_second"))
    assert others.filter(pl.col("images_of") != pl.col("exam")).is_empty()


def test_lost_dose_reports_show(history):
    story = of_kind(history.stories, "lost_dose_reports")
    mine = exposures(history).filter(
        (pl.col("station") == story.device)
        & (pl.col("started").dt.date() > story.starts_on)
        & (pl.col("started").dt.date() < story.ends_on)
    )
    assert len(mine) > 0
    assert set(mine["carrier"]) == {"lost"}


def test_unbilled_exams_show(history):
    story = of_kind(history.stories, "unbilled_exams")
    day = pl.col("completed").dt.date()
    mine = history.exams.filter((pl.col("site") == story.site) & (pl.col("modality") == story.more["modality"]) & (pl.col("outcome") == 0) & ~pl.col("orderless")
                                & (day > story.starts_on) & (day < story.ends_on - timedelta(days=1)))  # fmt: skip
    billed = charges(history).filter(pl.col("charge_kind") == "CG")["exam"]
    share = len(mine.filter(~pl.col("exam").is_in(billed.implode()))) / len(mine)
    assert share == pytest.approx(story.size, abs=0.2)


def test_dirt_has_its_rates(history):
    exams = history.exams.filter(pl.col("started").is_not_null() & ~pl.col("is_phantom"))
    assert 0.002 < len(exams.filter("orderless")) / len(exams) < 0.015
    assert exams.filter("orderless")["late_order"].mean() == pytest.approx(0.7, abs=0.12)
    cts = exams.filter(pl.col("modality") == "CT")
    grouped = cts.filter(pl.col("study").is_in(cts.filter("is_second")["study"].implode()))
    assert len(grouped) / len(cts) == pytest.approx(rate("group cases share CT"), rel=0.35)
    assert grouped.group_by("study").len()["len"].max() == 3


@pytest.mark.parametrize(
    ("code", "exposure", "median"),
    [("CTHW", "HEAD ROUTINE", 47), ("CTCH", "CHEST ROUTINE", 9), ("CTAP", "ABD PELVIS ROUTINE", 11)],
)
def test_ct_doses_are_calibrated(history, code, exposure, median):
    events = exposures(history).filter(pl.col("acquisition_protocol") == exposure)
    assert events["ctdivol_mgy"].median() / 100 == pytest.approx(median, rel=0.3)


def test_dose_grows_with_size(history):
    events = exposures(history).filter(pl.col("acquisition_protocol") == "ABD PELVIS ROUTINE")
    small, large = (
        events.filter(pl.col("weight_kg").is_between(*band))["ctdivol_mgy"].median() for band in ((45, 65), (95, 130))
    )
    assert large > 1.3 * small


def test_local_times_survive_both_changes_of_clocks():
    """New York went from -5 to -4 h on 8 March 2026 and back on 1 November."""
    clock = SiteClock(SITE_BY_CODE["TEACH"].zone, date(2026, 1, 1), date(2026, 12, 1))
    for day, offset in ((date(2026, 3, 7), -300), (date(2026, 3, 9), -240), (date(2026, 11, 2), -300)):
        noon = day_number(day) * DAY + 720
        assert clock.utc(noon) == noon - offset
        assert clock.local(clock.utc(noon)) == noon
        assert clock.utcs(np.array([noon]))[0] == clock.utc(noon)


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_the_smallest_hospital_has_rows_of_every_kind(seed):
    """A month in which some rare exams never happen."""
    tables = {table for chunk in landing_rows(simulate(seed, 0.002, date(2026, 3, 20), 30), KEY) for table in chunk}
    assert tables == {"workflow", "patient", "calendar", "series", "irradiation_event", "dose_report"}
