"""Mapping local procedures to standard ones: what is open, what is likely, who decided what."""

from __future__ import annotations

import dash
from dash.development.base_component import Component

from dashboards._shell import urls
from dashboards._shell.decisions import parts_of_data
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards.mapping import views
from dashboards.mapping.decide import PROCEDURES

dash.register_page(
    __name__, path=urls.PROCEDURES, name="Procedures", title="Procedures – Isocenter", permission="view_data"
)


def layout(**query: str) -> Component:
    """The page; volumes are those of the last days of the data, so that it needs no filters."""
    content = [
        slot("mapping.parts", height=60, is_wide=True), slot("mapping.queue", height=640, is_wide=True), slot("mapping.other", height=220, is_wide=True),
        slot("mapping.all", height=320, is_wide=True), slot("mapping.history", height=220, is_wide=True),
    ]  # fmt: skip
    return page(
        "Procedures",
        urls.PROCEDURES,
        query,
        content,
        intro="What each local procedure is in standard terms, so that sites can be compared. The most used come first.",
        has_filters=False,
    )


@section("mapping.parts")
def parts(reading: Reading) -> Drawn:
    """Links to the other pages about the data, and whether decisions are in the star."""
    return parts_of_data(reading, urls.PROCEDURES)


@section("mapping.queue")
def queue(reading: Reading) -> Drawn:
    """Procedures that nobody decided yet, each with what it is likely to be."""
    return views.queue(PROCEDURES, reading)


@section("mapping.other")
def other(reading: Reading) -> Drawn:
    """Mapping one procedure to a code that is not in the lists."""
    return views.other(PROCEDURES, reading)


@section("mapping.all")
def everything(reading: Reading) -> Drawn:
    """All local procedures and their mapping in the star."""
    return views.everything(PROCEDURES, reading)


@section("mapping.history")
def history(reading: Reading) -> Drawn:
    """Who mapped what, when and why, with the way back."""
    return views.history(PROCEDURES, reading)
