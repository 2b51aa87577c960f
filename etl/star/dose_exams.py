"""The dose of exams: sums over distinct events beside what reports state, the patient's bands, and whose exposure it was."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import polars as pl

from etl.star import naturals
from etl.star.dose_events import DECIMALS
from etl.star.exams import TAKEN_OUT
from etl.star.keys import key_column
from settings import Dose
from warehouse.dose_columns import TOTAL_COLUMNS, TOTALS_TOLERANCE
from warehouse.dosimetry.bands import age_band, weight_band
from warehouse.schema import UNKNOWN

_IN_DETECTOR_PLANE = "113941"
"""Reference point in the detector plane: its air kerma is no measure of skin dose."""
_OLDEST = 100
"""Age from which a patient of other sex is taken for a phantom's record, until a person says."""


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
        *(pl.col(name).fill_null(0) for name in ("events", "acquisitions", "repeats", "reports")),
        pl.col("is_estimate").fill_null(value=False),
        pl.coalesce("dose_kind", "reported_kind").alias("dose_kind"),
        pl.coalesce("device_key", "report_device_key").alias("device_key"),
        pl.col("protocol_key").fill_null(UNKNOWN),
    )
    return _headline(joined.filter(pl.col("dose_kind").is_not_null()))


def _sums(events: pl.DataFrame) -> pl.DataFrame:
    """Sums over distinct events; null, not zero, where no event has the figure."""

    def total(name: str, where: pl.Expr | None = None) -> pl.Expr:
        values = pl.col(name) if where is None else pl.col(name).filter(where)
        return pl.when(values.is_not_null().any()).then(values.sum().round(DECIMALS))

    planes = {"a": pl.col("plane").is_null() | (pl.col("plane") != "B"), "b": pl.col("plane") == "B"}
    scanned = ~pl.col("is_localizer")
    by_ssde = pl.col("ssde_mgy").arg_max()
    weight = pl.coalesce("dlp_mgycm", "dap_gycm2", "agd_mgy", "activity_mbq", "ctdivol_mgy").fill_null(-1.0)
    ranked = events.sort("exam_key", weight, "event_uid", descending=[False, True, False])
    return ranked.group_by("exam_key", maintain_order=True).agg(
        pl.col("event_kind").first().alias("dose_kind"),
        pl.len().cast(pl.Int32).alias("events"),
        pl.col("device_key").first(),
        pl.col("protocol_key").first(),
        scanned.sum().cast(pl.Int32).alias("acquisitions"),
        (pl.col("is_repeat").fill_null(value=False) | _again()).sum().cast(pl.Int32).alias("repeats"),
        pl.col("ctdivol_mgy").filter(scanned).max().alias("ctdivol_max_mgy"),
        pl.col("ssde_mgy").max().alias("ssde_max_mgy"),
        pl.coalesce(pl.col("size_cm").get(by_ssde), pl.col("size_cm").drop_nulls().max()).alias("size_cm"),
        pl.coalesce(pl.col("size_method").get(by_ssde), pl.col("size_method").get(pl.col("size_cm").arg_max())).alias(
            "size_method"
        ),
        total("dlp_mgycm", pl.col("ctdi_phantom") == "head16").alias("dlp_head16_mgycm"),
        total("dlp_mgycm", pl.col("ctdi_phantom") == "body32").alias("dlp_body32_mgycm"),
        *(
            total("rp_air_kerma_mgy", of_plane & (pl.col("event_kind") == "projection")).alias(f"rp_plane_{name}_mgy")
            for name, of_plane in planes.items()
        ),
        (pl.col("reference_point") != _IN_DETECTOR_PLANE).all().alias("rp_comparable"),
        pl.col("is_estimate").any(),
        total("dlp_mgycm").alias("dlp_mgycm"),
        total("dap_gycm2").alias("dap_gycm2"),
        total("rp_air_kerma_mgy").alias("rp_air_kerma_mgy"),
        total("agd_mgy", pl.col("laterality") == "L").alias("agd_left_mgy"),
        total("agd_mgy", pl.col("laterality") == "R").alias("agd_right_mgy"),
        total("agd_mgy").alias("agd_mgy"),
        total("activity_mbq").alias("activity_mbq"),
    )


def _again() -> pl.Expr:
    """Mammograms of a view and side that the exam has already."""
    known = (pl.col("event_kind") == "mammography") & pl.col("view").is_not_null() & pl.col("laterality").is_not_null()
    return known & (pl.struct("view", "laterality").is_first_distinct().not_())


def of_patients(
    doses: pl.DataFrame, exams: pl.DataFrame, events: pl.DataFrame, decided: Mapping[int, str], settings: Dose
) -> pl.DataFrame:
    """Adds age, weight, height and their bands, and whether it was a patient's exposure, with the reason where not.

    What a person said wins, then a pattern of the identifiers; a hint makes it `suspected` until somebody says.

    Args:
        exams: `fact_exam` rows with `age_years, weight_kg, height_m, sex, not_patient`.
        decided: exam key to what a person said: patient, phantom or service.
    """
    named = events["acquisition_protocol"].drop_nulls().unique()
    of_tests = [one for one in named if any(fnmatchcase(one.casefold(), like) for like in settings.qa_protocols)]
    hints = events.group_by("exam_key").agg(
        pl.col("acquisition_protocol")
        .filter(pl.col("acquisition_protocol").is_in(of_tests))
        .sort()
        .first()
        .alias("qa_protocol")
    )
    said = pl.DataFrame(
        {"exam_key": list(decided), "said": list(decided.values())}, schema={"exam_key": pl.Int64, "said": pl.Utf8}
    )
    joined = (
        doses.join(
            exams.select("exam_key", "age_years", "weight_kg", "height_m", "sex", "not_patient"),
            on="exam_key",
            how="left",
        )
        .join(hints, on="exam_key", how="left")
        .join(said, on="exam_key", how="left")
    )
    old_record = (pl.col("sex") == "O") & (pl.col("age_years") >= _OLDEST)
    hint = (
        pl.when(pl.col("qa_protocol").is_not_null())
        .then(pl.format("protocol {}", "qa_protocol"))
        .when(old_record)
        .then(pl.lit("a record of other sex and more than 100 years"))
    )
    return joined.with_columns(
        age_band=age_band(pl.col("age_years")),
        weight_band=weight_band(pl.col("weight_kg")),
        exposure_class=pl.coalesce(
            "said",
            pl.when(pl.col("not_patient") == TAKEN_OUT).then(pl.lit("service")),
            pl.when(pl.col("not_patient").is_not_null()).then(pl.lit("phantom")),
            pl.when(hint.is_not_null()).then(pl.lit("suspected")),
            pl.lit("patient"),
        ),
        class_reason=pl.when(pl.col("said").is_not_null())
        .then(pl.lit("a person said so"))
        .otherwise(pl.coalesce("not_patient", hint)),
    ).drop("sex", "not_patient", "qa_protocol", "said")


def _stated_totals(reports: pl.DataFrame, matches: pl.DataFrame, landed_events: pl.DataFrame) -> pl.DataFrame:
    """Totals that the reports of an exam state: continued reports add up, a report whose events another one has does not."""
    latest = reports.sort(pl.col("object_at").dt.epoch("us").fill_null(0), "digest").unique(
        "object_uid", keep="last", maintain_order=True
    )
    own = matches.group_by("digest").agg(pl.col("exam_key").min())
    of_exams = latest.join(own, on="digest")
    # What a performed step states in sum counts only where no report does: it speaks of the same exposures.
    steps = pl.col("object_class") == "mpps"
    of_exams = of_exams.filter(~steps | steps.all().over("exam_key"))
    kept = _without_contained(of_exams, landed_events)
    device = key_column("device", kept.select(naturals.device_version().alias("device"))["device"]).fill_null(UNKNOWN)
    sums = [
        pl.when(pl.col(c.name).is_not_null().any()).then(pl.col(c.name).sum().round(DECIMALS)).alias(c.name)
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
    difference = (pl.col("_stated") - pl.col("_summed")).round(DECIMALS)
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
        dap_exam_gycm2=pl.coalesce(_positive("dap_total_gycm2"), "dap_gycm2"),
        rp_exam_mgy=pl.coalesce(_positive("rp_air_kerma_total_mgy"), "rp_air_kerma_mgy"),
        headline_value=pl.when(use_stated).then("_stated").otherwise("_summed"),
        headline_unit=unit,
        headline_basis=pl.when(use_stated)
        .then(pl.lit("stated total"))
        .when(pl.col("_summed").is_not_null())
        .then(pl.lit("sum of events")),
        difference=difference,
        flags=pl.when(flags != "").then(flags),
    ).drop("_summed", "_stated")


def _positive(name: str) -> pl.Expr:
    """A stated total; 0 is one that a device rounds away."""
    return pl.when(pl.col(name) > 0).then(pl.col(name))
