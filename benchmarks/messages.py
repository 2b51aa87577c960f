"""HL7 messages and table rows from files to the lake, beside the splitting and parsing of the same text and Polars' CSV.

With `--full` also the peak memory of landing a million messages.

Splitting only cuts text at its delimiters; hl7kit and python-hl7 parse it. Landing reads every message, replaces its
identifiers and seals them in the vault, and appends rows to Delta tables: it does far more than it is measured against.
"""

from __future__ import annotations

import multiprocessing
import random
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from time import process_time

import hl7
import hl7kit
import polars as pl
from _compare import Comparison, Run, arguments, in_turns, scratch, seconds, show
from _landing import landing

from etl.load import Loader
from settings import Extract, Settings
from state.home import DataHome

MESSAGES_A_FILE = 500
SLOWLY_PARSED = 500
"""Messages that python-hl7 is given: it takes milliseconds for each."""
EXTRACT = Extract(
    name="exams",
    files="exams_*.csv",
    columns={
        "accession": "accession",
        "patient": "patient",
        "modality": "modality",
        "procedure_code": "code",
        "procedure_text": "procedure",
        "event:order_placed": "ordered",
        "event:exam_started": "started",
        "event:report_final": "signed",
    },
)


def main() -> None:
    """Prints the table."""
    full = arguments(__doc__).full
    count = 20_000 if full else 4_000
    with scratch() as folder:
        show(
            *_messages("reports of 25 segments", report, folder / "reports", count),
            *_messages("orders of 6 segments", order, folder / "orders", count),
            _rows(folder / "extracts", count),
            *([_memory(folder)] if full else []),
        )


def _messages(what: str, make: Callable[[int], list[str]], folder: Path, count: int) -> list[Comparison]:
    """Landing beside splitting, and beside what two parsers take for the parsing alone."""
    folder.mkdir()
    for first in range(0, count, MESSAGES_A_FILE):
        texts = ("\r".join(make(number)) for number in range(first, first + MESSAGES_A_FILE))
        (folder / f"{first:06d}.hl7").write_bytes("\r\n".join(texts).encode())

    def each(work: Callable[[str], object], most: int = count) -> Run:
        def run() -> None:
            for file in sorted(folder.iterdir())[: -(-most // MESSAGES_A_FILE)]:
                for message in file.read_bytes().decode().split("\r\n"):
                    work(message)

        return seconds(run, process_time)

    runs = (each(_split), each(hl7kit.parse), each(hl7.parse, SLOWLY_PARSED))
    ours, *others = in_turns(4, landing(folder), *runs)
    return [
        Comparison(
            f"{what}, file to lake, a core",
            f"{count / ours:,.0f}/s",
            f"{name}, {done / taken:,.0f}/s",
            (count / ours) / (done / taken),
            at_least=target,
        )
        for name, taken, done, target in zip(
            ("splitting", "hl7kit's parsing", "python-hl7's parsing"),
            others,
            (count, count, SLOWLY_PARSED),
            (0.1, None, None),
            strict=True,
        )
    ]


def _split(message: str) -> list[list[str]]:
    return [segment.split("|") for segment in message.split("\r")]


def _memory(folder: Path) -> Comparison:
    """Peak memory of landing one file of a million messages beside one of a tenth."""
    few, many = 100_000, 1_000_000
    beside, ours = _landed_megabytes(folder / "few", few), _landed_megabytes(folder / "many", many)
    return Comparison(
        f"landing {many:,} messages of one file",
        f"{ours:.0f} MB",
        f"{few:,} messages, {beside:.0f} MB",
        ours / beside,
        at_most=1.2,
    )


def _landed_megabytes(folder: Path, count: int) -> float:
    folder.mkdir()
    file = folder / "feed.hl7"
    with file.open("wb") as stream:
        for number in range(count):
            stream.write("\r".join([*order(number), ""]).encode())
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        megabytes = process.submit(_peak_megabytes, file).result()
    file.unlink()
    return megabytes


class _LandedError(Exception):
    """All rows are in the lake."""


def _peak_megabytes(file: Path) -> float:
    """Peak resident memory of this process when it has landed the file; the star is not built."""

    def heard(text: str) -> None:
        if text.startswith("deriving"):
            raise _LandedError

    loader = Loader(DataHome.initialise(file.parent / "data"), Settings(), heard)
    try:
        loader.load([file])
    except _LandedError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    raise RuntimeError("the load did not come to the star")


def _rows(folder: Path, count: int) -> Comparison:
    folder.mkdir()
    file = folder / "exams_1.csv"
    _table(count).write_csv(file)

    def scan() -> None:
        pl.read_csv(file, try_parse_dates=True)

    ours, beside = in_turns(4, landing(folder, extracts=(EXTRACT,)), seconds(scan, process_time))
    return Comparison(
        "CSV rows, file to lake, a core", f"{count / ours:,.0f}/s", f"Polars, {count / beside:,.0f}/s", beside / ours
    )


def _at(number: int, minutes: int = 0) -> str:
    return f"{datetime(2026, 1, 5, 7) + timedelta(minutes=3 * number + minutes):%Y%m%d%H%M%S}"


def _head(number: int, kind: str) -> list[str]:
    return [
        f"MSH|^~\\&|RIS|NORTH|HUB|NORTH|{_at(number, 60)}||{kind}|M{number}|P|2.3.1",
        f"PID|1||N{number % 997:06d}^^^HOSPITAL^MR||Example^Patient{number % 997}||19700101|F|||1 Example Street^^Town",
        f"PV1|1|O|RAD^1^1^NORTH||||77^Referrer^Rita|||||||||||V{number}",
    ]


def _codes(number: int) -> str:
    return f"P{number}|F{number}|CT{number % 40:03d}^CT chest^LOCAL"


def order(number: int) -> list[str]:
    """ORM^O01."""
    return [
        *_head(number, "ORM^O01"),
        "IN1|1|PLAN|1|Example Insurance",
        f"ORC|NW|P{number}|F{number}||SC||||{_at(number)}|||77^Referrer^Rita",
        f"OBR|1|{_codes(number)}||||||||||||77^Referrer^Rita||A{number:07d}||||||CT|||^^^^^R",
    ]


def report(number: int) -> list[str]:
    """ORU^R01 with a report of twenty lines."""
    words = random.Random(number).choices(("no", "focal", "lesion", "of", "the", "lung", "is", "seen"), k=12)
    return [
        *_head(number, "ORU^R01"),
        f"ORC|RE|P{number}|F{number}||CM",
        f"OBR|1|{_codes(number)}|||{_at(number, 20)}|||||||||77^Referrer^Rita||A{number:07d}||||{_at(number, 60)}||CT|F||^^^^^R|||||88&Reader&Ray",
        *(f"OBX|{line}|TX|IMP^IMPRESSION||{' '.join(words)}||||||F" for line in range(1, 21)),
    ]


def _table(count: int) -> pl.DataFrame:
    start = datetime(2026, 1, 5, 7)
    times = [start + timedelta(minutes=3 * number) for number in range(count)]
    frame = pl.DataFrame({"number": range(count), "ordered": times})
    number = pl.col("number").cast(pl.Utf8)
    return frame.select(
        pl.concat_str(pl.lit("A"), number).alias("accession"),
        pl.concat_str(pl.lit("N"), number).alias("patient"),
        pl.lit("CT").alias("modality"),
        pl.lit("CT001").alias("code"),
        pl.lit("CT chest").alias("procedure"),
        "ordered",
        (pl.col("ordered") + timedelta(minutes=40)).alias("started"),
        (pl.col("ordered") + timedelta(minutes=95)).alias("signed"),
    ).with_columns(pl.col("ordered", "started", "signed").dt.strftime("%Y-%m-%d %H:%M:%S"))


if __name__ == "__main__":
    main()
