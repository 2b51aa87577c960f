"""Which exam each landing row speaks of.

In order, first hit wins (each match keeps its rule): the accession number, where an order with it is known; the Study
Instance UID that an order names; the accession number on its own; the filler number; the placer number; the study alone.
One row may speak of several exams (one acquisition under several accessions; a split order), and several rows of one.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from etl.star.keys import key_column

PROBABLE = ("placer",)
"""Rules whose matches are marked `probable`."""


@dataclass(frozen=True)
class Matches:
    """Landing rows with the exams that they speak of: `digest`, `exam_key`, `match_rule`."""

    workflow: pl.DataFrame
    imaging: pl.DataFrame
    """Of `series`, `irradiation_event` and `dose_report` rows."""


def match(workflow: pl.DataFrame, series: pl.DataFrame, events: pl.DataFrame, reports: pl.DataFrame) -> Matches:
    """Exams of all rows of some components.

    Args:
        workflow, series, events, reports: landing rows, each digest once.
    """
    said = _order_keys(workflow.select("digest", "study_uid", "accession", "filler", "placer"))
    resolved, studies = _workflow_exams(said)
    imaging = pl.concat(
        [
            series.select(
                "digest",
                "study_uid",
                pl.when(pl.col("accessions").list.len() > 0)
                .then(pl.col("accessions"))
                .otherwise(pl.concat_list("accession"))
                .alias("accession"),
            ),
            events.select("digest", "study_uid", pl.concat_list("accession").alias("accession")),
            reports.select("digest", "study_uid", pl.concat_list("accession").alias("accession")),
        ]
    )
    return Matches(resolved, _imaging_exams(imaging, resolved, studies))


def _order_keys(said: pl.DataFrame) -> pl.DataFrame:
    """Keys of the order numbers, a filler number replaced by the one accession number that it goes with."""
    keyed = said.with_columns(
        key_column("order", said["accession"]).alias("accession"),
        key_column("order", said["filler"]).alias("filler"),
        key_column("placer", said["placer"]).alias("placer"),
        key_column("study", said["study_uid"]).alias("study"),
    )
    alias = (
        keyed.filter(pl.col("accession").is_not_null() & pl.col("filler").is_not_null())
        .group_by("filler")
        .agg(pl.col("accession").unique())
        .filter(pl.col("accession").list.len() == 1)
        .select("filler", pl.col("accession").list.first().alias("alias"))
    )
    return keyed.join(alias, on="filler", how="left")


def _workflow_exams(said: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Exams of workflow rows, and the exams by study that they establish."""
    own = said.with_columns(
        own=pl.coalesce("accession", "alias", "filler"),
        match_rule=pl.when(pl.col("accession").is_not_null() | pl.col("alias").is_not_null())
        .then(pl.lit("accession"))
        .otherwise(pl.lit("filler")),
    )
    named = own.filter(pl.col("own").is_not_null())
    placers = named.filter(pl.col("placer").is_not_null()).select("placer", "own").unique()
    studies = named.filter(pl.col("study").is_not_null()).select("study", "own").unique()
    rest = own.filter(pl.col("own").is_null()).drop("own", "match_rule")
    by_study = rest.join(studies, on="study").select(
        "digest", pl.col("own").alias("exam_key"), pl.lit("study").alias("match_rule")
    )
    rest = rest.join(by_study, on="digest", how="anti")
    by_placer = rest.join(placers, on="placer").select(
        "digest", pl.col("own").alias("exam_key"), pl.lit("placer").alias("match_rule")
    )
    alone = rest.join(by_placer, on="digest", how="anti").select(
        "digest", pl.coalesce("study", "placer").alias("exam_key"), pl.lit("alone").alias("match_rule")
    )
    resolved = pl.concat(
        [
            named.select("digest", pl.col("own").alias("exam_key"), "match_rule"),
            by_study,
            by_placer,
            alone.filter(pl.col("exam_key").is_not_null()),
        ]
    )
    lone_studies = (
        rest.join(by_placer, on="digest", how="anti")
        .filter(pl.col("study").is_not_null())
        .select("study", pl.col("study").alias("own"))
        .unique()
    )
    return resolved, pl.concat([studies, lone_studies])


def _imaging_exams(imaging: pl.DataFrame, resolved: pl.DataFrame, studies: pl.DataFrame) -> pl.DataFrame:
    """Exams of imaging rows: see the module's text for the order of rules."""
    rows = imaging.explode("accession").unique()
    rows = rows.with_columns(
        key_column("order", rows["accession"]).alias("own"), key_column("study", rows["study_uid"]).alias("study")
    )
    ordered = resolved.select(pl.col("exam_key").alias("own")).unique().with_columns(is_ordered=pl.lit(value=True))
    rows = rows.join(ordered, on="own", how="left")
    known = rows.filter(pl.col("is_ordered")).select(
        "digest", pl.col("own").alias("exam_key"), pl.lit("accession").alias("match_rule")
    )
    rest = rows.join(known, on="digest", how="anti")
    by_study = (
        rest.join(studies.rename({"own": "exam_key"}), on="study")
        .select("digest", "exam_key", pl.lit("study").alias("match_rule"))
        .unique()
    )
    rest = rest.join(by_study, on="digest", how="anti")
    by_accession = rest.filter(pl.col("own").is_not_null()).select(
        "digest", pl.col("own").alias("exam_key"), pl.lit("accession").alias("match_rule")
    )
    rest = rest.join(by_accession, on="digest", how="anti")
    images_studies = (
        rows.join(pl.concat([known, by_accession]), on="digest")
        .filter(pl.col("study").is_not_null())
        .select("study", "exam_key")
        .unique()
    )
    by_images = (
        rest.join(images_studies, on="study").select("digest", "exam_key", pl.lit("study").alias("match_rule")).unique()
    )
    rest = rest.join(by_images, on="digest", how="anti")
    alone = rest.select("digest", pl.col("study").alias("exam_key"), pl.lit("alone").alias("match_rule")).unique()
    return (
        pl.concat([known, by_study, by_accession, by_images, alone])
        .filter(pl.col("exam_key").is_not_null())
        .unique(["digest", "exam_key"], keep="first", maintain_order=True)
    )
