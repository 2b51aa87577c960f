"""Mammography, radiography, nuclear medicine: what each is judged by."""

from __future__ import annotations

from typing import Any

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component
from sqlalchemy import ColumnElement, and_, func, literal_column, select

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards.dose.parts import dose_pages
from warehouse.dosimetry.activity import beside_plan
from warehouse.measures.measure import percentile
from warehouse.schema import dim_activity_plan, dim_device, fact_exam, fact_exam_dose, fact_irradiation_event

THICKNESS_MM = 10
_STEP: ColumnElement[Any] = literal_column(str(THICKNESS_MM))
"""A parameter would make the grouping another expression than the column."""
MUCH_DEVIATION = 1.0
"""Deviation index beyond which an exposure was 26 % too high or 21 % too low: IEC 62494-1, DI = 10·log10(EI/EI_T)."""
_exam, _dose, _event = fact_exam.c, fact_exam_dose.c, fact_irradiation_event.c
_of_event = and_(_event.exam_key == _exam.exam_key, _event.month == _exam.month)

dash.register_page(
    __name__,
    path=urls.DOSE_MODALITIES,
    name="Other modalities",
    title="Dose of other modalities – Isocenter",
    permission="view_dose",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("modalities.parts", height=60, is_wide=True), slot("modalities.thickness"), slot("modalities.views"), slot("modalities.index"), slot("modalities.repeats"),
        slot("modalities.activity"), slot("modalities.per-kg"), slot("modalities.plan", is_wide=True),
    ]  # fmt: skip
    return page(
        "Mammography, radiography, nuclear medicine",
        urls.DOSE_MODALITIES,
        query,
        content,
        intro="Average glandular dose by thickness and view, exposure and deviation index by detector, administered activity by weight.",
    )


@section("modalities.parts")
def parts(reading: Reading) -> Drawn:
    """Links to the other dose pages."""
    return dose_pages(urls.DOSE_MODALITIES, reading)


@section("modalities.thickness")
def thickness(reading: Reading) -> Drawn:
    """Average glandular dose by compressed thickness and unit."""
    band = func.floor(_event.compression_thickness_mm / _STEP) * _STEP
    frame = _events(
        reading, (_event.agd_mgy > 0, _event.compression_thickness_mm > 0), band.label("thickness"),
        agd=percentile(0.5, _event.agd_mgy), p95=percentile(0.95, _event.agd_mgy),
    )  # fmt: skip
    if frame.is_empty():
        return Empty("Mammography", f"No exposure with glandular dose and thickness: {reading.sentence}.")
    enough = frame.filter(pl.col("n") >= 5)
    look = reading.look
    names = enough["device_name"].unique().sort().to_list()
    series = [
        (
            str(name),
            enough.filter(pl.col("device_name") == name).sort("thickness"),
            look.series[index % len(look.series)],
        )
        for index, name in enumerate(names)
    ]
    columns = (Column("device_name", "Unit"), Column("band", "Thickness"), Column("n", "Exposures", "number"), Column("agd", "Median", "number", "mGy", 2), Column("p95", "95th percentile", "number", "mGy", 2))  # fmt: skip
    worded = frame.with_columns(
        band=pl.format(
            "{}–{} mm", pl.col("thickness").cast(pl.Int64), pl.col("thickness").cast(pl.Int64) + THICKNESS_MM
        )
    )
    middle = float(enough["agd"].median() or 0) if enough.height else 0.0  # type: ignore[arg-type]
    return Card(
        f"Glandular dose by thickness: {numbers.shown(middle, 'mGy', 2)} in the middle",
        "Median average glandular dose of an exposure by compressed thickness, mGy",
        Table(columns, worded.sort("device_name", "thickness"), reading.scope.small_count),
        _thickness_figure(series, look),
        formula="Median over exposures of each unit in steps of 10 mm; steps with fewer than 5 exposures are not drawn.",
    )


def _thickness_figure(series: list[tuple[str, pl.DataFrame, str]], look: Any) -> dict[str, Any]:
    traces = [
        {
            "type": "scatter", "mode": "lines+markers", "name": name, "x": [one + THICKNESS_MM / 2 for one in frame["thickness"]], "y": frame["agd"].to_list(), "line": {"color": colour, "width": 2},
            "hovertext": [f"<b>{agd:.2f} mGy</b><br>{name}<br>n = {n}" for agd, n in frame.select("agd", "n").iter_rows()], "hovertemplate": "%{hovertext}<extra></extra>",
        }
        for name, frame, colour in series
    ]  # fmt: skip
    every = [float(value) for _, frame, _ in series for value in frame["agd"]] or [1.0]
    font = {"size": 12, "color": look.muted}
    return charts.figure(
        traces, look, height=300, showlegend=len(series) > 1, legend={"orientation": "h", "y": 1.12, "x": 0, "font": font},
        xaxis=charts.axis(look, title={"text": "compressed thickness, mm", "font": font, "standoff": 6}, showgrid=False),
        yaxis=charts.value_axis(0, max(every) * 1.15, "mGy", look),
    )  # fmt: skip


@section("modalities.views")
def views(reading: Reading) -> Drawn:
    """Average glandular dose by view and side, and repeated views."""
    frame = _events(
        reading, (_event.agd_mgy > 0,), _event.laterality, _event.view,
        agd=percentile(0.5, _event.agd_mgy), p95=percentile(0.95, _event.agd_mgy),
    )  # fmt: skip
    if frame.is_empty():
        return html.Div()
    columns = (Column("device_name", "Unit"), Column("laterality", "Side"), Column("view", "View"), Column("n", "Exposures", "number"), Column("agd", "Median", "number", "mGy", 2), Column("p95", "95th percentile", "number", "mGy", 2))  # fmt: skip
    query = (
        select(func.sum(_dose.repeats).label("repeats"), func.sum(_dose.events).label("events"))
        .select_from(fact_exam_dose.join(fact_exam, and_(_dose.exam_key == _exam.exam_key, _dose.month == _exam.month)))
        .where(
            reading.filters.clauses(fact_exam_dose, reading.scope),
            _dose.dose_kind == "mammography",
            _dose.exposure_class == "patient",
        )
    )
    repeats, events = reading.star.frame(query).row(0)
    share = 100 * (repeats or 0) / events if events else 0.0
    return Card(
        f"{share:.1f} % of mammograms repeat a view of the same exam",
        "Average glandular dose by view and side, mGy",
        Table(columns, frame.sort("device_name", "laterality", "view"), reading.scope.small_count),
        formula="Repeated: marked so by the unit, or the same view and side again in one exam. Large breasts may need several.",
        rows_shown=12,
    )


@section("modalities.index")
def index(reading: Reading) -> Drawn:
    """Exposure and deviation index by detector."""
    off = func.count().filter(func.abs(_event.deviation_index) > MUCH_DEVIATION)
    frame = _events(
        reading, (_event.exposure_index > 0, _event.event_kind == "projection"),
        ei=percentile(0.5, _event.exposure_index), target=percentile(0.5, _event.exposure_index_target), di=percentile(0.5, _event.deviation_index),
        off=off, judged=func.count(_event.deviation_index), dap=percentile(0.5, _event.dap_gycm2),
    )  # fmt: skip
    if frame.is_empty():
        return Empty("Radiography", f"No exposure states an exposure index: {reading.sentence}.")
    shown = frame.with_columns(share=pl.when(pl.col("judged") > 0).then(100 * pl.col("off") / pl.col("judged")))
    columns = (
        Column("device_name", "Detector"), Column("n", "Exposures", "number"), Column("ei", "Exposure index, median", "number"), Column("target", "Target", "number"), Column("di", "Deviation index, median", "number", "", 2),
        Column("share", "Off by more than 1", "number", "%", 0), Column("dap", "DAP, median", "number", "Gy·cm²"),
    )  # fmt: skip
    kept = tuple(one for one in columns if shown[one.name].drop_nulls().len())
    judged = shown.drop_nulls("share").sort("share", descending=True)
    title = f"{judged['device_name'][0]}: {judged['share'][0]:.0f} % of exposures are off their target" if judged.height else "Exposure index by detector"  # fmt: skip
    return Card(
        title,
        "Exposure index, its target and the deviation index by detector",
        Table(kept, shown.sort("n", descending=True), reading.scope.small_count),
        note="Beyond ±1 an exposure was at least 26 % above or 21 % below its target (IEC 62494-1: deviation index = 10·log10 of index by target). Detectors without a target state no deviation.",
        rows_shown=12,
    )


@section("modalities.repeats")
def repeats(reading: Reading) -> Drawn:
    """Exposures that the devices mark as repeated, with their reasons."""
    reason = func.coalesce(_event.repeat_reason, literal_column("'no reason stated'"))
    query = (
        select(_exam.modality, reason.label("reason"), func.count().label("n"))
        .select_from(fact_irradiation_event.join(fact_exam, _of_event))
        .where(reading.filters.clauses(fact_irradiation_event, reading.scope), _event.is_repeat)
        .group_by(_exam.modality, reason).order_by(func.count().desc(), _exam.modality, reason)
    )  # fmt: skip
    frame = reading.star.frame(query)
    if frame.is_empty():
        return html.Section(
            [
                html.H2("No exposure is marked as repeated"),
                html.P("Rejected images are lost unless a dose report states their exposure.", className="subtitle"),
            ],
            className="card",
        )
    columns = (Column("modality", "Modality"), Column("reason", "Reason"), Column("n", "Exposures", "number"))
    total = int(frame["n"].sum())
    return Card(
        f"{numbers.count(total)} exposures are marked as repeated",
        "By modality and reason, as the devices state it (128551, 128552)",
        Table(columns, frame, reading.scope.small_count),
        note="Rejected images are lost unless a dose report states their exposure.",
        rows_shown=10,
    )


@section("modalities.activity")
def activity(reading: Reading) -> Drawn:
    """Administered activity by agent."""
    frame = _administrations(reading, _event.radiopharmaceutical)
    if frame.is_empty():
        return Empty("Nuclear medicine", f"No administration is known: {reading.sentence}.")
    columns = (Column("radiopharmaceutical", "Agent"), Column("n", "Administrations", "number"), Column("activity", "Median", "number", "MBq"), Column("p5", "5th percentile", "number", "MBq"), Column("p95", "95th percentile", "number", "MBq"), Column("per_kg", "Median for one kg", "number", "MBq/kg", 1))  # fmt: skip
    return Card(
        f"{numbers.count(int(frame['n'].sum()))} administrations",
        "Administered activity by agent; the CT part of PET/CT stands with CT",
        Table(columns, frame, reading.scope.small_count),
        rows_shown=10,
    )


@section("modalities.per-kg")
def per_kg(reading: Reading) -> Drawn:
    """Activity for a kilogram by weight band: a plan by weight gives the same everywhere."""
    frame = _administrations(reading, _event.radiopharmaceutical, _dose.age_band, _dose.weight_band).drop_nulls(
        "weight_band"
    )
    if frame.is_empty():
        return html.Div()
    columns = (Column("radiopharmaceutical", "Agent"), Column("age_band", "Age"), Column("weight_band", "Weight"), Column("n", "Administrations", "number"), Column("activity", "Median", "number", "MBq"), Column("per_kg", "Median for one kg", "number", "MBq/kg", 1))  # fmt: skip
    return Card(
        "Activity by weight",
        "Administered activity and activity for one kg by weight band",
        Table(columns, frame, reading.scope.small_count),
        note="A plan by weight gives the same activity for one kg in every band; a fixed activity falls with weight.",
        rows_shown=12,
    )


@section("modalities.plan")
def off_plan(reading: Reading) -> Drawn:
    """Administrations beside the plan by weight, those off it first."""
    title = "Activity beside the plan by weight"
    plans = reading.star.frame(select(dim_activity_plan))
    if plans.is_empty():
        return Empty(title, "No plan was imported yet: a physicist imports the department's own with its source, on the page Reference levels.", "To the other modalities", is_wide=True)  # fmt: skip
    given = _administered(reading)
    found = beside_plan(given, plans)
    if found.is_empty():
        return Empty(
            title, f"No administration with a weight and a plan for its agent: {reading.sentence}.", is_wide=True
        )
    frame = (
        found.group_by("agent", "device_name")
        .agg(
            n=pl.len(), off=pl.col("is_off").sum(), middle=pl.col("difference").median(), above=(pl.col("is_off") & (pl.col("difference") > 0)).sum(),
            tolerance=pl.col("tolerance_percent").max(), source=pl.col("source").unique().sort().str.join("; "),
        )
        .with_columns(below=pl.col("off") - pl.col("above"), share=100 * pl.col("off") / pl.col("n"), withheld=pl.col("n") < reading.scope.small_count)
        .sort("share", "n", "agent", descending=[True, True, False])
    )  # fmt: skip
    columns = (
        Column("agent", "Agent"), Column("device_name", "Scanner"), Column("n", "Administrations", "number"), Column("off", "Off plan", "number"), Column("share", "Off plan", "number", "%", 1),
        Column("above", "Above", "number"), Column("below", "Below", "number"), Column("middle", "Median difference", "number", "%", 1), Column("tolerance", "Tolerance", "number", "%", 0), Column("source", "Plan of"),
    )  # fmt: skip
    off, without = int(found["is_off"].sum()), given.height - found.height
    note = f"{numbers.count(without)} of {numbers.count(given.height)} administrations have no plan for their agent, or no weight." if without else ""  # fmt: skip
    return Card(
        f"{numbers.count(off)} of {numbers.count(found.height)} administrations are off their plan",
        "Activity against the plan by weight, by agent and scanner",
        Table(columns, frame, reading.scope.small_count),
        note=note,
        formula="Planned: weight times the activity for one kg, within the plan's least and most. Off plan: a difference above the plan's tolerance.",
        is_wide=True,
        rows_shown=12,
        exams=urls.exams(reading.filters.narrowed(modality=("NM", "PT"))),
    )


def _administered(reading: Reading) -> pl.DataFrame:
    """Each administration: agent, age_band, weight_kg, activity_mbq, device_name."""
    query = (
        select(_event.radiopharmaceutical.label("agent"), _dose.age_band, _dose.weight_kg, _event.activity_mbq, dim_device.c.device_name)
        .select_from(
            fact_irradiation_event.join(fact_exam, _of_event).join(fact_exam_dose, and_(_dose.exam_key == _exam.exam_key, _dose.month == _exam.month))
            .join(dim_device, _event.device_key == dim_device.c.device_key)
        )
        .where(reading.filters.clauses(fact_irradiation_event, reading.scope), _event.event_kind == "administration", _event.activity_mbq > 0)
    )  # fmt: skip
    return reading.star.frame(query)


def _events(reading: Reading, where: tuple[ColumnElement[bool], ...], *by: Any, **figures: Any) -> pl.DataFrame:
    """Figures of events by device and more."""
    groups = (dim_device.c.device_name, *by)
    query = (
        select(*groups, func.count().label("n"), *(figure.label(name) for name, figure in figures.items()))
        .select_from(
            fact_irradiation_event.join(fact_exam, _of_event).join(dim_device, _event.device_key == dim_device.c.device_key)
        )
        .where(reading.filters.clauses(fact_irradiation_event, reading.scope), *where)
        .group_by(*groups).order_by(*groups)
    )  # fmt: skip
    return reading.star.frame(query)


def _administrations(reading: Reading, *by: Any) -> pl.DataFrame:
    query = (
        select(
            *by, func.count().label("n"), percentile(0.5, _event.activity_mbq).label("activity"), percentile(0.05, _event.activity_mbq).label("p5"), percentile(0.95, _event.activity_mbq).label("p95"),
            percentile(0.5, _event.activity_mbq / func.nullif(_dose.weight_kg, 0)).label("per_kg"),
        )
        .select_from(
            fact_irradiation_event.join(fact_exam, _of_event).join(fact_exam_dose, and_(_dose.exam_key == _exam.exam_key, _dose.month == _exam.month))
        )
        .where(reading.filters.clauses(fact_irradiation_event, reading.scope), _event.event_kind == "administration", _event.activity_mbq > 0)
        .group_by(*by).order_by(func.count().desc(), *by)
    )  # fmt: skip
    return reading.star.frame(query)
