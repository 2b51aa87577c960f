"""Performed procedure steps as `workflow` rows, as `etl.sources.dicom.mpps` gives them; identifiers still in the clear."""

from __future__ import annotations

import polars as pl

from etl.demo.history import History
from etl.demo.steps import steps
from etl.lake.schema import EVENT


def step_rows(history: History) -> pl.DataFrame:
    """One row an N-CREATE and order that it serves, and one an N-SET."""
    titles = {device.index: device.ae_title for device in history.fleet}
    found = steps(history).with_columns(
        ae_title=pl.col("device").replace_strict(titles, return_dtype=pl.Utf8), source=pl.lit("mpps")
    )
    return pl.concat([_created(found), _closed(found)], how="diagonal_relaxed").with_columns(
        message_type=pl.lit("MPPS"), imaging=pl.lit(True), flags=pl.lit([], dtype=pl.List(pl.Utf8))
    )


def _created(found: pl.DataFrame) -> pl.DataFrame:
    """What the N-CREATE states, of several orders once each."""
    ordered = pl.col("accession") != ""
    rows = found.with_columns(accession="accessions").explode("accession")
    return rows.select(
        "exam",
        "site",
        "source",
        "step_uid",
        "study_uid",
        "accession",
        "sex",
        "birth_year",
        "procedure_code",
        "procedure_scheme",
        "station",
        "ae_title",
        sent_at="created",
        source_name="station",
        stated_at="step_started",
        patient="patient_id",
        modality="dicom_modality",
        procedure_request=pl.when(ordered).then(pl.concat_str(pl.lit("RP"), pl.col("accession").str.slice(1, 8))),
        procedure_text="procedure_text",
        order_status=pl.lit("IN PROGRESS"),
        performed_series=pl.lit(0),
        events=_one("exam_started", "step_started", "(0040,0244)"),
        row_key=pl.concat_str(pl.lit("create"), "step_uid", "accession"),
    )


def _closed(found: pl.DataFrame) -> pl.DataFrame:
    """What the N-SET states: of patient and order nothing."""
    rows = found.filter(pl.col("closed").is_not_null())
    completed = pl.col("status") == "COMPLETED"
    return rows.select(
        "exam",
        "site",
        "source",
        "step_uid",
        "technologist",
        "protocol",
        "reason_code",
        "reason_text",
        sent_at="closed",
        source_name="ae_title",
        stated_at="step_ended",
        order_status="status",
        performed_series=pl.col("series_uids").list.len(),
        events=pl.when(completed)
        .then(_one("exam_completed", "step_ended", "(0040,0250)"))
        .otherwise(_one("exam_discontinued", "step_ended", "(0040,0250)")),
        row_key=pl.concat_str(pl.lit("set"), "step_uid"),
    )


def _one(event: str, at: str, field: str) -> pl.Expr:
    """A list of one event."""
    made = pl.struct(
        pl.lit(event).alias("event"),
        pl.col(at).alias("at"),
        pl.lit("s").alias("precision"),
        pl.lit(field).alias("field"),
    )
    return pl.concat_list([made.cast(EVENT)]).alias("events")
