"""Table extracts: rows, verdicts and the mapping, each case worked by hand; properties over dialects and encodings."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.lake.schema import polars_schema
from etl.sources.contract import Context, Input, Offered, Row, Verdict
from etl.sources.extract.csv_rows import CsvRows
from etl.sources.extract.reader import READER, check_extracts
from etl.sources.text_stream import TextStream
from settings import Extract, Limits, Matching, Settings, Site
from state.identity import Pseudonymiser

DATA = Path(__file__).parents[3] / "shared" / "data"
KEY = Pseudonymiser(b"k" * 32)
COLUMNS = {
    "accession": "accession", "patient": "patient_id", "site": "site", "procedure_code": "exam_code",
    "event:order_placed": "ordered_at", "event:exam_completed": "completed_at", "charge_amount": "charge",
}  # fmt: skip
HEADER = "accession,patient_id,site,exam_code,ordered_at,completed_at,charge"
ROW = "A1,P1,North,CT,2026-03-01T08:00:00Z,2026-03-01T09:00:00Z,10.00"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the shared test data is not beside the repository")


def config(columns: dict[str, str] | None = None, limits: Limits | None = None, **more: Any) -> Settings:
    return Settings(
        sites=(
            Site(code="NORTH", name="North", time_zone="Europe/Berlin"),
            Site(code="WEST", name="West", time_zone="America/New_York"),
        ),
        extracts=(Extract(name="ris", files=more.pop("files", "*"), columns=columns or COLUMNS, **more),),
        limits=limits or Limits(),
    )


def read(data: bytes | str, settings_: Settings | None = None, name: str = "exams.csv") -> list[Offered]:
    content = data.encode() if isinstance(data, str) else data
    source = Input(name, len(content), lambda: io.BytesIO(content))
    return list(READER.read(source, Context(settings_ or config(), KEY, datetime(2026, 11, 24, tzinfo=UTC))))


def verdicts(offered: list[Offered]) -> list[str]:
    return [one.reject.reason if one.reject else one.verdict.value for one in offered]


def rows(offered: list[Offered]) -> list[Row]:
    return [row for one in offered for row in one.rows.get("workflow", [])]


def one_row(**cells: str) -> Row:
    """The landing row of a table with one row, whose columns are the landing names themselves."""
    return checked(cells, config({name: name for name in cells}))


def checked(cells: dict[str, str], settings_: Settings) -> Row:
    text = io.StringIO()
    csv.writer(text).writerows([cells.keys(), cells.values()])
    offered = read(text.getvalue(), settings_)
    assert verdicts(offered) == ["accepted"], offered[0].reject
    (row,) = rows(offered)
    assert set(row) <= set(polars_schema("workflow"))
    return row


def test_columns_of_a_row() -> None:
    (offered,) = read(f"{HEADER}\n{ROW}\n")
    (row,) = offered.rows["workflow"]
    assert row["accession"] == KEY.pseudonym("order", "A1")
    assert row["patient"] == KEY.pseudonym("patient", "P1")
    assert [row[name] for name in ("site", "procedure_code", "charge_amount", "source", "source_name")] == [
        "NORTH",
        "CT",
        Decimal(10),
        "extract",
        "ris",
    ]
    assert row["events"] == [
        {"event": "order_placed", "at": datetime(2026, 3, 1, 8, tzinfo=UTC), "precision": "s", "field": "ordered_at"},
        {
            "event": "exam_completed",
            "at": datetime(2026, 3, 1, 9, tzinfo=UTC),
            "precision": "s",
            "field": "completed_at",
        },
    ]
    assert (row["stated_at"], row["month"], row["position"]) == (
        datetime(2026, 3, 1, 9, tzinfo=UTC),
        "2026-03",
        "row 2",
    )
    assert {(one.kind, one.original) for one in offered.identities} == {("order", "A1"), ("patient", "P1")}


@pytest.mark.parametrize(
    "data",
    [
        f"{HEADER}\r\n{ROW}\r\n".encode(),
        f"{HEADER}\r{ROW}".encode(),
        f"\n\n{HEADER}\n\n{ROW}\n\n\n".encode(),
        b"\xef\xbb\xbf" + f"{HEADER}\n{ROW}".encode(),
        f"{HEADER}\n{ROW}".encode("utf-16"),
        b"\xfe\xff" + f"{HEADER}\n{ROW}".encode("utf-16-be"),
        f"{HEADER}\n{ROW}".replace(",", ";").encode(),
        f"{HEADER}\n{ROW}".replace(",", "\t").encode(),
        f"{HEADER}\n{ROW}".replace(",", " |").encode(),
        "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in (HEADER, ROW)).encode(),
        "\n".join(", ".join(f'"{cell}"' for cell in line.split(",")) for line in (HEADER, ROW)).encode(),
        "\n".join(",".join(line.split(",")[::-1]) for line in (HEADER, ROW)).encode(),
        gzip.compress(f"{HEADER}\n{ROW}".encode()),
    ],
)
def test_any_dialect_gives_the_same_row(data: bytes) -> None:
    (found,), (control,) = read(data), read(f"{HEADER}\n{ROW}\n")
    strip = {"position": "", "events": []}
    assert {**found.rows["workflow"][0], **strip} == {**control.rows["workflow"][0], **strip}
    assert found.digest == control.digest


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", ["empty-file"]),
        ("\n\n", ["empty-file"]),
        (b"\xef\xbb\xbf", ["empty-file"]),
        (HEADER, []),
        (f"accession\n{ROW}", ["missing-columns"]),
        (f"{HEADER},accession\n{ROW},A2", ["duplicate-header"]),
        (f"{HEADER},note,note\n{ROW},x,y", ["accepted"]),
        (f"{HEADER}\x00\n{ROW}", ["unknown-header"]),
        (f"{HEADER},{',' * 3000}\n", ["too-many-columns"]),
        (f"{HEADER}\n{ROW},extra\n{ROW}\nA2,P1\n", ["ragged-row", "accepted", "ragged-row"]),
        (f"{HEADER}\n{ROW}\nA2,P2,North", ["accepted", "truncated"]),
        (f"{HEADER}\n,,,,,,\n{ROW}", ["blank-row", "accepted"]),
        (f"{HEADER}\n{ROW}\nTotal,,,,,,10.00\n", ["accepted", "totals-row"]),
        (f"{HEADER}\n{ROW.replace('A1', '')}\n", ["accepted"]),
        (f"{HEADER}\n{ROW.replace('A1,P1', ',')}\n", ["no-key"]),
        (f"{HEADER}\n{ROW.replace('CT', 'C' + chr(0) + 'T')}\n{ROW}", ["control-character", "accepted"]),
        (f"{HEADER}\n{ROW.replace('CT', chr(34) + 'CT' + chr(34) + 'x')}\n{ROW}", ["bad-quoting", "accepted"]),
        (f"{HEADER}\n{ROW.replace('CT', chr(34) + 'CT')}\n{ROW}\n{ROW}", ["bad-quoting", "accepted", "accepted"]),
        (HEADER + "\n" + ROW.replace("CT", '"C\nT"') + "\n" + ROW, ["accepted", "accepted"]),
        (
            f"{HEADER}\n".encode() + ROW.replace("CT", "Ü").encode("cp1252") + f"\n{ROW}".encode(),
            ["bad-encoding", "accepted"],
        ),
        (HEADER + "\n" + ROW.replace("CT", "\ufffd") + "\n" + ROW, ["bad-encoding", "accepted"]),
        (f"{HEADER}\n{ROW.replace('CT', 'x' * 1_100_000)}\n{ROW}", ["line-too-long", "accepted"]),
    ],
)
def test_verdicts(data: bytes | str, expected: list[str]) -> None:
    offered = read(data)
    assert verdicts(offered) == expected
    assert all(one.reject.remedy and one.reject.message.endswith(".") for one in offered if one.reject)


def test_open_quote_that_a_later_row_closes_costs_one_row() -> None:
    """The csv module alone would take the four lines for one row and lose the two in between."""
    opened, closed = ROW.replace("CT", '"CT'), ROW.replace("10.00", '"')
    assert verdicts(read(f"{HEADER}\n{opened}\n{ROW}\n{ROW}\n{closed}\n{ROW}")) == [
        "bad-quoting",
        "accepted",
        "accepted",
        "bad-quoting",
        "accepted",
    ]


def test_bad_byte_is_named_by_line_and_offset_in_the_file() -> None:
    (one,) = read(f"{HEADER}\n".encode() + b"A1,\xfc")
    assert one.reject is not None
    assert f"Line 2: byte 0xfc at byte offset {len(HEADER) + 4} is not utf-8." == one.reject.message


def test_configured_encoding_reads_it() -> None:
    data = f"{HEADER}\n{ROW}".replace("CT", "Ü").encode("cp1252")
    assert rows(read(data, config(encoding="cp1252")))[0]["procedure_code"] == "Ü"


@pytest.mark.parametrize("text", ["2.03E+12", "1e5", "-2,03E+12", "12345.0"])
def test_damaged_identifiers_are_rejected(text: str) -> None:
    (one,) = read(f'accession\n"{text}"\n', config({"accession": "accession"}))
    assert one.reject is not None
    assert (one.reject.reason, one.reject.field, one.reject.value) == ("identifier-damaged", "accession", "")


@pytest.mark.parametrize("text", ["000123", "00045", "MAR1", "2E", "1.2.3"])
def test_identifiers_keep_their_zeros_and_letters(text: str) -> None:
    assert one_row(accession=text)["accession"] == KEY.pseudonym("order", text)


@pytest.mark.parametrize(
    ("text", "mark", "expected"),
    [("10", ".", Decimal(10)), ("-5.00", ".", Decimal(-5)), ("0.1", ".", Decimal("0.1")), ("1234,5", ",", Decimal("1234.5")),
     ("+7.00005", ".", Decimal("7.0000")), ("", ".", None), ("NULL", ".", None)],
)  # fmt: skip
def test_amounts(text: str, mark: str, expected: Decimal | None) -> None:
    names = {"accession": "accession", "charge_amount": "charge_amount"}
    assert (
        checked({"accession": "A1", "charge_amount": text}, config(names, decimal_mark=mark))["charge_amount"]
        == expected
    )


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-inf", "1e308", "9" * 15])
def test_amounts_that_are_no_money_are_null_and_flagged(text: str) -> None:
    row = one_row(accession="A1", charge_amount=text)
    assert row["charge_amount"] is None
    assert row["flags"][0].startswith("charge_amount: ")


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("1,234.50", "."),
        ("1.234,50", ","),
        ("1 234", "."),
        ("1,7", "."),
        ("200.000.000", "."),
        ("ten", "."),
        ("1_000", "."),
    ],
)
def test_amounts_that_could_be_read_in_two_ways_are_rejected(text: str, mark: str) -> None:
    settings_ = config({"accession": "a", "charge_amount": "c"}, decimal_mark=mark)
    assert verdicts(read(f'a,c\nA1,"{text}"\n', settings_)) == ["bad-number"]


@pytest.mark.parametrize(
    ("text", "utc", "precision"),
    [
        ("2026-03-11 10:30:00", "2026-03-11T09:30:00+00:00", "s"),
        ("2026-03-11T10:30", "2026-03-11T09:30:00+00:00", "min"),
        ("2026-03-11T10:30:00.25", "2026-03-11T09:30:00.250000+00:00", "us"),
        ("2026-03-11T10:30:00Z", "2026-03-11T10:30:00+00:00", "s"),
        ("2026-03-11T10:30:00.5-05:00", "2026-03-11T15:30:00.500000+00:00", "us"),
        ("2026-03-11 10:30:00 +0200", "2026-03-11T08:30:00+00:00", "s"),
        ("2026-03-11", "2026-03-10T23:00:00+00:00", "d"),
    ],
)
def test_times(text: str, utc: str, precision: str) -> None:
    (event,) = one_row(**{"accession": "A1", "event:report_final": text})["events"]
    assert (event["at"].isoformat(), event["precision"]) == (utc, precision)


@pytest.mark.parametrize(
    "text",
    [
        "03/10/2024",
        "3/1/26 8:00",
        "46000.5",
        "2026-02-30",
        "soon",
        "24:00",
        "2026-03-11 25:00",
        "2026-03-11T10:30:00+15:00",
    ],
)
def test_times_in_no_configured_format_are_rejected_with_their_column(text: str) -> None:
    (one,) = read(f'a,t\nA1,"{text}"\n', config({"accession": "a", "event:report_final": "t"}))
    assert one.reject is not None
    assert (one.reject.reason, one.reject.field) == ("bad-time", "t")


def test_day_and_month_are_never_swapped() -> None:
    settings_ = config({"accession": "a", "event:report_final": "t"}, time_formats=("%d.%m.%Y %H:%M",))
    offered = read("a,t\nA1,01.03.2026 08:00\nA2,03.13.2026 08:00\n", settings_)
    assert verdicts(offered) == ["accepted", "bad-time"]
    assert rows(offered)[0]["events"][0]["at"] == datetime(2026, 3, 1, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("2026-10-25 02:30", "ambiguous-local-time"),
        ("2026-03-29 02:30", "nonexistent-local-time"),
        ("2100-01-01", "implausible-time"),
    ],
)
def test_doubtful_times_are_flagged_with_the_files_column(text: str, flag: str) -> None:
    row = checked({"a": "A1", "signed_at": text}, config({"accession": "a", "event:report_final": "signed_at"}))
    assert row["flags"] == [f"signed_at: {flag}"]


def test_zone_is_the_extracts_else_the_sites() -> None:
    names = {"accession": "a", "site": "site", "event:report_final": "t"}
    cells = {"a": "A1", "site": "West", "t": "2026-03-11 10:30"}
    assert checked(cells, config(names))["events"][0]["at"] == datetime(2026, 3, 11, 14, 30, tzinfo=UTC)
    assert checked(cells, config(names, time_zone="UTC"))["events"][0]["at"] == datetime(
        2026, 3, 11, 10, 30, tzinfo=UTC
    )


def test_constants_and_optional_columns() -> None:
    settings_ = config(
        {"accession": "a", "priority": "p"}, constants={"site": "West", "modality": "mr"}, optional=("priority",)
    )
    row = checked({"a": "A1"}, settings_)
    assert (row["site"], row["modality"], "priority" in row) == ("WEST", "MR", False)


def test_plan_does_not_date_the_statement() -> None:
    row = one_row(
        **{"accession": "A1", "event:exam_scheduled_for": "2026-12-01", "event:order_placed": "2026-11-01 08:00"}
    )
    assert row["stated_at"] == datetime(2026, 11, 1, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "text", "column", "expected", "flags"),
    [
        ("sex", "female", "sex", "F", []), ("sex", "u", "sex", None, []), ("sex", "3", "sex", None, ["sex: unknown word"]),
        ("birth_date", "1980-02-29", "birth_year", 1980, []), ("birth_year", "1980", "birth_year", 1980, []),
        ("birth_date", "1900-01-01", "birth_year", None, ["birth_year: implausible-time"]),
        ("study_uid", "1.2.840.1", "study_uid", "1.2.840.1", []), ("study_uid", "none", "study_uid", None, ["study_uid: no UID"]),
        ("site", "Elsewhere", "site", "NORTH", ["site: unknown, the default site was taken"]),
        ("patient", "QA12", "not_patient", "qa[0-9]*", []), ("procedure_text", "NULL", "procedure_text", "NULL", []),
        ("procedure_text", "=HYPERLINK(1)", "procedure_text", "=HYPERLINK(1)", []),
    ],
)  # fmt: skip
def test_other_columns(name: str, text: str, column: str, expected: Any, flags: list[str]) -> None:
    row = one_row(**{"accession": "A1", name: text})
    assert (row[column], row["flags"]) == (expected, flags)


def test_table_without_a_mapping_is_named_and_hides_what_looks_like_data() -> None:
    settings_ = config(files="other_*.csv")
    (one,) = read("exam,signed at\n1,2\n", settings_)
    assert (one.verdict, one.reject and one.reject.reason) == (Verdict.NOT_APPLICABLE, "no-mapping")
    assert one.reject is not None
    assert "'exam', 'signed at'" in one.reject.message
    assert "[[extracts]]" in one.reject.remedy
    (one,) = read("ROE,19800229,2026-03-01 08:00\n", settings_)
    assert one.reject is not None
    assert "ROE" not in str(one.reject)


def test_files_are_matched_by_name_in_folders_and_archives() -> None:
    settings_ = config(files="exams_*.csv")
    for name in ("/in/exams_1.csv", "a.zip!in/exams_1.csv", "exams_1.csv.gz"):
        assert verdicts(read(f"{HEADER}\n{ROW}", settings_, name)) == ["accepted"]
    assert READER.claims(b"", "EXAMS.CSV", settings_)
    assert READER.claims(b"", "table.parquet", settings_)
    assert not READER.claims(b"", "notes.txt", settings_)
    assert READER.claims(b"", "notes.txt", config(files="*.txt"))


@pytest.mark.parametrize(
    ("columns", "more", "said"),
    [
        ({"accession": "a", "acession": "b"}, {}, "'acession' is no landing column"),
        ({"accession": "a", "event:finalised": "b"}, {}, "'event:finalised' is no landing column"),
        ({"modality": "m"}, {}, "columns must map one of accession"),
        ({"accession": "a"}, {"optional": ("priority",)}, "optional names 'priority'"),
        ({"accession": "a"}, {"constants": {"colour": "x"}}, "'colour' is no landing column"),
        ({"accession": "a"}, {"time_zone": "Mars"}, "'Mars' is not an IANA time zone"),
        ({"accession": "a"}, {"encoding": "utf-9"}, "'utf-9' is no encoding"),
        ({"accession": "a"}, {"delimiter": "::"}, "delimiter must be one character"),
        ({"accession": "a", "birth_date": "b", "birth_year": "c"}, {}, "not both"),
    ],
)
def test_mistakes_in_the_configuration_are_said(columns: dict[str, str], more: dict[str, Any], said: str) -> None:
    (problem,) = check_extracts(config(columns, **more))
    assert problem.startswith("extracts.ris: ")
    assert said in problem


def test_good_configuration_has_no_problems() -> None:
    assert check_extracts(config()) == []


def parquet(**columns: Any) -> bytes:
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), stream)
    return stream.getvalue()


def test_parquet_types() -> None:
    data = parquet(
        accession=["A1", None], patient_id=[45, 46], site=["North", "West"], exam_code=["CT", "MR"],
        ordered_at=[datetime(2026, 3, 11, 10, 30), None], completed_at=[datetime(2026, 3, 11, 10, 30, tzinfo=UTC), None],
        charge=[Decimal("10.50"), None], extra=[date(2026, 1, 1), None],
    )  # fmt: skip
    offered = read(data, name="exams.parquet")
    assert verdicts(offered) == ["accepted", "accepted"]
    first, second = rows(offered)
    assert first["patient"] == KEY.pseudonym("patient", "45")
    assert [event["at"].isoformat() for event in first["events"]] == [
        "2026-03-11T09:30:00+00:00",
        "2026-03-11T10:30:00+00:00",
    ]
    assert (first["charge_amount"], first["position"]) == (Decimal("10.5"), "row 1")
    assert (second["accession"], second["charge_amount"], second["events"], second["site"]) == (None, None, [], "WEST")


def test_parquet_identifiers_that_became_floats_are_rejected() -> None:
    assert verdicts(read(parquet(a=[123.0]), config({"accession": "a"}), "x.parquet")) == ["identifier-damaged"]


def test_cut_or_damaged_parquet_is_rejected() -> None:
    data = parquet(a=["A1"])
    for cut in (data[:20], data[:-9], data[:4], b"PAR1" + b"\xff" * 64 + b"PAR1"):
        assert verdicts(read(cut, config({"accession": "a"}), "x.parquet")) == ["damaged-parquet"]


def test_gzip_over_the_ratio_or_cut_is_rejected() -> None:
    bomb = gzip.compress(f"{HEADER}\n".encode() + f"{ROW}\n".encode() * 100_000)
    small = config(limits=Limits(max_member_ratio=10))
    assert verdicts(read(bomb, small, "x.csv.gz"))[-1] == "ratio-limit"
    assert verdicts(read(gzip.compress(f"{HEADER}\n{ROW}".encode())[:-12], name="x.csv.gz"))[-1] == "truncated"


def test_memory_is_flat_in_the_number_of_rows() -> None:
    class Feed:
        def __init__(self, count: int) -> None:
            self.left = count

        def read(self, length: int, /) -> bytes:
            taken = min(self.left, 1000)
            self.left -= taken
            return f"{ROW}\n".encode() * taken

    def peak(count: int) -> int:
        tracemalloc.start()
        assert sum(1 for _ in CsvRows(Feed(count), "utf-8", 1 << 20).records(",", 7)) == count - 1
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(60_000) < 2 * peak(6_000)


# --- properties

MAPPED, UNMAPPED = config(), config(files="no")
TEXT_TABLE = config({"accession": "accession", "procedure_text": "text"})
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufffd\r", exclude_categories=("Cs",)), max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.from_regex(r"[A-Z][0-9]{3}", fullmatch=True), CELL, CELL), min_size=1, max_size=6),
    st.permutations(["accession", "text", "unused"]),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_table_that_csv_writes_reads_to_the_same_facts(
    table: list[tuple[str, str, str]], order: list[str], delimiter: str, quoting: Any, ends: str, encoding: str
) -> None:
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if ends == "\r" else quoting  # csv leaves LF bare where CR ends the lines
    writer = csv.DictWriter(text, order, delimiter=delimiter, quoting=quoting, lineterminator=ends)
    writer.writeheader()
    writer.writerows(dict(zip(("accession", "text", "unused"), values, strict=True)) for values in table)
    found = read(text.getvalue().encode(encoding), TEXT_TABLE)
    assert verdicts(found) == ["accepted"] * len(table)
    assert [(row["accession"], row["procedure_text"]) for row in rows(found)] == [
        (KEY.pseudonym("order", accession), cell.strip() or None) for accession, cell, _ in table
    ]


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from([HEADER.encode(), ROW.encode(), b'"', b"\n", b"\r", b",", b"\xff", b"\0", b"PAR1", b"\x1f\x8b"])
    ).map(b"".join)
)
def test_any_bytes_give_verdicts(data: bytes) -> None:
    for settings_ in (MAPPED, UNMAPPED):
        assert all(one.verdict in Verdict and (one.reject or one.rows) for one in read(data, settings_))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 400), st.sampled_from(["utf-8", "utf-16"]))
def test_a_cut_file_never_gives_a_different_row(length: int, encoding: str) -> None:
    data = "\n".join([HEADER, *[ROW.replace("A1", f"A{n}") for n in range(3)]]).encode(encoding)
    whole = {row["accession"] for row in rows(read(data, MAPPED))}
    assert {row["accession"] for row in rows(read(data[:length], MAPPED))} <= whole


# --- the shared files


def entries(folder: str) -> list[Any]:
    file = DATA / folder / "manifest.json"
    found = json.loads(file.read_text())["files"] if file.exists() else []
    return [
        pytest.param(entry, id=entry["file"])
        for entry in found
        if entry["kind"] == "csv" and not entry["file"].endswith(".zip")
    ]


@needs_data
@pytest.mark.parametrize("entry", entries("workflow"))
def test_truths(entry: dict[str, Any]) -> None:
    first, truths = entry["truths"]["first_row"], entry["truths"]
    key = truths["columns"][0]
    settings_ = config({"procedure_text": truths["columns"][1], "patient": key})
    offered = read((DATA / "workflow" / entry["file"]).read_bytes(), settings_)
    assert verdicts(offered) == ["accepted"] * truths["rows"]
    assert rows(offered)[0]["patient"] == KEY.pseudonym("patient", first[key])
    assert rows(offered)[0]["procedure_text"] == (first[truths["columns"][1]] or None)


BAD: dict[str, tuple[dict[str, str], list[str]]] = {
    "csv-spectrum-newlines_crlf.csv": ({"accession": "a"}, ["accepted"] * 3),
    "csv-spectrum-quotes_and_newlines.csv": ({"accession": "a"}, ["accepted"] * 2),
    "csvkit-bad.csv": ({"accession": "column_a"}, ["ragged-row", "ragged-row", "accepted"]),
    "csvkit-mac_newlines.csv": ({"accession": "a"}, ["accepted"] * 2),
    "csvkit-null_byte.csv": ({"accession": "a"}, ["control-character"]),
    "csvkit-test_header_newline.csv": ({"accession": "start end"}, ["accepted"]),
    "csvkit-test_locale.csv": ({"accession": "a", "charge_amount": "b"}, ["bad-number"]),
    "csvkit-test_no_leading_zeroes.csv": ({"accession": "a", "charge_amount": "c"}, ["accepted"]),
    "csvkit-test_utf16_big.csv": ({"accession": "a"}, ["accepted"] * 2),
    "duckdb-12.csv": ({"accession": "a"}, ["unknown-header"]),
    "duckdb-basic.csv": ({"accession": "a"}, ["accepted"] * 3 + ["bad-quoting"] + ["accepted"] * 3),
    "duckdb-invalid_utf8.csv": ({"accession": "bla"}, ["accepted", "bad-encoding"]),
    "duckdb-invalid_utf_cast.csv": ({"accession": "name"}, ["accepted", "bad-encoding"]),
    "duckdb-line_too_long.csv.gz": ({"accession": "a"}, ["ratio-limit"]),
    "duckdb-mixed_dates.csv": (
        {"accession": "A", "event:report_final": "B"},
        ["accepted", "accepted", "bad-time", "accepted", "accepted"],
    ),
    "duckdb-nullbyte_header.csv": ({"accession": "col1"}, ["unknown-header"]),
    "frictionless-py-blank-headers.csv": ({"accession": "id"}, ["accepted"] * 2),
    "frictionless-py-bom.csv": ({"accession": "id"}, ["accepted"] * 2),
    "frictionless-py-defective-rows.csv": ({"accession": "id"}, ["ragged-row"] * 2),
    "frictionless-py-duplicate-headers.csv": ({"accession": "id"}, ["duplicate-header"]),
    "frictionless-py-empty.csv": ({"accession": "id"}, ["empty-file"]),
    "frictionless-py-issue-1109.csv": ({"accession": "string", "charge_amount": "number"}, ["accepted"] * 3),
    "frictionless-py-table-infer-iso-8859-7.csv": ({"accession": "id"}, ["bad-encoding"] * 4),
    "own-excel-damage.csv": (COLUMNS, ["identifier-damaged", "bad-number"]),
    "own-formulas.csv": (COLUMNS, ["accepted"] * 3),
    "own-half-written.csv": (COLUMNS, ["accepted", "truncated"]),
    "own-mixed-encodings.csv": (COLUMNS, ["accepted", "bad-encoding"]),
    "own-negative-and-nan.csv": (COLUMNS, ["accepted"] * 3),
    "own-totals-row.csv": (COLUMNS, ["accepted", "totals-row"]),
    "rust-csv-strange.csv": ({"accession": "name"}, ["bad-quoting"]),
}


@needs_data
@pytest.mark.parametrize("entry", entries("bad"))
def test_bad_files(entry: dict[str, Any]) -> None:
    name = Path(entry["file"]).name
    columns, expected = BAD.get(name, ({"accession": "not there"}, []))
    offered = read((DATA / "bad" / entry["file"]).read_bytes(), config(columns), name)
    if name in BAD:
        assert verdicts(offered) == expected
    else:
        assert verdicts(offered)[-1] in {"missing-columns", "unknown-header", "bad-quoting"}


def test_utf16_damage_stays_in_its_row() -> None:
    data = "a\nA1\n".encode("utf-16") + b"\x00\xd8" + "\nA2\n".encode("utf-16-le")
    assert verdicts(read(data, config({"accession": "a"}))) == ["accepted", "bad-encoding", "accepted"]
    assert TextStream(io.BytesIO(data)).encoding == "utf-8"


def test_numbers_are_compared_in_the_form_of_the_matching_settings() -> None:
    matching = Matching(strip_prefixes=("RAD-",), strip_leading_zeros=True, accession_scope="site")
    settings = config({"accession": "a", "placer": "p", "filler": "f", "site": "s"}).model_copy(
        update={"matching": matching}
    )
    (row,) = rows(read("a,p,f,s\nrad-007,0012,X1,West\n", settings))
    assert row["accession"] == KEY.pseudonym("order", matching.number("RAD-007", row["site"]))
    assert row["placer"] == KEY.pseudonym("order", matching.number("12", row["site"]))
    assert row["filler"] == KEY.pseudonym("order", matching.number("X1", row["site"]))
    assert row.get("accession_cut") is None


def test_long_accession_number_is_also_known_by_what_images_carry() -> None:
    number = "NORTH-2026-0000123456"
    (row,) = rows(read(f"a\n{number}\n", config({"accession": "a"})))
    assert row["accession"] == KEY.pseudonym("order", number)
    assert row["accession_cut"] == KEY.pseudonym("order", number[:16])


@pytest.mark.parametrize(
    ("cell", "minutes"), [("20", 20.0), ("22.5", 22.5), ("", None), ("0", None), ("-5", None), ("99999", None)]
)
def test_scheduled_minutes(cell: str, minutes: float | None) -> None:
    (row,) = rows(read(f"a,m\nA1,{cell}\n", config({"accession": "a", "scheduled_minutes": "m"})))
    assert row["scheduled_minutes"] == minutes
    assert bool(row["flags"]) == (minutes is None and cell != "")


def test_what_came_with_the_workflow_columns() -> None:
    names = (
        "appointment",
        "procedure_request",
        "ae_title",
        "section",
        "reader_group",
        "reason_code",
        "reason_text",
        "standard_code",
        "standard_scheme",
    )
    (row,) = rows(
        read(
            f"a,{','.join(names)}\nA1,{','.join(names)}\n", config({"accession": "a", **{name: name for name in names}})
        )
    )
    assert row["appointment"] == KEY.pseudonym("order", "appointment")
    assert row["procedure_request"] == KEY.pseudonym("order", "procedure_request")
    assert all(row[name] == name for name in names[2:])
