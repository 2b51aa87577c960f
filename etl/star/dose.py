"""Irradiation events and the dose of exams: the union of distinct events over all objects, beside what reports state."""

from __future__ import annotations

import orjson
import polars as pl

from etl.star import naturals
from etl.star.keys import key_column
from warehouse.dose_columns import DOSE_FIGURES, TOTAL_COLUMNS, TOTALS_TOLERANCE
from warehouse.schema import UNKNOWN

_DECIMALS = 9
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
        )
    exams = matches.group_by("digest").agg(pl.col("exam_key").min())
    stated = landed.join(exams, on="digest")
    best = pl.col("object_rank") == pl.col("object_rank").min()
    in_header = pl.col("object_class") == "header"
    # All images of one acquisition are one statement.
    statement = pl.when(in_header).then(pl.lit("header")).otherwise(pl.col("object_uid"))
    by_slice = (in_header & (pl.col("event_kind") == "ct")).all()
    slices = pl.col("ctdivol_mgy").drop_nulls().unique()
    disputed = ~by_slice & pl.any_horizontal(
        [pl.col(name).filter(best).drop_nulls().n_unique() > 1 for name in DOSE_FIGURES]
    )
    facts = stated.group_by("event_uid").agg(
        statement.n_unique().cast(pl.Int32).alias("objects"),
        disputed.alias("is_disputed"),
        pl.when(by_slice & (slices.len() > 1)).then(slices.sort().mean().round(_DECIMALS)).alias("mean_over_slices"),
        pl.col("exam_key").min().alias("own_exam"),
    )
    winners = stated.sort(
        "event_uid",
        "object_rank",
        pl.col("object_at").dt.epoch("us").fill_null(0) * -1,
        pl.col("object_uid").fill_null(""),
        "digest",
    ).unique("event_uid", keep="first", maintain_order=True)
    joined = winners.join(facts, on="event_uid").with_columns(
        pl.col("own_exam").alias("exam_key"),
        pl.coalesce("mean_over_slices", "ctdivol_mgy").alias("ctdivol_mgy"),
        pl.when(pl.col("mean_over_slices").is_not_null())
        .then(pl.concat_list(pl.col("flags").fill_null([]), pl.lit("ctdivol_mgy: mean of the values of the slices")))
        .otherwise(pl.col("flags"))
        .alias("flags"),
    )
    reported = pl.col("event_kind").replace_strict(naturals.REPORTED_MODALITY, default=None, return_dtype=pl.Utf8)
    return joined.with_columns(
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


def stated_json(column: pl.Series) -> pl.Series:
    """The figures as written, as JSON text."""
    return pl.Series(
        column.name, [orjson.dumps(items).decode() if items else None for items in column.to_list()], dtype=pl.Utf8
    )


def exam_doses(
    events: pl.DataFrame, reports: pl.DataFrame, report_matches: pl.DataFrame, landed_events: pl.DataFrame
) -> pl.DataFrame:
    """One row an exam with dose: sums over its distinct events beside the totals that its reports state.

    Args:
        events: of `irradiation_events`.
        reports: `dose_report` landing rows.
        report_matches: `digest`, `exam_key` of imaging rows.
        landed_events: `irradiation_event` landing rows, to see which events each report has.
    """
    sums = _sums(events)
    totals = _stated_totals(reports, report_matches, landed_events)
    joined = sums.join(totals, on="exam_key", how="full", coalesce=True).with_columns(
        pl.col("events").fill_null(0),
        pl.col("reports").fill_null(0),
        pl.coalesce("dose_kind", "reported_kind").alias("dose_kind"),
        pl.coalesce("device_key", "report_device_key").alias("device_key"),
        pl.col("protocol_key").fill_null(UNKNOWN),
    )
    return _headline(joined.filter(pl.col("dose_kind").is_not_null()))


def _sums(events: pl.DataFrame) -> pl.DataFrame:
    """Sums over distinct events; null, not zero, where no event has the figure."""

    def total(name: str, where: pl.Expr | None = None) -> pl.Expr:
        values = pl.col(name) if where is None else pl.col(name).filter(where)
        return pl.when(values.is_not_null().any()).then(values.sum().round(_DECIMALS))

    weight = pl.coalesce("dlp_mgycm", "dap_gycm2", "agd_mgy", "activity_mbq", "ctdivol_mgy").fill_null(-1.0)
    ranked = events.sort("exam_key", weight, "event_uid", descending=[False, True, False])
    return ranked.group_by("exam_key", maintain_order=True).agg(
        pl.col("event_kind").first().alias("dose_kind"),
        pl.len().cast(pl.Int32).alias("events"),
        pl.col("device_key").first(),
        pl.col("protocol_key").first(),
        pl.col("ctdivol_mgy").max().alias("ctdivol_max_mgy"),
        total("dlp_mgycm").alias("dlp_mgycm"),
        total("dap_gycm2").alias("dap_gycm2"),
        total("rp_air_kerma_mgy").alias("rp_air_kerma_mgy"),
        total("agd_mgy", pl.col("laterality") == "L").alias("agd_left_mgy"),
        total("agd_mgy", pl.col("laterality") == "R").alias("agd_right_mgy"),
        total("agd_mgy").alias("agd_mgy"),
        total("activity_mbq").alias("activity_mbq"),
    )


def _stated_totals(reports: pl.DataFrame, matches: pl.DataFrame, landed_events: pl.DataFrame) -> pl.DataFrame:
    """Totals that the reports of an exam state: continued reports add up, a report whose events another one has does not."""
    latest = reports.sort(pl.col("object_at").dt.epoch("us").fill_null(0), "digest").unique(
        "object_uid", keep="last", maintain_order=True
    )
    own = matches.group_by("digest").agg(pl.col("exam_key").min())
    kept = _without_contained(latest.join(own, on="digest"), landed_events)
    device = key_column("device", kept.select(naturals.device_version().alias("device"))["device"]).fill_null(UNKNOWN)
    sums = [
        pl.when(pl.col(c.name).is_not_null().any()).then(pl.col(c.name).sum().round(_DECIMALS)).alias(c.name)
        for c in TOTAL_COLUMNS
    ]
    return (
        kept.with_columns(device.alias("report_device_key"))
        .sort("exam_key", "object_uid")
        .group_by("exam_key", maintain_order=True)
        .agg(
            pl.coalesce(
                pl.col("procedure_reported").drop_nulls().first(),
                *(pl.when(pl.col(name).is_not_null().any()).then(pl.lit(kind)) for kind, name in _TELLING),
            ).alias("reported_kind"),
            pl.col("report_device_key").first(),
            pl.col("object_uid").n_unique().cast(pl.Int32).alias("reports"),
            *sums,
        )
    )


_TELLING = (
    ("ct", "dlp_total_mgycm"),
    ("projection", "dap_total_gycm2"),
    ("projection", "rp_air_kerma_total_mgy"),
    ("mammography", "agd_total_left_mgy"),
    ("mammography", "agd_total_right_mgy"),
)
"""Which total tells the kind of a report that does not name its procedure."""


def _without_contained(reports: pl.DataFrame, landed_events: pl.DataFrame) -> pl.DataFrame:
    """Reports less those whose events all stand in another report of the exam too (cumulative reports)."""
    several = reports.filter(pl.len().over("exam_key") > 1)
    if several.is_empty():
        return reports
    of_object = {
        uid: frozenset(events)
        for uid, events in landed_events.group_by("object_uid").agg(pl.col("event_uid")).iter_rows()
    }
    dropped: list[str] = []
    for _, group in several.group_by("exam_key", maintain_order=True):
        uids = group.sort("object_at", "object_uid", descending=True, nulls_last=True)["object_uid"].to_list()
        sets = [(uid, of_object.get(uid, frozenset())) for uid in uids]
        for number, (uid, events) in enumerate(sets):
            if events and any(
                events < other or (events == other and position < number)
                for position, (_, other) in enumerate(sets)
                if position != number
            ):
                dropped.append(uid)
    return reports.filter(~pl.col("object_uid").is_in(dropped))


def _headline(doses: pl.DataFrame) -> pl.DataFrame:
    """The figure an exam is known by: the sum of events, and for projection the stated total where there is one.

    The stated total of fluoroscopy contains exposures that the events round away (dose reference, section 2).
    """
    kind = pl.col("dose_kind")
    summed = (
        pl.when(kind == "ct")
        .then("dlp_mgycm")
        .when(kind == "projection")
        .then("dap_gycm2")
        .when(kind == "mammography")
        .then("agd_mgy")
        .otherwise(pl.col("activity_mbq"))
    )
    breasts = pl.when(pl.col("agd_total_left_mgy").is_not_null() | pl.col("agd_total_right_mgy").is_not_null()).then(
        pl.col("agd_total_left_mgy").fill_null(0) + pl.col("agd_total_right_mgy").fill_null(0)
    )
    stated = (
        pl.when(kind == "ct")
        .then("dlp_total_mgycm")
        .when(kind == "projection")
        .then("dap_total_gycm2")
        .when(kind == "mammography")
        .then(breasts)
    )
    framed = doses.with_columns(_summed=summed, _stated=stated)
    use_stated = (pl.col("_stated") > 0) & ((kind == "projection") | pl.col("_summed").is_null())
    unit = kind.replace_strict(
        {"ct": "mGy·cm", "projection": "Gy·cm²", "mammography": "mGy", "administration": "MBq"}, return_dtype=pl.Utf8
    )
    difference = (pl.col("_stated") - pl.col("_summed")).round(_DECIMALS)
    disagree = (difference.abs() > TOTALS_TOLERANCE * pl.col("_stated").abs() + 1e-9) & (
        pl.col("_stated").is_not_null()
    )
    missing = (pl.col("events_stated") > pl.col("events")).fill_null(value=False)
    flags = (
        pl.concat_list(
            [
                pl.when(disagree).then(pl.lit("stated total and sum of events differ")),
                pl.when(missing).then(pl.lit("report states more events than it has")),
            ]
        )
        .list.drop_nulls()
        .list.join("; ")
    )
    return framed.with_columns(
        headline_value=pl.when(use_stated).then("_stated").otherwise("_summed"),
        headline_unit=unit,
        headline_basis=pl.when(use_stated)
        .then(pl.lit("stated total"))
        .when(pl.col("_summed").is_not_null())
        .then(pl.lit("sum of events")),
        difference=difference,
        flags=pl.when(flags != "").then(flags),
    ).drop("_summed", "_stated")
