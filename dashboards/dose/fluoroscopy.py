"""Fluoroscopy and angiography: dose by room and procedure, the highest exams, sums of patients, and where beams came from."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component
from flask import current_app
from sqlalchemy import ColumnElement, and_, func, literal_column, select

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.charts import Figure
from dashboards._shell.decisions import decisions_of
from dashboards._shell.layout import page
from dashboards._shell.look import Look
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards.dose.parts import dose_pages
from insights.dose.rules import RULE_KINDS, rules_with
from warehouse.dose_groups import METRICS, exam_values, typical_values
from warehouse.filters import exam_clause
from warehouse.schema import dim_device, dim_procedure, fact_exam, fact_exam_dose, fact_irradiation_event

INTERVENTION = ("XA", "RF")
SHOWN_METRICS = ("dap_gycm2", "rp_air_kerma_mgy", "fluoro_time_s")
MOST_ROWS = 25
BIN_DEG = 10
_BIN: ColumnElement[Any] = literal_column(str(BIN_DEG))
"""A parameter would make the grouping another expression than the column."""
_exam, _dose, _event = fact_exam.c, fact_exam_dose.c, fact_irradiation_event.c
_of_exam = and_(_dose.exam_key == _exam.exam_key, _dose.month == _exam.month)

dash.register_page(
    __name__,
    path=urls.DOSE_FLUOROSCOPY,
    name="Fluoroscopy",
    title="Fluoroscopy dose – Isocenter",
    permission="view_dose",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("fluoroscopy.parts", height=60, is_wide=True), slot("fluoroscopy.rooms", height=320, is_wide=True), slot("fluoroscopy.highest", height=380, is_wide=True),
        slot("fluoroscopy.patients", height=300), slot("fluoroscopy.angles", height=380),
    ]  # fmt: skip
    return page(
        "Fluoroscopy and angiography",
        urls.DOSE_FLUOROSCOPY,
        query,
        content,
        intro="Air kerma at the reference point, dose area product and fluoroscopy time as the devices state them. Air kerma is no skin dose: it is summed only where the reference point allows it.",
    )


@section("fluoroscopy.parts")
def parts(reading: Reading) -> Drawn:
    """Links to the other dose pages."""
    return dose_pages(urls.DOSE_FLUOROSCOPY, reading)


@section("fluoroscopy.rooms")
def rooms(reading: Reading) -> Drawn:
    """Typical values by room and procedure."""
    within = _intervention(reading)
    frames = []
    for metric in SHOWN_METRICS:
        values = exam_values(within.star, within.filters, within.scope, metric)
        if not values.is_empty():
            found = typical_values(values, ("device_name", "protocol_name"), reading.settings.dose.smallest_sample)
            frames.append(
                found.group_by("device_name", "protocol_name").agg(
                    pl.col("n").sum(),
                    pl.col("median").first().alias(metric),
                    pl.col("p75").first().alias(f"{metric}_p75"),
                )
            )
    if not frames:
        return Empty("Rooms", f"No fluoroscopy or angiography exam with dose: {reading.sentence}.", is_wide=True)
    whole = frames[0]
    for frame in frames[1:]:
        whole = whole.join(frame.drop("n"), on=["device_name", "protocol_name"], how="left")
    columns = [Column("device_name", "Room"), Column("protocol_name", "Protocol"), Column("n", "Exams", "number")]
    for metric in SHOWN_METRICS:
        if metric in whole.columns:
            _, name, unit = METRICS[metric]
            if unit == "s":
                whole, unit = whole.with_columns(pl.col(metric, f"{metric}_p75") / 60), "min"
            columns += [Column(metric, f"{name}, median", "number", unit), Column(f"{metric}_p75", "75th percentile", "number", unit)]  # fmt: skip
    enough = whole.drop_nulls("dap_gycm2").height if "dap_gycm2" in whole.columns else 0
    return Card(
        f"{enough} of {whole.height} rooms and protocols have enough exams for a typical value",
        "By room and the protocol with the most dose",
        Table(tuple(columns), whole.sort("n", descending=True), reading.scope.small_count),
        note="At least 30 exams for a typical value (ICRP Publication 135).",
        is_wide=True,
        rows_shown=15,
    )


@section("fluoroscopy.highest")
def highest(reading: Reading) -> Drawn:
    """The exams with the most air kerma."""
    if not reading.scope.rows:
        return html.Div()
    within = _intervention(reading)
    query = (
        select(
            _exam.exam_key, _exam.exam_id, _exam.local_day, dim_procedure.c.procedure_text, dim_device.c.device_name, _dose.rp_exam_mgy, _dose.rp_plane_a_mgy, _dose.rp_plane_b_mgy,
            _dose.dap_exam_gycm2, _dose.fluoro_time_total_s, _dose.events, _dose.rp_comparable, _dose.difference, _dose.flags,
        )
        .select_from(
            fact_exam_dose.join(fact_exam, _of_exam).join(dim_procedure, _exam.procedure_key == dim_procedure.c.procedure_key).join(dim_device, _dose.device_key == dim_device.c.device_key)
        )
        .where(within.filters.clauses(fact_exam_dose, reading.scope), _dose.exposure_class == "patient", _dose.rp_exam_mgy > 0)
        .order_by(_dose.rp_exam_mgy.desc(), _exam.exam_key)
        .limit(100)
    )  # fmt: skip
    frame = reading.star.frame(query)
    if frame.is_empty():
        return html.Div()
    shown = frame.with_columns(
        fluoro_time_total_s=pl.col("fluoro_time_total_s") / 60,
        point=pl.when(pl.col("rp_comparable").fill_null(value=True)).then(pl.lit("")).otherwise(pl.lit("other reference point")),
    )  # fmt: skip
    columns = (
        Column("exam_id", "Exam", link=lambda row: urls.exam(row["exam_key"])), Column("local_day", "Day", "day"), Column("procedure_text", "Procedure"), Column("device_name", "Room"), Column("rp_exam_mgy", "Air kerma", "number", "mGy"),
        Column("rp_plane_b_mgy", "Plane B", "number", "mGy"), Column("dap_exam_gycm2", "DAP", "number", "Gy·cm²"), Column("fluoro_time_total_s", "Fluoroscopy", "number", "min"), Column("events", "Exposures", "number"), Column("point", "Note"), Column("flags", "Doubts"),
    )  # fmt: skip
    kept = tuple(one for one in columns if shown[one.name].drop_nulls().len() and set(shown[one.name]) != {""})
    most = frame.row(0, named=True)
    return Card(
        f"The most in one exam: {numbers.shown(most['rp_exam_mgy'], 'mGy')} on {most['device_name']}",
        "Exams by air kerma at the reference point",
        Table(kept, shown, 0, reading.zone),
        formula="The report's stated total where there is one, else the sum of its events; both stand on the exam's event pages.",
        is_wide=True,
        rows_shown=MOST_ROWS,
    )


@section("fluoroscopy.patients")
def patients(reading: Reading) -> Drawn:
    """Sums of air kerma over the window by patient."""
    if not reading.scope.rows:
        return html.Div()
    weeks = reading.settings.dose.window_weeks
    last = reading.data_to.date()
    query = (
        select(_exam.patient_key, func.count().label("exams"), func.sum(_dose.rp_exam_mgy).label("sum"), func.max(_exam.local_day).label("last_day"), func.max(_exam.exam_key).label("exam_key"), func.max(_exam.exam_id).label("exam_id"))
        .select_from(fact_exam_dose.join(fact_exam, _of_exam))
        .where(
            exam_clause(reading.scope), _exam.local_day > last - timedelta(weeks=weeks), _exam.patient_key != 0, _exam.modality.in_(INTERVENTION), _dose.exposure_class == "patient",
            _dose.rp_exam_mgy > 0, func.coalesce(_dose.rp_comparable, True),
        )
        .group_by(_exam.patient_key).having(func.count() > 1).order_by(func.sum(_dose.rp_exam_mgy).desc(), _exam.patient_key).limit(50)
    )  # fmt: skip
    frame = reading.star.frame(query)
    rule = rules_with(decisions_of(current_app).standing(*RULE_KINDS))["kerma-window"]
    over = frame.filter(pl.col("sum") >= (rule.threshold or float("inf"))).height
    if frame.is_empty():
        return Empty("Patients over the window", f"No patient had more than one such exam in the last {weeks} weeks.")
    columns = (
        Column("exam_id", "One of the exams", link=lambda row: urls.exam(row["exam_key"])),
        Column("exams", "Exams", "number"),
        Column("sum", "Air kerma, sum", "number", "mGy"),
        Column("last_day", "Last", "day"),
    )
    limit = f" the limit of {numbers.shown(rule.threshold, 'mGy')}" if rule.threshold else " a limit"
    return Card(
        f"{over} patients are above{limit}",
        f"Patients with more than one such exam, sum over {weeks} weeks",
        Table(columns, frame, 0, reading.zone),
        note="The sum of air kerma at the reference point bounds skin dose only where the same skin was met.",
        rows_shown=10,
        period=f"last {weeks} weeks of the data",
    )


@section("fluoroscopy.angles")
def angles(reading: Reading) -> Drawn:
    """Where beams came from, weighted by air kerma."""
    within = _intervention(reading)
    primary, secondary = (
        func.floor(column / _BIN) * _BIN for column in (_event.primary_angle_deg, _event.secondary_angle_deg)
    )
    query = (
        select(primary.label("primary"), secondary.label("secondary"), func.sum(_event.rp_air_kerma_mgy).label("kerma"))
        .select_from(
            fact_irradiation_event.join(fact_exam, and_(_event.exam_key == _exam.exam_key, _event.month == _exam.month))
        )
        .where(
            within.filters.clauses(fact_irradiation_event, reading.scope), _event.rp_air_kerma_mgy > 0, _event.primary_angle_deg.is_not(None), _event.secondary_angle_deg.is_not(None)
        )
        .group_by(primary, secondary).order_by(primary, secondary)
    )  # fmt: skip
    frame = reading.star.frame(query)
    if frame.is_empty():
        return Empty("Beam angles", "No exposure states air kerma and both angles.")
    total = float(frame["kerma"].sum())
    front = frame.filter(pl.col("primary").abs() <= 20, pl.col("secondary").abs() <= 20)["kerma"].sum()
    columns = (Column("primary", "Primary angle from", "number", "°"), Column("secondary", "Secondary angle from", "number", "°"), Column("kerma", "Air kerma", "number", "mGy"))  # fmt: skip
    return Card(
        f"{100 * float(front) / total:.0f} % of the air kerma came from within 20° of straight",
        "Share of air kerma by beam angle, in steps of 10°",
        Table(columns, frame.sort("kerma", descending=True)),
        angle_map(frame, reading.look),
        formula="Positioner primary angle: right to left of the patient; secondary: cranial to caudal (PS3.3 C.8.7.5). Each exposure counts with its air kerma at the reference point.",
    )


def angle_map(frame: pl.DataFrame, look: Look) -> Figure:
    """Air kerma by primary and secondary angle as a map."""
    total = float(frame["kerma"].sum())
    across = _steps(frame["primary"])
    up = _steps(frame["secondary"])
    values = {(a, b): 100 * kerma / total for a, b, kerma in frame.iter_rows()}
    z: list[list[Any]] = [[values.get((a, b)) for a in across] for b in up]
    words = [[f"<b>{values.get((a, b), 0):.1f} %</b><br>primary {a:.0f}° to {a + BIN_DEG:.0f}°<br>secondary {b:.0f}° to {b + BIN_DEG:.0f}°" for a in across] for b in up]  # fmt: skip
    trace = {
        "type": "heatmap", "x": [one + BIN_DEG / 2 for one in across], "y": [one + BIN_DEG / 2 for one in up], "z": z, "text": words, "hovertemplate": "%{text}<extra></extra>", "showscale": False,
        "colorscale": [[index / (len(look.scale) - 1), colour] for index, colour in enumerate(look.scale)], "xgap": 1, "ygap": 1, "hoverongaps": False,
    }  # fmt: skip
    font = {"size": 12, "color": look.muted}
    return charts.figure(
        [trace], look, height=320,
        xaxis=charts.axis(look, title={"text": "primary angle, ° (right – left)", "font": font, "standoff": 6}, showgrid=False, ticksuffix="°"),
        yaxis=charts.axis(look, title={"text": "secondary angle, °", "font": font}, showgrid=False, ticksuffix="°"),
    )  # fmt: skip


def _steps(column: pl.Series) -> list[float]:
    known = sorted(float(one) for one in column.unique())
    count = round((known[-1] - known[0]) / BIN_DEG)
    return [known[0] + BIN_DEG * index for index in range(count + 1)]


def _intervention(reading: Reading) -> Reading:
    """The reading narrowed to fluoroscopy and angiography, unless one of them is chosen."""
    chosen = tuple(one for one in reading.filters.modality if one in INTERVENTION) or INTERVENTION
    return reading.over(reading.filters.narrowed(modality=chosen))
