"""Saved views of a page: what its address chooses, under a name, one click away."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from dash import dcc, html
from dash.development.base_component import Component
from flask import Flask, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from dashboards._access.guard import for_everybody, may_open_page, refused
from dashboards._access.people import current_person
from dashboards._access.services import Services
from dashboards._shell import urls
from dashboards._shell.forms import Field, Form, html_form
from dashboards._shell.reading import Reading
from dashboards._shell.routes import refused_fields
from state.views import MOST_NAME, SavedView, SavedViews, ViewError

FOR = (("", "Me alone"), ("shared", "All who open this page"))


def register(server: Flask) -> None:
    """Adds the addresses that keep and forget views."""
    server.add_url_rule(urls.KEEP_VIEW, "keep-view", keep, methods=["POST"])
    server.add_url_rule(urls.FORGET_VIEW, "forget-view", forget, methods=["POST"])


def saved_views(reading: Reading, path: str) -> Component:
    """Links to the views of the page, and the forms that keep the present one and forget those of one's own.

    A section draws it, so that it knows what the address chooses now.
    """
    if reading.person is None:
        return html.Div()
    found = SavedViews(Services.of(current_app).engine).of(reading.person.username, path)
    links = [_link(one, reading) for one in found]
    nav = [html.Nav(links, className="views", **{"aria-label": "Saved views"})] if links else []
    query = urlencode(sorted(reading.extra.items()), safe=",")
    keeping = Form(
        urls.KEEP_VIEW,
        "Keep",
        (Field("name", "Name", help=f"At most {MOST_NAME} characters."), Field("for", "For", "select", "", FOR)),
        hidden={"page": path, "query": query},
        is_quiet=True,
    )
    own = [one for one in found if one.owner == reading.person.username]
    parts = [html_form(keeping, "Keep the present choices as a view"), *(_forget_form(one) for one in own)]
    manage = html.Details([html.Summary("Keep these choices as a view" if not own else "Keep or forget views"), *parts])
    return html.Div([*nav, manage], className="saved-views")


@for_everybody
def keep() -> ResponseReturnValue:
    """Keeps a view of a page that the person may open."""
    person, page = current_person(), request.form.get("page", "")
    if person is None or not may_open_page(page, person):
        return refused(request.path)
    query = request.form.get("query", "")
    if not parse_qsl(query):
        return refused_fields({"": "Nothing is chosen: the page opens like this by itself. Choose first, then keep."})
    try:
        SavedViews(Services.of(current_app).engine).keep(
            person.username, page, request.form.get("name", ""), query, is_shared=request.form.get("for") == "shared"
        )
    except ViewError as error:
        return refused_fields({"name": str(error)})
    return jsonify(message="Kept.")


@for_everybody
def forget() -> ResponseReturnValue:
    """Forgets a view of one's own."""
    person, number = current_person(), request.form.get("number", "")
    views = SavedViews(Services.of(current_app).engine)
    if person is None or not number.isdigit() or not views.forget(person.username, int(number[:18])):
        return refused_fields({"": "This view is gone already, or another's. Load the page again."})
    return jsonify(message="Forgotten.")


def _link(one: SavedView, reading: Reading) -> Component:
    is_own = reading.person is not None and one.owner == reading.person.username
    words = one.name if is_own else f"{one.name} · {one.owner}"
    if dict(parse_qsl(one.query)) == dict(reading.extra):
        return html.Span(words, className="view here", **{"aria-current": "page"})
    return dcc.Link(words, href=f"{one.page}?{one.query}", className="view")


def _forget_form(one: SavedView) -> Component:
    form = Form(urls.FORGET_VIEW, f"Forget “{one.name}”", hidden={"number": str(one.id)}, is_quiet=True)
    return html_form(form, f"Forget the view {one.name}")
