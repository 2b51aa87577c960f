"""The exams that have one issue of data quality."""

from __future__ import annotations

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards.quality import queries
from dashboards.quality.issues import issue
from state.roles import Permission

dash.register_page(
    __name__,
    path=urls.QUALITY_EXAMS,
    name="Exams to look at",
    title="Exams to look at – Isocenter",
    permission="see_exam_rows",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    return page(
        "Exams to look at",
        urls.QUALITY_EXAMS,
        query,
        [slot("quality.exams", height=640, is_wide=True)],
        intro="The exams behind a count of the data quality pages.",
    )


@section("quality.exams")
def exams(reading: Reading) -> Drawn:
    """The newest exams of the issue that the address names."""
    found = issue(reading.extra.get("issue", ""))
    if found is None:
        return Empty(
            "No issue is named",
            "This page is reached from a count on the page Data quality.",
            "To data quality",
            is_wide=True,
        )
    if not reading.scope.rows:
        return html.Div()
    total, frame = queries.exams(reading, found)
    if total == 0:
        return Empty("No exam", f"No exam of this kind ({found.words}) fits: {reading.sentence}.", is_wide=True)
    out = (
        (Column("out", "Decide", link=lambda row: urls.page(urls.DECISIONS, exam_id=row["exam_id"]), in_file=False),)
        if reading.may(Permission.DECIDE_DATA)
        else ()
    )
    columns = (
        Column("exam_id", "Exam", link=lambda row: urls.exam(row["exam_key"])), Column("local_day", "Day", "day"), Column("modality", "Modality"), Column("procedure_text", "Procedure"),
        Column("site_name", "Site"), Column("device_name", "Scanner"), Column("state", "State"), Column("match_rule", "Joined by"), Column("match_confidence", "Confidence"), Column("flags", "Doubts"), *out,
    )  # fmt: skip
    newest = f", the newest {queries.MOST_ROWS}" if total > queries.MOST_ROWS else ""
    shown = frame.with_columns(out=pl.lit("take out"))
    return Card(
        f"{numbers.count(total)} exams: {found.words}{newest}",
        "Each leads to its times with the message or image that gave them",
        Table(columns, shown, reading.scope.small_count, reading.zone),
        is_wide=True,
        rows_shown=queries.MOST_ROWS,
    )
