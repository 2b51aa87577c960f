"""The clinic's second feed: FHIR R4 resources as its record system exports them each night, files and landing rows.

They tell of the last days what the messages tell too (orders, appointments, reports), so that nothing changes by them but
that a second source says the same. All names are identifiers of the order: nothing has to be looked up elsewhere.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from etl.demo import messages as said
from etl.demo.history import History
from etl.demo.network import SITE_BY_CODE
from etl.demo.procedures import PROCEDURES, SCHEME
from etl.lake.schema import EVENT

SITE, DAYS = "CLINIC", 3
EXPORT_TIME = time(23, 30)
"""Of the UTC day; what changed later comes with the next night."""
PRIORITIES = {"S": "stat", "A": "urgent", "R": "routine"}
REPORTS = {"P": "preliminary", "F": "final", "C": "corrected", "A": "appended"}
"""Result status of the message to `DiagnosticReport.status`."""
APPOINTMENTS = {"SIU^S12": "booked", "SIU^S13": "booked", "SIU^S15": "cancelled", "SIU^S26": "noshow"}
"""Message to `Appointment.status`."""
EVENTS = {
    "ServiceRequest": (("order_placed", "occurred", "authoredOn"),),
    "booked": (("scheduling_done", "created", "created"), ("exam_scheduled_for", "planned", "start")),
    "noshow": (("patient_no_show", "occurred", "meta.lastUpdated"),),
    "cancelled": (("order_cancelled", "occurred", "meta.lastUpdated"),),
    "preliminary": (("report_preliminary", "occurred", "issued"),),
    "final": (("report_final", "occurred", "issued"),),
    "corrected": (("report_corrected", "occurred", "issued"),),
    "appended": (("report_addendum", "occurred", "issued"),),
}
"""Resource or status to event, column and element."""

Row = dict[str, Any]


@lru_cache(maxsize=1)
def resources(history: History) -> pl.DataFrame:
    """One row a resource and change, with `type`, `id`, `status` and the export `sent_at` that has it."""
    until = datetime.combine(history.until, time(0), UTC)
    exports = [datetime.combine(history.until - timedelta(days=n), EXPORT_TIME, UTC) for n in range(DAYS, 0, -1)]
    kind = pl.col("message_type")
    created = history.appointments.group_by("exam").agg(created=pl.col("booked_at").min())
    told = said.messages(history).filter(
        (pl.col("site") == SITE)
        & (pl.col("occurred") > exports[0] - timedelta(days=1))
        & (pl.col("occurred") <= exports[-1])
        & (pl.col("sent") < until)
    )
    wanted = (pl.col("order_control") == "NW") | kind.is_in(list(APPOINTMENTS)) | (kind == "ORU^R01")
    found = told.filter(wanted.fill_null(value=False)).join(created, on="exam", how="left", maintain_order="left")
    sent = pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    for at in reversed(exports):
        sent = pl.when(pl.col("occurred") <= at).then(pl.lit(at, dtype=pl.Datetime("us", "UTC"))).otherwise(sent)
    number = pl.col("exam").cast(pl.Utf8)
    report, booking = kind == "ORU^R01", kind.str.starts_with("SIU")
    return found.with_columns(
        sent_at=sent,
        type=pl.when(report)
        .then(pl.lit("DiagnosticReport"))
        .when(booking)
        .then(pl.lit("Appointment"))
        .otherwise(pl.lit("ServiceRequest")),
        id=pl.when(report)
        .then(pl.concat_str(pl.lit("dr"), number))
        .when(booking)
        .then("appointment")
        .otherwise(pl.concat_str(pl.lit("sr"), number)),
        status=pl.when(report)
        .then(pl.col("result_status").replace_strict(REPORTS, default=None, return_dtype=pl.Utf8))
        .when(booking)
        .then(kind.replace_strict(APPOINTMENTS, default=None, return_dtype=pl.Utf8))
        .otherwise(pl.lit("active")),
    ).sort("sent_at", "type", "occurred", "exam")


# --- files ------------------------------------------------------------------------------------------------------------


def write_fhir(history: History, folder: Path, since: datetime) -> int:
    """Writes the exports of every night since a time, one NDJSON file a type; returns how many files."""
    stations = {device.index: device.station for device in history.fleet}
    files: dict[str, list[str]] = {}
    for row in resources(history).filter(pl.col("sent_at") >= since).iter_rows(named=True):
        day: date = row["sent_at"].date()
        files.setdefault(f"clinic_{row['type'].lower()}_{day}.ndjson", []).append(
            json.dumps(_resource(row, stations), separators=(",", ":"))
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(files)


def _resource(row: Row, stations: dict[int, str]) -> Row:
    make = {"ServiceRequest": _request, "Appointment": _appointment, "DiagnosticReport": _report}[row["type"]]
    return {
        "resourceType": row["type"],
        "id": row["id"],
        "meta": {"lastUpdated": _instant(row["occurred"])},
        "identifier": [_identifier("ACSN", row["accession"])],
        "status": row["status"],
        **make(row, stations),
    }


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _identifier(kind: str, value: str) -> Row:
    """An identifier typed by HL7 table 0203."""
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": kind}
    return {"type": {"coding": [coding]}, "value": value}


def _concept(row: Row) -> Row:
    procedure = PROCEDURES[row["procedure"]]
    return {"coding": [{"system": SCHEME, "code": procedure.code, "display": procedure.text}], "text": procedure.text}


def _imaging() -> list[Row]:
    return [{"coding": [{"system": "http://snomed.info/sct", "code": "363679005", "display": "Imaging"}]}]


def _patient(row: Row) -> Row:
    return {"type": "Patient", "identifier": _identifier("MR", row["patient_id"])}


def _site() -> Row:
    return {"display": SITE_BY_CODE[SITE].institution}


def _based_on(row: Row) -> list[Row]:
    return [{"type": "ServiceRequest", "identifier": _identifier("PLAC", row["placer"])}]


def _request(row: Row, stations: dict[int, str]) -> Row:  # noqa: ARG001
    return {
        "identifier": [_identifier("ACSN", row["accession"]), _identifier("PLAC", row["placer"])],
        "intent": "order",
        "category": _imaging(),
        "priority": PRIORITIES[row["priority"]],
        "code": _concept(row),
        "subject": _patient(row),
        "authoredOn": _instant(row["occurred"]),
        "requester": {"type": "Practitioner", "identifier": {"value": row["referrer"]}},
        "performer": [_site()],
    }


def _appointment(row: Row, stations: dict[int, str]) -> Row:
    made = {
        "serviceCategory": _imaging(),
        "serviceType": [_concept(row)],
        "start": _instant(row["planned"]),
        "minutesDuration": int(row["scheduled_minutes"]),
        "created": _instant(row["created"]),
        "basedOn": _based_on(row),
        "participant": [
            {"actor": _patient(row), "status": "accepted"},
            {"actor": {"type": "Device", "display": stations[row["device"]]}, "status": "accepted"},
            {"actor": {"type": "Location", "display": SITE_BY_CODE[SITE].institution}, "status": "accepted"},
        ],
    }
    if row["status"] == "cancelled":
        coding = {"code": row["reason_code"], "display": row["reason_text"]}
        made["cancelationReason"] = {"coding": [coding], "text": row["reason_text"]}
    return made


def _report(row: Row, stations: dict[int, str]) -> Row:  # noqa: ARG001
    return {
        "basedOn": _based_on(row),
        "category": _imaging(),
        "code": _concept(row),
        "subject": _patient(row),
        "effectiveDateTime": _instant(row["performed"]),
        "issued": _instant(row["occurred"]),
        "performer": [_site()],
        "resultsInterpreter": [{"type": "Practitioner", "identifier": {"value": row["reader"]}}],
        "conclusion": row["text"],
    }


# --- landing rows -----------------------------------------------------------------------------------------------------


def fhir_rows(history: History) -> pl.DataFrame:
    """Resources as `workflow` rows, as `etl.sources.fhir` gives them; identifiers still in the clear."""
    found = resources(history)
    stations = {device.index: device.station for device in history.fleet}
    codes, texts = {i: p.code for i, p in enumerate(PROCEDURES)}, {i: p.text for i, p in enumerate(PROCEDURES)}
    digests = {text: sha256(text.encode()).hexdigest() for text in found["text"].drop_nulls().unique().to_list()}
    name = pl.concat_str("type", pl.lit("/"), "id")
    request, booking, report = (
        pl.col("type") == kind for kind in ("ServiceRequest", "Appointment", "DiagnosticReport")
    )
    cancelled = pl.col("status") == "cancelled"
    return found.select(
        "exam",
        "site",
        "sent_at",
        "accession",
        "placer",
        source=pl.lit("fhir"),
        source_name=pl.lit(""),
        message_type="type",
        stated_at="occurred",
        filler=pl.when(request).then(name),
        procedure_request=name,
        appointment=pl.when(booking).then(name),
        patient="patient_id",
        imaging=pl.lit(True),
        order_status="status",
        result_status=pl.when(report).then("status"),
        procedure_code=pl.col("procedure").replace_strict(codes, return_dtype=pl.Utf8),
        procedure_scheme=pl.lit(SCHEME),
        procedure_text=pl.col("procedure").replace_strict(texts, return_dtype=pl.Utf8),
        priority=pl.when(request).then(pl.col("priority").replace_strict(PRIORITIES)),
        referrer=pl.when(request).then("referrer"),
        reader=pl.when(report).then("reader"),
        scheduled_minutes=pl.when(booking).then("scheduled_minutes"),
        station=pl.when(booking).then(pl.col("device").replace_strict(stations, default=None, return_dtype=pl.Utf8)),
        reason_code=pl.when(cancelled).then("reason_code"),
        reason_text=pl.when(cancelled).then("reason_text"),
        text_digest=pl.when(report).then(pl.col("text").replace_strict(digests, default=None, return_dtype=pl.Utf8)),
        flags=pl.lit([], dtype=pl.List(pl.Utf8)),
        events=_events(),
        row_key=pl.concat_str(pl.lit("fhir"), "control_id"),
    )


def _events() -> pl.Expr:
    """The times of each resource in the order of the reader."""
    found = pl.lit([], dtype=pl.List(EVENT))
    for key, steps in EVENTS.items():
        made = [
            pl.struct(
                pl.lit(event).alias("event"),
                pl.col(column).alias("at"),
                pl.lit("s").alias("precision"),
                pl.concat_str("type", pl.lit(f".{element}")).alias("field"),
            ).cast(EVENT)
            for event, column, element in (EVENTS["booked"] + steps if key in ("noshow", "cancelled") else steps)
        ]
        holds = (pl.col("type") == key) | ((pl.col("status") == key) & (pl.col("type") != "ServiceRequest"))
        found = pl.when(holds).then(pl.concat_list(made)).otherwise(found)
    return found
