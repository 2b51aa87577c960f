"""The text of an iCalendar stream: content lines unfolded (RFC 5545 section 3.1), components with their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

_ENDS = re.compile(r"\r\n|\n|\r")


class ContentLine(NamedTuple):
    """One unfolded line."""

    number: int
    """Line of the file on which it starts, from 1."""
    text: str

    @property
    def name(self) -> str:
        """The property's name, upper case."""
        return re.split("[;:]", self.text, maxsplit=1)[0].strip().upper()

    @property
    def value(self) -> str:
        """All behind the first colon that stands outside quotes."""
        return re.sub(r'^(?:[^":]|"[^"]*")*:', "", self.text, count=1)


@dataclass
class Component:
    """A component directly in a calendar, without those inside it (alarms)."""

    kind: str
    number: int
    """Line of its BEGIN."""
    lines: list[ContentLine] = field(default_factory=list)
    nested: list[ContentLine] = field(default_factory=list)
    """Lines of the components inside, their BEGIN and END included."""

    def text(self, *, whole: bool = False) -> str:
        """As RFC 5545 writes it, with what is inside if `whole`."""
        inside = (*self.lines, *self.nested) if whole else self.lines
        return "\r\n".join([f"BEGIN:{self.kind}", *(line.text for line in inside), f"END:{self.kind}", ""])


@dataclass
class CalendarText:
    """One VCALENDAR."""

    properties: dict[str, str] = field(default_factory=dict)
    components: list[Component] = field(default_factory=list)


class CutCalendarError(Exception):
    """The stream ends inside a component, or closes one that is not open."""

    def __init__(self, number: int, kind: str) -> None:
        super().__init__(kind)
        self.number = number
        self.kind = kind


def calendars(text: str) -> list[CalendarText]:
    """The calendars of a stream.

    Raises:
        CutCalendarError: a component does not end, or ends that did not begin.
    """
    found: list[CalendarText] = []
    opened: list[tuple[str, int]] = []
    for line in unfolded(text):
        if line.name == "BEGIN":
            kind = line.value.strip().upper()
            opened.append((kind, line.number))
            if len(opened) == 1:
                found.append(CalendarText())
            elif len(opened) == 2:
                found[-1].components.append(Component(kind, line.number))
            else:
                found[-1].components[-1].nested.append(line)
        elif line.name == "END":
            kind = line.value.strip().upper()
            if not opened or opened[-1][0] != kind:
                raise CutCalendarError(line.number, kind)
            opened.pop()
            if len(opened) >= 2:
                found[-1].components[-1].nested.append(line)
        elif len(opened) == 1:
            found[-1].properties.setdefault(line.name, line.value)
        elif len(opened) == 2:
            found[-1].components[-1].lines.append(line)
        elif opened:
            found[-1].components[-1].nested.append(line)
    if opened:
        raise CutCalendarError(opened[-1][1], opened[-1][0])
    return found


def unfolded(text: str) -> Iterator[ContentLine]:
    """Content lines; blank ones are passed over."""
    number, started = 0, 0
    parts: list[str] = []
    for physical in _ENDS.split(text):
        number += 1
        if physical[:1] in {" ", "\t"} and parts:
            parts.append(physical[1:])
            continue
        if parts:
            yield ContentLine(started, "".join(parts))
        started, parts = number, [physical] if physical.strip() else []
    if parts:
        yield ContentLine(started, "".join(parts))
