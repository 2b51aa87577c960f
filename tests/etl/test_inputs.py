"""From paths to inputs: archives under limits, special files left alone, everything counted."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from etl.inputs import FileTask, open_task, walk
from etl.load import Loader
from etl.sources.contract import Input, Offered
from settings import Limits, Settings
from state.home import DataHome
from tests.etl.conftest import Load, order

LIMITS = Limits(max_unpacked_mb=2, max_members=5, max_member_ratio=50)


def _zip(path: Path, members: dict[str, bytes]) -> FileTask:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return FileTask(str(path), path.stat().st_size)


def _reasons(task: FileTask) -> list[str]:
    return [
        item.reject.reason if isinstance(item, Offered) and item.reject else "input" for item in open_task(task, LIMITS)
    ]


@pytest.mark.parametrize(
    ("members", "reasons"),
    [
        ({"a.hl7": b"MSH", "b/c.hl7": b"MSH"}, ["input", "input"]),
        ({}, ["empty-file"]),
        ({"../../x": b"MSH"}, ["unsafe-path"]),
        ({"/etc/x": b"MSH"}, ["unsafe-path"]),
        ({"bomb": b"\0" * 1_500_000}, ["compression-ratio"]),
        ({"big1": os.urandom(1_100_000), "big2": os.urandom(1_100_000)}, ["too-large-unpacked"]),
        ({str(number): b"x" for number in range(6)}, ["too-many-members"]),
        ({"inner.zip": b"PK\x03\x04rest"}, ["archive-in-archive"]),
    ],
)
def test_archives_are_opened_under_limits(members: dict[str, bytes], reasons: list[str], tmp_path: Path) -> None:
    assert _reasons(_zip(tmp_path / "a.zip", members)) == reasons


def test_members_read_from_their_start_and_are_named_after_the_archive(tmp_path: Path) -> None:
    task = _zip(tmp_path / "a.zip", {"m.hl7": b"MSH|content"})
    for item in open_task(task, LIMITS):
        assert isinstance(item, Input)
        assert item.name == f"{tmp_path}/a.zip!m.hl7"
        for _ in range(2):
            with item.opener() as stream:
                assert stream.read() == b"MSH|content"
        assert item.head(3) == b"MSH"


def test_cut_archive_is_one_reject(tmp_path: Path) -> None:
    task = _zip(tmp_path / "a.zip", {"m.hl7": b"MSH|content"})
    content = Path(task.path).read_bytes()
    Path(task.path).write_bytes(content[:-10])
    assert _reasons(FileTask(task.path, len(content) - 10)) == ["bad-archive"]


def test_special_files_are_counted_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "real.hl7").write_text("MSH")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "zero").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    found = list(walk([tmp_path]))
    assert [Path(item.path).name for item in found if isinstance(item, FileTask)] == ["real.hl7"]
    assert sorted(item.reject.reason for item in found if isinstance(item, Offered) and item.reject) == [
        "broken-link",
        "link-to-folder",
        "special-file",
        "special-file",
    ]


def test_file_that_may_still_grow_is_left_for_the_next_run(tmp_path: Path) -> None:
    (tmp_path / "new.hl7").write_text("MSH")
    (offered,) = walk([tmp_path], quiet_seconds=60)
    assert isinstance(offered, Offered)
    assert offered.reject is not None
    assert offered.reject.reason == "still-growing"


def test_dicomdir_stands_for_its_media(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(b"x")
    (tmp_path / "IMAGES").mkdir()
    (tmp_path / "IMAGES" / "1").write_bytes(b"x")
    assert [Path(item.path).name for item in walk([tmp_path / "DICOMDIR"]) if isinstance(item, FileTask)] == [
        "DICOMDIR",
        "1",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "a b.hl7",
        "quote'\".hl7",
        "line\nbreak.hl7",
        "$(id).hl7",
        "-rf.hl7",
        ".hidden.hl7",
        "x" * 240 + ".hl7",
        "\u202egnp.hl7",
        "tab\t.hl7",
    ],
)
def test_odd_file_names_load(name: str, load: Load, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / name).write_text(order("1", "NW", at="20260310080000"))
    assert load(folder).total("accepted") == 1


def test_file_name_outside_utf8_loads(load: Load, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Path(os.fsdecode(bytes(folder) + b"/caf\xe9.hl7")).write_text(order("1", "NW", at="20260310080000"))
    assert load(folder).total("accepted") == 1


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=400),
    suffix=st.sampled_from([".dcm", ".hl7", ".csv", ".zip", ".parquet", ""]),
    prefix=st.sampled_from([b"", b"MSH|^~\\&|", b"PK\x03\x04", b"\0" * 128 + b"DICM", b"PAR1", b"\xff\xfe", b"a,b\n"]),
)
def test_any_bytes_end_in_a_verdict(
    content: bytes, suffix: str, prefix: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    (folder / f"x{suffix}").write_bytes(prefix + content)
    outcome = Loader(DataHome.initialise(folder / "data"), Settings()).load([folder / f"x{suffix}"])
    answer = outcome.as_json()
    assert answer["offered"] >= 1
    assert answer["offered"] == answer["accepted"] + answer["duplicate"] + answer["rejected"] + answer["not_applicable"]
