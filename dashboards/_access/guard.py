"""The guard before every route: who is not signed in sees the sign-in page; who is, what their role opens.

Deny by default. Open are the sign-in page, the health check and program files. A page opens by the permission that it
was registered with; a callback by that of the page whose package defines it, found by the server from its own table,
never from what the browser says; the shell's own callbacks to everybody signed in; a Flask view by `needs`, or to
everybody signed in by `for_everybody`. All else
is refused, and each refusal is audited.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import dash
from dash import Dash
from dash._pages import _path_to_page  # what Dash itself decides with; a test holds it
from dash.exceptions import UnsupportedRelativePath
from flask import Flask, current_app, g, redirect, request, session
from werkzeug.wrappers import Response

from dashboards._access.demo import demo_person
from dashboards._access.people import Person, audit_action, current_person
from dashboards._access.responses import denial_component, denied_json, denied_page, sign_in_first
from dashboards._access.services import Services
from state.roles import Permission

OPEN = frozenset({"login", "healthz", "readyz", "_favicon.ico"})
OPEN_FOLDERS = ("assets/", "_dash-component-suites/")
ANY_PERSON = frozenset({"home", "logout", "_dash-layout", "_dash-dependencies", "_reload-hash"})
CALLBACK = "_dash-update-component"
SHELL = "dashboards._shell"
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
ROUTER_OUTPUT = ".._pages_content.children..."

View = TypeVar("View", bound=Callable[..., Any])


def needs(permission: Permission) -> Callable[[View], View]:
    """Says which permission opens a Flask view that is no page: `@server.get(…)` above `@needs(Permission.EXPORT)`."""

    def marked(view: View) -> View:
        view.permission = permission  # type: ignore[attr-defined]
        return view

    return marked


def for_everybody(view: View) -> View:
    """Opens a Flask view that is no page to everybody signed in: it decides itself what each may do."""
    view.is_for_everybody = True  # type: ignore[attr-defined]
    return view


@dataclass(frozen=True)
class Denial:
    """Why something does not open."""

    what: str
    permission: str | None = None
    """The permission that would open it; None where nobody's does."""


class Guard:
    """Decides on every request; to be registered as a `before_request` function of the server."""

    def __init__(self, app: Dash) -> None:
        self._app = app
        self._prefix: str = app.config.routes_pathname_prefix

    def __call__(self) -> Response | None:
        """None where the request may go on; else the answer to give instead."""
        path = request.path.removeprefix(self._prefix)
        is_open = path in OPEN or path.startswith(OPEN_FOLDERS)
        g.person = None if is_open else _signed_in_person()
        if request.method in UNSAFE and not same_origin():
            return self._cross_site()
        if is_open:
            return None
        return self._answer(path, g.person) if g.person else sign_in_first(path)

    def _cross_site(self) -> Response:
        if current_person():  # strangers can't fill the audit
            audit_action("denied", request.path, {"reason": "cross-site request"})
        return denied_json("This request came from another site.")

    def _answer(self, path: str, person: Person) -> Response | None:
        if path in ANY_PERSON:
            return None
        if path == CALLBACK:
            return self._callback(person)
        if self._is_page_route():
            return self._page(path, person)
        view = current_app.view_functions.get(request.endpoint or "")
        permission = getattr(view, "permission", None)
        if getattr(view, "is_for_everybody", False) or (permission is not None and person.may(permission)):
            return None
        return refused(request.path, permission)

    def _is_page_route(self) -> bool:
        """Whether Dash answers this path with its index page."""
        rule = request.url_rule.rule if request.url_rule else ""
        return request.method in {"GET", "HEAD"} and rule in {self._prefix, f"{self._prefix}<path:path>"}

    def _page(self, path: str, person: Person) -> Response | None:
        denial = _page_denial(path, person)
        if denial is None:
            return None
        if not path and (first := first_page(person)):
            return redirect(first)
        audit_action("denied", denial.what, {"permission": denial.permission or "none"})
        return denied_page(denial.permission)

    def _callback(self, person: Person) -> Response | None:
        body = request.get_json(silent=True)
        output = body.get("output") if isinstance(body, dict) else None
        if not isinstance(body, dict) or not isinstance(output, str) or output not in self._app.callback_map:
            return refused("callback")
        if output.startswith(ROUTER_OUTPUT):
            return self._router(body, person)
        entry = self._app.callback_map[output]
        denial = _callback_denial(entry["callback"].__module__, person)
        return None if denial is None else refused(denial.what, denial.permission)

    def _router(self, body: dict[str, Any], person: Person) -> Response | None:
        """Dash's own callback that draws the page of an address: Dash takes the address from its first input."""
        inputs = body.get("inputs")
        first = inputs[0] if isinstance(inputs, list) and inputs else None
        pathname = first.get("value") if isinstance(first, dict) else None
        if not isinstance(pathname, str):
            return refused("router")
        try:
            path = self._app.strip_relative_path(pathname) or ""
        except UnsupportedRelativePath:
            return refused("router")
        denial = _page_denial(path, person)
        if denial is None:
            return None
        audit_action("denied", denial.what, {"permission": denial.permission or "none"})
        return denial_component(denial.permission)


def refused(what: str, permission: str | None = None) -> Response:
    """The answer to what a role does not open; it is audited."""
    audit_action("denied", what, {"permission": permission or "none"})
    return denied_json("Your role does not open this.")


def same_origin() -> bool:
    """Whether a request that changes something comes from our own pages, as the browser itself says.

    `Sec-Fetch-Site` cannot be set by a page; browsers without it send `Origin`; programs that are no browser send
    neither, and carry no cookies that another site could misuse.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


def first_page(person: Person) -> str | None:
    """The address of the first page that the person may open, in the order of the navigation."""
    for page in dash.page_registry.values():
        permission = page.get("permission")
        if permission is not None and person.may(permission) and not page.get("path_template"):
            return str(page["relative_path"])
    return None


def may_open_page(path: str, person: Person) -> bool:
    """Whether there is a page at exactly this address, and the person may open it."""
    page = next((one for one in dash.page_registry.values() if one["path"] == path), None)
    permission = None if page is None else page.get("permission")
    return permission is not None and person.may(permission)


def _signed_in_person() -> Person | None:
    token = session.get("token")
    if not isinstance(token, str):
        return None
    services = Services.of(current_app)
    found = services.sessions.find(token, active=not _asked_by_timer())
    if found is None:
        return None
    if found.account is not None:
        return Person.of(found.account)
    return demo_person(services.settings, found.demo_person) if services.web.demo else None


def _asked_by_timer() -> bool:
    """Whether a `dcc.Interval` asks and nobody acted: an open tab must not keep its session alive for ever."""
    if not request.path.endswith(f"/{CALLBACK}"):
        return False
    body = request.get_json(silent=True)
    changed = body.get("changedPropIds") if isinstance(body, dict) else None
    return isinstance(changed, list) and bool(changed) and all(str(name).endswith(".n_intervals") for name in changed)


def _page_denial(path: str, person: Person) -> Denial | None:
    """Why the page at this address stays closed; None where it opens, or where there is no such page."""
    page, _ = _path_to_page(path.strip("/"))  # type: ignore[no-untyped-call]
    if not page:
        return None
    permission = page.get("permission")
    allowed = permission is not None and person.may(permission)
    return None if allowed else Denial(str(page["path"]), permission)


def _callback_denial(module: str, person: Person) -> Denial | None:
    """Why the callbacks of this module stay closed."""
    if module == SHELL or module.startswith(f"{SHELL}."):
        return None
    pages = _pages_of(module)
    for page in pages:
        permission = page.get("permission")
        if permission is None or not person.may(permission):
            return Denial(module, permission)
    return None if pages else Denial(module)


def _pages_of(module: str) -> list[dict[str, Any]]:
    """The page that this module is, or else the pages of the package that it is in."""
    if module in dash.page_registry:
        return [dash.page_registry[module]]
    package = module.rpartition(".")[0]
    return [page for name, page in dash.page_registry.items() if package and name.rpartition(".")[0] == package]


def register(server: Flask, app: Dash) -> None:
    """Puts the guard before every route of the server."""
    server.before_request(Guard(app))
