"""A star of hand-made rows: two sites, three devices, a few days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from warehouse.arrow import conform
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures import evaluate
from warehouse.publication import Publication, TableVersion, schema_digest
from warehouse.schema import TABLES
from warehouse.scope import EVERYTHING

MONDAY = date(2026, 3, 2)
TUESDAY = MONDAY + timedelta(days=1)
SITES = {"NORTH": 1, "WEST": 2}
DEVICES = {"ct1": (11, "NORTH", "CT"), "ct2": (12, "WEST", "CT"), "mr1": (13, "WEST", "MR")}
"""Device id to key, site and modality."""
DEPARTMENTS = {"Oncology": 31, "Surgery": 32}


def minute(text: str) -> float:
    return int(text[:2]) * 60 + int(text[3:])


def span(
    device: str, day: date, starts: str, ends: str, kind: str, cause: str | None = None, **more: Any
) -> dict[str, Any]:
    """A staffed stretch of a day; the clock is UTC."""
    key, site, modality = DEVICES[device]
    start, end = minute(starts), minute(ends)
    return {
        "month": f"{day:%Y-%m}", "device_id": device, "device_key": key, "site_key": SITES[site], "modality": modality,
        "date_key": int(f"{day:%Y%m%d}"), "local_day": day, "starts_at": datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=start),
        "start_minute": start, "end_minute": end, "minutes": end - start, "kind": kind, "is_staffed": True, "staffed_basis": "configuration",
        "cause": kind if kind in {"turnover", "unplanned_down"} else cause, "exams": 0,
        "scanning_minutes": 0.0 if kind == "in_use" else None, "overlap_minutes": 0.0 if kind == "in_use" else None,
    } | more  # fmt: skip


def slot(key: int, device: str, at: datetime, outcome: str, **more: Any) -> dict[str, Any]:
    device_key, site, modality = DEVICES[device]
    return {
        "exam_key": key, "month": f"{at:%Y-%m}", "slot_number": 1, "site_key": SITES[site], "device_key": device_key, "department_key": 31,
        "date_key": int(f"{at:%Y%m%d}"), "time_key": at.hour, "local_day": at.date(), "modality": modality, "patient_class": "OP",
        "priority": "routine", "section": "body", "slot_at": at, "slot_minutes": 30.0, "outcome": outcome, "booked_at": at - timedelta(days=10),
    } | more  # fmt: skip


def exam(key: int, device: str, at: datetime, room_minutes: float, **more: Any) -> dict[str, Any]:
    device_key, site, modality = DEVICES[device]
    return {
        "exam_key": key, "month": f"{at:%Y-%m}", "exam_id": str(key), "site_key": SITES[site], "device_key": device_key, "department_key": 31,
        "date_key": int(f"{at:%Y%m%d}"), "time_key": at.hour, "local_day": at.date(), "modality": modality, "patient_class": "OP",
        "priority": "routine", "section": "body", "state": "final", "is_performed": True, "room_started_at": at,
        "room_ended_at": at + timedelta(minutes=room_minutes), "sharers": 1, "machine_minutes": room_minutes - 5,
    } | more  # fmt: skip


def split(star: Star, name: str, filters: Filters, way: str) -> pl.DataFrame | None:
    """The measure split that way; None where it says that it cannot be."""
    try:
        return evaluate(star, name, filters, EVERYTHING, (way,))
    except ValueError as error:
        if str(error) != f"this measure cannot be split by {way}":
            raise
        return None


def star_of(folder: Path, **rows: list[dict[str, Any]]) -> Star:
    """Publishes the rows of some facts, with the dimensions that they need, and opens the star."""
    days = [MONDAY - timedelta(days=90) + timedelta(days=index) for index in range(180)]
    tables: dict[str, list[dict[str, Any]]] = {
        "dim_site": [{"site_key": key, "site_code": code, "site_name": code.title(), "time_zone": "UTC"} for code, key in SITES.items()],
        "dim_device": [
            {"device_key": key, "device_id": name, "device_name": name.upper(), "site_key": SITES[site], "modality": modality, "is_current": True}
            for name, (key, site, modality) in DEVICES.items()
        ],
        "dim_department": [{"department_key": key, "department_name": name} for name, key in DEPARTMENTS.items()],
        "dim_time": [{"time_key": hour, "hour": hour} for hour in range(24)],
        "dim_date": [
            {"date_key": int(f"{day:%Y%m%d}"), "day": day, "week_starts_on": day - timedelta(days=day.weekday()),
             "month_starts_on": day.replace(day=1), "iso_weekday": day.isoweekday()}
            for day in days
        ],
        **rows,
    }  # fmt: skip
    versions = {}
    for name, made in tables.items():
        zeros = {
            column.name: 0 for column in TABLES[name].columns if column.name.endswith("_key") and not column.nullable
        }
        frame = conform(name, pl.DataFrame([zeros | row for row in made], infer_schema_length=None))
        parts = {"": frame}
        if TABLES[name].info["monthly"]:
            parts = {
                f"month={key[0]}/": part.drop("month")
                for key, part in frame.partition_by("month", as_dict=True).items()
            }
        files = []
        for place, part in parts.items():
            file = f"{name}/{place}part.parquet"
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            part.write_parquet(folder / file)
            files.append(file)
        versions[name] = TableVersion(0, tuple(files), frame.height)
    made_at = datetime(2026, 3, 4, tzinfo=UTC).isoformat()
    return Star(folder, Publication("1", made_at, versions, schema_digest(), "test", "test", 1, made_at))
