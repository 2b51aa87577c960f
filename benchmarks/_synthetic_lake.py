"""A lake of any size, its rows made column by column: an order, a report, a series and, of CT, an exposure for each exam."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from etl.lake.schema import EVENT, polars_schema
from etl.lake.store import Lake

BATCH_EXAMS = 100_000
LAST = datetime(2026, 10, 31, 23, tzinfo=UTC)
_MODALITIES = ("CT", "MR", "XR", "US")
_MODALITY = pl.col("number").mod(4).replace_strict(dict(enumerate(_MODALITIES)), return_dtype=pl.Utf8)


def fill(lake: Lake, exams: int, a_year: int) -> None:
    """Lands a history of so many exams, at a rate a year, up to the last of October 2026."""
    for first in range(0, exams, BATCH_EXAMS):
        span = range(first, min(first + BATCH_EXAMS, exams))
        _append(lake, _frames(_exams(span, exams, a_year)))


def report_again(lake: Lake, exams: int, a_year: int, changed: int, round_number: int) -> None:
    """Lands a corrected report for the last exams but those of the rounds before."""
    last = exams - changed * round_number
    frame = _exams(range(last - changed, last), exams, a_year)
    _append(lake, {"workflow": _reports(frame, f"{round_number + 4}", "C", hours=30 + round_number)})


def _append(lake: Lake, frames: dict[str, pl.DataFrame]) -> None:
    number = lake.ledger.count() + 1
    lake.append(f"20261101T{number:012d}", number, frames, {"hl7": {"accepted": 1}})


def _exams(numbers: range, exams: int, a_year: int) -> pl.DataFrame:
    seconds = 365 * 86400 / a_year
    number = pl.int_range(numbers.start, numbers.stop, dtype=pl.Int64)
    return pl.select(number.alias("number")).with_columns(
        at=pl.lit(LAST) - pl.duration(seconds=((exams - pl.col("number")) * seconds).cast(pl.Int64), time_unit="us")
    )


def _identifier(kind: str, number: pl.Expr) -> pl.Expr:
    """32 hexadecimal digits, as digests and pseudonyms have."""
    return pl.concat_str([pl.lit(kind), number.cast(pl.Utf8).str.zfill(31)])


def _frames(exams: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {
        "workflow": pl.concat([_orders(exams), _reports(exams, "2", "F", hours=2)], how="diagonal"),
        "series": _series(exams),
        "irradiation_event": _exposures(exams.filter(_MODALITY == "CT")),
    }


def _common(source: str, kind: str) -> dict[str, pl.Expr]:
    number = pl.col("number")
    return {
        "digest": _identifier(kind, number),
        "input_digest": _identifier(kind, number),
        "source": pl.lit(source),
        "source_name": pl.lit("RIS"),
        "file": pl.lit("feed.hl7"),
        "position": pl.concat_str([pl.lit("message "), number.cast(pl.Utf8)]),
        "received_at": pl.col("at"),
        "month": pl.col("at").dt.strftime("%Y-%m"),
        "site": pl.lit("MAIN"),
        "flags": pl.lit([], pl.List(pl.Utf8)),
        "study_uid": pl.concat_str([pl.lit("2.25.1"), number.cast(pl.Utf8).str.zfill(30)]),
        "accession": _identifier("a", number),
        "patient": _identifier("b", number // 3),
        "sex": pl.when(number % 2 == 0).then(pl.lit("F")).otherwise(pl.lit("M")),
        "birth_year": (1930 + number % 80).cast(pl.Int32),
        "modality": _MODALITY,
        "procedure_code": pl.concat_str([pl.lit("P"), (number % 60).cast(pl.Utf8)]),
        "procedure_text": pl.concat_str([pl.lit("Procedure "), (number % 60).cast(pl.Utf8)]),
    }


def _made(table: str, exams: pl.DataFrame, columns: dict[str, pl.Expr]) -> pl.DataFrame:
    frame = exams.select(expression.alias(name) for name, expression in columns.items())
    return frame.cast({name: polars_schema(table)[name] for name in columns})


def _event(name: str, after: timedelta) -> pl.Expr:
    parts = {"event": pl.lit(name), "at": pl.col("at") + after, "precision": pl.lit("s"), "field": pl.lit("ORC-9")}
    return pl.struct(**parts).cast(EVENT)


def _orders(exams: pl.DataFrame) -> pl.DataFrame:
    more = {
        "message_type": pl.lit("ORM^O01"),
        "filler": _identifier("a", pl.col("number")),
        "stated_at": pl.col("at"),
        "order_control": pl.lit("NW"),
        "imaging": pl.lit(value=True),
        "priority": pl.lit("R"),
        "patient_class": pl.lit("O"),
        "referrer": _identifier("c", pl.col("number") % 500),
        "events": pl.concat_list(_event("order_placed", timedelta(0))),
    }
    return _made("workflow", exams, _common("hl7", "1") | more)


def _reports(exams: pl.DataFrame, kind: str, status: str, hours: int) -> pl.DataFrame:
    name = "report_final" if status == "F" else "report_corrected"
    more = {
        "message_type": pl.lit("ORU^R01"),
        "filler": _identifier("a", pl.col("number")),
        "stated_at": pl.col("at") + timedelta(hours=hours),
        "result_status": pl.lit(status),
        "imaging": pl.lit(value=True),
        "reader": _identifier("d", pl.col("number") % 60),
        "events": pl.concat_list(_event("exam_started", timedelta(hours=1)), _event(name, timedelta(hours=hours))),
    }
    return _made("workflow", exams, _common("hl7", kind) | more)


def _device() -> dict[str, pl.Expr]:
    unit = (pl.col("number") % 40).cast(pl.Utf8)
    return {
        "manufacturer": pl.lit("Example Imaging"),
        "model": pl.concat_str([pl.lit("Model "), _MODALITY]),
        "serial": unit,
        "station": pl.concat_str([_MODALITY, unit]),
    }


def _series(exams: pl.DataFrame) -> pl.DataFrame:
    started = pl.col("at") + timedelta(hours=1)
    more = {
        "series_uid": pl.concat_str([pl.lit("2.25.2"), pl.col("number").cast(pl.Utf8).str.zfill(30)]),
        "sop_class": pl.lit("1.2.840.10008.5.1.4.1.1.2"),
        "is_acquired": pl.lit(value=True),
        "order_key": pl.concat_str(
            [started.dt.strftime("%Y-%m-%dT%H:%M:%S"), pl.col("number").cast(pl.Utf8)], separator="|"
        ),
        "started_at": started,
        "ended_at": started + pl.duration(seconds=300 + pl.col("number") % 1200),
        "times_from": pl.lit("(0008,002A)"),
        "protocol": pl.concat_str([pl.lit("Protocol "), (pl.col("number") % 90).cast(pl.Utf8)]),
        "accessions": pl.concat_list(_identifier("a", pl.col("number"))),
        "instances": pl.concat_list("number"),
        "frames": pl.lit(1),
        "bytes": pl.lit(524_288),
    }
    return _made("series", exams, _common("dicom", "3") | _device() | more)


def _exposures(exams: pl.DataFrame) -> pl.DataFrame:
    started = pl.col("at") + timedelta(hours=1)
    more = {
        "object_uid": pl.concat_str([pl.lit("2.25.3"), pl.col("number").cast(pl.Utf8).str.zfill(30)]),
        "object_class": pl.lit("rdsr"),
        "object_rank": pl.lit(1),
        "object_at": started,
        "event_uid": pl.concat_str([pl.lit("2.25.4"), pl.col("number").cast(pl.Utf8).str.zfill(30)]),
        "event_uid_derived": pl.lit(value=False),
        "event_kind": pl.lit("ct"),
        "event_number": pl.lit(1),
        "started_at": started,
        "ctdivol_mgy": 2 + (pl.col("number") * 7919 % 1000) / 50,
        "dlp_mgycm": 60 + (pl.col("number") * 7919 % 1000) / 2,
        "ctdi_phantom": pl.lit("body32"),
    }
    return _made("irradiation_event", exams, _common("rdsr", "4") | _device() | more)
