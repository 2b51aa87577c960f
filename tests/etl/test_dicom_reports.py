"""Dose reports changed in one way: re-encoded, cut, flipped, with odd numbers, units, codes and identifiers.

The items of the mutation catalogue (`bad/MUTATIONS.md`) that concern dose reports, by their numbers.
"""

from __future__ import annotations

import io
import random
import zlib
from pathlib import Path
from typing import Any

import polars as pl
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from etl.lake.schema import polars_schema
from etl.sources.contract import Context, Input, Offered, Row, Verdict
from etl.sources.dicom.reader import READER
from etl.sources.dose.dose_codes import EVENT_COLUMNS
from settings import Settings
from state.identity import Pseudonymiser

FILES = Path(__file__).parents[3] / "shared" / "data" / "dose" / "files"
with_shared = pytest.mark.skipif(not FILES.is_dir(), reason="the shared dose objects are not there")
CONTEXT = Context(Settings(), Pseudonymiser(b"k" * 32))
SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "big": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
}


def load(content: bytes) -> Offered | None:
    """What the reader makes of the bytes; None where it does not claim them."""
    if not READER.claims(content[:4096], "report", CONTEXT.settings):
        return None
    (offered,) = READER.read(Input("report", len(content), lambda: io.BytesIO(content)), CONTEXT)
    return offered


def facts(offered: Offered | None) -> dict[str, list[Row]]:
    """Rows without what depends on the bytes."""
    assert offered is not None
    assert offered.verdict is Verdict.ACCEPTED, offered.reject
    return {table: [{**row, "input_digest": ""} for row in rows] for table, rows in offered.rows.items()}


def code(value: str, scheme: str = "DCM", meaning: str = "meaning") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def content(value_type: str, concept: str, scheme: str = "DCM", **elements: Any) -> Dataset:
    item = Dataset()
    item.ValueType, item.ConceptNameCodeSequence = value_type, [code(concept, scheme)]
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def number(concept: str, text: str | None, unit: str, scheme: str = "DCM") -> Dataset:
    measured = Dataset()
    measured.add_new("NumericValue", "LO", text)
    measured.MeasurementUnitsCodeSequence = [code(unit, "UCUM")]
    return content("NUM", concept, scheme, MeasuredValueSequence=[measured] if text is not None else [])


def ct_event(dlp: str | None = "100.5", unit: str = "mGy.cm", uid: str | None = "1.2.3.4.1", **more: Any) -> Dataset:
    dose = content("CONTAINER", "113829")
    dose.ContentSequence = [
        number("113838", dlp, unit, more.get("scheme", "DCM")),
        number("113830", more.get("ctdi", "5.5"), "mGy"),
    ]
    event = content("CONTAINER", "113819", ContentSequence=[dose])
    if uid:
        event.ContentSequence.insert(0, content("UIDREF", "113769", UID=uid))
    return event


def report(*events: Dataset, dlp_total: str = "201.0", stated: str | None = None, **elements: Any) -> Dataset:
    total = content("CONTAINER", "113811")
    total.ContentSequence = [
        number("113812", stated or str(len(events)), "{events}"),
        number("113813", dlp_total, "mGy.cm"),
    ]
    root = content("CONTAINER", "113701", ContentSequence=[total, *events])
    root.SOPClassUID, root.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.67", "1.2.826.0.1.3680043.8.498.10"
    root.StudyInstanceUID, root.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.11", "1.2.826.0.1.3680043.8.498.12"
    root.StudyDate, root.StudyTime, root.Modality = "20260301", "100000", "SR"
    root.PatientID, root.DeviceSerialNumber = "P-1", "4711"
    for keyword, value in elements.items():
        setattr(root, keyword, value)
    return root


def two_events() -> Dataset:
    return report(ct_event(uid="1.2.3.4.1"), ct_event(uid="1.2.3.4.2"))


def encoded(data: Dataset, syntax: str = "explicit", undefined: bool = False, preamble: bytes = b"\0" * 128) -> bytes:
    fresh = Dataset.from_json(data.to_json_dict()) if syntax == "big" else data
    if undefined:
        _mark_undefined(fresh)
    body = io.BytesIO()
    dcmwrite(body, fresh, implicit_vr=syntax == "implicit", little_endian=syntax != "big", force_encoding=True)
    uid = SYNTAXES[syntax].encode()
    raw = body.getvalue()
    if syntax == "deflated":
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        raw = deflate.compress(raw) + deflate.flush()
    uid += b"\0" * (len(uid) % 2)
    return preamble + b"DICM\x02\x00\x10\x00UI" + len(uid).to_bytes(2, "little") + uid + raw


def _mark_undefined(data: Dataset) -> None:
    for element in data:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                _mark_undefined(item)


def events_of(data: Dataset) -> list[Row]:
    return facts(load(encoded(data)))["irradiation_event"]


# 8: re-encoding


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_same_report_in_every_encoding(syntax: str, undefined: bool) -> None:
    control = facts(load(encoded(two_events())))
    assert facts(load(encoded(two_events(), syntax, undefined, preamble=b"II*\0".ljust(128, b"\7")))) == control
    assert [row["dlp_mgycm"] for row in control["irradiation_event"]] == [100.5, 100.5]


@with_shared
@pytest.mark.parametrize("name", ["CT-RDSR-Siemens_Flash-TAP-SS.dcm", "MG-RDSR-Hologic_2D.dcm", "NM-RRDSR-Siemens.dcm"])
@pytest.mark.parametrize("syntax", ["implicit", "deflated"])
def test_a_real_report_re_encoded(name: str, syntax: str) -> None:
    original = pydicom.dcmread(FILES / name)
    plain = Dataset()
    for element in original:
        plain.add(element)
    again = encoded(plain, syntax, undefined=True)
    assert facts(load(again)) == facts(load((FILES / name).read_bytes()))


# 2, 12: cuts


def whole_or_refused(offered: Offered | None, control: dict[str, list[Row]]) -> bool:
    """Whether a cut copy is refused, not claimed at all, or says exactly what the whole one says."""
    if offered is None or offered.verdict is Verdict.REJECTED:
        return True
    return offered.verdict is Verdict.ACCEPTED and facts(offered) == control


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_cut_of_a_report_is_refused(syntax: str, undefined: bool) -> None:
    whole = encoded(two_events(), syntax, undefined)
    control = facts(load(whole))
    for length in range(len(whole)):
        assert whole_or_refused(load(whole[:length]), control), length


@with_shared
@pytest.mark.parametrize("name", ["DX-RDSR-Canon_CXDI.dcm", "RF-ESR-Siemens-Varic.dcm"])
def test_every_cut_of_a_small_real_report_is_refused(name: str) -> None:
    whole = (FILES / name).read_bytes()
    control = facts(load(whole))
    for length in range(len(whole)):
        assert whole_or_refused(load(whole[:length]), control), length


@with_shared
@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["CT-RDSR-Siemens-Continued-1.dcm", "RF-RDSR-Philips_Allura.dcm", "MG-RDSR-Giotto-DBT.dcm"]),
    st.floats(0, 1),
)
def test_any_cut_of_a_real_report_is_refused(name: str, share: float) -> None:
    whole = (FILES / name).read_bytes()
    offered = load(whole[: int(share * (len(whole) - 1))])
    assert whole_or_refused(offered, facts(load(whole)))


def test_a_cut_filled_with_zeros_is_refused_or_flagged() -> None:
    whole = encoded(two_events(), undefined=True)
    for length in range(140, len(whole), 7):
        offered = load(whole[:length].ljust(len(whole) + 64, b"\0"))
        assert offered is not None
        if offered.verdict is Verdict.ACCEPTED:
            assert any("trailing-data" in flag for flag in offered.rows["dose_report"][0]["flags"])


def test_two_reports_in_one_file_are_refused() -> None:
    whole = encoded(two_events())
    offered = load(whole + whole)
    assert offered is not None
    assert offered.verdict is Verdict.REJECTED


def test_lost_events_show_against_what_the_report_states() -> None:
    (row,) = facts(load(encoded(report(ct_event(), stated="2"))))["dose_report"]
    assert row["flags"] == [
        "events_stated: 2 stated, 1 found",
        "dlp_total_mgycm: stated 201, events sum to 100.5",
    ]


# 3: flipped bits, and other damage


def damaged(whole: bytes, chance: random.Random) -> bytes:
    """The bytes with flips, a copied stretch, a lost stretch or a telling value somewhere."""
    data = bytearray(whole)
    at, length = chance.randrange(len(data)), chance.randint(1, 60)
    match chance.randrange(4):
        case 0:
            for _ in range(chance.randint(1, 16)):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        case 1:
            start = chance.randrange(len(data))
            data[at : at + length] = data[start : start + length]
        case 2:
            del data[at : at + length]
        case _:
            data[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"9999", b"\xfe\xff\x00\xe0"])
    return bytes(data)


SMALL = sorted(path.name for path in FILES.glob("*") if path.stat().st_size < 40_000)


@with_shared
@settings(max_examples=400, deadline=None)
@given(st.sampled_from(SMALL or [""]), st.integers(0, 2**32))
def test_damage_ends_in_a_verdict_and_rows_that_fit_their_table(name: str, seed: int) -> None:
    offered = load(damaged((FILES / name).read_bytes(), random.Random(seed)))
    for table, rows in (offered.rows if offered else {}).items():
        assert pl.DataFrame(rows, schema=polars_schema(table), strict=True).height == len(rows)


# 10, 11: event UIDs


def test_an_event_uid_twice_is_flagged() -> None:
    rows = events_of(report(ct_event(), ct_event()))
    assert [row["event_uid"] for row in rows] == ["1.2.3.4.1", "1.2.3.4.1"]
    assert rows[1]["flags"] == ["event_uid: stands twice in this object"]


def test_events_without_uid_are_never_merged() -> None:
    rows = events_of(report(ct_event(uid=None), ct_event(uid=None)))
    assert len({row["event_uid"] for row in rows}) == 2
    assert all(row["event_uid_derived"] and row["event_uid"].startswith("2.25.") for row in rows)
    again = events_of(report(ct_event(uid=None), ct_event(uid=None), SOPInstanceUID="1.2.826.0.1.3680043.8.498.99"))
    assert [row["event_uid"] for row in again] == [row["event_uid"] for row in rows]


# 14, 15: numbers and units


@pytest.mark.parametrize(("text", "value", "flag"), [
    ("100.5", 100.5, None),
    ("0", 0.0, None),
    ("1.005E+02", 100.5, None),
    ("1.005e+002", 100.5, None),
    (" 100.5 ", 100.5, None),
    ("-1", None, "implausible"),
    ("1e-30", None, "implausible"),
    ("1e6", None, "implausible"),
    ("1e308", None, "implausible"),
    ("1e9999", None, "implausible"),
    ("1e99999999", None, "no number"),
    ("NaN", None, "no number"),
    ("Infinity", None, "no number"),
    ("12,5", None, "no number"),
    ("1_000", None, "no number"),
    ("about ten", None, "no number"),
    ("", None, None),
    (None, None, None),
])  # fmt: skip
def test_numbers(text: str | None, value: float | None, flag: str | None) -> None:
    (row,) = events_of(report(ct_event(dlp=text)))
    assert row.get("dlp_mgycm") == value
    doubts = [doubt for doubt in row["flags"] if doubt.startswith("dlp_mgycm")]
    assert [doubt.split(": ")[1].startswith(flag or "") for doubt in doubts] == ([True] if flag else [])
    (figure,) = [figure for figure in row["stated"] if figure["path"] == "113829/113838"]
    assert figure["text"] == ((text or "").strip() or None)
    assert figure["value"] == value


def test_two_values_are_both_kept_and_the_first_counts() -> None:
    (row,) = events_of(report(ct_event(dlp="10\\20")))
    assert row["dlp_mgycm"] == 10
    assert [figure["text"] for figure in row["stated"] if figure["column"] == "dlp_mgycm"] == ["10", "20"]


@pytest.mark.parametrize(("unit", "value"), [
    ("mGy.cm", 100.5), ("mGycm", 100.5), ("Gy.cm", None), ("mGy·cm", 100.5), ("furlong", None), ("", None), ("mGy", None), ("MGy.cm", None),
])  # fmt: skip
def test_units(unit: str, value: float | None) -> None:
    """100.5 Gy·cm would be 100500 mGy·cm: converted, and then implausible."""
    (row,) = events_of(report(ct_event(unit=unit)))
    assert row.get("dlp_mgycm") == value
    assert bool([flag for flag in row["flags"] if flag.startswith("dlp_mgycm")]) is (value is None)


# 16: schemes


def test_a_private_scheme_is_another_concept() -> None:
    (row,) = events_of(report(ct_event(scheme="99VENDOR")))
    assert row.get("dlp_mgycm") is None
    assert {"path": "113829/113838", "column": None, "text": "100.5", "unit": "mGy.cm", "value": None} in row["stated"]


@pytest.mark.parametrize(("value", "scheme"), [("P5-08001", "SRT"), ("P5-08001", "SNM3"), ("116152004", "SCT")])
def test_old_and_new_snomed_codes_are_one(value: str, scheme: str) -> None:
    event = ct_event()
    event.ContentSequence.append(content("CODE", "113820", ConceptCodeSequence=[code(value, scheme, "anything")]))
    (row,) = events_of(report(event))
    assert row["acquisition_type"] == "116152004"


def test_a_code_item_without_a_code_is_passed_over() -> None:
    event = ct_event()
    event.ContentSequence.append(content("CODE", "113820"))
    (row,) = events_of(report(event))
    assert "acquisition_type" not in row


def test_persons_and_comments_are_not_kept() -> None:
    event = ct_event()
    person = content("PNAME", "113870", PersonName="Secret^Name")
    person.ContentSequence = [content("TEXT", "113873", TextValue="Secret Organisation")]
    event.ContentSequence += [person, content("TEXT", "121106", TextValue="Secret comment")]
    assert "Secret" not in str(events_of(report(event)))


# 13: identifiers


@pytest.mark.parametrize(
    ("keyword", "reason"), [("StudyInstanceUID", "missing-study-uid"), ("SOPInstanceUID", "missing-sop-instance-uid")]
)
def test_a_report_without_its_identifiers_is_refused(keyword: str, reason: str) -> None:
    offered = load(encoded(report(ct_event(), **{keyword: ""})))
    assert offered is not None
    assert offered.reject is not None
    assert (offered.verdict, offered.reject.reason) == (Verdict.REJECTED, reason)


def test_a_dose_class_without_a_dose_report_is_refused() -> None:
    offered = load(encoded(report(ct_event(), ConceptNameCodeSequence=[code("1", "99X")])))
    assert offered is not None
    assert offered.reject is not None
    assert (offered.source, offered.reject.reason) == ("rdsr", "unknown-dose-report")


@pytest.mark.parametrize(("sop_class", "object_class", "rank"), [
    ("1.2.840.10008.5.1.4.1.1.88.67", "rdsr", 1), ("1.2.840.10008.5.1.4.1.1.88.22", "enhanced_sr", 2),
])  # fmt: skip
def test_the_root_concept_decides(sop_class: str, object_class: str, rank: int) -> None:
    (row,) = events_of(report(ct_event(), SOPClassUID=sop_class))
    assert (row["object_class"], row["object_rank"], row["event_kind"], row["position"]) == (
        object_class,
        rank,
        "ct",
        "event 1",
    )


# 17, 18, 19, 20


@pytest.mark.parametrize("value_type", ["NUM", "CODE", "TEXT", "DATETIME", "UIDREF", "CONTAINER", "PNAME", "", "ZZ"])
def test_any_value_type_under_any_concept_fits_the_table(value_type: str) -> None:
    """Each concept that has a column, with a value type that is not its own: no figure of another kind gets in."""
    event = ct_event()
    for key in EVENT_COLUMNS:
        scheme, concept = key.split(":")
        item = number(concept, "1.5", "mGy", scheme)
        item.ValueType, item.TextValue, item.DateTime, item.UID = value_type, "Secret text", "20260301101500", "1.2.3"
        item.ConceptCodeSequence = [code("113691")]
        event.ContentSequence.append(item)
    rows = events_of(report(event))
    assert pl.DataFrame(rows, schema=polars_schema("irradiation_event"), strict=True).height == 1


def test_value_representation_un_for_all() -> None:
    data = report(ct_event())
    for element in list(data):
        if element.VR != "SQ":
            element.VR = "UN"
            element.value = str(element.value).encode() + b" " * (len(str(element.value)) % 2)
    assert facts(load(encoded(data)))["irradiation_event"][0]["dlp_mgycm"] == 100.5


def test_content_nested_too_deep_is_refused() -> None:
    inner = ct_event()
    for _ in range(70):
        inner = content("CONTAINER", "113819", ContentSequence=[inner])
    offered = load(encoded(report(inner)))
    assert offered is not None
    assert offered.reject is not None
    assert offered.reject.reason == "nesting-too-deep"


@pytest.mark.parametrize("change", [-2, -1, 1, 2, 0xFFFFFFF0])
def test_a_wrong_length_field_is_refused(change: int) -> None:
    """The length of the Content Sequence (0040,A730), off by one or two or 4 GB."""
    whole = encoded(two_events())
    at = whole.index(b"\x40\x00\x30\xa7SQ\0\0") + 8
    length = (int.from_bytes(whole[at : at + 4], "little") + change) & 0xFFFFFFFF
    offered = load(whole[:at] + length.to_bytes(4, "little") + whole[at + 4 :])
    assert offered is not None
    assert offered.verdict is Verdict.REJECTED


def test_a_large_private_block_changes_nothing() -> None:
    data = two_events()
    block = data.private_block(0x0029, "VENDOR", create=True)
    block.add_new(0x01, "OB", b"\xfe\xff\x00\xe0" * 5000)
    assert facts(load(encoded(data))) == facts(load(encoded(two_events())))


def test_a_deflated_bomb_is_refused_by_its_inflated_size() -> None:
    context = Context(Settings.model_validate({"limits": {"max_header_mb": 1}}), CONTEXT.pseudonymiser)
    data = report(ct_event(), SeriesDescription="x")
    data.add_new(0x00204000, "LT", " " * (8 << 20))
    bomb = encoded(data, "deflated")
    assert len(bomb) < 100_000
    (offered,) = READER.read(Input("bomb", len(bomb), lambda: io.BytesIO(bomb)), context)
    assert offered.reject is not None
    assert offered.reject.reason == "header-too-large"
