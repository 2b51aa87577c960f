"""The demo's folder: configuration, files of the last days, and the truth."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import polars as pl

from etl.demo.calendars import write_calendars
from etl.demo.dicom_files import write_images
from etl.demo.dose_rows import headers, reports
from etl.demo.extract_files import write_extracts
from etl.demo.fhir import write_fhir
from etl.demo.history import History
from etl.demo.hl7_files import write_hl7
from etl.demo.rdsr_files import write_reports
from etl.demo.series_rows import series
from etl.demo.settings_text import settings_text
from etl.demo.step_files import write_steps
from etl.demo.truth import write_truth
from etl.demo.worklist import write_worklist


def cut(history: History, file_days: int) -> datetime:
    """The instant from which on things come as files: before it, as landing rows."""
    return datetime.combine(history.until - timedelta(days=file_days), time(0), UTC)


def write_files(history: History, folder: Path, file_days: int) -> dict[str, int]:
    """Writes what was sent in the last days as real files; returns how many of each kind."""
    since, images = cut(history, file_days), series(history)
    late = pl.col("sent_at") >= since
    stated = reports(history)
    return {
        "images": write_images(images.filter(late), headers(history, images).filter(late), folder / "dicom"),
        "reports": write_reports(stated.filter(pl.col("sent_at").min().over("report") >= since), folder / "dicom"),
        "steps": write_steps(history, folder / "mpps", since),
        "worklist": write_worklist(history, folder / "worklist", since),
        "calendars": write_calendars(history, folder / "calendars", since),
        "resources": write_fhir(history, folder / "fhir", since),
        "messages": write_hl7(history, folder / "hl7", since),
        "extracts": write_extracts(history, folder / "extracts", since),
    }


def write_demo(out: Path, history: History, file_days: int) -> dict[str, int]:
    """Writes `isocenter.toml`, `files/`, `truth.json` and `truth_events.parquet`; returns how many files of each kind."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "isocenter.toml").write_text(settings_text(history.fleet), encoding="utf-8")
    counts = write_files(history, out / "files", file_days)
    write_truth(history, series(history), out)
    return counts
