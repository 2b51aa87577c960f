"""Hand-made inputs of a device's days, in local time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from etl.star.calendar import SCHEMA as CALENDAR_SCHEMA
from etl.star.device_days import device_spans
from settings import Settings, Site, StaffedHours, Utilization
from warehouse.arrow import check, conform, frame_schema

ZONE = ZoneInfo("Europe/Berlin")
DAY = date(2026, 3, 10)
"""A Tuesday."""
EVERY_DAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SITE_KEY = 7
FAR = datetime(2027, 1, 1, tzinfo=UTC)


def settings_of(*hours: StaffedHours, **rules: Any) -> Settings:
    """One site in Berlin with these hours."""
    site = Site(code="NORTH", name="North", time_zone="Europe/Berlin", hours=hours)
    return Settings(sites=(site,), utilization=Utilization(**rules))


def hours(
    opens: str = "08:00", closes: str = "18:00", days: tuple[Any, ...] = EVERY_DAY, modality: str = "CT"
) -> StaffedHours:
    return StaffedHours(
        modality=modality, days=days, opens=time.fromisoformat(opens), closes=time.fromisoformat(closes)
    )


def at(text: str, day: date = DAY, fold: int = 0) -> datetime:
    """`08:30` of the day in Berlin, or `+1 01:15` of the day after, as UTC."""
    shift, clock = text.split(" ") if " " in text else ("0", text)
    local = datetime.combine(day + timedelta(days=int(shift)), time.fromisoformat(clock), ZONE)
    return local.replace(fold=fold).astimezone(UTC)


def exam(key: int, starts: str, ends: str, day: date = DAY, device: int = 1, **more: Any) -> dict[str, Any]:
    """A performed exam that takes the room from one local time to another, and acquires all the time."""
    begun, over = at(starts, day), at(ends, day)
    return {
        "exam_key": key, "acquisition_key": key, "device_key": device, "is_performed": True, "not_patient": None,
        "room_started_at": begun, "room_ended_at": over, "machine_started_at": begun, "machine_ended_at": over,
    } | more  # fmt: skip


def slot(key: int, starts: str, minutes: float | None, outcome: str, day: date = DAY, **more: Any) -> dict[str, Any]:
    return {
        "exam_key": key, "slot_number": 1, "device_key": 1, "outcome": outcome, "local_day": day, "slot_at": at(starts, day), "slot_minutes": minutes,
        "booked_at": at(starts, day) - timedelta(days=30),
    } | more  # fmt: skip


def entry(kind: str, starts: str, ends: str, day: date = DAY, **more: Any) -> dict[str, Any]:
    return {
        "calendar": "c", "site": "NORTH", "device": None, "modality": None, "kind": kind, "starts_at": at(starts, day), "ends_at": at(ends, day), "reason": None,
    } | more  # fmt: skip


def device(key: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "device_key": key, "device_id": f"d{key}", "device_name": f"CT {key}", "station": f"CT{key}", "site_key": SITE_KEY, "site": "NORTH", "modality": "CT",
        "valid_from": datetime(2025, 1, 1, tzinfo=UTC), "last_seen": datetime(2026, 12, 31, tzinfo=UTC), "is_current": True,
    } | more  # fmt: skip


def frame(table: str, rows: list[dict[str, Any]], **more: Any) -> pl.DataFrame:
    schema = {**frame_schema(table), **more}
    return pl.DataFrame([[row.get(name) for name in schema] for row in rows], schema=schema, orient="row")


def spans(
    exams: list[dict[str, Any]] | None = None,
    slots: list[dict[str, Any]] | None = None,
    calendar: list[dict[str, Any]] | None = None,
    *,
    settings: Settings | None = None,
    devices: list[dict[str, Any]] | None = None,
    days: tuple[date, date] = (DAY, DAY),
    data_to: datetime = FAR,
) -> pl.DataFrame:
    """The spans, checked as every publication checks them."""
    found = device_spans(
        frame("fact_exam", exams or []),
        frame("fact_appointment", slots or []),
        frame("dim_device", devices or [device()], site=pl.Utf8),
        pl.DataFrame(calendar or [], schema=CALENDAR_SCHEMA),
        days,
        settings or settings_of(hours()),
        data_to,
    )
    conformed = conform("fact_device_span", found)
    check("fact_device_span", conformed, {})
    return conformed


def told(found: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """Start and end as clock times, kind, cause and further columns of every span, in order."""

    def clock(minute: float) -> str:
        return f"{int(minute // 60):02d}:{minute % 60:02.0f}"

    return [
        (
            clock(row["start_minute"]),
            clock(row["end_minute"]),
            row["kind"],
            row["cause"],
            *(row[name] for name in columns),
        )
        for row in found.sort("device_id", "starts_at").iter_rows(named=True)
    ]
