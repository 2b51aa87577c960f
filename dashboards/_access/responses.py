"""What is answered instead of the page: sign in first, or who to ask."""

from __future__ import annotations

from typing import Any

from dash import dcc, html
from flask import Response, jsonify, make_response, redirect, render_template, request, url_for
from plotly.io.json import to_json_plotly
from werkzeug.wrappers import Response as AnyResponse

from dashboards._access.people import current_person
from state.roles import Permission, roles_with


def sign_in_first(path: str) -> AnyResponse:
    """The sign-in page for a page; 401 for what a program asks for."""
    if path.startswith("_") or request.method not in {"GET", "HEAD"}:
        response = jsonify(error="Sign in first.")
        response.status_code = 401
        return response
    asked = request.full_path.rstrip("?")
    return redirect(url_for("access.login", next=asked if asked != "/" else None))


def denied_json(message: str) -> Response:
    """403 for what a program asks for."""
    response = jsonify(error=message)
    response.status_code = 403
    return response


def denied_page(permission: str | None) -> Response:
    """403 as a page that says who can help."""
    return make_response(render_template("access/denied.html", **_denial_words(permission)), 403)


def denial_component(permission: str | None) -> Response:
    """The answer to Dash's router: the same words in place of the page, in the shell."""
    words = _denial_words(permission)
    content = html.Section(
        [
            html.H1(words["heading"]),
            html.P(words["reason"]),
            html.P(words["remedy"]),
            dcc.Link("Go to your first page", href=words["home"], refresh=True),
        ],
        className="access-denied",
    )
    answer: dict[str, Any] = {
        "multi": True,
        "response": {
            "_pages_content": {"children": content},
            "_pages_store": {"data": {"title": words["heading"]}},
        },
    }
    return Response(to_json_plotly(answer), mimetype="application/json")


def _denial_words(permission: str | None) -> dict[str, str]:
    person = current_person()
    roles = person.role_words if person else ""
    known = Permission(permission) if permission in set(Permission) else None
    open_to = f"It is open to: {', '.join(role.words for role in roles_with(known))}. " if known else ""
    return {
        "heading": "Your role does not open this page",
        "reason": f"You are signed in as {person.display_name}, in the role of {roles}." if person else "",
        "remedy": f"{open_to}Ask your administrator if your work needs it.",
        "home": url_for("access.home"),
    }
