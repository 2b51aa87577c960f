"""Headline cards: one number, where it stands against the time before, and whether that is more than chance."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from dash import dcc, html
from dash.development.base_component import Component

from dashboards._shell import numbers
from dashboards._shell.look import Look
from dashboards._shell.reading import Reading
from dashboards._shell.weekly import Weekly, statement, weekly
from warehouse.measures import Measure, measure

SPARK_WEEKS = 24
SMALL_STEP = 0.0005
"""A change below this share of the value is called none."""
_MARKS = {"concern": "◆", "improvement": "◆", "neutral": "◆", "common": "●"}


@dataclass(frozen=True)
class Kpi:
    """One headline measure over the filters' period."""

    measure: Measure
    value: float | None
    n: int
    withheld: bool
    before: float | None
    """The period of equal length just before; None where the data does not reach back."""
    days: int
    weekly: Weekly
    href: str | None = None

    @property
    def is_small(self) -> bool:
        """Whether too few exams stand behind it to conclude from."""
        return self.n < self.measure.minimum_n and not self.measure.additive


def kpi(reading: Reading, name: str | Measure, href: str | None = None) -> Kpi:
    """The measure now and before, with its weeks."""
    value, n, withheld = _total(reading, name)
    earlier = reading.filters.before()
    reaches = reading.data_from is not None and earlier.start >= reading.data_from
    before, before_n, _ = _total(reading.over(earlier), name) if reaches else (None, 0, False)
    found = measure(name)
    usable = found.additive or before_n >= found.minimum_n
    return Kpi(found, value, n, withheld, before if usable else None, reading.filters.days, weekly(reading, name), href)


def kpi_card(found: Kpi, reading: Reading) -> Component:
    """The card: label, value, sparkline, comparison, variation."""
    number, unit = numbers.parts(found.value, found.measure.unit, found.measure.decimals)
    if found.withheld:
        number, unit = numbers.withheld(reading.scope.small_count), ""
    value = html.P(
        [html.Span(number, className="kpi-number"), html.Span(f" {unit}", className="kpi-unit")],
        className="kpi-value small-n" if found.is_small else "kpi-value",
    )
    label = html.H2(
        dcc.Link(found.measure.title, href=found.href) if found.href else found.measure.title, className="kpi-label"
    )
    spark = html.Img(src=sparkline(found.weekly, reading.look), alt="", className="spark", width=96, height=36)
    lines = [
        html.P(comparison(found), className="kpi-line"),
        html.P(_variation(found), className=f"kpi-line variation {found.weekly.variation}"),
    ]
    return html.Section(
        [label, html.Div([value, spark], className="kpi-row"), *lines],
        className="card kpi",
        **{"aria-label": found.measure.title},
    )


def comparison(found: Kpi) -> str:
    """One line with base and period: `▲ 5 min on the 90 days before`."""
    if found.value is None:
        return (
            f"not reached yet: too many of {numbers.count(found.n)} are open"
            if found.n
            else "nothing counts in this period"
        )
    if found.is_small:
        return f"n = {numbers.count(found.n)}: too few to conclude"
    if found.before is None:
        return (
            f"n = {numbers.count(found.n)} · no earlier data to compare"
            if not found.measure.additive
            else "no earlier data to compare"
        )
    mark = numbers.arrow(found.value, found.before, abs(found.before) * SMALL_STEP)
    gap = numbers.difference(found.value, found.before, found.measure.unit, found.measure.decimals or None)
    if mark == "▬" or not any(digit in gap for digit in "123456789"):
        return f"▬ as in the {found.days} days before"
    return f"{mark} {gap} on the {found.days} days before"


def sparkline(found: Weekly, look: Look) -> str:
    """The last weeks as a small picture; decoration, for the words beside it say the same."""
    values = [value for value in found.values[-SPARK_WEEKS:] if value is not None]
    if len(values) < 2:
        return "data:image/svg+xml," + quote('<svg xmlns="http://www.w3.org/2000/svg" width="96" height="36"/>')
    low, high = min(values), max(values)
    step, span = 88 / (len(values) - 1), (high - low) or 1.0
    points = [(4 + index * step, 32 - 28 * (value - low) / span) for index, value in enumerate(values)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    colour = look.series[0] if found.variation == "common" else look.variation[found.variation]
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="96" height="36" viewBox="0 0 96 36">'
        f'<polyline points="{path}" fill="none" stroke="{look.variation["common"]}" stroke-width="1.5" stroke-linejoin="round"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/></svg>'
    )
    return "data:image/svg+xml," + quote(svg)


def _variation(found: Kpi) -> list[Component | str]:
    return [
        html.Span(_MARKS[found.weekly.variation], className="mark", **{"aria-hidden": "true"}),
        f" {statement(found.weekly)}",
    ]


def _total(reading: Reading, name: str | Measure) -> tuple[float | None, int, bool]:
    frame = reading.frame(name)
    if frame.is_empty():
        return None, 0, False
    row = frame.row(0, named=True)
    value = None if row["value"] is None else float(row["value"])
    return value, int(row["n"] or 0), bool(row["withheld"])


def fact_card(label: str, value: str, line: str) -> Component:
    """A card with one number that is no measure of the catalogue, and a line on what it is."""
    number = html.P(html.Span(value, className="kpi-number"), className="kpi-value")
    return html.Section(
        [
            html.H2(label, className="kpi-label"),
            html.Div(number, className="kpi-row"),
            html.P(line, className="kpi-line"),
        ],
        className="card kpi",
        **{"aria-label": label},
    )
