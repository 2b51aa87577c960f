"""The data directory: where each store lies, and the one key that all of them hang on.

The key makes every pseudonym and, through HKDF (RFC 5869), seals the vault, the quarantine, the audit chain and the
session cookies. It is made once, with the directory, and never again: another key would give every patient a second
pseudonym. It is not inside any store, so that a copy of a store alone identifies nobody.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from state.errors import HomeError, KeyMismatchError, KeyMissingError
from state.identity import Pseudonymiser

KEY_BYTES = 32
Purpose = Literal["fingerprint", "vault", "quarantine", "audit", "cookie"]


@dataclass(frozen=True)
class DataHome:
    """An open data directory."""

    path: Path
    key: bytes = field(repr=False)

    @property
    def lake(self) -> Path:
        """Landing tables, as received."""
        return self.path / "lake"

    @property
    def star(self) -> Path:
        """Published tables and publications."""
        return self.path / "star"

    @property
    def quarantine(self) -> Path:
        """Rejected inputs, sealed, one file a digest."""
        return self.path / "quarantine"

    @property
    def state_file(self) -> Path:
        """Accounts, sessions and audit."""
        return self.path / "state.sqlite"

    @property
    def vault_file(self) -> Path:
        """Identities, sealed."""
        return self.path / "vault.sqlite"

    @property
    def pseudonymiser(self) -> Pseudonymiser:
        """Makes this directory's pseudonyms."""
        return Pseudonymiser(self.key)

    def derived(self, purpose: Purpose) -> bytes:
        """A key of 256 bits for one purpose; none of them tells anything about another (RFC 5869)."""
        return derived_key(self.key, purpose)

    @classmethod
    def open(cls, path: Path) -> DataHome:
        """The data directory at this path, which must have been initialised.

        Raises:
            KeyMissingError: it holds data and no key.
            KeyMismatchError: its key is another one than it was made with.
            HomeError: it was never initialised, or cannot be read.
        """
        key_file = path / "key"
        if not key_file.exists():
            if _holds_data(path):
                raise KeyMissingError(
                    f"{path} has data but its key {key_file} is missing: restore it from your backup; "
                    "a new key would make new pseudonyms."
                )
            raise HomeError(f"{path} is not initialised: load something first (python -m etl load PATH).")
        key = _read_key(key_file)
        _check_fingerprint(path / "key.fingerprint", key)
        return cls(path, key)

    @classmethod
    def initialise(cls, path: Path) -> DataHome:
        """A new data directory with a new key at this path, which must be empty or absent.

        Raises:
            KeyMissingError: it holds data and no key.
            HomeError: it holds something else, or cannot be written.
        """
        if _holds_data(path) and not (path / "key").exists():
            return cls.open(path)
        foreign = sorted(entry.name for entry in path.iterdir() if not _tolerated(entry.name)) if path.is_dir() else []
        if foreign:
            raise HomeError(
                f"{path} is not empty (it holds {foreign[0]!r}) and is no data directory of Isocenter: "
                "name an empty or a new directory in ISOCENTER_DATA."
            )
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
            _place_once(path / "key", secrets.token_bytes(KEY_BYTES))
            for folder in ("lake", "star", "quarantine"):
                (path / folder).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise HomeError(
                f"{path} cannot be written ({error.strerror}): check the rights and the free space of its disk."
            ) from error
        return cls.open(path)

    @classmethod
    def open_or_initialise(cls, path: Path) -> DataHome:
        """The data directory, made where it is empty or absent: what a command that writes begins with."""
        return cls.open(path) if (path / "key").exists() else cls.initialise(path)


def derived_key(key: bytes, purpose: Purpose) -> bytes:
    """256 bits for one purpose from the data directory's key."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"isocenter:{purpose}".encode()).derive(key)


def _tolerated(name: str) -> bool:
    """Whether an entry may be in a directory that counts as empty: what file systems and a killed start leave."""
    return name.startswith((".", "key")) or name in {"lost+found", "lake", "star", "quarantine"}


def _holds_data(path: Path) -> bool:
    files = ("state.sqlite", "vault.sqlite", "key.fingerprint")
    folders = (path / name for name in ("lake", "star", "quarantine"))
    return any((path / name).exists() for name in files) or any(
        folder.is_dir() and any(folder.iterdir()) for folder in folders
    )


def _place_once(file: Path, content: bytes) -> None:
    """Writes a file that is not there yet; where two processes try at once one wins, and it is never half there."""
    draft = file.with_name(f".{file.name}-{os.getpid()}-{secrets.token_hex(4)}")
    write_private(draft, content)
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    sync_directory(file.parent)


def _read_key(key_file: Path) -> bytes:
    try:
        key = key_file.read_bytes()
        shared = key_file.stat().st_mode & 0o077
    except OSError as error:
        raise HomeError(f"{key_file} cannot be read ({error.strerror}): run as the user who owns it.") from error
    if len(key) != KEY_BYTES:
        raise KeyMismatchError(
            f"{key_file} has {len(key)} bytes, expected {KEY_BYTES}: it is damaged; restore it from your backup."
        )
    if shared and os.name == "posix":
        raise HomeError(f"{key_file} can be read by other users of this machine: run chmod 600 {key_file}.")
    return key


def _check_fingerprint(file: Path, key: bytes) -> None:
    """Refuses a key that is not the one first seen here, which the fingerprint beside it remembers."""
    fingerprint = derived_key(key, "fingerprint").hex()[:32]
    if not file.exists():
        _place_once(file, fingerprint.encode())
    known = file.read_text(encoding="ascii").strip()
    if known != fingerprint:
        raise KeyMismatchError(
            f"{file.with_name('key')} is not the key that this data was made with ({file.name} differs): "
            "restore the right key from your backup."
        )


def write_private(file: Path, content: bytes) -> None:
    """Writes a file that only its owner may read, and waits until it is on the disk."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def sync_directory(path: Path) -> None:
    """Waits until the directory's own entries are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
