"""FHIR beside HL7 v2 in one star: one exam, the times of each source in their order, the same whatever comes first."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from etl.load import Loader
from etl.pull.pull import Puller
from settings import FhirSource, Settings, Site
from state.home import DataHome
from tests.etl.conftest import Load, assert_same, facts, order, result, star_of
from tests.etl.test_fhir_rows import RADIOLOGY, request, resource, typed
from tests.services.fhir_stub import FhirStub

CHANGED = {"meta": {"lastUpdated": "2026-03-02T15:00:00Z"}}
ASKED = {"basedOn": [{"reference": "ServiceRequest/sr1"}]}
VISIT = {"encounter": {"reference": "Encounter/e1"}}


def story() -> list[dict[str, Any]]:
    """An emergency CT as an EMR tells it; the radiology system's messages know it as order PLA1, accession A1."""
    return [
        resource("Patient", "p1", gender="female", birthDate="1960-01-02", identifier=[typed("MR", "P1")], **CHANGED),
        resource("Encounter", "e1", status="finished", period={"start": "2026-03-02T07:40:00Z"}, **{"class": {"code": "EMER"}}, **CHANGED),
        request("sr1", authoredOn="2026-03-02T08:00:00Z", priority="stat", category=RADIOLOGY, identifier=[typed("ACSN", "A1")], **VISIT, **CHANGED),
        resource("Appointment", "ap1", status="fulfilled", created="2026-03-02T08:05:00Z", start="2026-03-02T09:00:00Z", minutesDuration=20, **ASKED, **CHANGED),
        resource("Procedure", "pr1", status="completed", performedPeriod={"start": "2026-03-02T09:02:00Z", "end": "2026-03-02T09:14:00Z"}, **ASKED, **CHANGED),
        resource("DiagnosticReport", "dr1", status="preliminary", issued="2026-03-02T09:40:00Z", category=RADIOLOGY, **ASKED, **CHANGED),
        resource("DiagnosticReport", "dr1", status="final", issued="2026-03-02T10:30:00Z", category=RADIOLOGY, **ASKED, meta={"lastUpdated": "2026-03-02T16:00:00Z"}),
        resource("Communication", "c1", status="completed", sent="2026-03-02T09:45:00Z", about=[{"reference": "DiagnosticReport/dr1"}], **CHANGED),
        resource("ChargeItem", "ch1", status="billed", occurrenceDateTime="2026-03-03", priceOverride={"value": 210.55}, service=[{"reference": "ServiceRequest/sr1"}], code={"coding": [{"code": "70450"}]}, **CHANGED),
    ]  # fmt: skip


def files(folder: Path) -> list[Path]:
    paths = [folder / "orders.hl7", folder / "emr.json", folder / "reports.ndjson"]
    messages = [
        order("1", "NW", at="202603020905", accession="A1"),
        result("2", "F", exam_at="202603021001", report_at="202603021132", accession="A1"),
    ]
    paths[0].write_text("\r".join(messages) + "\r")
    whole = [one for one in story() if one["resourceType"] not in {"DiagnosticReport", "Communication"}]
    paths[1].write_text(
        json.dumps({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in whole]})
    )
    paths[2].write_text("\n".join(json.dumps(one) for one in story() if one not in whole))
    return paths


def test_resources_and_messages_of_one_exam_are_one_row(load: Load, home: DataHome, tmp_path: Path) -> None:
    assert load(*files(tmp_path)).by_source["fhir"]["accepted"] == 9
    [exam] = star_of(home).text("SELECT * FROM fact_exam").to_dicts()
    times = {
        name: (exam[f"{name}_at"].strftime("%H:%M"), exam[f"{name}_source"])
        for name in ("door", "booked", "scheduled_for", "started", "ended", "prelim", "final", "communicated")
    }
    assert times == {
        "door": ("07:40", "fhir"),
        "booked": ("08:05", "fhir"),
        "scheduled_for": ("09:00", "fhir"),
        "started": ("09:01", "hl7"),  # 10:01 in Berlin; a message comes before a resource
        "ended": ("09:14", "fhir"),
        "prelim": ("09:40", "fhir"),
        "final": ("10:32", "hl7"),
        "communicated": ("09:45", "fhir"),
    }
    assert (exam["patient_class"], exam["has_charge"], str(exam["charge_amount"])) == ("ED", True, "210.5500")


def test_the_order_of_files_makes_no_difference(settings: Settings, tmp_path: Path) -> None:
    first, second, third = files(tmp_path)
    reference = None
    keys = DataHome.initialise(tmp_path / "keys").path
    for number, some in enumerate(([first, second, third], [third, second, first], [second, third, first])):
        folder = DataHome.initialise(tmp_path / f"data{number}").path
        for name in ("key", "key.fingerprint"):
            shutil.copy(keys / name, folder / name)
        home = DataHome.open(folder)
        Loader(home, settings).load(some[:1])
        Loader(home, settings).load(some)
        found = facts(star_of(home))
        reference = reference or found
        assert_same(reference, found)


@pytest.mark.services
def test_a_pull_lands_once_and_the_next_lands_what_changed(home: DataHome) -> None:
    served = [one for one in story() if one.get("status") != "preliminary"]
    kinds = tuple({one["resourceType"] for one in served})
    with FhirStub(served) as stub:
        source = FhirSource(kind="fhir", name="emr", url=stub.url, resources=kinds, overlap_minutes=0)
        puller = Puller(home, Settings(sites=(Site(code="NORTH", name="North"),), sources=(source,)))
        first = puller.pull(source)
        assert (first.error, first.records, first.total("accepted")) == (None, 8, 8)
        report = next(one for one in served if one["resourceType"] == "DiagnosticReport")
        changed = "2126-01-01T00:00:00Z"
        report.update({"status": "amended", "issued": changed, "meta": {"lastUpdated": changed}})
        second = puller.pull(source)
        assert (second.error, second.records, second.total("accepted")) == (None, 1, 1)
    [exam] = star_of(home).text("SELECT final_source, charge_amount FROM fact_exam").to_dicts()
    assert (exam["final_source"], str(exam["charge_amount"])) == ("fhir", "210.5500")
