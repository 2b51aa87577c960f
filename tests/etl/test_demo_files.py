"""The demo's files: real DICOM, dose reports, HL7 and CSV that the sources read to the same rows as the history gives."""

import shutil
import subprocess
from collections import Counter
from datetime import UTC, date, datetime

import hl7
import polars as pl
import pydicom
import pytest
from pydicom.dataset import Dataset

from etl.demo import cut, demo_settings, identities, landing_rows, simulate, write_demo
from etl.demo.calendars import exported_at
from etl.demo.dicom_files import padded
from etl.demo.dose_rows import number_of, text_of
from etl.demo.series_rows import FILE_BYTES
from etl.demo.settings_text import settings_text
from etl.inputs import FileTask
from etl.reading import read_files
from etl.sources.contract import Context, Verdict
from settings import Settings, load_settings
from state.identity import Pseudonymiser

KEY = Pseudonymiser(b"k" * 32)
LINEAGE = ("digest", "input_digest", "file", "position", "received_at", "run_id", "batch_id")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A small hospital, all of it written as files."""
    out = tmp_path_factory.mktemp("demo")
    history = simulate(seed=3, scale=0.01, until=date(2026, 6, 30), days=14)
    counts = write_demo(out, history, file_days=400)
    return history, out, counts


@pytest.fixture(scope="module")
def read(demo):
    """Everything that the sources make of the files."""
    _, out, _ = demo
    tasks = [FileTask(str(path), path.stat().st_size) for path in sorted((out / "files").rglob("*")) if path.is_file()]
    return read_files(tasks, Context(Settings.model_validate(demo_settings()), KEY, exported_at(demo[0])))


@pytest.fixture(scope="module")
def landed(demo):
    """The same history as landing rows."""
    parts: dict[str, list[pl.DataFrame]] = {}
    for chunk in landing_rows(demo[0], KEY):
        for table, frame in chunk.items():
            parts.setdefault(table, []).append(frame)
    return {table: pl.concat(frames) for table, frames in parts.items()}


def rows_of(frame):
    """Rows without lineage, each once (a message that was sent twice lands once), in a fixed order."""
    return sorted(
        {repr({name: value for name, value in row.items() if name not in LINEAGE}) for row in frame.to_dicts()}
    )


def folded(frame):
    """Instances of each series folded as the loader does."""
    first = frame.sort("series_uid", "order_key").group_by("series_uid", maintain_order=True)
    return first.agg(
        pl.exclude("started_at", "ended_at", "instances", "frames", "bytes").first(), pl.col("started_at").min(), pl.col("ended_at").max(),
        pl.col("instances").explode().sort(), pl.col("frames").sum(), pl.col("bytes").sum()).select(frame.columns)  # fmt: skip


def test_the_sources_accept_every_file(read):
    assert Counter(line.verdict for line in read.lines) == {Verdict.ACCEPTED.value: len(read.lines)}
    assert {line.source for line in read.lines} == {
        "dicom",
        "rdsr",
        "mpps",
        "mwl",
        "hl7",
        "extract",
        "calendar",
        "fhir",
    }


@pytest.mark.parametrize("table", ["workflow", "patient", "calendar", "irradiation_event", "dose_report"])
def test_files_and_history_give_the_same_rows(read, landed, table):
    assert rows_of(read.frames[table]) == rows_of(landed[table])


def test_files_and_history_give_the_same_series(read, landed):
    assert rows_of(folded(read.frames["series"])) == rows_of(landed["series"])


def test_files_and_history_give_the_same_identities(demo, read):
    known = {(one.kind, one.pseudonym, one.original, one.name) for one in identities(demo[0], KEY)}
    for one in read.identities:
        if one.kind != "patient":
            assert (one.kind, one.pseudonym, one.original, one.name) in known
    assert {one.pseudonym for one in read.identities} <= {pseudonym for _, pseudonym, _, _ in known}


def test_history_and_files_meet_at_the_cut(demo, tmp_path, landed):
    """What is before the cut comes as rows and what is after as files; nothing twice, nothing lost."""
    history = demo[0]
    write_demo(tmp_path, history, file_days=3)
    tasks = [
        FileTask(str(path), path.stat().st_size) for path in sorted((tmp_path / "files").rglob("*")) if path.is_file()
    ]
    late = read_files(tasks, Context(Settings.model_validate(demo_settings()), KEY, datetime(2026, 7, 1, tzinfo=UTC)))
    early = [chunk["workflow"] for chunk in landing_rows(history, KEY, before=cut(history, 3)) if "workflow" in chunk]
    before, after = rows_of(pl.concat(early)), rows_of(late.frames["workflow"])
    assert not set(before) & set(after)
    assert sorted([*before, *after]) == rows_of(landed["workflow"])


def test_images_open_in_pydicom(demo):
    images = [
        path for path in sorted((demo[1] / "files" / "dicom").rglob("*.dcm")) if not path.name.endswith("_dose.dcm")
    ]
    assert {path.stat().st_size for path in images} == {FILE_BYTES}
    for path in images[:60]:
        data = pydicom.dcmread(path)
        assert data.StudyInstanceUID.startswith("2.25.")
        assert len(data.PixelData) == 8
        assert data.StationName == path.parent.parent.name


@pytest.mark.skipif(shutil.which("dsrdump") is None, reason="DCMTK's dsrdump is not installed")
def test_dose_reports_are_valid_for_dcmtk(demo):
    reports = sorted((demo[1] / "files" / "dicom").rglob("*_dose.dcm"))
    by_modality = {path.parent.name[3:5]: path for path in reports}
    for path in [*by_modality.values(), *reports[:10]]:
        done = subprocess.run(["dsrdump", "+Pu", str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "E:" not in done.stderr
        assert "W:" not in done.stderr
        assert "Irradiation Event UID" in done.stdout


def test_messages_parse_in_another_library(demo):
    seen = Counter()
    for path in sorted((demo[1] / "files" / "hl7").glob("*.hl7")):
        for text in path.read_bytes().decode("ascii").split("\r\n"):
            if text:
                message = hl7.parse(text)
                seen[str(message.segment("MSH")[9]).split("^")[0]] += 1
                assert str(message.segment("MSH")[11]) == "P"
    assert set(seen) == {"ORM", "OMI", "ORU", "SIU", "ADT"}


def test_extracts_have_the_declared_columns(demo):
    settings = Settings.model_validate(demo_settings())
    for extract in settings.extracts:
        files = sorted((demo[1] / "files" / "extracts").glob(extract.files))
        assert files
        assert set(extract.columns.values()) <= set(pl.read_csv(files[0]).columns)


def test_the_configuration_is_accepted(demo):
    settings = load_settings(demo[1] / "isocenter.toml")
    assert [site.code for site in settings.sites] == ["TEACH", "COMM", "CLINIC"]
    assert len({site.time_zone for site in settings.sites}) == 2
    assert all(site.hours for site in settings.sites)
    assert settings_text(demo[0].fleet) == (demo[1] / "isocenter.toml").read_text(encoding="utf-8")


def test_truth_lists_events_with_both_times(demo):
    events = pl.read_parquet(demo[1] / "truth_events.parquet")
    assert {"exam", "event", "source", "true_at", "emitted_at"} <= set(events.columns)
    starts = events.filter((pl.col("event") == "exam_started") & (pl.col("source") == "dicom"))
    off = (starts["emitted_at"] - starts["true_at"]).dt.total_seconds().abs()
    assert off.median() < 180
    assert events.filter(pl.col("true_at").is_null() & pl.col("emitted_at").is_null()).is_empty()


def test_files_are_the_same_each_time(demo, tmp_path):
    history = simulate(seed=3, scale=0.01, until=date(2026, 6, 30), days=14)
    write_demo(tmp_path, history, file_days=2)
    for path in sorted(tmp_path.rglob("*")):
        twin = demo[1] / path.relative_to(tmp_path)
        if path.suffix in {".dcm", ".json", ".toml"}:
            assert path.read_bytes() == twin.read_bytes()


def test_an_image_that_does_not_fit_is_refused():
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID, data.ImageComments = "1.2.3", "1.2.4", "x" * 6000
    with pytest.raises(ValueError, match="does not fit"):
        padded(data)


@pytest.mark.parametrize(
    ("value", "decimals", "power", "text", "number"),
    [
        (1234, 2, 0, "12.34", 12.34),
        (75, 9, 4, "0.000000075", 0.00075),
        (52, 0, -3, "52", 0.052),
        (-15, 1, 0, "-1.5", -1.5),
        (370000000, 0, -6, "370000000", 370.0),
    ],
)
def test_figures_are_written_and_converted_exactly(value, decimals, power, text, number):
    assert text_of(value, decimals) == text
    assert number_of(value, decimals, power) == number
