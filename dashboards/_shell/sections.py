"""A section is one part of a page that loads by itself: a function from a reading to a card, named once.

The same function answers the page's callback and the file download, so that a file holds what is seen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import dash
from dash import Input, Output, callback, dcc, html
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate

from dashboards._shell.cards import Card, Empty, chart_card, empty_card
from dashboards._shell.ids import Shell
from dashboards._shell.reading import Reading, reading_of

Drawn = Card | Empty | Component | list[Component]
Draw = Callable[[Reading], Drawn]

LOADING_DELAY_MS = 300
"""Quicker answers show no skeleton, so that nothing flickers."""


@dataclass(frozen=True)
class Section:
    """One named part of a page."""

    name: str
    module: str
    draw: Draw


SECTIONS: dict[str, Section] = {}
"""Every section of the running program by name."""


def section(name: str) -> Callable[[Draw], Draw]:
    """Makes a function from a reading to a card the section of that name: its callback and its download.

    The name is the id of its place on the page, `<page>.<section>` without dots in the parts.
    """

    def made(draw: Draw) -> Draw:
        SECTIONS[name] = Section(name, draw.__module__, draw)

        @callback(
            Output(place(name), "children"),
            inputs={"query": Input(Shell.QUERY, "data"), "theme": Input(Shell.THEME, "data")},
        )
        @functools.wraps(draw)
        def answer(query: str | None, theme: str | None) -> Component | list[Component]:
            if theme is None:  # the browser has not said yet which scheme it shows
                raise PreventUpdate
            reading = reading_of(query or "", theme)
            return rendered(draw(reading), name, reading)

        return draw

    return made


def rendered(drawn: Drawn, name: str, reading: Reading) -> Component | list[Component]:
    """What a section drew, as components."""
    if isinstance(drawn, Card):
        return chart_card(drawn, name, reading)
    if isinstance(drawn, Empty):
        return empty_card(drawn, path_of(SECTIONS[name]) if name in SECTIONS else "/")
    return drawn


def slot(name: str, *, height: int = 380, is_wide: bool = False) -> Component:
    """The place of a section, with a quiet skeleton while it loads.

    Args:
        height: pixels that it keeps free until it is drawn, so that nothing jumps.
    """
    skeleton = html.Div(className="skeleton", **{"aria-hidden": "true"})
    place_holder = html.Div(html.Div(className="card waiting"), id=place(name), className="slot")
    return html.Div(
        dcc.Loading(
            place_holder,
            custom_spinner=skeleton,
            delay_show=LOADING_DELAY_MS,
            overlay_style={"visibility": "visible", "opacity": 0.55},
        ),
        className="slot-frame wide" if is_wide else "slot-frame",
        style={"minHeight": f"{height}px"},
    )


def place(name: str) -> str:
    """Component id of a section: ids may hold no dots."""
    return name.replace(".", "-")


def permission_of(found: Section) -> str | None:
    """The permission that opens the page which the section is on."""
    page = dash.page_registry.get(found.module)
    return None if page is None else page.get("permission")


def path_of(found: Section) -> str:
    """Address of the page which the section is on."""
    page = dash.page_registry.get(found.module)
    return str(page["path"]) if page else "/"
