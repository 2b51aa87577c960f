"""The frame around every page: navigation, header, and the states that a page can be in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dash
import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component
from flask import current_app

from dashboards._access.people import Person, current_person
from dashboards._shell import urls
from dashboards._shell.filter_bar import filter_bar
from dashboards._shell.freshness import loaded_sentence, source_freshness, stale_sentence
from dashboards._shell.ids import NAV, Shell
from dashboards._shell.reading import Reading, Served, reading_of
from settings import Settings
from warehouse.publication import PublicationError

THEME: dict[str, Any] = {
    "primaryColor": "blue",
    "primaryShade": {"light": 9, "dark": 6},  # shade 6 on the active link has a contrast of only 3.16 to 1
    "fontFamily": "'Inter Variable', Inter, system-ui, sans-serif",
    "defaultRadius": 8,
    "respectReducedMotion": True,
    "cursorType": "pointer",
}
SCHEMES = (("light", "Light", "sun"), ("dark", "Dark", "moon"), ("auto", "As the device", "device-desktop"))
REFRESH_MS = 60_000


def shell() -> Component:
    """Everything around the page, for the person who asks."""
    settings = Served.of(current_app).settings
    person = current_person()
    app_shell = dmc.AppShell(
        [
            dmc.AppShellHeader(_header(settings, person), className="header"),
            dmc.AppShellNavbar(_navigation(person), className="navigation"),
            dmc.AppShellMain(html.Div(dash.page_container, id="content", tabIndex="-1"), className="main"),
        ],
        id=Shell.APP,
        header={"height": 56},
        navbar={"width": 208, "breakpoint": "sm", "collapsed": {"mobile": True}},
        padding=0,
    )
    return dmc.MantineProvider(
        [
            html.A("Skip to the content", href="#content", className="skip-link"),
            app_shell,
            dcc.Store(id=Shell.THEME),
            dcc.Interval(id=Shell.TICK, interval=REFRESH_MS),
            dmc.NotificationContainer(id=Shell.TOASTS, position="bottom-right", autoClose=8000),
        ],
        theme=THEME,
        defaultColorScheme="auto",
    )


def page(
    title: str,
    path: str,
    query: Mapping[str, str],
    content: Sequence[Component],
    *,
    intro: str = "",
    has_filters: bool = True,
) -> Component:
    """A page: heading, filters, sections; or the one thing to say where there is no data.

    Args:
        path: address of the page, where clearing the filters leads.
        query: what stands in the address, untrusted.
    """
    if current_person() is None:  # Dash calls every layout once at the start, to learn the ids
        return html.Div()
    text = urls.with_query(
        "", "", **{key: value for key, value in query.items() if isinstance(value, str)}
    ).removeprefix("?")
    heading = html.Header(
        [html.H1(title), html.P(intro, className="intro")] if intro else [html.H1(title)], className="page-header"
    )
    try:
        reading = reading_of(text)
    except PublicationError as error:
        return html.Div([heading, no_data(str(error))], className="page")
    bar = [filter_bar(reading, path)] if has_filters else []
    start = dcc.Store(id=Shell.QUERY, data=text)
    printed = html.P(f"{reading.sentence} · {loaded_sentence(reading.star, reading.settings)}", className="only-print")
    return html.Div(
        [start, heading, *bar, printed, *_stale(reading), html.Div(list(content), className="sections")],
        className="page",
    )


def no_data(message: str) -> Component:
    """The page of an installation that has loaded nothing yet."""
    steps = [
        html.Li([html.Code("make run"), " serves an invented hospital network to look around in."]),
        html.Li([html.Code("python -m etl load FOLDER"), " reads your own DICOM files, dose reports and messages."]),
    ]
    return html.Section(
        [html.H2("There is no data to show yet"), html.P(message[:1].upper() + message[1:]), html.Ul(steps)],
        className="card empty-state",
        role="status",
    )


def message(title: str, text: str, href: str, link: str) -> Component:
    """One thing to say in place of what was asked for, and where to go on."""
    return html.Section(
        [html.H2(title), html.P(text), dcc.Link(link, href=href, className="button")], className="card empty-state"
    )


def freshness() -> tuple[str, str]:
    """The header's words on how fresh the data is, and the class that colours them."""
    served = Served.of(current_app)
    try:
        star = served.reader.current()
    except PublicationError:
        return "No data loaded yet", "freshness"
    now = datetime.now(UTC)
    is_stale = any(found.is_stale for found in source_freshness(star, served.settings, now))
    return loaded_sentence(star, served.settings, now), "freshness stale" if is_stale else "freshness"


def _stale(reading: Reading) -> list[Component]:
    sentence = stale_sentence(source_freshness(reading.star, reading.settings, datetime.now(UTC)), reading.settings)
    if sentence is None:
        return []
    parts: list[Component | str] = [html.Strong("Not up to date. "), f"{sentence}. "]
    if reading.may("view_data"):
        parts.append(dcc.Link("See the sources", href=urls.DATA))
    return [
        html.Div([html.Span(className="icon icon-alert-triangle"), html.P(parts)], className="banner", role="status")
    ]


def _header(settings: Settings, person: Person | None) -> list[Component]:
    words, css = freshness()
    demo = [html.Span("Demo – invented data", className="demo-mark")] if settings.web.demo else []
    return [
        dmc.Burger(id=Shell.BURGER, opened=False, hiddenFrom="sm", size="sm", **{"aria-label": "Navigation"}),
        html.Div(
            [
                html.Span(className="logo", **{"aria-hidden": "true"}),
                html.Span(settings.organisation, className="organisation"),
            ],
            className="brand",
        ),
        *demo,
        html.Div(words, id=Shell.FRESHNESS, className=css),
        _theme_choice(),
        *([_person(person)] if person else []),
    ]


def _theme_choice() -> Component:
    data = [
        {
            "value": value,
            "label": html.Span(className=f"icon icon-{icon}", title=label, role="img", **{"aria-label": label}),
        }
        for value, label, icon in SCHEMES
    ]
    return html.Div(
        dmc.SegmentedControl(id=Shell.THEME_CHOICE, data=data, value="auto", size="xs", persistence=False),
        className="theme-choice",
        role="group",
        **{"aria-label": "Colour scheme"},
    )


def _person(person: Person) -> Component:
    words = html.Div(
        [
            html.Span(person.display_name, className="person-name"),
            html.Span(person.role_words, className="person-role"),
        ],
        className="person-words",
    )
    button = html.Button(
        [html.Span(className="icon icon-logout"), html.Span("Sign out", className="sign-out-word")],
        type="submit",
        className="button quiet sign-out",
        title="Sign out",
        **{"aria-label": "Sign out"},
    )
    return html.Div([words, html.Form(button, method="POST", action="/logout")], className="person")


def _navigation(person: Person | None) -> list[Component]:
    links = [
        dmc.NavLink(
            id={"type": NAV, "page": entry["path"]}, label=entry["name"], href=entry["path"],
            leftSection=html.Span(className=f"icon icon-{entry['icon']}", **{"aria-hidden": "true"}), className="nav-link",
        )
        for entry in dash.page_registry.values()
        if entry.get("icon") and person is not None and entry.get("permission") and person.may(entry["permission"])
    ]  # fmt: skip
    return [html.Nav(links, **{"aria-label": "Pages"})]
