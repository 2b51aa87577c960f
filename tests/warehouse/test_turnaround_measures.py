"""Turnaround measures on small stars: censoring against statsmodels and scipy, intervals and targets by hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st
from scipy.stats import CensoredData, logrank
from sqlalchemy import Connection, insert
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from settings import ReadingHours, Site, TurnaroundTarget
from warehouse.arrow import conform
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures import CATALOGUE, evaluate
from warehouse.measures.reading_hours import open_spans, reading_minutes
from warehouse.measures.survival import curve, log_rank, observed, quantile, survival_at
from warehouse.measures.targets import within_target
from warehouse.measures.turnaround import INTERVAL, INTERVALS
from warehouse.publication import Publication, TableVersion, schema_digest
from warehouse.schema import TABLES, fact_exam, fact_load_run, metadata
from warehouse.scope import Scope

NOW = datetime(2026, 11, 16, 6, 0, tzinfo=UTC)
FIRST, LAST = date(2026, 9, 1), date(2026, 11, 16)
ALL_DAYS = Filters(FIRST, LAST)
EVERYONE = Scope(rows=True)
Make = Callable[..., Star]


def exam(key: int, ended: datetime, minutes: float | None, **more: Any) -> dict[str, Any]:
    """An exam that ended then and was reported so many minutes later, if it was."""
    final = None if minutes is None else ended + timedelta(minutes=minutes)
    day = ended.date()
    return {
        "exam_key": key, "month": f"{day:%Y-%m}", "exam_id": str(key), "local_day": day, "date_key": int(f"{day:%Y%m%d}"), "time_key": 12,
        "modality": "CT", "patient_class": "OP", "priority": "routine", "state": "final" if final else "completed", "is_performed": True,
        "has_order": True, "started_at": ended - timedelta(minutes=10), "ended_at": ended, "final_at": final,
    } | more  # fmt: skip


def marker(key: int = 10**6) -> dict[str, Any]:
    """An order that was not performed; its arrival says up to when the data reaches."""
    return exam(key, NOW, None) | {
        "ended_at": None,
        "started_at": None,
        "arrived_at": NOW,
        "state": "arrived",
        "is_performed": False,
    }


def dates() -> list[dict[str, Any]]:
    days = [FIRST + timedelta(days=index) for index in range((LAST - FIRST).days + 1)]
    return [
        {"date_key": int(f"{day:%Y%m%d}"), "day": day, "week_starts_on": day - timedelta(days=day.weekday()), "iso_weekday": day.isoweekday()}
        for day in days
    ]  # fmt: skip


def keyed(table: str, rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """The rows as the table has them, unknown keys 0."""
    zeros = {c.name: 0 for c in TABLES[table].columns if c.name.endswith("_key")}
    return conform(table, pl.DataFrame([zeros | row for row in rows], infer_schema_length=None))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(exams: list[dict[str, Any]], **others: list[dict[str, Any]]) -> Star:
        tables = {
            "fact_exam": exams,
            "dim_date": dates(),
            "dim_site": [{"site_key": 0, "site_code": "NORTH", "site_name": "North"}],
        } | others
        versions = {}
        for name, rows in tables.items():
            frame = keyed(name, rows)
            parts = (
                {
                    f"month={key[0]}/": part.drop("month")
                    for key, part in frame.partition_by("month", as_dict=True).items()
                }
                if TABLES[name].info["monthly"]
                else {"": frame}
            )
            files = []
            for folder, part in parts.items():
                file = f"{name}/{folder}part.parquet"
                (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
                part.write_parquet(tmp_path / file)
                files.append(file)
            versions[name] = TableVersion(0, tuple(files), frame.height)
        return Star(
            tmp_path, Publication("1", NOW.isoformat(), versions, schema_digest(), "test", "test", 1, NOW.isoformat())
        )

    return made


def value(star: Star, name: str, filters: Filters = ALL_DAYS) -> float | None:
    found: float | None = evaluate(star, name, filters, EVERYONE)["value"][0]
    return found


def arrivals(rng: random.Random, count: int, median: float, days: int = 56) -> list[tuple[datetime, float]]:
    """Exams that end at any time of the last weeks, and how long their report takes or will take."""
    ends = [NOW - timedelta(days=days * rng.random()) for _ in range(count)]
    return [(end, median * rng.lognormvariate(0, 0.5)) for end in ends]


def cut(exams: list[tuple[datetime, float]]) -> list[dict[str, Any]]:
    """The exams as the data knows them now: what is not reported yet is unread."""
    return [
        exam(key, end, minutes if end + timedelta(minutes=minutes) <= NOW else None)
        for key, (end, minutes) in enumerate(exams)
    ]


# --- Right censoring ---------------------------------------------------------------------------------------------------


def test_the_newest_week_does_not_look_best(make: Make) -> None:
    """Turnaround is the same every week, three days in the median; the data is cut on a Monday morning."""
    rng = random.Random(3)
    exams = arrivals(rng, 6000, median=3 * 1440)
    star = make([*cut(exams), marker()])
    week = Filters(date(2026, 11, 9), date(2026, 11, 15))
    inside = [(end, minutes) for end, minutes in exams if week.start <= end.date() <= week.end]
    truth = float(np.median([minutes for _, minutes in inside]))
    naive = float(np.median([minutes for end, minutes in inside if end + timedelta(minutes=minutes) <= NOW]))
    found = value(star, "report_minutes_p50", week)
    assert found == pytest.approx(truth, rel=0.10)
    assert naive < 0.88 * truth
    assert evaluate(star, "report_minutes_p50", week, EVERYONE)["n"][0] == len(inside)


def test_a_quantile_that_is_not_reached_is_none_with_its_n(make: Make) -> None:
    ended = NOW - timedelta(hours=3)
    rows = [exam(key, ended, 60 if key < 4 else None) for key in range(10)]
    row = evaluate(make([*rows, marker()]), "report_minutes_p50", ALL_DAYS, EVERYONE).row(0, named=True)
    assert (row["value"], row["n"]) == (None, 10)


@pytest.mark.parametrize("seed", range(4))
def test_quantiles_are_those_of_statsmodels(make: Make, seed: int) -> None:
    rng = random.Random(seed)
    rows = [
        row | {"modality": rng.choice(("CT", "MR"))}
        for row in cut(arrivals(rng, 300, median=rng.choice((300, 4000, 20000)), days=9))
    ]
    star = make([*rows, marker()])
    for name, at in (("report_minutes_p50", 0.5), ("report_minutes_p90", 0.9)):
        for part in evaluate(star, name, ALL_DAYS, EVERYONE, by=("modality",)).iter_rows(named=True):
            own = [row for row in rows if row["modality"] == part["modality"]]
            minutes = [((row["final_at"] or NOW) - row["ended_at"]).total_seconds() / 60 for row in own]
            theirs = SurvfuncRight(minutes, [int(row["final_at"] is not None) for row in own])
            # Its own quantile() asks for a survival strictly below, as SAS does; they differ where it is met exactly.
            reached = theirs.surv_times[theirs.surv_prob <= 1 - at + 1e-9]
            assert part["value"] == (pytest.approx(reached[0]) if len(reached) else None)


def test_without_open_exams_the_quantile_is_the_ordered_value(make: Make) -> None:
    """Of ten reports after 10, 20 … 100 minutes, half are there after 50 and nine tenths after 90."""
    ended = datetime(2026, 10, 5, 9, tzinfo=UTC)
    star = make([exam(key, ended, 10 * (key + 1)) for key in range(10)])
    assert (value(star, "report_minutes_p50"), value(star, "report_minutes_p90")) == (50, 90)


def test_what_is_broken_off_is_known_only_until_then(make: Make) -> None:
    """Two reported after 100 min, one cancelled after 30: at 100 min two are at risk. The broken-off one tells nothing."""
    ended = datetime(2026, 10, 5, 9, tzinfo=UTC)
    cancelled = exam(3, ended, None, state="cancelled", cancelled_at=ended + timedelta(minutes=30))
    discontinued = exam(4, ended, None, state="discontinued")
    orderless = exam(5, ended, None, has_order=False)
    star = make([exam(1, ended, 100), exam(2, ended, 200), cancelled, discontinued, orderless, marker()])
    frame = star.frame(observed(INTERVAL["report"].duration)(ALL_DAYS, EVERYONE, ()))
    assert sorted(frame.rows()) == [(0.0, False), (30.0, False), (100.0, True), (200.0, True)]
    assert value(star, "report_minutes_p50") == 100
    assert value(star, "unread") == 0


def test_a_time_ahead_of_the_last_load_does_not_move_the_end_of_the_data(make: Make) -> None:
    ended = NOW - timedelta(hours=2)
    wrong = exam(2, datetime(2026, 10, 1, tzinfo=UTC), 60) | {"final_at": datetime(2044, 1, 1, tzinfo=UTC)}
    run = {
        "run_id": "1",
        "source": "hl7",
        "started_at": NOW - timedelta(minutes=5),
        "finished_at": NOW,
        "offered": 1,
        "accepted": 1,
        "duplicate": 0,
        "rejected": 0,
        "not_applicable": 0,
    }
    star = make([exam(1, ended, None), wrong], fact_load_run=[run])
    frame = star.frame(observed(INTERVAL["report"].duration)(Filters(ended.date(), ended.date()), EVERYONE, ()))
    assert frame.rows() == [(120.0, False)]


DURATIONS = st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.sampled_from("ab")), min_size=2, max_size=40)


@tried(deadline=None)
@given(DURATIONS)
def test_curves_are_those_of_statsmodels(rows: list[tuple[int, bool, str]]) -> None:
    frame = pl.DataFrame(rows, schema={"minutes": pl.Float64, "is_over": pl.Boolean, "part": pl.Utf8}, orient="row")
    found = curve(frame, ["part"])
    for part in set(frame["part"]):
        own = frame.filter(pl.col("part") == part)
        mine = found.filter((pl.col("part") == part) & (pl.col("ends") > 0))
        if mine.is_empty():
            continue
        theirs = SurvfuncRight(own["minutes"].to_numpy(), own["is_over"].cast(pl.Int64).to_numpy())
        assert mine["minutes"].to_list() == list(theirs.surv_times)
        assert mine["at_risk"].to_list() == list(theirs.n_risk)
        assert np.allclose(mine["survival"].to_numpy(), theirs.surv_prob)


@tried(deadline=None)
@given(DURATIONS)
def test_the_log_rank_test_is_that_of_statsmodels(rows: list[tuple[int, bool, str]]) -> None:
    frame = pl.DataFrame(rows, schema={"minutes": pl.Float64, "is_over": pl.Boolean, "part": pl.Utf8}, orient="row")
    chi_square, p = log_rank(frame, "part", "a", "b")
    if frame["part"].n_unique() < 2 or chi_square == 0:
        assert 0 <= p <= 1
        return
    theirs, their_p = survdiff(
        frame["minutes"].to_numpy(), frame["is_over"].cast(pl.Int64).to_numpy(), frame["part"].to_numpy()
    )
    assert chi_square == pytest.approx(theirs)
    assert p == pytest.approx(their_p)


def test_the_log_rank_test_is_that_of_scipy() -> None:
    rng = np.random.default_rng(5)
    waits = {"a": rng.lognormal(4, 0.6, 80), "b": rng.lognormal(4.3, 0.6, 70)}
    frame = pl.concat(
        [
            pl.DataFrame({"minutes": np.minimum(found, 90), "is_over": found <= 90, "part": part})
            for part, found in waits.items()
        ]
    )
    theirs = logrank(
        *(
            CensoredData(uncensored=found[found <= 90], right=np.full((found > 90).sum(), 90.0))
            for found in waits.values()
        )
    )
    assert log_rank(frame, "part", "a", "b")[1] == pytest.approx(theirs.pvalue)


def test_a_curve_is_read_between_its_steps() -> None:
    frame = pl.DataFrame({"minutes": [10.0, 20.0, 30.0, 40.0], "is_over": [True, True, False, True]})
    found = curve(frame)
    assert survival_at(found, [5, 10, 25, 100]).rows() == [
        (5.0, 1.0, 4),
        (10.0, 0.75, 4),
        (25.0, 0.5, 2),
        (100.0, 0.0, 0),
    ]
    assert quantile(found, 0.5).item() == 20
    assert quantile(curve(frame.head(3)), 0.9).item() is None


# --- Intervals -----------------------------------------------------------------------------------------------------------

DAY = datetime(2026, 10, 5, 8, 0, tzinfo=UTC)
LIFE = {
    "ordered_at": DAY, "booked_at": DAY + timedelta(minutes=5), "door_at": DAY - timedelta(minutes=40), "arrived_at": DAY + timedelta(minutes=60),
    "started_at": DAY + timedelta(minutes=80), "ended_at": DAY + timedelta(minutes=92), "read_started_at": DAY + timedelta(minutes=102), "prelim_at": DAY + timedelta(minutes=117),
    "final_at": DAY + timedelta(minutes=150), "communicated_at": DAY + timedelta(minutes=158),
}  # fmt: skip
MINUTES = {
    "order_to_booking": 5, "order_to_start": 80, "booking_to_start": 75, "door_to_start": 120, "door_to_first_report": 157, "arrival_wait": 20, "start_to_end": 12,
    "read_queue": 10, "read": 15, "first_report": 25, "sign": 33, "report": 58, "order_to_report": 150, "communication": 8,
}  # fmt: skip


@pytest.mark.parametrize("name", MINUTES)
def test_each_interval_of_one_exam(make: Make, name: str) -> None:
    star = make([exam(1, DAY, None) | LIFE])
    assert [value(star, f"{name}_minutes_{q}") for q in ("p50", "p90")] == [MINUTES[name]] * 2


def test_every_interval_is_tried() -> None:
    assert set(MINUTES) == set(INTERVAL) == {interval.name for interval in INTERVALS}


@pytest.mark.parametrize("spoilt", [{"final_at": DAY}, {"final_confidence": "coarse"}, {"ended_confidence": "coarse"}])
def test_a_time_that_cannot_be_used_leaves_its_intervals_alone(make: Make, spoilt: dict[str, Any]) -> None:
    star = make([exam(1, DAY, None) | LIFE | spoilt])
    assert evaluate(star, "report_minutes_p50", ALL_DAYS, EVERYONE)["n"][0] == 0
    assert value(star, "order_to_start_minutes_p50") == 80


def test_reading_begun_unknown_is_no_wait_for_a_reader(make: Make) -> None:
    """A reported exam whose reading nobody timed says nothing of the queue; an unread one waits in it."""
    untimed = exam(1, DAY, 60)
    waiting = exam(2, NOW - timedelta(minutes=90), None)
    frame = make([untimed, waiting, marker()]).frame(observed(INTERVAL["read_queue"].duration)(ALL_DAYS, EVERYONE, ()))
    assert frame.rows() == [(90.0, False)]


# --- Targets, means, corrections -----------------------------------------------------------------------------------------

TARGETS = (
    TurnaroundTarget(minutes=1440),
    TurnaroundTarget(minutes=60, priority=("stat",)),
    TurnaroundTarget(minutes=30, priority=("stat",), modality=("CT",), starts_on=date(2026, 11, 1)),
)


@pytest.mark.parametrize(("ended", "priority", "minutes", "counts", "is_kept"), [
    (datetime(2026, 10, 5, 9, tzinfo=UTC), "routine", 1440, 1, True), (datetime(2026, 10, 5, 9, tzinfo=UTC), "routine", 1441, 1, False),
    (datetime(2026, 10, 5, 9, tzinfo=UTC), "stat", 45, 1, True), (datetime(2026, 11, 5, 9, tzinfo=UTC), "stat", 45, 1, False),
    (datetime(2026, 10, 5, 9, tzinfo=UTC), "stat", None, 1, False), (NOW - timedelta(hours=3), "routine", 30, 0, False),
    (NOW - timedelta(hours=3), "routine", None, 0, False), (NOW - timedelta(minutes=31), "stat", 20, 1, True),
])  # fmt: skip
def test_an_exam_counts_when_its_target_has_passed(
    make: Make, ended: datetime, priority: str, minutes: float | None, counts: int, is_kept: bool
) -> None:
    star = make([exam(1, ended, minutes, priority=priority), marker()])
    row = star.frame(within_target(TARGETS).query(ALL_DAYS, EVERYONE, ())).row(0, named=True)
    assert row["n"] == counts
    assert row["value"] == ((100 if is_kept else 0) if counts else None)


def test_without_a_target_nothing_is_judged(make: Make) -> None:
    star = make([exam(1, DAY, 30), marker()])
    nothing = star.frame(within_target(()).query(ALL_DAYS, EVERYONE, ())).row(0, named=True)
    only_stat = star.frame(within_target(TARGETS[1:]).query(ALL_DAYS, EVERYONE, ())).row(0, named=True)
    assert nothing["n"] == only_stat["n"] == 0


def test_means_and_shares_count_what_is_decided(make: Make) -> None:
    """Old: 60 min, 10 days counted as 3, unread counted as 3 days. The exam of yesterday noon is too new for the mean."""
    new = exam(4, datetime(2026, 11, 15, 3, tzinfo=UTC), 30)
    star = make([exam(1, DAY, 60), exam(2, DAY, 14400), exam(3, DAY, None), new, marker()])
    assert value(star, "report_minutes_mean") == pytest.approx((60 + 4320 + 4320) / 3)
    assert value(star, "report_within_day_share") == pytest.approx(50)


def test_addenda_and_corrections_count_after_the_first_final_report(make: Make) -> None:
    def event(key: int, name: str, days: float) -> dict[str, Any]:
        at = DAY + timedelta(minutes=60, days=days)
        return {
            "exam_key": key,
            "month": "2026-10",
            "event": name,
            "event_at": at,
            "precision": "s",
            "is_chosen": False,
            "source": "hl7",
            "field": "OBR-22",
            "digest": f"{key}{name}",
        }

    rows = [exam(key, DAY, 60, prelim_at=DAY + timedelta(minutes=30) if key < 3 else None) for key in range(1, 5)]
    told = [
        event(1, "report_addendum", 3),
        event(2, "report_addendum", 20),
        event(2, "report_corrected", 1),
        event(4, "report_addendum", -0.01),
    ]
    star = make([*rows, exam(9, NOW - timedelta(days=2), 60), marker()], fact_exam_event=told)
    shares = {
        name: value(star, name)
        for name in ("addendum_7d_share", "addendum_30d_share", "correction_30d_share", "prelim_corrected_share")
    }
    assert shares == {
        "addendum_7d_share": 25,
        "addendum_30d_share": 50,
        "correction_30d_share": 25,
        "prelim_corrected_share": 50,
    }
    assert value(star, "report_minutes_p50") == 60


def test_paths_count_their_own_exams(make: Make) -> None:
    def through_the_door(key: int, wait: int, read: int, **more: Any) -> dict[str, Any]:
        door = DAY - timedelta(minutes=10)
        row = exam(
            key,
            door + timedelta(minutes=wait + 8),
            None,
            patient_class="ED",
            door_at=door,
            started_at=door + timedelta(minutes=wait),
        )
        return row | {"final_at": door + timedelta(minutes=read)} | more

    told = exam(5, DAY, 20, communicated_at=DAY + timedelta(minutes=100), time_key=3)
    star = make(
        [through_the_door(1, 20, 40), through_the_door(2, 30, 50), through_the_door(3, 10, 30, modality="XR"), told]
    )
    names = (
        "ct_door_to_start_25_share",
        "ct_door_to_report_45_share",
        "communication_60_share",
        "night_report_minutes_p50",
        "night_first_report_minutes_p50",
    )
    assert [value(star, name) for name in names] == [50, 50, 0, 20, 20]


# --- Reading hours -------------------------------------------------------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = (
    ReadingHours(opens=time(8), closes=time(18)),
    ReadingHours(days=("sat", "sun"), opens=time(0), closes=time(0)),
    ReadingHours(days=("mon",), opens=time(17), closes=time(20)),
)


def test_reading_minutes_by_hand() -> None:
    """Friday 17:00 to Monday 9:00 in Berlin, 23 to 26 Oct 2026: 60 + 1440 + 1500 (clocks go back) + 60."""
    site = Site(code="NORTH", name="North", time_zone="Europe/Berlin", reading_hours=OFFICE)
    start, end = datetime(2026, 10, 23, 17, tzinfo=BERLIN), datetime(2026, 10, 26, 9, tzinfo=BERLIN)
    frame = pl.DataFrame(
        {"site": ["NORTH", "WEST", "NORTH"], "a": [start, start, None], "b": [end, end, end]},
        schema={"site": pl.Utf8, "a": pl.Datetime("us", "UTC"), "b": pl.Datetime("us", "UTC")},
    )
    assert reading_minutes(frame, [site, Site(code="WEST", name="West")], "a", "b").to_list() == [3060.0, None, None]


@tried(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20 * 1440), st.integers(0, 6 * 1440)), min_size=1, max_size=4))
def test_reading_minutes_are_the_minutes_counted_one_by_one(pairs: list[tuple[int, int]]) -> None:
    site = Site(code="NORTH", name="North", time_zone="Europe/Berlin", reading_hours=OFFICE)
    origin = datetime(2026, 10, 14, tzinfo=UTC)
    rows = [
        ("NORTH", origin + timedelta(minutes=start), origin + timedelta(minutes=start + length))
        for start, length in pairs
    ]
    frame = pl.DataFrame(
        rows, schema={"site": pl.Utf8, "a": pl.Datetime("us", "UTC"), "b": pl.Datetime("us", "UTC")}, orient="row"
    )
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

    def is_open(at: datetime) -> bool:
        local = at.astimezone(BERLIN)
        return any(
            names[local.weekday()] in each.days
            and each.opens <= local.time()
            and (local.time() < each.closes or each.closes == time(0))
            for each in OFFICE
        )

    counted = [
        sum(is_open(start + timedelta(minutes=index)) for index in range(int((end - start).total_seconds() // 60)))
        for _, start, end in rows
    ]
    assert reading_minutes(frame, [site], "a", "b").to_list() == pytest.approx(counted)


def test_reading_hours_that_overlap_count_once() -> None:
    monday = date(2026, 11, 2)
    assert open_spans(OFFICE, BERLIN, monday, monday) == [
        (datetime(2026, 11, 2, 7, tzinfo=UTC), datetime(2026, 11, 2, 19, tzinfo=UTC))
    ]


# --- One SQL for both engines --------------------------------------------------------------------------------------------


@pytest.mark.services
def test_postgresql_gives_the_same_answers(make: Make, postgres: Connection) -> None:
    rng = random.Random(11)
    rows = [
        row | {"modality": rng.choice(("CT", "MR")), "patient_class": rng.choice(("ED", "OP")), "time_key": rng.randrange(24), "ordered_at": row["ended_at"] - timedelta(hours=5),
               "door_at": row["ended_at"] - timedelta(minutes=rng.randrange(20, 90)), "prelim_at": row["final_at"] and row["final_at"] - timedelta(minutes=7), "has_images": True, "has_dose_report": False, "has_charge": False}
        for row in cut(arrivals(rng, 200, median=4000, days=20))
    ]  # fmt: skip
    star = make([*rows, marker()])
    names = [name for name, found in CATALOGUE.items() if found.permission == "view_turnaround"]
    with postgres as connection:
        metadata.create_all(
            connection,
            tables=[fact_exam, fact_load_run, TABLES["fact_exam_event"], TABLES["dim_site"], TABLES["dim_date"]],
        )
        zeros = {c.name: c.type.python_type() for c in fact_exam.columns if not c.nullable}
        for row in [*rows, marker()]:
            connection.execute(insert(fact_exam).values(zeros | row))
        for row in dates():
            connection.execute(insert(TABLES["dim_date"]).values(row))
        for name in names:
            query = CATALOGUE[name].query(ALL_DAYS, EVERYONE, ("week", "modality"))
            theirs = [tuple(row) for row in connection.execute(query)]
            ours = star.frame(query).rows()
            assert len(theirs) == len(ours) > 0 or name.startswith(("addendum", "correction", "prelim")) or not ours, (
                name
            )
            for one, other in zip(ours, theirs, strict=True):
                assert one[:2] == other[:2], name
                assert one[3] == other[3], name
                assert (one[2] is None) == (other[2] is None), name
                assert one[2] is None or float(one[2]) == pytest.approx(float(other[2])), name
