"""What the systems say in messages and extracts: one row a statement, rendered as HL7, as CSV or as a landing row."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache

import numpy as np
import polars as pl

from etl.demo.calibration import rate
from etl.demo.history import History
from etl.demo.network import SITES
from etl.demo.procedures import PROCEDURES
from etl.demo.scheduling import Outcome

SECTIONS = {"XR": "DX"}
"""Diagnostic service section (OBR-24) where it is not the modality itself."""

CLINICAL = {"S12": "BOOKED", "S13": "BOOKED", "S14": "ARRIVED", "S15": "CANCELLED", "S26": "NOSHOW"}
"""Filler status (SCH-25) by trigger."""

FINDINGS = (
    "No acute abnormality.",
    "Stable appearance since the prior exam.",
    "Mild degenerative change.",
    "Small finding, follow-up suggested.",
    "No interval change.",
)
KEPT = (
    "exam",
    "site",
    "patient",
    "patient_id",
    "patient_class",
    "department",
    "payer",
    "referrer",
    "technologist",
    "reader",
    "priority",
    "procedure",
    "modality",
    "device",
    "placer",
    "accession",
    "study_uid",
)


def as_written(column: str) -> pl.Expr:
    """The instant that a reader takes a time for: without an offset, of the hour that comes twice in autumn the first.

    Sites whose messages carry offsets are understood exactly.
    """
    expression = pl.col(column)
    for site in SITES:
        if not site.hl7_offsets:
            expression = (
                pl.when(pl.col("site") == site.code)
                .then(through_wall_clock(pl.col(column), site.zone_name))
                .otherwise(expression)
            )
    return expression.alias(column)


def through_wall_clock(column: pl.Expr, zone_name: str) -> pl.Expr:
    """An instant written as wall clock of a zone and read back (PEP 495 with fold=0)."""
    wall = column.dt.convert_time_zone(zone_name).dt.replace_time_zone(None)
    return wall.dt.replace_time_zone(zone_name, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")


@lru_cache(maxsize=1)
def messages(history: History) -> pl.DataFrame:
    """All HL7 messages about exams in the order in which they were sent; duplicates are repeated by the files alone."""
    rng = np.random.default_rng([history.seed, 4])
    exams = history.exams.filter(~pl.col("orderless"))
    parts = [*_order_parts(exams), *_appointment_parts(exams), *_status_parts(exams, rng), *_report_parts(exams)]
    found = pl.concat(parts, how="diagonal_relaxed")
    delay = rng.exponential(4, len(found)) + 1
    late = rng.uniform(0, 1, len(found)) < rate("late messages >1 h share")
    delay = np.where(late, 3600 + rng.exponential(4 * 3600, len(found)), delay)
    found = found.with_columns(
        delay=pl.Series(delay.astype(np.int64)),
        resent=pl.Series(rng.uniform(0, 1, len(found)) < rate("duplicate messages share")),
    )
    found = found.with_columns(
        sent=pl.col("occurred")
        + pl.when(pl.col("message_type").str.starts_with("SIU")).then(0).otherwise(pl.col("delay"))
        * timedelta(seconds=1)
    )
    end = pl.datetime(history.until.year, history.until.month, history.until.day, time_zone="UTC", time_unit="us")
    found = found.filter(pl.col("sent") < end).sort("sent", "exam", "rank", "message_type", maintain_order=True)
    return _with_patients(history, found).with_columns(
        control_id=pl.col("site").str.slice(0, 1) + pl.int_range(pl.len()).cast(pl.Utf8).str.zfill(9)
    )


def _part(exams: pl.DataFrame, rank: int, at: str, message_type: str, **columns: pl.Expr | str) -> pl.DataFrame:
    """Statements of one kind about the exams that have a time."""
    values = {name: pl.lit(value) if isinstance(value, str) else value for name, value in columns.items()}
    return exams.filter(pl.col(at).is_not_null()).select(
        *KEPT, occurred=pl.col(at), message_type=pl.lit(message_type), rank=pl.lit(rank), **values
    )


def _order_parts(exams: pl.DataFrame) -> list[pl.DataFrame]:
    """New orders, and orders that ended."""
    placed = _part(exams, 0, "ordered", "ORM^O01", order_control="NW")
    kinds = {site.code: site.order_message for site in SITES}
    placed = placed.with_columns(message_type=pl.col("site").replace_strict(kinds))
    cancelled = exams.filter(pl.col("outcome") == Outcome.CANCELLED)
    broken = exams.filter(pl.col("outcome") == Outcome.DISCONTINUED)
    return [
        placed,
        _part(cancelled, 8, "cancelled", "ORM^O01", order_control="OC", order_status="CA"),
        _part(broken, 6, "ended", "ORM^O01", order_control="DC", order_status="DC"),
    ]


def _appointment_parts(exams: pl.DataFrame) -> list[pl.DataFrame]:
    """Appointments made, moved, kept, cancelled or missed."""
    booked = exams.filter(pl.col("booked").is_not_null())
    absent, off = (
        booked.filter(pl.col("outcome") == Outcome.NO_SHOW),
        booked.filter(pl.col("outcome") == Outcome.CANCELLED),
    )
    moved = booked.filter(pl.col("cancelled").is_null() | (pl.col("moved") < pl.col("cancelled")))
    return [
        _part(booked, 1, "booked", "SIU^S12", planned=pl.col("first_scheduled"), order_status=CLINICAL["S12"]),
        _part(moved, 2, "moved", "SIU^S13", planned=pl.col("scheduled"), order_status=CLINICAL["S13"]),
        _part(booked, 3, "arrived", "SIU^S14", planned=pl.col("scheduled"), order_status=CLINICAL["S14"]),
        _part(off, 7, "cancelled", "SIU^S15", planned=pl.col("scheduled"), order_status=CLINICAL["S15"]),
        _part(absent, 7, "cancelled", "SIU^S26", planned=pl.col("scheduled"), order_status=CLINICAL["S26"]),
    ]


def _status_parts(exams: pl.DataFrame, rng: np.random.Generator) -> list[pl.DataFrame]:
    """The technologist's buttons: begin, pressed a little early or late, and end."""
    shift = pl.Series(np.round(rng.normal(0, 45, len(exams))).astype(np.int64))
    pressed = pl.max_horizontal(
        pl.col("started") + shift * timedelta(seconds=1), pl.col("ordered") + timedelta(seconds=30)
    )
    begun = exams.with_columns(begun=pl.when(pl.col("started").is_not_null()).then(pressed))
    done = exams.filter(pl.col("outcome") == Outcome.PERFORMED)
    return [
        _part(begun, 4, "begun", "ORM^O01", order_control="SC", order_status="IP"),
        _part(done, 5, "completed", "ORM^O01", order_control="SC", order_status="CM"),
    ]


def _report_parts(exams: pl.DataFrame) -> list[pl.DataFrame]:
    """Preliminary and final reports, corrections and addenda."""
    changed = pl.when(pl.col("corrects")).then(pl.lit("C")).otherwise(pl.lit("A"))
    parts = [("prelim", 9, pl.lit("P"), 0), ("final", 10, pl.lit("F"), 1), ("addendum", 11, changed, 2)]
    return [
        _part(exams, rank, at, "ORU^R01", result_status=status, performed=pl.col("started"), text=_text(version))
        for at, rank, status, version in parts
    ]


def _text(version: int) -> pl.Expr:
    """A report's line: no more than is needed to tell one text from another."""
    finding = (pl.col("exam") % len(FINDINGS)).replace_strict(dict(enumerate(FINDINGS)), return_dtype=pl.Utf8)
    return pl.concat_str(pl.lit("IMPRESSION: "), finding, pl.lit(f" Version {version}."))


def merges(history: History) -> pl.DataFrame:
    """Patients first known under a temporary number, and when it was merged into their own: a day after their first order."""
    names = pl.DataFrame(
        {"patient": np.arange(len(history.people.identifier)), "temporary": history.people.merged_from},
        schema_overrides={"temporary": pl.Utf8},
    )
    first = history.exams.group_by("patient").agg(
        pl.col("ordered").min().alias("first"), pl.col("site").sort_by("ordered", "exam").first()
    )
    return (
        first.join(names.with_columns(pl.col("patient").cast(first["patient"].dtype)), on="patient")
        .filter(pl.col("temporary").is_not_null())
        .with_columns(merged_at=(pl.col("first") + timedelta(hours=20)).dt.truncate("1s"))
        .sort("patient")
    )


def known_as(history: History, frame: pl.DataFrame, at: str) -> pl.DataFrame:
    """The frame with `patient_id` as it stood at a time: the temporary number before the merge."""
    known = frame.join(
        merges(history).select("patient", "temporary", "merged_at"), on="patient", how="left", maintain_order="left"
    )
    number = pl.when(pl.col(at) < pl.col("merged_at")).then(pl.col("temporary")).otherwise(pl.col("patient_id"))
    return known.with_columns(patient_id=number).drop("temporary", "merged_at")


def _with_patients(history: History, found: pl.DataFrame) -> pl.DataFrame:
    """Adds what PID carries."""
    return with_person(history, known_as(history, found, "sent"))


def with_person(history: History, frame: pl.DataFrame) -> pl.DataFrame:
    """Adds name, sex and birth year of the patient."""
    people = history.people
    persons = pl.DataFrame(
        {
            "patient": np.arange(len(people.identifier)),
            "patient_name": people.name,
            "sex": people.sex,
            "birth_year": people.birth_year,
            "birth_day": people.birth_day,
        }
    )
    return frame.join(
        persons.with_columns(pl.col("patient").cast(frame["patient"].dtype)),
        on="patient",
        how="left",
        maintain_order="left",
    )


def admissions(history: History) -> pl.DataFrame:
    """ADT: each patient once at the first order, and merges of temporary numbers."""
    first = history.exams.sort("ordered", "exam").group_by("patient", maintain_order=True).first()
    trigger = pl.when(pl.col("patient_class") == "I").then(pl.lit("ADT^A01")).otherwise(pl.lit("ADT^A04"))
    arrived = first.select(
        "patient",
        "patient_id",
        "site",
        "patient_class",
        "department",
        message_type=trigger,
        occurred=pl.col("ordered") - timedelta(seconds=90),
        exam=pl.col("exam"),
    )
    merged = (
        merges(history)
        .join(first.select("patient", "patient_id", "patient_class", "department", "exam"), on="patient")
        .select(
            "patient",
            "patient_id",
            "site",
            "patient_class",
            "department",
            "exam",
            message_type=pl.lit("ADT^A40"),
            occurred=pl.col("merged_at"),
            merged=pl.col("temporary"),
        )
    )
    end = pl.datetime(history.until.year, history.until.month, history.until.day, time_zone="UTC", time_unit="us")
    found = pl.concat([known_as(history, arrived, "occurred"), merged], how="diagonal_relaxed").with_columns(
        sent=pl.col("occurred") + timedelta(seconds=2)
    )
    found = with_person(history, found.filter(pl.col("sent") < end)).sort("sent", "exam", "message_type")
    return found.with_columns(control_id=pl.lit("A") + pl.int_range(pl.len()).cast(pl.Utf8).str.zfill(9))


def charges(history: History) -> pl.DataFrame:
    """Rows of the billing system's nightly extract: charges and reversals."""
    exams, price = history.exams.filter(~pl.col("orderless")), {i: p.price for i, p in enumerate(PROCEDURES)}
    columns = ("exam", "site", "accession", "payer", "procedure")
    posted = exams.filter(pl.col("charged").is_not_null()).select(
        *columns, posted_at="charged", charge_kind=pl.lit("CG")
    )
    back = exams.filter(pl.col("reversed").is_not_null()).select(
        *columns, posted_at="reversed", charge_kind=pl.lit("CR")
    )
    found = pl.concat([posted, back]).sort("posted_at", "exam", "charge_kind")
    code = pl.col("procedure").replace_strict(
        {i: f"B-{p.code}" for i, p in enumerate(PROCEDURES)}, return_dtype=pl.Utf8
    )
    return found.with_columns(
        charge_code=code, charge_amount=pl.col("procedure").replace_strict(price, return_dtype=pl.Float64)
    )


def reading_times(history: History) -> pl.DataFrame:
    """Rows of the RIS extract of each day's final reports: arrival in the department and opening of the exam."""
    exams = history.exams.filter(~pl.col("orderless") & pl.col("final").is_not_null())
    return exams.select("exam", "site", "accession", "arrived", "read_started", "final").sort("final", "exam")
