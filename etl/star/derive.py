"""Landing rows of some components to rows of the facts: a pure function, so that any order of arrival gives the same."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from etl.lake.schema import LANDING
from etl.lake.store import SCHEMAS
from etl.star import dose_events, dose_exams, exams, milestones
from etl.star.appointments import fact_appointment, slots
from etl.star.matching import match
from etl.star.series import acquisitions, exam_series, machine_time
from settings import Settings
from warehouse.arrow import conform
from warehouse.schema import EXAM_FACTS

OFFSETS = {"device_id": pl.Utf8, "local_day": pl.Date, "applied_s": pl.Float64}
STATIONS = {"site": pl.Utf8, "station": pl.Utf8, "device_key": pl.Int64}


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
                if name in cls.__annotations__
            }
        )


@dataclass(frozen=True)
class Known:
    """What is known besides the rows: from the whole lake, from people, from the configuration."""

    settings: Settings
    survivors: dict[str, str] = field(default_factory=dict)
    """Pseudonym to the one that it was merged into."""
    offsets: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=OFFSETS))
    """Corrections of scanners' clocks."""
    stations: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=STATIONS))
    """Which device a station name or AE title means."""
    excluded: frozenset[int] = frozenset()
    """Exams that people took out of all measures."""
    exposure_classes: dict[int, str] = field(default_factory=dict)
    """Exams of which people said whose exposure they were: patient, phantom or service."""

    @property
    def zones(self) -> dict[str, str]:
        """Site code to IANA zone."""
        return {site.code: site.time_zone for site in self.settings.sites}


def derive(landed: Landed, known: Known) -> dict[str, pl.DataFrame]:
    """The monthly facts of the rows, each in the columns of `warehouse/schema.py`."""
    settings = known.settings
    matches = match(
        landed.workflow,
        landed.series,
        landed.irradiation_event,
        landed.dose_report,
        settings.matching.proximity_minutes,
    )
    series = exam_series(landed.series, matches.imaging)
    times = machine_time(series, known.offsets, known.zones)
    found = milestones.choose(milestones.candidates(landed.workflow, times, matches.workflow))
    events = dose_events.irradiation_events(landed.irradiation_event, matches.imaging)
    sources = dose_events.dose_sources(landed.irradiation_event, matches.imaging, events)
    doses = dose_exams.exam_doses(events, landed.dose_report, matches.imaging, landed.irradiation_event)
    said, imaged = exams.statements(landed.workflow, matches.workflow), exams.images(series)
    dosed = exams.dosed(events, doses, landed.dose_report, matches.imaging)
    whole = exams.joined_exams(said, imaged, dosed).select(
        "exam_key", "image_rule", "dose_kind", "says_imaging", "says_other"
    )
    whole = whole.filter(
        pl.col("image_rule").is_not_null()
        | pl.col("dose_kind").is_not_null()
        | exams.is_imaging(settings.hl7.imaging_when_unstated)
    )
    imaging = whole.select("exam_key")
    found, said = found.join(imaging, on="exam_key"), said.join(imaging, on="exam_key")
    performed = _performed(whole, found)
    booked = slots(found, landed.workflow)
    steps = landed.workflow.select("digest", "step_uid").drop_nulls().join(matches.workflow, on="digest")
    parts = exams.Parts(
        said,
        imaged,
        dosed,
        times,
        acquisitions(series, steps),
        milestones.milestones(found).join(milestones.reasons(found), on="exam_key", how="left"),
        milestones.states(found, performed).join(performed.select("exam_key", "is_performed"), on="exam_key"),
        booked,
    )
    exam = exams.fact_exam(parts, known.survivors, known.excluded, settings)
    place = exam.select("exam_key", "month", "site_key")
    doses = dose_exams.of_patients(
        doses.drop("month", "site_key", strict=False), exam, events, known.exposure_classes, settings.dose
    )
    facts = {
        "fact_exam": exam,
        "fact_exam_event": found.join(place, on="exam_key"),
        "fact_appointment": fact_appointment(
            booked, exam, known.stations, known.zones, settings.utilization.late_cancel_hours
        ),
        "fact_series": series.drop("month").with_columns(instances=pl.col("instance_count")).join(place, on="exam_key"),
        "fact_irradiation_event": dose_events.written(events).drop("month").join(place, on="exam_key"),
        "fact_dose_source": sources.drop("month").join(place.select("exam_key", "month"), on="exam_key"),
        "fact_exam_dose": doses.join(place, on="exam_key"),
    }
    return {name: conform(name, facts[name]) for name in EXAM_FACTS}


def _performed(whole: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Which exams took place: images, dose, a start or end, or a report say so."""
    done = found.filter(
        pl.col("passed_over").is_null()
        & pl.col("event").is_in(
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
