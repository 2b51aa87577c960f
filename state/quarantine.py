"""Rejected inputs, kept for a retry: sealed with AES-256-GCM, one file a digest."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from state.errors import MissingError, SealedError
from state.home import sync_directory, write_private

NONCE_BYTES = 12
DIGEST = re.compile(r"[0-9a-f]{64}")


class Quarantine:
    """The quarantine in one directory."""

    def __init__(self, directory: Path, key: bytes) -> None:
        self._directory = directory
        self._cipher = AESGCM(key)

    def keep(self, digest: str, content: bytes) -> None:
        """Keeps the bytes under their digest; it is whole on the disk on return, or not there at all."""
        file = self._file(digest)
        if file.exists():
            return
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        nonce = secrets.token_bytes(NONCE_BYTES)
        draft = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
        try:
            write_private(draft, nonce + self._cipher.encrypt(nonce, content, digest.encode()))
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
        sync_directory(self._directory)

    def read(self, digest: str) -> bytes:
        """The bytes kept under this digest.

        Raises:
            MissingError: nothing is kept under it (too large for the quarantine, or dropped).
            SealedError: the file was changed, or sealed with another key.
        """
        try:
            sealed = self._file(digest).read_bytes()
        except FileNotFoundError as error:
            raise MissingError(f"The quarantine holds nothing for digest {digest}. Load the original again.") from error
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], digest.encode())
        except (InvalidTag, ValueError) as error:
            raise SealedError(
                f"{self._file(digest)} does not open: it was changed, or sealed with another key. "
                "Load the original again, or restore the file from your backup."
            ) from error

    def drop(self, digest: str) -> None:
        """Forgets what is kept under this digest, if anything."""
        self._file(digest).unlink(missing_ok=True)

    def digests(self) -> Iterator[str]:
        """What is kept, in no order."""
        if self._directory.is_dir():
            yield from (file.name for file in self._directory.iterdir() if DIGEST.fullmatch(file.name))

    def _file(self, digest: str) -> Path:
        if not DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is no SHA-256 in hexadecimal; a quarantine file is named after one")
        return self._directory / digest
