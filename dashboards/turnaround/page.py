"""Layout and sections of the turnaround page."""

from __future__ import annotations

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.filter_bar import choice
from dashboards._shell.kpi import kpi, kpi_card
from dashboards._shell.layout import page
from dashboards._shell.reading import WEEKDAYS, Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards._shell.weekly import statement, weekly
from dashboards.turnaround import figures, queries
from warehouse.measures import measure

HEADLINES = ("report_minutes_p50", "report_minutes_p90", "report_within_day_share", "arrival_wait_minutes_p50")
SPLITS = {"modality": "Modality", "site": "Site", "patient_class": "Patient class", "priority": "Priority"}
MEDIAN, TAIL = "report_minutes_p50", "report_minutes_p90"
MOST = 14
FEW = 20

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
    names = ("headlines", "median", "tail", "parts", "distribution", "unread", "week", "procedures")
    content = [
        slot(
            f"turnaround.{name}",
            height=140 if name == "headlines" else 380,
            is_wide=name in {"headlines", "procedures"},
        )
        for name in names
    ]
    return page(
        "Turnaround",
        urls.TURNAROUND,
        query,
        content,
        intro="How long reports and patients wait. Exams still unread are not in the times: see the unread ones beside them.",
    )


@section("turnaround.headlines")
def headlines(reading: Reading) -> Drawn:
    """The headline cards."""
    return html.Div([kpi_card(kpi(reading, name), reading) for name in HEADLINES], className="kpis")


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
    """Median and tail by the chosen breakdown."""
    chosen = reading.extra.get("split", "modality")
    way = chosen if chosen in SPLITS else "modality"
    controls = (choice("split", "By", list(SPLITS.items()), way, "modality"),)
    frame = both(reading, way)
    if frame.is_empty():
        return Empty("Report turnaround by part", f"No exam was reported: {reading.sentence}.", controls=controls)
    top = frame.row(0, named=True)
    words = [
        f"{numbers.duration(row['value'])} · 9 of 10 in {numbers.shown(row['p90'], 'min')}"
        for row in frame.iter_rows(named=True)
    ]
    colours = [
        reading.look.modality(row["part"]) if way == "modality" else reading.look.series[0]
        for row in frame.iter_rows(named=True)
    ]
    figure = charts.bars(
        frame["name"].to_list(),
        frame["value"].to_list(),
        words,
        colours,
        reading.look,
        limit=float(frame["value"].to_list()[0]) * 1.7,
    )
    columns = (
        Column("name", SPLITS[way], link=lambda row: urls.page(urls.TURNAROUND, reading.filters.narrowed(**{way: (row["part"],)}))),
        Column("value", "Median", "number", "min"), Column("p90", "9 of 10 within", "number", "min"), Column("n", "Exams", "number"),
    )  # fmt: skip
    title = f"{top['name']} waits longest for its report, {numbers.duration(top['value'])} in the median"
    return Card(
        title,
        "Minutes from exam end to first final report",
        _table(columns, frame, reading),
        figure,
        (measure(MEDIAN), measure(TAIL)),
        exams=urls.exams(reading.filters),
        controls=controls,
    )


@section("turnaround.distribution")
def distribution(reading: Reading) -> Drawn:
    """How turnaround spreads, on a logarithmic axis."""
    frame = queries.report_minutes_histogram(reading)
    total = int(frame["n"].sum())
    if total < max(FEW, reading.scope.small_count):
        return Empty(
            "Spread of report turnaround",
            f"Fewer than {max(FEW, reading.scope.small_count)} exams were reported: {reading.sentence}.",
        )
    values = {name: reading.frame(name)["value"][0] for name in (MEDIAN, TAIL)}
    marks = tuple(
        (f"{label} {numbers.duration(values[name])}", float(values[name]))
        for name, label in ((MEDIAN, "median"), (TAIL, "9 of 10"))
    )
    table = frame.with_columns(
        start=(10 ** (pl.col("bin") / queries.BINS_PER_DECADE)), end=(10 ** ((pl.col("bin") + 1) / queries.BINS_PER_DECADE)),
        withheld=pl.col("n") < reading.scope.small_count,
    )  # fmt: skip
    drawn = table.filter(~pl.col("withheld"))
    columns = (
        Column("start", "From", "number", "min"),
        Column("end", "To", "number", "min"),
        Column("n", "Exams", "number"),
    )
    title = f"Half of the reports are there within {numbers.duration(marks[0][1])}, nine of ten within {numbers.duration(marks[1][1])}"
    return Card(
        title,
        "Exams by time from exam end to first final report, logarithmic axis",
        _table(columns, table, reading),
        figures.log_histogram(drawn, queries.BINS_PER_DECADE, marks, reading.look),
        (measure(MEDIAN), measure(TAIL)),
        exams=urls.exams(reading.filters),
    )


@section("turnaround.unread")
def unread(reading: Reading) -> Drawn:
    """Exams that wait for their report now, by age."""
    found = {row["band"]: row["n"] for row in queries.unread_by_age(reading).iter_rows(named=True)}
    counts = [int(found.get(index, 0)) for index in range(len(queries.AGE_BANDS))]
    old = sum(counts[2:])
    title = (
        f"{numbers.count(sum(counts))} exams are unread, {numbers.count(old)} of them for more than a day"
        if sum(counts)
        else "No exam is unread"
    )
    names = [name for name, _ in queries.AGE_BANDS]
    small = [0 < count < reading.scope.small_count for count in counts]
    if any(small):
        title = "Exams without a report, by age"
    words = [
        numbers.withheld(reading.scope.small_count) if hidden else numbers.count(count)
        for count, hidden in zip(counts, small, strict=True)
    ]
    colours = [reading.look.series[0]] * 2 + [reading.look.variation["concern"]] * 3
    table = pl.DataFrame({"band": names, "n": counts, "withheld": small})
    figure = charts.columns(
        names,
        [0 if hidden else count for count, hidden in zip(counts, small, strict=True)],
        words,
        colours,
        reading.look,
        height=280,
    )
    formula = "Exams that are completed and have no final report at the time of the data, by hours since their end; discontinued exams left out."
    period = f"the year to {numbers.moment(reading.data_to, reading.zone)}"
    return Card(
        title,
        "Completed exams without a final report, by age",
        _table((Column("band", "Age"), Column("n", "Exams", "number")), table, reading),
        figure,
        (),
        formula=formula,
        period=period,
        exams=urls.exams(reading.filters, unread="1"),
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
    table = frame.with_columns(
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
        _table(columns, table, reading),
        figures.week_heat(frame, reading.look),
        (measure(MEDIAN),),
        note="Hours with fewer than 5 exams are empty.",
        exams=urls.exams(reading.filters),
    )


@section("turnaround.procedures")
def procedures(reading: Reading) -> Drawn:
    """The procedures that wait longest."""
    frame = both(reading, "procedure").filter((pl.col("n") >= FEW) & (pl.col("part") != "0"))
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
        Column("n", "Exams", "number"),
    )
    first = top.row(0, named=True)
    return Card(
        f"{first['name']} waits longest, {words[0]} in the median",
        f"Median minutes to the report, procedures with {FEW} exams or more",
        _table(columns, frame, reading),
        figure,
        (measure(MEDIAN), measure(TAIL)),
        exams=urls.exams(reading.filters),
    )


def both(reading: Reading, way: str) -> pl.DataFrame:
    """Median, tail and n by a breakdown, slowest first, with names; parts whose count is withheld are left out."""
    p50 = reading.frame(MEDIAN, way).drop_nulls("value")
    p90 = reading.frame(TAIL, way).select(way, p90="value")
    joined = p50.join(p90, on=way, how="left").with_columns(part=pl.col(way).cast(pl.Utf8))
    names = {"procedure": dict(reading.names.procedures)}.get(way, reading.names.all)
    return joined.with_columns(
        name=pl.col("part").replace_strict(names, default=pl.col("part"), return_dtype=pl.Utf8)
    ).sort("value", descending=True)


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


def _table(columns: tuple[Column, ...], frame: pl.DataFrame, reading: Reading) -> Table:
    return Table(columns, frame, reading.scope.small_count, reading.zone)
