"""The pull of a worklist against real servers: dcmtk's wlmscpfs and Orthanc serve the shared entries, moved to today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pydicom
import pytest

from etl.pull.contract import PullError
from etl.pull.pull import Puller
from etl.pull.worklist import connect
from etl.sources.contract import Offered, Verdict
from etl.sources.dicom import worklist
from state.home import DataHome
from tests.services.conftest import TODAY, Served, change
from warehouse.engines import StarReader
from warehouse.schema import TABLES

pytestmark = pytest.mark.services


def rows(found: list[Offered]) -> list[dict[str, Any]]:
    assert all(offered.verdict is Verdict.ACCEPTED for offered in found)
    return [row for offered in found for row in offered.rows["workflow"]]


def test_the_rows_are_what_the_truths_say(served: Served, shared_data: Path, tmp_path: Path) -> None:
    manifest = json.loads((shared_data / "workflow" / "manifest.json").read_text())
    truths = {
        each["truths"]["StudyInstanceUID"]: each["truths"] for each in manifest["files"] if each["file"].endswith(".wl")
    }
    _, found = served.fetch({}, tmp_path / "spool")
    landed = {row["study_uid"]: row for row in rows(found)}
    pseudonym = DataHome.open(served.settings.data_directory).pseudonymiser.pseudonym
    assert landed.keys() == truths.keys()
    for study, truth in truths.items():
        row = landed[study]
        assert row["accession"] == pseudonym("order", truth["AccessionNumber"])
        assert row["patient"] == pseudonym("patient", truth["PatientID"])
        assert row["procedure_request"] == pseudonym("order", truth["RequestedProcedureID"])
        assert row["procedure_text"] == truth["RequestedProcedureDescription"]
        assert (row["modality"], row["station"]) == (truth["SPS.Modality"], truth["SPS.ScheduledStationName"])
        assert row["ae_title"].split("\\") == (
            [each.strip(" '") for each in truth["SPS.ScheduledStationAETitle"].strip("[]").split(",")]
        )
        (event,) = row["events"]
        assert event["event"] == "exam_scheduled_for"
        assert f"{event['at']:%Y%m%d%H%M%S}" == TODAY + truth["SPS.ScheduledProcedureStepStartTime"]
        assert row["source_name"] == "RIS"


def test_snapshots_tell_what_is_known_what_moved_and_what_left(served: Served, tmp_path: Path) -> None:
    spool, (moved, gone, *_) = tmp_path / "spool", sorted(served.folder.glob("*.wl"))
    cursor, first = served.fetch({}, spool)

    cursor, again = served.fetch(cursor, spool)
    assert again == []

    time = pydicom.dcmread(moved).ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartTime
    change(moved, step_ScheduledProcedureStepStartTime="050000")
    study = pydicom.dcmread(gone).StudyInstanceUID
    gone.unlink()
    cursor, third = served.fetch(cursor, spool)
    new = rows(third)
    left = next(row for row in new if row["message_type"] == "MWL left")
    assert len(new) == 2
    assert (left["study_uid"], left["events"][0]["event"]) == (study, "worklist_left")
    was = next(row for row in rows(first) if row["study_uid"] == study)
    assert {name: left[name] for name in worklist.LEFT_KEYS} == {name: was[name] for name in worklist.LEFT_KEYS}

    change(moved, step_ScheduledProcedureStepStartTime=time)
    cursor, fourth = served.fetch(cursor, spool)
    (back,) = rows(fourth)
    assert fourth[0].digest not in {each.digest for each in first}
    assert f"{back['events'][0]['at']:%H%M%S}" == time
    assert back["stated_at"] > left["stated_at"]

    identifiers = {"AV35674", "MWA484763", "HF", "BLV734623", "SPD3445", "RP4474", "VIVALDI", "MOZART"}
    assert not any(identifier in json.dumps(cursor) for identifier in identifiers)


def test_check_says_what_the_entries_give_and_lack(served: Served) -> None:
    said = list(connect(served.source, served.settings).check())
    assert [remark.kind for remark in said[:3]] == ["works", "works", "gives"]
    assert said[2].text == "6 entries for today."
    assert any(remark.kind == "missing" and "(0040,2016) is empty in 100 %" in remark.text for remark in said)
    assert not any("Accession Number" in remark.text for remark in said)
    assert said[-1].kind == "ask"


def test_only_what_is_configured_is_asked_for(served: Served, tmp_path: Path) -> None:
    served.source = served.source.model_copy(update={"modality": "CT"})
    _, found = served.fetch({}, tmp_path / "spool")
    assert [row["modality"] for row in rows(found)] == ["CT", "CT"]


def test_a_name_in_latin_1_is_read_as_such(served: Served, tmp_path: Path) -> None:
    change(
        next(served.folder.glob("*wklist1.wl")),
        RequestedProcedureDescription="Schädel nativ",
        SpecificCharacterSet="ISO_IR 100",
    )
    _, found = served.fetch({}, tmp_path / "spool")
    assert "Schädel nativ" in {row["procedure_text"] for row in rows(found)}


def test_the_wrong_title_is_named(served: Served, tmp_path: Path) -> None:
    served.source = served.source.model_copy(update={"called_ae": "OTHER"})
    with pytest.raises(PullError, match="does not know the AE title that was called; set called_ae"):
        served.fetch({}, tmp_path / "spool")


@pytest.mark.parametrize("served", ["wlmscpfs"], indirect=True)
def test_pulls_land_each_statement_once(served: Served) -> None:
    home = DataHome.initialise(served.settings.data_directory)
    puller = Puller(home, served.settings)
    assert puller.pull(served.source).as_json()["accepted"] == 6
    assert puller.pull(served.source).as_json()["offered"] == 0
    next(served.folder.glob("*.wl")).unlink()
    assert puller.pull(served.source).as_json()["accepted"] == 1
    events = StarReader(home.star).current().frame(TABLES["fact_exam_event"].select())
    assert sorted(events["event"]) == ["exam_scheduled_for"] * 6 + ["worklist_left"]
