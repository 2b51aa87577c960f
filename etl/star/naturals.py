"""Natural keys of the dimensions, as expressions over landing columns: facts and dimensions get theirs from here alone."""

from __future__ import annotations

import polars as pl

from etl.star.keys import key_column, natural

_NO_SERIAL = r"^(0*|NONE|UNKNOWN|N/?A|NULL|-|SERIAL|TEST)$"


def _clean(column: str) -> pl.Expr:
    return pl.col(column).fill_null("").str.strip_chars().str.to_uppercase()


def device_identity() -> pl.Expr:
    """Which device it is over all its versions: maker, model and serial; without a usable serial, site and station.

    A serial may be absent, zero or a placeholder; a station name changes on reinstallation. Null where nothing names it.
    """
    serial, station, model = _clean("serial"), _clean("station"), _clean("model")
    own = pl.concat_str([_clean("manufacturer"), model, serial], separator="|")
    by_station = pl.concat_str([pl.col("site").fill_null(""), _clean("manufacturer"), model, station], separator="|")
    return (
        pl.when((serial != "") & ~serial.str.contains(_NO_SERIAL))
        .then(own)
        .when((station != "") | (model != "") | (_clean("manufacturer") != ""))
        .then(by_station)
        .otherwise(None)
    )


def device_version() -> pl.Expr:
    """One version of a device: where it stands, what it is called and which software it runs."""
    return (
        pl.when(device_identity().is_not_null())
        .then(natural("site", "manufacturer", "model", "serial", "station", "software"))
        .otherwise(None)
    )


def device_ids(identities: pl.Series) -> pl.Series:
    """The identities as people see them, `device_id`: a letter and ten hexadecimal digits; null stays null."""
    keys = key_column("device_identity", identities)
    return pl.Series("device_id", [None if key is None else f"D{key:016x}"[:11].upper() for key in keys], dtype=pl.Utf8)


def procedure() -> pl.Expr:
    """A local procedure: code and scheme, or its text where it has no code."""
    code = pl.col("procedure_code").fill_null("")
    text = pl.col("procedure_text").fill_null("")
    return (
        pl.when(code != "")
        .then(pl.concat_str([code, pl.col("procedure_scheme").fill_null("")], separator="\x1f"))
        .when(text != "")
        .then(pl.concat_str([pl.lit("\x1e"), text]))
        .otherwise(None)
    )


def protocol(name: str, modality: pl.Expr) -> pl.Expr:
    """A scanner protocol of a modality."""
    text = pl.col(name).fill_null("").str.strip_chars()
    return pl.when(text != "").then(pl.concat_str([modality.fill_null(""), text], separator="\x1f")).otherwise(None)


def provider(role: str) -> pl.Expr:
    """A person in a role."""
    return (
        pl.when(pl.col(role).is_not_null())
        .then(pl.concat_str([pl.lit(role), pl.col(role)], separator="\x1f"))
        .otherwise(None)
    )


_MODALITIES = {
    "XR": ("CR", "DX", "DR", "RG", "PX", "IO", "XR", "XRAY", "X-RAY", "RADIOGRAPHY"),
    "CT": ("CT", "CTH", "CAT"),
    "MR": ("MR", "MRI", "NMR"),
    "US": ("US", "RUS", "CUS", "VUS", "OUS", "IVUS", "ULTRASOUND", "BMUS"),
    "MG": ("MG", "MAM", "MAMMO", "MAMMOGRAPHY"),
    "NM": ("NM", "ST", "NMS"),
    "PT": ("PT", "PET"),
    "XA": ("XA", "IR", "CATH", "XRC", "ANGIO"),
    "RF": ("RF", "FLUORO", "FL"),
    "ES": ("ES",),
    "XC": ("XC",),
    "OP": ("OP", "OPT"),
    "BMD": ("BMD", "DXA", "DEXA"),
}
MODALITY = {written: ours for ours, many in _MODALITIES.items() for written in many}
"""Modality as written (upper case) to ours; CR and DX are both XR. Reports, presentation states and the like are none."""


def modality(column: str = "modality") -> pl.Expr:
    """Our modality of what was written; null where it is none."""
    return _clean(column).replace_strict(MODALITY, default=None, return_dtype=pl.Utf8)


REPORTED_MODALITY = {"ct": "CT", "mammography": "MG", "projection": "XR", "administration": "NM"}
"""Modality of a dose report's procedure where no image tells better."""
