"""Plan: the exams of the last full months against what was planned, and importing the plan of a year."""

from __future__ import annotations

from collections.abc import Mapping

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component
from flask import current_app

from dashboards._shell import numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.decisions import decision_list, decisions_of, effect_words, may_open
from dashboards._shell.filter_bar import choice
from dashboards._shell.forms import Field, Form, html_form, reason
from dashboards._shell.kpi import fact_card
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.subpages import subpages
from dashboards._shell.tables import Column
from dashboards.utilization import figures
from dashboards.utilization.decide import modalities, sees_all
from dashboards.utilization.parts import PAGES, chosen, table
from dashboards.utilization.planned import CHANCE, against_plan, planned_months, template
from state.decisions import DecisionKind
from state.roles import Permission
from warehouse.measures import measure
from warehouse.volume_plan import COLUMNS

SPLITS = {"modality": "Modality", "site": "Site"}
MOST_DECISIONS = 30
FIGURES = (
    Column("exams", "Exams", "number"),
    Column("planned", "Plan", "number"),
    Column("difference", "Difference", "number"),
    Column("change", "Difference", "number", "%", 1),
)

dash.register_page(
    __name__,
    path=urls.UTILIZATION_PLAN,
    name="Plan",
    title="Exams against plan – Isocenter",
    permission="view_utilization",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("utilization.planned", height=180, is_wide=True), slot("utilization.plan", height=460), slot("utilization.off_plan", height=460),
        slot("utilization.planning", height=420, is_wide=True),
    ]  # fmt: skip
    return page(
        "Exams against plan",
        urls.UTILIZATION_PLAN,
        query,
        content,
        intro="The last full months of the period, at most 12, of the sites and modalities that a plan was imported for.",
    )


@section("utilization.planned")
def headlines(reading: Reading) -> Drawn:
    """Links, and how far the whole is from its plan."""
    links = subpages(PAGES, urls.UTILIZATION_PLAN, reading)
    frame = against_plan(reading, "modality")
    told = frame.drop_nulls("change")
    if told.is_empty():
        return links
    exams, planned = float(told["exams"].sum()), float(told["planned"].sum())
    ordered = told.sort("difference")
    low, high = ordered.row(0, named=True), ordered.row(-1, named=True)
    cards = [
        fact_card("Exams made", numbers.count(exams), f"of {numbers.count(planned)} planned"),
        fact_card("Against plan", numbers.signed(100 * (exams / planned - 1), "%", 1), f"{numbers.signed(exams - planned)} exams"),
        *(
            fact_card(f"Furthest {where}", row["modality"], f"{numbers.signed(row['difference'])} exams, {numbers.signed(row['change'], '%', 1)}")
            for where, row in (("below", low), ("above", high))
            if abs(row["chances"]) > CHANCE and (row["chances"] < 0) == (where == "below")
        ),
    ]  # fmt: skip
    return html.Div([links, html.Div(cards, className="kpis")])


@section("utilization.plan")
def by_month(reading: Reading) -> Drawn:
    """Exams of each month against the plan."""
    frame = against_plan(reading, "month")
    if frame.is_empty():
        return _no_plan(reading)
    named = frame.with_columns(name=pl.col("month").dt.strftime("%b %Y"))
    return _card(named, named.drop_nulls("change"), ("month", "months"), "Month", reading)


@section("utilization.off_plan")
def by_part(reading: Reading) -> Drawn:
    """Modalities or sites against their plan, those furthest off first."""
    way = chosen(reading, "split", SPLITS, "modality")
    frame = against_plan(reading, way)
    if frame.is_empty():
        return html.Div()
    named = frame.with_columns(name=pl.col(way).replace_strict(dict(reading.names.all), default=pl.col(way)))
    told = named.drop_nulls("change").sort(pl.col("chances").abs(), descending=True)
    kind = ("modality", "modalities") if way == "modality" else ("site", "sites")
    controls = (choice("split", "By", list(SPLITS.items()), way, "modality"),)
    return _card(named, told, kind, SPLITS[way], reading, controls)


@section("utilization.planning")
def planning(reading: Reading) -> Drawn:
    """Importing the plan of a year, and who imported what."""
    kept = [
        one
        for one in decisions_of(current_app).history(DecisionKind.VOLUME_PLAN, limit=MOST_DECISIONS)
        if may_open(one, reading)
    ]
    listed = [html.H3("Imported plans"), decision_list(kept, reading, "No plan was imported yet.")]
    if not (reading.may(Permission.MANAGE_PLANS) and sees_all(reading)):
        return html.Section(listed, className="card wide") if kept else html.Div()
    known = f"Sites: {', '.join(sorted(reading.names.sites))}. Modalities: {', '.join(modalities(reading))}."
    fields = (
        Field("content", "The plan, as CSV with a header line", "textarea", help=f"Columns: {', '.join(COLUMNS)}; a month as {reading.as_of:%Y-%m}. {known}"),
        reason("Reason"),
    )  # fmt: skip
    form = Form(f"{urls.DECIDE}{DecisionKind.VOLUME_PLAN}", "Import", fields)
    return html.Section(
        [
            html.H2("Import the plan of a year"),
            html.P("Twelve months for each site and modality that has a plan. Importing a year again replaces it whole. A wrong cell is refused with its line, and then nothing is imported.", className="subtitle"),
            effect_words(reading), html_form(form, "Import the plan of a year"), *_template(reading), *listed,
        ],
        className="card wide",
    )  # fmt: skip


def _template(reading: Reading) -> list[Component]:
    text = template(reading)
    summary = html.Summary("The last 12 full months in this form, to start from")
    return [html.Details([summary, html.Pre(text, className="sample", tabIndex=0)])] if text else []


def _card(
    frame: pl.DataFrame,
    told: pl.DataFrame,
    kind: tuple[str, str],
    heading: str,
    reading: Reading,
    controls: tuple[Component, ...] = (),
) -> Card:
    """Bars of exams with ticks of the plan; those that chance alone may have put off it are pale."""
    sides = {
        "below": told.filter(pl.col("chances") < -CHANCE).height,
        "above": told.filter(pl.col("chances") > CHANCE).height,
    }
    return Card(
        _title(sides, kind, told.height), "Exams (bar) and plan (tick); pale where chance alone may be the reason", table((Column("name", heading), *FIGURES), frame, reading), figures.against_plan(told.to_dicts(), CHANCE, reading.look),
        (measure("exams"), measure("planned_exams")), note=_note(frame, reading), period=_period(reading), controls=controls,
        formula="Difference: exams less plan. Pale: within twice the square root of the plan, the reach of a count's own chance 19 times in 20 (Poisson).",
    )  # fmt: skip


def _title(sides: Mapping[str, int], kind: tuple[str, str], count: int) -> str:
    parts = [f"{number} {where}" for where, number in sides.items() if number]
    if not parts:
        return f"No {kind[0]} is further from its plan than chance explains"
    return f"Of {count} {kind[1]}, {' and '.join(parts)} plan by more than chance explains"


def _no_plan(reading: Reading) -> Empty:
    if reading.scope.departments is not None:
        why = "A plan is of sites and modalities, and your access is limited to departments: no plan speaks of them alone."
        return Empty("Exams against plan", why, "To your volume", is_wide=True)
    why = reading.filters.plan_note or (
        f"No plan was imported for a full month of this choice: {reading.sentence}. Operations or finance import one below, "
        "by site, modality and month."
    )
    return Empty("Exams against plan", why, is_wide=True)


def _note(frame: pl.DataFrame, reading: Reading) -> str:
    hidden = frame["exams"].null_count()
    return f"{hidden} with fewer than {reading.scope.small_count} exams are withheld to protect patients." if hidden else ""  # fmt: skip


def _period(reading: Reading) -> str:
    return planned_months(reading).sentence(reading.names.all)
