"""Elements of a FHIR resource by path: each of the type that R4 gives it, or a reject that names the path.

FHIR R4 section 2.24 (data types): dateTime and instant, CodeableConcept, Identifier.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from etl.sources.clock import BAD_TIME, IMPLAUSIBLE, Moment, checked, to_utc
from etl.sources.contract import Reject
from etl.sources.hl7.times import OLDEST_YEARS

NO_OFFSET = "no offset, the site's zone was taken"
LONGEST_TEXT = 1000

_DATE_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
_PRECISIONS = ("year", "month", "d", "h", "min", "s", "us")
_MAX_OFFSET_MINUTES = 14 * 60

SCHEMES = {
    "http://loinc.org": "LN",
    "urn:oid:2.16.840.1.113883.6.1": "LN",
    "http://www.radlex.org": "RADLEX",
    "http://radlex.org": "RADLEX",
    "urn:oid:2.16.840.1.113883.6.256": "RADLEX",
    "http://snomed.info/sct": "SCT",
    "urn:oid:2.16.840.1.113883.6.96": "SCT",
    "http://www.ama-assn.org/go/cpt": "C4",
    "http://dicom.nema.org/resources/ontology/DCM": "DCM",
    "urn:oid:1.2.840.10008.2.16.4": "DCM",
}
"""Code systems to the names that HL7 table 0396 and DICOM give them."""


class BadResourceError(Exception):
    """A resource gives nothing; the reject says which element is wrong."""

    def __init__(self, reject: Reject) -> None:
        super().__init__(reject.message)
        self.reject = reject


class Coding(NamedTuple):
    """One code of a concept."""

    system: str
    code: str
    display: str

    @property
    def scheme(self) -> str:
        """The system's short name; the system itself where it has none."""
        return SCHEMES.get(self.system.rstrip("/"), self.system)


class Identifier(NamedTuple):
    """A business identifier: the codes of its type (HL7 table 0203) in upper case, system, use and value."""

    types: frozenset[str]
    system: str
    use: str
    value: str


class Element:
    """An object inside a resource, and its path."""

    __slots__ = ("path", "value")

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(path, value, "an object")
        self.value: dict[str, Any] = value
        self.path = path

    def objects(self, path: str) -> list[Element]:
        """The objects at the path; of lists all items."""
        return [Element(value, f"{self.path}.{path}") for value in self._walk(path)]

    def texts(self, path: str) -> list[str]:
        """The texts at the path that are not blank, control characters replaced by blanks."""
        return [plain for value in self._walk(path) if (plain := self._plain(path, value))]

    def text(self, path: str) -> str:
        """The first text at the path; empty without one."""
        texts = self.texts(path)
        return texts[0] if texts else ""

    def filled(self, path: str) -> bool:
        """Whether anything stands at the path."""
        return any(value not in ("", [], {}) for value in self._walk(path))

    def number(self, path: str) -> Decimal | None:
        """The first number at the path."""
        for value in self._walk(path):
            if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
                raise _wrong_type(f"{self.path}.{path}", value, "a number")
            return Decimal(value)
        return None

    def codings(self, path: str) -> list[Coding]:
        """The codes of all concepts at the path."""
        return [
            Coding(coding.text("system"), coding.text("code"), coding.text("display"))
            for coding in self.objects(f"{path}.coding")
        ]

    def words(self, path: str) -> str:
        """The first concept at the path in words: its text, else the display of a code."""
        return self.text(f"{path}.text") or self.text(f"{path}.coding.display")

    def identifiers(self, path: str = "identifier") -> list[Identifier]:
        """The identifiers at the path that have a value."""
        found = []
        for one in self.objects(path):
            if value := one.text("value"):
                types = frozenset(code.upper() for code in one.texts("type.coding.code"))
                found.append(Identifier(types, one.text("system"), one.text("use"), value))
        return found

    def _walk(self, path: str) -> list[Any]:
        """The values at the path, lists laid flat."""
        parts = _parts(path)
        value = self.value.get(parts[0])
        if value is None:
            return []
        found = _items(value)
        for place, name in enumerate(parts[1:], 1):
            following: list[Any] = []
            for node in found:
                if not isinstance(node, dict):
                    raise _wrong_type(".".join((self.path, *parts[:place])), node, "an object")
                value = node.get(name)
                if value is not None:
                    following += _items(value)
            found = following
        return found

    def _plain(self, path: str, value: Any) -> str:
        if not isinstance(value, str):
            raise _wrong_type(f"{self.path}.{path}", value, "a text")
        if not value.isprintable():
            value = "".join(char if char.isprintable() else " " for char in value)
        return str(value).strip()[:LONGEST_TEXT]


@lru_cache(maxsize=1024)
def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def _items(value: Any) -> list[Any]:
    return [item for item in value if item is not None] if isinstance(value, list) else [value]


def _wrong_type(path: str, value: Any, expected: str) -> BadResourceError:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return BadResourceError(
        Reject(
            "wrong-type",
            f"{path} is {kinds.get(type(value), 'a number')} where {expected} is expected.",
            "Have the sender write the resource as FHIR R4 defines it.",
            path,
        )
    )


def depth_exceeds(value: Any, most: int) -> bool:
    """Whether objects and lists stand inside each other deeper than that."""
    level = [value]
    for _ in range(most):
        level = [
            item
            for node in level
            for item in (node.values() if isinstance(node, dict) else node)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return False
    return True


class _Written(NamedTuple):
    wall: datetime
    precision: str
    offset_minutes: int | None


@lru_cache(maxsize=1 << 14)
def _written(text: str) -> _Written | None:
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return None
    *parts, fraction, offset = match.groups()
    stated = [int(part) for part in parts if part is not None]
    year, month, day, hour, minute, second = [*stated, *(1, 1, 1, 0, 0, 0)[len(stated) :]]
    minutes = None
    if offset:
        minutes = 0 if offset == "Z" else int(offset[1:3]) * 60 + int(offset[4:])
        if offset != "Z" and (int(offset[4:]) > 59 or minutes > _MAX_OFFSET_MINUTES):
            return None
        minutes = -minutes if offset[0] == "-" else minutes
    microsecond = int(fraction[:6].ljust(6, "0")) if fraction else 0
    try:
        wall = datetime(year, month, day, hour, minute, second, microsecond)
    except ValueError:
        return None
    return _Written(wall, _PRECISIONS[len(stated) - 1 + bool(fraction)], minutes)


class FhirClock:
    """Turns the times of one resource into UTC; a time without an offset is on the site's wall clock."""

    def __init__(self, zone: ZoneInfo, now: datetime, flags: list[str]) -> None:
        self._zone = zone
        self._now = now
        self._flags = flags

    def moment(self, path: str, text: str) -> Moment | None:
        """The instant with the precision that was written; None where it is no time, or an implausible one."""
        if not text:
            return None
        stated = _written(text)
        if stated is None:
            self._flag(path, BAD_TIME)
            return None
        try:
            moment = checked(self._in_utc(path, stated), self._now)
        except OverflowError:
            moment = None
        if moment is None:
            self._flag(path, IMPLAUSIBLE)
        elif moment.flag:
            self._flag(path, moment.flag)
        return moment

    def birth_year(self, path: str, text: str) -> int | None:
        """The year of a birth date; None where it is none, in the future or more than 120 years back."""
        stated = _written(text) if text else None
        if text and stated is None:
            self._flag(path, BAD_TIME)
        if stated is not None and not self._now.year - OLDEST_YEARS <= stated.wall.year <= self._now.year:
            self._flag(path, IMPLAUSIBLE)
            return None
        return stated.wall.year if stated else None

    def _in_utc(self, path: str, stated: _Written) -> Moment:
        if stated.offset_minutes is not None:
            at = stated.wall - timedelta(minutes=stated.offset_minutes)
            return Moment(at.replace(tzinfo=UTC), stated.precision)
        if stated.precision not in {"year", "month", "d"}:
            self._flag(path, NO_OFFSET)
        return to_utc(stated.wall, self._zone, stated.precision)

    def _flag(self, path: str, reason: str) -> None:
        flag = f"{path}: {reason}"
        if flag not in self._flags:
            self._flags.append(flag)
