"""Decisions about the volume plan."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards._shell import numbers
from dashboards._shell.decisions import Deciding, FieldError, Fields, Made, deciding
from dashboards._shell.reading import Reading
from state.decisions import Decision, DecisionKind
from state.roles import Permission
from warehouse.typed_csv import TableError
from warehouse.volume_plan import read_plan


def modalities(reading: Reading) -> list[str]:
    """Modalities that scanners inside the scope are of."""
    return sorted({one for one in reading.names.device_modalities.values() if one})


def take_plan(fields: Fields, reading: Reading) -> Sequence[Made]:
    """The plan of each year that the `content`, the text of a CSV, speaks of."""
    if not sees_all(reading):
        raise FieldError(**{"": "A plan is of the whole network: it is imported by those who see all of it."})
    try:
        years = read_plan(fields.get("content", ""), sorted(reading.names.sites), modalities(reading))
    except TableError as error:
        raise FieldError(content=str(error)) from None
    return [(year, {"rows": rows}) for year, rows in sorted(years.items())]


def sees_all(reading: Reading) -> bool:
    """Whether the reader's scope is the whole network: a new import replaces a year's plan of all sites."""
    return reading.scope.sites is None and reading.scope.departments is None


def _opens(_found: Decision, reading: Reading) -> bool:
    return sees_all(reading)


def _words(found: Decision, _reading: Reading) -> str:
    rows = found.value["rows"]
    sites, exams = len({row["site"] for row in rows}), sum(int(row["exams"]) for row in rows)
    return f"{found.subject}: {numbers.count(exams)} exams at {sites} {'site' if sites == 1 else 'sites'}"


deciding(Deciding(DecisionKind.VOLUME_PLAN, take_plan, _opens, _words, Permission.MANAGE_PLANS))
