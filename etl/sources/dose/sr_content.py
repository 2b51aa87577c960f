"""The content tree of a structured report (PS3.3 C.17.3), by coded concept, each value read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pydicom.sr._snomed_dict import mapping as _snomed

from etl.sources.dicom import tags
from etl.sources.dicom.dataset import DataSet

_SNOMED_RT = frozenset(["SRT", "SNM3", "99SDM"])
"""Designators of the older SNOMED codes (PS3.16 section 8.1)."""
_RT_TO_CT: dict[str, str] = {**_snomed["SRT"], "F-61FDB": "417881006"}
"""Old SNOMED code to its SNOMED CT concept: the standard's own table, and one that it lacks."""


class Code(NamedTuple):
    """A coded concept."""

    value: str
    scheme: str
    meaning: str
    key: str
    """`scheme:value` in one dress: SNOMED CT for all SNOMED codes."""

    @property
    def written(self) -> str:
        """As PS3.16 prints codes."""
        return f'({self.value}, {self.scheme}, "{self.meaning}")'


NO_CODE = Code("", "", "", "")
_cache: dict[tuple[bool, tuple[str, ...], bytes], Code] = {}


def code_of(data: DataSet, tag: int) -> Code:
    """The first code of a code sequence; `NO_CODE` where there is none (a vendor's CODE item without one occurs).

    A report repeats the same few codes hundreds of times: the same bytes give the same code.
    """
    raw = data.raw(tag)
    key = (data.explicit, data.charset, raw)
    if raw and (known := _cache.get(key)) is not None:
        return known
    items = data.items(tag)
    code = _read_code(items[0]) if items else NO_CODE
    if raw and len(raw) < 512:
        if len(_cache) > 8192:
            _cache.clear()
        _cache[key] = code
    return code


def _read_code(item: DataSet) -> Code:
    value = item.text(tags.CODE_VALUE) or item.text(tags.LONG_CODE) or item.text(tags.URN_CODE)
    scheme = item.text(tags.CODING_SCHEME)
    key = f"SCT:{_RT_TO_CT.get(value, value)}" if scheme in _SNOMED_RT else f"{scheme.upper()}:{value}"
    return Code(value, scheme, item.text(tags.CODE_MEANING), key)


class Content:
    """One content item."""

    __slots__ = ("children", "concept", "item", "value_type")

    def __init__(self, item: DataSet) -> None:
        self.item = item
        self.value_type = item.text(tags.VALUE_TYPE)
        self.concept = code_of(item, tags.CONCEPT)
        self.children = [Content(child) for child in item.items(tags.CONTENT)] if tags.CONTENT in item else []

    @property
    def key(self) -> str:
        """Key of the concept name."""
        return self.concept.key

    def code(self) -> Code:
        """Value of a CODE item."""
        return code_of(self.item, tags.CODE)

    def text(self) -> str:
        """Value of a TEXT, DATETIME or UIDREF item."""
        tag = {"DATETIME": tags.DATETIME, "UIDREF": tags.UID}.get(self.value_type, tags.TEXT)
        return self.item.text(tag)

    def measured(self) -> tuple[list[str | None], str]:
        """Values of a NUM item as written, and the unit's code; `[None]` for an empty measured value."""
        values: list[str | None] = []
        unit = ""
        for measured in self.item.items(tags.MEASURED_VALUE):
            unit = unit or code_of(measured, tags.UNITS).value
            values += measured.texts(tags.NUMERIC_VALUE) or measured.number_texts(tags.FLOATING_VALUE, "d")
        return [value or None for value in values] or [None], unit

    def child(self, key: str) -> Content | None:
        """The first child of a concept."""
        return next((child for child in self.children if child.concept.key == key), None)

    def walk(self) -> Iterator[Content]:
        """All items below, persons and what is said of them apart."""
        for child in self.children:
            if child.value_type != "PNAME":
                yield child
                yield from child.walk()
