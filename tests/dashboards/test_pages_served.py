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

SECTION_NAMES = (
    "executive.headlines", "executive.changes", "executive.trend", "utilization.headlines", "utilization.devices", "utilization.hours", "utilization.volume", "utilization.evenings", "utilization.minutes",
    "turnaround.headlines", "turnaround.median", "turnaround.tail", "turnaround.parts", "turnaround.distribution", "turnaround.unread", "turnaround.week", "turnaround.procedures", "dose.headlines", "dose.spread",
    "dose.trend", "dose.moved", "dose.highest", "dose.event", "dose.event-peers", "dose.event-totals", "dose.event-figures", "exam.rows", "exam.life", "exam.facts", "exam.events", "exam.dose", "exam.series",
    "data.freshness", "data.sources", "data.reasons", "data.runs", "data.rejects", "data.tables", "data.measures",
)  # fmt: skip


@pytest.fixture
def person(app: Dash) -> FlaskClient:
    return app.server.test_client()


def sign_in(client: FlaskClient, key: str) -> None:
    token = re.search(r'name="form_token" value="([^"]+)"', client.get("/login").text)
    assert token is not None
    assert client.post("/login", data={"form_token": token.group(1), "person": key}).status_code == 302


def test_the_pages_have_these_sections(app: Dash) -> None:
    assert set(SECTION_NAMES) == set(SECTIONS)


@pytest.mark.parametrize("name", SECTION_NAMES)
def test_a_section_draws_with_data(app: Dash, reading: Reading, name: str) -> None:
    top = reading.star.text(
        "SELECT exam_key, event_key FROM fact_irradiation_event WHERE dlp_mgycm > 0 ORDER BY dlp_mgycm DESC LIMIT 1"
    ).row(0)
    full = replace(reading, extra={"exam": str(top[0]), "event": str(top[1])}, look=DARK)
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
