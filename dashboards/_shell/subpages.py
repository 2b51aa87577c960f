"""The links between the pages that share one subject, with the filters that are chosen now."""

from __future__ import annotations

from collections.abc import Sequence

from dash import dcc, html
from dash.development.base_component import Component

from dashboards._shell import urls
from dashboards._shell.reading import Reading


def subpages(pages: Sequence[tuple[str, str]], here: str, reading: Reading) -> Component:
    """A row of links, the present page marked; a section draws it, so that filters travel along.

    Args:
        pages: address and name of each page.
        here: address of the page that is shown.
    """
    links = [
        html.Span(name, className="subpage here", **{"aria-current": "page"})
        if path == here
        else dcc.Link(name, href=urls.page(path, reading.filters), className="subpage")
        for path, name in pages
    ]
    return html.Nav(links, className="subpages", **{"aria-label": "Parts of this subject"})
