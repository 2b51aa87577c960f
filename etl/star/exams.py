"""One row an exam, from everything that speaks of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from etl.star import naturals
from etl.star.keys import exam_ids, key_column
from etl.star.matching import CONFIDENCE, weakest
from etl.star.sections import sections
from etl.star.site_time import date_key, local_day, local_hour, on_site, seconds
from settings import Settings
from warehouse.schema import MILESTONES, UNKNOWN

_CLASSES = {
    "ED": ("E", "ED", "ER", "EMERGENCY", "A&E", "EMER"),
    "IP": ("I", "IP", "IMP", "INPATIENT", "ACUTE", "IN"),
    "OP": ("O", "OP", "AMB", "OUTPATIENT", "P", "R", "B", "PREADMIT", "RECURRING", "OUT", "SS"),
}
_PRIORITIES = {
    "stat": ("S", "STAT", "ST", "EMERGENCY", "A1", "1"),
    "urgent": ("A", "ASAP", "U", "URGENT", "UR", "HIGH", "P", "2", "T", "TIMING CRITICAL"),
    "routine": ("R", "ROUTINE", "RT", "C", "MEDIUM", "LOW", "N", "NORMAL", "3", "ELECTIVE"),
}
_LONGEST_IN_ROOM_HOURS = 6
"""A patient is never that long in a scanner's room: such a statement was clicked late."""
CLASS = {written: ours for ours, many in _CLASSES.items() for written in many}
"""PV1-2 (table 0004) and words of extracts, upper case, to ours."""
PRIORITY = {written: ours for ours, many in _PRIORITIES.items() for written in many}
"""ORC-7.6, OBR-5, OBR-27.6, TQ1-9 and words of extracts to ours."""


TAKEN_OUT = "taken out by a person"


def _upper(column: str) -> pl.Expr:
    return pl.col(column).str.strip_chars().str.to_uppercase()


def statements(workflow: pl.DataFrame, matches: pl.DataFrame) -> pl.DataFrame:
    """What workflow rows state of each exam, the latest statement of each attribute."""
    said = workflow.join(matches, on="digest").sort(
        "exam_key", pl.col("stated_at").dt.epoch("us").fill_null(0), "digest"
    )

    def latest(column: str) -> pl.Expr:
        return pl.col(column).filter(pl.col(column).is_not_null() & (pl.col(column).cast(pl.Utf8) != "")).last()

    def first(column: str) -> pl.Expr:
        return pl.col(column).filter(pl.col(column).is_not_null() & (pl.col(column) != "")).first()

    is_credit = _upper("charge_kind").is_in(["CD", "CR"])
    sign = pl.when(is_credit).then(-1).otherwise(1)
    posted = pl.when(_tells("charge_posted")).then(sign).otherwise(0)
    is_order = pl.col("message_type").str.contains(r"^(ORM|OMI|OMG|SIU)") | _tells("order_placed", "exam_scheduled_for")
    speaks = ~_tells("charge_posted", "result_communicated").fill_null(value=False)
    return (
        _keyed(said)
        .group_by("exam_key", maintain_order=True)
        .agg(
            latest("procedure_key"),
            latest("ris_modality"),
            latest("referrer_key"),
            latest("reader_key"),
            latest("technologist_key"),
            latest("department_key"),
            latest("payer_key"),
            first("patient_class").alias("class_written"),
            latest("priority").alias("priority_written"),
            latest("reader_group"),
            latest("procedure_code").alias("ris_procedure_code"),
            latest("procedure_text").alias("ris_procedure_text"),
            latest("visit"),
            latest("site").alias("ris_site"),
            latest("patient").alias("ris_patient"),
            latest("accession"),
            latest("filler"),
            latest("study_uid").alias("ris_study_uid"),
            latest("sex").alias("ris_sex"),
            pl.col("birth_year").filter(pl.col("birth_year") > 0).last().alias("ris_birth_year"),
            pl.col("not_patient").drop_nulls().min().alias("ris_not_patient"),
            (pl.col("charge_amount") * sign).drop_nulls().sum().alias("charge_sum"),
            pl.col("charge_amount").is_not_null().any().alias("has_amount"),
            posted.sum().alias("charges_standing"),
            is_order.fill_null(value=False).any().alias("has_order"),
            pl.col("imaging").any().alias("says_imaging"),
            (~pl.col("imaging")).any().alias("says_other"),
            # Charges and messages about a result ride along; what they are joined by says nothing about the exam itself.
            weakest(pl.col("match_rule").filter(speaks)).alias("workflow_rule"),
            pl.col("flags").explode().drop_nulls().unique().sort().alias("workflow_flags"),
        )
    )


def _tells(*events: str) -> pl.Expr:
    """Whether a workflow row gives a time of one of some events; null where it has no list of them."""
    return pl.col("events").list.eval(pl.element().struct.field("event").is_in(events)).list.any()


def _keyed(said: pl.DataFrame) -> pl.DataFrame:
    """Workflow rows with the keys of the dimensions that they name."""

    def key(dimension: str, natural: pl.Expr) -> pl.Series:
        return key_column(dimension, said.select(natural.alias("natural"))["natural"])

    return said.with_columns(
        procedure_key=key("procedure", naturals.procedure()),
        ris_modality=pl.coalesce(naturals.modality(), naturals.modality("section")),
        **{f"{role}_key": key("provider", naturals.provider(role)) for role in ("referrer", "reader", "technologist")},
        **{
            f"{name}_key": key(name, pl.when(pl.col(name) != "").then(pl.col(name))) for name in ("department", "payer")
        },
    )


def images(series: pl.DataFrame) -> pl.DataFrame:
    """What its series tell of each exam; the earliest acquired one speaks for it."""
    ordered = series.sort(
        "exam_key", pl.col("is_acquired").fill_null(value=False).not_(), "order_key", "series_uid"
    ).with_columns(ours=naturals.modality())
    common = (
        ordered.filter(pl.col("ours").is_not_null())
        .group_by("exam_key", "ours")
        .agg(pl.col("instance_count").sum())
        .sort("exam_key", "instance_count", "ours", descending=[False, True, False])
    )
    modality = common.unique("exam_key", keep="first", maintain_order=True).select(
        "exam_key", pl.col("ours").alias("image_modality")
    )
    whole = ordered.group_by("exam_key", maintain_order=True).agg(
        pl.col("device_key").filter(pl.col("device_key") != UNKNOWN).first().alias("image_device_key"),
        pl.col("protocol_key").filter(pl.col("protocol_key") != UNKNOWN).first(),
        pl.col("site").first().alias("image_site"),
        pl.col("patient").drop_nulls().first().alias("image_patient"),
        pl.col("study_uid").min().alias("image_study_uid"),
        pl.col("accession").drop_nulls().first().alias("image_accession"),
        pl.col("body_part").filter(pl.col("body_part") != "").first(),
        pl.col("age_years").drop_nulls().first(),
        pl.col("weight_kg").drop_nulls().first(),
        pl.col("height_m").drop_nulls().first(),
        pl.col("sex").filter(pl.col("sex") != "").drop_nulls().first().alias("image_sex"),
        pl.col("birth_year").filter(pl.col("birth_year") > 0).first().alias("image_birth_year"),
        pl.col("not_patient").drop_nulls().min().alias("image_not_patient"),
        pl.col("worklist_used").any(),
        pl.col("series_uid").n_unique().cast(pl.Int32).alias("series"),
        pl.col("instance_count").sum().alias("instances"),
        pl.col("bytes").sum(),
        pl.col("started_at").min().alias("first_image_at"),
        pl.col("study_at").min(),
        pl.col("procedure_text").drop_nulls().first().alias("study_text"),
        pl.col("procedure_code").drop_nulls().first(),
        pl.col("procedure_scheme").drop_nulls().first(),
        weakest(pl.col("match_rule")).alias("image_rule"),
        pl.col("patient").drop_nulls().n_unique().alias("image_patients"),
    )
    with_text = whole.rename({"study_text": "procedure_text"})
    keys = key_column("procedure", with_text.select(naturals.procedure().alias("p"))["p"]).alias("image_procedure_key")
    return (
        with_text.with_columns(keys)
        .drop("procedure_scheme")
        .rename({"procedure_text": "image_procedure_text", "procedure_code": "image_procedure_code"})
        .join(modality, on="exam_key", how="left")
    )


def dosed(events: pl.DataFrame, doses: pl.DataFrame, reports: pl.DataFrame, matches: pl.DataFrame) -> pl.DataFrame:
    """What dose objects tell of each exam; the fall-back where there are no images."""
    own = matches.group_by("digest").agg(pl.col("exam_key").min())
    columns = [
        "exam_key",
        "site",
        "patient",
        "study_uid",
        "accession",
        "sex",
        "birth_year",
        "not_patient",
        "at",
        "digest",
        "age_years",
        "weight_kg",
        "height_m",
    ]
    of_events = events.with_columns(
        at=pl.col("started_at"),
        age_years=pl.lit(None, pl.Float64),
        weight_kg=pl.lit(None, pl.Float64),
        height_m=pl.lit(None, pl.Float64),
    ).select(columns)
    of_reports = (
        reports.join(own, on="digest").with_columns(at=pl.coalesce("irradiated_from", "object_at")).select(columns)
    )
    first = (
        pl.concat([of_reports, of_events])
        .sort("exam_key", pl.col("at").dt.epoch("us").fill_null(2**62), "digest")
        .group_by("exam_key", maintain_order=True)
        .agg(
            pl.col("site").first().alias("dose_site"),
            *(
                pl.col(name).drop_nulls().first().alias(f"dose_{name}")
                for name in ("patient", "study_uid", "accession", "age_years", "weight_kg", "height_m")
            ),
            pl.col("sex").filter(pl.col("sex") != "").first().alias("dose_sex"),
            pl.col("birth_year").filter(pl.col("birth_year") > 0).first().alias("dose_birth_year"),
            pl.col("not_patient").drop_nulls().min().alias("dose_not_patient"),
            pl.col("at").min().alias("dose_at"),
        )
    )
    kinds = doses.select(
        "exam_key",
        "dose_kind",
        pl.col("device_key").alias("dose_device_key"),
        pl.col("protocol_key").alias("dose_protocol_key"),
    )
    return first.join(kinds, on="exam_key", how="left")


@dataclass(frozen=True)
class Parts:
    """What an exam's row is made of, each with `exam_key`."""

    said: pl.DataFrame
    """`statements`."""
    imaged: pl.DataFrame
    """`images`."""
    with_dose: pl.DataFrame
    """`dosed`."""
    machine: pl.DataFrame
    """`series.machine_time`."""
    acquisitions: pl.DataFrame
    """`series.acquisitions`."""
    times: pl.DataFrame
    """`milestones.milestones`."""
    state: pl.DataFrame
    """`milestones.states` and `is_performed`."""
    slots: pl.DataFrame
    """`appointments.slots`."""


def fact_exam(parts: Parts, survivors: dict[str, str], excluded: Collection[int], settings: Settings) -> pl.DataFrame:
    """The exam rows, in the columns of the star, with `site` beside.

    Args:
        survivors: pseudonym to the one that it was merged into.
        excluded: exams that people took out of all measures.
    """
    last_slot = (
        parts.slots.sort("exam_key", "slot_number")
        .group_by("exam_key", maintain_order=True)
        .agg(pl.col("slot_at", "slot_minutes").last(), (pl.len() - 1).cast(pl.Int32).alias("moves"))
    )
    exams = (
        joined_exams(parts.said, parts.imaged, parts.with_dose)
        .join(parts.times, on="exam_key", how="left")
        .join(
            parts.machine.select(
                "exam_key", "machine_started_at", "machine_ended_at", "machine_minutes", "clock_offset_s"
            ),
            on="exam_key",
            how="left",
        )
        .join(parts.acquisitions, on="exam_key", how="left")
        .join(parts.state, on="exam_key", how="left")
        .join(last_slot, on="exam_key", how="left")
    )
    exams = _with_room_time(_described(exams, survivors, excluded), settings)
    exams = exams.with_columns(
        sections(
            exams.with_columns(
                _code=pl.coalesce("ris_procedure_code", "image_procedure_code"),
                _text=pl.coalesce("ris_procedure_text", "image_procedure_text"),
            ),
            "_code",
            "_text",
            "modality",
            settings.subspecialties,
        )
    )
    return _flagged(_localised(exams, settings))


def _with_room_time(exams: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """From when to when each exam took the room: as the RIS states it, else acquisition and the modelled patient change."""
    change = pl.col("modality").replace_strict(
        settings.utilization.change_minutes, default=0.0, return_dtype=pl.Float64
    )
    longest = pl.duration(hours=_LONGEST_IN_ROOM_HOURS)
    shift = seconds(pl.col("clock_offset_s").fill_null(0.0))
    began = pl.coalesce(pl.col("machine_started_at") + shift, "started_at")
    done = pl.coalesce(pl.col("machine_ended_at") + shift, "ended_at", "started_at")
    done = pl.when((done >= began) & (done - began <= longest)).then(done).otherwise(began)
    modelled_end = done + seconds(change * 60)
    fine = pl.col("in_room_confidence").is_in(["exact", "probable"]) & pl.col("left_room_confidence").is_in(
        ["exact", "probable"]
    )
    measured = (
        fine
        & (pl.col("left_room_at") > pl.col("in_room_at"))
        & (pl.col("left_room_at") - pl.col("in_room_at") <= longest)
        # The patient was in the room while the scanner worked, or the buttons were pressed for another.
        & (began.is_null() | ((pl.col("in_room_at") <= done) & (pl.col("left_room_at") >= began)))
    ).fill_null(value=False)
    return exams.with_columns(
        room_started_at=pl.when(measured).then("in_room_at").otherwise(began),
        room_ended_at=pl.when(measured).then("left_room_at").otherwise(modelled_end),
        room_basis=pl.when(measured).then(pl.lit("measured")).when(began.is_not_null()).then(pl.lit("modelled")),
    )


def joined_exams(said: pl.DataFrame, imaged: pl.DataFrame, with_dose: pl.DataFrame) -> pl.DataFrame:
    """Every exam that anything speaks of, with what orders, images and dose objects tell of it."""
    keys = (
        pl.concat([said.select("exam_key"), imaged.select("exam_key"), with_dose.select("exam_key")])
        .unique()
        .sort("exam_key")
    )
    return (
        keys.join(said, on="exam_key", how="left")
        .join(imaged, on="exam_key", how="left")
        .join(with_dose, on="exam_key", how="left")
    )


def _described(exams: pl.DataFrame, survivors: dict[str, str], excluded: Collection[int]) -> pl.DataFrame:
    """Keys and attributes, by the order of trust: the RIS for what was ordered, images for what was done."""
    patient = exams.select(pl.coalesce("ris_patient", "image_patient", "dose_patient").alias("patient"))[
        "patient"
    ].replace(survivors)
    ordered_for, imaged_as = (exams[name].replace(survivors) for name in ("ris_patient", "image_patient"))
    site = exams.select(pl.coalesce("image_site", "ris_site", "dose_site").alias("site"))["site"]
    rule = (
        pl.concat_list("workflow_rule", "image_rule").list.eval(weakest(pl.element())).list.first().fill_null("alone")
    )
    of_dose = pl.col("dose_kind").replace_strict(naturals.REPORTED_MODALITY, default=None, return_dtype=pl.Utf8)
    return exams.with_columns(
        key_column("patient", patient).fill_null(UNKNOWN).alias("patient_key"),
        key_column("site", site).fill_null(UNKNOWN).alias("site_key"),
        site.alias("site"),
        (ordered_for != imaged_as).alias("other_patient"),
        pl.coalesce("image_device_key", "dose_device_key", pl.lit(UNKNOWN)).alias("device_key"),
        pl.coalesce("protocol_key", "dose_protocol_key", pl.lit(UNKNOWN)).alias("protocol_key"),
        pl.coalesce("procedure_key", "image_procedure_key", pl.lit(UNKNOWN)).alias("procedure_key"),
        *(
            pl.col(f"{role}_key").fill_null(UNKNOWN)
            for role in ("referrer", "reader", "technologist", "department", "payer")
        ),
        pl.coalesce("ris_modality", "image_modality", of_dose, pl.lit("OT")).alias("modality"),
        _upper("class_written")
        .replace_strict(CLASS, default="unknown", return_dtype=pl.Utf8)
        .fill_null("unknown")
        .alias("patient_class"),
        _upper("priority_written")
        .replace_strict(PRIORITY, default="unknown", return_dtype=pl.Utf8)
        .fill_null("unknown")
        .alias("priority"),
        pl.coalesce("ris_sex", "image_sex", "dose_sex").alias("sex"),
        pl.coalesce("ris_birth_year", "image_birth_year", "dose_birth_year").alias("birth_year"),
        pl.coalesce("age_years", "dose_age_years").alias("age_years"),
        pl.coalesce("weight_kg", "dose_weight_kg").alias("weight_kg"),
        pl.coalesce("height_m", "dose_height_m").alias("height_m"),
        pl.when(pl.col("exam_key").is_in(list(excluded)))
        .then(pl.lit(TAKEN_OUT))
        .otherwise(pl.coalesce("image_not_patient", "ris_not_patient", "dose_not_patient"))
        .alias("not_patient"),
        pl.coalesce("image_study_uid", "ris_study_uid", "dose_study_uid").alias("study_uid"),
        pl.coalesce("accession", "filler", "image_accession", "dose_accession").alias("accession_pseudonym"),
        rule.alias("match_rule"),
        rule.replace_strict(CONFIDENCE, return_dtype=pl.Utf8).alias("match_confidence"),
        pl.col("visit").alias("visit_pseudonym"),
        pl.coalesce("acquisition_key", "exam_key").alias("acquisition_key"),
        pl.col("sharers").fill_null(1),
        pl.col("moves").fill_null(0),
        pl.col("has_order").fill_null(value=False),
        pl.col("image_rule").is_not_null().alias("has_images"),
        pl.col("dose_kind").is_not_null().alias("has_dose_report"),
        (pl.col("charges_standing") > 0).fill_null(value=False).alias("has_charge"),
        pl.when("has_amount").then("charge_sum").alias("charge_amount"),
        *(pl.col(name).fill_null(0) for name in ("series", "instances", "bytes", "addenda")),
    )


def _localised(exams: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Local day and hour of each exam on its site's clock, its age on that day, and the partition that follows."""
    at = pl.coalesce(
        "started_at",
        "machine_started_at",
        "scheduled_for_at",
        "arrived_at",
        "in_room_at",
        "dose_at",
        "first_image_at",
        "study_at",
        "ordered_at",
        "ended_at",
        "prelim_at",
        "final_at",
        "charged_at",
        "cancelled_at",
    )
    zones = {site.code: site.time_zone for site in settings.sites}
    day = pl.col("local_day")
    age = (pl.col("_at").dt.year() - pl.col("birth_year")).cast(pl.Float64)
    return (
        exams.with_columns(_at=at)
        .with_columns(
            local_day=on_site("_at", zones, local_day),
            time_key=on_site("_at", zones, local_hour).fill_null(-1),
            age_years=pl.coalesce(pl.col("age_years"), pl.when((age >= 0) & (age <= 130)).then(age)),
        )
        .with_columns(date_key=date_key(day), month=day.dt.strftime("%Y-%m").fill_null("0000-00"))
        .sort("exam_key")
        .drop("_at")
    )


def _flagged(exams: pl.DataFrame) -> pl.DataFrame:
    flags = pl.concat_list(
        [
            pl.col("flags").fill_null([]),
            pl.col("workflow_flags").fill_null([]),
            pl.concat_list(
                [
                    pl.when(pl.col("contradiction").fill_null(value=False)).then(pl.lit("cancelled, yet performed")),
                    pl.when(pl.col("image_patients") > 1).then(pl.lit("images of several patients")),
                    pl.when(pl.col("other_patient")).then(pl.lit("images of another patient than the order")),
                ]
            ).list.drop_nulls(),
        ]
    ).list.join("; ")
    return exams.with_columns(
        exam_ids(exams["exam_key"]),
        pl.when(flags != "").then(flags).alias("flags"),
        *(
            pl.lit(None, kind).alias(f"{name}_{part}")
            for name in MILESTONES
            for part, kind in (("at", pl.Datetime("us", "UTC")), ("source", pl.Utf8), ("confidence", pl.Utf8))
            if f"{name}_{part}" not in exams.columns
        ),
    )


def is_imaging(unstated: bool) -> pl.Expr:
    """Whether an exam that only messages speak of is imaging: as its section says, else as the configuration does."""
    return pl.col("says_imaging").fill_null(value=False) | (
        ~pl.col("says_other").fill_null(value=False) & pl.lit(unstated)
    )
