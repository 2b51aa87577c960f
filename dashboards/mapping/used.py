"""A local name with how much it is used and what it is mapped to."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from insights.procedures import Local, Target

VOLUME_DAYS = 90
"""Days before the end of the data over which exams are counted."""


@dataclass(frozen=True)
class Used:
    """A local name, its volume and what it is mapped to in the star."""

    local: Local
    n: int
    """Exams in the last 90 days of the data."""
    status: str
    """unmapped, confirmed or rejected."""
    target: Target | None


def text(value: object) -> str | None:
    """A cell as text; None where it is blank."""
    return str(value) if value not in (None, "") else None


def target_of(row: dict[str, object]) -> Target | None:
    """What a row of a mapped dimension is mapped to."""
    code, scheme, name = (text(row[f"standard_{part}"]) for part in ("code", "scheme", "name"))
    return Target(code, scheme or "", name or code) if code else None


def coverage(found: list[Used]) -> tuple[float | None, int]:
    """Percent of exams, the rejected names left out, whose name is mapped; and the exams behind it."""
    frame = pl.DataFrame(
        [(one.n, one.status) for one in found if one.status != "rejected"],
        schema={"n": pl.Int64, "status": pl.Utf8},
        orient="row",
    )
    total = int(frame["n"].sum())
    mapped = int(frame.filter(pl.col("status") == "confirmed")["n"].sum())
    return (100 * mapped / total if total else None), total


def still_open(found: list[Used], decided: set[str]) -> list[Used]:
    """What is unmapped in the star and not decided since."""
    return [one for one in found if one.status == "unmapped" and str(one.local.key) not in decided]
