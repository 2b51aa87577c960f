"""What really happened, for tests and judges alone: the planted stories, and every event beside what was written of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from etl.demo import messages as said
from etl.demo.appointments import SlotEnd
from etl.demo.calendars import Downtime, downtime
from etl.demo.dose import with_outliers
from etl.demo.history import History
from etl.demo.imaging import scanned
from etl.demo.landing import APPOINTMENT_EVENTS, ORDER_EVENTS, REPORT_EVENTS
from etl.demo.procedures import PROCEDURES
from etl.demo.scheduling import Outcome
from etl.demo.steps import lost_steps, senders, steps

TRUE_TIMES = {
    "order_placed": "placed",
    "scheduling_done": "booked",
    "emergency_arrival": "door",
    "patient_arrived": "arrived",
    "patient_in_room": "in_room",
    "exam_started": "started",
    "exam_completed": "completed",
    "patient_left_room": "left_room",
    "read_started": "read_started",
    "report_preliminary": "prelim",
    "report_final": "final",
    "result_communicated": "communicated",
    "charge_posted": "charged",
}
"""Event to the true time of the exam, sent or not; reports after the first, cancellations and ends that are none stand in
the truth where they were sent."""
EXAM_COLUMNS = (
    "exam", "accession", "study_uid", "patient_id", "site", "patient_class", "modality", "priority", "visit", "orderless", "late_order",
    "is_second", "study", "images_of", "is_phantom",
)  # fmt: skip


def truth(history: History) -> dict[str, Any]:
    """The stories, and what the network was."""
    stories = [
        {**story.as_truth(), "measured": _measured(history, story.kind, story.as_truth())} for story in history.stories
    ]
    return {
        "seed": history.seed,
        "scale": history.scale,
        "first_day": history.first.isoformat(),
        "until": history.until.isoformat(),
        "exams": len(history.exams),
        "stories": stories,
        "dose_outliers": _dose_outliers(history),
        "steps": _steps(history),
        "downtime": [_stop(stop) for stop in downtime(history)],
    }


def _dose_outliers(history: History) -> list[dict[str, Any]]:
    """Exams in which a dose was planted, with the cause."""
    exams = scanned(history).select(
        "exam", "accession", "study_uid", "station", pl.col("started").dt.date().alias("day")
    )
    known = {row["exam"]: row for row in exams.iter_rows(named=True)}
    return [
        {**{name: known[one["exam"]][name] for name in ("accession", "study_uid", "station")}, "day": known[one["exam"]]["day"].isoformat(), "cause": one["cause"], "factor": one["factor"]}
        for one in with_outliers(history)[1]
    ]  # fmt: skip


def _steps(history: History) -> dict[str, Any]:
    """Who sends performed steps, and whose were lost when."""
    lost, stations = lost_steps(history), {device.index: device.station for device in history.fleet}
    return {
        "devices": [stations[index] for index in senders(history)],
        "lost": {
            "device": stations[lost.device],
            "starts_on": lost.starts_on.isoformat(),
            "ends_on": lost.ends_on.isoformat(),
        },
    }


def _stop(stop: Downtime) -> dict[str, Any]:
    starts, ends = (
        datetime.fromtimestamp(round(at * 60), UTC).isoformat(timespec="seconds") for at in (stop.starts, stop.ends)
    )
    return {
        "device": stop.device.station,
        "starts_at": starts,
        "ends_at": ends,
        "planned": stop.planned,
        "recorded": stop.recorded,
    }


def _measured(history: History, kind: str, story: dict[str, Any]) -> dict[str, float] | None:
    """What the story did to the simulated truth, where a size was not given directly: median turnaround before and after."""
    if kind != "slow_subspecialty":
        return None
    section = [index for index, procedure in enumerate(PROCEDURES) if procedure.section == story["section"]]
    mine = history.exams.filter(
        (pl.col("modality") == "MR")
        & (pl.col("patient_class") == "O")
        & pl.col("procedure").is_in(section)
        & pl.col("final").is_not_null()
    )
    hours = (pl.col("final") - pl.col("completed")).dt.total_seconds() / 3600
    start = pl.lit(story["starts_on"]).str.to_date()
    sides = {
        "median_hours_before": pl.col("completed").dt.date() < start,
        "median_hours_after": pl.col("completed").dt.date() >= start,
    }
    medians = {
        name: mine.filter(side).select(hours.median().alias("median"))["median"].item() for name, side in sides.items()
    }
    return {name: round(value, 2) for name, value in medians.items() if value is not None}


def truth_events(history: History, images: pl.DataFrame) -> pl.DataFrame:
    """One row an event and source: when it really was, and the time that was written of it; null where nothing was sent."""
    real = pl.concat(
        [
            history.exams.filter(~pl.col("is_phantom")).select("exam", event=pl.lit(event), true_at=pl.col(column))
            for event, column in TRUE_TIMES.items()
        ]
    )
    written = pl.concat(
        [
            _from_messages(history),
            _from_doors(history),
            _from_steps(history),
            _from_images(images),
            _from_extracts(history),
        ],
        how="diagonal_relaxed",
    )
    silent = real.filter(pl.col("true_at").is_not_null()).join(written, on=["exam", "event"], how="anti")
    found = pl.concat([written, silent], how="diagonal_relaxed")
    names = history.exams.select("exam", "site", "accession", "study_uid", "patient_id")
    return (
        found.join(names, on="exam", how="left")
        .select("exam", "accession", "study_uid", "patient_id", "site", "event", "source", "true_at", "emitted_at")
        .sort("exam", "event", "source", "emitted_at")
    )


def _from_messages(history: History) -> pl.DataFrame:
    """Events that messages state; an appointment's own time is the time of its message."""
    found = said.messages(history)
    siu = pl.col("message_type").str.starts_with("SIU")
    key = (
        pl.when(siu)
        .then(pl.col("message_type").str.slice(4))
        .when(pl.col("message_type") == "ORU^R01")
        .then(pl.col("result_status"))
        .when(pl.col("order_control") == "SC")
        .then(pl.col("order_status"))
        .otherwise(pl.col("order_control"))
    )
    names = {**ORDER_EVENTS, **REPORT_EVENTS, **APPOINTMENT_EVENTS}
    found = found.select(
        "exam",
        "true_at",
        event=key.replace_strict(names, default=None, return_dtype=pl.Utf8),
        source=pl.when(siu).then(pl.lit("siu")).otherwise(pl.lit("hl7")),
        emitted_at="occurred",
    )
    return found.filter(pl.col("event").is_not_null())


def _from_doors(history: History) -> pl.DataFrame:
    """Arrivals at the hospital's door: one message a visit speaks of all its exams."""
    told = said.admissions(history).filter(pl.col("visit").is_not_null()).select("visit", "door")
    exams = history.exams.filter("has_order").select("exam", "visit")
    return exams.join(told, on="visit", how="inner").select(
        "exam",
        event=pl.lit("emergency_arrival"),
        source=pl.lit("hl7"),
        emitted_at="door",
        true_at="door",
    )


def _from_steps(history: History) -> pl.DataFrame:
    """Start and end of performed steps by the scanner's clock, under every order that they serve."""
    found = steps(history)
    # Steps made under another's worklist entry speak of the exam that the entry is of.
    served = found.select("step_uid", subject="owner")
    members = history.exams.filter("is_second").select("study", second="exam")
    others = served.join(members, left_on="subject", right_on="study", how="inner").select("step_uid", exam="second")
    exams = pl.concat([served.select("step_uid", exam="subject"), others])
    begins = found.select("step_uid", event=pl.lit("exam_started"), emitted_at="step_started", true_at="true_started")
    over = found.filter(pl.col("closed").is_not_null())
    event = (
        pl.when(pl.col("status") == "COMPLETED").then(pl.lit("exam_completed")).otherwise(pl.lit("exam_discontinued"))
    )
    ends = over.select("step_uid", event=event, emitted_at="step_ended", true_at="true_ended")
    return exams.join(pl.concat([begins, ends]), on="step_uid", how="inner").select(
        "exam", "event", "emitted_at", "true_at", source=pl.lit("mpps")
    )


def _from_images(images: pl.DataFrame) -> pl.DataFrame:
    """First and last acquisition by the scanner's clock; the true times stand beside."""
    spans = images.group_by("exam", maintain_order=True).agg(
        pl.col("started").min(), pl.col("ended").max(), pl.col("true_started").first(), pl.col("true_ended").first()
    )
    begins = spans.select(
        "exam", event=pl.lit("exam_started"), source=pl.lit("dicom"), emitted_at="started", true_at="true_started"
    )
    ends = spans.select(
        "exam", event=pl.lit("exam_ended"), source=pl.lit("dicom"), emitted_at="ended", true_at="true_ended"
    )
    return pl.concat([begins, ends])


def _from_extracts(history: History) -> pl.DataFrame:
    """Charges, their reversals, arrivals and openings as the nightly extracts give them."""
    event = pl.col("charge_kind").replace_strict({"CG": "charge_posted", "CR": "charge_reversed"})
    charged = said.charges(history).select("exam", event=event, emitted_at="posted_at", true_at="posted_at")
    times = said.reading_times(history)
    parts = [
        times.filter(pl.col(c).is_not_null()).select("exam", event=pl.lit(event), emitted_at=c, true_at=c)
        for event, c in (
            ("patient_arrived", "arrived"),
            ("read_started", "read_started"),
            ("result_communicated", "communicated"),
        )
    ]
    return pl.concat([charged, *parts]).with_columns(source=pl.lit("extract"))


def truth_appointments(history: History) -> pl.DataFrame:
    """One row a slot: whose, where and when, and how it ended."""
    slots, stations = history.appointments, {device.index: device.station for device in history.fleet}
    freed = pl.col("outcome").is_in([SlotEnd.MOVED, SlotEnd.CANCELLED, SlotEnd.LATE_CANCELLED])
    again = slots.select("device", "slot_at", pl.col("booked_at").alias("filled_at"))
    filled = (
        slots.filter(freed)
        .join(again, on=["device", "slot_at"])
        .filter(pl.col("filled_at") >= pl.col("ended_at"))
        .select("exam", "slot_number", is_backfilled=pl.lit(True))
        .unique()
    )
    names = history.exams.select("exam", "accession", "site", "modality", "patient_class")
    return (
        slots.join(names, on="exam", how="left")
        .join(filled, on=["exam", "slot_number"], how="left")
        .select(
            "exam",
            "accession",
            "site",
            "modality",
            "slot_number",
            "slot_at",
            "slot_minutes",
            "outcome",
            "booked_at",
            "ended_at",
            "reason",
            "appointment",
            pl.col("is_backfilled").fill_null(value=False),
            station=pl.col("device").replace_strict(stations, return_dtype=pl.Utf8),
        )
        .sort("exam", "slot_number")
    )


def truth_exams(history: History) -> pl.DataFrame:
    """One row an exam: how it ended, and what is odd about what was sent of it.

    `steps` counts the performed steps that were sent; `habit` says how they were closed; `waits` that its images were
    uploaded late; `reason` is the code of CID 9301 of a broken-off exam.
    """
    stations = {device.index: device.station for device in history.fleet}
    outcomes = {outcome.value: outcome.name.lower() for outcome in Outcome}
    sent = steps(history).group_by("exam").agg(pl.len().alias("steps"), pl.col("habit").first())
    return (
        history.exams.join(sent, on="exam", how="left")
        .select(
            *EXAM_COLUMNS,
            "habit",
            "waits",
            "uploaded",
            pl.col("steps").fill_null(0),
            station=pl.col("device").replace_strict(stations, default=None, return_dtype=pl.Utf8),
            procedure_code=pl.col("procedure").replace_strict(
                {i: p.code for i, p in enumerate(PROCEDURES)}, return_dtype=pl.Utf8
            ),
            section=pl.col("procedure").replace_strict(
                {i: p.section for i, p in enumerate(PROCEDURES)}, return_dtype=pl.Utf8
            ),
            outcome=pl.col("outcome").replace_strict(outcomes, return_dtype=pl.Utf8),
            reason=pl.when(pl.col("reason") > 0).then(pl.col("reason").cast(pl.Utf8)),
        )
        .sort("exam")
    )


def write_truth(history: History, images: pl.DataFrame, folder: Path) -> None:
    """Writes `truth.json`, `truth_events.parquet`, `truth_appointments.parquet` and `truth_exams.parquet`."""
    (folder / "truth.json").write_text(json.dumps(truth(history), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    truth_events(history, images).write_parquet(folder / "truth_events.parquet")
    truth_appointments(history).write_parquet(folder / "truth_appointments.parquet")
    truth_exams(history).write_parquet(folder / "truth_exams.parquet")
