"""Signing in and out: plain Flask pages, outside of Dash."""

from __future__ import annotations

import hmac
import secrets

from flask import Blueprint, current_app, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from dashboards._access.demo import demo_choices, demo_person
from dashboards._access.guard import first_page
from dashboards._access.people import Person, audit_action, current_person
from dashboards._access.services import Services
from state.accounts import LOCK_MINUTES, MAX_FAILURES, Account

blueprint = Blueprint("access", __name__, template_folder="templates")

WRONG = (
    f"User name or password is not right. After {MAX_FAILURES} failures an account is locked for "
    f"{LOCK_MINUTES} minutes."
)
STALE = "This page was open too long. Please try again."
MANY = "Too many attempts from your address. Wait a minute, then try again."


@blueprint.get("/login")
def login() -> str:
    """The sign-in page."""
    return sign_in_page()


def sign_in_page(message: str = "") -> str:
    """The sign-in page, with what went wrong."""
    services = Services.of(current_app)
    session.setdefault("form_token", secrets.token_urlsafe(16))
    return render_template(
        "access/login.html",
        organisation=services.settings.organisation,
        choices=demo_choices(services.settings) if services.web.demo else [],
        form_token=session["form_token"],
        next=_safe_next(request.values.get("next")),
        message=message,
    )


@blueprint.post("/login")
def sign_in() -> Response | tuple[str, int]:
    """Signs in with a password, or in the demo with a click on a role."""
    sent, expected = request.form.get("form_token", ""), session.get("form_token")
    if not isinstance(expected, str) or not hmac.compare_digest(sent.encode(), expected.encode()):
        return sign_in_page(STALE), 400
    services = Services.of(current_app)
    if services.web.demo:
        person = demo_person(services.settings, request.form.get("person"))
        account = None
    else:
        account = services.accounts.verify(request.form.get("username", ""), request.form.get("password", ""))
        person = Person.of(account) if account else None
    if person is None:
        # Never what was typed: people type passwords into the wrong field.
        name = services.accounts.known(request.form.get("username", ""))
        audit_action("sign-in-failed", name or "no such account")
        return sign_in_page(WRONG), 401
    return _begin(person, account)


def _begin(person: Person, account: Account | None) -> Response:
    """Ends the session that was, begins a new one, and goes where the person wanted to."""
    services = Services.of(current_app)
    if isinstance(session.get("token"), str):
        services.sessions.end(session["token"])
    session.clear()
    demo_key = person.username.partition(":")[2] if person.demo else None
    session["token"] = services.sessions.start(account, demo_key)
    g.person = person
    audit_action("sign-in", "login", {"roles": [role.value for role in person.roles]})
    return redirect(_safe_next(request.form.get("next")) or url_for("access.home"))


@blueprint.post("/logout")
def logout() -> Response:
    """Ends the session on the server."""
    if isinstance(session.get("token"), str):
        Services.of(current_app).sessions.end(session["token"])
    audit_action("sign-out", "login")
    session.clear()
    return redirect(url_for("access.login"))


@blueprint.get("/home")
def home() -> Response | str:
    """The first page that the person may open."""
    person = current_person()
    first = first_page(person) if person else None
    if first is not None:
        return redirect(first)
    return render_template(
        "access/denied.html",
        heading="Your role opens no page",
        reason="You are signed in, but no page is open to your role.",
        remedy="Ask your administrator for the role that your work needs.",
        home="",
    )


def _safe_next(target: str | None) -> str | None:
    """The address to go on to, if it is one of ours: a path, never another host's."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\", "/login", "/logout")):
        return None
    return target if target.isprintable() and "\\" not in target else None
