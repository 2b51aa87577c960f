"""What batches show of devices, procedures, people and patients, folded so that any order gives the same.

Each observation is a natural key with its attributes and the first and last time it was seen: least and greatest are
associative, commutative and idempotent, so that a dimension is the same after a rebuild.
"""

from __future__ import annotations

import polars as pl

from etl.lake.store import OWN_TIME
from etl.star import naturals
from etl.star.keys import key_column

OBSERVATIONS = (
    "device",
    "device_modality",
    "procedure",
    "procedure_modality",
    "procedure_standard",
    "protocol",
    "provider",
    "department",
    "payer",
)


def observations(table: str, frame: pl.DataFrame) -> pl.DataFrame | None:
    """Observations in some landing rows: `kind`, `key`, `attributes` (JSON), `first_at`, `last_at`; one row a key."""
    at = pl.col(OWN_TIME[table]).alias("at")
    if table == "series":
        # Of a fragment's instances the first start and the last end are kept: seen until the last end, however it was cut.
        frame = frame.with_columns(until=pl.max_horizontal("ended_at", "started_at"))
    else:
        frame = frame.with_columns(until=at)
    parts: list[pl.DataFrame] = []
    if table in {"series", "irradiation_event", "dose_report"}:
        parts += _device_parts(table, frame, at)
    if table == "series":
        parts.append(_protocol_part(frame, "protocol", naturals.modality(), at))
    if table == "irradiation_event":
        reported = pl.col("event_kind").replace_strict(naturals.REPORTED_MODALITY, default=None, return_dtype=pl.Utf8)
        parts.append(_protocol_part(frame, "acquisition_protocol", reported, at))
    if table in {"series", "workflow"}:
        parts += _procedure_parts(frame, at)
    if table == "workflow":
        parts.append(_standard_part(frame, at))
        parts += _people_and_places(frame, at)
    found = [part for part in parts if not part.is_empty()]
    if not found:
        return None
    folded = pl.concat(found).group_by("kind", "key")
    return folded.agg(pl.col("attributes").min(), pl.col("first_at").min(), pl.col("last_at").max())


def _protocol_part(frame: pl.DataFrame, column: str, modality: pl.Expr, at: pl.Expr) -> pl.DataFrame:
    key = naturals.protocol(column, modality)
    return _part(frame, "protocol", key, at, name=pl.col(column).str.strip_chars(), modality=modality)


def _procedure_parts(frame: pl.DataFrame, at: pl.Expr) -> list[pl.DataFrame]:
    """Procedures, and the modalities and texts that they come with."""
    code, text, modality = naturals.procedure(), pl.col("procedure_text"), naturals.modality()
    together = pl.concat_str([code, modality, text.fill_null("")], separator="\x1f")
    return [
        _part(frame, "procedure", code, at, code=pl.col("procedure_code"), scheme=pl.col("procedure_scheme")),
        _part(frame, "procedure_modality", together, at, procedure=code, modality=modality, text=text),
    ]


def _standard_part(frame: pl.DataFrame, at: pl.Expr) -> pl.DataFrame:
    """Codes of public schemes that come with local procedures."""
    has = pl.col("standard_code").is_not_null()
    together = pl.when(has).then(
        pl.concat_str(
            [naturals.procedure(), "standard_code", pl.col("standard_scheme").fill_null("")], separator="\x1f"
        )
    )
    return _part(
        frame,
        "procedure_standard",
        together,
        at,
        procedure=naturals.procedure(),
        code=pl.col("standard_code"),
        scheme=pl.col("standard_scheme"),
    )


def _people_and_places(frame: pl.DataFrame, at: pl.Expr) -> list[pl.DataFrame]:
    """Providers in their roles, departments and payers."""
    people = [
        _part(frame, "provider", naturals.provider(role), at, role=pl.lit(role), pseudonym=pl.col(role))
        for role in ("referrer", "reader", "technologist")
    ]
    places = [
        _part(frame, column, pl.when(pl.col(column) != "").then(pl.col(column)), at, name=pl.col(column))
        for column in ("department", "payer")
    ]
    return [*people, *places]


def _device_parts(table: str, frame: pl.DataFrame, at: pl.Expr) -> list[pl.DataFrame]:
    attributes = {name: pl.col(name) for name in ("site", "manufacturer", "model", "serial", "station", "software")}
    versions = _part(frame, "device", naturals.device_version(), at, identity=naturals.device_identity(), **attributes)
    if table == "series":
        acquired, shown, rank = frame.filter(pl.col("is_acquired")), naturals.modality(), 1
    elif table == "irradiation_event":
        acquired, rank = frame, 2
        shown = pl.col("event_kind").replace_strict(naturals.REPORTED_MODALITY, default=None, return_dtype=pl.Utf8)
    else:
        return [versions]
    natural_text = pl.concat_str([naturals.device_identity(), shown, pl.lit(str(rank))], separator="\x1f")
    return [
        versions,
        _part(
            acquired,
            "device_modality",
            natural_text,
            at,
            identity=naturals.device_identity(),
            modality=shown,
            rank=pl.lit(rank),
        ),
    ]


def _part(frame: pl.DataFrame, kind: str, natural_key: pl.Expr, at: pl.Expr, **attributes: pl.Expr) -> pl.DataFrame:
    seen = frame.select(
        natural_key.alias("natural"), at, "until", *(value.alias(name) for name, value in attributes.items())
    ).filter(pl.col("natural").is_not_null())
    folded = seen.group_by("natural", *attributes).agg(
        pl.col("at").min().alias("first_at"), pl.col("until").max().alias("last_at")
    )
    return folded.select(
        pl.lit(kind).alias("kind"),
        key_column(kind, folded["natural"]).alias("key"),
        pl.struct(list(attributes)).struct.json_encode().alias("attributes"),
        "first_at",
        "last_at",
    )


def patient_statements(table: str, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What rows state of patients, the latest statement of each, and the merges.

    Returns:
        `patient`, `sex`, `sex_order`, `birth_year`, `birth_order` (orders are time and digest: greater is later), one row
        a patient; and `patient` (survivor), `merged`, `undoes`, `stated_order`.
    """
    order = pl.concat_str(
        [pl.col(OWN_TIME[table]).dt.strftime("%Y-%m-%dT%H:%M:%S%.6f").fill_null("0000"), pl.col("digest")],
        separator="|",
    )
    stated = frame.filter(pl.col("patient").is_not_null()).with_columns(stated_order=order)
    latest_sex = (
        stated.filter(pl.col("sex").is_not_null())
        .sort("stated_order")
        .group_by("patient")
        .agg(pl.col("sex").last(), pl.col("stated_order").last().alias("sex_order"))
        .with_columns(pl.col("sex").replace("", None))
    )
    latest_birth = (
        stated.filter(pl.col("birth_year").is_not_null())
        .sort("stated_order")
        .group_by("patient")
        .agg(pl.col("birth_year").last(), pl.col("stated_order").last().alias("birth_order"))
        .with_columns(pl.col("birth_year").replace(-1, None))
    )
    said = (
        stated.select("patient")
        .unique()
        .join(latest_sex, on="patient", how="left")
        .join(latest_birth, on="patient", how="left")
    )
    merges = (
        stated.filter(pl.col("merged").is_not_null() & (pl.col("merged") != pl.col("patient")))
        if table == "patient"
        else stated.clear().with_columns(merged=pl.lit(None, pl.Utf8), undoes=pl.lit(None, pl.Boolean))
    )
    return said.select("patient", "sex", "sex_order", "birth_year", "birth_order"), merges.select(
        "patient", "merged", pl.col("undoes").fill_null(value=False), "stated_order"
    )
