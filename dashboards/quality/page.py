"""How much was joined, what is missing, what contradicts itself, and why counts of systems differ."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.decisions import parts_of_data
from dashboards._shell.filter_bar import choice
from dashboards._shell.freshness import SOURCE_NAMES
from dashboards._shell.kpi import kpi, kpi_card
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Row, Table
from dashboards.quality import figures, queries, reconciliation
from dashboards.quality.issues import doubt, joined_by, missing
from warehouse.measures import measure
from warehouse.measures.quality import FIELDS, JOINS, TIMES, Part

HEADLINES = ("images_with_order_share", "reports_with_exam_share", "probable_match_share", "doubtful_share")
KEY_STEPS = ("ordered", "arrived", "started", "ended", "read_started")
"""Steps that every exam has by now; the others depend on the site, the kind of exam, or are still to come."""
SPLITS = {"device": "Scanner", "site": "Site", "modality": "Modality", "week": "Week", "day": "Day"}
MOST_ROWS = 30
FEW_EXAMS = 20
RULES = {
    "accession": "accession number",
    "study": "Study Instance UID",
    "filler": "filler order number",
    "placer": "placer order number",
    "step": "performed procedure step",
    "request": "requested procedure of the patient",
    "cut": "accession number cut to 16 characters",
    "near": "patient, modality and nearness in time",
    "alone": "nothing: one source alone",
}
"""Match rule to what joined the sources."""
DOUBT_COSTS = {
    "cancelled, yet performed": "counts as performed; the cancellation came too late or was wrong",
    "images of several patients": "one of the patients has images of another: a matter for the archive too",
}
BACKWARDS_COST = "the interval between the two is left out of turnaround and waiting times"

dash.register_page(
    __name__, path=urls.QUALITY, name="Data quality", title="Data quality – Isocenter", permission="view_data"
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("quality.parts", height=60, is_wide=True), slot("quality.headlines", height=140, is_wide=True), slot("quality.joins", height=320), slot("quality.rules", height=320),
        slot("quality.days", is_wide=True), slot("quality.times", height=420, is_wide=True), slot("quality.doubts", height=300), slot("quality.fields", height=300),
        slot("quality.gaps", height=420, is_wide=True),
    ]  # fmt: skip
    return page(
        "Data quality",
        urls.QUALITY,
        query,
        content,
        intro="What was joined and how surely, what is missing and what that costs, and why the counts of two systems differ.",
    )


@section("quality.parts")
def parts(reading: Reading) -> Drawn:
    """Links to the other pages about the data."""
    return parts_of_data(reading, urls.QUALITY)


@section("quality.headlines")
def headlines(reading: Reading) -> Drawn:
    """The headline cards."""
    return html.Div([kpi_card(kpi(reading, name), reading) for name in HEADLINES], className="kpis")


@section("quality.joins")
def joins(reading: Reading) -> Drawn:
    """What was joined with what, by site."""
    frame = _with_words(queries.parts(reading, JOINS, "site"), JOINS, reading).sort(
        "missing", descending=True, nulls_last=True, maintain_order=True
    )
    if frame.is_empty():
        return _nothing("What was joined")
    total = queries.parts(reading, JOINS)
    worst = _worst(total, JOINS)
    title = (
        f"{worst['title']}: {numbers.shown(worst['share'], '%', 1)}, the least of all joins"
        if worst
        else "Too few exams to say what was joined"
    )
    columns = (
        Column("title", "What"), Column("site_name", "Site"), Column("share", "Joined", "number", "%", 1), Column("of", "Of", "number"),
        Column("missing", "Not joined", "number", link=_to_missing(reading)),
    )  # fmt: skip
    return Card(
        title,
        "Share of images, orders, reports, dose and charges that found what they belong to",
        _table(columns, frame, reading),
        measures=tuple(measure(f"{part.name}_share") for part in JOINS),
        rows_shown=6,
    )


@section("quality.rules")
def rules(reading: Reading) -> Drawn:
    """How sources were joined: rule and confidence."""
    frame = queries.matches(reading)
    if frame.is_empty():
        return _nothing("How sources were joined")
    shown = frame.with_columns(
        rule=pl.col("match_rule").replace_strict(RULES, default=pl.col("match_rule"), return_dtype=pl.Utf8)
    )
    alone = sum(row["share"] or 0.0 for row in frame.iter_rows(named=True) if row["match_confidence"] == "alone")
    columns = (
        Column("rule", "Joined by"), Column("match_confidence", "Confidence"), Column("share", "Share", "number", "%", 1),
        Column("n", "Exams", "number", link=_to_issue(reading, lambda row: joined_by(row["match_rule"]))),
    )  # fmt: skip
    figure = charts.bars(
        [row["rule"] for row in shown.iter_rows(named=True)],
        frame["share"].to_list(),
        [numbers.shown(value, "%", 1) for value in frame["share"]],
        [_confidence_colour(row["match_confidence"], reading) for row in frame.iter_rows(named=True)],
        reading.look,
    )
    return Card(
        f"{numbers.shown(alone, '%', 1)} of exams are known from one source alone",
        "Exams that took place by the weakest rule that joins their sources",
        _table(columns, shown, reading),
        figure,
        measures=(measure("probable_match_share"),),
        formula="Sources of one exam are joined by the strongest rule that fits; the weakest of an exam's joins is counted here.",
    )


@section("quality.days")
def days(reading: Reading) -> Drawn:
    """Counts of the systems side by side, day by day, and why they differ."""
    frame = queries.days(reading).drop_nulls("day")
    if frame.is_empty():
        return _nothing("Counts of the systems")
    look, small = reading.look, reading.scope.small_count
    shown = reconciliation.explained(frame, small)
    sums = reconciliation.sums(frame)
    ordered = shown.sort("day")
    series = [
        (title, ordered["day"].to_list(), ordered[name].to_list(), look.series[index])
        for index, (name, title) in enumerate(reconciliation.SYSTEMS.items())
    ]
    columns = (
        Column("day", "Day", "day"), *(Column(name, title, "number") for name, title in reconciliation.SYSTEMS.items()),
        *(Column(f"{name}_words", title) for name, title in reconciliation.GAPS.items()),
    )  # fmt: skip
    gap = sums["orders"] - sums["images"]
    lead = "as many" if gap == 0 else f"{numbers.count(abs(gap))} {'more' if gap > 0 else 'fewer'}"
    return Card(
        f"{lead[:1].upper()}{lead[1:]} orders done {'as' if gap == 0 else 'than'} exams with images ({reconciliation.difference(sums, 'orders', small)})",
        "Exams a day by what each system knows of them",
        _table(columns, shown, reading),
        figures.daily(series, look),
        note="Days are those of the exam at its site; reports and charges of the last days are still to come.",
        formula="Orders less images = orders without images less images without an order; images less reports and reports less charges in the same way: each difference is explained to the last exam. Dose is expected of CT, angiography, fluoroscopy, mammography, nuclear medicine and PET.",
        is_wide=True,
    )


@section("quality.times")
def times(reading: Reading) -> Drawn:
    """Which times of an exam are known, by site, from which source, and what a gap costs."""
    frame = _with_words(queries.parts(reading, TIMES, "site"), TIMES, reading)
    frame = frame.filter((pl.col("of").fill_null(0) > 0) | pl.col("withheld"))
    if frame.is_empty():
        return _nothing("Times of exams")
    told = queries.sources_of_times(reading)
    named = {f"{name}_known": ", ".join(_source_word(one) for one in words.split(", ")) for name, words in told.items()}
    frame = frame.with_columns(
        sources=pl.col("part").replace_strict(named, default="no source gives it", return_dtype=pl.Utf8)
    )
    total = queries.parts(reading, TIMES)
    worst = _worst(total.filter(pl.col("part").is_in([f"{name}_known" for name in KEY_STEPS])), TIMES)
    title = (
        f"Least known of the main steps: {worst['title'].removeprefix('Time known: ')}, known for {numbers.shown(worst['share'], '%', 1)} of exams"
        if worst
        else "Too few exams to say which times are known"
    )
    columns = (
        Column("title", "Step"), Column("site_name", "Site"), Column("share", "Known", "number", "%", 1), Column("of", "Of", "number"),
        Column("missing", "Without", "number", link=_to_missing(reading)), Column("sources", "Given by, all sites"), Column("costs", "Measures that it costs", "place"),
    )  # fmt: skip
    figure = figures.gaps_map(frame, "title", "site_name", reading.look)
    return Card(
        title,
        "Exams without a time for each step, in percent, by site: the stronger the colour, the more are missing",
        _table(columns, frame, reading),
        figure,
        measures=tuple(measure(f"{part.name}_share") for part in TIMES),
        note="Door times are asked of emergency exams, appointments of outpatient ones, charges of reported ones.",
        is_wide=True,
    )


@section("quality.doubts")
def doubts(reading: Reading) -> Drawn:
    """Orders of events that cannot be, by kind and site."""
    frame = queries.doubts(reading)
    if frame.is_empty():
        return html.Section(
            [
                html.H2("No exam contradicts itself"),
                html.P("Times run forward, and no source speaks against another.", className="subtitle"),
            ],
            className="card",
        )
    shown = frame.with_columns(
        site_name=_site_names(reading),
        costs=pl.col("flag").replace_strict(DOUBT_COSTS, default=BACKWARDS_COST, return_dtype=pl.Utf8),
    )
    first = frame.row(0, named=True)
    site = reading.names.sites.get(first["site"], first["site"])
    title = (
        f"Most doubts: {first['flag']}, {numbers.count(first['n'])} exams at {site}"
        if first["n"] is not None
        else "Few exams contradict themselves"
    )
    columns = (
        Column("flag", "Doubt"), Column("site_name", "Site"),
        Column("n", "Exams", "number", link=_to_issue(reading, lambda row: doubt(row["flag"]))), Column("costs", "What follows", "place"),
    )  # fmt: skip
    return Card(
        title,
        "Impossible orders of events and contradictions, by kind and site",
        _table(columns, shown, reading),
        measures=(measure("doubtful_share"),),
        formula="Both times are kept and shown on the exam's page; the later one is marked doubtful.",
        rows_shown=14,
    )


@section("quality.fields")
def fields(reading: Reading) -> Drawn:
    """How complete each field is, and what a gap costs."""
    frame = _with_words(queries.parts(reading, FIELDS), FIELDS, reading).sort("share", nulls_last=True)
    if frame["of"].fill_null(0).sum() == 0:
        return _nothing("Completeness of fields")
    worst = frame.row(0, named=True)
    columns = (
        Column("title", "Field"), Column("share", "Stated", "number", "%", 1), Column("of", "Of", "number"), Column("missing", "Missing", "number", link=_to_missing(reading)), Column("costs", "What it is needed for", "place"),
    )  # fmt: skip
    return Card(
        f"{worst['title']} is stated for {numbers.shown(worst['share'], '%', 1)} of {worst['among']}",
        "Share of exams for which each field is stated",
        _table(columns, frame, reading),
        measures=tuple(measure(f"{part.name}_share") for part in FIELDS),
        formula="An exam counts where the field should be there.",
        rows_shown=6,
    )


@section("quality.gaps")
def gaps(reading: Reading) -> Drawn:
    """How complete each field is by scanner, site, modality, week or day."""
    asked = reading.extra.get("split", "device")
    way = asked if asked in SPLITS else "device"
    controls = (choice("split", "By", list(SPLITS.items()), way, "device"),)
    frame = _with_words(queries.parts(reading, FIELDS, way), FIELDS, reading)
    frame = frame.filter(pl.col(way).is_not_null() & (pl.col("of").fill_null(0) >= FEW_EXAMS))
    if way == "device":
        frame = frame.filter(pl.col("device").is_in(list(reading.names.devices)))
    if frame.is_empty():
        return Empty(
            "Completeness of fields",
            f"No {SPLITS[way].lower()} has {FEW_EXAMS} exams with these filters.",
            is_wide=True,
            controls=controls,
        )
    frame = frame.with_columns(name=pl.Series([_named(value, reading) for value in frame[way]], dtype=pl.Utf8))
    order = frame.group_by(way, "name").agg(pl.col("missing").sum())
    worst = order.sort("missing", "name", descending=[True, False])
    chosen = order.sort(way, descending=True).head(MOST_ROWS) if way in {"week", "day"} else worst.head(MOST_ROWS)
    kept = frame.join(chosen.select(way), on=way, how="semi").sort(way if way in {"week", "day"} else "name", "part")
    columns = (
        Column("name", SPLITS[way]), Column("title", "Field"), Column("share", "Stated", "number", "%", 1), Column("of", "Of", "number"),
        Column("missing", "Missing", "number", link=_to_missing(reading)), Column("costs", "What it is needed for", "place"),
    )  # fmt: skip
    which = "latest" if way in {"week", "day"} else "with most gaps"
    return Card(
        _most_gaps(frame, way),
        f"Exams without each field, in percent, by {SPLITS[way].lower()}: the {chosen.height} {which}, {FEW_EXAMS} exams or more",
        _table(columns, kept.sort("missing", descending=True, nulls_last=True), reading),
        figures.gaps_map(kept, "name", "title", reading.look),
        measures=tuple(measure(f"{part.name}_share") for part in FIELDS),
        is_wide=True,
        controls=controls,
    )


def _most_gaps(frame: pl.DataFrame, way: str) -> str:
    """Which field is missing most often, and where."""
    known = frame.drop_nulls("share").sort("share", way, "part")
    if known.is_empty() or known["share"][0] >= 100:
        return "No exam lacks a field"
    most = known.row(0, named=True)
    return f"Most gaps: {most['title']}, missing in {numbers.shown(100 - most['share'], '%', 1)} of exams of {most['name']}"


def _with_words(frame: pl.DataFrame, which: Sequence[Part], reading: Reading) -> pl.DataFrame:
    """The frame with each part's words and the site's name."""
    words = pl.DataFrame(
        [
            (part.name, part.title.removeprefix("Time known: "), part.among_words, part.costs, part.sources)
            for part in which
        ],
        schema=["part", "title", "among", "costs", "sources"],
        orient="row",
    )
    joined = frame.join(words, on="part", how="left", maintain_order="left")
    return joined.with_columns(site_name=_site_names(reading)) if "site" in frame.columns else joined


def _site_names(reading: Reading) -> pl.Expr:
    return pl.col("site").replace_strict(dict(reading.names.sites), default=pl.col("site"), return_dtype=pl.Utf8)


def _worst(total: pl.DataFrame, which: Sequence[Part]) -> dict[str, Any] | None:
    titles = {part.name: part.title for part in which}
    known = total.drop_nulls("share").sort("share")
    return {**known.row(0, named=True), "title": titles[known["part"][0]]} if known.height else None


def _named(value: Any, reading: Reading) -> str:
    """A scanner, site, modality or day in words."""
    if isinstance(value, date):
        return numbers.day(value)
    return reading.names.all.get(str(value), str(value))


def _source_word(text: str) -> str:
    name, _, share = text.partition(" ")
    return f"{SOURCE_NAMES.get(name, name)} {share}"


def _confidence_colour(confidence: str, reading: Reading) -> str:
    look = reading.look
    return {"certain": look.series[0], "strong": look.series[0], "probable": look.variation["concern"]}.get(
        confidence, look.variation["common"]
    )


def _to_missing(reading: Reading) -> Any:
    return _to_issue(reading, lambda row: missing(row["part"]))


def _to_issue(reading: Reading, name: Any) -> Any:
    """A link to the exams of a row's issue, for those who may see exams."""

    def link(row: Row) -> str | None:
        count = row.get("n", row.get("missing"))
        if not count or not reading.may("see_exam_rows") or not reading.scope.rows:
            return None
        filters = reading.filters
        if row.get("site"):
            filters = filters.narrowed(site=(str(row["site"]),))
        if row.get("device"):
            filters = filters.narrowed(device=(str(row["device"]),))
        if row.get("modality"):
            filters = filters.narrowed(modality=(str(row["modality"]),))
        if row.get("day") or row.get("week"):
            first = row.get("day") or row["week"]
            last = first + timedelta(days=6 if row.get("week") else 0)
            filters = filters.over(max(first, filters.start), min(last, filters.end))
        return urls.page(urls.QUALITY_EXAMS, filters, issue=name(row))

    return link


def _table(columns: tuple[Column, ...], frame: pl.DataFrame, reading: Reading) -> Table:
    return Table(columns, frame, reading.scope.small_count, reading.zone)


def _nothing(title: str) -> Empty:
    return Empty(title, "No exam fits these filters.")
