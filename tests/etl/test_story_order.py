"""Every kind of workflow source about the same exams: any order, repetition and cut into loads gives the same star."""

from __future__ import annotations

import itertools
import json
from datetime import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from etl.load import Loader
from settings import Settings, Site, StaffedHours
from state.home import DataHome
from tests.etl.conftest import assert_same, facts, order, result, star_of
from tests.etl.test_mpps import create, reason, request, stored, update
from tests.etl.test_star_images import image
from tests.etl.test_star_order import _home

SETTINGS = Settings(
    sites=(
        Site(
            code="NORTH",
            name="North",
            time_zone="Europe/Berlin",
            aliases=("North Hospital",),
            hours=(StaffedHours(modality="CT", opens=time(8), closes=time(18)),),
        ),
    )
)
DAY = "20260310"


def _siu(control: str, trigger: str, slot: str, *, at: str) -> str:
    return "\r".join(
        [
            f"MSH|^~\\&|SCH|North Hospital|ISO|HUB|{at}||SIU^{trigger}|{control}|P|2.5",
            "|".join(["SCH", "AP1", "AP1", *[""] * 6, "20", "min", f"^^^{slot}", *[""] * 13, "Booked", "PLA1", "A1"]),
            "PID|1||P1^^^NORTH^MR||DOE^JANE||19600102|F",
            f"AIS|1||CTHEAD^CT head^L|{slot}|||20|min",
            "AIL|1||CT1",
        ]
    )


def _adt(control: str, trigger: str, at: str, *, other: str = "") -> str:
    lines = [
        f"MSH|^~\\&|ADT|North Hospital|ISO|HUB|{at}||ADT^{trigger}|{control}|P|2.5",
        f"EVN|{trigger}|{at}",
        "PID|1||P1^^^NORTH^MR||DOE^JANE||19600102|F",
        "|".join(["PV1", "1", "E", "ED", *[""] * 15, "V1", *[""] * 24, at]),
    ]
    if other:
        lines.insert(3, f"PID|2||{other}^^^NORTH^MR||DOE^JANE||19600102|F")
    return "\r".join(lines)


def _wrong_step() -> tuple[bytes, bytes]:
    """A step begun under another exam's worklist entry, and broken off for that reason."""
    begun = create(
        request("B2", 2), PatientID="P1", PerformedProcedureStepStartDate=DAY, PerformedProcedureStepStartTime="101500"
    )
    broken = update(
        "DISCONTINUED",
        PerformedProcedureStepEndDate=DAY,
        PerformedProcedureStepEndTime="101600",
        PerformedProcedureStepDiscontinuationReasonCodeSequence=reason("110514"),
    )
    return stored(begun, "1.2.3.9.2"), stored(broken, "1.2.3.9.2")


FHIR = {
    "resourceType": "DiagnosticReport",
    "id": "r1",
    "meta": {"lastUpdated": "2026-03-10T11:00:00Z"},
    "status": "final",
    "category": [{"coding": [{"code": "RAD"}]}],
    "code": {"text": "CT head"},
    "identifier": [{"type": {"coding": [{"code": "ACSN"}]}, "value": "A1"}],
    "issued": "2026-03-10T10:45:00Z",
}
ICS = "\r\n".join(
    [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//N//N//EN", "X-WR-CALNAME:CT closures", "BEGIN:VEVENT", "UID:1", "DTSTAMP:20260101T000000Z",
        "DTSTART;TZID=Europe/Berlin:20260310T140000", "DTEND;TZID=Europe/Berlin:20260310T150000", "CATEGORIES:planned_down", "LOCATION:CT1",
        "SUMMARY:Maintenance", "END:VEVENT", "END:VCALENDAR", "",
    ]
)  # fmt: skip


def _inputs(folder: Path) -> list[tuple[str, bytes]]:
    """Name and content of every input."""
    images = [
        image(folder, day=DAY, at=at, SOPInstanceUID=f"2.25.44{number}")
        for number, at in enumerate(("100500", "101100"))
    ]
    step = stored(
        create(
            request("A1"), PatientID="P1", PerformedProcedureStepStartDate=DAY, PerformedProcedureStepStartTime="100400"
        ),
        "1.2.3.9.1",
    )
    done = stored(update(PerformedProcedureStepEndDate=DAY, PerformedProcedureStepEndTime="101200"), "1.2.3.9.1")
    texts = [
        order("1", "NW", at=f"{DAY}080000").replace(
            "PV1|1|E|ED^1", "|".join(["PV1", "1", "E", "ED", *[""] * 15, "V1"])
        ),
        _siu("2", "S12", f"{DAY}093000", at=f"{DAY}080500"),
        _siu("3", "S13", f"{DAY}100000", at=f"{DAY}083000"),
        _adt("4", "A04", f"{DAY}073000"),
        result("5", "P", exam_at=f"{DAY}100500", report_at=f"{DAY}111500", text="early"),
        result("6", "F", exam_at=f"{DAY}100500", report_at=f"{DAY}113000", text="final"),
        result("7", "F", exam_at=f"{DAY}100500", report_at=f"{DAY}153000", text="final, with an addendum"),
        order("8", "NW", at=f"{DAY}081000", accession="B2"),
        order("9", "OC", at=f"{DAY}084000", accession="B2"),
    ]
    named = [(f"m{number}.hl7", text.encode()) for number, text in enumerate(texts)]
    named += [(f"i{number}.dcm", path.read_bytes()) for number, path in enumerate(images)]
    wrong, broken = _wrong_step()
    named += [("step.dcm", step), ("done.dcm", done), ("wrong.dcm", wrong), ("broken.dcm", broken)]
    return [*named, ("report.json", json.dumps(FHIR).encode()), ("closures.ics", ICS.encode())]


def _loaded(folder: Path, loads: list[list[tuple[str, bytes]]], key_from: DataHome | None) -> DataHome:
    home = _home(folder / "data", key_from)
    for number, inputs in enumerate(loads):
        place = folder / f"in{number}"
        for copy, (name, content) in enumerate(inputs):
            (place / str(copy)).mkdir(parents=True)
            (place / str(copy) / name).write_bytes(content)
        outcome = Loader(home, SETTINGS).load([place])
        assert outcome.total("rejected") == 0, outcome.by_source
    return home


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    return _inputs(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def reference(inputs: list[tuple[str, bytes]], tmp_path_factory: pytest.TempPathFactory) -> DataHome:
    return _loaded(tmp_path_factory.mktemp("reference"), [inputs], None)


def test_the_story_is_the_one_worked_by_hand(reference: DataHome) -> None:
    """Berlin is UTC+1 in March: 10:04 there is 09:04 UTC."""
    star = star_of(reference)
    exam = star.text("SELECT * FROM fact_exam WHERE is_performed AND has_images").row(0, named=True)
    times = {
        name: f"{exam[f'{name}_at']:%H:%M}"
        for name in ("ordered", "booked", "scheduled_for", "door", "started", "prelim", "final")
    }
    assert times == {
        "ordered": "07:00", "booked": "07:05", "scheduled_for": "09:00", "door": "06:30", "started": "09:04", "prelim": "10:15", "final": "10:30",
    }  # fmt: skip
    assert (exam["started_source"], exam["moves"], exam["addenda"], exam["slot_minutes"]) == ("mpps", 1, 1, 20.0)
    slots = star.text("SELECT outcome FROM fact_appointment ORDER BY slot_number")["outcome"].to_list()
    assert slots == ["moved", "kept"]
    assert star.text("SELECT state FROM fact_exam WHERE NOT is_performed")["state"].to_list() == ["cancelled"]
    down = star.text("SELECT sum(minutes) AS m FROM fact_device_span WHERE kind = 'planned_down'")
    assert down["m"][0] == 60


@hypothesis_settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_repetition_and_cut_gives_the_same_star(
    data: st.DataObject,
    inputs: list[tuple[str, bytes]],
    reference: DataHome,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    shuffled = data.draw(st.permutations(inputs))
    repeated = shuffled + data.draw(st.lists(st.sampled_from(inputs), max_size=3))
    cuts = sorted(data.draw(st.lists(st.integers(1, len(repeated) - 1), max_size=3, unique=True)))
    loads = [repeated[start:end] for start, end in itertools.pairwise([0, *cuts, len(repeated)])]
    home = _loaded(tmp_path_factory.mktemp("permuted"), loads, reference)
    assert_same(facts(star_of(reference)), facts(star_of(home)))
