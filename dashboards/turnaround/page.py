"""The turnaround page: how long patients, referrers and reports wait, by what, and against which targets."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import Any

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.filter_bar import choice
from dashboards._shell.kpi import kpi, kpi_card
from dashboards._shell.layout import page
from dashboards._shell.reading import PATIENT_CLASSES, PRIORITIES, WEEKDAYS, Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.subpages import subpages
from dashboards._shell.tables import Column, Table
from dashboards._shell.weekly import statement, weekly
from dashboards.turnaround import figures, queries
from dashboards.turnaround.parts import (
    FEW,
    MEDIAN,
    PAGES,
    SPLITS,
    TAIL,
    chosen,
    named,
    reached,
    rows_frame,
    split,
    table,
    target_measure,
)
from settings import TurnaroundTarget
from warehouse.measures import measure
from warehouse.measures.survival import curve, log_rank, quantile, survival_at
from warehouse.measures.turnaround import INTERVAL

MOST = 14
MOST_CURVES = 5
LEAST_AT_RISK = 10
"""A curve ends where fewer exams still wait: each single one would be a large step."""
CURVE_MARKS = (5, 15, 30, 60, 120, 240, 480, 1440, 2880, 4320, 10080, 40320)
"""Minutes at which a curve's waiting exams are counted."""
CURVE_POINTS = 90
MOST_MARKS = 6

dash.register_page(
    __name__,
    path=urls.TURNAROUND,
    name="Turnaround",
    title="Turnaround – Isocenter",
    order=2,
    icon="clock-hour-4",
    permission="view_turnaround",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("turnaround.headlines", height=190, is_wide=True), slot("turnaround.curves", height=440), slot("turnaround.parts"),
        slot("turnaround.median"), slot("turnaround.tail"), slot("turnaround.targets"), slot("turnaround.week"), slot("turnaround.procedures", is_wide=True),
    ]  # fmt: skip
    return page(
        "Turnaround",
        urls.TURNAROUND,
        query,
        content,
        intro="From the end of the exam to its first final report. Exams still unread count as waiting up to the time of the data; addenda and corrections never restart the clock.",
    )


@section("turnaround.headlines")
def headlines(reading: Reading) -> Drawn:
    """The headline cards."""
    headline = (MEDIAN, TAIL, target_measure(reading), "arrival_wait_minutes_p50")
    cards = html.Div([kpi_card(kpi(reading, each), reading) for each in headline], className="kpis")
    return html.Div([subpages(PAGES, urls.TURNAROUND, reading), cards])


@section("turnaround.curves")
def curves(reading: Reading) -> Drawn:
    """What share of the exams has its report by when, as Kaplan–Meier curves."""
    way = chosen(reading, "curve", SPLITS, "patient_class")
    controls = (choice("curve", "By", list(SPLITS.items()), way, "patient_class"),)
    frame = queries.durations(reading, INTERVAL["report"], way)
    sizes = frame.group_by(way).agg(n=pl.len(), open=(~pl.col("is_over")).sum())
    shown = (
        sizes.filter(pl.col("n") >= max(FEW, reading.scope.small_count))
        .sort("n", way, descending=[True, False])
        .head(MOST_CURVES)
    )
    if shown.is_empty():
        return Empty(
            "Reports over time",
            f"No group has {max(FEW, reading.scope.small_count)} completed exams: {reading.sentence}.",
            controls=controls,
        )
    found = curve(frame.join(shown.select(way), on=way, nulls_equal=True), [way])
    half, tail = quantile(found, 0.5, [way]), quantile(found, 0.9, [way])
    groups = named(
        shown.join(half, on=way, nulls_equal=True).join(tail.select(way, p90="value"), on=way, nulls_equal=True),
        way,
        reading,
    ).sort("value", nulls_last=True)
    marks = _marks(found)
    at_marks = survival_at(found, marks, [way])
    lines, rows = [], []
    for place, row in enumerate(groups.iter_rows(named=True)):
        colour = reading.look.modality(row["part"]) if way == "modality" else reading.look.series[place]
        line, columns = _curve_of(found, at_marks, way, row, colour, marks, reading)
        lines.append(line)
        rows.append({**row, **columns})
    heads = [column for mark in marks for column in (
        Column(f"by_{mark:g}", f"Reported by {numbers.duration(mark)}", "number", "%"), Column(f"left_{mark:g}", f"Waiting at {numbers.duration(mark)}"),
    )]  # fmt: skip
    listed = (Column("name", SPLITS[way]), Column("n", "Exams", "number"), Column("open", "Unread", "number"), Column("value", "Median", "number", "min"), Column("p90", "9 of 10 within", "number", "min"), *heads)  # fmt: skip
    return Card(
        _curves_title(groups),
        "Share of completed exams with a final report, by time since the end of the exam",
        table(
            listed,
            rows_frame(rows).with_columns(withheld=pl.col("open").is_between(1, reading.scope.small_count - 1)),
            reading,
        ),
        figures.reported_curves(lines, marks, reading.look),
        (measure(MEDIAN), measure(TAIL)),
        note=_compared(frame, groups, way),
        exams=urls.exams(reading.filters),
        controls=controls,
    )


def _marks(found: pl.DataFrame) -> list[float]:
    """The marks between which the curves move."""
    low, high = found["minutes"].quantile(0.01) or 1.0, found["minutes"].quantile(0.99) or 1.0
    inside = [float(mark) for mark in CURVE_MARKS if low <= mark <= high]
    if len(inside) < 2:
        inside = [float(mark) for mark in CURVE_MARKS[3:7]]
    step = -(-len(inside) // MOST_MARKS)
    return inside[::-1][::step][::-1]


def _curve_of(
    found: pl.DataFrame,
    at_marks: pl.DataFrame,
    way: str,
    row: dict[str, object],
    colour: str,
    marks: Sequence[float],
    reading: Reading,
) -> tuple[figures.Curve, dict[str, object]]:
    own = pl.col(way).eq_missing(row[way])
    first, last = log10(marks[0]) - 0.15, log10(marks[-1]) + 0.1
    grid = [10 ** (first + (last - first) * place / (CURVE_POINTS - 1)) for place in range(CURVE_POINTS)]
    least = max(LEAST_AT_RISK, reading.scope.small_count)
    points = survival_at(found.filter(own), grid).filter(pl.col("at_risk") >= least)
    at = at_marks.filter(own)
    words = [
        numbers.withheld(reading.scope.small_count) if 0 < count < reading.scope.small_count else numbers.count(count)
        for count in at["at_risk"]
    ]
    shares = [100 * (1 - left) for left in at["survival"]]
    known = [share if count >= least else None for share, count in zip(shares, at["at_risk"], strict=True)]
    columns: dict[str, object] = {f"by_{mark:g}": share for mark, share in zip(marks, known, strict=True)}
    columns |= {f"left_{mark:g}": word for mark, word in zip(marks, words, strict=True)}
    reported = tuple(100 * (1 - left) for left in points["survival"])
    return figures.Curve(str(row["name"]), colour, tuple(points["minutes"]), reported, tuple(words)), columns


def _curves_title(groups: pl.DataFrame) -> str:
    first, last = groups.row(0, named=True), groups.row(-1, named=True)
    if first["value"] is None:
        return "Half of the reports are not reached yet in any group"
    start = f"Half of the reports are there within {numbers.duration(first['value'])} for {first['name']}"
    if groups.height == 1:
        return start
    end = "not yet" if last["value"] is None else f"within {numbers.duration(last['value'])}"
    return f"{start}, {end} for {last['name']}"


def _compared(frame: pl.DataFrame, groups: pl.DataFrame, way: str) -> str:
    """Whether the quickest and the slowest curve differ by more than chance."""
    explained = "Below: exams that still waited then. A curve ends where fewer than 10 do."
    if groups.height < 2:
        return explained
    first, last = groups.row(0, named=True), groups.row(-1, named=True)
    p = (
        log_rank(frame.drop_nulls(way), way, first[way], last[way])[1]
        if first[way] is not None and last[way] is not None
        else 1.0
    )
    chance = "more than chance" if p < 0.01 else "no more than chance may give"
    words = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    return f"{first['name']} and {last['name']} differ by {chance} (log-rank test, {words}). {explained}"


@section("turnaround.targets")
def targets(reading: Reading) -> Drawn:
    """How each target of the configuration is kept."""
    agreed = reading.settings.turnaround.targets
    found = {row["target"]: row for row in queries.targets_kept(reading).iter_rows(named=True)}
    if not found:
        reason = (
            "The configuration names no target."
            if not agreed
            else f"No exam whose target has passed fits: {reading.sentence}."
        )
        return Empty("Targets", f"{reason} Targets stand under [[turnaround.targets]].")
    rows = [_target_row(agreed[number], row, reading) for number, row in sorted(found.items())]
    told = [row for row in rows if not row["withheld"]]
    missed = [row for row in told if row["value"] < row["agreed"]]
    worst = min(missed, key=lambda row: row["value"] - row["agreed"], default=None)
    title = f"{len(told) - len(missed)} of {len(told)} targets are kept" + (
        f": {worst['name']} come in time for {worst['value']:.0f} %, agreed are {worst['agreed']:.0f} %"
        if worst
        else ""
    )
    look = reading.look
    figure = charts.bars(
        [row["name"] for row in told],
        [row["value"] for row in told],
        [f"{row['value']:.0f} %, agreed {row['agreed']:.0f} %" for row in told],
        [look.variation["concern"] if row in missed else look.series[0] for row in told],
        look,
        limit=180.0,
    )
    columns = (
        Column("name", "Target"), Column("value", "Kept", "number", "%"), Column("agreed", "Agreed", "number", "%"), Column("n", "Exams", "number"), Column("since", "In force from", "day"),
    )  # fmt: skip
    return Card(
        title if told else "Targets: too few exams to show",
        "Share of exams whose final report came within the target that holds for them",
        table(columns, rows_frame(rows), reading),
        figure if told else None,
        (target_measure(reading),),
        note="Local agreements of the configuration. Messages give no reason for a late report.",
        exams=urls.exams(reading.filters),
    )


def _target_row(target: TurnaroundTarget, row: dict[str, int], reading: Reading) -> dict[str, Any]:
    whom = [
        *(PRIORITIES.get(each, each) for each in target.priority),
        *target.modality,
        *(PATIENT_CLASSES.get(each, each) for each in target.patient_class),
    ]
    name = f"{' '.join(whom) or 'All other'} within {numbers.duration(target.minutes)}"
    withheld = row["n"] < reading.scope.small_count
    since = target.starts_on if target.starts_on.year > 1900 else None
    return {
        "name": name,
        "value": 100 * row["kept"] / row["n"],
        "agreed": target.share,
        "n": row["n"],
        "since": since,
        "withheld": withheld,
    }


@section("turnaround.median")
def median(reading: Reading) -> Drawn:
    """The weekly median with its limits."""
    return _trend(reading, MEDIAN)


@section("turnaround.tail")
def tail(reading: Reading) -> Drawn:
    """The weekly 90th percentile with its limits."""
    return _trend(reading, TAIL)


@section("turnaround.parts")
def parts(reading: Reading) -> Drawn:
    """Median, tail and share within target by the chosen breakdown."""
    way = chosen(reading, "split", SPLITS, "modality")
    controls = (choice("split", "By", list(SPLITS.items()), way, "modality"),)
    frame = split(reading, way)
    if frame.is_empty():
        return Empty("Report turnaround by part", f"No exam was reported: {reading.sentence}.", controls=controls)
    top = frame.row(0, named=True)
    words = [
        f"{reached(row['value'])} · 9 of 10 {'in ' + numbers.duration(row['p90']) if row['p90'] is not None else 'not yet'}"
        for row in frame.iter_rows(named=True)
    ]
    colours = [
        reading.look.modality(row["part"]) if way == "modality" else reading.look.series[0]
        for row in frame.iter_rows(named=True)
    ]
    longest = max((value for value in frame["value"] if value is not None), default=1.0)
    figure = charts.bars(
        frame["name"].to_list(), frame["value"].to_list(), words, colours, reading.look, limit=longest * 2.2
    )
    columns = (
        Column("name", SPLITS[way], link=lambda row: urls.page(urls.TURNAROUND, reading.filters.narrowed(**{way: (row["part"],)})) if row["part"] else None),
        Column("value", "Median", "number", "min"), Column("p90", "9 of 10 within", "number", "min"), Column("in_target", "Within target", "number", "%", 1), Column("n", "Exams", "number"),
    )  # fmt: skip
    title = (
        f"{top['name']} waits longest for its report, {numbers.duration(top['value'])} in the median"
        if top["value"] is not None
        else f"{top['name']} waits longest for its report: fewer than half are there"
    )
    return Card(
        title,
        "Minutes from exam end to first final report",
        table(columns, frame, reading),
        figure,
        (measure(MEDIAN), measure(TAIL), target_measure(reading)),
        exams=urls.exams(reading.filters),
        controls=controls,
    )


@section("turnaround.week")
def week(reading: Reading) -> Drawn:
    """Median turnaround by weekday and hour of the exam."""
    frame = (
        reading.frame(MEDIAN, "weekday", "hour").filter((pl.col("hour") >= 0) & (pl.col("n") >= 5)).drop_nulls("value")
    )
    if frame.is_empty():
        return Empty("Turnaround by hour of the week", f"Too few reported exams: {reading.sentence}.")
    top = frame.sort("value", descending=True).row(0, named=True)
    title = f"Longest for exams on {WEEKDAYS[top['weekday'] - 1]} from {top['hour']:02d}:00, {numbers.duration(top['value'])} in the median"
    told = frame.with_columns(
        day=pl.col("weekday").replace_strict(dict(enumerate(WEEKDAYS, 1)), return_dtype=pl.Utf8),
        clock=pl.format("{}:00", pl.col("hour").cast(pl.Utf8).str.zfill(2)),
    )
    columns = (
        Column("day", "Weekday"),
        Column("clock", "Hour from"),
        Column("value", "Median", "number", "min"),
        Column("n", "Exams", "number"),
    )
    return Card(
        title,
        "Median minutes to the report by weekday and local hour of the exam",
        table(columns, told, reading),
        figures.week_heat(frame, reading.look),
        (measure(MEDIAN),),
        note="Hours with fewer than 5 exams are empty.",
        exams=urls.exams(reading.filters),
    )


@section("turnaround.procedures")
def procedures(reading: Reading) -> Drawn:
    """The procedures that wait longest."""
    frame = split(reading, "procedure").filter((pl.col("n") >= FEW) & (pl.col("part") != "0")).drop_nulls("value")
    if frame.is_empty():
        return Empty("Slowest procedures", f"No procedure has {FEW} reported exams: {reading.sentence}.")
    top = frame.head(MOST)
    words = [numbers.duration(value) for value in top["value"]]
    hover = [
        f"<b>{word}</b> {row['name']}<br>9 of 10 within {numbers.shown(row['p90'], 'min')}<br>n = {numbers.count(row['n'])}"
        for word, row in zip(words, top.iter_rows(named=True), strict=True)
    ]
    figure = charts.bars(
        top["name"].to_list(),
        top["value"].to_list(),
        words,
        [reading.look.series[0]] * top.height,
        reading.look,
        hover=hover,
    )
    columns = (
        Column("name", "Procedure", link=lambda row: urls.exams(reading.filters.narrowed(procedure=(row["part"],)))),
        Column("value", "Median", "number", "min"),
        Column("p90", "9 of 10 within", "number", "min"),
        Column("in_target", "Within target", "number", "%", 1),
        Column("n", "Exams", "number"),
    )
    first = top.row(0, named=True)
    return Card(
        f"{first['name']} waits longest, {words[0]} in the median",
        f"Median minutes to the report, procedures with {FEW} exams or more",
        table(columns, frame, reading),
        figure,
        (measure(MEDIAN), measure(TAIL)),
        exams=urls.exams(reading.filters),
    )


def _trend(reading: Reading, name: str) -> Card | Empty:
    found = weekly(reading, name)
    if not found.weeks:
        return Empty(found.measure.title, f"No full week with data: {reading.sentence}.")
    columns = (
        Column("week", "Week from", "day"),
        Column("value", found.measure.title, "number", "min"),
        Column("n", "Exams", "number"),
        Column("variation", "Rule"),
    )
    return Card(
        f"{found.measure.title}: {statement(found)}", "Weekly value, mean and natural process limits, minutes", Table(columns, found.frame(), reading.scope.small_count), charts.xmr(found, reading.look),
        (found.measure,), period=found.period, exams=urls.exams(reading.filters),
    )  # fmt: skip
