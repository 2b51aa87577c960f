"""Every section of every page, drawn from the small star; pages and files through the guarded server."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from dash import Dash
from flask.testing import FlaskClient

from dashboards._shell.cards import Card, Empty
from dashboards._shell.look import DARK
from dashboards._shell.reading import Reading
from dashboards._shell.sections import SECTIONS, rendered
from warehouse.filters import Filters
from warehouse.scope import Scope

SECTIONS_OF = {
    "executive": "headlines changes trend",
    "utilization": "headlines devices gap trend funnel pace evenings booked access missed hours slots first causes worst turnover starts idle overlaps counts volume mix minutes planned plan off_plan planning day daily waiting ages work breaching",
    "turnaround": "headlines curves targets median tail parts week procedures now unread waiting next flow tabs-why stages change distribution clock intervals counted tabs-paths paths nights corrections readers",
    "dose": "parts headlines spread trend moved highest event event-peers event-totals event-figures",
    "review": "parts list closed case case-verdict case-picture case-exam case-steps case-events case-sources case-patient case-earlier sign-parts sign pack suspected signed",
    "protocols": "parts ranges scanners time technique set-range project projects",
    "fluoroscopy": "parts rooms highest patients angles",
    "modalities": "parts thickness views index repeats activity per-kg plan",
    "levels": "parts compared bands all import history",
    "rules": "parts all preview change history",
    "dictionary": "parts queue other all history",
    "patients": "parts find sums exams recurrent",
    "demand": "next days parts why",
    "exam": "rows life facts events dose series",
    "data": "parts freshness sources reasons runs rejects tables measures",
    "quality": "parts headlines joins rules days times doubts fields gaps exams",
    "scanners": "parts clocks corrections worklist wrong doubtful moved",
    "mapping": "parts queue other all history",
    "calendar": "parts month entry entries",
    "decisions": "parts exams merges history",
}  # fmt: skip
"""The sections of each page by its name, in the order of its tabs."""
SECTION_NAMES = tuple(f"{page}.{name}" for page, names in SECTIONS_OF.items() for name in names.split())
NEED_MORE = {
    "utilization.access": "hours ahead of the data",
    "utilization.overlaps": "two acquisitions in one room",
    "utilization.ages": "orders that wait",
    "utilization.work": "orders that wait",
    "utilization.breaching": "orders that wait",
    "turnaround.readers": "enough readers",
    "quality.exams": "an issue in the address",
    "scanners.clocks": "ends that the RIS states",
    "fluoroscopy.rooms": "fluoroscopy",
    "fluoroscopy.patients": "fluoroscopy",
    "fluoroscopy.angles": "fluoroscopy",
    "modalities.index": "radiographs with dose",
    "modalities.activity": "administrations",
    "modalities.plan": "a plan by weight",
    "demand.next": "a forecast",
    "demand.days": "a forecast",
    "demand.parts": "a forecast",
    "demand.why": "a forecast",
}
"""Sections that have something to draw only with more than the small star holds; their own tests give it."""


@pytest.fixture
def person(app: Dash) -> FlaskClient:
    return app.server.test_client()


def sign_in(client: FlaskClient, key: str) -> None:
    token = re.search(r'name="form_token" value="([^"]+)"', client.get("/login").text)
    assert token is not None
    assert client.post("/login", data={"form_token": token.group(1), "person": key}).status_code == 302


def test_the_pages_have_these_sections(app: Dash) -> None:
    assert set(SECTION_NAMES) == set(SECTIONS)


@pytest.mark.parametrize("name", [name for name in SECTION_NAMES if name not in NEED_MORE])
def test_a_section_draws_with_data(app: Dash, reading: Reading, name: str) -> None:
    top = reading.star.text(
        "SELECT exam_key, event_key FROM fact_irradiation_event WHERE dlp_mgycm > 0 ORDER BY dlp_mgycm DESC LIMIT 1"
    ).row(0)
    of_one = reading.filters.narrowed(protocol=("302",)) if name.startswith("protocols.") else reading.filters
    full = replace(
        reading,
        filters=of_one,
        extra={"exam": str(top[0]), "event": str(top[1]), "alert": "1", "patient": "401"},
        look=DARK,
    )
    with app.server.test_request_context():  # what people decided is asked of the server
        drawn = SECTIONS[name].draw(full)
        assert not isinstance(drawn, Empty), drawn
        assert rendered(drawn, name, full) is not None
    if isinstance(drawn, Card):
        assert drawn.table.frame.height > 0
        assert {column.name for column in drawn.table.columns} <= set(drawn.table.frame.columns)


@pytest.mark.parametrize("name", SECTION_NAMES)
def test_a_section_without_data_says_so(app: Dash, reading: Reading, name: str) -> None:
    nothing = replace(
        reading,
        filters=Filters.from_query({"from": "1999-01-01", "to": "1999-02-01"}, reading.as_of),
        scope=Scope(sites=frozenset()),
    )
    with app.server.test_request_context():
        assert rendered(SECTIONS[name].draw(nothing), name, nothing) is not None


def test_small_counts_are_withheld_in_every_table(app: Dash, reading: Reading) -> None:
    counted = replace(reading, scope=Scope(small_count=11))
    card = SECTIONS["utilization.hours"].draw(counted)
    assert isinstance(card, Card)
    assert card.table.has_withheld
    assert all(row["value"] is None for row in card.table.rows() if row["withheld"])
    week = replace(counted, filters=Filters.from_query({"period": "7d"}, reading.as_of))
    nothing = SECTIONS["utilization.hours"].draw(week)
    assert isinstance(nothing, Empty)
    assert "withheld" in nothing.reason


def test_the_changed_protocol_is_named(app: Dash, reading: Reading) -> None:
    card = SECTIONS["dose.moved"].draw(reading)
    assert isinstance(card, Card)
    assert card.title.startswith("AbdPel pv on CT 1: up")


def test_a_file_is_given_to_whom_may_export_and_to_nobody_else(person: FlaskClient) -> None:
    assert person.get("/export/turnaround.median.csv").status_code == 302
    sign_in(person, "operations")
    response = person.get("/export/turnaround.median.csv?modality=CT")
    assert response.status_code == 200
    assert response.mimetype == "text/csv"
    assert "attachment" in response.headers["Content-Disposition"]
    assert "Report turnaround, median" in response.data.decode("utf-8-sig")
    assert person.get("/export/dose.spread.csv").status_code == 403
    assert person.get("/export/nothing.csv").status_code == 404
    person.post("/logout")
    sign_in(person, "administrator")
    assert person.get("/export/turnaround.median.csv").status_code == 403


def test_the_page_names_no_other_host_and_its_language(person: FlaskClient) -> None:
    sign_in(person, "executive")
    text = person.get("/").text
    assert '<html lang="en">' in text
    assert not re.findall(r'(?:src|href)="https?://', text)
