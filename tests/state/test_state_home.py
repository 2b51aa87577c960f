from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from state.errors import HomeError, KeyMismatchError, KeyMissingError
from state.home import DataHome


def test_initialise_makes_key_and_folders_for_the_owner_alone(tmp_path: Path) -> None:
    home = DataHome.initialise(tmp_path / "data")
    assert len(home.key) == 32
    assert stat.S_IMODE((home.path / "key").stat().st_mode) == 0o600
    for folder in (home.path, home.lake, home.star, home.quarantine):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not [entry for entry in home.path.iterdir() if entry.name.startswith(".key")]


def test_open_gives_the_same_key_and_pseudonyms(tmp_path: Path) -> None:
    made = DataHome.initialise(tmp_path)
    opened = DataHome.open(tmp_path)
    assert opened == made
    assert opened.pseudonymiser.pseudonym("patient", "123") == made.pseudonymiser.pseudonym("patient", " 123")


def test_two_first_commands_at_once_end_with_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        homes = list(pool.map(lambda _: DataHome.open_or_initialise(tmp_path / "data"), range(16)))
    assert len({home.key for home in homes}) == 1


def test_derived_keys_differ_by_purpose_and_from_the_key(tmp_path: Path) -> None:
    home = DataHome.initialise(tmp_path)
    derived = {home.derived(purpose) for purpose in ("fingerprint", "vault", "quarantine", "audit", "cookie")}
    assert len(derived) == 5
    assert home.key not in derived


def test_key_is_not_in_the_representation(tmp_path: Path) -> None:
    home = DataHome.initialise(tmp_path)
    assert repr(home.key)[2:-1] not in repr(home)


@pytest.mark.parametrize("data", ["lake/series/part.parquet", "star/pointer.json", "state.sqlite", "vault.sqlite"])
@pytest.mark.parametrize("enter", [DataHome.open, DataHome.initialise, DataHome.open_or_initialise])
def test_data_without_its_key_is_refused_and_no_key_is_made(tmp_path: Path, data: str, enter: object) -> None:
    home = DataHome.initialise(tmp_path)
    file = home.path / data
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x")
    (home.path / "key").unlink()
    (home.path / "key.fingerprint").unlink()
    with pytest.raises(KeyMissingError, match="restore it from your backup; a new key would make new pseudonyms"):
        enter(tmp_path)  # type: ignore[operator]
    assert not (home.path / "key").exists()


def test_another_key_is_refused(tmp_path: Path) -> None:
    home = DataHome.initialise(tmp_path)
    (home.path / "key").write_bytes(bytes(32))
    with pytest.raises(KeyMismatchError, match="not the key that this data was made with"):
        DataHome.open(tmp_path)


def test_a_cut_key_is_refused(tmp_path: Path) -> None:
    home = DataHome.initialise(tmp_path)
    (home.path / "key").write_bytes(home.key[:31])
    with pytest.raises(KeyMismatchError, match="31 bytes, expected 32"):
        DataHome.open(tmp_path)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    home = DataHome.initialise(tmp_path)
    (home.path / "key").chmod(0o640)
    with pytest.raises(HomeError, match="chmod 600"):
        DataHome.open(tmp_path)


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_bytes(b"x")
    with pytest.raises(HomeError, match=r"it holds 'thesis.docx'"):
        DataHome.open_or_initialise(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.docx"]


def test_reading_commands_do_not_initialise(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="is not initialised"):
        DataHome.open(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
