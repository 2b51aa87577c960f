"""The dose office's forms through the guarded server: who may, what is refused beside which field, what is signed."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import openpyxl
import pytest
from dash import Dash
from flask.testing import FlaskClient
from test_decisions import NeverPublishing, signed_in

from dashboards._access.people import Person
from dashboards._access.services import Services
from dashboards._shell.cards import Empty
from dashboards._shell.decisions import EXTENSION, decisions_of
from dashboards._shell.reading import Reading
from dashboards._shell.sections import SECTIONS
from settings import Settings
from state.alerts import Alert, Alerts
from state.reviews import Reviews
from state.roles import Role
from state.views import SavedViews
from warehouse.filters import Filters


@pytest.fixture
def office(app: Dash) -> tuple[Alerts, Reviews]:
    services = Services.of(app.server)
    return Alerts(services.engine), Reviews(services.engine, services.audit)


@pytest.fixture
def rso(app: Dash) -> FlaskClient:
    return signed_in(app, "radiation_safety")


@pytest.fixture
def quiet(app: Dash, settings: Settings) -> Iterator[None]:
    before = app.server.extensions[EXTENSION]
    app.server.extensions[EXTENSION] = NeverPublishing(settings)
    yield
    app.server.extensions[EXTENSION] = before
    kept = decisions_of(app.server)
    while found := kept.standing():
        for one in found:
            kept.revoke("test", one.id, "the test is over")


def open_alerts(office: tuple[Alerts, Reviews]) -> list[Alert]:
    alerts, reviews = office
    every = [one for number in range(1, 400) if (one := alerts.one(number)) is not None and one.exam_key is not None]
    standing = reviews.statuses([one.id for one in every])
    return [one for one in every if standing[one.id].is_open]


@pytest.mark.parametrize("person", ["executive", "operations", "data_steward"])
def test_only_the_dose_office_takes_steps(app: Dash, person: str) -> None:
    client = signed_in(app, person)
    for path in ("/dose/review", "/dose/sign", "/dose/patients/find"):
        assert client.post(path, data={"alert": "1", "step": "comment", "text": "x"}).status_code == 403
    assert client.get("/dose/pack?first=2026-11-01&last=2026-11-15&kind=pdf").status_code == 403


def test_a_step_is_refused_beside_its_field_and_then_kept(rso: FlaskClient, office: tuple[Alerts, Reviews]) -> None:
    one = open_alerts(office)[0]
    form = {"alert": str(one.id), "step": "close", "reason": "", "action": "none"}
    answer = rso.post("/dose/review", data=form)
    assert answer.status_code == 422
    assert "reason" in answer.json["errors"]
    answer = rso.post("/dose/review", data=form | {"reason": "unexplained"})
    assert "text" in answer.json["errors"] or "" in answer.json["errors"]
    answer = rso.post("/dose/review", data=form | {"reason": "large_patient", "text": "190 kg"})
    assert answer.status_code == 200
    taken = office[1].of([one.id])[one.id]
    assert (taken[-1].actor, taken[-1].text, taken[-1].value["reason"]) == ("demo:radiation_safety", "190 kg", "large_patient")  # fmt: skip
    again = rso.post("/dose/review", data=form | {"reason": "repeat"})
    assert again.status_code == 422
    assert "Reopen it first" in str(again.json["errors"])


def test_many_are_closed_at_once_each_with_its_reason(rso: FlaskClient, office: tuple[Alerts, Reviews]) -> None:
    by_exam = {one.exam_key: one for one in reversed(open_alerts(office))}
    first, second = sorted(by_exam.values(), key=lambda one: one.id)[:2]
    chosen = {"chosen": [str(first.id), str(second.id)], f"choice-{first.id}": "repeat", "action": "none", "text": ""}
    answer = rso.post("/dose/review", data=chosen)
    assert answer.json == {"errors": {f"choice-{second.id}": "Choose the reason, or take the tick away."}}
    assert office[1].of([first.id])[first.id] == []
    answer = rso.post("/dose/review", data=chosen | {f"choice-{second.id}": "long_range"})
    assert answer.json["message"] == "2 cases are closed."
    assert office[1].statuses([second.id])[second.id].reason == "long_range"
    assert rso.post("/dose/review", data={"action": "none"}).json == {"errors": {"chosen": "Tick at least one case."}}


def test_a_person_of_one_site_sees_no_case_of_another(app: Dash, office: tuple[Alerts, Reviews]) -> None:
    physicist = signed_in(app, "physicist")
    other = [one for one in open_alerts(office) if one.site_code != "NORTH"]
    for one in other[:3]:
        answer = physicist.post("/dose/review", data={"alert": str(one.id), "step": "comment", "text": "x"})
        assert "not in your scope" in str(answer.json)
    assert physicist.post("/dose/sign", data={"first": "2026-11-15", "last": "2026-11-15", "site": "", "text": "x"}).status_code == 422  # fmt: skip


def test_a_day_is_signed_with_what_is_open(rso: FlaskClient, office: tuple[Alerts, Reviews]) -> None:
    form = {"first": "2026-10-01", "last": "2026-11-15", "site": "", "text": ""}
    answer = rso.post("/dose/sign", data=form)
    assert answer.status_code == 422
    assert "say why" in answer.json["errors"]["text"]
    assert rso.post("/dose/sign", data=form | {"text": "the rest tomorrow"}).json == {"message": "Signed."}
    newest = office[1].sign_offs()[0]
    assert "9 CT exams on CT 1 without dose" in newest.value["gaps"]
    assert rso.post("/dose/sign", data=form | {"first": "soon"}).status_code == 422


def test_the_pack_reproduces_and_is_audited(app: Dash, rso: FlaskClient) -> None:
    address = "/dose/pack?first=2026-10-01&last=2026-11-15&kind="
    files = {kind: (rso.get(address + kind), rso.get(address + kind)) for kind in ("xlsx", "pdf")}
    for first, second in files.values():
        assert first.status_code == 200
        assert first.data == second.data
    book = openpyxl.load_workbook(io.BytesIO(files["xlsx"][0].data))
    assert book.sheetnames[:5] == ["Method", "Levels", "Medians", "Capture", "Alerts"]
    assert book["Levels"].max_row == 4 + 21
    assert book["Alerts"].max_row > 4
    assert files["pdf"][0].data.startswith(b"%PDF-1.7")
    assert Services.of(app.server).audit.latest(1)[0].action == "export"
    assert rso.get(address + "docx").status_code == 400
    assert rso.get("/dose/pack?first=2026-11-02&last=2026-11-01&kind=pdf").status_code == 400


def test_a_patient_is_found_by_identifier_with_a_reason_and_never_without(app: Dash, rso: FlaskClient) -> None:
    answer = rso.post("/dose/patients/find", data={"identifier": "4711", "reason": ""})
    assert set(answer.json["errors"]) == {"reason"}
    answer = rso.post("/dose/patients/find", data={"identifier": "4711", "reason": "asked by the clinic"})
    assert "No exam of this patient" in answer.json["errors"]["identifier"]
    entry = Services.of(app.server).audit.latest(1, "patient-looked-up")[0]
    assert "asked by the clinic" in entry.detail
    assert "4711" not in entry.target + entry.detail


def test_tables_ranges_and_rules_are_refused_beside_their_fields(rso: FlaskClient, quiet: None, app: Dash) -> None:
    from dashboards.dose_tables.decide import rules_now

    def errors(about: str, **fields: Any) -> set[str]:
        answer = rso.post(f"/decide/{about}", data={"reason": "policy", **fields})
        return set(answer.json.get("errors", {}))

    assert errors("dose_table", name="", kind="x", content="") == {"name", "kind"}
    assert errors("dose_table", name="Ours", kind="reference_levels", content="a,b\n1,2") == {"content"}
    assert errors("expected_range", protocol_key="302", metric="dlp_mgycm", low="500", high="400") == {"high"}
    assert errors("expected_range", protocol_key="1", metric="dose", low="x") == {"protocol_key", "metric", "low"}
    assert errors("dose_rule", rule="kerma-substantial", active="yes", threshold="5000", severity="3") == {"source"}
    assert errors("dose_rule", rule="group", active="yes", threshold="", severity="9") == {"threshold", "severity"}
    assert errors("dose_project", name="Lower", protocol_key="302", metric="dlp_mgycm", baseline_from="2026-10-01", changed_on="2026-09-01", target="500") == {"baseline_from"}  # fmt: skip
    assert errors("expected_range", protocol_key="302", metric="dlp_mgycm", low="200", high="1100") == set()
    assert errors("dose_rule", rule="group", active="yes", threshold="4", severity="2") == set()
    law = (
        "authority,rule,quantity,threshold,valid_from,source\nMinistry,Significant,dlp_mgycm,2000,2026-01-01,Gazette 3"
    )
    assert errors("dose_table", name="Law", kind="legal_rules", content=law.replace("2000", "much")) == {"content"}
    assert errors("dose_table", name="Law", kind="legal_rules", content=law) == set()
    with app.server.app_context():
        [rule] = [one for one in rules_now().values() if one.reader == "legal"]
    assert not rule.fires
    assert errors("dose_rule", rule=rule.id, active="yes", severity="3", threshold="1") == set()
    with app.server.app_context():
        assert (rules_now()[rule.id].fires, rules_now()[rule.id].threshold) == (True, 2000)
    assert len(decisions_of(app.server).standing()) == 4


def test_the_inbox_shows_the_row_as_a_link_with_its_reason(rso: FlaskClient) -> None:
    page = rso.get("/dose/inbox")
    assert page.status_code == 200
    assert re.search("Dose review", page.text)


def test_choices_are_kept_under_a_name_and_forgotten(app: Dash, rso: FlaskClient) -> None:
    form = {"page": "/dose/inbox", "query": "show=closed&modality=CT", "name": "Closed CT", "for": "shared"}
    assert rso.post("/views/keep", data=form).json == {"message": "Kept."}
    assert rso.post("/views/keep", data=form | {"name": ""}).json["errors"]["name"].startswith("Give it a name")
    assert "Nothing is chosen" in rso.post("/views/keep", data=form | {"query": ""}).json["errors"][""]
    for page in ("/", "/nowhere", "https://evil.example/", "//evil.example"):
        assert rso.post("/views/keep", data=form | {"page": page}).status_code == 403
    operations = signed_in(app, "operations")
    assert operations.post("/views/keep", data=form).status_code == 403
    views = SavedViews(Services.of(app.server).engine)
    [one] = views.of("another", "/dose/inbox")
    assert (one.owner, one.name, one.query) == ("demo:radiation_safety", "Closed CT", "show=closed&modality=CT")
    assert operations.post("/views/forget", data={"number": str(one.id)}).status_code == 422
    assert rso.post("/views/forget", data={"number": str(one.id)}).json == {"message": "Forgotten."}
    assert rso.post("/views/forget", data={"number": "x"}).status_code == 422
    assert views.of("demo:radiation_safety", "/dose/inbox") == []


def test_the_inbox_shows_what_was_handed_over(
    app: Dash, rso: FlaskClient, office: tuple[Alerts, Reviews], reading: Reading
) -> None:
    alerts, reviews = office
    every = alerts.between(date(2026, 1, 1), date(2026, 12, 31))
    standing = reviews.statuses([one.id for one in every])
    one = next(one for one in every if standing[one.id].is_open and one.exam_key is None)
    step = {"alert": str(one.id), "step": "assign", "to": "demo:radiation_safety", "text": ""}
    assert rso.post("/dose/review", data=step).status_code == 200
    person = Person("demo:radiation_safety", "Radiation safety", (Role.RADIATION_SAFETY,))
    other = Person("demo:physicist", "Physicist", (Role.PHYSICIST,))
    with app.server.test_request_context():
        year = Filters.from_query({"period": "365d"}, reading.as_of)
        mine = replace(reading, filters=year, extra={"show": "mine"}, person=person)
        shown = str(SECTIONS["review.list"].draw(mine))
        assert f"{one.id} · " in shown
        assert isinstance(SECTIONS["review.list"].draw(replace(mine, person=other)), Empty)
