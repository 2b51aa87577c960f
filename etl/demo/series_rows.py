"""Series and instances of every scanned exam: the table behind the DICOM files, and the same as landing rows."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from hashlib import sha256

import numpy as np
import polars as pl

from etl.demo.history import History
from etl.demo.imaging import DEPARTMENT, age_years, by_scanner_clock, offset_text, scanned
from etl.demo.network import SITES
from etl.demo.procedures import PROCEDURES
from etl.demo.scheduling import Outcome
from etl.demo.uids import uids

INSTANCES = {"CT": 3, "MR": 2, "XR": 1, "US": 4, "MG": 1, "NM": 1, "PT": 1, "XA": 3, "RF": 2}
"""Instances a series: a token of what a scanner makes, so that files stay few."""
SOP_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "XR": "1.2.840.10008.5.1.4.1.1.1.1",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
    "NM": "1.2.840.10008.5.1.4.1.1.20",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
    "XA": "1.2.840.10008.5.1.4.1.1.12.1",
    "RF": "1.2.840.10008.5.1.4.1.1.12.2",
}
FILE_BYTES = 4096
"""Every image file is padded to this size (Data Set Trailing Padding), so that sizes are known without writing it."""
TIMED_BY_FRAME = ("NM", "PT")
"""Modalities whose one object says how long its acquisition took (0018,1242)."""


@lru_cache(maxsize=1)
def series(history: History) -> pl.DataFrame:
    """One row a series, with times of the scanner's clock and the UIDs of series and instances."""
    exams = scanned(history)
    names = {i: list(p.series) for i, p in enumerate(PROCEDURES)}
    frame = exams.with_columns(series_text=pl.col("procedure").replace_strict(names, return_dtype=pl.List(pl.Utf8)))
    frame = (
        frame.with_columns(count=pl.col("series_text").list.len())
        .with_columns(place=pl.int_ranges(0, "count"))
        .explode("series_text", "place")
    )
    frame = frame.filter((pl.col("outcome") == Outcome.PERFORMED) | (pl.col("place") * 2 < pl.col("count")))
    span = (pl.col("ended") - pl.col("started")).dt.total_seconds()
    begins = (span * pl.col("place") / pl.col("count")).round(0).cast(pl.Int64) * timedelta(seconds=1)
    lasts = pl.when(pl.col("place") + 1 == pl.col("count")).then(span).otherwise(
        span * (pl.col("place") + 0.85) / pl.col("count")
    ).round(0).cast(pl.Int64) * timedelta(seconds=1)
    frame = frame.with_columns(
        exam_started="started",
        exam_ended="ended",
        true_started="started",
        true_ended="ended",
        instances=pl.col("modality").replace_strict(INSTANCES, return_dtype=pl.Int64),
    )
    alone = (pl.col("instances") == 1) & ~pl.col("modality").is_in(TIMED_BY_FRAME)
    first = (
        pl.when(alone & (pl.col("place") + 1 == pl.col("count")) & (pl.col("count") > 1))
        .then(pl.col("exam_ended"))
        .otherwise(pl.col("exam_started") + begins)
    )
    frame = frame.with_columns(
        started=first, ended=pl.when(alone).then(first).otherwise(pl.col("exam_started") + lasts)
    )
    frame = frame.with_columns(
        duration_s=(pl.col("ended") - pl.col("started")).dt.total_seconds(),
        study_at=pl.col("exam_started") - timedelta(seconds=120),
    )
    frame = frame.with_columns(series_at=pl.when("waits").then("uploaded").otherwise("started"))
    frame = by_scanner_clock(frame, "started", "series_at", "study_at", "exam_started", "exam_ended")
    frame = frame.with_columns(ended=pl.col("started") + pl.col("duration_s") * timedelta(seconds=1))
    return _with_uids(
        history,
        frame.with_columns(
            sop_class=pl.col("modality").replace_strict(SOP_CLASSES),
            offset=offset_text("started", [s.zone_name for s in SITES]),
        ),
    )


def _with_uids(history: History, frame: pl.DataFrame) -> pl.DataFrame:
    """Adds Series Instance UIDs and lists of SOP Instance UIDs."""
    rng = np.random.default_rng([history.seed, 6])
    rows = np.repeat(np.arange(len(frame)), frame["instances"].to_numpy())
    made = pl.DataFrame({"row": rows, "sop_uids": uids(rng, len(rows))})
    lists = made.group_by("row", maintain_order=True).agg("sop_uids")["sop_uids"]
    return frame.with_columns(lists, series_uid=pl.Series(uids(rng, len(frame)), dtype=pl.Utf8))


def _hashes(frame: pl.DataFrame) -> pl.Series:
    """64-bit hashes of the instances of every series, sorted, as the DICOM reader makes them."""
    flat = frame.select("sop_uids").with_row_index("row").explode("sop_uids")
    made = [int.from_bytes(sha256(uid.encode()).digest()[:8], "big", signed=True) for uid in flat["sop_uids"].to_list()]
    hashed = flat.with_columns(hash=pl.Series(made, dtype=pl.Int64))
    return hashed.group_by("row", maintain_order=True).agg(pl.col("hash").sort())["hash"]


def series_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """Series as landing rows, identifiers still in the clear."""
    timed = pl.col("modality").is_in(TIMED_BY_FRAME) & (pl.col("duration_s") > 0)
    listed = pl.when(pl.col("accession") == "").then(pl.lit([], dtype=pl.List(pl.Utf8))).otherwise(pl.col("accessions"))
    return frame.select(
        "exam",
        "sent_at",
        "site",
        "study_uid",
        "accession",
        patient="patient_id",
        sex="sex",
        birth_year="birth_year",
        not_patient="not_patient",
        source=pl.lit("dicom"),
        source_name="station",
        manufacturer="manufacturer",
        model="model",
        serial="serial",
        station="station",
        software="software",
        institution="institution",
        device_department=pl.lit(DEPARTMENT),
        modality="dicom_modality",
        procedure_code="procedure_code",
        procedure_scheme="procedure_scheme",
        procedure_text="procedure_text",
        body_part="body_part",
        series_uid="series_uid",
        sop_class="sop_class",
        is_acquired=pl.lit(True),
        order_key=pl.concat_str(
            pl.col("started").dt.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00"), pl.lit("|"), pl.col("sop_uids").list.first()
        ),
        started_at="started",
        ended_at="ended",
        times_from=pl.when(timed).then(pl.lit("(0008,002A), (0018,1242)")).otherwise(pl.lit("(0008,002A)")),
        time_offset=pl.col("offset").fill_null("site"),
        study_at="study_at",
        series_at="series_at",
        step_started_at="exam_started",
        step_ended_at="exam_ended",
        protocol="protocol",
        series_text="series_text",
        age_years=age_years("study_at"),
        weight_kg="weight_kg",
        height_m="height_m",
        worklist_used="worklist_used",
        accessions=listed,
        instances=_hashes(frame),
        frames=pl.col("instances"),
        bytes=pl.col("instances") * FILE_BYTES,
        flags=pl.lit([], dtype=pl.List(pl.Utf8)),
        row_key=pl.concat_str(pl.lit("series"), "series_uid"),
    )
