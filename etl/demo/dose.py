"""Exposures of every scanned exam: drawn from the protocol, the patient's size and the device, as integers of the last digit that is written."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.demo.dose_items import REGIONS
from etl.demo.dose_outliers import planted
from etl.demo.history import History
from etl.demo.imaging import USUAL_SIZE_CM, by_scanner_clock, scanned
from etl.demo.network import SITE_BY_CODE
from etl.demo.procedures import PROCEDURES, Exposure, Procedure
from etl.demo.scheduling import Outcome
from etl.demo.stories import of_kind, utc_midnight
from etl.demo.uids import uids
from warehouse.dosimetry.ssde import body_factor

Floats = NDArray[np.float64]
FIELD_AT_REFERENCE_CM2 = {"RF": 260.0, "XA": 130.0}
HALF_LIFE_S = {"NM": 21624.0, "PT": 6586.2}
"""Technetium-99m and fluorine-18."""
UPTAKE_MINUTES = {"NM": 180, "PT": 62}


def exposures(history: History) -> pl.DataFrame:
    """One row an exposure or administration, outliers among them: as `drawn_exposures` gives them."""
    return with_outliers(history)[0]


@lru_cache(maxsize=1)
def with_outliers(history: History) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """The exposures, and what was planted among them."""
    return planted(history, drawn_exposures(history))


def drawn_exposures(history: History) -> pl.DataFrame:
    """One row an exposure or administration: figures by our column's name as integers, and who carries them.

    `carrier` says where they are stated: `report`, `header`, or `lost` where the scanner sent no dose report.
    """
    exams = _with_carrier(
        history,
        scanned(history).filter(pl.col("procedure").is_in([i for i, p in enumerate(PROCEDURES) if p.exposures])),
    )
    parts = []
    for index, procedure in enumerate(PROCEDURES):
        mine = exams.filter(pl.col("procedure") == index)
        for place, exposure in enumerate(procedure.exposures):
            some = mine if place == 0 else mine.filter(pl.col("outcome") == Outcome.PERFORMED)
            rng = np.random.default_rng([history.seed, 7, index, place])
            # Without any such exam too, so that every figure has its column.
            parts.append(
                some.with_columns(
                    _figures(rng, some, procedure, exposure, history),
                    place=pl.lit(place),
                    at_s=pl.lit((place + 0.3) / len(procedure.exposures)),
                )
            )
    found = pl.concat(parts, how="diagonal_relaxed").sort("started", "exam", "place")
    # Every other scanner knows nothing of its patient's size.
    sized = pl.col("device") % 2 == 0
    found = found.with_columns(
        pl.when(sized).then(pl.col(name)).alias(name) for name in ("ssde_stated_mgy", "size_effective_diameter_mm")
    )
    span = (pl.col("ended") - pl.col("started")).dt.total_seconds()
    found = found.with_columns(
        at=pl.col("started") + (span * pl.col("at_s")).round(0).cast(pl.Int64) * timedelta(seconds=1)
    )
    injected = pl.col("started") - pl.col("modality").replace_strict(
        UPTAKE_MINUTES, default=0, return_dtype=pl.Int64
    ) * timedelta(minutes=1)
    found = found.with_columns(at=pl.when(pl.col("kind") == "administration").then(injected).otherwise(pl.col("at")))
    return found.with_columns(
        event_uid=pl.Series(uids(np.random.default_rng([history.seed, 8]), len(found)), dtype=pl.Utf8)
    )


def _with_carrier(history: History, exams: pl.DataFrame) -> pl.DataFrame:
    """Adds where the exam's dose is stated."""
    in_report = pl.col("dose_report") & ~pl.col("modality").is_in(["NM", "PT"])
    carrier = pl.when(in_report).then(pl.lit("report")).otherwise(pl.lit("header"))
    lost = of_kind(history.stories, "lost_dose_reports")
    if lost is not None and lost.site is not None and lost.ends_on is not None:
        zone = SITE_BY_CODE[lost.site].zone
        within = (pl.col("started") >= utc_midnight(lost.starts_on, zone)) & (
            pl.col("started") < utc_midnight(lost.ends_on, zone)
        )
        carrier = pl.when((pl.col("station") == lost.device) & within).then(pl.lit("lost")).otherwise(carrier)
    return exams.with_columns(carrier=carrier)


def device_factors(history: History) -> Floats:
    """How each scanner's dose compares with the mean one."""
    return np.exp(np.random.default_rng([history.seed, 9]).normal(0, 0.09, len(history.fleet)))


def _figures(
    rng: np.random.Generator, exams: pl.DataFrame, procedure: Procedure, exposure: Exposure, history: History
) -> list[pl.Series]:
    """Columns of one exposure of one procedure."""
    n, size = len(exams), exams["size_cm"].to_numpy()
    dose = (
        exposure.dose
        * np.exp(rng.normal(0, exposure.spread, n) + procedure.size_power * (size - USUAL_SIZE_CM))
        * device_factors(history)[exams["device"].to_numpy()]
    )
    dose *= _stepped(history, exams, exposure)
    make = {"CT": _ct, "MG": _mammography, "NM": _administration, "PT": _administration}.get(
        procedure.modality, _projection
    )
    columns = make(rng, dose, size, procedure, exposure)
    texts = {name: value for name, value in columns.items() if isinstance(value, str)}
    numbers = {name: value for name, value in columns.items() if not isinstance(value, str)}
    return [
        *(
            pl.Series(name, np.broadcast_to(np.asarray(value, dtype=np.float64), n))
            .cast(pl.Float64)
            .round(0)
            .cast(pl.Int64)
            for name, value in numbers.items()
        ),
        *(pl.Series(name, [value] * n, dtype=pl.Utf8) for name, value in texts.items()),
    ]


def _stepped(history: History, exams: pl.DataFrame, exposure: Exposure) -> Floats:
    """The factor of the stories of a dose that rose with a software upgrade, and of one that people lowered."""
    factor = np.ones(len(exams))
    step = of_kind(history.stories, "protocol_dose_step")
    if step is not None and step.protocol == exposure.name:
        upgraded = (pl.col("station") == step.device) & (pl.col("software") == step.more["software_after"])
        factor *= exams.select(pl.when(upgraded).then(1 + step.size).otherwise(1.0).alias("f"))["f"].to_numpy()
    drop = of_kind(history.stories, "protocol_dose_drop")
    if drop is not None and drop.site is not None and drop.protocol == exposure.name:
        since = utc_midnight(drop.starts_on, SITE_BY_CODE[drop.site].zone)
        lowered = (pl.col("station") == drop.device) & (pl.col("started") >= since)
        factor *= exams.select(pl.when(lowered).then(1 + drop.size).otherwise(1.0).alias("f"))["f"].to_numpy()
    return factor


Columns = dict[str, "Floats | float | str"]


def _ct(rng: np.random.Generator, dose: Floats, size: Floats, procedure: Procedure, exposure: Exposure) -> Columns:
    """A CT acquisition; DLP is CTDIvol times the irradiated length to within a few per cent (over-ranging)."""
    length = (
        exposure.length_cm * np.clip(rng.normal(1, 0.09, len(dose)), 0.7, 1.4)
        if exposure.kind != "constant"
        else np.full(len(dose), exposure.length_cm)
    )
    ctdivol = np.maximum((dose * 100).round(), 1.0)
    current: Floats = np.asarray(np.clip(180 * dose / exposure.dose, 20, 750), dtype=np.float64).round()
    columns: Columns = {
        "kind": "ct",
        "acquisition_protocol": exposure.name,
        "target_region": REGIONS[procedure.body_part],
        "acquisition_type": exposure.kind,
        "exposure_time_s": np.round(100 * exposure.seconds * length / max(exposure.length_cm, 1)),
        "scan_length_mm": np.round(length * 100),
        "collimation_single_mm": 625,
        "collimation_total_mm": 400,
        "sources": 1,
        "kvp": exposure.kvp,
        "tube_current_max_ma": np.round(current * 1.3),
        "tube_current_ma": current,
        "ctdivol_mgy": ctdivol,
        "ctdi_phantom": "head16" if procedure.body_part == "HEAD" else "body32",
        "dlp_mgycm": np.maximum(np.round(ctdivol * length), 1),
    }
    if exposure.kind == "spiral" and procedure.body_part != "HEAD":
        factors = np.array([body_factor(float(one), "body32") for one in size.round()])
        columns |= {"ssde_stated_mgy": np.round(ctdivol * factors), "size_effective_diameter_mm": size.round() * 10}
    if exposure.kind == "spiral":
        columns |= {"pitch": 550 if procedure.body_part == "HEAD" else 984, "rotation_time_s": 50}
    return columns


def _projection(
    rng: np.random.Generator, dose: Floats, _size: Floats, procedure: Procedure, exposure: Exposure
) -> Columns:
    """A radiograph, a run or a stretch of fluoroscopy."""
    n, dap = len(dose), np.maximum(np.round(dose * 1e5), 1)
    seconds = exposure.seconds * np.exp(rng.normal(0, 0.45 if exposure.kind == "fluoroscopy" else 0.2, n))
    current = np.round(
        np.clip(np.where(exposure.kind == "fluoroscopy", 60, 320) * np.exp(rng.normal(0, 0.2, n)), 5, 900)
    )
    columns: Columns = {
        "kind": "projection",
        "acquisition_protocol": exposure.name,
        "target_region": REGIONS[procedure.body_part],
        "plane": "single",
        "event_type": exposure.kind,
        "dap_gycm2": dap,
        "kvp": exposure.kvp,
        "tube_current_ma": current,
    }
    if procedure.modality == "XR":
        milliseconds = np.maximum(np.round(seconds * 1000), 1)
        return columns | {
            "exposure_time_s": milliseconds,
            "exposure_mas": np.round(milliseconds * current),
            "exposure_index": np.round(np.exp(rng.normal(np.log(400), 0.25, n))),
        }
    rate = 75 if exposure.kind == "fluoroscopy" else 150
    columns |= {
        "rp_air_kerma_mgy": np.round(dap / 1e5 / FIELD_AT_REFERENCE_CM2[procedure.modality] * 1e6),
        "reference_point": "isocentre",
        "primary_angle_deg": np.round(rng.normal(0, 200, n)),
        "secondary_angle_deg": np.round(rng.normal(0, 100, n)),
        "irradiation_duration_s": np.round(seconds * 100),
        "pulse_rate_per_s": float(rate),
        "pulses": np.round(seconds * rate / 10),
    }
    return columns


def _mammography(
    rng: np.random.Generator, dose: Floats, size: Floats, _procedure: Procedure, exposure: Exposure
) -> Columns:
    """One view of one breast."""
    view, side = exposure.kind.split("/")
    n = len(dose)
    thickness = np.clip(rng.normal(56, 12, n) + 1.2 * (size - USUAL_SIZE_CM), 18, 110).round()
    milliseconds = np.round(exposure.seconds * 1000 * np.exp(rng.normal(0, 0.2, n)))
    return {
        "kind": "mammography",
        "acquisition_protocol": exposure.name,
        "target_region": "breast",
        "plane": "single",
        "event_type": "stationary",
        "anatomy": "breast",
        "laterality": side,
        "view": view,
        "agd_mgy": np.maximum(np.round(dose * 1000), 50),
        "kvp": exposure.kvp,
        "exposure_time_s": milliseconds,
        "exposure_mas": np.round(milliseconds * 95),
        "hvl_mm_al": np.round(rng.normal(545, 12, n)),
        "anode_material": "W",
        "compression_thickness_mm": thickness,
        "compression_force_n": np.asarray(np.clip(rng.normal(105, 25, n), 30, 190).round(), dtype=np.float64),
    }


def _administration(
    _rng: np.random.Generator, dose: Floats, size: Floats, procedure: Procedure, exposure: Exposure
) -> Columns:
    """An injected activity, larger for larger patients; PET headers state Bq, NM headers tenths of MBq here."""
    activity = dose * np.clip(size / USUAL_SIZE_CM, 0.6, 1.5)
    scaled = np.round(activity) * 1e6 if procedure.modality == "PT" else np.round(activity * 10)
    return {
        "kind": "administration",
        "radiopharmaceutical": exposure.name,
        "activity_mbq": scaled,
        "half_life_s": HALF_LIFE_S[procedure.modality] * 10,
    }


def with_times(frame: pl.DataFrame) -> pl.DataFrame:
    """Exposures with times of the scanner's clock: of the event, and of the exam's start and end."""
    return by_scanner_clock(
        frame.with_columns(
            exam_started="started", exam_ended="ended", object_at=pl.col("ended") + timedelta(seconds=40)
        ),
        "at",
        "exam_started",
        "exam_ended",
        "object_at",
    )
