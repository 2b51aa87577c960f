"""Nothing opens without signing in, and no forged request opens more."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.routing import Rule

from state.roles import Role

OPEN = {
    "/login",
    "/healthz",
    "/_favicon.ico",
    "/assets/<path:filename>",
    "/_dash-component-suites/<string:package_name>/<path:fingerprinted_path>",
}
JSON_PATHS = ["/_dash-layout", "/_dash-dependencies", "/_reload-hash"]
PAGE_PATHS = ["/", "/dose", "/dose/", "/dose?site=NORTH", "/no-such-page", "/export/exams.csv", "/unmarked", "/home"]


def _example(rule: Rule) -> str:
    return rule.rule.replace("<path:path>", "any/thing").replace("<path:filename>", "x.css")


def test_every_route_is_closed_to_strangers(hospital: Any) -> None:
    rules = [rule for rule in hospital.server.url_map.iter_rules() if rule.rule not in OPEN]
    assert len(rules) >= 10
    for rule in rules:
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            answer = hospital.client().open(_example(rule), method=method)
            assert answer.status_code in {302, 401}, f"{method} {rule.rule}"
            assert "layout of" not in answer.text


@pytest.mark.parametrize("path", JSON_PATHS)
def test_programs_get_401(hospital: Any, path: str) -> None:
    answer = hospital.client().get(path)
    assert (answer.status_code, answer.json) == (401, {"error": "Sign in first."})


@pytest.mark.parametrize("path", PAGE_PATHS)
def test_people_are_sent_to_sign_in(hospital: Any, path: str) -> None:
    answer = hospital.client().get(path)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/login")


@pytest.mark.parametrize(
    "path",
    [
        "//_dash-layout",
        "/_DASH-LAYOUT",
        "/assets/../_dash-layout",
        "/assets/%2e%2e/_dash-layout",
        "/login/x",
        "/healthz/x",
    ],
)
def test_spelling_does_not_open(hospital: Any, path: str) -> None:
    answer = hospital.client().get(path)
    assert answer.status_code in {302, 308, 401, 404}
    assert "layout" not in answer.text.lower().replace("_dash-layout", "")


def test_callbacks_are_closed_to_strangers(hospital: Any) -> None:
    assert hospital.callback(hospital.client(), "dose-out.children", "x").status_code == 401
    assert hospital.navigate(hospital.client(), "/login").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {},
        {"output": None},
        {"output": ["dose-out.children"]},
        {"output": "no-such.children"},
        {"output": "..dose-out.children.."},
        {"output": "_pages_content.children"},
        {"output": ".._pages_content.children..._pages_store.data.."},
        {"output": ".._pages_content.children..._pages_store.data..", "inputs": []},
        {"output": ".._pages_content.children..._pages_store.data..", "inputs": [{"value": None}]},
        {"output": ".._pages_content.children..._pages_store.data..", "inputs": [{"value": {"a": 1}}]},
        {"output": ".._pages_content.children..._pages_store.data..", "inputs": "abc"},
    ],
)
def test_odd_callbacks_are_refused(hospital: Any, people: Any, body: object) -> None:
    assert people[Role.FINANCE].post("/_dash-update-component", json=body).status_code == 403


def test_the_pathname_that_a_callback_claims_opens_nothing(hospital: Any, people: Any) -> None:
    body = {
        "output": "dose-out.children",
        "outputs": {"id": "dose-out", "property": "children"},
        "inputs": [{"id": "_pages_location", "property": "pathname", "value": "/"}],
        "pathname": "/",
    }
    assert people[Role.FINANCE].post("/_dash-update-component?pathname=/", json=body).status_code == 403


@pytest.mark.parametrize("pathname", ["/dose", "dose", "/dose/", "//dose", "/dose//"])
def test_the_router_and_the_guard_read_addresses_alike(hospital: Any, people: Any, pathname: str) -> None:
    assert "layout of dose" not in hospital.navigate(people[Role.FINANCE], pathname).text


def test_the_router_reads_the_first_input_as_the_guard_does(people: Any) -> None:
    first = {"id": "_pages_location", "property": "pathname", "value": "/utilization"}
    second = {"id": "_pages_location", "property": "pathname", "value": "/dose"}
    for inputs, allowed in (([first, second], True), ([second, first], False)):
        body = {
            "output": ".._pages_content.children..._pages_store.data..",
            "outputs": [{"id": "_pages_content", "property": "children"}, {"id": "_pages_store", "property": "data"}],
            "inputs": inputs,
        }
        text = people[Role.FINANCE].post("/_dash-update-component", json=body).text
        assert "layout of dose" not in text
        assert ("layout of utilization" in text) is allowed


def test_an_unknown_page_is_not_found_and_not_denied(hospital: Any, people: Any) -> None:
    assert "404" in hospital.navigate(people[Role.FINANCE], "/no-such-page").text


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, False),
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://localhost:81"}, False),
        ({"Origin": "null"}, False),
    ],
)
def test_other_sites_change_nothing(hospital: Any, people: Any, headers: dict[str, str], allowed: bool) -> None:
    answer = hospital.callback(people[Role.FINANCE], "shell-out.children", "x", **headers)
    assert answer.status_code == (200 if allowed else 403)
    form = {"username": "finance-person", "password": "copper violin tundra mango"}
    client = hospital.client()
    form["form_token"] = hospital.form_token(client)
    assert client.post("/login", data=form, headers=headers).status_code == (302 if allowed else 403)


def test_denials_are_audited_once_each(fresh: Any) -> None:
    client = fresh.with_role(Role.FINANCE)
    client.get("/dose")
    fresh.navigate(client, "/dose")
    fresh.callback(client, "dose-more.children", "MRN-4711")
    client.get("/unmarked")
    assert fresh.actions("denied") == [
        ("finance-person", "/dose"),
        ("finance-person", "/dose"),
        ("finance-person", "dashboards.dose.figures"),
        ("finance-person", "/unmarked"),
    ]
    assert not any("4711" in entry.detail for entry in fresh.services.audit.latest(100))
    assert fresh.services.audit.verify_chain() is None


def test_exports_are_audited(fresh: Any) -> None:
    fresh.with_role(Role.OPERATIONS).get("/export/exams.csv")
    entry = fresh.services.audit.head()
    assert (entry.actor, entry.action, entry.target) == ("operations-person", "export", "exams")
    for part in ("CT at North, March 2026", '"rows": 3', "ab" * 32):
        assert part in entry.detail


def test_the_denied_page_says_who_to_ask(people: Any) -> None:
    text = people[Role.FINANCE].get("/dose").text
    assert "You are signed in as finance-person, in the role of Finance." in text
    assert "It is open to: Executive, Radiation safety, Physicist, Data steward, Administrator." in text
    assert "Ask your administrator" in text


def test_without_a_request_nobody_is_signed_in() -> None:
    from dashboards._access import current_person, current_scope
    from warehouse.scope import NOTHING

    assert current_person() is None
    assert current_scope() == NOTHING
