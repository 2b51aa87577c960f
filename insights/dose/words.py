"""Amounts and groups in words, for sentences that alerts keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, log10
from typing import Any


def amount(value: float | None, unit: str) -> str:
    """A figure to three digits with its unit: `1,240 mGy·cm`; `–` where there is none."""
    if value is None:
        return "–"
    if value == 0:
        return f"0 {unit}"
    places = max(2 - floor(log10(abs(value))), 0)
    rounded = round(value, 2 - floor(log10(abs(value))))
    text = f"{rounded:,.{places}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {unit}".strip()


def group_words(exam: Mapping[str, Any], level: Sequence[str]) -> str:
    """The group of a level in words: `CHEST ROUTINE on CT 1, adult, 50–80 kg`."""
    parts = [str(exam["protocol_name"] or "unknown protocol")]
    parts[0] += f" on {exam['device_name']}" if "device_id" in level else " on all scanners"
    if "age_band" in level:
        parts.append(exam["age_band"] or "age not known")
    if "weight_band" in level:
        parts.append(exam["weight_band"] or "weight not known")
    return ", ".join(parts)
