"""Demand: the exams of the next four weeks with their intervals, and how far such forecasts were off before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.filter_bar import choice
from dashboards._shell.kpi import fact_card
from dashboards._shell.layout import page
from dashboards._shell.look import Look
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards.demand.kept import Shown, parts_of, shown
from forecasting.network import EVERY, NAIVE, ORIGINS, WAYS
from forecasting.why import WORDS, parts_by_day, standing_out
from warehouse.measures import measure

HISTORY_DAYS = 56
SPLITS = {"modality": "Modality", "site": "Site", "patient_class": "Patient class"}

dash.register_page(
    __name__,
    path=urls.DEMAND,
    name="Demand",
    title="Demand – Isocenter",
    order=3,
    icon="trending-up",
    permission="view_utilization",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("demand.next", height=180, is_wide=True), slot("demand.days", height=460, is_wide=True), slot("demand.parts", height=420, is_wide=True), slot("demand.why", height=360, is_wide=True),
    ]  # fmt: skip
    return page(
        "Demand",
        urls.DEMAND,
        query,
        content,
        intro="The exams of the next four weeks from weekdays, season, holidays and trend. What is forecast are exams that take place: what scanners cannot do is not in it. It begins after the last full day of the data, whatever period is chosen.",
    )


@section("demand.next")
def headlines(reading: Reading) -> Drawn:
    """What comes, and how far it can be trusted."""
    found = shown(reading)
    if isinstance(found, str):
        return html.Div()
    days, before = found.days, _history(reading)
    last = {length: float(before.tail(length)["value"].sum()) for length in (7, 28)}
    week = found.weeks.row(0, named=True)
    between = f"80 % interval {numbers.count(week['q10'])} to {numbers.count(week['q90'])}"
    cards = [_expected(days, 7, last[7], between), _expected(days, 28, last[28])]
    busiest = days.sort("mean", descending=True).row(0, named=True)
    cards.append(
        fact_card(
            f"Busiest: {busiest['ds']:%A}, {numbers.day(busiest['ds'])}", numbers.count(busiest["mean"]),
            f"80 % interval {numbers.count(busiest['q10'])} to {numbers.count(busiest['q90'])}",
        )
    )  # fmt: skip
    score = found.kept.found.backtest.filter(pl.col("unique_id") == found.unique_id)
    if score.height:
        row = score.row(0, named=True)
        gain = 100 * (1 - row["mase"] / row["mase_seasonal_naive"])
        cards.append(fact_card("Better than repeating last week", numbers.signed(gain, "%"), f"over {ORIGINS} past forecasts; their 80 % intervals held {100 * row['coverage80']:.0f} %"))  # fmt: skip
    return html.Div(cards, className="kpis")


@section("demand.days")
def by_day(reading: Reading) -> Drawn:
    """The last eight weeks and the next four, day by day."""
    found = shown(reading)
    if isinstance(found, str):
        return Empty("Exams of the next four weeks", found, is_wide=True)
    days, before = found.days, _history(reading)
    week, ahead = float(before.tail(7)["value"].sum()), float(days.head(7)["mean"].sum())
    change = 100 * (ahead / week - 1) if week else 0.0
    way = (
        "as many exams as" if abs(change) < 1 else f"{abs(change):.0f} % {'more' if change > 0 else 'fewer'} exams than"
    )
    columns = (
        Column("ds", "Day", "day"), Column("mean", "Expected", "number", "", 1), Column("q10", "80 % from", "number", "", 1), Column("q90", "80 % to", "number", "", 1),
        Column("q025", "95 % from", "number", "", 1), Column("q975", "95 % to", "number", "", 1), Column("model", "Made by"),
    )  # fmt: skip
    made = f"Made {numbers.moment(found.kept.made_at, reading.zone)}."
    old = found.kept.publication != reading.star.publication.id
    return Card(
        f"The next seven days have {way} the last seven", f"Exams a day: the last {HISTORY_DAYS // 7} weeks, and the forecast with its 80 and 95 % intervals", Table(columns, days, reading.scope.small_count), _figure(before, days, reading.look),
        (measure("exams"),), note=made + (" Newer data is loaded since: run the forecast again." if old else ""),
        formula="Mean of a calendar regression with exponential smoothing and of the theta method for each site and modality, added up; intervals from the errors of past forecasts.",
        period=f"{_place(found, reading)}, {numbers.days(days['ds'][0], days['ds'][-1])}", is_wide=True,
    )  # fmt: skip


@section("demand.parts")
def by_part(reading: Reading) -> Drawn:
    """What the forecast is made of, and how good each part was."""
    found = shown(reading)
    if isinstance(found, str):
        return html.Div()
    ways = {name: word for name, word in SPLITS.items() if found.parts[WAYS.index(name)] == EVERY}
    if not ways:
        return html.Div()
    way = reading.extra.get("split", next(iter(ways)))
    way = way if way in ways else next(iter(ways))
    frame = parts_of(found, way)
    recent = reading.frame(
        "exams", way, filters=reading.filters.over(reading.as_of - timedelta(days=27), reading.as_of)
    )
    names = dict(reading.names.all)
    told = (
        frame.join(recent.select(part=way, last="value", withheld="withheld"), on="part", how="left")
        .with_columns(
            name=pl.col("part").replace_strict(names, default=pl.col("part")),
            change=100 * (pl.col("next") / pl.when(pl.col("last") > 0).then("last") - 1),
            gain=100 * (1 - pl.col("mase") / pl.col("mase_seasonal_naive")),
            covered=100 * pl.col("coverage80"),
            withheld=pl.col("withheld").fill_null(value=False),
        )
    )  # fmt: skip
    columns = (
        Column("name", SPLITS[way]), Column("next", "Next 28 days", "number"), Column("last", "Last 28 days", "number"), Column("change", "Change", "number", "%", 1),
        Column("gain", "Better than last week's repetition", "number", "%", 0), Column("bias", "Bias", "number", "%", 1), Column("covered", "80 % intervals held", "number", "%", 0), Column("model", "Made by"),
    )  # fmt: skip
    good = told.filter(pl.col("gain") > 0).height
    naive = told.filter(pl.col("model") == NAIVE).height
    note = f"{naive} of them repeat last week: no model was better." if naive else ""
    return Card(
        f"{good} of {told.height} forecasts were better than repeating last week",
        f"Expected exams, and scores over {ORIGINS} past forecasts of four weeks",
        Table(columns, told, reading.scope.small_count),
        note=note,
        formula="Better than repeating last week: 1 less the ratio of the two mean absolute errors. Bias: forecast less what came, in percent. Intervals are well made where about 80 % were held.",
        period=_place(found, reading),
        is_wide=True,
        controls=(choice("split", "By", list(ways.items()), way, next(iter(ways))),) if len(ways) > 1 else (),
    )


@section("demand.why")
def why(reading: Reading) -> Drawn:
    """What each day's forecast is made of."""
    found = shown(reading)
    if isinstance(found, str):
        return html.Div()
    days = parts_by_day(found.kept.found, found.unique_id).with_columns(pl.col("ds").cast(pl.Date))
    row, moved = standing_out(days)
    out = days.row(row, named=True)
    reasons = " and ".join(f"{WORDS[name].lower()} ({numbers.signed(amount, decimals=1)})" for name, amount in moved)
    title = f"{out['ds']:%A}, {numbers.day(out['ds'])}, stands out most: {numbers.count(out['mean'])} exams"
    names = [name for name in WORDS if name in days.columns]
    columns = (
        Column("ds", "Day", "day"), Column("mean", "Expected", "number", "", 1), *(Column(name, WORDS[name], "number", "", 1) for name in names),
    )  # fmt: skip
    return Card(
        title + (f", for {reasons}" if reasons else ""), "Parts of each day's forecast, which add up to it, in exams", Table(columns, days, reading.scope.small_count),
        formula="Parts of the calendar regression, and what the mean with the theta method adds. A day stands out by its distance from the mean of the four weeks; a part counts by its own distance from its mean.",
        period=_place(found, reading), is_wide=True, rows_shown=7,
    )  # fmt: skip


def _history(reading: Reading) -> pl.DataFrame:
    """Exams of each of the last days; a day without one is 0, one with too few to show is null."""
    first = reading.as_of - timedelta(days=HISTORY_DAYS - 1)
    days = pl.DataFrame({"day": pl.date_range(first, reading.as_of, eager=True)})
    made = reading.frame("exams", "day", filters=reading.filters.over(first, reading.as_of))
    return days.join(made.select("day", "value", "withheld"), on="day", how="left").with_columns(
        value=pl.when(pl.col("withheld").fill_null(value=False)).then(None).otherwise(pl.col("value").fill_null(0))
    )


def _expected(days: pl.DataFrame, length: int, last: float, between: str = "") -> Component:
    expected = float(days.head(length)["mean"].sum())
    line = f"{numbers.signed(100 * (expected / last - 1), '%', 1)} on the last {length} days" if last else ""
    return fact_card(f"Next {length} days", numbers.count(expected), "; ".join(filter(None, (between, line))))


def _place(found: Shown, reading: Reading) -> str:
    every = ("All sites", "all modalities", "all patient classes")
    names = reading.names.all
    return " · ".join(
        word if part == EVERY else names.get(part, part) for part, word in zip(found.parts, every, strict=True)
    )


def _figure(before: pl.DataFrame, days: pl.DataFrame, look: Look) -> charts.Figure:
    """The past as a line, the future as one with bands."""
    past, ahead = [str(day) for day in before["day"]], [str(day) for day in days["ds"]]
    colour = look.series[0]

    def band(low: str, high: str, opacity: float) -> dict[str, Any]:
        return {
            "type": "scatter", "mode": "lines", "x": ahead + ahead[::-1], "y": [*days[high], *reversed(days[low].to_list())], "fill": "toself", "fillcolor": colour, "opacity": opacity,
            "line": {"width": 0}, "hoverinfo": "skip",
        }  # fmt: skip

    words = [
        f"<b>{row['mean']:.0f}</b> expected<br>80 %: {row['q10']:.0f} to {row['q90']:.0f}<br>95 %: {row['q025']:.0f} to {row['q975']:.0f}"
        for row in days.iter_rows(named=True)
    ]
    data: list[dict[str, Any]] = [
        band("q025", "q975", 0.14), band("q10", "q90", 0.22),
        {"type": "scatter", "mode": "lines", "x": past, "y": before["value"].to_list(), "line": {"color": look.variation["common"], "width": 1.5}, "hovertemplate": "<b>%{y:.0f}</b> exams<br>%{x|%a %-d %b %Y}<extra></extra>"},
        {"type": "scatter", "mode": "lines+markers", "x": ahead, "y": days["mean"].to_list(), "line": {"color": colour, "width": 2}, "marker": {"size": 4}, "hovertext": words, "hovertemplate": "%{hovertext}<br>%{x|%a %-d %b %Y}<extra></extra>"},
    ]  # fmt: skip
    _, high = charts.padded([*before["value"], *days["q975"]])
    return charts.figure(
        data, look, height=340, xaxis=charts.time_axis(before["day"][0], days["ds"][-1], look, tickformat="%-d %b\n%Y"), yaxis=charts.value_axis(0, high, "", look),
    )  # fmt: skip
