"""Which reading section each procedure belongs to, by the patterns of the configuration."""

from __future__ import annotations

from fnmatch import fnmatchcase

import polars as pl

from settings import Subspecialty


def sections(
    frame: pl.DataFrame, code: str, text: str, modality: str, subspecialties: tuple[Subspecialty, ...]
) -> pl.Series:
    """The section of each row, null where none fits; each distinct procedure is looked at once.

    Args:
        code, text, modality: columns of the frame.
    """
    asked = frame.select(pl.col(code).alias("code"), pl.col(text).alias("text"), pl.col(modality).alias("modality"))
    known = asked.unique()
    found = [_section(row, subspecialties) for row in known.iter_rows()]
    named = known.with_columns(section=pl.Series(found, dtype=pl.Utf8))
    return asked.join(named, on=["code", "text", "modality"], how="left", nulls_equal=True, maintain_order="left")[
        "section"
    ]


def _section(
    procedure: tuple[str | None, str | None, str | None], subspecialties: tuple[Subspecialty, ...]
) -> str | None:
    code, text, modality = procedure
    names = [name.casefold() for name in (code, text) if name]
    for one in subspecialties:
        if one.modalities and modality not in one.modalities:
            continue
        if any(fnmatchcase(name, pattern.casefold()) for name in names for pattern in one.procedures):
            return one.name
    return None
