"""The privilege matrix, cell by cell: role × page × the ways to reach it."""

from __future__ import annotations

from typing import Any

import pytest

from state.roles import PERMISSIONS, Permission, Role

PAGES = {
    "utilization": Permission.VIEW_UTILIZATION,
    "turnaround": Permission.VIEW_TURNAROUND,
    "dose": Permission.VIEW_DOSE,
    "data": Permission.VIEW_DATA,
}
CELLS = [(role, page, permission in PERMISSIONS[role]) for role in Role for page, permission in PAGES.items()]


@pytest.mark.parametrize(("role", "name", "allowed"), CELLS)
def test_page(hospital: Any, people: Any, role: Role, name: str, allowed: bool) -> None:
    answer = people[role].get(f"/{name}?site=NORTH")
    assert answer.status_code == (200 if allowed else 403)
    assert ("Your role does not open this page" in answer.text) is not allowed


@pytest.mark.parametrize(("role", "name", "allowed"), CELLS)
def test_navigation_inside_the_shell(hospital: Any, people: Any, role: Role, name: str, allowed: bool) -> None:
    answer = hospital.navigate(people[role], f"/{name}")
    assert answer.status_code == 200
    assert (f"layout of {name}" in answer.text) is allowed
    assert ("Your role does not open this page" in answer.text) is not allowed


@pytest.mark.parametrize("part", ["out", "more"])
@pytest.mark.parametrize(("role", "name", "allowed"), CELLS)
def test_callback(hospital: Any, people: Any, role: Role, name: str, allowed: bool, part: str) -> None:
    answer = hospital.callback(people[role], f"{name}-{part}.children", "x")
    assert answer.status_code == (200 if allowed else 403)
    assert (f"{name}-{part} x" in answer.text) is allowed


@pytest.mark.parametrize("role", Role)
def test_executive_page_at_the_root(people: Any, role: Role) -> None:
    answer = people[role].get("/")
    if Permission.VIEW_EXECUTIVE in PERMISSIONS[role]:
        assert answer.status_code == 200
    else:
        assert answer.status_code == 302
        assert people[role].get(answer.headers["Location"]).status_code == 200


@pytest.mark.parametrize("role", Role)
def test_view_by_permission(people: Any, role: Role) -> None:
    allowed = Permission.EXPORT in PERMISSIONS[role]
    assert people[role].get("/export/exams.csv").status_code == (200 if allowed else 403)


@pytest.mark.parametrize("role", Role)
def test_shell_is_everybodys(hospital: Any, people: Any, role: Role) -> None:
    assert hospital.callback(people[role], "shell-out.children", "x").status_code == 200
    for path in ("/_dash-layout", "/_dash-dependencies"):
        assert people[role].get(path).status_code == 200


@pytest.mark.parametrize("role", Role)
def test_what_nobody_declared_is_nobodys(hospital: Any, people: Any, role: Role) -> None:
    client = people[role]
    assert client.get("/forgotten").status_code == 403
    assert client.get("/unmarked").status_code == 403
    assert "layout of forgotten" not in hospital.navigate(client, "/forgotten").text
    for output in ("forgotten-out", "forgotten-more", "stranger-out", "nearly-out", "unknown-out"):
        assert hospital.callback(client, f"{output}.children", "x").status_code == 403


@pytest.mark.parametrize("role", Role)
def test_scope_follows_the_role(hospital: Any, people: Any, role: Role) -> None:
    granted = PERMISSIONS[role]
    rows, identified = Permission.SEE_EXAM_ROWS in granted, Permission.SEE_IDENTIFIED in granted
    answer = hospital.callback(people[role], "shell-out.children", "x")
    assert answer.json["response"]["shell-out"]["children"] == f"shell-out x *|{rows}|{identified}|{0 if rows else 11}"


def test_scope_follows_the_sites(hospital: Any) -> None:
    client = hospital.sign_in("harbour-physicist")
    answer = hospital.callback(client, "dose-out.children", "NORTH")
    assert "['HARBOUR']|True|False|0" in answer.text
