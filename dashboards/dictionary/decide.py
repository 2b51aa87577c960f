"""Decisions about scanner protocols."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards._shell.decisions import Deciding, Fields, Made, deciding
from dashboards._shell.reading import Reading
from dashboards.dictionary.queries import protocols
from dashboards.mapping.choices import mappings, words_of
from dashboards.mapping.views import Subject
from state.decisions import Decision, DecisionKind
from state.roles import Permission

PROTOCOLS = Subject(
    DecisionKind.MAP_PROTOCOL,
    "protocol",
    "standard exam",
    protocols,
    Permission.MANAGE_DOSE,
    "A physicist or the radiation safety office maps them here.",
)


def take(fields: Fields, reading: Reading) -> Sequence[Made]:
    """Mappings of protocols."""
    return mappings(fields, protocols(reading))


def opens(found: Decision, reading: Reading) -> bool:
    """Whether the protocol is one that the reader knows by name."""
    return found.subject in reading.names.protocols


def words(found: Decision, reading: Reading) -> str:
    """What a protocol was mapped to."""
    return words_of(found, reading.names.protocols.get(found.subject, "A protocol"))


deciding(Deciding(DecisionKind.MAP_PROTOCOL, take, opens, words, Permission.MANAGE_DOSE))
