r"""HL7 v2 messages split by their own delimiters, each value unescaped once and only when it is asked for.

Encoding rules: HL7 v2.8.2 chapter 2, sections 2.5 (delimiters), 2.7 (escapes), 2.5.3 (null `""` and empty).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from etl.sources.contract import Reject, Verdict, shown

NULL = '""'
"""A field that the sender deletes; an empty one is no news."""

_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_BARE_NAMES = frozenset(
    (
        "EVN",
        "PID",
        "PV1",
        "PV2",
        "ORC",
        "OBR",
        "OBX",
        "NTE",
        "TQ1",
        "IPC",
        "ZDS",
        "MRG",
        "SCH",
        "AIS",
        "AIL",
        "FT1",
        "TXA",
    )
)
"""Segments that are recognised without a field, in lower case, and without asking whether the name is one."""


class RefusedMessageError(Exception):
    """The message gives no row: rejected or not applicable, with the words for it."""

    def __init__(self, verdict: Verdict, reject: Reject) -> None:
        super().__init__(reject.message)
        self.verdict = verdict
        self.reject = reject


def refused(reason: str, message: str, remedy: str, field: str = "", value: str = "") -> RefusedMessageError:
    """A message that cannot be used."""
    return RefusedMessageError(Verdict.REJECTED, Reject(reason, message, remedy, field, value))


def unused(reason: str, message: str) -> RefusedMessageError:
    """A message that is not for this system."""
    return RefusedMessageError(Verdict.NOT_APPLICABLE, Reject(reason, message, "Nothing to do."))


class Delimiters(NamedTuple):
    """MSH-1 and MSH-2; those that MSH-2 leaves out are empty."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str


class Segment:
    """One segment; fields are split when first asked for and counted as the standard counts them."""

    __slots__ = ("_fields", "_line", "delimiters", "name")

    def __init__(self, name: str, line: str, delimiters: Delimiters) -> None:
        self.name = name
        self.delimiters = delimiters
        self._line = line
        self._fields: list[str] | None = None

    def __bool__(self) -> bool:
        """Whether the message has the segment; see `ABSENT`."""
        return bool(self.name)

    @property
    def line(self) -> str:
        """The segment as written."""
        return self._line

    def join(self, line: str) -> None:
        """Takes in a line that is no segment: the line break stood in the segment's text."""
        self._line = f"{self._line}\n{line}"

    def _split(self) -> list[str]:
        fields = self._line.split(self.delimiters.field)
        if self.name == "MSH":
            fields.insert(1, self.delimiters.field)
        self._fields = fields
        return fields

    def raw(self, field: int) -> str:
        """The field as written; empty where the segment ends before it."""
        fields = self._fields or self._split()
        return fields[field] if field < len(fields) else ""

    def repetitions(self, field: int) -> list[str]:
        """The field's repetitions as written."""
        value, sign = self.raw(field), self.delimiters.repetition
        return value.split(sign) if sign and sign in value else [value]

    def text(self, field: int, component: int = 1, sub: int = 1) -> str:
        """One value of the field's first repetition, unescaped and trimmed; empty for null and absent."""
        fields = self._fields or self._split()
        value = fields[field] if field < len(fields) else ""
        if not value:
            return ""
        if value.isalnum():  # no delimiter is a letter or digit, so this is one value as it stands
            return value if component == sub == 1 else ""
        sign = self.delimiters.repetition
        if sign and sign in value:
            value = value.split(sign, 1)[0]
        return self.part(value, component, sub)

    def part(self, value: str, component: int = 1, sub: int = 1) -> str:
        """One component of a repetition, unescaped and trimmed; empty for null and absent."""
        if not value:
            return ""
        delimiters = self.delimiters
        value = _nth(value, delimiters.component, component)
        if value.isalnum():
            return value if sub == 1 else ""
        value = _nth(value, delimiters.subcomponent, sub)
        if value == NULL:
            return ""
        if delimiters.escape and delimiters.escape in value:
            value = unescaped(value, delimiters)
        return value.replace("\0", "").strip()

    def is_null(self, field: int) -> bool:
        """Whether the sender deletes the field's value."""
        return self.raw(field).strip() == NULL


ABSENT = Segment("", "", Delimiters("|", "^", "~", "\\", "&"))
"""The segment that a message does not have: every field of it is empty, and it is false."""


def _nth(value: str, sign: str, place: int) -> str:
    if not sign or sign not in value:
        return value if place == 1 else ""
    parts = value.split(sign, place)
    return parts[place - 1] if place <= len(parts) else ""


def unescaped(value: str, delimiters: Delimiters) -> str:
    r"""The value with `\F\ \S\ \T\ \R\ \E\ \X..\ \.br\` decoded once; unknown escapes stay as they are."""
    sign = delimiters.escape
    parts = value.split(sign)
    plain = {
        "F": delimiters.field,
        "S": delimiters.component,
        "R": delimiters.repetition,
        "T": delimiters.subcomponent,
        "E": sign,
        "H": "",
        "N": "",
        ".br": "\n",
        ".sp": "\n",
    }
    out, index = [parts[0]], 1
    while index < len(parts):
        code = parts[index]
        closed = index + 1 < len(parts)
        decoded = plain.get(code, _hexadecimal(code)) if closed else None
        if decoded is None:
            out += [sign, code]
            index += 1
        else:
            out += [decoded, parts[index + 1]]
            index += 2
    return "".join(out)


def _hexadecimal(code: str) -> str | None:
    if len(code) < 3 or code[0] != "X" or not re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", code[1:]):
        return None
    data = bytes.fromhex(code[1:])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("iso8859-1")


def delimiters_of(header: str) -> Delimiters:
    """The delimiters that the message header declares.

    Raises:
        RefusedMessageError: one is missing, used twice, or a letter or digit, so that fields would be cut wrongly.
    """
    field = header[3:4]
    return _delimiters(field, header[4:].split(field, 1)[0] if field else "")


@lru_cache(maxsize=256)
def _delimiters(field: str, signs: str) -> Delimiters:
    usable = all(sign.isprintable() and not sign.isalnum() and not sign.isspace() for sign in field + signs)
    if not signs or len(signs) > 5 or not usable or len(set(field + signs)) != len(signs) + 1:
        raise refused(
            "bad-encoding-characters",
            "MSH-1 and MSH-2 must give two to six different signs, no letters, digits or blanks, as in MSH|^~\\&|.",
            "Correct MSH-2 in the sending system and send the message again.",
            "MSH-2",
            shown(signs, 12),
        )
    component, repetition, escape, subcomponent, *_ = [*signs, "", "", ""]
    return Delimiters(field, component, repetition, escape, subcomponent)


class Message:
    """One message: its segments in order, and doubts found while splitting."""

    def __init__(self, text: str) -> None:
        if "\n" in text:
            text = text.replace("\r\n", "\r").replace("\n", "\r")
        lines = text.split("\r")
        self.delimiters = delimiters_of(lines[0])
        self.flags: list[str] = []
        self.segments: list[Segment] = []
        self._first: dict[str, Segment] = {}
        self._split(lines)
        self.header = self.segments[0]

    def _split(self, lines: list[str]) -> None:
        sign, delimiters, segments, first = self.delimiters.field, self.delimiters, self.segments, self._first
        for line in lines:
            name = line[:3]
            if line[3:4] != sign or not (name in _BARE_NAMES or _NAME.fullmatch(name)):
                if not line or line.isspace():
                    continue
                if name.strip().upper() not in _BARE_NAMES or line[3:4] not in (sign, ""):
                    if segments:
                        self._join(line)
                    continue
                name = name.upper()
            segment = Segment(name, line, delimiters)
            segments.append(segment)
            if name not in first:
                first[name] = segment

    def _join(self, line: str) -> None:
        previous = self.segments[-1]
        previous.join(line)
        flag = f"{previous.name}: a line that is no segment was joined to it"
        if flag not in self.flags:
            self.flags.append(flag)

    def first(self, name: str) -> Segment:
        """The first segment of the name; `ABSENT` without one."""
        return self._first.get(name, ABSENT)
