from __future__ import annotations

import pytest

from state.roles import PERMISSIONS, Permission, Role, matrix_markdown, permissions_of, roles_with


def test_every_role_stands_in_the_table_and_opens_something() -> None:
    assert set(PERMISSIONS) == set(Role)
    assert all(PERMISSIONS.values())


def test_every_permission_is_somebodys() -> None:
    assert all(roles_with(permission) for permission in Permission)


@pytest.mark.parametrize("role", [Role.EXECUTIVE, Role.FINANCE, Role.ADMINISTRATOR, Role.AUDITOR])
@pytest.mark.parametrize("permission", [Permission.SEE_EXAM_ROWS, Permission.SEE_IDENTIFIED])
def test_roles_without_patients_see_none(role: Role, permission: Permission) -> None:
    assert permission not in PERMISSIONS[role]


def test_identities_are_seen_only_by_who_sees_exams() -> None:
    for granted in PERMISSIONS.values():
        assert Permission.SEE_IDENTIFIED not in granted or Permission.SEE_EXAM_ROWS in granted


def test_accounts_are_managed_by_administrators_alone() -> None:
    assert roles_with(Permission.MANAGE_ACCOUNTS) == [Role.ADMINISTRATOR]


def test_roles_add_up() -> None:
    assert permissions_of([]) == frozenset()
    assert permissions_of([Role.FINANCE, Role.AUDITOR]) == PERMISSIONS[Role.FINANCE] | PERMISSIONS[Role.AUDITOR]


def test_the_matrix_shows_every_cell() -> None:
    lines = matrix_markdown().splitlines()
    assert len(lines) == 2 + len(Permission)
    for permission, line in zip(Permission, lines[2:], strict=True):
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert name == permission.words
        assert [cell == "yes" for cell in cells] == [permission in PERMISSIONS[role] for role in Role]
