"""`dose-survey`: the exams of one standard exam as national surveys and registries ask for them, with a check.

One line an exam of an adult or child without any identifier: month, maker, model, age, weight, size, output, dose and
acquisitions. What surveys refuse is said first: too few exams, missing weights, unknown phantoms, two phantoms in one exam.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import polars as pl
from sqlalchemy import and_, select

from insights.commands.command import Command, day, star_of
from settings import Settings
from warehouse.dose_groups import standard_code
from warehouse.dosimetry.icrp135 import SMALLEST_SAMPLE
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.schema import dim_device, dim_procedure, dim_protocol, fact_exam, fact_exam_dose
from warehouse.scope import EVERYTHING

_exam, _dose = fact_exam.c, fact_exam_dose.c


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("standard", help="code of the standard exam, as CT-HEAD-WO")
    parser.add_argument("--from", dest="first", type=day, required=True, metavar="DATE", help="first day")
    parser.add_argument("--to", dest="last", type=day, required=True, metavar="DATE", help="last day")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the CSV file")


def survey_rows(star: Star, standard: str, filters: Filters) -> pl.DataFrame:
    """Exams of patients of a standard exam, ordered by what they say and by nothing that tells who they are."""
    query = (
        select(
            dim_device.c.manufacturer, dim_device.c.model, _exam.month.label("exam_month"), _dose.age_years, _dose.weight_kg, _dose.height_m, _dose.size_cm, _dose.size_method,
            _dose.ctdivol_max_mgy, _dose.dlp_mgycm, _dose.dlp_head16_mgycm, _dose.dlp_body32_mgycm, _dose.ssde_max_mgy, _dose.dap_exam_gycm2, _dose.rp_exam_mgy, _dose.agd_mgy, _dose.activity_mbq, _dose.acquisitions,
        )
        .select_from(
            fact_exam_dose.join(fact_exam, and_(_dose.exam_key == _exam.exam_key, _dose.month == _exam.month)).join(dim_protocol, _dose.protocol_key == dim_protocol.c.protocol_key)
            .join(dim_procedure, _exam.procedure_key == dim_procedure.c.procedure_key).join(dim_device, _dose.device_key == dim_device.c.device_key)
        )
        .where(filters.clauses(fact_exam_dose, EVERYTHING), _dose.exposure_class == "patient", standard_code == standard)
    )  # fmt: skip
    frame = star.frame(query).with_columns(pl.col("age_years").floor())
    return frame.sort(frame.columns, nulls_last=True)


def doubts(frame: pl.DataFrame) -> list[str]:
    """What a survey would ask about, in words."""
    found = []
    if frame.height < SMALLEST_SAMPLE:
        found.append(f"{frame.height} exams: surveys ask for {SMALLEST_SAMPLE} at least")
    both = frame.filter((pl.col("dlp_head16_mgycm") > 0) & (pl.col("dlp_body32_mgycm") > 0)).height
    if both:
        found.append(f"{both} exams have doses of both phantoms: their DLP is no single quantity")
    unknown = frame.filter(
        (pl.col("dlp_mgycm") > 0) & pl.col("dlp_head16_mgycm").is_null() & pl.col("dlp_body32_mgycm").is_null()
    ).height
    if unknown:
        found.append(f"{unknown} exams name no phantom")
    missing = frame["weight_kg"].null_count()
    if missing:
        found.append(f"{missing} of {frame.height} exams have no weight")
    return found


def _run(options: argparse.Namespace, settings: Settings) -> int:
    if options.last < options.first:
        print(f"--from {options.first} is after --to {options.last}", file=sys.stderr)
        return 2
    frame = survey_rows(star_of(settings), options.standard, Filters(options.first, options.last))
    if frame.is_empty():
        print(f"no exam of {options.standard} from {options.first} to {options.last}; see the protocol dictionary", file=sys.stderr)  # fmt: skip
        return 1
    kept = [name for name in frame.columns if frame[name].drop_nulls().len()]
    with options.out.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\r\n")
        writer.writerow(kept)
        writer.writerows(frame.select(kept).iter_rows())
    print(f"{options.out}: {frame.height} exams")
    asked = doubts(frame)
    for words in asked:
        print(words)
    return 1 if asked else 0


DOSE_SURVEY = Command("dose-survey", "exams of a standard exam for a national survey or registry, with a check", _arguments, _run)  # fmt: skip
