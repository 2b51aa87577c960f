"""What changed: the findings of `insights` inside the page's choice, each leading to the page that says more."""

from __future__ import annotations

from datetime import timedelta

from dash import dcc, html
from dash.development.base_component import Component

from dashboards._shell import urls
from dashboards._shell.reading import Reading
from insights.findings import Finding, findings
from warehouse.measures import CATALOGUE, measure

SHOWN = 7
PAGE_OF = {
    "view_turnaround": urls.TURNAROUND,
    "view_dose": urls.DOSE,
    "view_utilization": urls.UTILIZATION,
    "view_executive": urls.UTILIZATION,
    "view_data": urls.DATA,
}
"""The page of a measure's permission."""
WORDS = {"concern": "for the worse", "improvement": "for the better", "change": "a change"}


def changes(reading: Reading) -> list[Finding]:
    """What left its usual range, of the measures that the person may see: concerns first, by consequence."""
    allowed = {found.permission for found in CATALOGUE.values() if reading.may(found.permission)}
    day = reading.as_of + timedelta(days=1)
    found = findings(reading.star, day, reading.scope, filters=reading.filters, permissions=allowed, limit=SHOWN)
    return sorted(found, key=lambda each: each.kind != "concern")


def href(found: Finding, reading: Reading) -> str:
    """The page of the finding's measure, with its place chosen."""
    path = PAGE_OF[measure(found.measure).permission]
    place = {way: (value,) for way, value in found.scope.items()}
    return urls.page(path, reading.filters.narrowed(**place))


def item(found: Finding, reading: Reading) -> Component:
    """A finding as a line of the list."""
    rises = found.size > 0
    kind = "neutral" if found.kind == "change" else found.kind
    return html.Li([
        html.Span("▲" if rises else "▼", className=f"variation {kind}", title=WORDS[found.kind]),
        dcc.Link(found.text, href=href(found, reading)),
    ])  # fmt: skip
