"""Framing, character sets and delimiters, and the truths of the shared message files."""

from __future__ import annotations

import io
import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hl7
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.sources.contract import Context, Input, Offered, Verdict
from etl.sources.hl7.framing import frames
from etl.sources.hl7.reader import READER
from settings import Hl7, Limits, Settings, Site
from state.identity import Pseudonymiser

DATA = Path(__file__).parents[3] / "shared" / "data"
KEY = Pseudonymiser(b"k" * 32)
SETTINGS = Settings(
    sites=(Site(code="NORTH", name="North", time_zone="Europe/Berlin"),), hl7=Hl7(processing_ids=("P", "T", "D", ""))
)
ORDER = "\r".join((
    "MSH|^~\\&|RIS|NORTH|ISO|HUB|20260311120000||ORM^O01|C1|P|2.5.1",
    "PID|1||N1^^^NORTH^MR||ROE^ALEX||19800229|F",
    "ORC|NW|P1|F1||||||202603111030",
    "OBR|1|P1|F1|CTCHEST^CT chest^L",
))  # fmt: skip
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the shared test data is not beside the repository")


def read(data: bytes, config: Settings = SETTINGS, name: str = "feed.hl7") -> list[Offered]:
    source = Input(name, len(data), lambda: io.BytesIO(data))
    return list(READER.read(source, Context(config, KEY, datetime(2026, 11, 24, tzinfo=UTC))))


def verdicts(offered: list[Offered]) -> list[str]:
    return [one.reject.reason if one.reject else one.verdict.value for one in offered]


def facts(offered: list[Offered]) -> list[Any]:
    """What the messages say, without the doubts about their form."""
    return [
        (one.verdict, {table: [{**row, "flags": []} for row in rows] for table, rows in one.rows.items()})
        for one in offered
    ]


CONTROL = read(ORDER.encode())


@pytest.mark.parametrize(
    "data",
    [
        ORDER.encode(),
        ORDER.encode() + b"\r",
        ORDER.replace("\r", "\n").encode(),
        ORDER.replace("\r", "\r\n").encode() + b"\r\n",
        ORDER.replace("\r", "\r\n", 1).replace("\rOBR", "\nOBR").encode(),
        b"\xef\xbb\xbf" + ORDER.encode(),
        b"\x0b" + ORDER.encode() + b"\r\x1c\r",
        b"\xef\xbb\xbf\x0b" + ORDER.encode() + b"\x1c\r",
        ORDER.encode("utf-16"),
        b"\xfe\xff" + ORDER.encode("utf-16-be"),
        ORDER.encode("utf-16-le"),
        b"FHS|^~\\&|RIS\rBHS|^~\\&|RIS\r" + ORDER.encode() + b"\rBTS|1\rFTS|1\r",
        b"/* a comment\r */\r" + ORDER.encode(),
        ORDER.replace("|", "#").replace("^", "*").encode(),
        ORDER.replace("PID|", "pid|").encode(),
    ],
)
def test_any_framing_gives_the_same_row(data: bytes) -> None:
    assert facts(read(data)) == facts(CONTROL)


@pytest.mark.parametrize("index", range(10))
def test_separators_and_framing_do_not_change_the_digest(index: int) -> None:
    data = test_any_framing_gives_the_same_row.pytestmark[0].args[1][index]
    assert [one.digest for one in read(data)] == [one.digest for one in CONTROL]


def test_broken_message_in_the_middle_costs_one_reject() -> None:
    data = b"\r".join(
        (ORDER.encode(), b"MSH|^~", ORDER.encode(), b"MSH|^~\\&|X\xff\xfe||||||ORM^O01||P", ORDER.encode())
    )
    assert verdicts(read(data)) == ["accepted", "no-message-type", "accepted", "no-order", "accepted"]


def test_batch_with_a_wrong_count_keeps_its_messages_and_flags_the_last() -> None:
    two = ORDER.encode() + b"\r" + ORDER.encode()
    offered = read(b"BHS|^~\\&\r" + two + b"\rBTS|3\rBHS|^~\\&\r" + two + b"\rBTS|2\rFTS|3")
    flags = [row["flags"] for one in offered for row in one.rows["workflow"]]
    assert flags == [
        [],
        ["BTS-1: batch-count-mismatch, says 3, came 2"],
        [],
        ["FTS-1: batch-count-mismatch, says 3, came 2"],
    ]


def test_block_without_end_is_rejected_alone() -> None:
    block = b"\x0b" + ORDER.encode() + b"\r"
    assert verdicts(read(block + b"\x1c\r" + block)) == ["accepted", "truncated"]
    assert verdicts(read(block + block + b"\x1c\r")) == ["truncated", "accepted"]
    assert verdicts(read(b"\x0b" + ORDER.encode() + b"\r" + ORDER.encode() + b"\r\x1c\r")) == ["accepted", "accepted"]


def test_text_between_blocks_is_flagged() -> None:
    (one,) = read(b"\x0b" + ORDER.encode() + b"\r\x1c\rgarbage")
    assert one.rows["workflow"][0]["flags"] == ["MSH: text after the MLLP end block was left out"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", ["empty-file"]), (b"\r\n", ["empty-file"]), (b"hello", ["no-msh"]), (b"PID|1||N1", ["no-msh"]),
     (b"PID|1||N1\r" + ORDER.encode(), ["no-msh", "accepted"]), (b"<HL7Message/>", ["xml-encoding"])],
)  # fmt: skip
def test_files_without_a_message(data: bytes, expected: list[str]) -> None:
    assert verdicts(read(data)) == expected


def test_message_over_the_limit_is_rejected_and_the_next_is_read() -> None:
    small = SETTINGS.model_copy(update={"limits": Limits(max_message_mb=1)})
    huge = ORDER.encode() + b"\rOBX|1|TX|||" + b"x" * (5 << 20)
    assert verdicts(read(huge + b"\r" + ORDER.encode(), small)) == ["message-too-large", "accepted"]
    assert verdicts(read(ORDER.encode() + b"\r" + huge, small)) == ["accepted", "message-too-large"]


def test_line_breaks_in_text_are_joined_and_flagged() -> None:
    (one,) = read(ORDER.encode() + b"\rOBX|1|TX|GDT||first\nsecond line\nthird")
    (row,) = one.rows["workflow"]
    assert row["flags"] == ["OBX: a line that is no segment was joined to it"]


def named(name: str, charset: str, encoding: str) -> bytes:
    return ORDER.replace("ROE", name).replace("|2.5.1", "|2.5.1" + "|" * 6 + charset).encode(encoding)


@pytest.mark.parametrize(
    ("charset", "encoding", "name"),
    [
        ("UNICODE UTF-8", "utf-8", "MÜLLER"), ("UTF-8", "utf-8", "MÜLLER"), ("", "utf-8", "MÜLLER"), ("", "cp1252", "MÜLLER"),
        ("8859/1", "iso8859-1", "MÜLLER"), ("8859/2", "iso8859-2", "ŁUKASZ"), ("8859/5", "iso8859-5", "ИВАНОВ"),
        ("8859/7", "iso8859-7", "ΜΑΡΙΑ"), ("8859/15", "iso8859-15", "ŒUVRÉ"), ("ISO IR100", "iso8859-1", "MÜLLER"),
        ("GB 18030-2000", "gb18030", "王小东"), ("ISO IR87", "iso2022_jp", "山田"), ("KS X 1001", "euc_kr", "김희중"),
        ("BIG-5", "big5", "王小明"), ("8859/1~UNICODE UTF-8", "iso8859-1", "MÜLLER"),
    ],
)  # fmt: skip
def test_character_sets(charset: str, encoding: str, name: str) -> None:
    (one,) = read(named(name, charset, encoding))
    assert one.verdict is Verdict.ACCEPTED
    assert next(identity.name for identity in one.identities if identity.kind == "patient") == f"{name}^ALEX"


def test_bytes_that_are_not_what_is_stated_are_rejected_with_their_offset() -> None:
    data = named("MÜLLER", "UNICODE UTF-8", "iso8859-1")
    (one,) = read(data)
    assert one.reject is not None
    assert one.reject.reason == "bad-encoding"
    assert f"offset {data.index(b'LLER') - 1} " in one.reject.message
    assert "LLER" not in str(one.reject)


def test_unknown_character_set_is_flagged() -> None:
    (one,) = read(named("MÜLLER", "ISO IR 999", "utf-8"))
    assert one.rows["workflow"][0]["flags"] == ["MSH-18: unknown character set 'ISO IR 999', read as UTF-8"]
    assert verdicts(read(named("MÜLLER", "ISO IR 999", "iso8859-1"))) == ["bad-encoding"]


@pytest.mark.parametrize(
    ("head", "name", "claimed"),
    [
        (b"MSH|^~\\&|A", "x", True), (b"\x0bMSH|^~\\&", "x", True), (b"FHS|^~\\&", "x.txt", True), ("MSH|".encode("utf-16"), "x", True),
        (b"// note\nMSH|^~\\&", "x", True), (b"PID|1|", "x.txt", True), (b"", "x.hl7", True), (b"", "x.txt", False),
        (b"MSHA,b\n", "x.txt", False), (b"a,b\n1,2", "x.csv", False), (b"\0" * 128 + b"DICM", "x", False),
        (b"<HL7Message>", "x.xml", True), (b"<html>", "x.xml", False), (b"{}", "x.json", False),
    ],
)  # fmt: skip
def test_claims(head: bytes, name: str, claimed: bool) -> None:
    assert READER.claims(head, name, SETTINGS) is claimed


class Feed(io.RawIOBase):
    """A file of many messages that is never in memory as a whole."""

    def __init__(self, messages: int) -> None:
        self._left = messages

    def read(self, size: int = -1, /) -> bytes:
        taken = min(self._left, 500)
        self._left -= taken
        return (ORDER.encode() + b"\r") * taken


def test_memory_is_flat_in_the_number_of_messages() -> None:
    def peak(messages: int) -> int:
        tracemalloc.start()
        assert sum(1 for _ in frames(Feed(messages), 16 << 20)) == messages
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(50_000) < 2 * peak(5_000)


# --- properties

SIGNS = "|^~\\&#!@$%*+;:<>=?/"
TEXT = st.text(st.sampled_from("ab XY01.|^~\\&#!@$%*+;:<>=?/é\n"), max_size=12)


def message(signs: str, values: dict[str, str]) -> str:
    """An order with the values escaped for the delimiters `signs` (field, component, repetition, escape, subcomponent)."""
    field, component, repetition, escape, sub = signs
    codes = {field: "F", component: "S", repetition: "R", escape: "E", sub: "T", "\n": "X0A"}

    def written(name: str) -> str:
        return "".join(f"{escape}{codes[char]}{escape}" if char in codes else char for char in values[name])

    segments = [
        [
            f"MSH{field}{component}{repetition}{escape}{sub}",
            "RIS",
            "NORTH",
            "ISO",
            "HUB",
            "20260311120000",
            "",
            f"ORM{component}O01",
            "C",
            "P",
            "2.5.1",
        ],
        ["PID", "1", "", f"N{written('patient')}{component * 3}NORTH", "", f"{written('name')}{component}ALEX"],
        ["ORC", "NW", f"P{written('placer')}", "F1"],
        ["OBR", "1", "", "", f"CODE{component}{written('procedure')}{component}L"],
        ["OBX", "1", "TX", "GDT", "", written("report")],
    ]
    return "\r".join(field.join(segment) for segment in segments)


@settings(max_examples=150, deadline=None)
@given(
    st.permutations(SIGNS).map(lambda signs: "".join(signs[:5])),
    st.fixed_dictionaries(dict.fromkeys(("patient", "name", "placer", "procedure", "report"), TEXT)),
    st.sampled_from(["\r", "\n", "\r\n"]),
    st.sampled_from([(b"", b""), (b"\x0b", b"\r\x1c\r"), (b"\xef\xbb\xbf", b"\r\n"), (b"BHS|^~\\&\r", b"\rBTS|1")]),
)
def test_delimiters_escapes_and_framing_do_not_change_the_row(
    signs: str, values: dict[str, str], separator: str, framing: tuple[bytes, bytes]
) -> None:
    data = framing[0] + message(signs, values).replace("\r", separator).encode() + framing[1]
    (one,) = read(data)
    (row,) = one.rows["workflow"]
    assert facts([one]) == facts(read(message("|^~\\&", values).encode()))
    assert row["procedure_text"] == (values["procedure"].strip() or None)
    assert row["placer"] == KEY.pseudonym("order", f"P{values['placer']}".strip())


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from(
            [b"MSH|^~\\&|", b"\r", b"\x0b", b"\x1c\r", b"PID|1||N1", b"|ORM^O01|", b"\xff", b"BTS|2", ORDER.encode()]
        )
    ).map(b"".join)
)
def test_any_bytes_give_verdicts(data: bytes) -> None:
    assert all(one.verdict in Verdict and (one.reject or one.rows) for one in read(data))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2000),
    st.sampled_from([ORDER.encode(), ORDER.encode("utf-16"), b"\x0b" + ORDER.encode() + b"\x1c\r"]),
)
def test_any_cut_gives_verdicts(length: int, data: bytes) -> None:
    assert len(read(data[:length])) == 1


# --- the shared files


def manifest(folder: str, kind: str) -> list[Any]:
    file = DATA / folder / "manifest.json"
    entries = json.loads(file.read_text())["files"] if file.exists() else []
    return [pytest.param(entry, id=entry["file"]) for entry in entries if entry["kind"] == kind]


@needs_data
@pytest.mark.parametrize("entry", manifest("workflow", "hl7v2"))
def test_truths(entry: dict[str, Any]) -> None:
    path = DATA / "workflow" / entry["file"]
    data = path.read_bytes()
    assert READER.claims(data[:4096], path.name, SETTINGS)
    offered = read(data, name=path.name)
    truths = entry["truths"]
    assert len(offered) == truths["messages"]
    if len(truths["message_truths"]) != len(offered):
        return  # the manifest holds a choice of a long file's messages
    for one, truth in zip(offered, truths["message_truths"], strict=True):
        rows = one.rows.get("workflow") or one.rows.get("patient") or []
        if not rows:
            continue
        signs = truth["delims"]
        component, repetition = signs[1], signs[2]
        assert rows[0]["message_type"] == component.join(truth["type"].split(component)[:2]).replace(component, "^")
        if (patient := first_id(truth.get("pid3", ""), component, repetition)) and not truth.get("mrg1"):
            assert rows[0]["patient"] == KEY.pseudonym("patient", patient)
        for table_row in (row for row in one.rows.get("workflow", []) if row["position"].endswith(" group 1")):
            check_order(table_row, truth, component)


def first_id(field: str, component: str, repetition: str) -> str:
    return next((value for part in field.split(repetition) if (value := part.split(component)[0].strip())), "")


def check_order(row: dict[str, Any], truth: dict[str, Any], component: str) -> None:
    if row["message_type"][:3] in {"ORM", "ORU", "OMG", "OMI"}:
        placer = (truth.get("placer") or truth.get("obr2") or "").split(component)[0].split("&")[0]
        assert row["placer"] == KEY.pseudonym("order", placer)
        assert (row["order_control"], row["order_status"]) == (truth.get("order_control"), truth.get("order_status"))
        assert row["result_status"] == truth.get("result_status")
        if "zds1_study_uid" in truth or "ipc3_study_uid" in truth:
            assert row["study_uid"] == (truth.get("ipc3_study_uid") or truth["zds1_study_uid"]).split(component)[0]
    if "ft1_6_type" in truth and row["source"] == "hl7" and row["message_type"].startswith("DFT"):
        assert row["charge_kind"] == truth["ft1_6_type"]
        assert row["charge_code"] == truth["ft1_7_code"].split(component)[0]


EXPECTED = {"accept": {"accepted"}, "accept-flagged": {"accepted"}, "reject": {"rejected"}, "skip": {"not_applicable"}}
OTHERWISE = {
    "hl7/hl7v2-fhir-converter-sample_win.hl7": {"rejected"},  # the manifest allows it: bad-encoding-characters
    "hl7/own-mllp-two-frames-one-cut.mllp": {"accepted", "rejected"},
}

UNFLAGGED = ("own-a40-chain.hl7", "ORU-multiline-short-mixed.hl7")
"""A cycle of merges shows in the star alone; the second file's line breaks are between segments only."""


@needs_data
@pytest.mark.parametrize("entry", manifest("bad", "hl7"))
def test_bad_files(entry: dict[str, Any]) -> None:
    offered = read((DATA / "bad" / entry["file"]).read_bytes(), name=entry["file"])
    assert {one.verdict.value for one in offered} == OTHERWISE.get(entry["file"], EXPECTED[entry["expected"]])
    if (
        entry["expected"] == "accept-flagged"
        and entry["file"] not in OTHERWISE
        and not entry["file"].endswith(UNFLAGGED)
    ):
        assert any(row["flags"] for one in offered for rows in one.rows.values() for row in rows)


@needs_data
@pytest.mark.parametrize("entry", manifest("workflow", "hl7v2"))
def test_agrees_with_python_hl7(entry: dict[str, Any]) -> None:
    """An independent parser as oracle, for the files that it reads and whose messages it tells apart."""
    from etl.sources.hl7.message import Message

    data = (DATA / "workflow" / entry["file"]).read_bytes()
    if (
        entry["truths"]["messages"] != 1
        or entry["truths"]["python_hl7_agrees"] != "1/1"
        or entry["truths"]["mllp_bytes"]
    ):
        pytest.skip("several messages, or python-hl7 does not read it")
    text = data.decode("utf-8-sig", "replace").replace("\r\n", "\r").replace("\n", "\r").strip()
    try:
        ours, theirs = Message(text), hl7.parse(text)
    except Exception as error:
        pytest.skip(f"not readable for one of both: {type(error).__name__}")
    names = [str(segment[0]) for segment in theirs if str(segment[0])]
    if names[0] != "MSH" or [segment.name for segment in ours.segments] != names:
        pytest.skip("python-hl7 takes lines that are no segments for segments")
    for mine, other in zip(ours.segments, [segment for segment in theirs if str(segment[0])], strict=True):
        assert [mine.raw(n) for n in range(2, len(other))] == [str(other[n]) for n in range(2, len(other))]
