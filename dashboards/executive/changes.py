"""What changed or stands out: the findings of `insights` inside the page's choice, each leading to the page that says more."""

from __future__ import annotations

from datetime import timedelta

from dash import dcc, html
from dash.development.base_component import Component

from dashboards._shell import urls
from dashboards._shell.reading import Reading
from insights.finding import Finding
from insights.findings import findings
from warehouse.measures import CATALOGUE

SHOWN = 7
PAGE_OF = {
    "view_turnaround": urls.TURNAROUND,
    "view_dose": urls.DOSE,
    "view_utilization": urls.UTILIZATION,
    "view_executive": urls.UTILIZATION,
    "view_data": urls.DATA,
}
"""The page of a finding's permission."""
PAGE_OF_TOPIC = {
    "clock": urls.QUALITY_DEVICES,
    "wrong entry": urls.QUALITY_DEVICES,
    "idle hours": urls.UTILIZATION_LOST,
}
"""Topics that a page of their own says more of."""
WORDS = {"concern": "for the worse", "improvement": "for the better", "change": "a change"}


def changes(reading: Reading) -> list[Finding]:
    """What left its usual range, of the measures that the person may see: concerns first, by consequence."""
    allowed = {found.permission for found in CATALOGUE.values() if reading.may(found.permission)}
    day = reading.as_of + timedelta(days=1)
    found = findings(reading.star, day, reading.scope, filters=reading.filters, permissions=allowed, limit=SHOWN)
    return sorted(found, key=lambda each: each.kind != "concern")


def href(found: Finding, reading: Reading) -> str:
    """The page that says more of the finding, with its place chosen."""
    path = PAGE_OF_TOPIC.get(found.topic, PAGE_OF[found.permission])
    place = {way: (value,) for way, value in found.scope.items()}
    return urls.page(path, reading.filters.narrowed(**place))


def item(found: Finding, reading: Reading) -> Component:
    """A finding as a line of the list."""
    rises = found.size > 0
    kind = "neutral" if found.kind == "change" else found.kind
    return html.Li([
        html.Span("▲" if rises else "▼", className=f"variation {kind}", title=WORDS[found.kind]),
        dcc.Link(found.text, href=href(found, reading), title=f"{found.because} {found.advice}"),
    ])  # fmt: skip
