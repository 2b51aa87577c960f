"""What really happened, for tests and judges alone: the planted stories, and every event beside what was written of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from etl.demo import messages as said
from etl.demo.history import History
from etl.demo.landing import APPOINTMENT_EVENTS, ORDER_EVENTS, REPORT_EVENTS

TRUE_TIMES = {
    "order_placed": "ordered",
    "scheduling_done": "booked",
    "patient_arrived": "arrived",
    "exam_started": "started",
    "exam_completed": "completed",
    "read_started": "read_started",
    "report_preliminary": "prelim",
    "report_final": "final",
    "report_corrected": "addendum",
    "report_addendum": "addendum",
    "charge_posted": "charged",
    "order_cancelled": "cancelled",
    "patient_no_show": "cancelled",
    "exam_discontinued": "ended",
}
"""Event to the true time of the exam."""


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
    }


def _measured(history: History, kind: str, story: dict[str, Any]) -> dict[str, float] | None:
    """What the story did to the simulated truth, where a size was not given directly: median turnaround before and after."""
    if kind != "slow_subspecialty":
        return None
    section = [index for index, text in enumerate(_sections()) if text == story["section"]]
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


def _sections() -> list[str]:
    from etl.demo.procedures import PROCEDURES

    return [procedure.section for procedure in PROCEDURES]


def truth_events(history: History, images: pl.DataFrame) -> pl.DataFrame:
    """One row an event and source: when it really was, and the time that was written of it; null where nothing was sent."""
    real = pl.concat(
        [
            history.exams.select("exam", event=pl.lit(event), true_at=pl.col(column))
            for event, column in TRUE_TIMES.items()
            if event
            not in ("report_corrected", "report_addendum", "order_cancelled", "patient_no_show", "exam_discontinued")
        ]
    )
    written = pl.concat(
        [_from_messages(history), _from_images(images), _from_extracts(history)], how="diagonal_relaxed"
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
        "occurred",
        event=key.replace_strict(names, default=None, return_dtype=pl.Utf8),
        source=pl.when(siu).then(pl.lit("siu")).otherwise(pl.lit("hl7")),
        emitted_at="occurred",
    )
    found = found.filter(pl.col("event").is_not_null()).join(
        history.exams.select("exam", *dict.fromkeys(TRUE_TIMES.values())), on="exam", how="left"
    )
    true_at = pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    for event, column in TRUE_TIMES.items():
        true_at = pl.when(pl.col("event") == event).then(pl.col(column)).otherwise(true_at)
    return found.select("exam", "event", "source", "emitted_at", true_at=true_at)


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
    """Charges, arrivals and openings as the nightly extracts give them."""
    charged = (
        said.charges(history)
        .filter(pl.col("charge_kind") == "CG")
        .select("exam", event=pl.lit("charge_posted"), emitted_at="posted_at", true_at="posted_at")
    )
    times = said.reading_times(history)
    parts = [
        times.filter(pl.col(c).is_not_null()).select("exam", event=pl.lit(event), emitted_at=c, true_at=c)
        for event, c in (("patient_arrived", "arrived"), ("read_started", "read_started"))
    ]
    return pl.concat([charged, *parts]).with_columns(source=pl.lit("extract"))


def write_truth(history: History, images: pl.DataFrame, folder: Path) -> None:
    """Writes `truth.json` and `truth_events.parquet`."""
    (folder / "truth.json").write_text(json.dumps(truth(history), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    truth_events(history, images).write_parquet(folder / "truth_events.parquet")
