"""Why an exam got more, or less, than others like it: what it did differently from its twins, in words."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any

import polars as pl

from insights.dose.evidence import Cause, Twin

TWINS = 5
LONGER, SHORTER = 1.25, 0.8
MOST_CAUSES = 4
SIZE_SHARE = 0.5
"""From which share of the excess on size is called the cause."""


def twins_of(exam: Mapping[str, Any], group: pl.DataFrame) -> pl.DataFrame:
    """The exams of the group most like this one: same procedure first, then the nearest in size, weight or time."""
    others = group.filter(pl.col("exam_key") != exam["exam_key"])
    way = next((name for name in ("size_cm", "weight_kg") if exam[name] is not None), None)
    far = (
        (pl.col(way) - exam[way]).abs().fill_null(1e9)
        if way
        else (pl.col("local_day") - exam["local_day"]).dt.total_days().abs()
    )
    other_procedure = pl.col("procedure_key") != exam["procedure_key"]
    return others.sort(other_procedure, far, "exam_key").head(TWINS)


def as_twins(twins: pl.DataFrame) -> tuple[Twin, ...]:
    """The twins as evidence keeps them."""
    return tuple(
        Twin(key, name, value, size)
        for key, name, value, size in twins.select("exam_key", "exam_id", "value", "size_cm").iter_rows()
    )


def causes(exam: Mapping[str, Any], twins: pl.DataFrame, group: pl.DataFrame) -> tuple[Cause, ...]:
    """What may explain the exam's value, likeliest first; empty where nothing that is known does.

    Args:
        exam: a row with the group's figures and, where size is known, `expected`.
        group: exams of the same protocol over the year before.
    """
    high = (exam["ratio"] or 1) > 1
    found = [
        _size(exam) if high else None,
        _repeats(exam) if high else None,
        _phases(exam, twins, high=high),
        _phantom(exam, group),
        _modulation(exam, group) if high else None,
        _length(exam, twins, high=high),
        _procedure(exam, group),
        _stated(exam),
    ]
    return tuple(one for one in found if one is not None)[:MOST_CAUSES]


def _size(exam: Mapping[str, Any]) -> Cause | None:
    expected, median = exam.get("value_expected"), exam["median"]
    if not expected or not median or expected <= median or exam["value"] <= median:
        return None
    share = min(1.0, log(expected / median) / log(exam["value"] / median))
    if share < SIZE_SHARE:
        return None
    return Cause("large_patient", f"The patient's {exam['size_by']} ({_size_words(exam)}) explains about {100 * share:.0f} % of the excess", share)  # fmt: skip


def _size_words(exam: Mapping[str, Any]) -> str:
    return f"{exam['size_cm']:.0f} cm" if exam["size_by"] == "size" else f"{exam['weight_kg']:.0f} kg"


def _repeats(exam: Mapping[str, Any]) -> Cause | None:
    n = exam["repeats"] or 0
    return Cause("repeat", f"{n} {'acquisition is' if n == 1 else 'acquisitions are'} marked as repeated") if n else None  # fmt: skip


def _phases(exam: Mapping[str, Any], twins: pl.DataFrame, *, high: bool) -> Cause | None:
    usual = twins["acquisitions"].median()
    n = exam["acquisitions"]
    if not isinstance(usual, (int, float)) or not n:
        return None
    if high and n > usual:
        return Cause("extra_phase", f"{n} acquisitions where its twins have {usual:.0f}")
    if not high and n < usual:
        return Cause("wrong_protocol", f"{n} {'acquisition' if n == 1 else 'acquisitions'} where its twins have {usual:.0f}: a phase may be missing")  # fmt: skip
    return None


def _length(exam: Mapping[str, Any], twins: pl.DataFrame, *, high: bool) -> Cause | None:
    """Scanned length by acquisition, so that a further phase is not called a long range too."""
    if exam["length_mm"] is None or not exam["acquisitions"]:
        return None
    usual = twins.filter(pl.col("acquisitions") > 0).select((pl.col("length_mm") / pl.col("acquisitions")).median())
    middle = usual.item() if usual.height else None
    if not middle:
        return None
    ratio = exam["length_mm"] / exam["acquisitions"] / middle
    if high and ratio >= LONGER:
        return Cause("long_range", f"It was scanned over {ratio:.1f} times the length of its twins")
    if not high and ratio <= SHORTER:
        return Cause("wrong_protocol", f"It was scanned over {ratio:.1f} times the length of its twins")
    return None


def _phantom(exam: Mapping[str, Any], group: pl.DataFrame) -> Cause | None:
    usual = group["phantom"].drop_nulls()
    if exam["phantom"] is None or usual.is_empty():
        return None
    most = str(usual.mode().sort()[0])
    if exam["phantom"] == most or (usual == most).mean() < 0.9:  # type: ignore[operator]
        return None
    words = {"head16": "16 cm", "body32": "32 cm"}
    return Cause("data_error", f"Its dose is stated for the {words.get(exam['phantom'], exam['phantom'])} phantom, the others' for the {words.get(most, most)} one: they differ by about 2")  # fmt: skip


def _modulation(exam: Mapping[str, Any], group: pl.DataFrame) -> Cause | None:
    stated = group["modulation"].drop_nulls().str.to_uppercase()
    off = (exam["modulation"] or "").upper() in {"NONE", "OFF"}
    if off and not stated.is_empty() and (stated.is_in(["NONE", "OFF"]).mean() or 0) < 0.2:  # type: ignore[operator]
        return Cause("modulation", "Tube current modulation was off; it is on in the others")
    usual, ratio = group["current_ratio"].median(), exam["current_ratio"]
    if isinstance(usual, float) and ratio is not None and usual > 1.15 and ratio < 1.03:
        return Cause("modulation", "The tube current did not vary along the patient; it does in the others")
    return None


def _procedure(exam: Mapping[str, Any], group: pl.DataFrame) -> Cause | None:
    """The protocol is rarely used for what was ordered."""
    same = group.filter(pl.col("procedure_key") == exam["procedure_key"]).height
    if not exam["procedure_key"] or group.height < 20 or same / group.height > 0.03:
        return None
    return Cause("wrong_protocol", f"The protocol is hardly ever used for {exam['procedure_text'] or 'this procedure'}")


def _stated(exam: Mapping[str, Any]) -> Cause | None:
    if "differ" in (exam["flags"] or ""):
        return Cause("data_error", "The report's stated total and the sum of its events differ")
    return None
