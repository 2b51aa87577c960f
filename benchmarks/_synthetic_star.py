"""A star of any size, its rows made column by column and published without a lake behind it: two years, four sites."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from etl.star.keys import exam_ids
from warehouse.arrow import conform
from warehouse.publication import Publication, Publications, TableVersion, new_id, schema_digest
from warehouse.schema import TABLES

FIRST, MONTHS = date(2024, 11, 1), 24
LAST = date(2026, 10, 31)
MODALITIES = ("CT", "MR", "XR", "US", "MG")
SITES = ("NORTH", "SOUTH", "EAST", "WEST")
DEVICES, PROCEDURES, PROTOCOLS, READERS = 40, 60, 90, 30


def write_star(folder: Path, exams: int) -> None:
    """Writes and publishes a star of so many exams."""
    written: dict[str, list[TableVersion]] = {}
    for name, frame in _dimensions().items():
        written[name] = [_write(folder, name, f"{name}/part.parquet", frame)]
    for place, month in enumerate(_months()):
        made = _exams(place * (exams // MONTHS), exams // MONTHS, month)
        facts = {
            "fact_exam": made,
            "fact_device_span": _spans(made),
            "fact_irradiation_event": _exposures(made),
            "fact_exam_dose": _doses(made),
        }
        for name, frame in facts.items():
            file = f"{name}/month={month:%Y-%m}/part.parquet"
            written.setdefault(name, []).append(_write(folder, name, file, frame))
    tables = {name: _together(written.get(name, [])) for name in TABLES}
    publication = Publication(
        new_id(), datetime.now(UTC).isoformat(), tables, schema_digest(), "benchmark", "benchmark", 1, None
    )
    Publications(folder).write(publication)
    Publications(folder).use(publication.id)


def _write(folder: Path, table: str, file: str, frame: pl.DataFrame) -> TableVersion:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    conform(table, frame).drop("month", strict=False).write_parquet(path)
    return TableVersion(0, (file,), frame.height)


def _together(parts: list[TableVersion]) -> TableVersion:
    return TableVersion(0, tuple(file for part in parts for file in part.files), sum(part.rows for part in parts))


def _months() -> list[date]:
    return pl.date_range(FIRST, LAST, "1mo", eager=True).to_list()


def _dimensions() -> dict[str, pl.DataFrame]:
    days = pl.DataFrame({"day": pl.date_range(FIRST, LAST, eager=True)})
    day = pl.col("day")
    return {
        "dim_date": days.with_columns(
            date_key=day.dt.strftime("%Y%m%d").cast(pl.Int32),
            week_starts_on=day.dt.truncate("1w"),
            month_starts_on=day.dt.truncate("1mo"),
            iso_weekday=day.dt.weekday(),
        ),
        "dim_time": pl.DataFrame({"time_key": range(24), "hour": range(24)}),
        "dim_site": pl.DataFrame(
            {"site_key": range(1, 5), "site_code": SITES, "site_name": SITES, "time_zone": ["UTC"] * len(SITES)}
        ),
        "dim_device": pl.DataFrame({"device_key": range(1, DEVICES + 1)}).with_columns(
            device_id=pl.format("D{}", "device_key"),
            site_key=_one_of(pl.col("device_key"), 4),
            modality=_modality(pl.col("device_key")),
            is_current=True,
        ),
        "dim_procedure": pl.DataFrame({"procedure_key": range(1, PROCEDURES + 1)}).with_columns(
            mapping_status=pl.lit("unmapped")
        ),
        "dim_protocol": pl.DataFrame({"protocol_key": range(1, PROTOCOLS + 1)}).with_columns(
            mapping_status=pl.lit("unmapped")
        ),
    }


def _one_of(number: pl.Expr, many: int) -> pl.Expr:
    return number % many + 1


def _modality(number: pl.Expr) -> pl.Expr:
    return (number % len(MODALITIES)).replace_strict(dict(enumerate(MODALITIES)), return_dtype=pl.Utf8)


def _random(seed: int, below: int) -> pl.Expr:
    """A whole number from 0 to below, by hashing the exam's number."""
    return (pl.col("exam_key").hash(seed) % below).cast(pl.Int64)


def _exams(first: int, count: int, month: date) -> pl.DataFrame:
    start = datetime(month.year, month.month, 1, 7, tzinfo=UTC)
    frame = pl.DataFrame({"exam_key": pl.int_range(first + 1, first + count + 1, dtype=pl.Int64, eager=True)})
    frame = frame.with_columns(
        started_at=pl.lit(start) + pl.duration(days=_random(1, 28), minutes=_random(2, 720)),
        device_key=_one_of(_random(3, DEVICES), DEVICES),
        minutes=5 + _random(4, 40),
    )
    frame = frame.with_columns(
        ended_at=pl.col("started_at") + pl.duration(minutes="minutes"), modality=_modality(pl.col("device_key"))
    )
    at = {
        "ordered": pl.col("started_at") - pl.duration(minutes=60 + _random(5, 9000)),
        "scheduled_for": pl.col("started_at") - pl.duration(minutes=_random(6, 20)),
        "arrived": pl.col("started_at") - pl.duration(minutes=5 + _random(7, 45)),
        "started": pl.col("started_at"),
        "ended": pl.col("ended_at"),
        "prelim": pl.col("ended_at") + pl.duration(minutes=10 + _random(8, 100)),
        "final": pl.col("ended_at") + pl.duration(minutes=120 + _random(9, 1500)),
        "charged": pl.col("ended_at") + timedelta(days=1),
    }
    day = pl.col("started_at").dt.date()
    return frame.with_columns(
        exam_ids(frame["exam_key"]),
        *(expression.alias(f"{name}_at") for name, expression in at.items()),
        *(pl.lit("hl7").alias(f"{name}_source") for name in at),
        *(pl.lit("exact").alias(f"{name}_confidence") for name in at),
        site_key=_one_of(pl.col("device_key"), 4),
        procedure_key=_one_of(_random(10, PROCEDURES), PROCEDURES),
        protocol_key=_one_of(_random(11, PROTOCOLS), PROTOCOLS),
        patient_key=_random(12, 1_000_000),
        reader_key=_one_of(_random(13, READERS), READERS),
        **dict.fromkeys(("referrer_key", "technologist_key", "department_key", "payer_key"), pl.lit(0)),
        date_key=day.dt.strftime("%Y%m%d").cast(pl.Int32),
        time_key=pl.col("started_at").dt.hour(),
        local_day=day,
        patient_class=_random(14, 3).replace_strict({0: "ED", 1: "IP", 2: "OP"}, return_dtype=pl.Utf8),
        priority=_random(15, 3).replace_strict({0: "stat", 1: "urgent", 2: "routine"}, return_dtype=pl.Utf8),
        state=pl.lit("final"),
        **dict.fromkeys(
            ("is_performed", "has_order", "has_images", "has_dose_report", "has_charge", "worklist_used"),
            pl.lit(value=True),
        ),
        match_rule=pl.lit("accession"),
        machine_started_at=pl.col("started_at"),
        machine_ended_at=pl.col("ended_at"),
        machine_minutes=pl.col("minutes"),
        match_confidence=pl.lit("certain"),
        room_started_at=pl.col("started_at"),
        room_ended_at=pl.col("ended_at"),
        room_basis=pl.lit("modelled"),
        acquisition_key=pl.col("exam_key"),
        sharers=pl.lit(1),
        moves=pl.lit(0),
        series=pl.lit(3),
        instances=pl.lit(120),
        bytes=pl.lit(60_000_000),
        addenda=pl.lit(0),
    )


def _spans(exams: pl.DataFrame) -> pl.DataFrame:
    """One stretch in use for each exam, as if none overlapped."""
    minute = pl.col("started_at").dt.hour().cast(pl.Float64) * 60 + pl.col("started_at").dt.minute()
    return exams.select(
        pl.format("D{}", "device_key").alias("device_id"),
        "device_key",
        "site_key",
        "modality",
        "date_key",
        "local_day",
        minute.alias("start_minute"),
        (minute + pl.col("minutes")).alias("end_minute"),
        pl.col("minutes").cast(pl.Float64),
        pl.lit("in_use").alias("kind"),
        pl.lit(value=True).alias("is_staffed"),
        pl.lit("configuration").alias("staffed_basis"),
        pl.col("minutes").cast(pl.Float64).alias("scanning_minutes"),
        pl.lit(0.0).alias("overlap_minutes"),
        pl.lit(1).alias("exams"),
        "exam_key",
    ).unique(["device_id", "local_day", "start_minute"], keep="first", maintain_order=True)


_SHARED = ("exam_key", "site_key", "device_key", "protocol_key", "started_at")


def _kind() -> pl.Expr:
    return pl.col("modality").replace_strict({"CT": "ct", "MG": "mammography"}, return_dtype=pl.Utf8)


def _exposures(exams: pl.DataFrame) -> pl.DataFrame:
    return exams.filter(pl.col("modality").is_in(["CT", "MG"])).select(
        *_SHARED,
        event_key=pl.col("exam_key"),
        event_uid=pl.format("2.25.{}", "exam_key"),
        event_uid_derived=pl.lit(value=False),
        event_kind=_kind(),
        ctdivol_mgy=2 + _random(20, 2000) / 100,
        ctdi_phantom=pl.lit("body32"),
        dlp_mgycm=50 + _random(21, 9000) / 10,
        agd_mgy=1 + _random(22, 200) / 100,
        object_class=pl.lit("rdsr"),
        objects=pl.lit(1),
        **dict.fromkeys(("is_disputed", "is_localizer", "is_estimate"), pl.lit(value=False)),
        digest=pl.lit(""),
    )


def _doses(exams: pl.DataFrame) -> pl.DataFrame:
    return exams.filter(pl.col("modality").is_in(["CT", "MG"])).select(
        *_SHARED[:4],
        dose_kind=_kind(),
        events=pl.lit(1),
        acquisitions=pl.lit(1),
        exposure_class=pl.lit("patient"),
        age_band=pl.lit("adult"),
        is_estimate=pl.lit(value=False),
        dlp_mgycm=50 + _random(21, 9000) / 10,
        agd_mgy=1 + _random(22, 200) / 100,
        headline_value=50 + _random(21, 9000) / 10,
        reports=pl.lit(1),
    )
