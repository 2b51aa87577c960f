"""The dose history of one patient: found by identifier, with a reason that is audited; shown without a name."""

from __future__ import annotations

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import numbers, urls
from dashboards._shell.cards import Card
from dashboards._shell.forms import Field, Form, html_form
from dashboards._shell.kpi import fact_card
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards.dose.parts import dose_pages
from dashboards.patients import queries
from dashboards.patients.finding import LEAST_REASON
from state.roles import Permission

CAVEAT = (
    "Past dose does not decide whether the next exam is justified. Sums over regions and quantities are no risk of a person; "
    "only air kerma on the same skin adds up, and only within weeks."
)

dash.register_page(
    __name__,
    path=urls.DOSE_PATIENTS,
    name="Patients",
    title="Dose of a patient – Isocenter",
    permission=Permission.LOOK_UP_PATIENTS,
)


def layout(**query: str) -> Component:
    """The page of the patient that the address names."""
    content = [
        slot("patients.parts", height=60, is_wide=True),
        slot("patients.find", height=190, is_wide=True),
        slot("patients.sums", height=130, is_wide=True),
        slot("patients.exams", height=360, is_wide=True),
        slot("patients.recurrent", height=300, is_wide=True),
    ]
    return page(
        "Dose of a patient",
        urls.DOSE_PATIENTS,
        query,
        content,
        intro="Every look-up is kept in the audit with its reason.",
        has_filters=False,
    )


@section("patients.parts")
def parts(reading: Reading) -> Drawn:
    """Links to the other dose pages."""
    return dose_pages(urls.DOSE_PATIENTS, reading)


@section("patients.find")
def find(_reading: Reading) -> Drawn:
    """The form of a look-up."""
    form = Form(
        urls.DOSE_FIND_PATIENT,
        "Find",
        (
            Field("identifier", "Patient identifier", help="As the hospital writes it, for example the record number."),
            Field("reason", "Reason", help=f"At least {LEAST_REASON} letters; kept in the audit with your name."),
        ),
    )
    return html.Section([html.H2("Find a patient"), html_form(form, "Find a patient")], className="card wide")


@section("patients.sums")
def sums(reading: Reading) -> Drawn:
    """What adds up, and over which time."""
    key = queries.asked(reading)
    if key is None:
        return html.Div()
    frame = queries.exams_of(reading, key)
    weeks = reading.settings.dose.window_weeks
    skin = queries.air_kerma_in_window(frame, reading.data_to.date(), weeks)
    cards = [
        fact_card("Exams with dose", numbers.count(frame.height), _span(frame)),
        fact_card("CT exams", numbers.count(frame.filter(pl.col("modality") == "CT").height), "each with its own DLP below"),
        fact_card("Air kerma at the reference point", numbers.shown(skin, "mGy") if skin is not None else numbers.NOTHING, f"sum over the last {weeks} weeks, where the reference point allows it"),
    ]  # fmt: skip
    return html.Div([html.Div(cards, className="kpis"), html.P(CAVEAT, className="note caveat")])


@section("patients.exams")
def exams(reading: Reading) -> Drawn:
    """Every exam with dose, newest first."""
    key = queries.asked(reading)
    if key is None:
        return html.Div()
    frame = queries.exams_of(reading, key)
    if frame.is_empty():
        return html.Section(
            [html.H2("No exam with dose"), html.P("Within your sites.", className="subtitle")], className="card wide"
        )
    columns = (
        Column("exam_id", "Exam", link=lambda row: urls.exam(row["exam_key"])), Column("local_day", "Day", "day"), Column("modality", "Modality"), Column("procedure_text", "Procedure"), Column("site_name", "Site"),
        Column("dlp_mgycm", "DLP", "number", "mGy·cm"), Column("ctdivol_max_mgy", "CTDIvol, greatest", "number", "mGy"), Column("dap_exam_gycm2", "DAP", "number", "Gy·cm²"), Column("rp_exam_mgy", "Dose (RP)", "number", "mGy"),
        Column("agd_mgy", "AGD", "number", "mGy"), Column("activity_mbq", "Activity", "number", "MBq"),
    )  # fmt: skip
    kept = tuple(one for one in columns if frame[one.name].drop_nulls().len())
    return Card(
        f"{numbers.count(frame.height)} exams with dose, newest first",
        "Without a name; within your sites",
        Table(kept, frame, 0, reading.zone),
        note=CAVEAT,
        is_wide=True,
        rows_shown=25,
        period="all",
    )


@section("patients.recurrent")
def recurrent(reading: Reading) -> Drawn:
    """Patients with many CT exams in five years: a prompt to look at protocols, never a block."""
    if queries.asked(reading) is not None:
        return html.Div()
    frame = queries.recurrent_ct(reading)
    if frame.is_empty():
        return html.Div()
    columns = (
        Column("who", "Patient", link=lambda row: urls.page(urls.DOSE_PATIENTS, None, patient=str(row["patient_key"]))),
        Column("age", "Age", "number"), Column("exams", "CT exams", "number"), Column("dlp_mgycm", "DLP, sum over CT", "number", "mGy·cm"), Column("last_day", "Last", "day"), Column("procedures", "What for"),
    )  # fmt: skip
    return Card(
        f"{numbers.count(frame.height)} patients have {queries.LEAST_RECURRENT} CT exams or more in five years",
        "A cohort to look at: can their protocols be lower, or another modality answer the question?",
        Table(columns, frame, 0, reading.zone),
        note=CAVEAT,
        formula="Exams of patients with dose, merged identities counted as one. Whether a further exam is justified is judged by its own question.",
        is_wide=True,
        rows_shown=20,
        period="five years to the end of the data",
    )


def _span(frame: pl.DataFrame) -> str:
    if frame.is_empty():
        return "none"
    return numbers.days(frame["local_day"].min(), frame["local_day"].max())  # type: ignore[arg-type]
