"""A small Dash app with pages like the real ones, behind the real guard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dash
import pytest
from argon2 import PasswordHasher
from dash import Dash, Input, Output, dcc, html
from flask import Flask
from flask.testing import FlaskClient

from dashboards import _access
from dashboards._access.services import EXTENSION, Services
from settings import Settings, Site, Web
from state.accounts import Accounts
from state.errors import StoreBusyError
from state.home import DataHome
from state.roles import Permission, Role
from state.sessions import Sessions

PASSWORD = "copper violin tundra mango"
PAGES = {
    "executive": ("/", Permission.VIEW_EXECUTIVE),
    "utilization": ("/utilization", Permission.VIEW_UTILIZATION),
    "turnaround": ("/turnaround", Permission.VIEW_TURNAROUND),
    "dose": ("/dose", Permission.VIEW_DOSE),
    "data": ("/data", Permission.VIEW_DATA),
    "forgotten": ("/forgotten", None),
}
SITES = (Site(code="NORTH", name="North hospital"), Site(code="HARBOUR", name="Harbour clinic"))


@dataclass
class Clock:
    now: datetime = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Served:
    """The app under test."""

    server: Flask
    app: Dash
    services: Services
    clock: Clock

    def client(self) -> FlaskClient:
        return self.server.test_client()

    def sign_in(self, username: str, password: str = PASSWORD, **more: str) -> FlaskClient:
        client = self.client()
        form = {"username": username, "password": password, "form_token": self.form_token(client), **more}
        assert client.post("/login", data=form).status_code == 302
        return client

    def choose(self, person: str) -> FlaskClient:
        client = self.client()
        answer = client.post("/login", data={"person": person, "form_token": self.form_token(client)})
        assert answer.status_code == 302
        return client

    def with_role(self, role: Role) -> FlaskClient:
        return self.sign_in(f"{role}-person")

    def actions(self, action: str) -> list[tuple[str, str]]:
        """Actor and target of the audit's rows of this action, oldest first."""
        return [(entry.actor, entry.target) for entry in reversed(self.services.audit.latest(10_000, action))]

    @staticmethod
    def form_token(client: FlaskClient) -> str:
        match = re.search(r'name="form_token" value="([^"]+)"', client.get("/login").text)
        assert match is not None
        return match[1]

    @staticmethod
    def callback(client: FlaskClient, output: str, *values: Any, **headers: str) -> Any:
        """Posts a callback as Dash's renderer does."""
        name = output.strip(".").split("...")[0].rsplit(".", 1)[0]
        many = [
            {"id": part.rsplit(".", 1)[0], "property": part.rsplit(".", 1)[1]}
            for part in output.strip(".").split("...")
        ]
        body = {
            "output": output,
            "outputs": many if output.startswith("..") else many[0],
            "inputs": [{"id": f"{name}-in", "property": "value", "value": value} for value in values],
            "changedPropIds": [],
        }
        return client.post("/_dash-update-component", json=body, headers=headers)

    @classmethod
    def navigate(cls, client: FlaskClient, pathname: Any, search: str = "") -> Any:
        """Asks Dash's router for the page of an address."""
        return cls.callback(client, ".._pages_content.children..._pages_store.data..", pathname, search)


def _page(app: Dash, name: str, path: str, permission: Permission | None) -> None:
    more = {} if permission is None else {"permission": permission.value}
    dash.register_page(f"dashboards.{name}.page", path=path, name=name, layout=html.Div(f"layout of {name}"), **more)
    _callback(app, f"{name}-out", f"dashboards.{name}.page")
    _callback(app, f"{name}-more", f"dashboards.{name}.figures")


def _callback(app: Dash, name: str, module: str) -> None:
    def draw(value: str) -> str:
        scope = _access.current_scope()
        sites = "*" if scope.sites is None else sorted(scope.sites)
        return f"{name} {value} {sites}|{scope.rows}|{scope.identified}|{scope.small_count}"

    draw.__module__ = module
    app.callback(Output(name, "children"), Input(f"{name}-in", "value"))(draw)


def _views(server: Flask) -> None:
    @server.get("/export/exams.csv")
    @_access.needs(Permission.EXPORT)
    def export() -> str:
        _access.audit_export("exams", "CT at North, March 2026", 3, "ab" * 32)
        return "exam,dose\n"

    @server.get("/unmarked")
    def unmarked() -> str:
        return "secret"

    @server.get("/busy")
    @_access.needs(Permission.VIEW_DATA)
    def busy() -> str:
        raise StoreBusyError("Not saved: try again.")

    @server.get("/broken")
    @_access.needs(Permission.VIEW_DATA)
    def broken() -> str:
        raise RuntimeError("a secret of the inside")


def served(folder: Path, **web: Any) -> Served:
    """A guarded app over a new data directory, with one account a role unless it is the demo."""
    settings = Settings(sites=SITES, organisation="Lakeside Imaging", web=Web(**web))
    home = DataHome.initialise(folder)
    server = Flask("access_under_test")
    app = Dash(server=server, use_pages=True, pages_folder="", health_endpoint="healthz", enable_mcp=False)
    app.layout = html.Div([dcc.Location(id="place"), dash.page_container])
    for name, (path, permission) in PAGES.items():
        _page(app, name, path, permission)
    _callback(app, "shell-out", "dashboards._shell.filters")
    _callback(app, "stranger-out", "somewhere.else")
    _callback(app, "nearly-out", "dashboards._shellfish")
    if not web.get("demo"):
        _people(Services.opened(settings, home))
    clock = Clock()
    services = _access.install(server, app, settings, home)
    sessions = Sessions(
        services.engine,
        timedelta(minutes=settings.web.idle_minutes),
        timedelta(hours=settings.web.session_hours),
        clock,
    )
    services = replace(services, sessions=sessions)
    server.extensions[EXTENSION] = services
    _views(server)
    assert server.test_client().get("/healthz").status_code == 200
    return Served(server, app, services, clock)


def _people(services: Services) -> None:
    accounts = Accounts(
        services.engine, services.audit, hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    )
    for role in Role:
        accounts.create("system", f"{role}-person", PASSWORD, [role])
    accounts.create("system", "harbour-physicist", PASSWORD, [Role.PHYSICIST], sites=["HARBOUR"])


@contextmanager
def _many_attempts_and_clean_dash() -> Iterator[None]:
    """Lets tests sign in often, and leaves Dash's global registries as they were."""
    pages, config = dict(dash.page_registry), dict(dash._pages.CONFIG.__dict__)
    callbacks = list(dash._callback.GLOBAL_CALLBACK_LIST)
    dash.page_registry.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dashboards._access.installation.LOGIN_ATTEMPTS", "1000 per minute")
        yield
    dash.page_registry.clear()
    dash.page_registry.update(pages)
    dash._pages.CONFIG.__dict__.update(config)
    dash._callback.GLOBAL_CALLBACK_LIST[:] = callbacks


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Makes an app with the settings given."""
    with _many_attempts_and_clean_dash():
        yield lambda **web: served(tmp_path / "data", **web)


@pytest.fixture
def fresh(serve: Callable[..., Served]) -> Served:
    """An app with accounts, for a test that changes them or the clock."""
    return serve()


@pytest.fixture
def demo(serve: Callable[..., Served]) -> Served:
    """An app in demo mode."""
    return serve(demo=True)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An app with accounts, shared by the tests of a module that only look."""
    with _many_attempts_and_clean_dash():
        yield served(tmp_path_factory.mktemp("hospital") / "data")


@pytest.fixture(scope="module")
def people(hospital: Served) -> dict[Role, FlaskClient]:
    """One signed-in client a role."""
    return {role: hospital.with_role(role) for role in Role}
