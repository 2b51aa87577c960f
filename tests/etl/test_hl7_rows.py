"""What one HL7 v2 message says: rows, events and flags, each case worked by hand."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from etl.lake.schema import polars_schema
from etl.sources.contract import Context, Input, Offered, Row, Verdict
from etl.sources.events import EVENT_BY_NAME
from etl.sources.extract.reader import check_extracts
from etl.sources.hl7.reader import READER
from settings import Hl7, Matching, Settings, Site
from state.identity import Pseudonymiser

KEY = Pseudonymiser(b"k" * 32)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SETTINGS = Settings(
    sites=(
        Site(code="NORTH", name="North", time_zone="Europe/Berlin"),
        Site(code="WEST", name="West", time_zone="America/New_York", aliases=("WEST CLINIC",)),
    )
)
PID = "PID|1||N1^^^NORTH^MR||ROE^ALEX||19800229|F"


def header(kind: str, at: str = "20260311120000", facility: str = "NORTH", processing: str = "P") -> str:
    return f"MSH|^~\\&|RIS|{facility}|ISO|HUB|{at}||{kind}|C1|{processing}|2.5.1"


def read(*segments: str, settings: Settings = SETTINGS) -> Offered:
    data = "\r".join(segments).encode()
    offered = list(READER.read(Input("one.hl7", len(data), lambda: io.BytesIO(data)), Context(settings, KEY, NOW)))
    assert len(offered) == 1
    return offered[0]


def row(*segments: str, table: str = "workflow", settings: Settings = SETTINGS) -> Row:
    offered = read(*segments, settings=settings)
    assert offered.verdict is Verdict.ACCEPTED, offered.reject
    assert len(offered.rows[table]) == 1
    found = offered.rows[table][0]
    assert set(found) <= set(polars_schema(table))
    assert {event["event"] for event in found.get("events", [])} <= set(EVENT_BY_NAME)
    return found


def events(*segments: str, **more: Any) -> dict[str, tuple[str, str, str]]:
    return {
        event["event"]: (event["at"].strftime("%m-%d %H:%M"), event["precision"], event["field"])
        for event in row(*segments, **more)["events"]
    }


def order(control: str, status: str = "", orc9: str = "", obr: str = "", kind: str = "ORM^O01") -> tuple[str, ...]:
    return header(kind), PID, f"ORC|{control}|P1|F1||{status}||||{orc9}", f"OBR|1|P1|F1|CTCHEST^CT chest^L{obr}"


@pytest.mark.parametrize(
    ("control", "status", "expected"),
    [
        ("NW", "", {"order_placed": ("03-11 09:30", "min", "ORC-9")}),
        ("NW", "SC", {"order_placed": ("03-11 09:30", "min", "ORC-9")}),
        ("XO", "", {}),
        ("SC", "IP", {"exam_started": ("03-11 09:30", "min", "ORC-9")}),
        ("SC", "CM", {"exam_completed": ("03-11 09:30", "min", "ORC-9")}),
        ("CA", "", {"cancel_requested": ("03-11 09:30", "min", "ORC-9")}),
        ("OC", "", {"order_cancelled": ("03-11 09:30", "min", "ORC-9")}),
        ("CR", "CA", {"order_cancelled": ("03-11 09:30", "min", "ORC-9")}),
        ("SC", "CA", {"order_cancelled": ("03-11 09:30", "min", "ORC-9")}),
        ("UC", "", {"cancel_refused": ("03-11 09:30", "min", "ORC-9")}),
        ("UD", "", {"cancel_refused": ("03-11 09:30", "min", "ORC-9")}),
        ("DC", "", {"exam_discontinued": ("03-11 09:30", "min", "ORC-9")}),
        ("OD", "", {"exam_discontinued": ("03-11 09:30", "min", "ORC-9")}),
    ],
)
def test_order_control_and_status_give_the_event(control: str, status: str, expected: dict[str, Any]) -> None:
    # 10:30 in Berlin on 11 March (CET, +01:00) is 09:30 UTC.
    assert events(*order(control, status, "202603111030")) == expected


def test_order_time_falls_back_to_effective_then_message_time() -> None:
    effective = (header("ORM^O01"), PID, "ORC|NW|P1|||||||||||||20260310")
    assert events(*effective) == {"order_placed": ("03-09 23:00", "d", "ORC-15")}
    assert events(header("ORM^O01"), PID, "ORC|NW|P1") == {"order_placed": ("03-11 11:00", "s", "MSH-7")}


def test_start_of_an_order_without_minutes_is_no_start() -> None:
    assert events(*order("SC", "IP", "20260311")) == {}


def test_plan_is_obr36_and_a_placers_wish_is_none() -> None:
    plan = "|" * 32 + "202603121500"
    assert events(*order("NW", "", "202603111030", plan))["exam_scheduled_for"] == ("03-12 14:00", "min", "OBR-36")
    wish = (*order("NW", "", "202603111030")[:3], "TQ1|1||||||202603121500", "OBR|1|P1|F1|CT")
    assert "exam_scheduled_for" not in events(*wish)
    scheduled = (*order("SC", "SC", "202603111030")[:3], "TQ1|1||||||202603121500||S", "OBR|1|P1|F1|CT")
    assert events(*scheduled)["exam_scheduled_for"] == ("03-12 14:00", "min", "TQ1-7")
    assert row(*scheduled)["priority"] == "S"


def result(status: str, obr22: str = "202603111130", obr7: str = "202603110900") -> tuple[str, ...]:
    fields = {
        4: "CTCHEST^CT chest^L",
        7: obr7,
        16: "12^DOC",
        18: "A1",
        22: obr22,
        24: "CT",
        25: status,
        32: "77&READER&B",
    }
    obr = "|".join(["OBR", "1", "P1", "F1", *(fields.get(n, "") for n in range(4, 35))])
    return header("ORU^R01"), PID, "ORC|RE|P1|F1||CM||||202603111131", obr, "OBX|1|TX|GDT||Clear.||||||F"


@pytest.mark.parametrize(
    ("status", "event"),
    [
        ("P", "report_preliminary"),
        ("F", "report_final"),
        ("C", "report_corrected"),
        ("A", "report_addendum"),
        ("R", "report_dictated"),
        ("X", "order_cancelled"),
        ("f", "report_final"),
    ],
)
def test_report_time_is_obr22_and_never_obr7(status: str, event: str) -> None:
    assert events(*result(status)) == {
        "exam_started": ("03-11 08:00", "min", "OBR-7"),
        event: ("03-11 10:30", "min", "OBR-22"),
    }


@pytest.mark.parametrize("status", ["I", "S", "O", "Y", "Z"])
def test_result_status_without_a_report_moves_nothing(status: str) -> None:
    assert set(events(*result(status))) == {"exam_started"}


def test_stored_results_are_preliminary_where_the_site_says_so() -> None:
    site_rule = SETTINGS.model_copy(update={"hl7": Hl7(preliminary_statuses=("P", "R"))})
    assert "report_preliminary" in events(*result("R"), settings=site_rule)


def test_unknown_result_status_is_flagged_and_the_row_kept() -> None:
    found = row(*result("HM"))
    assert found["flags"] == ["OBR-25: not in table 0123"]
    assert {event["event"] for event in found["events"]} == {"exam_started"}


def test_report_without_status_time_takes_the_message_time() -> None:
    assert events(*result("F", obr22=""))["report_final"] == ("03-11 11:00", "s", "MSH-7")


def test_exam_date_alone_is_no_start() -> None:
    assert set(events(*result("F", obr7="20260311"))) == {"report_final"}


def test_columns_of_a_result() -> None:
    found = row(*result("F"))
    assert found["accession"] == KEY.pseudonym("order", "A1")
    assert found["placer"] == KEY.pseudonym("order", "P1")
    assert found["filler"] == KEY.pseudonym("order", "f1 ")
    assert found["patient"] == KEY.pseudonym("patient", "N1")
    assert found["reader"] == KEY.pseudonym("person", "77")
    assert found["referrer"] == KEY.pseudonym("person", "12")
    columns = (
        "sex",
        "birth_year",
        "modality",
        "section",
        "imaging",
        "procedure_code",
        "procedure_text",
        "procedure_scheme",
    )
    assert [found[name] for name in columns] == ["F", 1980, "CT", "CT", True, "CTCHEST", "CT chest", "L"]
    assert (found["source_name"], found["position"], found["month"]) == ("RIS|NORTH", "message 1, group 1", "2026-03")
    assert found["stated_at"] == datetime(2026, 3, 11, 11, tzinfo=UTC)


def test_report_text_leaves_only_a_digest() -> None:
    offered = read(*result("F"))
    assert "Clear." not in str(offered)
    again = row(*result("F")[:4], "OBX|1|TX|GDT||Clear.||||||F")
    other = row(*result("F")[:4], "OBX|1|TX|GDT||Not clear.||||||F")
    assert again["text_digest"] == offered.rows["workflow"][0]["text_digest"] != other["text_digest"]


@pytest.mark.parametrize(
    ("section", "extra", "imaging"),
    [
        ("RAD", (), True),
        ("LAB", (), False),
        ("CH", (), False),
        ("", (), None),
        ("LAB", ("ZDS|1.2.3^^Application^DICOM",), True),
    ],
)
def test_imaging_by_section_or_study_uid(section: str, extra: tuple[str, ...], imaging: bool | None) -> None:
    obr = "|".join(["OBR", "1", "P1", *[""] * 21, section])
    assert row(header("ORM^O01"), PID, "ORC|XO|P1", obr, *extra)["imaging"] is imaging


def test_imaging_order_keys_come_from_ipc() -> None:
    found = row(
        header("OMI^O23"),
        PID,
        "ORC|NW|P1|F1",
        "TQ1|1||||||202603121500",
        "OBR|1",
        "IPC|A7|RP1|1.2.3|SPS1|MR|MR1^MR head|SCANNER2",
    )
    assert found["accession"] == KEY.pseudonym("order", "A7")
    assert [found[name] for name in ("study_uid", "modality", "station", "imaging", "procedure_code")] == [
        "1.2.3",
        "MR",
        "SCANNER2",
        True,
        "MR1",
    ]
    assert found["events"][1]["field"] == "TQ1-7"


def test_study_uid_after_several_requests_belongs_to_all_of_the_order() -> None:
    offered = read(
        header("ORM^O01"), PID, "ORC|NW|P1", "OBR|1|P1|F1", "OBR|2|P1|F2", "ZDS|1.2.3", "ORC|NW|P2", "OBR|1|P2|F3"
    )
    assert [one["study_uid"] for one in offered.rows["workflow"]] == ["1.2.3", "1.2.3", None]
    assert [one["position"] for one in offered.rows["workflow"]] == [f"message 1, group {n}" for n in (1, 2, 3)]


def test_accession_follows_the_configured_order_of_fields() -> None:
    message = (header("ORM^O01"), PID, "ORC|NW|P1|F1", "OBR|1|P1|F1" + "|" * 15 + "A1||A20")
    assert row(*message)["accession"] == KEY.pseudonym("order", "A1")
    by_20 = SETTINGS.model_copy(update={"hl7": Hl7(accession_fields=("ZAC-2", "OBR-20"))})
    assert row(*message, settings=by_20)["accession"] == KEY.pseudonym("order", "A20")


@pytest.mark.parametrize(
    ("message", "verdict", "reason"),
    [
        ((header("ACK"),), "not_applicable", "message-type"),
        ((header("OML^O21"), PID, "ORC|NW|P1"), "not_applicable", "message-type"),
        ((header("ORU^R01"),), "not_applicable", "no-order"),
        ((header("ORM^O01"), PID, "ORC|NW"), "rejected", "no-order-number"),
        ((header("ORM^O01", processing="T"), PID, "ORC|NW|P1"), "not_applicable", "not-production"),
        ((header("ORM^O01", processing="D"), PID, "ORC|NW|P1"), "not_applicable", "not-production"),
        ((header(""), PID), "rejected", "no-message-type"),
        ((header("ADT^A01"), "PID|1||^^^NORTH"), "rejected", "no-patient-id"),
        ((header("ADT^A20"),), "not_applicable", "no-patient"),
        ((header("SIU^S12"), PID), "rejected", "no-appointment"),
        ((header("SIU^S12"), "SCH|", PID), "rejected", "no-order-number"),
        ((header("BAR^P01"), PID), "not_applicable", "no-charge"),
        ((header("DFT^P03"), PID, "FT1|1||||20260311|PY|X"), "not_applicable", "no-charge"),
        ((header("DFT^P03"), "FT1|1||||20260311|CG|X"), "rejected", "no-patient-id"),
        ((header("MDM^T02"), PID, "TXA|1|DS||||||||||D1"), "not_applicable", "no-order"),
        (("MSH|^^^^|RIS", PID), "rejected", "bad-encoding-characters"),
        (("MSH|^~\\\\&|RIS", PID), "rejected", "bad-encoding-characters"),
        (("MSH|AB\\&|RIS", PID), "rejected", "bad-encoding-characters"),
    ],
)
def test_messages_without_a_row_say_why(message: tuple[str, ...], verdict: str, reason: str) -> None:
    offered = read(*message)
    assert (offered.verdict, offered.reject and offered.reject.reason) == (verdict, reason)
    assert offered.reject is not None
    assert offered.reject.message.endswith(".")
    assert offered.reject.remedy
    assert offered.rows == {}


@pytest.mark.parametrize(
    ("trigger", "status", "event"),
    [
        ("S12", "Booked", "scheduling_done"),
        ("S13", "", None),
        ("S14", "Arrived", "patient_arrived"),
        ("S15", "Cancelled", "order_cancelled"),
        ("S17", "", "order_cancelled"),
        ("S26", "Noshow", "patient_no_show"),
    ],
)
def test_appointments(trigger: str, status: str, event: str | None) -> None:
    schedule = "|".join(["SCH", "AP1", "AF1", *[""] * 8, "^^60^202603121500", *[""] * 13, status])
    message = (header(f"SIU^{trigger}"), schedule, PID, "AIS|1|A|CTCHEST^CT chest^L", "AIL|1|A|CT1^^^NORTH")
    found = row(*message)
    expected = {"exam_scheduled_for": ("03-12 14:00", "min", "SCH-11.4")}
    assert events(*message) == ({event: ("03-11 11:00", "s", "MSH-7")} if event else {}) | expected
    assert [found[name] for name in ("source", "station", "procedure_code", "imaging")] == [
        "siu",
        "CT1",
        "CTCHEST",
        None,
    ]
    assert found["filler"] == found["appointment"] == KEY.pseudonym("order", "SCH:AF1")


def test_appointment_time_from_service_and_order_number_from_sch26() -> None:
    schedule = "|".join(["SCH", "AP1", "AF1", *[""] * 23, "P9"])
    message = (header("SIU^S12"), schedule, PID, "AIS|1|A|CT|202603121500")
    assert events(*message)["exam_scheduled_for"] == ("03-12 14:00", "min", "AIS-4")
    assert row(*message)["placer"] == KEY.pseudonym("order", "P9")
    assert row(*message)["filler"] is None


def charge(*fields: str) -> str:
    return "|".join(["FT1", "1", "T1", "", *fields])


def test_charges_are_exact_and_reversals_keep_their_kind() -> None:
    offered = read(
        header("DFT^P03"), "EVN|P03|20260311", PID, "PV1|1|O" + "|" * 17 + "V1",
        charge("20260310", "20260311", "CG", "71046^Chest", "", "", "2", "100.10&USD"),
        charge("20260310", "", "CR", "71046", "", "", "3", "", "0.3333"),
        charge("20260310", "", "CG", "71046", "", "", "1", "1,234.50"),
    )  # fmt: skip
    rows = offered.rows["workflow"]
    assert [one["charge_amount"] for one in rows] == [Decimal("100.10"), Decimal("0.9999"), None]
    assert [one["charge_kind"] for one in rows] == ["CG", "CR", "CG"]
    assert [one["events"][0]["field"] for one in rows] == ["FT1-5", "FT1-4", "FT1-4"]
    assert "FT1-11: bad-number" in rows[2]["flags"]
    assert {one["visit"] for one in rows} == {KEY.pseudonym("visit", "V1")}


@pytest.mark.parametrize(
    ("order_first", "expected"),
    [(True, ["F1", "F2"]), (False, ["F1", "F2"])],
    ids=["orders before charges", "orders after"],
)
def test_charges_belong_to_their_order(order_first: bool, expected: list[str]) -> None:
    pairs = [(f"ORC|RE||F{n}", charge("20260310", "20260311", "CG", "X")) for n in (1, 2)]
    segments = [segment for pair in pairs for segment in (pair if order_first else pair[::-1])]
    rows = read(header("DFT^P03"), PID, *segments).rows["workflow"]
    assert [one["filler"] for one in rows] == [KEY.pseudonym("order", text) for text in expected]


@pytest.mark.parametrize(
    ("trigger", "completion", "event"),
    [("T02", "AU", "report_final"), ("T02", "LA", "report_final"), ("T02", "PA", "report_preliminary"),
     ("T02", "DI", "report_dictated"), ("T02", "IP", None), ("T05", "AU", "report_addendum"),
     ("T09", "AU", "report_corrected"), ("T06", "AU", "report_addendum"), ("T10", "AU", "report_corrected")],
)  # fmt: skip
def test_documents(trigger: str, completion: str, event: str | None) -> None:
    document = "|".join(
        ["TXA", "1", "DI", *[""] * 11, "P1", "F1", "", completion, *[""] * 4, "9^READER" + "^" * 13 + "202603111000"]
    )
    found = events(header(f"MDM^{trigger}"), "EVN|T02|20260311", PID, document)
    assert found == ({event: ("03-11 09:00", "min", "TXA-22.15")} if event else {})


def test_document_tells_when_it_was_dictated_and_when_it_was_signed() -> None:
    signed = "|".join(
        [
            "TXA",
            "1",
            "DI",
            "",
            "",
            "",
            "202603110950",
            *[""] * 7,
            "P1",
            "F1",
            "",
            "AU",
            *[""] * 4,
            "9" + "^" * 14 + "202603111000",
        ]
    )
    found = events(header("MDM^T02"), "EVN|T02|20260311", PID, signed)
    assert found == {
        "report_dictated": ("03-11 08:50", "min", "TXA-6"),
        "report_final": ("03-11 09:00", "min", "TXA-22.15"),
    }


def test_document_text_gives_the_digest_that_tells_an_addendum() -> None:
    document = "|".join(["TXA", "1", "DI", *[""] * 11, "P1", "F1", "", "AU"])
    digests = {
        row(header(f"MDM^{trigger}"), PID, document, f"OBX|1|TX|||{text}")["text_digest"]
        for trigger, text in (("T02", "Clear."), ("T06", "Clear. Old fracture."), ("T08", "Clear."))
    }
    assert len(digests) == 2
    assert None not in digests


def patients(kind: str, *segments: str) -> list[Row]:
    return read(header(kind), "EVN|A40|20260311110000", *segments).rows["patient"]


def test_merge_ends_the_prior_identity_of_the_same_authority() -> None:
    (found,) = patients("ADT^A40", PID, "MRG|N2^^^NORTH^MR")
    assert (found["patient"], found["merged"]) == (KEY.pseudonym("patient", "N1"), KEY.pseudonym("patient", "N2"))
    assert found["stated_at"] == datetime(2026, 3, 11, 10, tzinfo=UTC)
    assert set(found) <= set(polars_schema("patient"))


@pytest.mark.parametrize("trigger", ["A18", "A34", "A36", "A40", "A47"])
def test_events_that_merge(trigger: str) -> None:
    assert patients(f"ADT^{trigger}", PID, "MRG|N2^^^NORTH^MR")[0]["merged"]


@pytest.mark.parametrize("trigger", ["A08", "A24", "A35", "A41", "A43", "A45"])
def test_events_that_end_no_identity(trigger: str) -> None:
    assert patients(f"ADT^{trigger}", PID, "MRG|N2^^^NORTH^MR")[0]["merged"] is None


def test_merge_of_another_authority_is_flagged_and_not_done() -> None:
    (found,) = patients("ADT^A40", PID, "MRG|N2^^^SOUTH^MR")
    assert found["merged"] is None
    assert "MRG-1: assigning authority differs from PID-3, not merged" in found["flags"]


def test_merge_into_itself_gives_no_merge() -> None:
    assert patients("ADT^A40", PID, "MRG|N1^^^NORTH^MR")[0]["merged"] is None


def test_merge_pairs_by_authority() -> None:
    rows = patients("ADT^A40", "PID|1||N1^^^NORTH~S1^^^SOUTH", "MRG|S2^^^SOUTH~N2^^^NORTH")
    pseudonyms = [(one["patient"], one["merged"]) for one in rows]
    assert pseudonyms == [
        tuple(KEY.pseudonym("patient", text) for text in pair) for pair in (("S1", "S2"), ("N1", "N2"))
    ]


def test_several_merges_in_one_message() -> None:
    rows = patients("ADT^A40", PID, "MRG|N2^^^NORTH", "PID|2||N3^^^NORTH", "MRG|N4^^^NORTH")
    assert [one["position"] for one in rows] == ["message 1, group 1", "message 1, group 2"]
    assert [one["merged"] for one in rows] == [KEY.pseudonym("patient", text) for text in ("N2", "N4")]


def test_null_deletes_and_empty_says_nothing() -> None:
    (found,) = patients("ADT^A08", 'PID|1||N1^^^NORTH||ROE^A||""|')
    assert (found["birth_year"], found["sex"]) == (-1, None)
    (found,) = patients("ADT^A08", 'PID|1||N1^^^NORTH||ROE^A|||""')
    assert (found["birth_year"], found["sex"]) == (None, "")


@pytest.mark.parametrize(
    ("written", "sex", "flags"),
    [("F", "F", 0), ("m", "M", 0), ("O", "O", 0), ("A", "O", 0), ("U", None, 0), ("", None, 0), ("1", None, 1)],
)
def test_sex(written: str, sex: str | None, flags: int) -> None:
    (found,) = patients("ADT^A08", f"PID|1||N1||ROE^A|||{written}")
    assert (found["sex"], len(found["flags"])) == (sex, flags)


@pytest.mark.parametrize(
    ("pid", "pattern"),
    [("PID|1||N1||ROE^ALEX", None), ("PID|1||QA7||ROE^ALEX", "qa[0-9]*"), ("PID|1||N1||CT PHANTOM^X", "*phantom*"),
     ("PID|1||N1||TEST^PATIENT", "test^*")],
)  # fmt: skip
def test_patterns_that_mark_no_patient(pid: str, pattern: str | None) -> None:
    assert patients("ADT^A08", pid)[0]["not_patient"] == pattern


def test_identifiers_are_trimmed_and_unescaped_before_the_pseudonym() -> None:
    (found,) = patients("ADT^A08", "PID|1||  N\\T\\1 ^^^NORTH||ROE^A")
    assert found["patient"] == KEY.pseudonym("patient", "N&1")


def test_originals_go_to_the_vault_and_nowhere_else() -> None:
    offered = read(*result("F"))
    assert {(one.kind, one.original) for one in offered.identities} >= {
        ("patient", "N1"),
        ("order", "A1"),
        ("person", "77"),
    }
    assert not any(text in str(offered.rows) for text in ("ROE", "'N1'", "'A1'", "'P1'", "READER"))


@pytest.mark.parametrize(
    ("written", "utc", "precision", "flag"),
    [
        ("20260311103000.1234", "2026-03-11T09:30:00.123400+00:00", "us", None),
        ("20260311103000+0200", "2026-03-11T08:30:00+00:00", "s", None),
        ("202603111030-0500", "2026-03-11T15:30:00+00:00", "min", None),
        ("2026031110", "2026-03-11T09:00:00+00:00", "h", None),
        ("20260311", "2026-03-10T23:00:00+00:00", "d", None),
        ("202603", "2026-02-28T23:00:00+00:00", "month", None),
        ("2026", "2025-12-31T23:00:00+00:00", "year", None),
        ("20261025023000", "2026-10-25T00:30:00+00:00", "s", "ambiguous-local-time"),
        ("20260329023000", "2026-03-29T01:30:00+00:00", "s", "nonexistent-local-time"),
        ("202603112400", None, "", "bad-time"),
        ("20260230", None, "", "bad-time"),
        ("11.03.2026", None, "", "bad-time"),
        ("202603111030+1500", None, "", "bad-time"),
        ("20260311103060", None, "", "bad-time"),
        ("210012310000", None, "", "implausible-time"),
        ("190001010000", None, "", "implausible-time"),
    ],
)
def test_times(written: str, utc: str | None, precision: str, flag: str | None) -> None:
    found = row(*order("OC", "", written))
    (event,) = found["events"]
    if utc is None:
        assert event["field"] == "MSH-7"
    else:
        assert (event["at"].isoformat(), event["precision"], event["field"]) == (utc, precision, "ORC-9")
    assert found["flags"] == ([f"ORC-9: {flag}"] if flag else [])


def test_message_offset_holds_for_times_without_one() -> None:
    message = (header("ORM^O01", at="20260311120000-0800"), PID, "ORC|OC|P1|||||||202603111030")
    assert events(*message)["order_cancelled"][0] == "03-11 18:30"


def test_site_gives_zone_and_code() -> None:
    found = row(header("ORM^O01", facility="West Clinic"), PID, "ORC|OC|P1|||||||202603111030")
    assert found["site"] == "WEST"
    assert found["events"][0]["at"] == datetime(2026, 3, 11, 14, 30, tzinfo=UTC)


def test_message_without_a_usable_time_is_stated_at_the_order_time() -> None:
    message = (header("ORM^O01", at="21001231"), PID, "ORC|NW|P1|||||||202603111030")
    assert row(*message)["stated_at"] == datetime(2026, 3, 11, 9, 30, tzinfo=UTC)


def test_limits_of_form_are_no_limits_of_content() -> None:
    notes = ["NTE|1||x"] * 20_000
    assert row(*order("NW")[:3], "OBR|1|P1" + "|" * 9000, *notes)["placer"] == KEY.pseudonym("order", "P1")


# --- local statuses, reasons, standard codes


def configured(**hl7: Any) -> Settings:
    return SETTINGS.model_copy(update={"hl7": Hl7(**hl7)})


@pytest.mark.parametrize("written", ["IN_ROOM", "in_room", "In_Room"])
def test_local_order_status_tells_of_its_step_in_any_case(written: str) -> None:
    site_rule = configured(statuses={"in_room": "patient_in_room", "OUT": "patient_left_room"})
    at = ("03-11 09:30", "min", "ORC-9")
    assert events(*order("SC", written, "202603111030"), settings=site_rule)["patient_in_room"] == at
    assert events(*order("SC", "out", "202603111030"), settings=site_rule) == {"patient_left_room": at}
    assert events(*order("SC", written, "20260311"), settings=site_rule) == {}


def test_local_status_stands_before_the_table_and_may_stand_in_orc16_or_obr25() -> None:
    site_rule = configured(statuses={"CM": "report_dictated", "ROOM": "patient_in_room", "HM": "read_started"})
    assert set(events(*order("SC", "CM", "202603111030"), settings=site_rule)) == {"report_dictated"}
    reason = (header("ORM^O01"), PID, "ORC|XO|P1|F1||SC||||202603111030|||||||ROOM", "OBR|1|P1|F1|CT")
    assert set(events(*reason, settings=site_rule)) == {"patient_in_room"}
    found = row(*result("HM"), settings=site_rule)
    assert found["flags"] == []
    assert [event["event"] for event in found["events"]] == ["exam_started", "report_dictated", "read_started"]


def test_local_status_that_names_no_event_is_told_before_anything_is_read() -> None:
    (problem,) = check_extracts(configured(statuses={"IN_ROOM": "in_the_room", "OUT": "patient_left_room"}))
    assert problem.startswith("hl7.statuses: 'IN_ROOM' tells of 'in_the_room', which is no event; use one of ")
    assert "patient_in_room" in problem


def test_reason_of_a_cancelled_order_is_kept_as_coded_and_in_words() -> None:
    found = row(header("ORM^O01"), PID, "ORC|OC|P1|F1||||||202603111030|||||||PREG^Patient pregnant^L")
    assert (found["reason_code"], found["reason_text"]) == ("PREG", "Patient pregnant")


@pytest.mark.parametrize(
    ("coded", "expected"),
    [
        ("CT1^CT head^L^24725-4^CT Head^LN", ("CT1", "24725-4", "LN")),
        ("CT1^CT head^L^RPID2^CT HEAD^RADLEX", ("CT1", "RPID2", "RADLEX")),
        ("24725-4^CT Head^LN", ("24725-4", "24725-4", "LN")),
        ("24725-4^CT Head^ln^CT1^CT head^L", ("24725-4", "24725-4", "LN")),
        ("CT1^CT head^L^X1^CT head^99ABC", ("CT1", None, None)),
        ("CT1^CT head", ("CT1", None, None)),
    ],
)
def test_code_of_a_public_scheme(coded: str, expected: tuple[str | None, ...]) -> None:
    found = row(header("ORM^O01"), PID, "ORC|XO|P1", f"OBR|1|P1||{coded}")
    assert tuple(found[name] for name in ("procedure_code", "standard_code", "standard_scheme")) == expected


# --- order numbers


def test_number_longer_than_dicom_holds_also_gives_what_dicom_has() -> None:
    long = "RAD-2026-000123456789"
    message = (header("ORM^O01"), PID, "ORC|XO|P1", "OBR|1|P1" + "|" * 16 + long)
    found = row(*message)
    assert found["accession"] == KEY.pseudonym("order", long)
    assert found["accession_cut"] == KEY.pseudonym("order", "RAD-2026-0001234")
    stripped = SETTINGS.model_copy(update={"matching": Matching(strip_prefixes=("RAD-",))})
    found = row(*message, settings=stripped)
    assert found["accession"] == KEY.pseudonym("order", "2026-000123456789")
    assert found["accession_cut"] == KEY.pseudonym("order", "2026-0001234")
    assert row(header("ORM^O01"), PID, "ORC|XO|P1|F1")["accession_cut"] is None


def test_numbers_are_compared_in_the_configured_form() -> None:
    plain = Matching(strip_prefixes=("rad-",), strip_leading_zeros=True, accession_scope="site")
    scoped = SETTINGS.model_copy(update={"matching": plain})
    found = row(header("ORM^O01"), PID, "ORC|XO|00P1|Rad-007", settings=scoped)
    assert found["placer"] == KEY.pseudonym("order", plain.number("P1", "NORTH"))
    assert found["filler"] == KEY.pseudonym("order", plain.number("7", "NORTH"))
    west = row(header("ORM^O01", facility="West Clinic"), PID, "ORC|XO|00P1|Rad-007", settings=scoped)
    assert west["filler"] != found["filler"]
    assert west["patient"] == found["patient"]


def test_requested_procedure_is_ipc2_or_obr19_beside_an_accession_in_obr18() -> None:
    ihe = (header("ORM^O01"), PID, "ORC|NW|P1", "OBR|1|P1" + "|" * 16 + "A1|RP1|SPS1", "ZDS|1.2.3")
    assert row(*ihe)["procedure_request"] == KEY.pseudonym("order", "RP1")
    assert row(header("ORM^O01"), PID, "ORC|NW|P1|F1", "OBR|1|P1" + "|" * 17 + "OTHER")["procedure_request"] is None
    imaging = row(header("OMI^O23"), PID, "ORC|NW|P1", "OBR|1|P1", "IPC|A7|RP7|1.2.3|SPS1|MR|MR1|SCANNER2||MR2_AE")
    assert imaging["procedure_request"] == KEY.pseudonym("order", "RP7")
    assert (imaging["station"], imaging["ae_title"]) == ("SCANNER2", "MR2_AE")


def test_treatment_order_is_no_imaging_unless_its_section_says_so() -> None:
    found = row(header("OMP^O09"), PID, "ORC|NW|P1||||||||20260311", "RXO|ASA^Aspirin^L")
    assert (found["imaging"], found["procedure_code"], found["message_type"]) == (False, "ASA", "OMP^O09")
    section = "|".join(["OBR", "1", "P1", *[""] * 21, "RAD"])
    assert row(header("OMP^O09"), PID, "ORC|NW|P1", "RXO|TC99M^Tracer^L", section)["imaging"] is True


# --- results


def test_reader_of_a_firm_gives_its_group() -> None:
    of_firm = result("F")[3].replace("77&READER&B", "77&READER&B^20260311^20260311^NEURO^^^NIGHTRAD&1.2&ISO")
    found = row(*result("F")[:3], of_firm)
    assert (found["reader"], found["reader_group"]) == (KEY.pseudonym("person", "77"), "NIGHTRAD")
    assert row(*result("F")[:3], of_firm.replace("NIGHTRAD&1.2&ISO", ""))["reader_group"] == "NEURO"


def test_report_time_falls_back_to_the_readers_end() -> None:
    message = result("F", obr22="")
    with_end = message[3].replace("77&READER&B", "77&READER&B^202603111000^202603111045")
    assert events(*message[:3], with_end)["report_final"] == ("03-11 09:45", "min", "OBR-32.3")


@pytest.mark.parametrize(
    ("obr25", "lines", "expected", "flagged"),
    [
        ("", ["F", "F"], {"report_final"}, True),
        ("", ["P"], {"report_preliminary"}, True),
        ("", ["F", "P"], set(), False),
        ("", ["", ""], set(), False),
        ("F", ["F", "C"], {"report_final", "report_corrected"}, False),
        ("F", ["F", "W"], {"report_final", "report_corrected"}, False),
        ("P", ["F", "D"], {"report_preliminary"}, False),
        ("C", ["C"], {"report_corrected"}, False),
    ],
)
def test_status_of_the_report_and_of_its_lines(obr25: str, lines: list[str], expected: set[str], flagged: bool) -> None:
    obx = [f"OBX|{number}|TX|GDT||Line.||||||{status}" for number, status in enumerate(lines, 1)]
    found = row(*result(obr25, obr7="")[:4], *obx)
    assert {event["event"] for event in found["events"]} == expected
    assert any(flag.startswith("OBR-25: empty") for flag in found["flags"]) is flagged
    assert found["result_status"] == (obr25 or None)


def test_withdrawn_lines_are_no_part_of_the_report() -> None:
    kept = row(*result("F")[:4], "OBX|1|TX|||Clear.||||||F")
    with_more = row(*result("F")[:4], "OBX|1|TX|||Clear.||||||F", "OBX|2|TX|||Of another patient.||||||W")
    assert with_more["text_digest"] == kept["text_digest"]


# --- appointments


def appointment(trigger: str = "S12", **fields: str) -> Row:
    """An SIU message; `SCH6`, `AIS7` … name the fields that are filled."""
    segments = {"SCH": {2: "AF1"}, "TQ1": {}, "AIS": {3: "CTCHEST^CT chest^L"}, "AIG": {}, "AIL": {}}
    for place, text in fields.items():
        segments[place[:3]][int(place[3:])] = text
    lines = [
        "|".join([name, *(filled.get(n, "") for n in range(1, 28))]) for name, filled in segments.items() if filled
    ]
    return row(header(f"SIU^{trigger}"), lines[0], PID, *lines[1:])


@pytest.mark.parametrize(
    ("fields", "minutes"),
    [
        ({"SCH9": "45", "SCH10": "min"}, 45),
        ({"SCH9": "45", "SCH10": "MIN"}, 45),
        ({"SCH9": "45"}, 45),
        ({"SCH9": "1.5", "SCH10": "h"}, 90),
        ({"SCH9": "3600", "SCH10": "s"}, 60),
        ({"SCH9": "3600"}, 60),
        ({"SCH9": "60", "SCH10": "s", "AIS7": "50", "AIS8": "min^Minutes^ISO"}, 50),
        ({"AIS7": "3600.000", "AIS8": "s"}, 60),
        ({"SCH9": "30", "SCH10": "Minutes"}, 30),
        ({"SCH11": "^^^20260325140000^20260325143000"}, 30),
        ({"TQ17": "20260325140000", "TQ18": "20260325152000"}, 80),
        ({"SCH11": "^^^20261025014500^20261025021500+0100"}, 90),
        ({"SCH11": "^^^20260325140000^20260325130000"}, None),
        ({"SCH9": "-5", "SCH10": "min"}, None),
        ({"SCH9": "5", "SCH10": "blocks"}, None),
        ({"SCH9": "many"}, None),
        ({"SCH9": "0", "SCH10": "min"}, None),
        ({"SCH9": "40", "SCH10": "h"}, None),
        ({}, None),
    ],
)
def test_booked_minutes(fields: dict[str, str], minutes: float | None) -> None:
    found = appointment(**fields)
    assert found["scheduled_minutes"] == (None if minutes is None else pytest.approx(minutes))
    assert any("bad-duration" in flag for flag in found["flags"]) is (minutes is None and "SCH9" in fields)


@pytest.mark.parametrize(
    ("trigger", "reason"),
    [("S12", None), ("S13", "SICK"), ("S14", None), ("S15", "SICK"), ("S16", "SICK"), ("S17", "SICK"), ("S26", "SICK")],
)
def test_reason_belongs_to_what_became_of_the_appointment(trigger: str, reason: str | None) -> None:
    found = appointment(trigger, SCH6="SICK^Patient is ill^L", SCH7="ROUTINE")
    assert (found["reason_code"], found["reason_text"]) == (reason, reason and "Patient is ill")


def test_appointment_never_has_the_number_of_an_order() -> None:
    found = appointment(SCH1="P1", SCH2="P1")
    assert found["filler"] == found["appointment"] == KEY.pseudonym("order", "SCH:P1")
    assert found["placer"] is None
    assert found["filler"] not in {row(*order("NW"))[name] for name in ("placer", "filler", "accession")}
    of_order = appointment(SCH1="AP1", SCH26="P1", SCH27="F1")
    assert (of_order["placer"], of_order["filler"]) == (KEY.pseudonym("order", "P1"), KEY.pseudonym("order", "F1"))
    assert of_order["appointment"] == KEY.pseudonym("order", "SCH:AF1")


@pytest.mark.parametrize(
    ("fields", "station"),
    [
        ({"AIG3": "CT1^CT scanner^L"}, "CT1"),
        ({"AIL3": "ROOM2^Imaging Room^^North", "AIG3": "CT1"}, "ROOM2"),
        ({"AIL3": "^Imaging Room^^North"}, "Imaging Room"),
        ({"AIG3": "4567^CARDIOLOGIST^HEART", "AIG4": "P"}, None),
        ({}, None),
    ],
)
def test_station_is_the_room_or_the_device_and_never_a_person(fields: dict[str, str], station: str | None) -> None:
    assert appointment(**fields)["station"] == station


# --- visits and identities


def visit_of(
    trigger: str, patient_class: str, evn: str = "202603110905", admitted: str = "", visit: str = "V1"
) -> Offered:
    segment = "|".join(["PV1", "1", patient_class, "ED^1", *[""] * 15, visit, *[""] * 24, admitted])
    return read(header(f"ADT^{trigger}"), f"EVN|{trigger}|20260311090500||||{evn}", PID, segment)


@pytest.mark.parametrize(
    ("trigger", "patient_class", "admitted", "arrival"),
    [
        ("A04", "E", "202603110901", ("08:01", "PV1-44")),
        ("A04", "E", "", ("08:05", "EVN-6")),
        ("A01", "E", "", ("08:05", "EVN-6")),
        ("A10", "e", "", ("08:05", "EVN-6")),
        ("A08", "E", "202603110901", ("08:01", "PV1-44")),
        ("A08", "E", "", None),
        ("A01", "I", "202603110901", None),
        ("A04", "O", "", None),
        ("A04", "E", "20260311", None),
    ],
)
def test_arrival_at_the_door_is_that_of_an_emergency(
    trigger: str, patient_class: str, admitted: str, arrival: tuple[str, str] | None
) -> None:
    offered = visit_of(trigger, patient_class, admitted=admitted)
    (found,) = offered.rows["workflow"]
    (person,) = offered.rows["patient"]
    assert [(f"{one['at']:%H:%M}", one["field"]) for one in found["events"]] == ([arrival] if arrival else [])
    assert {one["event"] for one in found["events"]} <= {"emergency_arrival"}
    assert found["visit"] == KEY.pseudonym("visit", "V1")
    assert (found["patient"], found["patient_class"]) == (person["patient"], patient_class)
    assert set(found) <= set(polars_schema("workflow"))
    assert not {"placer", "filler", "accession", "study_uid", "imaging"} & set(found)


def test_arrival_without_evn6_is_when_the_event_was_recorded() -> None:
    (found,) = visit_of("A04", "E", evn="").rows["workflow"]
    assert [one["field"] for one in found["events"]] == ["EVN-2"]


@pytest.mark.parametrize(
    ("trigger", "patient_class", "visit"), [("A04", "", "V1"), ("A04", "E", ""), ("A03", "E", "V1")]
)
def test_messages_that_tell_of_no_visit(trigger: str, patient_class: str, visit: str) -> None:
    assert set(visit_of(trigger, patient_class, visit=visit).rows) == {"patient"}


def test_unlinking_takes_back_what_made_two_patients_one() -> None:
    rows = patients("ADT^A37", PID, "PID|2||N2^^^NORTH^MR")
    pair = (KEY.pseudonym("patient", "N1"), KEY.pseudonym("patient", "N2"))
    assert [(one["patient"], one["merged"], one.get("undoes")) for one in rows] == [
        (pair[0], None, None),
        (pair[1], None, None),
        (*pair, True),
    ]
    assert len({one["position"] for one in rows}) == 3
    assert all(set(one) <= set(polars_schema("patient")) for one in rows)


@pytest.mark.parametrize("trigger", ["A24", "A43", "A44"])
def test_links_and_moves_leave_two_identities(trigger: str) -> None:
    rows = patients(f"ADT^{trigger}", PID, "PID|2||N2^^^NORTH^MR")
    assert [(one["merged"], one.get("undoes")) for one in rows] == [(None, None)] * 2


@pytest.mark.parametrize(
    ("kind", "fields", "amount"),
    [
        ("CG", ("2", "100.10"), "100.10"),
        ("CG", ("-2", "100.10"), "-100.10"),
        ("CG", ("-2", "-100.10"), "-100.10"),
        ("CG", ("-2", "", "50.05"), "-100.10"),
        ("CD", ("2", "-100.10"), "100.10"),
        ("CR", ("-2", "", "50.05"), "100.10"),
        ("CR", ("", "", "50.05"), "50.05"),
    ],
)
def test_reversal_is_said_by_kind_or_sign_and_never_twice(kind: str, fields: tuple[str, ...], amount: str) -> None:
    found = row(header("DFT^P03"), PID, charge("20260310", "", kind, "71046", "", "", *fields))
    assert found["charge_amount"] == Decimal(amount)


# --- traps of the workflow reference, each worked by hand


def test_trap_report_after_two_hours_is_not_at_the_time_of_the_exam() -> None:
    """OBR-7 09:00, OBR-22 11:30: from completion at 09:20 (08:20 UTC) to the report are 130 min."""
    found = row(*result("F", obr7="20260311090000", obr22="20260311113000"))
    final = next(event["at"] for event in found["events"] if event["event"] == "report_final")
    assert (final - datetime(2026, 3, 11, 8, 20, tzinfo=UTC)).total_seconds() / 60 == 130


@pytest.mark.parametrize(
    ("zone", "start", "end", "minutes"),
    [("+0200", "20261025015000", "20261025021000+0100", 80), ("", "20260329015000", "20260329031000", 20)],
)
def test_trap_nights_when_clocks_change(zone: str, start: str, end: str, minutes: int) -> None:
    started, ended = (
        row(header("ORM^O01"), PID, f"ORC|SC|P1|||{status}||||{at}")["events"][0]["at"]
        for status, at in (("IP", start + zone), ("CM", end))
    )
    assert (ended - started).total_seconds() / 60 == minutes


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((("CA", ""), ("UC", "SC")), ["cancel_requested", "cancel_refused"]),
        ((("CA", ""), ("CR", "CA")), ["cancel_requested", "order_cancelled"]),
    ],
)
def test_trap_request_to_cancel_is_a_wish(messages: tuple[tuple[str, str], ...], expected: list[str]) -> None:
    assert [name for one in messages for name in events(*order(*one, "202603111030"))] == expected


def test_trap_second_final_report_with_new_text_has_another_digest() -> None:
    first, again, added = (
        row(*result("F", obr22=at)[:4], f"OBX|1|TX|GDT||{text}||||||F")
        for at, text in (
            ("202603111130", "Clear."),
            ("202603111200", "Clear."),
            ("202603111300", "Clear. Old fracture."),
        )
    )
    assert first["text_digest"] == again["text_digest"] != added["text_digest"]


def test_trap_replayed_message_with_a_new_control_id_says_the_same() -> None:
    first = row(*result("F"))
    again = row(result("F")[0].replace("|C1|", "|C2|"), *result("F")[1:])
    assert first == again
    assert read(*result("F")).digest != read(result("F")[0].replace("|C1|", "|C2|"), *result("F")[1:]).digest


def test_trap_times_without_a_clock_keep_their_precision() -> None:
    assert events(*order("OC", "", "20260311"))["order_cancelled"][1] == "d"
    assert events(*order("OC", "", "2026031110"))["order_cancelled"][1] == "h"
    assert events(*order("SC", "CM", "2026031110")) == {}


def test_trap_empty_planned_time_deletes_nothing_and_says_nothing() -> None:
    scheduled = (header("ORM^O01"), PID, 'ORC|SC|P1|F1||SC||^^^""||202603111030', "OBR|1|P1|F1|CT")
    found = row(*scheduled)
    assert found["events"] == []
    assert found["flags"] == []
