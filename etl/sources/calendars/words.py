"""What calendars say an entry is, and what of their text is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable

KINDS: dict[str, tuple[str, ...]] = {
    "staffed": ("staffed", "staffed hours", "open", "opening hours", "working hours", "shift", "on duty", "besetzt",
                "dienst", "dienstzeit", "öffnungszeiten", "betriebszeit", "ouvert"),
    "closed": ("closed", "closure", "holiday", "public holiday", "bank holiday", "geschlossen", "feiertag",
               "schließtag", "fermé", "férié"),
    "planned_down": ("planned_down", "planned down", "planned downtime", "maintenance", "planned maintenance", "pm",
                     "service", "upgrade", "calibration", "qc", "qa", "quality control", "wartung", "konstanzprüfung", "maintenance planifiée"),
    "unplanned_down": ("unplanned_down", "unplanned down", "unplanned downtime", "downtime", "outage", "breakdown",
                       "failure", "defect", "out of order", "ausfall", "störung", "defekt", "panne"),
}  # fmt: skip
"""Our kind to the words that mean it, as whole CATEGORIES, column values or beginnings of a SUMMARY, in any case."""
MOST_REASON = 60

_BY_WORD = {word: kind for kind, words in KINDS.items() for word in words}
_LONGEST_FIRST = sorted(_BY_WORD, key=len, reverse=True)
_ADDRESS = re.compile(r"\S+@\S+")


def kind_of(*texts: str) -> str | None:
    """The kind that the first understood text means; None where none does."""
    return next((_BY_WORD[plain] for text in texts if (plain := _plain(text)) in _BY_WORD), None)


def kind_of_summary(summary: str) -> str | None:
    """The kind that a SUMMARY begins with, as in `Maintenance: tube change`."""
    plain = _plain(summary)
    found = next((word for word in _LONGEST_FIRST if re.match(rf"{re.escape(word)}(?!\w)", plain)), None)
    return _BY_WORD[found] if found else None


def reason_of(categories: Iterable[str], summary: str, people: Iterable[str]) -> str | None:
    """What an entry is for: its categories that are no kind, else its summary, cut; nothing that names a person.

    Args:
        categories: values of CATEGORIES.
        summary: the SUMMARY.
        people: names and addresses of ATTENDEE, ORGANIZER and CONTACT: a summary that has a word of them is left out.
    """
    if kept := [" ".join(text.split()) for text in categories if text.strip() and kind_of(text) is None]:
        return ", ".join(kept)[:MOST_REASON]
    named = {word for text in people for word in _words(text)}
    if named & set(_words(summary)) or _ADDRESS.search(summary):
        return None
    return " ".join(summary.split())[:MOST_REASON] or None


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"\w{3,}", text.casefold()) if word not in {"mailto", "com", "org", "net"}]
