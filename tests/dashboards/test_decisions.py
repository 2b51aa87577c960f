"""Deciding in the pages: who may, what is refused and beside which field, what is kept once, and how it is taken back."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from dash import Dash
from flask.testing import FlaskClient

from dashboards._access.services import Services
from dashboards._shell.decisions import DECIDING, EXTENSION, STEWARD_PAGES, FieldError, decisions_of
from dashboards._shell.forms import Field, Form, Row, html_form
from dashboards._shell.publishing import Publishing
from dashboards._shell.reading import Reading
from dashboards.mapping.choices import NO_EXAM
from insights.procedures import CATALOGUE, OWN
from settings import Settings
from state.decisions import Decision, DecisionKind, Decisions
from warehouse.scope import Scope

CALENDAR = {"place": "device|dev-ct1", "kind": "closed", "starts": "2026-12-24T12:00", "ends": "2026-12-27T00:00", "words": "Holidays", "reason": "board's notice"}  # fmt: skip
CLOCK = {
    "device_id": "dev-ct1",
    "offset_s": "3600",
    "first_day": "2026-10-25",
    "last_day": "",
    "reason": "seen on site",
}


class NeverPublishing(Publishing):
    """Takes note of starts and publishes nothing."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.data_directory)
        self.starts = 0

    def start(self, decisions: Decisions) -> threading.Thread:
        self.starts += 1
        return threading.Thread()


@pytest.fixture
def publishing(app: Dash, settings: Settings) -> Iterator[NeverPublishing]:
    before = app.server.extensions[EXTENSION]
    app.server.extensions[EXTENSION] = NeverPublishing(settings)
    yield app.server.extensions[EXTENSION]
    app.server.extensions[EXTENSION] = before
    kept = decisions_of(app.server)
    while found := kept.standing():  # other tests share the state
        for one in found:
            kept.revoke("test", one.id, "the test is over")


@pytest.fixture
def kept(app: Dash, publishing: NeverPublishing) -> Decisions:
    return decisions_of(app.server)


def signed_in(app: Dash, person: str) -> FlaskClient:
    client = app.server.test_client()
    token = re.search(r'name="form_token" value="([^"]+)"', client.get("/login").text)
    assert token is not None
    assert client.post("/login", data={"form_token": token.group(1), "person": person}).status_code == 302
    return client


@pytest.fixture(scope="module")
def people(app: Dash) -> dict[str, FlaskClient]:
    """One client a role: signing in often is refused."""
    return {
        person: signed_in(app, person)
        for person in ("data_steward", "executive", "administrator", "physicist", "finance")
    }


@pytest.fixture(scope="module")
def steward(people: dict[str, FlaskClient]) -> FlaskClient:
    return people["data_steward"]


def errors_of(kind: DecisionKind, fields: dict[str, str], reading: Reading) -> dict[str, str]:
    try:
        DECIDING[kind.value].take(fields, reading)
    except FieldError as error:
        return error.messages
    return {}


def a_procedure(reading: Reading, modality: str = "CT") -> str:
    query = f"SELECT procedure_key FROM dim_procedure WHERE modality = '{modality}' ORDER BY 1"
    return str(reading.star.text(query)["procedure_key"][0])


# -- who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/decide/calendar", "/revoke", "/publish"])
@pytest.mark.parametrize("person", ["executive", "administrator"])
def test_only_those_with_a_permission_decide(
    app: Dash, people: dict[str, FlaskClient], kept: Decisions, path: str, person: str
) -> None:
    assert app.server.test_client().post(path, data=CALENDAR).status_code == 401
    assert people[person].post(path, data=CALENDAR).status_code == 403
    assert kept.standing() == []


def test_a_physicist_decides_about_dose_and_nothing_else(people: dict[str, FlaskClient], kept: Decisions) -> None:
    assert people["physicist"].post("/decide/calendar", data=CALENDAR).status_code == 403
    assert people["data_steward"].post("/decide/map_protocol", data={"reason": "x"}).status_code == 403
    assert people["physicist"].post("/decide/map_protocol", data={"reason": "x"}).status_code == 422
    assert kept.standing() == []


def test_finance_imports_the_plan_and_decides_nothing_else(people: dict[str, FlaskClient], kept: Decisions) -> None:
    finance = people["finance"]
    assert finance.post("/decide/calendar", data=CALENDAR).status_code == 403
    rows = [f"NORTH,CT,2026-{month:02},{month}" for month in range(1, 13)]
    content = "\n".join(["site,modality,month,exams", *rows])
    assert finance.post("/decide/volume_plan", data={"content": content}).json["errors"]["reason"]
    wrong = finance.post("/decide/volume_plan", data={"content": content.replace("-02,2", "-02,x"), "reason": "x"})
    assert wrong.status_code == 422
    assert wrong.json["errors"]["content"].startswith("Line 3, column exams")
    assert finance.post("/decide/volume_plan", data={"content": content, "reason": "agreed"}).status_code == 200
    [one] = kept.standing(DecisionKind.VOLUME_PLAN)
    assert (one.subject, one.decided_by, len(one.value["rows"])) == ("2026", "demo:finance", 12)
    assert people["data_steward"].post("/revoke", data={"number": one.id, "reason": "x"}).status_code == 403
    assert finance.post("/revoke", data={"number": one.id, "reason": "withdrawn"}).status_code == 200
    assert kept.standing() == []


def test_a_plan_is_of_the_whole_network(app: Dash, reading: Reading) -> None:
    rows = [f"NORTH,CT,2026-{month:02},{month}" for month in range(1, 13)]
    content = "\n".join(["site,modality,month,exams", *rows])
    limited = replace(reading, scope=Scope(sites=frozenset({"NORTH"})))
    assert errors_of(DecisionKind.VOLUME_PLAN, {"content": content}, reading) == {}
    assert "whole network" in errors_of(DecisionKind.VOLUME_PLAN, {"content": content}, limited)[""]


def test_another_site_decides_nothing(steward: FlaskClient, kept: Decisions) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert steward.post("/decide/calendar", data=CALENDAR, headers=headers).status_code == 403
    assert kept.standing() == []


def test_who_may_see_the_data_sees_whether_decisions_are_in_the_star(
    people: dict[str, FlaskClient], publishing: NeverPublishing
) -> None:
    assert people["administrator"].get("/publish/effect").json["state"] == "settled"
    assert people["finance"].get("/publish/effect").json["state"] == "settled"
    assert people["executive"].get("/publish/effect").status_code == 403


@pytest.mark.parametrize("path", [path for path, _ in STEWARD_PAGES])
def test_the_pages_about_the_data_open_by_their_permission(people: dict[str, FlaskClient], path: str) -> None:
    assert people["data_steward"].get(path).status_code == 200
    assert people["executive"].get(path).status_code == 403


def test_an_unknown_kind_is_not_found(steward: FlaskClient, kept: Decisions) -> None:
    assert steward.post("/decide/nothing", data={"reason": "x"}).status_code == 404


# -- keeping and taking back -----------------------------------------------------------------------------------------


def test_a_decision_is_kept_audited_and_published(
    app: Dash, steward: FlaskClient, kept: Decisions, publishing: NeverPublishing
) -> None:
    answer = steward.post("/decide/calendar", data=CALENDAR)
    assert (answer.status_code, answer.json["effect"]["state"]) == (200, "running")
    (one,) = kept.standing()
    assert (one.kind, one.decided_by, one.reason) == (DecisionKind.CALENDAR, "demo:data_steward", "board's notice")
    assert one.value == {
        "site": "NORTH", "device": "dev-ct1", "modality": None, "kind": "closed", "starts_local": "2026-12-24T12:00:00",
        "ends_local": "2026-12-27T00:00:00", "reason": "Holidays",
    }  # fmt: skip
    assert publishing.starts == 1
    last = Services.of(app.server).audit.latest(1)[0]
    assert (last.actor, last.action, last.target) == ("demo:data_steward", "decide calendar", one.subject)


def test_the_same_form_sent_twice_is_one_decision(steward: FlaskClient, kept: Decisions) -> None:
    assert steward.post("/decide/calendar", data=CALENDAR).status_code == 200
    again = steward.post("/decide/calendar", data=CALENDAR)
    assert (again.status_code, again.json["message"]) == (200, "This is decided already.")
    assert len(kept.standing()) == 1


def test_taking_back_makes_what_held_before_hold_again(steward: FlaskClient, kept: Decisions) -> None:
    steward.post("/decide/clock_offset", data=CLOCK)
    steward.post("/decide/clock_offset", data=CLOCK | {"offset_s": "3480"})
    (second,) = kept.standing()
    assert second.value["offset_s"] == 3480
    without = steward.post("/revoke", data={"number": second.id})
    assert (without.status_code, list(without.json["errors"])) == (422, ["reason"])
    gone = {"number": second.id, "reason": "measured again"}
    assert steward.post("/revoke", data=gone).status_code == 200
    assert [one.value["offset_s"] for one in kept.standing()] == [3600]
    twice = steward.post("/revoke", data=gone)
    assert (twice.status_code, list(twice.json["errors"])) == (422, [""])
    assert steward.post("/revoke", data={"number": "nonsense", "reason": "x"}).status_code == 422


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_a_decision_needs_a_reason_of_some_length(steward: FlaskClient, kept: Decisions, reason: str) -> None:
    answer = steward.post("/decide/calendar", data=CALENDAR | {"reason": reason})
    assert (answer.status_code, list(answer.json["errors"])) == (422, ["reason"])
    assert kept.standing() == []


# -- hours and closures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({}, []),
        ({"place": "site|WEST"}, []),
        ({"place": "modality|NORTH|CT"}, []),
        ({"place": ""}, ["place"]),
        ({"place": "device|no-such"}, ["place"]),
        ({"place": "modality|WEST|XA"}, ["place"]),
        ({"kind": "party"}, ["kind"]),
        ({"starts": "", "ends": "soon"}, ["starts", "ends"]),
        ({"starts": "2026-12-24T12:00+01:00"}, ["starts"]),
        ({"ends": "2026-12-24T12:00"}, ["ends"]),
        ({"ends": "2026-12-23T12:00"}, ["ends"]),
        ({"ends": "2029-12-24T12:00"}, ["ends"]),
        ({"kind": "staffed"}, ["ends"]),
        ({"kind": "staffed", "ends": "2026-12-25T06:00"}, []),
        ({"kind": "unplanned_down", "starts": "2099-01-01T00:00", "ends": "2099-01-02T00:00"}, ["starts"]),
        ({"starts": "2027-03-28T02:30", "ends": "2027-03-28T05:00"}, ["starts"]),  # the hour that Berlin leaves out
        ({"words": ""}, ["words"]),
        ({"words": "x" * 121}, ["words"]),
    ],
)
def test_entries_of_the_calendar_are_checked(
    app: Dash, reading: Reading, given: dict[str, str], wrong: list[str]
) -> None:
    assert list(errors_of(DecisionKind.CALENDAR, CALENDAR | given, reading)) == wrong


def test_a_limited_steward_decides_about_the_own_site_alone(app: Dash, reading: Reading) -> None:
    west = replace(reading, scope=Scope(rows=True, sites=frozenset({"WEST"})))
    assert errors_of(DecisionKind.CALENDAR, CALENDAR, west).keys() == {"place"}
    assert errors_of(DecisionKind.CALENDAR, CALENDAR | {"place": "device|dev-ct2"}, west) == {}
    assert errors_of(DecisionKind.CLOCK_OFFSET, CLOCK, west).keys() == {""}
    north = reading.star.text("SELECT exam_id FROM fact_exam WHERE site_key = 11 LIMIT 1")["exam_id"][0]
    assert errors_of(DecisionKind.EXCLUDE_EXAM, {"exam_id": north}, west).keys() == {"exam_id"}
    assert errors_of(DecisionKind.UNDO_MERGE, {"merged": "a" * 32, "survivor": "b" * 32}, west).keys() == {""}
    now = datetime.now(UTC)
    value = DECIDING["calendar"].take(CALENDAR, reading)[0][1]
    entry = Decision(1, DecisionKind.CALENDAR, "x", value, "r", "p", now)
    assert DECIDING["calendar"].opens(entry, reading)
    assert not DECIDING["calendar"].opens(entry, west)
    departments = replace(reading, scope=Scope(rows=True, departments=frozenset({"Emergency"})))
    assert errors_of(DecisionKind.CALENDAR, CALENDAR, departments).keys() == {"place"}


# -- clocks, exams, merges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({}, []),
        ({"offset_s": "-95,5"}, []),
        ({"last_day": "2026-11-01"}, []),
        ({"offset_s": "0"}, ["offset_s"]),
        ({"offset_s": "1e9"}, ["offset_s"]),
        ({"offset_s": "nan"}, ["offset_s"]),
        ({"offset_s": "an hour"}, ["offset_s"]),
        ({"first_day": ""}, ["first_day"]),
        ({"last_day": "2026-10-24"}, ["last_day"]),
        ({"last_day": "x"}, ["last_day"]),
        ({"device_id": "no-such"}, [""]),
    ],
)
def test_corrections_of_clocks_are_checked(
    app: Dash, reading: Reading, given: dict[str, str], wrong: list[str]
) -> None:
    assert list(errors_of(DecisionKind.CLOCK_OFFSET, CLOCK | given, reading)) == wrong


def test_an_exam_is_taken_out_by_its_short_name(
    app: Dash, steward: FlaskClient, reading: Reading, kept: Decisions
) -> None:
    row = reading.star.text("SELECT exam_key, exam_id FROM fact_exam WHERE is_performed LIMIT 1").row(0)
    assert steward.post("/decide/exclude_exam", data={"exam_id": "nothing", "reason": "x"}).status_code == 422
    assert steward.post("/decide/exclude_exam", data={"exam_id": row[1].lower(), "reason": "a test"}).status_code == 200
    (one,) = kept.standing()
    assert one.subject == str(row[0])
    assert row[1] in DECIDING["exclude_exam"].words(one, reading)
    counts_alone = replace(reading, scope=Scope(rows=False))
    assert not DECIDING["exclude_exam"].opens(one, counts_alone)
    assert errors_of(DecisionKind.EXCLUDE_EXAM, {"exam_id": row[1]}, counts_alone).keys() == {"exam_id"}


@pytest.mark.parametrize(
    ("merged", "survivor", "wrong"),
    [("a" * 32, "b" * 32, []), ("a" * 32, "a" * 32, ["survivor"]), ("P1", "", ["merged", "survivor"])],
)
def test_merges_are_named_by_pseudonyms(
    app: Dash, reading: Reading, merged: str, survivor: str, wrong: list[str]
) -> None:
    found = errors_of(DecisionKind.UNDO_MERGE, {"merged": merged, "survivor": survivor}, reading)
    assert list(found) == wrong


# -- procedures ------------------------------------------------------------------------------------------------------


def test_many_procedures_are_confirmed_at_once(steward: FlaskClient, reading: Reading, kept: Decisions) -> None:
    ct, mr = a_procedure(reading), a_procedure(reading, "MR")
    data = {
        "chosen": [ct, mr], f"choice-{ct}": f"{OWN}|CT-HEAD-WO", f"choice-{mr}": NO_EXAM, "choice-999": "own|CT-HEAD-W",
        "reason": "the usual meaning",
    }  # fmt: skip
    assert steward.post("/decide/map_procedure", data=data).status_code == 200
    assert {one.subject: one.value for one in kept.standing()} == {
        ct: {"status": "confirmed", "code": "CT-HEAD-WO", "scheme": OWN, "name": CATALOGUE["CT-HEAD-WO"].name},
        mr: {"status": "rejected"},
    }


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"chosen": ""}, "chosen"),
        ({"chosen": "KEY"}, "choice-KEY"),
        ({"chosen": "KEY", "choice-KEY": "own|NO-SUCH"}, "choice-KEY"),
        ({"chosen": "KEY", "choice-KEY": "LN|12-3"}, "choice-KEY"),  # no message states it
        ({"chosen": "123456", "choice-123456": "own|CT-HEAD-WO"}, ""),
        ({"name_key": "", "scheme": "LN", "code": "1", "name": "n"}, "name_key"),
        ({"name_key": "KEY", "scheme": "ICD", "code": "1", "name": "n"}, "scheme"),
        ({"name_key": "KEY", "scheme": "LN", "code": "", "name": "n"}, "code"),
        ({"name_key": "KEY", "scheme": "LN", "code": "1", "name": "n" * 201}, "name"),
    ],
)
def test_mappings_are_checked(app: Dash, reading: Reading, fields: dict[str, str], wrong: str) -> None:
    key = a_procedure(reading)
    named = {name.replace("KEY", key): value.replace("KEY", key) for name, value in fields.items()}
    assert list(errors_of(DecisionKind.MAP_PROCEDURE, named, reading)) == [wrong.replace("KEY", key)]


def test_a_typed_code_of_a_public_scheme_is_kept_as_typed(app: Dash, reading: Reading) -> None:
    key = a_procedure(reading)
    fields = {"name_key": key, "scheme": "RADLEX", "code": "RPID1", "name": "CT of the head"}
    ((subject, value),) = DECIDING["map_procedure"].take(fields, reading)
    assert (subject, value) == (
        key,
        {"status": "confirmed", "code": "RPID1", "scheme": "RADLEX", "name": "CT of the head"},
    )


# -- forms -----------------------------------------------------------------------------------------------------------


def test_a_form_holds_its_words_as_data_and_never_as_markup() -> None:
    evil = "<script>alert(1)</script>"
    row = Row("1", evil, (evil,), Field("choice-1", evil, "select", options=[("a", evil)]))
    form = Form("/decide/x", "Send", (Field("text", evil),), {"hidden": evil}, ("A", "B", "C"), (row,))
    made: dict[str, Any] = html_form(form, evil).to_plotly_json()["props"]
    assert made.get("children") is None
    assert made["data-form"].count("<script>") == 6
