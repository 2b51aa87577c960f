"""Signing in and out, sessions and their cookies."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.sessions import SecureCookieSessionInterface

from state.accounts import MAX_FAILURES
from state.roles import Role

PASSWORD = "copper violin tundra mango"


def _cookie(client: Any) -> str:
    cookie = client.get_cookie("isocenter")
    assert cookie is not None
    return str(cookie.value)


def _with_cookie(hospital: Any, value: str) -> Any:
    client = hospital.client()
    client.set_cookie("isocenter", value)
    return client


def test_signing_in_goes_on_to_the_page_asked_for(hospital: Any) -> None:
    client = hospital.client()
    asked = client.get("/dose?site=NORTH&days=30").headers["Location"]
    page = client.get(asked)
    target = re.search(r'name="next" value="([^"]+)"', page.text)
    assert target is not None
    form = {
        "username": "physicist-person",
        "password": PASSWORD,
        "next": target[1].replace("&amp;", "&"),
        "form_token": hospital.form_token(client),
    }
    assert client.post("/login", data=form).headers["Location"] == "/dose?site=NORTH&days=30"


@pytest.mark.parametrize("role", Role)
def test_without_a_page_asked_for_the_first_open_one_comes(hospital: Any, people: Any, role: Role) -> None:
    first = people[role].get("/home").headers["Location"]
    assert people[role].get(first).status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil",
        "x",
        "/logout",
    ],
)
def test_signing_in_never_leads_elsewhere(hospital: Any, target: str) -> None:
    client = hospital.client()
    form = {
        "username": "finance-person",
        "password": PASSWORD,
        "next": target,
        "form_token": hospital.form_token(client),
    }
    assert client.post("/login", data=form).headers["Location"] == "/home"


@pytest.mark.parametrize(
    ("username", "password", "audited"),
    [
        ("finance-person", "wrong", "finance-person"),
        ("Finance-Person ", "wrong", "finance-person"),
        ("nobody", PASSWORD, "no such account"),
        ("", "", "no such account"),
        ("<b>", "x", "no such account"),
    ],
)
def test_all_failures_look_alike(fresh: Any, username: str, password: str, audited: str) -> None:
    client = fresh.client()
    form = {"username": username, "password": password, "form_token": fresh.form_token(client)}
    answer = client.post("/login", data=form)
    assert answer.status_code == 401
    assert "User name or password is not right." in answer.text
    assert "<b>" not in answer.text
    assert client.get("/dose").status_code == 302
    assert fresh.actions("sign-in-failed") == [("unknown", audited)]


def test_a_locked_account_does_not_say_so(fresh: Any) -> None:
    client = fresh.client()
    for password in ["wrong"] * MAX_FAILURES + [PASSWORD]:
        form = {"username": "finance-person", "password": password, "form_token": fresh.form_token(client)}
        answer = client.post("/login", data=form)
        assert answer.status_code == 401
    assert fresh.actions("account-locked") == [("system", "finance-person")]


def test_sign_ins_and_outs_are_audited(fresh: Any) -> None:
    client = fresh.with_role(Role.FINANCE)
    client.post("/logout")
    assert fresh.actions("sign-in") == [("finance-person", "login")]
    assert fresh.actions("sign-out") == [("finance-person", "login")]


@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_a_form_without_its_token_is_refused(hospital: Any, token: str | None) -> None:
    client = hospital.client()
    hospital.form_token(client)
    form = {"username": "finance-person", "password": PASSWORD} | ({} if token is None else {"form_token": token})
    assert client.post("/login", data=form).status_code == 400
    assert client.get("/dose").status_code == 302


def test_a_form_token_of_another_visitor_is_refused(hospital: Any) -> None:
    token = hospital.form_token(hospital.client())
    form = {"username": "finance-person", "password": PASSWORD, "form_token": token}
    assert hospital.client().post("/login", data=form).status_code == 400


def test_signing_out_ends_the_session_on_the_server(hospital: Any) -> None:
    client = hospital.with_role(Role.PHYSICIST)
    stolen = _cookie(client)
    assert _with_cookie(hospital, stolen).get("/dose").status_code == 200
    assert client.post("/logout").status_code == 302
    assert _with_cookie(hospital, stolen).get("/dose").status_code == 302


def test_signing_out_needs_a_post(people: Any) -> None:
    people[Role.PHYSICIST].get("/logout")
    assert people[Role.PHYSICIST].get("/dose").status_code == 200


def test_signing_in_again_changes_and_ends_the_session(hospital: Any) -> None:
    client = hospital.with_role(Role.PHYSICIST)
    first = _cookie(client)
    form = {"username": "finance-person", "password": PASSWORD, "form_token": hospital.form_token(client)}
    client.post("/login", data=form)
    assert _with_cookie(hospital, first).get("/dose").status_code == 302
    assert client.get("/dose").status_code == 403


def test_a_session_chosen_by_another_is_not_taken_over(hospital: Any) -> None:
    victim = hospital.client()
    hospital.form_token(victim)
    planted = _cookie(victim)
    form = {"username": "physicist-person", "password": PASSWORD, "form_token": hospital.form_token(victim)}
    victim.post("/login", data=form)
    assert _with_cookie(hospital, planted).get("/dose").status_code == 302


def test_changed_and_foreign_cookies_open_nothing(hospital: Any) -> None:
    good = _cookie(hospital.with_role(Role.PHYSICIST))
    head, _, signature = good.rpartition(".")
    changed = [good[:-4] + "AAAA", head, f"{head}.", f".{signature}", "x" + good[1:], "", "null", "a.b.c"]
    for value in changed:
        assert _with_cookie(hospital, value).get("/dose").status_code == 302, value


@pytest.mark.parametrize("content", [{"token": "guessed"}, {"token": 1}, {"token": None}, {"user_id": 1}, {}])
def test_a_cookie_signed_with_another_secret_opens_nothing(hospital: Any, content: dict[str, Any]) -> None:
    class Foreign:
        secret_key = "a secret that is guessed"
        config = hospital.server.config

    serializer = SecureCookieSessionInterface().get_signing_serializer(Foreign())  # type: ignore[arg-type]
    assert serializer is not None
    assert _with_cookie(hospital, serializer.dumps(content)).get("/dose").status_code == 302
    own = SecureCookieSessionInterface().get_signing_serializer(hospital.server)
    assert own is not None
    assert _with_cookie(hospital, own.dumps(content)).get("/dose").status_code == 302


def test_idle_and_long_sessions_end(fresh: Any) -> None:
    client = fresh.with_role(Role.PHYSICIST)
    fresh.clock.move(minutes=14)
    assert client.get("/dose").status_code == 200
    fresh.clock.move(minutes=15, seconds=1)
    assert client.get("/dose").status_code == 302
    client = fresh.with_role(Role.PHYSICIST)
    for _ in range(48):
        fresh.clock.move(minutes=10)
        assert client.get("/dose").status_code == 200
    fresh.clock.move(minutes=1)
    assert fresh.callback(client, "dose-out.children", "x").status_code == 401


@pytest.mark.parametrize(
    ("changed", "lasts"), [(["tick.n_intervals"], False), (["tick.n_intervals", "site.value"], True), ([], True)]
)
def test_a_page_that_asks_by_itself_does_not_keep_the_session(fresh: Any, changed: list[str], lasts: bool) -> None:
    client = fresh.with_role(Role.PHYSICIST)
    body = {
        "output": "shell-out.children",
        "outputs": {"id": "shell-out", "property": "children"},
        "inputs": [{"id": "shell-out-in", "property": "value", "value": "x"}],
        "changedPropIds": changed,
    }
    for _ in range(2):
        fresh.clock.move(minutes=10)
        answer = client.post("/_dash-update-component", json=body)
    assert answer.status_code == (200 if lasts else 401)


def test_a_change_of_rights_holds_from_the_next_request(fresh: Any) -> None:
    client = fresh.with_role(Role.PHYSICIST)
    assert client.get("/dose").status_code == 200
    fresh.services.accounts.set_rights("boss", "physicist-person", [Role.FINANCE], None)
    assert client.get("/dose").status_code == 302
    client = fresh.with_role(Role.PHYSICIST)
    assert client.get("/dose").status_code == 403
    fresh.services.accounts.set_disabled("boss", "physicist-person", True)
    assert client.get("/utilization").status_code == 302


def test_the_cookie_is_guarded(hospital: Any) -> None:
    client = hospital.client()
    header = client.get("/login").headers["Set-Cookie"]
    assert header.startswith("isocenter=")
    for attribute in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert attribute in header
    assert "Domain" not in header


def test_behind_tls_the_cookie_is_bound_to_the_host(serve: Any) -> None:
    app = serve(behind_tls=True, host="0.0.0.0")
    answer = app.client().get("/login", base_url="https://isocenter.example")
    header = answer.headers["Set-Cookie"]
    assert header.startswith("__Host-isocenter=")
    assert "Secure" in header
    assert "Domain" not in header
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=63072000")


def test_behind_tls_the_proxys_words_count(serve: Any) -> None:
    app = serve(behind_tls=True, host="0.0.0.0")
    client = app.client()
    headers = {"X-Forwarded-Host": "isocenter.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    token = re.search(
        r'name="form_token" value="([^"]+)"', client.get("/login", headers=headers, base_url="https://localhost").text
    )
    assert token is not None
    cookie = client.get("/login", headers=headers, base_url="https://localhost").headers.get("Set-Cookie")
    form = {"username": "nobody", "password": "x", "form_token": token[1]}
    answer = client.post(
        "/login", data=form, headers=headers | {"Origin": "https://isocenter.example"}, base_url="https://localhost"
    )
    assert answer.status_code in {400, 401}, cookie
    assert answer.status_code == 400 or '"address": "203.0.113.9"' in app.services.audit.head().detail


def test_attempts_from_one_address_are_limited(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboards._access.installation.LOGIN_ATTEMPTS", "3 per minute")
    client = serve().client()
    codes = [client.post("/login", data={}).status_code for _ in range(5)]
    assert codes == [400, 400, 400, 429, 429]
    assert "Too many attempts" in client.post("/login", data={}).text
    assert client.get("/login").status_code == 200


def test_the_page_is_plain_and_marked(hospital: Any) -> None:
    text = hospital.client().get("/login").text
    assert '<html lang="en">' in text
    assert "<script" not in text
    assert " style=" not in text
    assert "Lakeside Imaging" in text
    assert "Demo" not in text


class TestDemo:
    @pytest.mark.parametrize(
        ("person", "path", "scope"),
        [
            ("executive", "/", "*|False|False|11"),
            ("operations", "/turnaround", "*|True|False|0"),
            ("site_operations", "/turnaround", "['HARBOUR']|True|False|0"),
            ("radiation_safety", "/dose", "*|True|True|0"),
            ("physicist", "/dose", "['HARBOUR']|True|False|0"),
            ("finance", "/utilization", "*|False|False|11"),
            ("data_steward", "/data", "*|True|True|0"),
            ("administrator", "/data", "*|False|False|11"),
        ],
    )
    def test_one_click_signs_in(self, demo: Any, person: str, path: str, scope: str) -> None:
        assert f'value="{person}"' in demo.client().get("/login").text
        client = demo.choose(person)
        assert client.get(path).status_code == 200
        assert scope in demo.callback(client, "shell-out.children", "x").text
        assert demo.actions("sign-in") == [(f"demo:{person}", "login")]

    def test_it_is_marked(self, demo: Any) -> None:
        assert "Demo – invented data" in demo.client().get("/login").text

    @pytest.mark.parametrize("person", ["", "boss", "demo:executive"])
    def test_an_unknown_person_is_refused(self, demo: Any, person: str) -> None:
        client = demo.client()
        answer = client.post("/login", data={"person": person, "form_token": demo.form_token(client)})
        assert answer.status_code == 401

    def test_its_sessions_do_not_outlive_it(self, serve: Any) -> None:
        app = serve()
        token = app.services.sessions.start(demo_person="radiation_safety")
        client = app.client()
        with client.session_transaction() as session:
            session["token"] = token
        assert client.get("/dose").status_code == 302

    def test_a_click_does_not_sign_in_elsewhere(self, hospital: Any) -> None:
        client = hospital.client()
        answer = client.post("/login", data={"person": "executive", "form_token": hospital.form_token(client)})
        assert answer.status_code == 401
