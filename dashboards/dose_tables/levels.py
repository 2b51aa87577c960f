"""Reference levels: typical values of each standard exam beside them, the tables with their sources, and importing more."""

from __future__ import annotations

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component
from flask import current_app

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.decisions import decision_list, decisions_of, effect_words, may_open
from dashboards._shell.filter_bar import choice
from dashboards._shell.forms import Field, Form, html_form, reason
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards.dose.parts import dose_pages
from dashboards.dose_tables.decide import KINDS
from state.decisions import DecisionKind
from state.roles import Permission
from warehouse.dose_groups import METRICS, exam_values, levels, typical_values, with_levels
from warehouse.dosimetry.bands import ADULT
from warehouse.dosimetry.icrp135 import FEWEST_ROOMS, local_level
from warehouse.dosimetry.tables import columns_of
from warehouse.schema import dim_reference_level

MOST_BARS = 20
FIRST = "dlp_mgycm"

dash.register_page(
    __name__,
    path=urls.DOSE_LEVELS,
    name="Reference levels",
    title="Dose reference levels – Isocenter",
    permission="view_dose",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("levels.parts", height=60, is_wide=True), slot("levels.compared", height=420, is_wide=True), slot("levels.bands", height=300, is_wide=True), slot("levels.all", height=360, is_wide=True),
        slot("levels.import", height=260, is_wide=True), slot("levels.history", height=120, is_wide=True),
    ]  # fmt: skip
    return page(
        "Dose reference levels",
        urls.DOSE_LEVELS,
        query,
        content,
        intro="Medians of patients' exams beside diagnostic reference levels. A level is no limit, and no single exam is compared with it.",
    )


@section("levels.parts")
def parts(reading: Reading) -> Drawn:
    """Links, and whether imported tables are in the star."""
    return html.Div([dose_pages(urls.DOSE_LEVELS, reading), effect_words(reading)])


@section("levels.compared")
def compared(reading: Reading) -> Drawn:
    """Typical values by standard exam beside the newest level."""
    metric, controls = _metric(reading)
    name, unit = METRICS[metric][1:]
    values = exam_values(reading.star, reading.filters, reading.scope, metric)
    mapped = values.filter(pl.col("standard_code").is_not_null() & (pl.col("age_band") == ADULT))
    if mapped.is_empty():
        return Empty(
            f"{name} by standard exam",
            "No exam of a protocol or procedure with a confirmed standard exam has this quantity. Confirm some in the dictionary.",
            "To the dictionary",
            is_wide=True,
            controls=controls,
        )
    smallest = reading.settings.dose.smallest_sample
    whole = typical_values(mapped, ("standard_code", "standard_name", "age_band"), smallest)
    rooms = typical_values(mapped, ("standard_code", "age_band", "device_id"), smallest).drop_nulls("median")
    local = {str(code): local_level(group["median"].to_list()) for (code,), group in rooms.group_by("standard_code")}
    frame = with_levels(whole, levels(reading.star, metric)).with_columns(
        rooms=pl.col("standard_code").replace_strict({str(code): group.height for (code,), group in rooms.group_by("standard_code")}, default=0, return_dtype=pl.Int64),
        local=pl.col("standard_code").replace_strict(local, default=None, return_dtype=pl.Float64),
        interval=pl.format("{} – {}", pl.col("low").round(1), pl.col("high").round(1)),
    )  # fmt: skip
    judged = frame.drop_nulls(["median", "level"])
    over = judged.filter(pl.col("median") > pl.col("level"))
    title = (
        f"{over.height} of {judged.height} typical values are above their level"
        if judged.height
        else f"No level is known for these exams: typical values of {name}"
    )
    columns = (
        Column("standard_name", "Standard exam"), Column("n", "Exams", "number"), Column("median", "Typical value", "number", unit), Column("interval", "95 % interval"), Column("p25", "25th percentile", "number", unit), Column("p75", "75th percentile", "number", unit),
        Column("rooms", "Rooms", "number"), Column("local", "Local level", "number", unit), Column("level", "Reference level", "number", unit), Column("authority", "Of"), Column("year", "Year"),
    )  # fmt: skip
    note = f"Adults. Fewer than {smallest} exams (mammography 50, fluoroscopy 30) give no typical value. A local level is the 75th percentile of at least {FEWEST_ROOMS} rooms' medians; fewer rooms have typical values only."
    return Card(
        title,
        f"{name}, {unit}, adults, by standard exam",
        Table(columns, frame.with_columns(pl.col("year").cast(pl.Utf8)), reading.scope.small_count),
        _bars(frame.drop_nulls("median").head(MOST_BARS), unit, reading),
        note=note,
        formula="ICRP Publication 135: median over patients' exams of the standard exam; interval by 999 bootstrap resamples. The level is the newest that holds for the standard exam and age band.",
        is_wide=True,
        controls=controls,
    )


@section("levels.bands")
def bands(reading: Reading) -> Drawn:
    """Typical values of children by age and weight band; adults by weight."""
    metric, _ = _metric(reading)
    name, unit = METRICS[metric][1:]
    values = exam_values(reading.star, reading.filters, reading.scope, metric).filter(
        pl.col("standard_code").is_not_null()
    )
    if values.is_empty():
        return html.Div()
    frame = typical_values(values, ("standard_name", "age_band", "weight_band"), reading.settings.dose.smallest_sample)
    enough = frame.drop_nulls("median").height
    columns = (
        Column("standard_name", "Standard exam"), Column("age_band", "Age"), Column("weight_band", "Weight"), Column("n", "Exams", "number"), Column("median", "Typical value", "number", unit),
        Column("p75", "75th percentile", "number", unit), Column("needed", "Exams needed", "number"),
    )  # fmt: skip
    return Card(
        f"{enough} of {frame.height} groups of age and weight have enough exams for a typical value",
        f"{name}, {unit}, by standard exam, age and weight band",
        Table(columns, frame, reading.scope.small_count),
        note="Children are never mixed with adults.",
        is_wide=True,
        rows_shown=12,
    )


@section("levels.all")
def everything(reading: Reading) -> Drawn:
    """All levels with their sources."""
    level = dim_reference_level.c
    frame = reading.star.frame(
        dim_reference_level.select().order_by(level.modality, level.procedure_name, level.metric, level.level_key)
    )
    shown = frame.with_columns(
        metric=pl.col("metric").replace_strict({key: value[1].partition(",")[0] for key, value in METRICS.items()}, default=pl.col("metric")),
        year=pl.col("year").cast(pl.Utf8),
    )  # fmt: skip
    columns = (
        Column("procedure_name", "Examination"), Column("indication", "Indication"), Column("metric", "Quantity"), Column("level", "Level", "number"), Column("unit", "Unit"), Column("population", "For"),
        Column("percentile", "Percentile"), Column("authority", "Of"), Column("year", "Year"), Column("standard_code", "Compared with"), Column("origin", "Origin"), Column("source", "Source"),
    )  # fmt: skip
    imported = frame.filter(pl.col("origin") == "imported").height
    return Card(
        f"{frame.height} levels, {imported} of them imported here",
        "Every level with its source",
        Table(columns, shown),
        note="Shipped are only levels that were read at the source named. Other tables are imported from their originals below.",
        is_wide=True,
        rows_shown=12,
        period="all that are known",
    )


@section("levels.import")
def importing(reading: Reading) -> Drawn:
    """Importing a table with its source."""
    if not reading.may(Permission.MANAGE_DOSE):
        return html.Div()
    listed = [
        html.Li([html.Strong(f"{KINDS[kind]}: "), ", ".join(name if needed else f"{name} (may be missing)" for name, needed in columns_of(kind))])
        for kind in KINDS
    ]  # fmt: skip
    fields = (
        Field("name", "Name of the table", help="Importing under the same name replaces it."),
        Field("kind", "It holds", "select", "reference_levels", list(KINDS.items())),
        Field(
            "content",
            "The table, as CSV with a header line",
            "textarea",
            help="The columns of each kind are listed below.",
        ),
        reason("Reason"),
    )
    form = Form(f"{urls.DECIDE}{DecisionKind.DOSE_TABLE}", "Import", fields)
    return html.Section(
        [
            html.H2("Import a table"),
            html.P("From the publication itself, with its source in every row. A wrong cell is refused with its line, and then nothing is imported.", className="subtitle"),
            html_form(form, "Import a table"), html.H3("Columns"), html.Ul(listed),
        ],
        className="card wide",
    )  # fmt: skip


@section("levels.history")
def history(reading: Reading) -> Drawn:
    """Who imported what."""
    kept = [
        one for one in decisions_of(current_app).history(DecisionKind.DOSE_TABLE, limit=30) if may_open(one, reading)
    ]
    return html.Section(
        [html.H2("Imported tables"), decision_list(kept, reading, "No table was imported yet.")], className="card wide"
    )


def _metric(reading: Reading) -> tuple[str, tuple[Component, ...]]:
    asked = reading.extra.get("metric", FIRST)
    metric = asked if asked in METRICS else FIRST
    return metric, (choice("metric", "Quantity", [(key, value[1]) for key, value in METRICS.items()], metric, FIRST),)


def _bars(frame: pl.DataFrame, unit: str, reading: Reading) -> dict[str, object] | None:
    """Typical values as bars, those above their level marked."""
    if frame.is_empty():
        return None
    look = reading.look
    over = [level is not None and median > level for median, level in frame.select("median", "level").iter_rows()]
    words = [
        f"{numbers.shown(median, unit)}" + (f" of {numbers.rounded(level)}" if level is not None else "")
        for median, level in frame.select("median", "level").iter_rows()
    ]
    return charts.bars(
        [
            charts.shortened(name or code, 34)
            for name, code in frame.select("standard_name", "standard_code").iter_rows()
        ],
        frame["median"].to_list(),
        words,
        [look.variation["concern"] if one else look.series[0] for one in over],
        look,
    )
