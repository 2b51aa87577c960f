"""The identities that tie landing rows to exams, and so to each other: rows that share a token are derived together."""

from __future__ import annotations

import polars as pl

from etl.star import naturals
from etl.star.keys import natural, with_key

NEAR_EVENTS = ("exam_scheduled_for", "exam_started", "exam_completed")
"""Times of an order near which images without a number may lie."""
_WIDEST_MINUTES = 720
"""Upper bound of `matching.proximity_minutes`."""


def visit_text() -> pl.Expr:
    """A visit of a patient: senders without visit numbers of their own send the account, or a constant."""
    return _with_patient("visit")


def request_text() -> pl.Expr:
    """A requested procedure of a patient: its ID (0040,1001) is unique within a study or a department only."""
    return _with_patient("procedure_request")


def _with_patient(column: str) -> pl.Expr:
    return pl.when(pl.col("patient").is_not_null() & pl.col(column).is_not_null()).then(natural("patient", column))


def tokens(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """One row a landing row and token.

    Accession and filler numbers share a name space (the accession number is the filler's number in most hospitals);
    placer numbers have their own, for another system gave them.

    Returns:
        `digest`, `token` (63-bit key).
    """
    parts = [_of_column(frame, "study", "study_uid")]
    if table == "workflow":
        parts += [_of_column(frame, "order", name) for name in ("accession", "accession_cut", "filler")]
        parts += [_of_column(frame, "placer", "placer"), _of_column(frame, "step", "step_uid")]
        parts += [_of_text(frame, "visit", visit_text()), _of_text(frame, "request", request_text())]
        parts.append(_near_orders(frame))
    elif table == "series":
        listed = frame.select(
            "digest", pl.concat_list(pl.col("accessions").fill_null([]), pl.col("accession")).alias("accession")
        ).explode("accession")
        parts += [_of_column(listed, "order", "accession"), _near_images(frame)]
    else:
        parts.append(_of_column(frame, "order", "accession"))
        if table == "irradiation_event":
            parts.append(_of_column(frame, "event", "event_uid"))
    return pl.concat(parts).unique()


def _of_column(frame: pl.DataFrame, kind: str, column: str) -> pl.DataFrame:
    present = frame.filter(pl.col(column).is_not_null() & (pl.col(column) != "")).select("digest", column)
    return with_key(present, kind, column, "token").select("digest", "token")


def _of_text(frame: pl.DataFrame, kind: str, text: pl.Expr) -> pl.DataFrame:
    return _of_column(frame.select("digest", text.alias("text")), kind, "text")


def _near_orders(frame: pl.DataFrame) -> pl.DataFrame:
    """Patient, modality and the days around each time at which an order's exam may have been done."""
    said = (
        frame.filter(pl.col("patient").is_not_null())
        .select(
            "digest",
            "patient",
            pl.coalesce(naturals.modality(), naturals.modality("section")).alias("ours"),
            pl.col("events")
            .list.eval(pl.element().struct.field("at").filter(pl.element().struct.field("event").is_in(NEAR_EVENTS)))
            .alias("at"),
        )
        .filter(pl.col("ours").is_not_null())
        .explode("at")
        .filter(pl.col("at").is_not_null())
    )
    width = pl.duration(minutes=_WIDEST_MINUTES)
    days = pl.concat(
        [
            said.with_columns(day=(pl.col("at") - width).dt.date()),
            said.with_columns(day=(pl.col("at") + width).dt.date()),
        ]
    )
    return _of_text(days.unique(["digest", "day"]), "near", natural("patient", "ours", "day"))


def _near_images(frame: pl.DataFrame) -> pl.DataFrame:
    """Patient, modality and day of images that name no order."""
    lone = frame.filter(
        pl.col("accession").is_null()
        & (pl.col("accessions").list.len().fill_null(0) == 0)
        & pl.col("patient").is_not_null()
    ).select("digest", "patient", naturals.modality().alias("ours"), pl.col("started_at").dt.date().alias("day"))
    return _of_text(lone.drop_nulls(), "near", natural("patient", "ours", "day"))
