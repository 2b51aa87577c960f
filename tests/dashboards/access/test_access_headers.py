"""Security headers on every answer, whatever its kind."""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from typing import Any

import pytest

from state.roles import Role

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
PATHS = {
    "/login": 200,
    "/healthz": 200,
    "/": 200,
    "/dose": 200,
    "/turnaround": 403,
    "/_dash-layout": 200,
    "/_dash-dependencies": 200,
    "/unmarked": 403,
    "/export/exams.csv": 200,
    "/assets/none.css": 404,
    "/broken": 500,
}


@pytest.mark.parametrize(("path", "status"), PATHS.items())
def test_every_answer_has_them(hospital: Any, people: Any, path: str, status: int) -> None:
    client = people[Role.OPERATIONS if path in {"/", "/broken"} else Role.PHYSICIST]
    hospital.server.config["PROPAGATE_EXCEPTIONS"] = False
    answer = client.get(path)
    assert answer.status_code == status
    for name, value in ALWAYS.items():
        assert answer.headers[name] == value
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe-eval" not in answer.headers["Content-Security-Policy"]
    assert "camera=()" in answer.headers["Permissions-Policy"]
    assert "Strict-Transport-Security" not in answer.headers
    if not path.startswith("/assets/"):
        assert answer.headers["Cache-Control"] == "no-store"


def test_strangers_get_them_too(hospital: Any) -> None:
    for path in ("/dose", "/_dash-layout"):
        assert hospital.client().get(path).headers["X-Content-Type-Options"] == "nosniff"


def test_an_error_tells_nothing(hospital: Any, people: Any) -> None:
    hospital.server.config["PROPAGATE_EXCEPTIONS"] = False
    assert "secret of the inside" not in people[Role.OPERATIONS].get("/broken").text


def test_a_busy_store_says_try_again(people: Any) -> None:
    answer = people[Role.OPERATIONS].get("/busy")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "try again" in answer.text


def test_every_inline_script_of_the_page_is_in_the_policy(people: Any) -> None:
    answer = people[Role.PHYSICIST].get("/dose")
    policy = answer.headers["Content-Security-Policy"]
    assert "'unsafe-inline'" not in re.search(r"script-src ([^;]+)", policy)[1]  # type: ignore[index]
    text = re.sub(r"<!--.*?-->", "", answer.text, flags=re.DOTALL)
    scripts = re.findall(r"<script(?![^>]*(?:src=|application/json))[^>]*>(.*?)</script>", text, re.DOTALL)
    assert scripts
    for script in scripts:
        assert f"'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'" in policy


def test_program_files_may_be_cached(people: Any) -> None:
    page = people[Role.PHYSICIST].get("/dose").text
    suite = re.search(r'src="(/_dash-component-suites/[^"]+)"', page)
    assert suite is not None
    assert people[Role.PHYSICIST].get(suite[1]).headers.get("Cache-Control") != "no-store"
