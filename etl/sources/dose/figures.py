"""The figures of one exposure, administration or report: as written, and in the units of our columns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from etl.sources.contract import Row, digest_of, shown
from etl.sources.dicom.dataset import MAX_FLAGS
from etl.sources.dose.units import factor
from warehouse.dose_columns import EVENT_COLUMNS, TOTAL_COLUMNS

if TYPE_CHECKING:
    from settings import Dose

KINDS = {column.name: column.kind for column in (*EVENT_COLUMNS, *TOTAL_COLUMNS)}
"""Columns of dose and what they hold: number, text, flag or time."""

UNITS = {
    column.name: column.unit for column in (*EVENT_COLUMNS, *TOTAL_COLUMNS) if column.unit and column.kind == "number"
}
"""Numeric columns and their units."""

_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?$")
"""DS of PS3.5 section 6.2. Decimal() alone would also take `NaN`, `Infinity` and `1_000`."""

_SIGNED = re.compile(r"_deg$|^table_|^deviation_index$|^exposure_index")
_LIMITS = {
    "ctdivol": "max_ctdivol_mgy",
    "ssde": "max_ctdivol_mgy",
    "dlp": "max_dlp_mgycm",
    "dap": "max_dap_gycm2",
    "rp": "max_rp_air_kerma_mgy",
    "entrance": "max_rp_air_kerma_mgy",
    "agd": "max_agd_mgy",
    "activity": "max_activity_mbq",
}
"""First word of a column's name to the setting that bounds it."""
_MOST, _LEAST = Decimal("1E+12"), Decimal("1E-9")
"""No figure of any column is larger or, but 0, smaller: what lies outside is a broken number."""
_MEAN = frozenset(["kvp", "tube_current_ma", "pulse_width_ms"])
"""Columns that an X-ray unit repeats for each pulse."""
_SINGLE = frozenset(["organ_dose_mgy"])
"""Columns that have no value where several things were measured."""


@lru_cache(maxsize=16_384)
def decimal_of(text: str) -> Decimal | None:
    """The exact number of a decimal string; None where it is none."""
    return Decimal(text) if _DECIMAL.match(text) else None


def hashed_uid(*parts: str) -> str:
    """A UID (2.25, PS3.5 annex B.2) made of the parts: the same parts give the same UID."""
    return f"2.25.{int(digest_of(*parts)[:32], 16)}"


@dataclass
class Figures:
    """Collects figures of one event or report; `row` gives the columns."""

    limits: Dose
    mean_over_pulses: bool = False
    flags: list[str] = field(default_factory=list)
    stated: list[Row] = field(default_factory=list)
    numbers: dict[str, list[Decimal]] = field(default_factory=dict)
    others: Row = field(default_factory=dict)

    def number(self, column: str | None, text: str | None, unit: str, path: str) -> None:
        """Notes one numeric value as stated and, where it can be used, for its column.

        `text` None is an empty measured value: stated as such, and never 0.
        """
        value = None
        if text is not None and column is not None:
            value = self._converted(column, text, unit)
        if value is not None and column is not None:
            self.numbers.setdefault(column, []).append(value)
        self.stated.append(
            {
                "path": path,
                "column": column,
                "text": text,
                "unit": unit or None,
                "value": None if value is None else float(value),
            }
        )

    def _converted(self, column: str, text: str, unit: str) -> Decimal | None:
        """The value in the column's unit; None, with a flag, where it is no number, implausible or of unknown unit."""
        value = decimal_of(text)
        if value is None:
            self.flag(f"{column}: no number {shown(text, 24)}")
            return None
        by = factor(unit, UNITS[column])
        if by is None:
            self.flag(f"{column}: unknown unit {shown(unit, 24) or 'none'}")
            return None
        value *= by
        if not self._plausible(column, value):
            self.flag(f"{column}: implausible {shown(text, 24)}")
            return None
        return value

    def _plausible(self, column: str, value: Decimal) -> bool:
        if value < 0 and not _SIGNED.search(column):
            return False
        if value != 0 and not _LEAST <= abs(value) <= _MOST:
            return False
        setting = (
            _LIMITS.get(column.split("_", 1)[0]) if column.endswith(("_mgy", "_mgycm", "_gycm2", "_mbq")) else None
        )
        return setting is None or value <= Decimal(str(getattr(self.limits, setting)))

    def code(self, column: str | None, value: object, written: str, path: str) -> None:
        """Notes a coded value as stated and, where nothing was there yet, for its column."""
        self.stated.append({"path": path, "column": column, "text": written, "unit": None, "value": None})
        if column is not None and value is not None:
            self.others.setdefault(column, value)

    def other(self, column: str, value: object) -> None:
        """Notes a text or time for its column; the first that is stated stands."""
        if value is not None and value != "":
            self.others.setdefault(column, value)

    def flag(self, text: str) -> None:
        """Notes a doubt once; a broken object may have any number of them, the first hundred tell enough."""
        if len(self.flags) < MAX_FLAGS and text not in self.flags:
            self.flags.append(text)

    def value(self, column: str) -> Decimal | None:
        """The column's value: the mean over pulses, else the first that is stated."""
        values = self.numbers.get(column)
        if not values or (column in _SINGLE and len(values) > 1):
            return None
        if self.mean_over_pulses and column in _MEAN:
            return sum(values, Decimal(0)) / len(values)
        return values[0]

    def row(self) -> Row:
        """All columns that have a value, filters in their right order (min > max occurs)."""
        row: Row = {column: float(value) for column in self.numbers if (value := self.value(column)) is not None}
        low, high = row.get("filter_thickness_min_mm"), row.get("filter_thickness_max_mm")
        if low is not None and high is not None and low > high:
            row["filter_thickness_min_mm"], row["filter_thickness_max_mm"] = high, low
            self.flag("filter_thickness_min_mm: larger than the maximum, swapped")
        return {**row, **self.others}
