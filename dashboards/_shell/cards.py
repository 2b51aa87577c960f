"""One anatomy for every chart: what it finds, what it measures, the picture, the table, how it is computed, the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from dashboards._shell import urls
from dashboards._shell.numbers import moment
from dashboards._shell.reading import Reading
from dashboards._shell.tables import Table, html_table
from warehouse.measures import Measure

Figure = dict[str, Any]

GRAPH_CONFIG = {"displayModeBar": False, "responsive": True, "doubleClick": False, "scrollZoom": False}


@dataclass(frozen=True)
class Card:
    """One chart with everything that is said about it."""

    title: str
    """What it finds, as a sentence."""
    subtitle: str
    """Measure and unit; the period and filters follow by themselves."""
    table: Table
    figure: Figure | tuple[Figure, ...] | None = None
    """Several are small charts beside each other; absent where the table itself is the picture."""
    measures: tuple[Measure, ...] = ()
    note: str = ""
    """What a reader must know to read it right."""
    formula: str = ""
    """How it is computed, where it is no measure of the catalogue."""
    exams: str | None = None
    """Address of the exams behind it."""
    period: str | None = None
    """Its period in words, where it is another one than the filters'."""
    rows_shown: int = 12
    """Rows of a table without a figure that stand open; more are behind a fold."""
    is_wide: bool = False
    controls: tuple[Component, ...] = ()
    """Choices of this chart alone, beside its title."""

    @property
    def sentence(self) -> str:
        """What a screen reader says for the picture."""
        return f"{self.title}. {self.subtitle}."


@dataclass(frozen=True)
class Empty:
    """A chart that has nothing to show, and why."""

    title: str
    reason: str
    remedy: str = "Clear the filters"
    is_wide: bool = False
    controls: tuple[Component, ...] = ()


def chart_card(card: Card, name: str, reading: Reading) -> Component:
    """The card as the page shows it."""
    subtitle = [card.subtitle, html.Span(f" · {card.period or reading.sentence}", className="period")]
    heading = [html.Div([html.H2(card.title), html.P(subtitle, className="subtitle")]), *card.controls]
    caption = f"{card.title}: {card.subtitle}"
    return html.Section(
        [
            html.Header(heading, className="card-header"),
            *_picture(card, caption),
            *_note(card),
            html.Footer(_footer(card, name, reading, caption)),
        ],
        className="card wide" if card.is_wide else "card",
        **{"aria-label": card.title},
    )


def empty_card(empty: Empty, path: str) -> Component:
    """A card that says why it has nothing to show, and the way out."""
    body = html.Div([html.P(empty.reason), dcc.Link(empty.remedy, href=path, className="button")], className="empty")
    return html.Section(
        [html.Header([html.H2(empty.title), *empty.controls], className="card-header"), body],
        className="card wide" if empty.is_wide else "card",
    )


def explained(measures: Sequence[Measure], formula: str, reading: Reading) -> Component:
    """The answer to "How is this computed?", from the catalogue."""
    publication = reading.star.publication
    parts: list[Component] = [html.P(formula)] if formula else []
    for found in measures:
        below = (
            f"Below {found.minimum_n} exams or events it is shown in grey and draws no conclusion."
            if found.minimum_n > 1
            else ""
        )
        terms = [
            ("Formula", found.formula),
            ("Sources", found.sources),
            ("Left out", found.exclusions),
            ("Small numbers", below),
            ("Note", found.notes),
        ]
        parts.append(html.H3(f"{found.title}{f', {found.unit}' if found.unit else ''} (definition {found.version})"))
        parts.append(html.Dl([item for term, text in terms if text for item in (html.Dt(term), html.Dd(text))]))
    made = f"From publication {publication.id}, data to {moment(reading.data_to, reading.zone)}."
    return html.Details(
        [
            html.Summary("How is this computed?"),
            html.Div([*parts, html.P(made, className="small")], className="explained"),
        ]
    )


def _picture(card: Card, caption: str) -> list[Component]:
    if card.figure is None:
        return _open_table(card, caption)
    pictures = card.figure if isinstance(card.figure, tuple) else (card.figure,)
    graphs = [
        dcc.Graph(figure=each, config=GRAPH_CONFIG, style={"height": f"{each['layout']['height']}px"})
        for each in pictures
    ]
    css = "multiples" if len(graphs) > 1 else "graph"
    return [html.Figure(html.Div(graphs, role="img", className=css, **{"aria-label": card.sentence}))]


def _open_table(card: Card, caption: str) -> list[Component]:
    more = card.table.frame.height - card.rows_shown
    if more <= 0:
        return [html_table(card.table, caption)]
    return [html_table(card.table, caption, limit=card.rows_shown)]


def _note(card: Card) -> list[Component]:
    notes = [card.note] if card.note else []
    if card.table.has_withheld:
        notes.append(f"Counts from 1 to {card.table.small_count - 1} are withheld to protect patients.")
    return [html.P(" ".join(notes), className="note")] if notes else []


def _footer(card: Card, name: str, reading: Reading, caption: str) -> list[Component]:
    parts: list[Component] = []
    total = card.table.frame.height
    if card.figure is not None:
        parts.append(html.Details([html.Summary("Show as table"), html_table(card.table, caption)]))
    elif total > card.rows_shown:
        parts.append(html.Details([html.Summary(f"Show all {total} rows"), html_table(card.table, caption)]))
    if card.measures or card.formula:
        parts.append(explained(card.measures, card.formula, reading))
    if reading.may("export"):
        address = urls.export(name, _query(reading))
        parts.append(
            html.A(
                "Download CSV",
                href=address,
                className="action",
                download=True,
                **{"aria-label": f"Download CSV: {card.title}"},
            )
        )
    if card.exams and reading.may("see_exam_rows"):
        parts.append(dcc.Link("See the exams", href=card.exams, className="action"))
    return parts


def _query(reading: Reading) -> str:
    """The filters, and what the page was asked besides."""
    own = {name: value for name, value in reading.extra.items() if name in PAGE_KEYS}
    return urls.with_query("", reading.filters.to_query(), **own).removeprefix("?")


PAGE_KEYS = (
    "measure",
    "split",
    "event",
    "exam",
    "curve",
    "begin",
    "why",
    "against",
    "figure",
    "waiting",
    "readers",
    "heat",
    "like",
    "lost",
    "missed",
    "day",
    "alert",
    "show",
    "reader",
    "patient",
    "metric",
    "rule",
    "waits",
)
"""What pages read from the address besides filters."""
