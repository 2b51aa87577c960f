"""Dose reports: from files to the lake beside a walk over the same content trees by pydicom's attributes."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from time import process_time

import polars as pl
from _compare import Comparison, arguments, in_turns, scratch, seconds, show
from _landing import landing
from pydicom import dcmread
from pydicom.dataset import Dataset

from etl.demo import simulate
from etl.demo.dose_rows import reports
from etl.demo.rdsr_files import write_reports

EVENTS = 12
"""Exposures of a report, so that it has the thousands of elements that those of scanners have."""


def main() -> None:
    """Prints the table."""
    scale = 1.0 if arguments(__doc__).full else 0.06
    with scratch() as folder:
        stated = reports(simulate(seed=1, scale=scale, until=date(2026, 11, 1), days=30))
        place = pl.int_range(pl.len()).over("kind") // EVENTS
        count = write_reports(stated.with_columns(report=pl.format("{} {}", "kind", place)), folder)
        ours, beside = in_turns(2, landing(folder), seconds(lambda: _walk_all(folder), process_time))
        show(
            Comparison(
                "dose reports, file to lake, a core",
                f"{count / ours:,.0f}/s",
                f"pydicom, every item, {count / beside:,.0f}/s",
                beside / ours,
                at_least=10,
            )
        )


def _walk_all(folder: Path) -> None:
    for file in folder.rglob("*.dcm"):
        for item in dcmread(file).ContentSequence:
            _walk(item)


def _walk(item: Dataset) -> None:
    """Reads what an item says, as a program does that goes through a report by names of attributes."""
    if "ConceptNameCodeSequence" in item:
        _code(item.ConceptNameCodeSequence[0])
    match item.ValueType:
        case "NUM":
            for measured in item.MeasuredValueSequence:
                str(measured.NumericValue)
                _code(measured.MeasurementUnitsCodeSequence[0])
        case "CODE":
            _code(item.ConceptCodeSequence[0])
        case "TEXT" | "UIDREF" | "DATETIME":
            str(item.get({"TEXT": "TextValue", "UIDREF": "UID", "DATETIME": "DateTime"}[item.ValueType]))
    for child in item.get("ContentSequence", ()):
        _walk(child)


def _code(item: Dataset) -> tuple[str, str, str]:
    return item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning


if __name__ == "__main__":
    main()
