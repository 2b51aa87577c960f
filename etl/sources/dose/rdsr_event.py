"""One event container of a dose report: irradiation event (TID 10003, 10013) or administration (TID 10022)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from etl.sources.contract import Row
from etl.sources.dicom.time import Clock
from etl.sources.dose import dose_codes
from etl.sources.dose.figures import KINDS, Figures, hashed_uid
from etl.sources.dose.sr_content import NO_CODE, Content

if TYPE_CHECKING:
    from settings import Dose

_UIDS = frozenset(["DCM:113769", "DCM:113503"])
_STARTS = frozenset(["DCM:111526", "DCM:123003"])
_THICKNESS = frozenset(["filter_thickness_min_mm", "filter_thickness_max_mm"])
_CODES_ONLY = frozenset(
    [
        "target_region",
        "view",
        "laterality",
        "plane",
        "event_type",
        "acquisition_type",
        "ctdi_phantom",
        "filter_material",
    ]
)
"""Columns that only a code fills: text in their place may be anything."""
MAX_TEXT = 256


class Event:
    """The UID, start and figures of one event container.

    Items count by their concept wherever they stand below the container, and only with the value type that their
    column takes.
    """

    def __init__(self, container: Content, limits: Dose, clock: Clock) -> None:
        self.kind = dose_codes.EVENT_KINDS[container.key]
        self.figures = Figures(limits, mean_over_pulses=self.kind == "projection")
        self.uid = ""
        self.started: datetime | None = None
        self._clock = replace(clock, flags=self.figures.flags)
        self._filters = 0
        self._materials: list[str] = []
        for item, path in paths(container, ""):
            self._read(item, path)
        self.figures.other("filter_material", "; ".join(self._materials))

    def _read(self, item: Content, path: str) -> None:
        column = dose_codes.EVENT_COLUMNS.get(item.key)
        kind = KINDS.get(column) if column else None
        if item.value_type == "NUM":
            is_later_filter = self._filters > 1 and column in _THICKNESS
            read_number(item, path, column if kind == "number" and not is_later_filter else None, self.figures)
        elif item.value_type == "CODE":
            self._read_code(item, path, column if kind in {"text", "flag"} else None)
        elif item.value_type == "DATETIME":
            self._read_time(item, path, column)
        elif item.value_type == "UIDREF" and item.key in _UIDS:
            self.uid = self.uid or item.text()[:128]
        elif item.value_type == "TEXT" and column and kind == "text" and column not in _CODES_ONLY:
            self.figures.other(column, item.text()[:MAX_TEXT])
        elif item.key == dose_codes.FILTER:
            self._filters += 1

    def _read_code(self, item: Content, path: str, column: str | None) -> None:
        """A coded value; the sides of organs and injection sites (TID 10022, 10023) are not the side of an exposure."""
        code = item.code()
        if code is NO_CODE:
            return
        if column == "laterality" and self.kind == "administration":
            column = None
        value = dose_codes.decoded(column, code) if column else None
        if column == "filter_material":
            self._materials.append(str(value or ""))
            value = None
        self.figures.code(column, value, code.written, path)

    def _read_time(self, item: Content, path: str, column: str | None) -> None:
        at = self._clock.date_time(item.text(), path)
        if item.key in _STARTS:
            self.started = self.started or at
        elif column == "administered_to":
            self.figures.other(column, at)

    def carry_distance(self, before: Decimal | None) -> Decimal | None:
        """Distance source to detector; from an event before where this one has none (Allura writes changes only)."""
        own = self.figures.value("source_to_detector_mm")
        if own is None and before is not None:
            self.figures.numbers["source_to_detector_mm"] = [before]
            self.figures.flag("source_to_detector_mm: carried forward from an earlier event")
        return own or before

    def take_phantom(self, phantom: object) -> None:
        """The phantom that stands below the accumulated total counts for an event with CTDIvol and none of its own."""
        if phantom and "ctdivol_mgy" in self.figures.numbers and "ctdi_phantom" not in self.figures.others:
            self.figures.other("ctdi_phantom", phantom)
            self.figures.flag("ctdi_phantom: stated below the accumulated total, not with the event")


def paths(container: Content, above: str) -> list[tuple[Content, str]]:
    """All items below with their path of concept codes; persons, and what is said of them, are left out."""
    found: list[tuple[Content, str]] = []
    for child in container.children:
        if child.value_type == "PNAME":
            continue
        path = f"{above}/{child.concept.value}" if above else child.concept.value
        found.append((child, path))
        if child.children:
            found += paths(child, path)
    return found


def read_number(item: Content, path: str, column: str | None, figures: Figures) -> None:
    """Notes the values of a NUM item."""
    values, unit = item.measured()
    for text in values:
        figures.number(column, text, unit, path)


def derived_uid(device: str, study_uid: str, at: datetime | None, columns: Row, given: Counter[str]) -> str:
    """A UID made of device, time and figures, for an event without one; unlike all others of its object."""
    figures = sorted((name, str(value)) for name, value in columns.items())
    uid = hashed_uid(device, study_uid, str(at), str(figures))
    given[uid] += 1
    return uid if given[uid] == 1 else hashed_uid(uid, str(given[uid]))
