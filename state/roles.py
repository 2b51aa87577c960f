"""Who may do what: permissions, and roles as bundles of them.

Code asks for a permission, never for a role. The matrix in the documentation is drawn from this one table. Executives
and finance see counts and trends only, never a single exam nor an identity (minimum necessary, 45 CFR 164.502(b)).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Permission(StrEnum):
    """One thing that a person may do."""

    VIEW_EXECUTIVE = "view_executive"
    VIEW_UTILIZATION = "view_utilization"
    VIEW_TURNAROUND = "view_turnaround"
    VIEW_DOSE = "view_dose"
    VIEW_DATA = "view_data"
    SEE_EXAM_ROWS = "see_exam_rows"
    SEE_IDENTIFIED = "see_identified"
    EXPORT = "export"
    SEE_PERSONS = "see_persons"
    RETRY_REJECTS = "retry_rejects"
    DECIDE_DATA = "decide_data"
    MANAGE_PLANS = "manage_plans"
    REVIEW_DOSE = "review_dose"
    MANAGE_DOSE = "manage_dose"
    LOOK_UP_PATIENTS = "look_up_patients"
    MANAGE_ACCOUNTS = "manage_accounts"
    VIEW_AUDIT = "view_audit"

    @property
    def words(self) -> str:
        """The permission as people read it: "see exam rows"."""
        return self.value.replace("_", " ")


class Role(StrEnum):
    """A bundle of permissions, named after the work."""

    EXECUTIVE = "executive"
    RADIATION_SAFETY = "radiation_safety"
    PHYSICIST = "physicist"
    OPERATIONS = "operations"
    FINANCE = "finance"
    READING_LEAD = "reading_lead"
    DATA_STEWARD = "data_steward"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"

    @property
    def words(self) -> str:
        """The role as people read it: "Radiation safety"."""
        return self.value.replace("_", " ").capitalize()


_P = Permission

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.EXECUTIVE: frozenset(
        {_P.VIEW_EXECUTIVE, _P.VIEW_UTILIZATION, _P.VIEW_TURNAROUND, _P.VIEW_DOSE, _P.EXPORT},
    ),
    Role.RADIATION_SAFETY: frozenset(
        {
            _P.VIEW_DOSE, _P.VIEW_UTILIZATION, _P.VIEW_DATA, _P.SEE_EXAM_ROWS, _P.SEE_IDENTIFIED, _P.EXPORT,
            _P.REVIEW_DOSE, _P.MANAGE_DOSE, _P.LOOK_UP_PATIENTS,
        },
    ),
    Role.PHYSICIST: frozenset(
        {
            _P.VIEW_DOSE, _P.VIEW_UTILIZATION, _P.VIEW_DATA, _P.SEE_EXAM_ROWS, _P.EXPORT,
            _P.REVIEW_DOSE, _P.MANAGE_DOSE,
        },
    ),
    Role.OPERATIONS: frozenset(
        {
            _P.VIEW_EXECUTIVE, _P.VIEW_UTILIZATION, _P.VIEW_TURNAROUND, _P.VIEW_DATA, _P.SEE_EXAM_ROWS, _P.EXPORT,
            _P.MANAGE_PLANS,
        },
    ),
    Role.FINANCE: frozenset(
        {_P.VIEW_EXECUTIVE, _P.VIEW_UTILIZATION, _P.EXPORT, _P.MANAGE_PLANS},
    ),
    Role.READING_LEAD: frozenset(
        {_P.VIEW_UTILIZATION, _P.VIEW_TURNAROUND, _P.VIEW_DATA, _P.SEE_EXAM_ROWS, _P.SEE_PERSONS, _P.EXPORT},
    ),
    Role.DATA_STEWARD: frozenset(
        {
            _P.VIEW_UTILIZATION, _P.VIEW_TURNAROUND, _P.VIEW_DOSE, _P.VIEW_DATA,
            _P.SEE_EXAM_ROWS, _P.SEE_IDENTIFIED, _P.EXPORT, _P.RETRY_REJECTS, _P.DECIDE_DATA,
        },
    ),
    Role.ADMINISTRATOR: frozenset(
        {
            _P.VIEW_EXECUTIVE, _P.VIEW_UTILIZATION, _P.VIEW_TURNAROUND, _P.VIEW_DOSE, _P.VIEW_DATA,
            _P.RETRY_REJECTS, _P.MANAGE_ACCOUNTS, _P.VIEW_AUDIT,
        },
    ),
    Role.AUDITOR: frozenset(
        {_P.VIEW_DATA, _P.VIEW_AUDIT},
    ),
}  # fmt: skip
"""The privilege matrix; what stands not here is refused."""


def permissions_of(roles: Iterable[Role]) -> frozenset[Permission]:
    """All permissions that the roles bring together."""
    return frozenset().union(*(PERMISSIONS[role] for role in roles))


def roles_with(permission: Permission) -> list[Role]:
    """The roles that bring this permission, in the order of the table."""
    return [role for role, granted in PERMISSIONS.items() if permission in granted]


def matrix_markdown() -> str:
    """The privilege matrix as a Markdown table, one row a permission."""
    head = f"| permission | {' | '.join(role.words for role in Role)} |"
    rule = f"| --- |{' :-: |' * len(PERMISSIONS)}"
    rows = (
        f"| {permission.words} | {' | '.join('yes' if permission in PERMISSIONS[role] else '–' for role in Role)} |"
        for permission in Permission
    )
    return "\n".join((head, rule, *rows)) + "\n"
