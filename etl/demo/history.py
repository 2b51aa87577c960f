"""The whole simulated history: who was examined where and when, in columns of true UTC times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.demo.arrivals import CLASSES, Orders, orders
from etl.demo.calibration import rate
from etl.demo.clocks import DAY, Minutes, SiteClock, day_number, to_time
from etl.demo.network import SITES, Device, devices, site_mix
from etl.demo.outages import Outage, outages
from etl.demo.paths import with_calls, with_late_orders, with_rooms, with_uploads, with_visits
from etl.demo.people import CLINICS, PAYER_SHARE, PAYERS, WARDS, Patients, assign, patients, staff, with_phantoms
from etl.demo.procedures import BY_MODALITY, CLASS_INDEX, PROCEDURES, REFORMATS, STROKE, index_of
from etl.demo.quality import phantom_exams, tested
from etl.demo.reading import WORKLISTS, read_queue, sign_times, slow_story, stints, worklist_of
from etl.demo.scheduling import Outcome, Visits, schedule
from etl.demo.slots import slots_known
from etl.demo.staffing import staffed
from etl.demo.stories import Story, of_kind, plan
from etl.demo.uids import uids

THREE_IN_ONE = 0.3
"""Share of group cases with a third order."""
LATE_ORDERS = 0.7
"""Share of exams without an order that get one afterwards."""
TIMES = (
    "ordered",
    "placed",
    "booked",
    "scheduled",
    "cancelled",
    "door",
    "arrived",
    "in_room",
    "room_typed",
    "started",
    "ended",
    "left_room",
    "uploaded",
    "completed",
    "read_started",
    "prelim",
    "final",
    "communicated",
    "addendum",
    "charged",
    "reversed",
)


@dataclass(frozen=True, eq=False)
class History:
    """Everything that happened, before anybody wrote it down. Equal only to itself, so that what is made of it can be kept."""

    seed: int
    scale: float
    first: date
    until: date
    fleet: tuple[Device, ...]
    stories: tuple[Story, ...]
    people: Patients
    exams: pl.DataFrame
    """One row an order or order-less exam; times in UTC; null where it did not happen before `until`."""
    appointments: pl.DataFrame
    """One row a slot that was booked before `until`, as it stands then: `exam, slot_number, device, slot_at, slot_minutes,
    booked_at, ended_at, outcome, reason, appointment` (the scheduler's number)."""
    outages: list[list[Outage]]
    clocks: dict[str, SiteClock]


def simulate(seed: int, scale: float, until: date, days: int, demand: float = 1.0) -> History:
    """The history of the network over the days before `until`.

    Args:
        seed: Decides everything that is drawn.
        scale: Share of the full network's 630,000 exams a year; scanners and readers are sized for it.
        until: First day that is not simulated.
        days: Length of the history.
        demand: Orders against what scanners and readers are sized for.
    """
    first, fleet = until - timedelta(days=days), devices(scale)
    clocks = {
        site.code: SiteClock(site.zone, first - timedelta(days=150), until + timedelta(days=200)) for site in SITES
    }
    stories = plan(seed, until, days, fleet)
    fleet = staffed(fleet, scale, stories)
    rng = np.random.default_rng([seed, 2])
    placed = orders(rng, scale, first, until, clocks, stories, demand)
    stops = outages(rng, fleet, first - timedelta(days=30), until + timedelta(days=130), clocks, stories)
    visits, diary = schedule(rng, placed, fleet, clocks, stops, stories)
    people = patients(rng, max(60, int(len(placed) / 2.2)), until.year)
    exams = _kept(_exams(rng, placed, visits, people, until), first)
    more = np.random.default_rng([seed, 20])
    exams = with_uploads(more, with_rooms(more, with_visits(more, exams)), clocks)
    exams = _with_groups(rng, exams)
    exams = with_calls(more, _read(rng, exams, scale, first, until, clocks, stories))
    exams = _billed(rng, exams, clocks, stories)
    exams = with_late_orders(more, _with_dirt(rng, exams, stories), LATE_ORDERS)
    phantoms = len(people.identifier)
    people = with_phantoms(people, len(tested(fleet)))
    exams = _as_known(phantom_exams(more, exams, fleet, clocks, stops, (first, until), phantoms), until)
    return History(
        seed,
        scale,
        first,
        until,
        fleet,
        stories,
        people,
        _named(exams, seed, people),
        slots_known(diary, exams, until),
        stops,
        clocks,
    )


def _exams(rng: np.random.Generator, placed: Orders, visits: Visits, people: Patients, until: date) -> pl.DataFrame:
    """Orders and visits side by side, with patient, urgency, department, payer and staff."""
    n = len(placed)
    urgent = rng.uniform(0, 1, n)
    e, i = placed.patient_class == 0, placed.patient_class == 1
    stroke = placed.procedure == index_of(STROKE)
    priority = np.where(
        e,
        np.where((urgent < rate("STAT share ED")) | stroke, "S", "R"),
        np.where(i, np.where(urgent < 0.18, "S", np.where(urgent < 0.3, "A", "R")), np.where(urgent < 0.06, "A", "R")),
    )
    ward, clinic = np.array(WARDS)[rng.integers(0, len(WARDS), n)], np.array(CLINICS)[rng.integers(0, len(CLINICS), n)]
    doctors = np.array(staff("D", 60))[np.minimum(rng.geometric(0.05, n), 60) - 1]
    modality = np.array([p.modality for p in PROCEDURES])[placed.procedure]
    patient = assign(rng, placed, people, until.year)
    payer = np.array(PAYERS)[np.searchsorted(np.cumsum(PAYER_SHARE), rng.uniform(0, 0.9999, len(people.identifier)))][
        patient
    ]
    return pl.DataFrame(
        {
            "site": np.array([s.code for s in SITES])[placed.site],
            "patient_class": np.array(CLASSES)[placed.patient_class],
            "procedure": placed.procedure,
            "modality": modality,
            "device": visits.device,
            "patient": patient,
            "priority": priority,
            "department": np.where(e, "EMERGENCY", np.where(i, ward, clinic)),
            "payer": payer,
            "referrer": doctors,
            "technologist": [f"T{m}{k}" for m, k in zip(modality, rng.integers(1, 7, n), strict=True)],
            "outcome": visits.outcome,
            "order": np.arange(n),
            "reason": visits.reason,
            "ordered": placed.ordered,
            "booked": visits.booked,
            "scheduled": visits.scheduled,
            "cancelled": visits.cancelled,
            "arrived": visits.arrived,
            "started": visits.started,
            "ended": visits.ended,
            "completed": visits.completed,
        }
    )


def _kept(exams: pl.DataFrame, first: date) -> pl.DataFrame:
    """Exams of the history's own days: those started or due before it are dropped. Numbered in order of their order."""
    start = day_number(first) * DAY
    due = pl.coalesce(pl.col("started").fill_nan(None), pl.col("scheduled").fill_nan(None), pl.col("ordered"))
    performed = pl.col("outcome").is_in([Outcome.PERFORMED, Outcome.DISCONTINUED]) & pl.col("started").is_finite()
    absent = [
        pl.when(performed).then(pl.col(name)).otherwise(float("nan")).alias(name)
        for name in ("arrived", "started", "ended", "completed")
    ]
    return (
        exams.filter(due >= start)
        .with_columns(absent)
        .with_row_index("exam")
        .with_columns(pl.col("exam").cast(pl.Int64))
    )


def _with_groups(rng: np.random.Generator, exams: pl.DataFrame) -> pl.DataFrame:
    """Adds the further orders of group cases.

    Chest, abdomen and sometimes the spine are scanned in one go under two or three accession numbers.
    """
    exams = exams.with_columns(study=pl.col("exam"), is_second=pl.lit(False))
    fits = exams.filter((pl.col("procedure") == index_of("CTCH")) & (pl.col("outcome") == Outcome.PERFORMED))
    scanned_ct = len(exams.filter((pl.col("modality") == "CT") & pl.col("started").is_finite()))
    share = rate("group cases share CT") * scanned_ct / max(1, len(fits)) / (2 + THREE_IN_ONE)
    luck = pl.Series(rng.uniform(0, 1, len(fits)))
    parts = [exams]
    for number, code, most in ((1, "CTAP", share), (2, REFORMATS, share * THREE_IN_ONE)):
        parts.append(
            fits.filter(luck < most).with_columns(
                procedure=pl.lit(index_of(code), dtype=pl.Int64),
                is_second=pl.lit(True),
                ordered=pl.col("ordered") + 0.2 * number,
                booked=pl.lit(float("nan")),
                scheduled=pl.lit(float("nan")),
            )
        )
    return pl.concat(parts).with_columns(exam=pl.int_range(pl.len(), dtype=pl.Int64))


def _usual_minutes(scale: float) -> dict[str, float]:
    """Reading minutes that the usual volume brings each worklist in a week."""
    work: dict[str, float] = {}
    for site in SITES:
        for (patient_class, modality), share in site_mix(site).items():
            choices = BY_MODALITY[modality]
            weights = np.array([PROCEDURES[c].weights[CLASS_INDEX[patient_class]] for c in choices])
            for c, weight in zip(choices, weights / weights.sum(), strict=True):
                name = worklist_of(patient_class, modality, PROCEDURES[c].section)
                work[name] = (
                    work.get(name, 0.0)
                    + site.exams_a_year * scale / 365 * 7 * share * weight * PROCEDURES[c].read_minutes
                )
    return work


def _read(
    rng: np.random.Generator,
    exams: pl.DataFrame,
    scale: float,
    first: date,
    until: date,
    clocks: dict[str, SiteClock],
    stories: tuple[Story, ...],
) -> pl.DataFrame:
    """Puts every exam that was completed through its worklist."""
    n, work, clock = len(exams), _usual_minutes(scale), clocks["TEACH"]
    sections, stroke = [p.section for p in PROCEDURES], index_of(STROKE)
    names = np.array(
        [
            worklist_of(c, m, sections[p])
            for c, m, p in exams.select("patient_class", "modality", "procedure").iter_rows()
        ]
    )
    urgency = exams["priority"].replace_strict({"S": 0, "A": 1, "R": 2}, return_dtype=pl.Int64).to_numpy() + 3 * (
        exams["patient_class"].to_numpy() == "O"
    )
    urgency = np.where(exams["procedure"].to_numpy() == stroke, -1, urgency)
    completed = exams["completed"].to_numpy()
    minutes = np.array([p.read_minutes for p in PROCEDURES])[exams["procedure"].to_numpy()] * np.exp(
        rng.normal(-0.06, 0.35, n)
    )
    done = np.isfinite(completed) & (exams["outcome"].to_numpy() == Outcome.PERFORMED)
    started, prelim, final = (np.full(n, np.nan) for _ in range(3))
    reader = np.full(n, "", dtype=object)
    for worklist in WORKLISTS.values():
        mine = np.flatnonzero(done & (names == worklist.name))
        mine = mine[np.argsort(completed[mine], kind="stable")]
        if not len(mine):
            continue
        when = stints(
            worklist, work[worklist.name], first, until + timedelta(days=10), clock, slow_story(stories, worklist)
        )
        read = read_queue(completed[mine], urgency[mine], minutes[mine], when)
        trainee = rng.uniform(0, 1, len(mine)) < worklist.trainee_share
        started[mine], final[mine] = read.started, sign_times(rng, read.ended, trainee, worklist.name == "ed_ct", clock)
        prelim[mine] = np.where(trainee, read.ended, np.nan)
        turn = np.where(np.isfinite(read.started), read.started, 0) // DAY
        reader[mine] = [
            f"R{worklist.section[:4].upper()}{k}"
            for k in ((turn.astype(np.int64) + read.server) % worklist.readers + 1)
        ]
    late = np.where(rng.uniform(0, 1, n) < 0.025, final + rng.uniform(0.5, 5, n) * DAY, np.nan)
    return exams.with_columns(
        read_started=started,
        prelim=prelim,
        final=final,
        addendum=late,
        corrects=pl.Series(rng.uniform(0, 1, n) < 0.3),
        reader=pl.Series(list(reader), dtype=pl.Utf8),
    )


def _billed(
    rng: np.random.Generator, exams: pl.DataFrame, clocks: dict[str, SiteClock], stories: tuple[Story, ...]
) -> pl.DataFrame:
    """Charges, posted in nightly runs one to four days after the exam; a few are forgotten, a few reversed."""
    n, story = len(exams), of_kind(stories, "unbilled_exams")
    luck, posted = rng.uniform(0, 1, (n, 3)), np.full(n, np.nan)
    completed = exams["completed"].to_numpy()
    done = np.isfinite(completed) & (exams["outcome"].to_numpy() == Outcome.PERFORMED)
    for site in SITES:
        mine = np.flatnonzero(done & (exams["site"].to_numpy() == site.code))
        night = clocks[site.code].locals(completed[mine]) // DAY + 1 + np.floor(luck[mine, 1] ** 2 * 4)
        posted[mine] = clocks[site.code].utcs(night * DAY + 130 + np.round(luck[mine, 2] * 40))
    lost = luck[:, 0] < 0.008
    if story is not None:
        low, high = (day_number(day) * DAY for day in (story.starts_on, story.ends_on or story.starts_on))
        theirs = (exams["site"].to_numpy() == story.site) & (exams["modality"].to_numpy() == story.more["modality"])
        lost |= theirs & (completed >= low) & (completed < high) & (luck[:, 0] < story.size)
    posted[lost] = np.nan
    return exams.with_columns(charged=posted, reversed=np.where(luck[:, 1] > 0.996, posted + 3 * DAY, np.nan))


def _with_dirt(rng: np.random.Generator, exams: pl.DataFrame, stories: tuple[Story, ...]) -> pl.DataFrame:
    """Marks exams without an order, and those made under another patient's worklist entry."""
    n, story = len(exams), of_kind(stories, "wrong_worklist")
    luck = rng.uniform(0, 1, (n, 2))
    started = exams["started"].to_numpy()
    alone = (
        (luck[:, 0] < rate("exams without order"))
        & np.isfinite(started)
        & ~exams["is_second"].to_numpy()
        & (exams["patient_class"].to_numpy() != "O")
    )
    alone &= ~np.isin(exams["study"].to_numpy(), exams.filter("is_second")["study"].to_numpy())
    alone &= exams["procedure"].to_numpy() != index_of(STROKE)
    return exams.with_columns(
        orderless=pl.Series(alone), luck=luck[:, 1], images_of=pl.Series(_swapped(exams, started, luck[:, 1], story))
    )


def _swapped(exams: pl.DataFrame, started: Minutes, luck: Minutes, story: Story | None) -> NDArray[np.int64]:
    """For each exam the exam whose worklist entry its images carry: its own, except in the story."""
    images_of = exams["exam"].to_numpy().copy()
    if story is None or story.ends_on is None:
        return images_of
    low, high = day_number(story.starts_on) * DAY, day_number(story.ends_on) * DAY
    stations = exams["device"].to_numpy()
    station = int(story.more["device_index"])
    mine = np.flatnonzero((stations == station) & (started >= low) & (started < high) & ~exams["is_second"].to_numpy())
    mine = mine[np.argsort(started[mine])]
    for before, here in pairwise(mine):
        if luck[here] < story.size:
            images_of[here] = before
    return images_of


def _as_known(exams: pl.DataFrame, until: date) -> pl.DataFrame:
    """Times as they stand at the end of the history: what would happen later has not happened."""
    end = pl.datetime(until.year, until.month, until.day, time_zone="UTC", time_unit="us")
    known = exams.with_columns(to_time(name) for name in TIMES)
    known = known.with_columns(
        pl.when(pl.col(name) < end).then(pl.col(name)).alias(name) for name in TIMES if name != "scheduled"
    )
    return known.filter(pl.col("ordered").is_not_null())


def _named(exams: pl.DataFrame, seed: int, people: Patients) -> pl.DataFrame:
    """Adds the identifiers that messages and images carry."""
    rng = np.random.default_rng([seed, 3])
    studies = exams.select("study").unique(maintain_order=True)
    studies = studies.with_columns(study_uid=pl.Series(uids(rng, len(studies)), dtype=pl.Utf8))
    site_letter = exams["site"].str.slice(0, 1)
    suffix = pl.col("site").replace_strict({site.code: site.accession_suffix for site in SITES})
    return exams.join(studies, on="study", how="left", maintain_order="left").with_columns(
        accession=pl.concat_str(site_letter, pl.col("exam").cast(pl.Utf8).str.zfill(8), suffix),
        placer="P" + pl.col("exam").cast(pl.Utf8).str.zfill(8),
        patient_id=pl.Series([people.identifier[k] for k in exams["patient"]], dtype=pl.Utf8),
    )
