"""Landing rows of some components to rows of the facts: a pure function, so that any order of arrival gives the same."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from etl.lake.schema import LANDING
from etl.lake.store import SCHEMAS
from etl.star import dose, exams, milestones
from etl.star.matching import match
from etl.star.series import exam_series, machine_candidates, machine_time
from settings import Settings
from warehouse.arrow import conform
from warehouse.schema import FACTS_BY_MONTH


@dataclass(frozen=True)
class Landed:
    """Landing rows of some components, each digest once."""

    series: pl.DataFrame
    irradiation_event: pl.DataFrame
    dose_report: pl.DataFrame
    workflow: pl.DataFrame

    @classmethod
    def of(cls, frames: dict[str, pl.DataFrame]) -> Landed:
        """From frames by landing table; absent tables are empty."""
        return cls(
            **{
                name: frames.get(name, pl.DataFrame(schema=SCHEMAS[name])).unique("digest", keep="first").sort("digest")
                for name in LANDING
                if name != "patient"
            }
        )


def derive(landed: Landed, survivors: dict[str, str], settings: Settings) -> dict[str, pl.DataFrame]:
    """The monthly facts of the rows, each in the columns of `warehouse/schema.py`.

    Args:
        survivors: pseudonym to the one that it was merged into.
    """
    matches = match(landed.workflow, landed.series, landed.irradiation_event, landed.dose_report)
    series = exam_series(landed.series, matches.imaging)
    times = machine_time(series)
    found = milestones.choose(
        milestones.candidates(landed.workflow, machine_candidates(times, matches.imaging), matches.workflow)
    )
    events = dose.irradiation_events(landed.irradiation_event, matches.imaging)
    doses = dose.exam_doses(events, landed.dose_report, matches.imaging, landed.irradiation_event)
    said, imaged = exams.statements(landed.workflow, matches.workflow), exams.images(series)
    dosed = exams.dosed(events, doses, landed.dose_report, matches.imaging)
    whole = exams.joined_exams(said, imaged, dosed).select(
        "exam_key", "image_rule", "dose_kind", "says_imaging", "says_other"
    )
    imaging = whole.filter(
        pl.col("image_rule").is_not_null()
        | pl.col("dose_kind").is_not_null()
        | exams.is_imaging(settings.hl7.imaging_when_unstated)
    ).select("exam_key")
    found, said = found.join(imaging, on="exam_key"), said.join(imaging, on="exam_key")
    performed = _performed(whole.join(imaging, on="exam_key"), found)
    exam = exams.fact_exam(
        said,
        imaged,
        dosed,
        times,
        milestones.milestones(found),
        milestones.states(found, performed).join(performed.select("exam_key", "is_performed"), on="exam_key"),
        survivors,
        settings,
    )
    place = exam.select("exam_key", "month", "site_key")
    doses = doses.drop("month", "site_key", strict=False)
    facts = {
        "fact_exam": exam,
        "fact_exam_event": found.join(place, on="exam_key"),
        "fact_series": series.drop("month").with_columns(instances=pl.col("instance_count")).join(place, on="exam_key"),
        "fact_irradiation_event": events.drop("month")
        .with_columns(
            stated=dose.stated_json(events["stated"]),
            flags=pl.when(pl.col("flags").list.len() > 0).then(pl.col("flags").list.join("; ")),
        )
        .join(place, on="exam_key"),
        "fact_exam_dose": doses.join(place, on="exam_key"),
    }
    return {name: conform(name, facts[name]) for name in FACTS_BY_MONTH}


def _performed(whole: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Which exams took place: images, dose, a start or end, or a report say so."""
    done = found.filter(
        pl.col("event").is_in(
            [
                "exam_started",
                "exam_completed",
                "read_started",
                "report_preliminary",
                "report_final",
                "report_corrected",
                "report_addendum",
            ]
        )
    )
    keys = done.select("exam_key").unique().with_columns(stated=pl.lit(value=True))
    has_images = pl.col("image_rule").is_not_null()
    return whole.join(keys, on="exam_key", how="left").select(
        "exam_key",
        (has_images | pl.col("dose_kind").is_not_null() | pl.col("stated").fill_null(value=False)).alias(
            "is_performed"
        ),
        has_images.alias("has_images"),
    )
