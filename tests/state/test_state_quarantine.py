from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import state.quarantine
from state.errors import MissingError, SealedError
from state.home import DataHome
from state.quarantine import Quarantine

CONTENT = b"PID|1||MRN-4711||WRIGHT^ORVILLE"
DIGEST = sha256(CONTENT).hexdigest()


@pytest.fixture
def quarantine(home: DataHome) -> Quarantine:
    return Quarantine(home.quarantine, home.derived("quarantine"))


def test_what_is_kept_is_read_until_it_is_dropped(quarantine: Quarantine) -> None:
    quarantine.keep(DIGEST, CONTENT)
    quarantine.keep(DIGEST, CONTENT)
    assert quarantine.read(DIGEST) == CONTENT
    assert list(quarantine.digests()) == [DIGEST]
    quarantine.drop(DIGEST)
    quarantine.drop(DIGEST)
    with pytest.raises(MissingError, match="Load the original again"):
        quarantine.read(DIGEST)


def test_the_file_holds_no_identifier_and_is_the_owners(quarantine: Quarantine, home: DataHome) -> None:
    quarantine.keep(DIGEST, CONTENT)
    file = home.quarantine / DIGEST
    assert b"4711" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(content=st.binary(max_size=5000))
def test_any_bytes_come_back(quarantine: Quarantine, content: bytes) -> None:
    digest = sha256(content).hexdigest()
    quarantine.keep(digest, content)
    assert quarantine.read(digest) == content


@pytest.mark.parametrize("keep", [0, 5, 20])
def test_a_changed_or_cut_file_does_not_open(quarantine: Quarantine, home: DataHome, keep: int) -> None:
    quarantine.keep(DIGEST, CONTENT)
    file = home.quarantine / DIGEST
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(SealedError, match="does not open"):
        quarantine.read(DIGEST)


def test_a_full_disk_leaves_nothing_half_kept(
    quarantine: Quarantine, home: DataHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: object, content: object) -> None:
        (home.quarantine / "draft").touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state.quarantine, "write_private", full)
    with pytest.raises(OSError, match="No space"):
        quarantine.keep(DIGEST, CONTENT)
    assert list(quarantine.digests()) == []


@pytest.mark.parametrize("digest", ["", "../key", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_digests_name_files(quarantine: Quarantine, digest: str) -> None:
    with pytest.raises(ValueError, match="no SHA-256"):
        quarantine.read(digest)
