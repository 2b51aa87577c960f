"""Mapping scanner protocols to standard exams: hundreds on one screen, suggestions ranked, confirmed by a person."""

from __future__ import annotations

import dash
from dash import html
from dash.development.base_component import Component

from dashboards._shell import urls
from dashboards._shell.decisions import effect_words
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards.dictionary.decide import PROTOCOLS
from dashboards.dose.parts import dose_pages
from dashboards.mapping import views

dash.register_page(
    __name__,
    path=urls.DOSE_DICTIONARY,
    name="Dictionary",
    title="Protocol dictionary – Isocenter",
    permission="see_exam_rows",
)


def layout(**query: str) -> Component:
    """The page; volumes are those of the last days of the data, so that it needs no filters."""
    content = [
        slot("dictionary.parts", height=60, is_wide=True), slot("dictionary.queue", height=640, is_wide=True), slot("dictionary.other", height=220, is_wide=True),
        slot("dictionary.all", height=320, is_wide=True), slot("dictionary.history", height=220, is_wide=True),
    ]  # fmt: skip
    return page(
        "Protocol dictionary",
        urls.DOSE_DICTIONARY,
        query,
        content,
        intro="Which standard exam each scanner protocol is: reference levels and comparisons go by it. The most used come first.",
        has_filters=False,
    )


@section("dictionary.parts")
def parts(reading: Reading) -> Drawn:
    """Links to the other dose pages, and whether decisions are in the star."""
    return html.Div([dose_pages(urls.DOSE_DICTIONARY, reading), effect_words(reading)])


@section("dictionary.queue")
def queue(reading: Reading) -> Drawn:
    """Protocols that nobody decided yet, each with what it is likely to be."""
    return views.queue(PROTOCOLS, reading)


@section("dictionary.other")
def other(reading: Reading) -> Drawn:
    """Mapping one protocol to a code that is not in the lists."""
    return views.other(PROTOCOLS, reading)


@section("dictionary.all")
def everything(reading: Reading) -> Drawn:
    """All protocols and their mapping in the star."""
    return views.everything(PROTOCOLS, reading)


@section("dictionary.history")
def history(reading: Reading) -> Drawn:
    """Who mapped what, when and why, with the way back."""
    return views.history(PROTOCOLS, reading)
