"""Layout and sections of the data page."""

from __future__ import annotations

from datetime import UTC, datetime

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card
from dashboards._shell.decisions import parts_of_data
from dashboards._shell.freshness import SOURCE_NAMES, source_freshness
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards.data import queries
from warehouse.measures import CATALOGUE

DIRECTIONS = {"up": "more", "down": "less", "neither": "neither"}
COUNTS = (
    Column("offered", "Offered", "number"),
    Column("accepted", "Accepted", "number"),
    Column("duplicate", "Known before", "number"),
    Column("rejected", "Rejected", "number"),
    Column("not_applicable", "Not for us", "number"),
)
ALL_TIME = "all loads"

dash.register_page(
    __name__, path=urls.DATA, name="Data", title="Data – Isocenter", order=6, icon="database", permission="view_data"
)


def layout(**query: str) -> Component:
    """The page; it has no filters, for loads belong to no exam."""
    content = [
        slot("data.parts", height=60, is_wide=True), slot("data.freshness", height=260), slot("data.sources", height=260), slot("data.reasons", height=260), slot("data.runs", height=260), slot("data.rejects", height=360, is_wide=True),
        slot("data.tables", height=360), slot("data.measures", height=360),
    ]  # fmt: skip
    return page(
        "Data",
        urls.DATA,
        query,
        content,
        intro="How fresh each source is, what the loads brought, what could not be used and what to do about it.",
        has_filters=False,
    )


@section("data.parts")
def parts(reading: Reading) -> Drawn:
    """Links to the other pages about the data, and whether decisions are in the star."""
    return parts_of_data(reading, urls.DATA)


@section("data.freshness")
def freshness(reading: Reading) -> Drawn:
    """How fresh each source is, against its limit."""
    now = datetime.now(UTC)
    found = source_freshness(reading.star, reading.settings, now)
    rows = [
        {
            "name": each.name, "newest": each.newest_event_at, "age": numbers.ago(each.age) if each.age is not None else numbers.NOTHING, "limit": each.limit_words.removeprefix("limit "),
            "state": "holds" if each.limit is None else "unknown" if each.age is None else "stale" if each.is_stale else "fresh",
        }
        for each in found
    ]  # fmt: skip
    stale = sum(row["state"] == "stale" for row in rows)
    title = f"{stale} of {len(rows)} sources are stale" if stale else "No source is stale"
    columns = (
        Column("name", "Source"),
        Column("newest", "Newest event", "moment"),
        Column("age", "Age"),
        Column("limit", "Limit"),
        Column("state", "State"),
    )
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "name": pl.Utf8,
        "newest": pl.Datetime("us", "UTC"),
        "age": pl.Utf8,
        "limit": pl.Utf8,
        "state": pl.Utf8,
    }
    formula = "Newest time of an exam, message or exposure in what a kind of source brought, against the limit of the configuration. A calendar holds until it is changed."
    return Card(
        title,
        "Newest event of each source against its limit",
        Table(columns, pl.DataFrame(rows, schema=schema), zone=reading.zone),
        formula=formula,
        period="now",
    )


@section("data.sources")
def sources(reading: Reading) -> Drawn:
    """What each kind of source gave."""
    frame = _named(queries.by_source(reading.star))
    offered, accepted = int(frame["offered"].sum()), int(frame["accepted"].sum())
    title = (
        f"{numbers.count(accepted)} of {numbers.count(offered)} inputs are in the lake"
        if offered
        else "Nothing was offered yet"
    )
    formula = "Offered = accepted + known before + rejected + not for us, over all loads. An input is a file, or a message or row of a file that holds many."
    return Card(
        title,
        "Inputs by kind of source",
        Table((Column("name", "Source"), *COUNTS), frame),
        formula=formula,
        period=ALL_TIME,
    )


@section("data.reasons")
def reasons(reading: Reading) -> Drawn:
    """Why inputs were rejected."""
    frame = _named(queries.reject_reasons(reading.star))
    if frame.is_empty():
        return html.Section(
            [html.H2("No open reject"), html.P("Everything that was offered could be used.", className="subtitle")],
            className="card",
        )
    top = frame.head(10)
    first = frame.row(0, named=True)
    title = f"{numbers.count(float(frame['n'].sum()))} inputs wait for a remedy; most are {first['reason'].replace('-', ' ')}"
    names = [f"{row['reason'].replace('-', ' ')} · {row['name']}" for row in top.iter_rows(named=True)]
    figure = charts.bars(
        names,
        [float(n) for n in top["n"]],
        [numbers.count(n) for n in top["n"]],
        [reading.look.series[0]] * top.height,
        reading.look,
        hover=[f"<b>{row['n']}</b> {row['reason']}<br>{row['remedy']}" for row in top.iter_rows(named=True)],
    )
    columns = (
        Column("reason", "Reason"),
        Column("name", "Source"),
        Column("n", "Inputs", "number"),
        Column("seen_at", "Last seen", "moment"),
        Column("remedy", "What to do"),
    )
    return Card(
        title,
        "Open rejects by reason",
        Table(columns, frame, zone=reading.zone),
        figure,
        formula="Inputs that could not be used and were not corrected since.",
        period="now",
    )


@section("data.runs")
def runs(reading: Reading) -> Drawn:
    """The last loads."""
    frame = queries.runs(reading.star)
    columns = (Column("started_at", "Started", "moment"), Column("took", "Took"), *COUNTS)
    shown = frame.with_columns(
        took=pl.Series(
            [_took(seconds, finished) for seconds, finished in frame.select("seconds", "finished_at").iter_rows()],
            dtype=pl.Utf8,
        )
    )
    killed = frame["finished_at"].null_count()
    title = f"{frame.height} loads" + (f", {killed} not finished" if killed else ", all finished")
    return Card(
        title,
        "Load runs, newest first",
        Table(columns, shown, zone=reading.zone),
        formula="One row a run of `python -m etl load`.",
        period=ALL_TIME,
        rows_shown=8,
    )


@section("data.rejects")
def rejects(reading: Reading) -> Drawn:
    """Each open reject with file, field, reason and remedy."""
    frame = _named(queries.rejects(reading.star))
    if frame.is_empty():
        return html.Div()
    columns = (
        Column("file", "File", "place"),
        Column("position", "Where"),
        Column("name", "Source"),
        Column("field", "Field"),
        Column("message", "What is wrong"),
        Column("remedy", "What to do"),
        Column("seen_at", "Seen", "moment"),
    )
    return Card(
        f"{numbers.count(frame.height)} open rejects",
        "File, field, what is wrong and what to do",
        Table(columns, frame, zone=reading.zone),
        formula="`python -m etl rejects` lists them too; a corrected input resolves its reject.",
        period="now",
        is_wide=True,
        rows_shown=15,
    )


@section("data.tables")
def tables(reading: Reading) -> Drawn:
    """What the publication that is served holds."""
    publication = reading.star.publication
    frame = queries.table_rows(reading.star)
    note = f"Made {numbers.moment(datetime.fromisoformat(publication.made_at), reading.zone)} by version {publication.code_version} from {publication.batches} batches; settings {publication.settings_digest}."
    return Card(
        f"{numbers.count(float(frame['rows'].sum()))} rows in {frame.height} tables",
        "Rows of the published star",
        Table((Column("table", "Table"), Column("rows", "Rows", "number")), frame),
        note=note,
        formula="Rows of each table, counted in this publication.",
        period=f"publication {publication.id}",
        rows_shown=16,
    )


@section("data.measures")
def measures(reading: Reading) -> Drawn:
    """What every number means."""
    rows = [
        {
            "title": found.title,
            "unit": found.unit or "count",
            "formula": found.formula,
            "good": DIRECTIONS[found.direction],
        }
        for found in CATALOGUE.values()
        if reading.may(found.permission)
    ]
    columns = (
        Column("title", "Measure"),
        Column("unit", "Unit"),
        Column("formula", "What it is"),
        Column("good", "Better is"),
    )
    frame = pl.DataFrame(rows, schema=dict.fromkeys(("title", "unit", "formula", "good"), pl.Utf8))
    return Card(
        f"{len(rows)} measures, each defined once",
        "Definitions of all numbers on these pages",
        Table(columns, frame),
        formula="The catalogue that pages, exports and findings ask.",
        period="in use now",
        rows_shown=9,
    )


def _named(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(name=pl.col("source").replace(SOURCE_NAMES))


def _took(seconds: float | None, finished: datetime | None) -> str:
    if finished is None:
        return "not finished"
    return numbers.duration(seconds / 60) if seconds is not None and seconds >= 60 else f"{seconds or 0:.0f} s"
