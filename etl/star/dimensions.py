"""The dimensions, from what the lake has shown and the configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time, timedelta

import polars as pl

from etl.star import naturals
from etl.star.decided import Decided
from etl.star.index import LakeIndex
from etl.star.keys import key64, key_column, with_key
from etl.star.sections import sections
from etl.star.site_time import date_key
from settings import Settings
from state.decisions import DecisionKind
from warehouse.dosimetry import tables
from warehouse.schema import UNKNOWN
from warehouse.volume_plan import planned_days

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def dimensions(
    index: LakeIndex, settings: Settings, found_devices: pl.DataFrame, decided: Decided, first_day: date, last_day: date
) -> dict[str, pl.DataFrame]:
    """All dimensions by table name; the row for unknown stands in each. And the volume plan, which people enter as well.

    Args:
        found_devices: `devices`.
    """
    plan = planned_days(decided.volume_plan, {site.code: key64("site", site.code) for site in settings.sites})
    planned_first, planned_last = plan["local_day"].min(), plan["local_day"].max()
    if isinstance(planned_first, date) and isinstance(planned_last, date):
        first_day, last_day = min(first_day, planned_first), max(last_day, planned_last)
    return {
        "dim_date": _dates(first_day, last_day),
        "dim_time": _times(),
        "dim_site": _sites(settings),
        "dim_device": found_devices,
        "dim_procedure": _procedures(index, settings, decided),
        "dim_protocol": _protocols(index, decided),
        "dim_patient": _patients(index, decided),
        "dim_provider": _providers(index),
        "dim_department": _named(index, "department"),
        "dim_payer": _named(index, "payer"),
        "dim_reading_hours": _reading_hours(settings),
        "dim_turnaround_target": _turnaround_targets(settings),
        "dim_reference_level": pl.concat(
            [
                tables.shipped_reference_levels(),
                tables.reference_levels(decided.dose_tables(tables.REFERENCE_LEVELS), "imported"),
            ]
        ).unique("level_key", keep="first", maintain_order=True),
        "dim_dose_coefficient": tables.coefficients(decided.dose_tables(tables.COEFFICIENTS)),
        "dim_activity_plan": tables.activity_plans(decided.dose_tables(tables.ACTIVITY_PLANS)),
        "dim_expected_range": decided.expected_ranges,
        "fact_planned_volume": plan,
    }


def _dates(first: date, last: date) -> pl.DataFrame:
    days = pl.DataFrame({"day": pl.date_range(first, last, eager=True)})
    day = pl.col("day")
    known = days.select(
        date_key(day).alias("date_key"),
        day,
        day.dt.truncate("1w").alias("week_starts_on"),
        day.dt.truncate("1mo").alias("month_starts_on"),
        pl.format("{}-Q{}", day.dt.year(), day.dt.quarter()).alias("quarter"),
        day.dt.year().alias("year"),
        day.dt.weekday().cast(pl.Int32).alias("iso_weekday"),
        (day.dt.weekday() > 5).alias("is_weekend"),
    )
    return pl.concat([pl.DataFrame({"date_key": [0]}, schema={"date_key": pl.Int32}), known], how="diagonal")


def _times() -> pl.DataFrame:
    shifts = [("night" if hour < 7 else "day" if hour < 19 else "evening") for hour in range(24)]
    return pl.DataFrame(
        {"time_key": [-1, *range(24)], "hour": [None, *range(24)], "shift": ["unknown", *shifts]},
        schema={"time_key": pl.Int32, "hour": pl.Int32, "shift": pl.Utf8},
    )


def _sites(settings: Settings) -> pl.DataFrame:
    rows = [(UNKNOWN, "?", "Unknown site", "UTC")] + [
        (key64("site", site.code), site.code, site.name, site.time_zone) for site in settings.sites
    ]
    return pl.DataFrame(
        rows,
        schema={"site_key": pl.Int64, "site_code": pl.Utf8, "site_name": pl.Utf8, "time_zone": pl.Utf8},
        orient="row",
    )


def _observed(index: LakeIndex, kind: str, attributes: Mapping[str, pl.DataType | type[pl.DataType]]) -> pl.DataFrame:
    seen = index.observed(kind)
    fields = (
        seen["attributes"].str.json_decode(pl.Struct(dict(attributes)))
        if seen.height
        else pl.Series("attributes", [], dtype=pl.Struct(dict(attributes)))
    )
    return seen.drop("attributes").with_columns(fields).unnest("attributes")


def devices(index: LakeIndex) -> pl.DataFrame:
    """Every version of every device that was seen, in the columns of `dim_device`."""
    text = dict.fromkeys(("identity", "site", "manufacturer", "model", "serial", "station", "software"), pl.Utf8)
    seen = _observed(index, "device", text)
    modality = (
        _observed(index, "device_modality", {"identity": pl.Utf8, "modality": pl.Utf8, "rank": pl.Int64})
        .filter(pl.col("modality").is_not_null())
        .sort("identity", "rank", pl.col("first_at").dt.epoch("us").fill_null(2**62), "modality")
        .unique("identity", keep="first", maintain_order=True)
        .select("identity", "modality")
    )
    versions = seen.join(modality, on="identity", how="left").sort(
        "identity", pl.col("first_at").dt.epoch("us").fill_null(0), "key"
    )
    last = pl.col("last_at").dt.epoch("us").fill_null(0)
    versions = versions.with_columns(
        valid_to=pl.col("first_at").shift(-1).over("identity"),
        is_current=pl.struct(last, "key").rank("ordinal", descending=True).over("identity") == 1
        if versions.height
        else pl.lit(value=True),
    )
    named = versions.select(
        pl.col("key").alias("device_key"),
        naturals.device_ids(versions["identity"]),
        pl.coalesce(
            pl.when(pl.col("station") != "").then(pl.col("station")),
            pl.concat_str([pl.col("model"), pl.col("serial")], separator=" ", ignore_nulls=True),
        ).alias("device_name"),
        key_column("site", versions["site"]).fill_null(UNKNOWN).alias("site_key"),
        "modality",
        "manufacturer",
        "model",
        "serial",
        "station",
        "software",
        pl.col("first_at").alias("valid_from"),
        pl.col("last_at").alias("last_seen"),
        "valid_to",
        "is_current",
    )
    unknown = pl.DataFrame(
        {
            "device_key": [UNKNOWN],
            "device_id": ["unknown"],
            "device_name": ["Unknown device"],
            "site_key": [UNKNOWN],
            "is_current": [True],
        }
    )
    return pl.concat([unknown, named], how="diagonal")


def _procedures(index: LakeIndex, settings: Settings, decided: Decided) -> pl.DataFrame:
    seen = _observed(index, "procedure", {"code": pl.Utf8, "scheme": pl.Utf8})
    told = _observed(index, "procedure_modality", {"procedure": pl.Utf8, "modality": pl.Utf8, "text": pl.Utf8})
    told = told.with_columns(key_column("procedure", told["procedure"]).alias("key_of"))
    early = pl.col("first_at").dt.epoch("us").fill_null(2**62)
    texts = (
        told.filter(pl.col("text").is_not_null() & (pl.col("text") != ""))
        .sort("key_of", early, "text")
        .unique("key_of", keep="first", maintain_order=True)
        .select(pl.col("key_of").alias("key"), "text")
    )
    modalities = (
        told.filter(pl.col("modality").is_not_null())
        .sort("key_of", early, "modality")
        .unique("key_of", keep="first", maintain_order=True)
        .select(pl.col("key_of").alias("key"), "modality")
    )
    stated = (
        _observed(index, "procedure_standard", {"procedure": pl.Utf8, "code": pl.Utf8, "scheme": pl.Utf8})
        .sort(early, "scheme", "code")
        .unique("procedure", keep="first", maintain_order=True)
    )
    stated = stated.select(
        key_column("procedure", stated["procedure"]).alias("key"),
        pl.col("code").alias("stated_code"),
        pl.col("scheme").alias("stated_scheme"),
    )
    named = (
        seen.join(texts, on="key", how="left")
        .join(modalities, on="key", how="left")
        .join(stated, on="key", how="left")
        .join(decided.mapping(DecisionKind.MAP_PROCEDURE), on="key", how="left")
        .sort("key")
        .select(
            pl.col("key").alias("procedure_key"),
            pl.col("code").alias("procedure_code"),
            pl.col("scheme").alias("procedure_scheme"),
            pl.col("text").alias("procedure_text"),
            "modality",
            "stated_code",
            "stated_scheme",
            "standard_code",
            "standard_scheme",
            "standard_name",
            pl.col("mapping_status").fill_null("unmapped"),
        )
    )
    named = named.with_columns(sections(named, "procedure_code", "procedure_text", "modality", settings.subspecialties))
    unknown = pl.DataFrame(
        {"procedure_key": [UNKNOWN], "procedure_text": ["Unknown procedure"], "mapping_status": ["unmapped"]}
    )
    return pl.concat([unknown, named], how="diagonal")


def _protocols(index: LakeIndex, decided: Decided) -> pl.DataFrame:
    named = (
        _observed(index, "protocol", {"name": pl.Utf8, "modality": pl.Utf8})
        .join(decided.mapping(DecisionKind.MAP_PROTOCOL), on="key", how="left")
        .sort("key")
        .select(
            pl.col("key").alias("protocol_key"),
            pl.col("name").alias("protocol_name"),
            "modality",
            "standard_code",
            "standard_scheme",
            "standard_name",
            pl.col("mapping_status").fill_null("unmapped"),
        )
    )
    unknown = pl.DataFrame(
        {"protocol_key": [UNKNOWN], "protocol_name": ["Unknown protocol"], "mapping_status": ["unmapped"]}
    )
    return pl.concat([unknown, named], how="diagonal")


def _patients(index: LakeIndex, decided: Decided) -> pl.DataFrame:
    """Patients after merges; the latest statement about any identity of a class holds."""
    survivors, seen = index.survivors(decided.undone_merges), index.patients()
    alone = seen.join(survivors, on="patient", how="anti").with_columns(pl.lit(1, pl.Int32).alias("identities"))
    joined = (
        seen.join(survivors, on="patient")
        .group_by(pl.col("survivor").alias("patient"))
        .agg(
            pl.col("sex").sort_by(pl.col("sex_order").fill_null("")).drop_nulls().last(),
            pl.col("birth_year").sort_by(pl.col("birth_order").fill_null("")).drop_nulls().last(),
            pl.len().cast(pl.Int32).alias("identities"),
        )
    )
    whole = pl.concat([alone, with_key(joined, "patient", "patient", "key")], how="diagonal")
    named = whole.select(
        pl.col("key").alias("patient_key"),
        pl.col("patient").alias("patient_pseudonym"),
        "sex",
        "birth_year",
        "identities",
    )
    unknown = pl.DataFrame(
        {"patient_key": [UNKNOWN], "patient_pseudonym": ["unknown"], "identities": [0]},
        schema={"patient_key": pl.Int64, "patient_pseudonym": pl.Utf8, "identities": pl.Int32},
    )
    return pl.concat([unknown, named], how="diagonal")


def _providers(index: LakeIndex) -> pl.DataFrame:
    named = (
        _observed(index, "provider", {"role": pl.Utf8, "pseudonym": pl.Utf8})
        .sort("key")
        .select(
            pl.col("key").alias("provider_key"),
            pl.col("role").alias("provider_role"),
            pl.col("pseudonym").alias("provider_pseudonym"),
        )
    )
    return pl.concat(
        [
            pl.DataFrame({"provider_key": [UNKNOWN], "provider_role": ["unknown"], "provider_pseudonym": ["unknown"]}),
            named,
        ],
        how="diagonal",
    )


def _named(index: LakeIndex, kind: str) -> pl.DataFrame:
    named = (
        _observed(index, kind, {"name": pl.Utf8})
        .sort("key")
        .select(pl.col("key").alias(f"{kind}_key"), pl.col("name").alias(f"{kind}_name"))
    )
    return pl.concat([pl.DataFrame({f"{kind}_key": [UNKNOWN], f"{kind}_name": ["Unknown"]}), named], how="diagonal")


def _reading_hours(settings: Settings) -> pl.DataFrame:
    rows = [
        (
            key64("site", site.code),
            _WEEKDAYS.index(day) + 1,
            hours.opens.hour * 60 + hours.opens.minute,
            closing_minute(hours.closes),
        )
        for site in settings.sites
        for hours in site.reading_hours
        for day in hours.days
    ]
    schema = {"site_key": pl.Int64, "iso_weekday": pl.Int32, "opens_minute": pl.Int32, "closes_minute": pl.Int32}
    return pl.DataFrame(rows, schema=schema, orient="row").unique(maintain_order=True)


def closing_minute(closes: time) -> int:
    """Minute of the local day at which something closes; midnight is the end of the day."""
    return closes.hour * 60 + closes.minute or 1440


def _turnaround_targets(settings: Settings) -> pl.DataFrame:
    """One row a target and combination of what it is for; an empty text is any."""
    rows = [
        (number, priority, patient_class, modality, target.starts_on, target.minutes, target.share)
        for number, target in enumerate(settings.turnaround.targets, 1)
        for priority in target.priority or ("",)
        for patient_class in target.patient_class or ("",)
        for modality in target.modality or ("",)
    ]
    schema = {
        "target_number": pl.Int32, "priority": pl.Utf8, "patient_class": pl.Utf8, "modality": pl.Utf8, "starts_on": pl.Date,
        "target_minutes": pl.Float64, "target_share": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def day_range(exams: pl.LazyFrame, slots: pl.LazyFrame | None = None) -> tuple[date, date]:
    """First and last day that the date dimension needs: those of the exams and slots, in whole years."""
    parts = [frame.select("local_day") for frame in (exams, slots) if frame is not None]
    days = pl.concat(parts).select(pl.col("local_day").min().alias("first"), pl.col("local_day").max().alias("last"))
    found = days.collect()
    first, last = found["first"][0], found["last"][0]
    if first is None:
        return date(2026, 1, 1), date(2026, 1, 1) + timedelta(days=365)
    return date(first.year, 1, 1), date(last.year, 12, 31)
