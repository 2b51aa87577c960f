"""A small invented star, written as a publication: what the pages' tests read.

Two sites, six scanners, 400 days to 15 November 2026, about 20 exams a day. CT reports slow down and one CT protocol's dose
rises in the last eight weeks, so that the pages have something to find.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from sqlalchemy import BigInteger, Boolean, Date, DateTime, Double, Integer, Numeric, Table

from settings import Settings, Site, Web
from warehouse.dosimetry.tables import shipped_reference_levels
from warehouse.publication import Publication, Publications, TableVersion, schema_digest
from warehouse.schema import MILESTONES, TABLES

ZONE = ZoneInfo("Europe/Berlin")
LAST_DAY = date(2026, 11, 15)
DATA_TO = datetime(2026, 11, 16, 6, 0, tzinfo=ZONE)
MADE_AT = datetime(2026, 11, 16, 6, 30, tzinfo=ZONE)
DAYS = 400
CHANGE = LAST_DAY - timedelta(weeks=8)

SITES = {"NORTH": (11, "North Hospital"), "WEST": (12, "West Clinic")}
DEVICES = (
    # key, id, name, site, modality, maker, model, software
    (101, "dev-ct1", "CT 1", "NORTH", "CT", "Aster", "Orbit 64", "7.1"),
    (102, "dev-ct2", "CT 2", "WEST", "CT", "Borealis", "Helios", "VB20"),
    (103, "dev-mr1", "MR 1", "NORTH", "MR", "Delphin", "Nereus", "5.3"),
    (104, "dev-xr1", "XR 1", "NORTH", "XR", "Corvid", "Planar", "R11"),
    (105, "dev-us1", "US 1", "WEST", "US", "Aster", "Echo", "4.0"),
    (106, "dev-mg1", "MG 1", "WEST", "MG", "Corvid", "Claria", "1.9"),
)
PROCEDURES = {
    "CT": ((201, "CT head"), (202, "CT abdomen and pelvis")), "MR": ((203, "MR knee"), (204, "MR brain")),
    "XR": ((205, "Chest X-ray"),), "US": ((206, "US abdomen"),), "MG": ((207, "Mammography, screening"),),
}  # fmt: skip
PROTOCOLS = {
    "CT": ((301, "Head routine"), (302, "AbdPel pv")),
    "MR": ((303, "Knee"), (304, "Brain")),
    "XR": ((305, "Chest PA"),),
    "US": ((306, "Abdomen"),),
    "MG": ((307, "CC MLO"),),
}
MINUTES = {"CT": 12, "MR": 32, "XR": 5, "US": 18, "MG": 9}
READ = {"CT": 55, "MR": 140, "XR": 90, "US": 40, "MG": 300}


MAPPED = {"mapping_status": "confirmed", "standard_code": "CT-ABDPEL-W", "standard_scheme": "own", "standard_name": "CT abdomen and pelvis with contrast"}  # fmt: skip


IN_DOUBT = 50
"""Exams whose key leaves this rest when divided by 97 may be tests: one in a hundred."""


def settings_for(data_directory: Path) -> Settings:
    """Settings of the small network, in the demo's one-click mode."""
    sites = tuple(Site(code=code, name=name, time_zone="Europe/Berlin") for code, (_, name) in SITES.items())
    return Settings(data_directory=data_directory, organisation="Riverside Imaging", sites=sites, web=Web(demo=True))


def build_star(star: Path, *, exams_a_day: int = 20, seed: int = 7) -> Publication:
    """Writes the star below this directory and publishes it."""
    rng = random.Random(seed)
    rows = dimensions()
    exams = [
        exam for index in range(DAYS) for exam in _day(rng, LAST_DAY - timedelta(days=DAYS - 1 - index), exams_a_day)
    ]
    rows |= facts(rng, exams)
    tables = {name: _written(star, name, table, rows.get(name, [])) for name, table in TABLES.items()}
    publication = Publication(
        id="20261116T053000000000", made_at=MADE_AT.astimezone(UTC).isoformat(), tables=tables, schema=schema_digest(), code_version="test",
        settings_digest="test", batches=1, data_to=DATA_TO.astimezone(UTC).isoformat(),
    )  # fmt: skip
    publications = Publications(star)
    publications.write(publication)
    publications.use(publication.id)
    return publication


def dimensions() -> dict[str, list[dict[str, Any]]]:
    """The rows of every dimension."""
    days = [LAST_DAY - timedelta(days=DAYS + 370) + timedelta(days=index) for index in range(DAYS + 390)]
    return {
        "dim_date": [_date_row(day) for day in days],
        "dim_time": [{"time_key": hour, "hour": hour, "shift": "night" if hour < 7 else "day" if hour < 19 else "evening"} for hour in range(24)],
        "dim_site": [{"site_key": 0, "site_code": "", "site_name": "Unknown", "time_zone": "UTC"}] + [{"site_key": key, "site_code": code, "site_name": name, "time_zone": "Europe/Berlin"} for code, (key, name) in SITES.items()],
        "dim_device": [{"device_key": 0, "device_id": "", "site_key": 0, "is_current": True}] + [
            {"device_key": key, "device_id": ident, "device_name": name, "site_key": SITES[site][0], "modality": modality, "manufacturer": maker, "model": model, "serial": str(key), "station": name,
             "software": software, "valid_from": datetime(2025, 10, 1, tzinfo=UTC), "last_seen": DATA_TO, "is_current": True}
            for key, ident, name, site, modality, maker, model, software in DEVICES
        ],
        "dim_procedure": [{"procedure_key": 0, "mapping_status": "unmapped"}] + [{"procedure_key": key, "mapping_status": "unmapped", "section": "body" if modality in {"CT", "MR"} else "general", "procedure_code": f"P{key}", "procedure_scheme": "L", "procedure_text": text, "modality": modality} for modality, found in PROCEDURES.items() for key, text in found],
        "dim_protocol": [{"protocol_key": 0, "mapping_status": "unmapped"}] + [
            {"protocol_key": key, "protocol_name": text, "modality": modality, **(MAPPED if key == 302 else {"mapping_status": "unmapped"})} for modality, found in PROTOCOLS.items() for key, text in found
        ],
        "dim_reference_level": shipped_reference_levels().to_dicts(),
        "dim_patient": [{"patient_key": 0, "patient_pseudonym": "", "identities": 0}, {"patient_key": 401, "patient_pseudonym": "p401", "sex": "F", "birth_year": 1961, "identities": 1}],
        "dim_provider": [{"provider_key": 0, "provider_role": "unknown", "provider_pseudonym": ""}] + [{"provider_key": 500 + n, "provider_role": "reader", "provider_pseudonym": f"reader{n}"} for n in range(6)],
        "dim_department": [{"department_key": 0}, {"department_key": 601, "department_name": "Emergency"}],
        "dim_payer": [{"payer_key": 0}],
        "dim_reading_hours": [{"site_key": key, "iso_weekday": weekday, "opens_minute": 480, "closes_minute": 1080} for key, _ in SITES.values() for weekday in range(1, 6)],
        "dim_turnaround_target": [
            {"target_number": number, "priority": priority, "patient_class": "", "modality": "", "starts_on": date(1900, 1, 1), "target_minutes": minutes, "target_share": 90.0}
            for number, (priority, minutes) in enumerate((("", 1440.0), ("urgent", 240.0), ("stat", 60.0)), 1)
        ],
    }  # fmt: skip


def facts(rng: random.Random, exams: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of every fact that hangs on exams, and of loads and rejects."""
    made: dict[str, list[dict[str, Any]]] = {
        name: []
        for name in ("fact_exam_event", "fact_series", "fact_irradiation_event", "fact_dose_source", "fact_exam_dose")
    }
    for exam in exams:
        if exam["is_performed"]:
            made["fact_exam_event"] += _events(exam)
            made["fact_series"].append(_series(exam))
            if exam["has_dose_report"]:
                event, dose = _dose(rng, exam)
                made["fact_irradiation_event"].append(event)
                made["fact_exam_dose"].append(dose)
                made["fact_dose_source"].append(_source(event))
    made["fact_appointment"] = [_appointment(exam) for exam in exams]
    made["fact_device_span"] = _spans(exams)
    return {
        "fact_exam": exams,
        **made,
        "fact_planned_volume": _plan(),
        "fact_load_run": _runs(),
        "fact_reject": _rejects(),
    }


def _plan() -> list[dict[str, Any]]:
    """Two CT exams a day at each site and one MR exam at North, all through 2026."""
    planned = [(key, "CT", 2.0) for key, _ in SITES.values()] + [(SITES["NORTH"][0], "MR", 1.0)]
    days = [date(2026, 1, 1) + timedelta(days=index) for index in range((LAST_DAY - date(2026, 1, 1)).days + 1)]
    return [
        {"month": f"{day:%Y-%m}", "site_key": site, "modality": modality, "date_key": int(f"{day:%Y%m%d}"), "local_day": day, "planned_exams": exams}
        for site, modality, exams in planned
        for day in days
    ]  # fmt: skip


def _appointment(exam: dict[str, Any]) -> dict[str, Any]:
    slot = exam["slot_at"].astimezone(ZONE)
    outcome = {"no_show": "no_show", "cancelled": "cancelled"}.get(exam["state"], "kept")
    late = (exam["started_at"] - exam["slot_at"]).total_seconds() / 60 if exam["started_at"] else None
    copied = (
        "exam_key",
        "month",
        "site_key",
        "device_key",
        "procedure_key",
        "protocol_key",
        "department_key",
        "modality",
        "patient_class",
        "priority",
        "section",
        "slot_at",
        "slot_minutes",
    )
    return {name: exam[name] for name in copied} | {
        "slot_number": 1, "date_key": int(f"{slot:%Y%m%d}"), "time_key": slot.hour, "local_day": slot.date(), "booked_at": exam["ordered_at"],
        "outcome": outcome, "lead_days": (exam["slot_at"] - exam["ordered_at"]).total_seconds() / 86400, "started_late_minutes": late if outcome == "kept" else None,
    }  # fmt: skip


def _spans(exams: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each device's staffed weekday, 8 to 18, cut at its exams; exams that overlap one before or lie outside are left out."""
    rows: list[dict[str, Any]] = []
    devices = {key: (ident, site, modality) for key, ident, _, site, modality, *_ in DEVICES}
    by_day: dict[tuple[int, date], list[dict[str, Any]]] = {}
    for exam in exams:
        if exam["is_performed"] and exam["local_day"].isoweekday() < 6:
            by_day.setdefault((exam["device_key"], exam["local_day"]), []).append(exam)
    for (key, day), found in sorted(by_day.items()):
        ident, site, modality = devices[key]
        common = {
            "month": f"{day:%Y-%m}", "device_id": ident, "device_key": key, "site_key": SITES[site][0], "modality": modality, "date_key": int(f"{day:%Y%m%d}"),
            "local_day": day, "is_staffed": True, "staffed_basis": "configuration",
        }  # fmt: skip
        reached = 480.0
        for exam in sorted(found, key=lambda one: one["room_started_at"]):
            begins, ends = (_minute(exam[name]) for name in ("room_started_at", "room_ended_at"))
            if begins <= reached or ends >= 1080 or ends <= begins:
                continue
            gap = begins - reached
            rows.append(common | _span(reached, begins, "turnover" if gap <= 60 else "idle", 0, None))
            rows.append(
                common
                | _span(begins, ends, "in_use", 1, exam["exam_key"])
                | {"scanning_minutes": ends - begins - 4, "overlap_minutes": 0.0}
            )
            reached = ends
        rows.append(common | _span(reached, 1080.0, "idle", 0, None))
    return rows


def _span(begins: float, ends: float, kind: str, exams: int, exam_key: int | None) -> dict[str, Any]:
    cause = {"turnover": "turnover", "idle": "unfilled"}.get(kind)
    return {
        "start_minute": begins, "end_minute": ends, "minutes": ends - begins, "kind": kind, "cause": cause, "is_bookable": kind == "idle" and ends - begins >= 30, "exams": exams, "exam_key": exam_key,
    }  # fmt: skip


def _minute(at: datetime) -> float:
    local = at.astimezone(ZONE)
    return local.hour * 60 + local.minute + local.second / 60


def _day(rng: random.Random, day: date, exams: int) -> list[dict[str, Any]]:
    busy = exams if day.isoweekday() < 6 else exams // 3
    return [_exam(rng, day, index) for index in range(max(1, busy + rng.randint(-2, 2)))]


def _exam(rng: random.Random, day: date, index: int) -> dict[str, Any]:
    key, _, _, site, modality, *_ = rng.choices(DEVICES, weights=(5, 3, 2, 8, 4, 2))[0]
    choice = rng.randrange(len(PROCEDURES[modality]))
    hour = min(23, max(0, round(rng.gauss(13, 3.4))))
    start = datetime.combine(day, time(hour, rng.randrange(60)), ZONE).astimezone(UTC)
    minutes = MINUTES[modality] * rng.uniform(0.7, 1.5)
    state = rng.choices(
        ("final", "completed", "no_show", "cancelled"),
        weights=(90, 0 if day < LAST_DAY - timedelta(days=2) else 20, 4, 2),
    )[0]
    performed = state in {"final", "completed"}
    slow = 1.7 if modality == "CT" and day >= CHANGE else 1.0
    end = start + timedelta(minutes=minutes)
    final: datetime | None = end + timedelta(minutes=READ[modality] * slow * rng.lognormvariate(0, 0.6))
    if final is not None and final > DATA_TO:
        state, final = ("completed", None) if performed else (state, None)
    times: dict[str, datetime | None] = {
        "ordered": start - timedelta(hours=rng.uniform(1, 80)),
        "scheduled_for": start - timedelta(minutes=rng.uniform(-10, 20)),
    }
    if performed:
        times |= {"arrived": start - timedelta(minutes=rng.uniform(5, 50)), "started": start, "ended": end}
    if state == "final":
        times |= {
            "final": final,
            "charged": None if final is None or rng.random() < 0.04 else final + timedelta(days=1),
        }
    exam_key = (day.toordinal() * 1000 + index) * 7919 - 2**40
    row: dict[str, Any] = {
        "exam_key": exam_key, "month": f"{day:%Y-%m}", "exam_id": f"X{day.toordinal() % 10000}{index:03d}", "site_key": SITES[site][0], "device_key": key if performed else 0,
        "procedure_key": PROCEDURES[modality][choice][0], "protocol_key": PROTOCOLS[modality][choice][0] if performed else 0, "patient_key": 401, "referrer_key": 0,
        "reader_key": 500 + rng.randrange(6) if state == "final" else 0, "technologist_key": 0, "department_key": 601, "payer_key": 0, "date_key": int(f"{day:%Y%m%d}"), "time_key": hour, "local_day": day,
        "modality": modality, "patient_class": rng.choices(("ED", "IP", "OP"), weights=(3, 3, 5))[0], "priority": rng.choices(("stat", "urgent", "routine"), weights=(1, 2, 6))[0], "state": state, "is_performed": performed,
        "has_order": rng.random() > 0.02, "has_images": performed, "has_dose_report": performed and modality in {"CT", "MG"} and rng.random() > 0.05, "has_charge": bool(times.get("charged")), "worklist_used": performed or None,
        "match_rule": "accession", "study_uid": f"2.25.{abs(exam_key)}", "accession_pseudonym": f"a{abs(exam_key)}", "machine_started_at": start if performed else None, "machine_ended_at": end if performed else None,
        "match_confidence": "certain", "acquisition_key": exam_key, "sharers": 1, "moves": 0, "section": "body" if modality in {"CT", "MR"} else "general",
        "slot_at": times["scheduled_for"], "slot_minutes": float(MINUTES[modality]) + 5, "room_started_at": start if performed else None, "room_ended_at": end + timedelta(minutes=4) if performed else None, "room_basis": "modelled" if performed else None,
        "machine_minutes": minutes if performed else None, "series": 1 if performed else 0, "instances": 120 if performed else 0,
        "bytes": 60_000_000 if performed else 0, "age_years": rng.uniform(3, 92), "sex": rng.choice("FM"), "addenda": 0,
    }  # fmt: skip
    for name in MILESTONES:
        at = times.get(name)
        row |= {
            f"{name}_at": at,
            f"{name}_source": "hl7" if at else None,
            f"{name}_confidence": "exact" if at else None,
        }
    return row


def _events(exam: dict[str, Any]) -> list[dict[str, Any]]:
    common = {
        "exam_key": exam["exam_key"],
        "month": exam["month"],
        "site_key": exam["site_key"],
        "precision": "s",
        "source_name": "RIS",
        "file": "feed/day.hl7",
        "position": "message 3",
        "run_id": "run-2",
    }
    made = [
        {
            **common,
            "event": "exam_started",
            "event_at": exam["started_at"],
            "is_chosen": True,
            "source": "dicom",
            "field": "(0008,002A)",
            "digest": f"d{exam['exam_key']}s",
        },
        {
            **common,
            "event": "exam_started",
            "event_at": exam["started_at"] + timedelta(minutes=3),
            "is_chosen": False,
            "source": "hl7",
            "field": "ORC-5",
            "digest": f"d{exam['exam_key']}h",
        },
    ]
    if exam["final_at"]:
        made.append(
            {
                **common,
                "event": "report_final",
                "event_at": exam["final_at"],
                "is_chosen": True,
                "source": "hl7",
                "field": "OBR-22",
                "digest": f"d{exam['exam_key']}f",
            }
        )
    return made


def _series(exam: dict[str, Any]) -> dict[str, Any]:
    return {
        "series_key": exam["exam_key"] + 1, "exam_key": exam["exam_key"], "month": exam["month"], "site_key": exam["site_key"], "device_key": exam["device_key"], "protocol_key": exam["protocol_key"],
        "series_uid": f"{exam['study_uid']}.1", "study_uid": exam["study_uid"], "modality": exam["modality"], "series_text": "Axial", "is_acquired": True, "started_at": exam["started_at"], "ended_at": exam["ended_at"],
        "times_from": "(0008,002A)", "instances": 120, "frames": 120, "bytes": 60_000_000, "file": "images/0001.dcm", "digest": f"s{exam['exam_key']}",
    }  # fmt: skip


def _dose(rng: random.Random, exam: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    is_ct = exam["modality"] == "CT"
    risen = 1.4 if exam["protocol_key"] == 302 and exam["device_key"] == 101 and exam["local_day"] >= CHANGE else 1.0
    dlp = (
        round((950 if exam["protocol_key"] == 301 else 620) * risen * rng.lognormvariate(0, 0.35), 1) if is_ct else None
    )
    ctdivol = round(dlp / (18 if exam["protocol_key"] == 301 else 46), 2) if dlp else None
    agd = None if is_ct else round(rng.lognormvariate(0.5, 0.3), 2)
    stated = [
        {"path": "113822/113830", "column": "ctdivol_mgy", "text": str(ctdivol), "unit": "mGy", "value": ctdivol},
        {"path": "113822/113838", "column": "dlp_mgycm", "text": str(dlp), "unit": "mGy.cm", "value": dlp},
    ]
    common = {
        "exam_key": exam["exam_key"],
        "month": exam["month"],
        "site_key": exam["site_key"],
        "device_key": exam["device_key"],
        "protocol_key": exam["protocol_key"],
    }
    kind = "ct" if is_ct else "mammography"
    number = exam["exam_key"] % 97
    size = 22.0 + number % 15
    event = common | {
        "is_localizer": False, "is_estimate": False, "body_region": "abdomen" if is_ct else "breast", "laterality": None if is_ct else "L", "view": None if is_ct else "CC", "compression_thickness_mm": None if is_ct else 40.0 + number % 30,
        "event_key": exam["exam_key"] + 2, "event_uid": f"{exam['study_uid']}.9", "event_uid_derived": False, "event_kind": kind, "event_number": 1, "started_at": exam["started_at"], "acquisition_protocol": "AbdPel pv",
        "ctdivol_mgy": ctdivol, "ctdi_phantom": ("head16" if exam["protocol_key"] == 301 else "body32") if is_ct else None, "dlp_mgycm": dlp, "agd_mgy": agd, "kvp": 120.0 if is_ct else 29.0,
        "object_class": "rdsr", "object_uid": "2.25.77", "objects": 1, "is_disputed": False, "stated": json.dumps(stated), "file": "dose/report.dcm", "digest": f"e{exam['exam_key']}",
    }  # fmt: skip
    dose = common | {
        "acquisitions": 1, "repeats": 0, "exposure_class": "suspected" if number == IN_DOUBT else "patient", "age_years": 61.0, "age_band": "adult", "weight_kg": 55.0 + number % 40, "weight_band": "50–80 kg" if number % 40 < 25 else "80–110 kg", "is_estimate": False,
        "size_cm": size if is_ct else None, "size_method": "effective diameter" if is_ct else None,
        "dose_kind": kind, "events": 1, "ctdivol_max_mgy": ctdivol, "dlp_mgycm": dlp, "agd_mgy": agd, "dlp_total_mgycm": dlp, "events_stated": 1.0, "headline_value": dlp if is_ct else agd,
        "headline_unit": "mGy·cm" if is_ct else "mGy", "headline_basis": "sum of events", "difference": 0.0, "reports": 1,
    }  # fmt: skip
    return event, dose


def _source(event: dict[str, Any]) -> dict[str, Any]:
    kept = ("event_key", "exam_key", "month", "object_uid", "object_class", "ctdivol_mgy", "dlp_mgycm", "agd_mgy", "file", "digest")  # fmt: skip
    return {name: event[name] for name in kept} | {"object_key": 77, "is_used": True, "object_at": event["started_at"]}


def _runs() -> list[dict[str, Any]]:
    rows = []
    for number, started in ((1, DATA_TO - timedelta(days=1)), (2, DATA_TO)):
        for source, offered in (("dicom", 5200), ("hl7", 9100), ("rdsr", 310), ("unknown", 12)):
            rejected = 3 if source != "unknown" else 0
            ignored = 12 if source == "unknown" else 0
            rows.append({"run_id": f"run-{number}", "source": source, "started_at": started, "finished_at": started + timedelta(seconds=74), "offered": offered, "accepted": offered - rejected - ignored, "duplicate": 0,
                         "rejected": rejected, "not_applicable": ignored, "seconds": 74.0, "code_version": "test", "newest_event_at": started if source != "unknown" else None})  # fmt: skip
    return rows


def _rejects() -> list[dict[str, Any]]:
    texts = (("truncated", "The file ends inside a data element.", "Send the file again from the archive.", "dicom", "(7FE0,0010)"), ("missing-study-uid", "Study Instance UID is absent; every image needs one.", "Ask the vendor of the station.", "dicom", "(0020,000D)"),
             ("bad-time", "OBR-22 is no time of HL7.", "Correct the interface and send the message again.", "hl7", "OBR-22"))  # fmt: skip
    return [
        {
            "digest": f"r{number}",
            "run_id": "run-2",
            "seen_at": DATA_TO,
            "source": source,
            "file": f"inbox/{number:04d}.dcm",
            "position": "message 2" if source == "hl7" else "",
            "field": field,
            "value": "",
            "reason": reason,
            "message": text,
            "remedy": remedy,
            "status": "open",
        }
        for number, (reason, text, remedy, source, field) in enumerate(texts * 5)
    ]


def _date_row(day: date) -> dict[str, Any]:
    return {
        "date_key": int(f"{day:%Y%m%d}"),
        "day": day,
        "week_starts_on": day - timedelta(days=day.weekday()),
        "month_starts_on": day.replace(day=1),
        "quarter": f"{day.year}-Q{(day.month - 1) // 3 + 1}",
        "year": day.year,
        "iso_weekday": day.isoweekday(),
        "is_weekend": day.isoweekday() > 5,
    }


_DTYPES: tuple[tuple[type, Any], ...] = (
    (BigInteger, pl.Int64), (Integer, pl.Int32), (Boolean, pl.Boolean), (DateTime, pl.Datetime("us", "UTC")), (Date, pl.Date), (Double, pl.Float64), (Numeric, pl.Decimal(18, 4)),
)  # fmt: skip


def _written(star: Path, name: str, table: Table, rows: list[dict[str, Any]]) -> TableVersion:
    schema = {
        column.name: next((dtype for sql, dtype in _DTYPES if isinstance(column.type, sql)), pl.Utf8)
        for column in table.columns
    }
    frame = (
        pl.DataFrame([[_utc(row.get(column)) for column in schema] for row in rows], schema=schema, orient="row")
        if rows
        else pl.DataFrame(schema=schema)
    )
    parts = (
        {f"month={key[0]}/": part.drop("month") for key, part in frame.partition_by("month", as_dict=True).items()}
        if table.info["monthly"]
        else {"": frame}
    )
    files = []
    for folder, part in parts.items():
        path = star / name / folder / "part-0.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_parquet(path)
        files.append(str(path.relative_to(star)))
    return TableVersion(0, tuple(files) if rows else (), frame.height)


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
