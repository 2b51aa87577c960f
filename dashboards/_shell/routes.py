"""Addresses of pages that people send forms to: named beside the page, guarded by a permission, added at the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Flask, Response, jsonify
from flask.typing import ResponseReturnValue

from dashboards._access.guard import needs
from state.roles import Permission

View = Callable[[], ResponseReturnValue]


@dataclass(frozen=True)
class Route:
    """One address that a page answers besides itself."""

    path: str
    view: View
    method: str


ROUTES: dict[str, Route] = {}
"""Every such address of the running program."""


def route(path: str, permission: Permission, method: str = "POST") -> Callable[[View], View]:
    """Makes a function answer at an address, for those who have the permission."""

    def made(view: View) -> View:
        ROUTES[path] = Route(path, needs(permission)(view), method)
        return view

    return made


def register(server: Flask) -> None:
    """Adds all of them to the server."""
    for one in ROUTES.values():
        server.add_url_rule(one.path, one.path.strip("/").replace("/", "-"), one.view, methods=[one.method])


def refused_fields(messages: Mapping[str, str]) -> Response:
    """What is wrong with a form, a message a field; the empty name is the whole form."""
    answer = jsonify(errors=messages)
    answer.status_code = 422
    return answer
