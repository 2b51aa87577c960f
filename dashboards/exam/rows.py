"""The exams behind a chart, a hundred a page."""

from __future__ import annotations

import dash
import polars as pl
from dash import dcc, html
from dash.development.base_component import Component

from dashboards._shell import numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.filter_bar import choice
from dashboards._shell.layout import page
from dashboards._shell.reading import PATIENT_CLASSES, Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards.exam.queries import PAGE_ROWS, SORT_NAMES, exam_count, exam_rows

dash.register_page(
    __name__,
    path=urls.EXAMS,
    name="Exams",
    title="Exams – Isocenter",
    order=5,
    icon="list-search",
    permission="see_exam_rows",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    return page(
        "Exams",
        urls.EXAMS,
        query,
        [slot("exam.rows", height=640, is_wide=True)],
        intro="The exams behind a chart. Identifiers are pseudonyms; each exam has a short name that is safe to say aloud.",
    )


@section("exam.rows")
def rows(reading: Reading) -> Drawn:
    """One page of the exams that the filters keep."""
    total = exam_count(reading)
    sort = reading.extra.get("sort", "newest")
    sort = sort if sort in SORT_NAMES else "newest"
    controls = (choice("sort", "Order", list(SORT_NAMES.items()), sort, "newest"),)
    if total == 0:
        return Empty("No exam", f"No exam fits: {reading.sentence}.", is_wide=True, controls=controls)
    pages = -(-total // PAGE_ROWS)
    at = min(max(int(asked) if (asked := reading.extra.get("page", "1")).isdigit() else 1, 1), pages)
    frame = exam_rows(reading, at, sort).with_columns(
        patient_class=pl.col("patient_class").replace_strict(PATIENT_CLASSES, default=None, return_dtype=pl.Utf8),
        state=pl.col("state").str.replace_all("_", " "),
    )
    columns = (
        Column("exam_id", "Exam", link=lambda row: urls.exam(row["exam_key"])), Column("started_at", "Started", "moment"), Column("modality", "Modality"), Column("procedure_text", "Procedure"), Column("site_name", "Site"),
        Column("device_name", "Scanner"), Column("patient_class", "Class"), Column("state", "State"), Column("machine_minutes", "On the scanner", "number", "min"), Column("report_minutes", "To the report", "number", "min"), Column("flags", "Doubts"),
    )  # fmt: skip
    kinds = [words for key, words in (("unread", "unread"), ("dose", "with dose")) if reading.extra.get(key) == "1"]
    title = f"{numbers.count(total)} exams{f' {kinds[0]}' if kinds else ''}" + (
        f", {numbers.count((at - 1) * PAGE_ROWS + 1)} to {numbers.count(min(at * PAGE_ROWS, total))}"
        if pages > 1
        else ""
    )
    turning = (_turning(reading, at, pages, sort),) if pages > 1 else ()
    return Card(
        title,
        SORT_NAMES[sort],
        Table(columns, frame, reading.scope.small_count, reading.zone),
        is_wide=True,
        rows_shown=PAGE_ROWS,
        controls=(*turning, *controls),
    )


def _turning(reading: Reading, at: int, pages: int, sort: str) -> Component:
    """Links to the page before and after."""
    more = {key: value for key in ("dose", "unread") if (value := reading.extra.get(key))} | {"sort": sort}
    links: list[Component | str] = []
    if at > 1:
        links.append(
            dcc.Link("← Before", href=urls.exams(reading.filters, **more, page=str(at - 1)), className="button")
        )
    links.append(html.Span(f"{at} of {pages}"))
    if at < pages:
        links.append(
            dcc.Link("After →", href=urls.exams(reading.filters, **more, page=str(at + 1)), className="button")
        )
    return html.Nav(links, className="pages", **{"aria-label": "Pages of exams"})
