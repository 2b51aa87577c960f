"""What every object of an exam says about patient, order, device and time: shared by images and dose reports."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache

import numpy as np
import polars as pl

from etl.demo.calibration import rate
from etl.demo.history import History
from etl.demo.messages import known_as, through_wall_clock, with_person
from etl.demo.network import SITE_BY_CODE
from etl.demo.procedures import PROCEDURES, SCHEME
from etl.demo.stories import of_kind, utc_midnight

DICOM_MODALITY = {"XR": "DX"}
DEPARTMENT = "RADIOLOGY"
LONGEST_ACCESSION = 16
"""Characters that (0008,0050), a short string, can hold (PS3.5 section 6.2)."""
PHANTOM_PATTERN = "*phantom*"
"""The configured pattern that the names of phantoms match."""
KG_M_TO_CM = 1.12 * 2 / np.sqrt(np.pi) * np.sqrt(10)
"""Effective diameter in cm of a body of a weight (kg) and height (m), taken as a cylinder of water, arms apart."""
USUAL_SIZE_CM = 26.5


@lru_cache(maxsize=1)
def scanned(history: History) -> pl.DataFrame:
    """One row an exam that ended on a scanner, with the identity that its objects carry, its device and its size.

    `owner` is the exam whose worklist entry the objects were made under: the exam itself, the first of a group, or in the
    story of wrong worklist entries somebody else's.
    """
    sent = history.exams.filter(pl.col("ended").is_not_null() & pl.col("uploaded").is_not_null())
    exams = known_as(history, sent, "started").with_columns(pl.col("accession").str.slice(0, LONGEST_ACCESSION))
    identity = exams.select(
        owner="exam",
        owner_accession="accession",
        owner_study_uid="study_uid",
        owner_patient="patient",
        owner_patient_id="patient_id",
        owner_procedure="procedure",
        owner_orderless="orderless",
    )
    seconds = exams.filter("is_second").group_by(owner="study").agg(second_accessions=pl.col("accession").sort())
    frame = exams.with_columns(sent_at="uploaded").with_columns(
        owner=pl.when("is_second").then(pl.col("study")).otherwise(pl.col("images_of"))
    )
    frame = frame.join(identity, on="owner", how="inner", maintain_order="left").join(
        seconds, on="owner", how="left", maintain_order="left"
    )
    frame = frame.with_columns(
        patient=pl.col("owner_patient"),
        patient_id=pl.col("owner_patient_id"),
        study_uid=pl.col("owner_study_uid"),
        accession=pl.when("owner_orderless").then(pl.lit("")).otherwise(pl.col("owner_accession")),
    )
    frame = _with_size(
        history,
        with_person(history, frame.drop("owner_patient", "owner_patient_id", "owner_study_uid", "owner_accession")),
    )
    return _with_text(_with_device(history, frame)).sort("started", "exam")


def _with_size(history: History, frame: pl.DataFrame) -> pl.DataFrame:
    """Adds weight, height and effective diameter."""
    people = history.people
    size = KG_M_TO_CM * np.sqrt(people.weight_kg / people.height_m)
    body = pl.DataFrame(
        {"patient": np.arange(len(size)), "weight_kg": people.weight_kg, "height_m": people.height_m, "size_cm": size}
    )
    return frame.join(
        body.with_columns(pl.col("patient").cast(frame["patient"].dtype)),
        on="patient",
        how="left",
        maintain_order="left",
    )


def _with_device(history: History, frame: pl.DataFrame) -> pl.DataFrame:
    """Adds the device as it stood at the exam, and how far its clock is off."""
    rng = np.random.default_rng([history.seed, 5])
    skew = np.round(rng.normal(0, rate("modality clock skew sd s"), len(history.fleet))).astype(np.int64)
    fleet = pl.DataFrame(
        [
            {
                "device": d.index,
                "station": d.station,
                "manufacturer": d.manufacturer,
                "model": d.model,
                "serial": d.serial,
                "software": d.software,
                "dose_report": d.dose_report,
                "writes_offset": d.writes_offset,
                "institution": SITE_BY_CODE[d.site].institution,
                "zone": SITE_BY_CODE[d.site].zone_name,
            }
            for d in history.fleet
        ]
    ).with_columns(skew_s=pl.Series(skew))
    frame = frame.join(
        fleet.with_columns(pl.col("device").cast(frame["device"].dtype)), on="device", how="left", maintain_order="left"
    )
    step, clock = of_kind(history.stories, "protocol_dose_step"), of_kind(history.stories, "clock_off")
    if step is not None and step.site is not None:
        upgraded = (pl.col("station") == step.device) & (
            pl.col("started") >= utc_midnight(step.starts_on, SITE_BY_CODE[step.site].zone)
        )
        frame = frame.with_columns(
            software=pl.when(upgraded).then(pl.lit(step.more["software_after"])).otherwise(pl.col("software"))
        )
    if clock is not None and clock.site is not None:
        zone = SITE_BY_CODE[clock.site].zone
        off = (pl.col("station") == clock.device) & (
            pl.col("started") >= utc_midnight(clock.starts_on, zone) + timedelta(hours=2)
        )
        if clock.ends_on is not None:
            off &= pl.col("started") < utc_midnight(clock.ends_on, zone)
        frame = frame.with_columns(
            skew_s=pl.when(off).then(pl.col("skew_s") + int(clock.size)).otherwise(pl.col("skew_s")),
            writes_offset=pl.col("writes_offset") & (pl.col("station") != clock.device),
        )
    return frame


def _with_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds what the header says of the procedure (of the worklist entry) and of the protocol (of the scanner)."""

    def of(column: str, attribute: str) -> pl.Expr:
        return pl.col(column).replace_strict(
            {i: getattr(p, attribute) for i, p in enumerate(PROCEDURES)}, return_dtype=pl.Utf8
        )

    return frame.with_columns(
        procedure_code=of("owner_procedure", "code"),
        procedure_text=of("owner_procedure", "text"),
        procedure_scheme=pl.lit(SCHEME),
        body_part=of("procedure", "body_part"),
        protocol=of("procedure", "protocol"),
        dicom_modality=pl.col("modality").replace(DICOM_MODALITY),
        accessions=pl.concat_list("accession", pl.col("second_accessions").fill_null([])),
        not_patient=pl.when("is_phantom").then(pl.lit(PHANTOM_PATTERN)),
        worklist_used=~pl.col("owner_orderless"),
    )


def by_scanner_clock(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """The frame with times as its scanner's clock shows them and a reader understands them, to the second."""
    shown = [(pl.col(name) + pl.col("skew_s") * timedelta(seconds=1)).dt.truncate("1s").alias(name) for name in columns]
    frame = frame.with_columns(shown)
    for zone in frame["zone"].unique().sort().to_list():
        blind = (pl.col("zone") == zone) & ~pl.col("writes_offset")
        frame = frame.with_columns(
            pl.when(blind).then(through_wall_clock(pl.col(name), zone)).otherwise(pl.col(name)).alias(name)
            for name in columns
        )
    return frame


def offset_text(column: str, zones: list[str]) -> pl.Expr:
    """(0008,0201) of an instant in the row's zone, or null for a device that does not write it."""
    text = pl.lit(None, dtype=pl.Utf8)
    for zone in zones:
        text = (
            pl.when(pl.col("zone") == zone)
            .then(pl.col(column).dt.convert_time_zone(zone).dt.strftime("%z"))
            .otherwise(text)
        )
    return pl.when("writes_offset").then(text)


def age_years(at: str) -> pl.Expr:
    """Completed years at a time."""
    born = pl.date(pl.col("birth_year"), 1, 1) + pl.col("birth_day") * timedelta(days=1)
    return ((pl.col(at).dt.date() - born).dt.total_days() / 365.25).floor().clip(0, 120)
