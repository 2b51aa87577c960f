r"""HL7 v2 messages split by their own delimiters, each value unescaped once and only when it is asked for.

Encoding rules: HL7 v2.8.2 chapter 2, sections 2.5 (delimiters), 2.7 (escapes), 2.5.3 (null `""` and empty).
"""

from __future__ import annotations

import re
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
"""Segments that are recognised without a field, or in lower case."""


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
    signs = header[4:].split(field, 1)[0] if field else ""
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
        lines = [
            line for line in text.replace("\r\n", "\r").replace("\n", "\r").split("\r") if line and not line.isspace()
        ]
        self.delimiters = delimiters_of(lines[0])
        self.flags: list[str] = []
        self.segments: list[Segment] = []
        self._split(lines)
        self.header = self.segments[0]

    def _split(self, lines: list[str]) -> None:
        sign, delimiters = self.delimiters.field, self.delimiters
        named: list[tuple[str, str]] = []
        joined: dict[str, None] = {}
        for line in lines:
            name = line[:3]
            if line[3:4] == sign and _NAME.fullmatch(name):
                named.append((name, line))
            elif name.strip().upper() in _BARE_NAMES and line[3:4] in (sign, ""):
                named.append((name.upper(), line))
            elif named:
                previous, text = named[-1]
                named[-1] = previous, f"{text}\n{line}"
                joined.setdefault(f"{previous}: a line that is no segment was joined to it")
        self.flags = list(joined)
        self.segments = [Segment(name, line, delimiters) for name, line in named]

    def first(self, name: str) -> Segment | None:
        """The first segment of the name."""
        return next((segment for segment in self.segments if segment.name == name), None)

    def all(self, name: str) -> list[Segment]:
        """All segments of the name, in order."""
        return [segment for segment in self.segments if segment.name == name]

    @property
    def kind(self) -> str:
        """Message type and trigger as `ORU^R01`; empty where MSH-9 is."""
        code, trigger = self.header.text(9), self.header.text(9, 2)
        return f"{code}^{trigger}" if trigger else code
