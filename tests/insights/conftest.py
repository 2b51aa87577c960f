"""A star small enough to reason about: exams of a few scanners, week by week, written as a publication's files."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy import BigInteger, Boolean, Date, DateTime, Double, Integer, Numeric, Table

from warehouse.engines import Star
from warehouse.publication import Publication, TableVersion, schema_digest
from warehouse.schema import TABLES

_KINDS: tuple[tuple[type, Any], ...] = (
    (Boolean, pl.Boolean), (BigInteger, pl.Int64), (Integer, pl.Int32), (Double, pl.Float64), (Date, pl.Date),
    (DateTime, pl.Datetime("us", "UTC")), (Numeric, pl.Decimal(18, 4)),
)  # fmt: skip

SITES = {"NORTH": 1, "WEST": 2}
DEVICES = {"ct1": (1, "CT1", "NORTH", "CT"), "ct2": (2, "CT2", "WEST", "CT"), "mr1": (3, "MR1", "NORTH", "MR")}
"""Device id to key, name, site and modality."""


def exam(key: int, day: date, device: str, **more: Any) -> dict[str, Any]:
    """One performed exam of ten minutes at noon."""
    device_key, _, site, modality = DEVICES[device]
    start = datetime.combine(day, time(12), UTC)
    row = {
        "exam_key": key, "month": f"{day:%Y-%m}", "exam_id": str(key), "site_key": SITES[site],
        "device_key": device_key, "local_day": day, "date_key": int(f"{day:%Y%m%d}"), "time_key": 12, "modality": modality, "state": "final",
        "is_performed": True, "has_order": True, "has_images": True, "has_dose_report": True, "has_charge": True,
        "worklist_used": True, "started_at": start, "ended_at": start + timedelta(minutes=10), "machine_minutes": 10.0,
        "final_at": start + timedelta(minutes=70), "ended_confidence": "exact", "final_confidence": "exact",
    }  # fmt: skip
    return row | more


def _frame(table: Table, rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    schema = {c.name: next((kind for sql, kind in _KINDS if isinstance(c.type, sql)), pl.Utf8) for c in table.columns}
    given = pl.DataFrame(list(rows), schema_overrides=schema, infer_schema_length=None)
    rest = {
        name: pl.lit(0 if name.endswith("_key") else None, kind)
        for name, kind in schema.items()
        if name not in given.columns
    }
    return given.with_columns(**rest).select(*schema)


def _dimensions(days: Iterable[date]) -> dict[str, list[dict[str, Any]]]:
    return {
        "dim_site": [{"site_key": key, "site_code": code, "site_name": code.title()} for code, key in SITES.items()],
        "dim_device": [
            {"device_key": key, "device_id": name, "device_name": shown, "site_key": SITES[site], "modality": modality,
             "valid_from": datetime(2025, 1, 1, tzinfo=UTC), "is_current": True}
            for name, (key, shown, site, modality) in DEVICES.items()
        ],
        "dim_date": [
            {"date_key": int(f"{day:%Y%m%d}"), "day": day, "week_starts_on": day - timedelta(days=day.weekday()),
             "month_starts_on": day.replace(day=1), "iso_weekday": day.isoweekday()}
            for day in days
        ],
        "dim_time": [{"time_key": hour, "hour": hour, "shift": "day"} for hour in range(24)],
    }  # fmt: skip


def span(day: date, device: str, opens: int, closes: int, kind: str = "in_use", **more: Any) -> dict[str, Any]:
    """One stretch of a device's staffed day, between two hours; of a day that has passed."""
    device_key, _, site, modality = DEVICES[device]
    return {
        "month": f"{day:%Y-%m}", "device_id": device, "device_key": device_key, "site_key": SITES[site], "modality": modality,
        "date_key": int(f"{day:%Y%m%d}"), "local_day": day, "starts_at": datetime.combine(day, time(opens), UTC),
        "start_minute": opens * 60.0, "end_minute": closes * 60.0, "minutes": (closes - opens) * 60.0, "kind": kind,
        "is_staffed": True, "staffed_basis": "calendar", "is_bookable": kind == "idle", "exams": 0,
        "cause": {"idle": "unfilled", "unplanned_down": "unplanned_down"}.get(kind),
    } | more  # fmt: skip


def star_of(folder: Path, exams: list[dict[str, Any]], **facts: list[dict[str, Any]]) -> Star:
    """Publishes exams, and rows of other facts by the names of their tables, as a star in a folder and opens it."""
    tables: dict[str, TableVersion] = {}
    days = sorted({row["local_day"] for row in exams})
    for name, rows in {**_dimensions(days), "fact_exam": exams, **facts}.items():
        frame = _frame(TABLES[name], rows)
        parts = frame.partition_by("month", as_dict=True) if TABLES[name].info["monthly"] else {("all",): frame}
        files = []
        for (month,), part in parts.items():
            file = f"{name}/month={month}/part.parquet" if len(parts) > 1 else f"{name}/part.parquet"
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            part.drop("month", strict=False).write_parquet(folder / file)
            files.append(file)
        tables[name] = TableVersion(0, tuple(files), frame.height)
    data_to = datetime.combine(days[-1], time(20), UTC).isoformat()
    return Star(folder, Publication("1", data_to, tables, schema_digest(), "test", "test", 1, data_to))
