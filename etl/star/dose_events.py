"""Irradiation events: the union of distinct exposures over all objects, and which object each figure came from."""

from __future__ import annotations

import orjson
import polars as pl

from etl.star import naturals
from etl.star.dose_regions import body_region
from etl.star.keys import key_column
from warehouse.dose_columns import DOSE_FIGURES
from warehouse.dosimetry.ssde import ssde_mgy
from warehouse.schema import UNKNOWN

DECIMALS = 9
"""Sums are rounded here, far below any dosimeter's digit, so that binary fractions leave no noise behind the last digit."""


def irradiation_events(landed: pl.DataFrame, matches: pl.DataFrame) -> pl.DataFrame:
    """One row an exposure or administration: of several objects that state it, the best and latest.

    A dose report beats a header; of two reports the later content time wins, and a disagreement between objects of the
    same rank is marked. An event seen under several exams is attached to one of them, once. Where only CT image headers
    tell, and their CTDIvol varies from slice to slice, the mean of the different values stands, flagged.
    """
    if landed.is_empty():
        return landed.with_columns(
            exam_key=pl.lit(None, pl.Int64),
            event_key=pl.lit(None, pl.Int64),
            device_key=pl.lit(None, pl.Int64),
            protocol_key=pl.lit(None, pl.Int64),
            objects=pl.lit(None, pl.Int32),
            is_disputed=pl.lit(None, pl.Boolean),
            **{name: pl.lit(None, kind) for name, kind in _DERIVED.items()},
        )
    stated = _of_exams(landed, matches)
    best = pl.col("object_rank") == pl.col("object_rank").min()
    in_header = pl.col("object_class") == "header"
    by_slice = (in_header & (pl.col("event_kind") == "ct")).all()
    slices = pl.col("ctdivol_mgy").drop_nulls().unique()
    disputed = ~by_slice & pl.any_horizontal(
        [pl.col(name).filter(best).drop_nulls().n_unique() > 1 for name in DOSE_FIGURES]
    )
    facts = stated.group_by("event_uid").agg(
        _statement().n_unique().cast(pl.Int32).alias("objects"),
        disputed.alias("is_disputed"),
        pl.when(by_slice & (slices.len() > 1)).then(slices.sort().mean().round(DECIMALS)).alias("mean_over_slices"),
        pl.col("exam_key").min().alias("own_exam"),
    )
    joined = (
        _best_first(stated)
        .unique("event_uid", keep="first", maintain_order=True)
        .join(facts, on="event_uid")
        .with_columns(
            pl.col("own_exam").alias("exam_key"),
            pl.coalesce("mean_over_slices", "ctdivol_mgy").alias("ctdivol_mgy"),
            pl.when(pl.col("mean_over_slices").is_not_null())
            .then(
                pl.concat_list(pl.col("flags").fill_null([]), pl.lit("ctdivol_mgy: mean of the values of the slices"))
            )
            .otherwise(pl.col("flags"))
            .alias("flags"),
        )
    )
    reported = pl.col("event_kind").replace_strict(naturals.REPORTED_MODALITY, default=None, return_dtype=pl.Utf8)
    keyed = joined.with_columns(
        key_column("event", joined["event_uid"]).alias("event_key"),
        key_column("device", joined.select(naturals.device_version().alias("device"))["device"])
        .fill_null(UNKNOWN)
        .alias("device_key"),
        key_column(
            "protocol", joined.select(naturals.protocol("acquisition_protocol", reported).alias("protocol"))["protocol"]
        )
        .fill_null(UNKNOWN)
        .alias("protocol_key"),
    )
    return _with_duplicates(_with_size(keyed))


def dose_sources(landed: pl.DataFrame, matches: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """One row an event and object that states it, in the columns of `fact_dose_source`: the one used and those passed over.

    All image headers of one acquisition are one statement.
    """
    stated = _best_first(_of_exams(landed, matches)).with_columns(_statement().alias("statement"))
    objects = stated.unique(["event_uid", "statement"], keep="first", maintain_order=True)
    used = objects.unique("event_uid", keep="first", maintain_order=True).select(
        "event_uid",
        pl.col("statement").alias("used"),
        pl.col("object_rank").alias("used_rank"),
        *(pl.col(name).alias(f"used_{name}") for name in DOSE_FIGURES),
    )
    known = events.select("event_uid", "event_key", "exam_key")
    joined = objects.drop("exam_key").join(used, on="event_uid").join(known, on="event_uid")
    same = pl.all_horizontal([pl.col(name).eq_missing(pl.col(f"used_{name}")) for name in DOSE_FIGURES])
    reason = (
        pl.when(pl.col("statement") == pl.col("used"))
        .then(None)
        .when(same)
        .then(pl.lit("the same figures, stated again"))
        .when(pl.col("object_rank") > pl.col("used_rank"))
        .then(pl.lit("a better kind of object states it"))
        .otherwise(pl.lit("an older statement"))
    )
    return joined.with_columns(
        key_column("object", joined["statement"]).alias("object_key"),
        (pl.col("statement") == pl.col("used")).alias("is_used"),
        reason.alias("passed_over"),
    )


def written(events: pl.DataFrame) -> pl.DataFrame:
    """The events with their figures as the objects state them as JSON text, and their flags in one text."""
    stated = [orjson.dumps(items).decode() if items else None for items in events["stated"].to_list()]
    return events.with_columns(
        pl.Series("stated", stated, dtype=pl.Utf8),
        pl.when(pl.col("flags").list.len() > 0).then(pl.col("flags").list.join("; ")).alias("flags"),
    )


_DERIVED: dict[str, pl.DataType | type[pl.DataType]] = {
    "is_localizer": pl.Boolean,
    "body_region": pl.Utf8,
    "size_cm": pl.Float64,
    "size_method": pl.Utf8,
    "ssde_mgy": pl.Float64,
    "ssde_method": pl.Utf8,
    "is_estimate": pl.Boolean,
}
"""What is derived of each event."""
LOCALIZER = "113805"
"""Constant angle acquisition (CID 10013)."""


def _of_exams(landed: pl.DataFrame, matches: pl.DataFrame) -> pl.DataFrame:
    """Landing rows with their exam: of several that one acquisition was made for, the one with the least key."""
    return landed.join(matches.group_by("digest").agg(pl.col("exam_key").min()), on="digest")


def _statement() -> pl.Expr:
    """What is one statement of an event: an object; of image headers all images of the acquisition."""
    return (
        pl.when(pl.col("object_class") == "header")
        .then(pl.lit("header"))
        .otherwise(pl.coalesce("object_uid", "input_digest", "digest"))
    )


def _best_first(stated: pl.DataFrame) -> pl.DataFrame:
    """Statements by event, that of the best kind of object first, of two the one with the later content time."""
    return stated.sort(
        "event_uid",
        "object_rank",
        pl.col("object_at").dt.epoch("us").fill_null(0) * -1,
        pl.col("object_uid").fill_null(""),
        "digest",
    )


def _with_size(events: pl.DataFrame) -> pl.DataFrame:
    """Adds localizer, region, size and size-specific dose; the best kind of size first (dose reference, section 5)."""
    positive = {
        name: pl.when(pl.col(name) > 0).then(pl.col(name) / 10)
        for name in ("water_equivalent_diameter_mm", "size_effective_diameter_mm", "size_lateral_mm", "size_ap_mm")
    }
    water, effective, lateral, ap = positive.values()
    ways = (
        ("water equivalent diameter", water),
        ("effective diameter", effective),
        ("effective diameter from AP and lateral", (lateral * ap).sqrt()),
    )
    method = pl.coalesce(*(pl.when(value.is_not_null()).then(pl.lit(name)) for name, value in ways))
    is_ct = pl.col("event_kind") == "ct"
    events = events.with_columns(
        is_localizer=is_ct & (pl.col("acquisition_type") == LOCALIZER).fill_null(value=False),
        body_region=body_region("target_region", "acquisition_protocol", "procedure_text"),
        size_cm=pl.coalesce(*(value for _, value in ways)),
        size_method=method,
        is_estimate=pl.lit(value=False),
    )
    head = (pl.col("body_region") == "head").fill_null(value=False)
    computed = pl.when(is_ct & ~pl.col("is_localizer")).then(
        ssde_mgy(pl.col("ctdivol_mgy"), pl.col("size_cm"), pl.col("ctdi_phantom"), head)
    )
    report = (
        pl.when(head)
        .then(pl.lit("AAPM 293"))
        .when(pl.col("size_method") == "water equivalent diameter")
        .then(pl.lit("AAPM 220"))
        .otherwise(pl.lit("AAPM 204"))
    )
    stated = pl.col("ssde_stated_mgy")
    return events.with_columns(
        ssde_mgy=pl.coalesce(stated, computed.round(DECIMALS)),
        ssde_method=pl.when(stated.is_not_null()).then(pl.lit("stated")).when(computed.is_not_null()).then(report),
    )


def _with_duplicates(events: pl.DataFrame) -> pl.DataFrame:
    """Flags events that are probably one under two UIDs: same device, start, voltage and figures to the last digit.

    A router or de-identification may have written other UIDs. Nothing is merged: a person looks.
    """
    same = [
        "device_key",
        "started_at",
        "kvp",
        "plane",
        "ctdivol_mgy",
        "dlp_mgycm",
        "dap_gycm2",
        "rp_air_kerma_mgy",
        "agd_mgy",
    ]
    has_figure = pl.any_horizontal([pl.col(name) > 0 for name in same[4:]]).fill_null(value=False)
    twice = (
        (pl.len().over(same) > 1) & has_figure & pl.col("started_at").is_not_null() & (pl.col("device_key") != UNKNOWN)
    )
    return events.with_columns(
        flags=pl.when(twice)
        .then(pl.concat_list(pl.col("flags").fill_null([]), pl.lit("probably the same exposure under another UID")))
        .otherwise(pl.col("flags"))
    )
