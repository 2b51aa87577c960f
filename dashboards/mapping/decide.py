"""Decisions about procedures."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards._shell.decisions import Deciding, Fields, Made, deciding
from dashboards._shell.reading import Reading
from dashboards.mapping.choices import mappings, words_of
from dashboards.mapping.queries import procedures
from dashboards.mapping.views import Subject
from state.decisions import Decision, DecisionKind
from state.roles import Permission

PROCEDURES = Subject(
    DecisionKind.MAP_PROCEDURE,
    "local procedure",
    "standard procedure",
    procedures,
    Permission.DECIDE_DATA,
    "A data steward maps them here.",
)


def take(fields: Fields, reading: Reading) -> Sequence[Made]:
    """Mappings of procedures."""
    return mappings(fields, procedures(reading))


def opens(found: Decision, reading: Reading) -> bool:
    """Whether the procedure is one that the reader knows by name."""
    return found.subject in reading.names.procedures


def words(found: Decision, reading: Reading) -> str:
    """What a procedure was mapped to."""
    return words_of(found, reading.names.procedures.get(found.subject, "A procedure"))


deciding(Deciding(DecisionKind.MAP_PROCEDURE, take, opens, words))
