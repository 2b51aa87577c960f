"""Layout and sections of the executive page."""

from __future__ import annotations

import dash
from dash import html
from dash.development.base_component import Component

from dashboards._shell import charts, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.filter_bar import choice
from dashboards._shell.kpi import kpi, kpi_card
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards._shell.weekly import statement, weekly
from dashboards.executive.changes import changes, item
from warehouse.measures import measure

HEADLINES = {
    "exams": urls.UTILIZATION, "report_minutes_p50": urls.TURNAROUND, "report_minutes_p90": urls.TURNAROUND, "scanner_utilization": urls.UTILIZATION,
    "no_show_share": urls.UTILIZATION, "unbilled_share": None, "dose_capture_share": urls.DOSE, "dlp_p50": urls.DOSE,
}  # fmt: skip
"""Headline measures, and the page that says more."""
FIRST = "report_minutes_p50"

dash.register_page(
    __name__,
    path=urls.EXECUTIVE,
    name="Executive",
    title="Executive – Isocenter",
    order=0,
    icon="layout-dashboard",
    permission="view_executive",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("executive.headlines", height=292, is_wide=True),
        slot("executive.changes", height=380),
        slot("executive.trend", height=380),
    ]
    return page(
        "Executive",
        urls.EXECUTIVE,
        query,
        content,
        intro="Headline measures, each against its own usual variation over the last 52 weeks.",
    )


@section("executive.headlines")
def headlines(reading: Reading) -> Drawn:
    """The headline cards that the person may see."""
    shown = [name for name in HEADLINES if may_see(reading, name)]
    cards = [kpi_card(kpi(reading, name, _href(reading, name)), reading) for name in shown]
    return html.Div(cards, className="kpis")


@section("executive.changes")
def what_changed(reading: Reading) -> Drawn:
    """What changed, in plain words, each leading to its page."""
    found = changes(reading)
    if not found:
        text = html.P("Every watched measure is inside its usual variation of the last 52 weeks.", className="subtitle")
        return html.Section([html.H2("Nothing unusual"), text], className="card")
    worse = sum(each.kind == "concern" for each in found)
    title = (
        f"{worse} of {len(found)} changes are for the worse" if worse else f"{len(found)} changes, none for the worse"
    )
    subtitle = html.P(
        "What left its usual variation of the last 52 weeks or stands out beside it, by site, modality, scanner and protocol; concerns first",
        className="subtitle",
    )
    return html.Section(
        [html.H2(title), subtitle, html.Ul([item(each, reading) for each in found], className="changes")],
        className="card",
        **{"aria-label": "What changed"},
    )


@section("executive.trend")
def trend(reading: Reading) -> Drawn:
    """The chosen headline measure week by week."""
    chosen = reading.extra.get("measure", FIRST)
    name = (
        chosen
        if chosen in HEADLINES and may_see(reading, chosen)
        else next(name for name in HEADLINES if may_see(reading, name))
    )
    found = weekly(reading, name)
    options = [(each, measure(each).title) for each in HEADLINES if may_see(reading, each)]
    controls = (choice("measure", "Measure", options, name, FIRST),)
    if not found.weeks:
        return Empty(found.measure.title, f"No full week with data: {reading.sentence}.", controls=controls)
    title = f"{found.measure.title}: {statement(found)}"
    subtitle = f"Weekly value{_unit(found.measure.unit)}, mean and natural process limits"
    columns = (
        Column("week", "Week from", "day"),
        Column("value", found.measure.title, "number", found.measure.unit, found.measure.decimals),
        Column("n", "n", "number"),
        Column("variation", "Rule"),
    )
    place = ", ".join(reading.names.all.get(code, code) for code in reading.filters.site) or "All sites"
    return Card(
        title, subtitle, Table(columns, found.frame(), reading.scope.small_count), charts.xmr(found, reading.look), (found.measure,),
        note=RULES, period=f"{place} · {found.period}", exams=urls.exams(reading.filters), controls=controls,
    )  # fmt: skip


UNIT_WORDS = {"min": "minutes", "%": "percent"}
RULES = "◆ special cause: outside the limits, 7 weeks on one side of the mean, 7 rising or falling, or 2 of 3 near a limit. Limits: mean ± 2.66 average moving ranges."


def may_see(reading: Reading, name: str) -> bool:
    """Whether the person may ask for the measure."""
    return reading.may(measure(name).permission)


def _href(reading: Reading, name: str) -> str | None:
    path = HEADLINES[name]
    return urls.page(path, reading.filters) if path and may_see(reading, name) else None


def _unit(unit: str) -> str:
    return f" in {UNIT_WORDS.get(unit, unit)}" if unit else ""
