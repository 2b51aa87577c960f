"""Messages as HL7 v2 text, one file a site, interface and day."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from etl.demo import messages as said
from etl.demo.history import History
from etl.demo.network import SITE_BY_CODE
from etl.demo.procedures import PROCEDURES, SCHEME

AUTHORITY = "MERNET"
"""Assigning authority of the network's patient numbers (PID-3.4, MRG-1.4)."""
VERSIONS = {"ORM": "2.3.1", "ORU": "2.3.1", "OMI": "2.5.1", "SIU": "2.5.1", "ADT": "2.5.1"}
INTERFACES = {"ORM": "orders", "OMI": "orders", "SIU": "schedule", "ORU": "reports", "ADT": "patients"}
APPLICATIONS = {"SIU": "SCHED", "ORU": "REPORT", "ADT": "ADT"}

Row = dict[str, Any]


def write_hl7(history: History, folder: Path, since: datetime) -> int:
    """Writes every message sent since a time; returns how many files."""
    frames = [said.messages(history), said.admissions(history)]
    found = pl.concat(frames, how="diagonal_relaxed").filter(pl.col("sent") >= since).sort("sent", "control_id")
    stations = {device.index: device.station for device in history.fleet}
    files: dict[str, list[str]] = {}
    for row in found.iter_rows(named=True):
        site = SITE_BY_CODE[row["site"]]
        name = f"{site.code.lower()}_{INTERFACES[row['message_type'][:3]]}_{row['sent'].astimezone(site.zone):%Y-%m-%d}.hl7"
        text = message_text(row, stations.get(row["device"], "") if row["device"] is not None else "")
        files.setdefault(name, []).extend([text] * (2 if row["resent"] else 1))
    folder.mkdir(parents=True, exist_ok=True)
    for name, texts in files.items():
        (folder / name).write_bytes("\r\n".join(texts).encode("ascii") + b"\r\n")
    return len(files)


def message_text(row: Row, station: str) -> str:
    """One message, segments ended by carriage returns."""
    kind = row["message_type"][:3]
    make = {"SIU": _appointment, "ADT": _admission, "ORU": _report}.get(kind, _order)
    return "\r".join([_header(row), *make(row, station)]) + "\r"


def _time(row: Row, at: datetime | None) -> str:
    """A time as the sender writes it: wall clock of the site, with the offset where the site writes offsets."""
    if at is None:
        return ""
    site = SITE_BY_CODE[row["site"]]
    return at.astimezone(site.zone).strftime("%Y%m%d%H%M%S%z" if site.hl7_offsets else "%Y%m%d%H%M%S")


def _segment(name: str, fields: dict[int, str]) -> str:
    """A segment from its numbered fields."""
    return "|".join([name, *(fields.get(k, "") for k in range(1, max(fields) + 1))])


def _header(row: Row) -> str:
    kind, trigger = row["message_type"].split("^")
    facility = SITE_BY_CODE[row["site"]].facility
    structure = f"{kind}^{trigger}^{kind}_{trigger}" if VERSIONS[kind] == "2.5.1" else f"{kind}^{trigger}"
    return f"MSH|^~\\&|{APPLICATIONS.get(kind, 'RIS')}|{facility}|ISOCENTER|{facility}|{_time(row, row['sent'])}||{structure}|{row['control_id']}|P|{VERSIONS[kind]}"


def birth_date(year: int, day: int) -> date:
    """The date of birth."""
    return date(year, 1, 1) + timedelta(days=day)


def _patient(row: Row) -> str:
    born = birth_date(row["birth_year"], row["birth_day"])
    return _segment(
        "PID",
        {
            1: "1",
            3: f"{row['patient_id']}^^^{AUTHORITY}^MR",
            5: row["patient_name"],
            7: f"{born:%Y%m%d}",
            8: row["sex"],
        },
    )


def _visit(row: Row) -> str:
    fields = {1: "1", 2: row["patient_class"], 3: f"{row['department']}^^^{SITE_BY_CODE[row['site']].facility}"}
    if row["visit"]:
        fields |= {19: row["visit"], 44: _time(row, row["door"])} if row["door"] else {19: row["visit"]}
    return _segment("PV1", fields)


def _service(row: Row) -> str:
    procedure = PROCEDURES[row["procedure"]]
    return f"{procedure.code}^{procedure.text}^{SCHEME}"


def _section(row: Row) -> str:
    modality: str = row["modality"]
    return said.SECTIONS.get(modality, modality)


def _order(row: Row, station: str) -> list[str]:  # noqa: ARG001
    """ORM^O01, or OMI^O23 with the imaging procedure control segment."""
    control = {
        1: row["order_control"],
        2: row["placer"],
        3: row["accession"],
        5: row["order_status"] or "",
        9: _time(row, row["occurred"]),
        12: row["referrer"],
    }
    if row["reason_code"]:
        control[16] = f"{row['reason_code']}^{row['reason_text']}^DCM"
    request = {1: "1", 2: row["placer"], 3: row["accession"], 4: _service(row), 16: row["referrer"], 24: _section(row)}
    head = [_patient(row), _visit(row), _segment("IN1", {1: "1", 4: row["payer"]})]
    if row["message_type"].startswith("ORM"):
        return [
            *head,
            _segment("ORC", control),
            _segment("OBR", request | _numbers(row) | {27: f"^^^^^{row['priority']}"}),
        ]
    procedure = _segment(
        "IPC",
        {
            1: row["accession"],
            2: said.request_id(row["accession"]),
            3: row["study_uid"],
            4: said.step_id(row["accession"]),
            5: _section(row),
            6: _service(row),
        },
    )
    return [
        *head,
        _segment("ORC", control),
        _segment("TQ1", {1: "1", 9: row["priority"]}),
        _segment("OBR", request),
        procedure,
    ]


def _numbers(row: Row) -> dict[int, str]:
    """Where IHE's form of v2.3.1 puts accession number, requested procedure and scheduled step (RAD TF-2, RAD-4)."""
    return {18: row["accession"], 19: said.request_id(row["accession"]), 20: said.step_id(row["accession"])}


def _report(row: Row, station: str) -> list[str]:  # noqa: ARG001
    """ORU^R01: OBR-7 is when the exam was made, OBR-22 when the report got its status."""
    request = {
        1: "1",
        2: row["placer"],
        3: row["accession"],
        4: _service(row),
        7: _time(row, row["performed"]),
        16: row["referrer"],
        18: row["accession"],
        22: _time(row, row["occurred"]),
        24: _section(row),
        25: row["result_status"],
        27: f"^^^^^{row['priority']}",
        32: row["reader"],
        34: row["technologist"],
    }
    return [
        _patient(row),
        _visit(row),
        _segment("OBR", request),
        _segment("OBX", {1: "1", 2: "TX", 3: "IMP^IMPRESSION", 5: row["text"], 11: row["result_status"]}),
    ]


def _appointment(row: Row, station: str) -> list[str]:
    """SIU: the order's numbers in SCH-26 and SCH-27, the planned time and length in AIS-4 and AIS-7."""
    minutes = f"{row['scheduled_minutes']:.0f}"
    schedule = {
        2: row["appointment"],
        9: minutes,
        10: "MIN^minutes",
        12: row["referrer"],
        25: row["order_status"],
        26: row["placer"],
        27: row["accession"],
    }
    if row["reason_code"]:
        schedule[6] = f"{row['reason_code']}^{row['reason_text']}^L"
    service = {1: "1", 3: _service(row), 4: _time(row, row["planned"]), 7: minutes, 8: "MIN^minutes"}
    return [
        _segment("SCH", schedule),
        _patient(row),
        _visit(row),
        "RGS|1",
        _segment("AIS", service),
        _segment("AIL", {1: "1", 3: station}),
    ]


def _admission(row: Row, station: str) -> list[str]:  # noqa: ARG001
    """ADT; of a merge, PID-3 survives and MRG-1 ends."""
    event = _segment("EVN", {1: row["message_type"][4:], 2: _time(row, row["occurred"])})
    merged = [_segment("MRG", {1: f"{row['merged']}^^^{AUTHORITY}^MR"})] if row["merged"] else []
    return [event, _patient(row), *merged, _visit(row)]
