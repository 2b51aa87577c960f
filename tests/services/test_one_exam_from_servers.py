"""One exam whose parts come from four systems: order by HL7, worklist by C-FIND, report by FHIR, charge by SQL."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydantic import SecretStr

from etl.load import Loader
from etl.pull.pull import Puller
from settings import Extract, FhirSource, Settings, Site, Source, SqlSource
from state.home import DataHome
from tests.services.conftest import Served
from tests.services.fhir_stub import FhirStub
from warehouse.engines import StarReader
from warehouse.scope import EVERYTHING
from warehouse.trace import exam_trace

pytestmark = pytest.mark.services

NOW = datetime.now(UTC).replace(microsecond=0)
CHARGES = Extract(
    name="charges",
    files="none",
    columns={"accession": "acc", "charge_amount": "amount", "event:charge_posted": "posted", "stated_at": "posted"},
)


def _order(entry: pydicom.Dataset) -> str:
    at = f"{NOW - timedelta(days=1):%Y%m%d%H%M%S}"
    patient, accession = entry.PatientID, entry.AccessionNumber
    return "\r".join(
        [
            f"MSH|^~\\&|RIS|MAIN|ISO|HUB|{at}+0000||ORM^O01|1|P|2.3.1",
            f"PID|1||{patient}^^^H^MR||DOE^JANE||19600102|F",
            f"ORC|NW||{accession}||||||{at}+0000",
            f"OBR|1||{accession}|X^Exam^L||||||||||||||{accession}||||||RAD",
        ]
    )


def _report(entry: pydicom.Dataset) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport",
        "id": "r1",
        "meta": {"lastUpdated": f"{NOW:%Y-%m-%dT%H:%M:%SZ}"},
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}],
        "code": {"text": "Exam"},
        "identifier": [{"type": {"coding": [{"code": "ACSN"}]}, "value": entry.AccessionNumber}],
        "issued": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
    }


def test_four_systems_tell_one_exam(served: Served, tmp_path: Path) -> None:
    file = min(served.folder.glob("*.wl"))
    entry = pydicom.dcmread(file)
    with sqlite3.connect(tmp_path / "billing.db") as billing:
        billing.execute("CREATE TABLE charges(acc TEXT, amount TEXT, posted TEXT)")
        billing.execute(
            "INSERT INTO charges VALUES (?, '123.45', ?)", (str(entry.AccessionNumber), f"{NOW:%Y-%m-%d %H:%M:%S}")
        )
    with FhirStub([_report(entry)]) as emr:
        sources: tuple[Source, ...] = (
            served.source,
            FhirSource(kind="fhir", name="emr", url=emr.url, resources=("DiagnosticReport",)),
            SqlSource(
                kind="sql",
                name="billing",
                url=SecretStr(f"sqlite:///{tmp_path / 'billing.db'}"),
                query="SELECT * FROM charges WHERE posted >= :since ORDER BY posted",
                watermark="posted",
                extract="charges",
                start="1900-01-01 00:00:00",
            ),
        )
        settings = Settings(
            data_directory=tmp_path / "data",
            sites=(Site(code="MAIN", name="Main"),),
            sources=sources,
            extracts=(CHARGES,),
        )
        home = DataHome.open_or_initialise(settings.data_directory)
        (tmp_path / "order.hl7").write_text(_order(entry))
        Loader(home, settings).load([tmp_path / "order.hl7"])
        for source in sources:
            pulled = Puller(home, settings).pull(source)
            assert pulled.error is None, pulled.error
    star = StarReader(home.star).current()
    pseudonym = home.pseudonymiser.pseudonym("order", str(entry.AccessionNumber))
    exams = star.text(f"SELECT * FROM fact_exam WHERE accession_pseudonym = '{pseudonym}'")
    assert exams.height == 1
    exam = exams.row(0, named=True)
    assert (exam["ordered_source"], exam["scheduled_for_source"], exam["final_source"], exam["charged_source"]) == (
        "hl7", "mwl", "fhir", "extract",
    )  # fmt: skip
    assert exam["final_at"] == NOW
    assert str(exam["charge_amount"]) == "123.4500"
    assert exam["study_uid"] == entry.StudyInstanceUID
    steps = {step.event: step.chosen for step in exam_trace(star, exam["exam_key"], EVERYTHING)}
    worklist = steps["exam_scheduled_for"]
    assert worklist is not None
    assert (worklist.file or "").startswith("ris:")
    assert worklist.field.startswith("(0040,0002)")
