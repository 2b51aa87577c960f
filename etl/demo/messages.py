"""What the systems say in messages and extracts: one row a statement, rendered as HL7, as CSV or as a landing row."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache

import numpy as np
import polars as pl

from etl.demo.appointments import REASONS, SlotEnd
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
    "visit",
    "placed",
)
WHY = {
    110501: "Equipment failure",
    110502: "Incorrect procedure ordered",
    110503: "Patient allergic to media/contrast",
    110505: "Patient refused to continue procedure",
    110506: "Patient taken for treatment or surgery",
    110513: "Discontinued for unspecified reason",
    110515: "Patient condition prevented continuing",
}
"""Reasons of a broken-off exam (PS3.16 CID 9301)."""
IN_ROOM, OUT_ROOM = "IN_ROOM", "OUT_ROOM"
"""Local order statuses (ORC-5) of the teaching hospital's RIS."""


def request_id(accession: str) -> str:
    """Requested Procedure ID (0040,1001) of an order."""
    return f"RP{accession[1:9]}"


def step_id(accession: str) -> str:
    """Scheduled Procedure Step ID (0040,0009) of an order."""
    return f"SPS{accession[1:9]}"


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
    exams = history.exams.filter("has_order")
    parts = [
        *_order_parts(exams),
        *_appointment_parts(history, exams),
        *_status_parts(exams, rng),
        *_room_parts(exams),
        *_report_parts(exams),
    ]
    found = pl.concat(parts, how="diagonal_relaxed")
    delay = rng.exponential(4, len(found)) + 1
    late = rng.uniform(0, 1, len(found)) < rate("late messages >1 h share")
    delay = np.where(late, 3600 + rng.exponential(4 * 3600, len(found)), delay)
    found = found.with_columns(
        delay=pl.Series(delay.astype(np.int64)),
        resent=pl.Series(rng.uniform(0, 1, len(found)) < rate("duplicate messages share")),
    )
    told = pl.max_horizontal("occurred", "placed") + pl.col("delay") * timedelta(seconds=1)
    found = found.with_columns(
        sent=pl.when(pl.col("message_type").str.starts_with("SIU")).then("occurred").otherwise(told)
    )
    end = pl.datetime(history.until.year, history.until.month, history.until.day, time_zone="UTC", time_unit="us")
    found = found.filter(pl.col("sent") < end).sort("sent", "exam", "rank", "message_type", maintain_order=True)
    return _with_patients(history, found).with_columns(
        control_id=pl.col("site").str.slice(0, 1) + pl.int_range(pl.len()).cast(pl.Utf8).str.zfill(9)
    )


def _part(
    exams: pl.DataFrame, rank: int, at: str, message_type: str, true: str | None = None, **columns: pl.Expr | str
) -> pl.DataFrame:
    """Statements of one kind about the exams that have a time; `true` is the column of the real time where it is another."""
    values = {name: pl.lit(value) if isinstance(value, str) else value for name, value in columns.items()}
    return exams.filter(pl.col(at).is_not_null()).select(
        *KEPT,
        occurred=pl.col(at),
        true_at=pl.col(true or at),
        message_type=pl.lit(message_type),
        rank=pl.lit(rank),
        **values,
    )


def _order_parts(exams: pl.DataFrame) -> list[pl.DataFrame]:
    """New orders, and orders that ended."""
    placed = _part(exams, 0, "placed", "ORM^O01", order_control="NW")
    kinds = {site.code: site.order_message for site in SITES}
    placed = placed.with_columns(message_type=pl.col("site").replace_strict(kinds))
    cancelled = exams.filter(pl.col("outcome") == Outcome.CANCELLED)
    broken = exams.filter(pl.col("outcome") == Outcome.DISCONTINUED)
    code = pl.col("reason").cast(pl.Utf8)
    text = pl.col("reason").replace_strict(WHY, default=None, return_dtype=pl.Utf8)
    return [
        placed,
        _part(cancelled, 9, "cancelled", "ORM^O01", order_control="OC", order_status="CA"),
        _part(broken, 6, "ended", "ORM^O01", order_control="DC", order_status="DC", reason_code=code, reason_text=text),
    ]


def _appointment_parts(history: History, exams: pl.DataFrame) -> list[pl.DataFrame]:
    """Appointments made, moved, kept, cancelled or missed."""
    slots = history.appointments.rename({"device": "slot_device"}).with_columns(
        pl.col("outcome").shift(1).over("exam").alias("before"),
        pl.col("reason").shift(1).over("exam").alias("reason_before"),
    )
    slots = slots.rename({"outcome": "slot_outcome", "reason": "slot_reason"})
    booked = slots.join(exams, on="exam", how="inner", maintain_order="left").with_columns(device="slot_device")
    moved = (pl.col("before") == SlotEnd.MOVED).fill_null(value=False)
    off = pl.col("slot_outcome").is_in([SlotEnd.CANCELLED, SlotEnd.LATE_CANCELLED])
    kept = pl.col("slot_outcome").is_in([SlotEnd.KEPT, SlotEnd.BROKEN_OFF])
    missed = pl.col("slot_outcome") == SlotEnd.NO_SHOW
    kinds = [
        (1, ~moved, "booked_at", "S12", pl.lit(None)),
        (2, moved, "booked_at", "S13", pl.col("reason_before")),
        (3, kept, "arrived", "S14", pl.lit(None)),
        (8, off, "ended_at", "S15", pl.col("slot_reason")),
        (8, missed, "ended_at", "S26", pl.lit(None)),
    ]
    return [
        _part(
            booked.filter(fits),
            rank,
            at,
            f"SIU^{trigger}",
            planned=pl.col("slot_at"),
            scheduled_minutes=pl.col("slot_minutes"),
            appointment=pl.col("appointment"),
            order_status=CLINICAL[trigger],
            reason_code=why.cast(pl.Utf8),
            reason_text=why.cast(pl.Utf8).replace_strict(REASONS, default=None, return_dtype=pl.Utf8),
        )
        for rank, fits, at, trigger, why in kinds
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
        _part(begun, 5, "begun", "ORM^O01", "started", order_control="SC", order_status="IP"),
        _part(done, 6, "completed", "ORM^O01", order_control="SC", order_status="CM"),
    ]


def _room_parts(exams: pl.DataFrame) -> list[pl.DataFrame]:
    """The patient in the scanner's room, sometimes entered late, and out of it."""
    return [
        _part(exams, 4, "room_typed", "ORM^O01", "in_room", order_control="SC", order_status=IN_ROOM),
        _part(exams, 7, "left_room", "ORM^O01", order_control="SC", order_status=OUT_ROOM),
    ]


def _report_parts(exams: pl.DataFrame) -> list[pl.DataFrame]:
    """Preliminary and final reports, corrections and addenda."""
    changed = pl.when(pl.col("corrects")).then(pl.lit("C")).otherwise(pl.lit("A"))
    parts = [("prelim", 10, pl.lit("P"), 0), ("final", 11, pl.lit("F"), 1), ("addendum", 12, changed, 2)]
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
    """ADT: registration of each patient at the first order, every emergency visit, and merges of temporary numbers."""
    exams = history.exams.filter(~pl.col("is_phantom")).sort("ordered", "exam")
    first = exams.group_by("patient", maintain_order=True).first()
    trigger = pl.when(pl.col("patient_class") == "I").then(pl.lit("ADT^A01")).otherwise(pl.lit("ADT^A04"))
    columns = ("patient", "patient_id", "site", "patient_class", "department", "exam")
    registered = first.filter(pl.col("visit").is_null()).select(
        *columns, message_type=trigger, occurred=pl.col("ordered") - timedelta(seconds=90)
    )
    doors = exams.filter(pl.col("door").is_not_null()).group_by("visit", maintain_order=True).first()
    doors = doors.select(*columns, "visit", "door", message_type=pl.lit("ADT^A04"), occurred="door")
    merged = (
        merges(history)
        .join(first.select("patient", "patient_id", "patient_class", "department", "exam"), on="patient")
        .select(*columns, message_type=pl.lit("ADT^A40"), occurred=pl.col("merged_at"), merged=pl.col("temporary"))
    )
    end = pl.datetime(history.until.year, history.until.month, history.until.day, time_zone="UTC", time_unit="us")
    arrived = known_as(history, pl.concat([registered, doors], how="diagonal_relaxed"), "occurred")
    found = pl.concat([arrived, merged], how="diagonal_relaxed").with_columns(
        sent=pl.col("occurred") + timedelta(seconds=2)
    )
    found = with_person(history, found.filter(pl.col("sent") < end)).sort("sent", "exam", "message_type")
    return found.with_columns(control_id=pl.lit("A") + pl.int_range(pl.len()).cast(pl.Utf8).str.zfill(9))


def charges(history: History) -> pl.DataFrame:
    """Rows of the billing system's nightly extract: charges and reversals."""
    exams, price = history.exams.filter("has_order"), {i: p.price for i, p in enumerate(PROCEDURES)}
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
    """Rows of the RIS extract of each day's final reports: arrival, opening of the exam, call about a critical finding."""
    exams = history.exams.filter(pl.col("has_order") & pl.col("final").is_not_null())
    return exams.select("exam", "site", "accession", "arrived", "read_started", "communicated", "final").sort(
        "final", "exam"
    )
