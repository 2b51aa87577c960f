"""From the paths a person names to inputs: folders are walked, archives opened under limits, special files left alone."""

from __future__ import annotations

import io
import os
import stat
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from etl.sources.contract import Input, Offered, Reject, Verdict, digest_of, shown
from settings import Limits

_MEMBER_IN_MEMORY = 16 * 1024 * 1024
_START = 4096
"""First bytes of a file, by which readers know their own kind."""


@dataclass(frozen=True)
class FileTask:
    """A file to read; small and picklable."""

    path: str
    size: int


class PathError(Exception):
    """A path that was named cannot be read; nothing is loaded."""


def walk(paths: list[Path], quiet_seconds: float = 0) -> Iterator[FileTask | Offered]:
    """Every regular file below the paths, in name order; what is no regular file is offered as not applicable.

    Raises:
        PathError: a named path does not exist or may not be read.
    """
    for path in paths:
        if not path.exists():
            raise PathError(f"{path}: no such file or folder. Nothing was loaded.")
        if not os.access(path, os.R_OK):
            raise PathError(f"{path}: not readable by this user. Nothing was loaded.")
        # PS3.10 section 8: a DICOMDIR lies in the root of its media, with the files that it lists below it.
        yield from _walk(path.parent if path.name.upper() == "DICOMDIR" else path, quiet_seconds)


def _walk(path: Path, quiet_seconds: float) -> Iterator[FileTask | Offered]:
    if path.is_dir() and not path.is_symlink():
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except PermissionError:
            yield _offer_file(
                path,
                Verdict.REJECTED,
                "not-readable",
                "the folder may not be read by this user",
                "Give the loading user the right to read it and load again.",
            )
            return
        for entry in entries:
            yield from _walk(Path(entry.path), quiet_seconds)
        return
    try:
        status = path.stat()
    except OSError:
        yield _offer_file(path, Verdict.NOT_APPLICABLE, "broken-link", "the link leads nowhere", "Nothing to do.")
        return
    if stat.S_ISDIR(status.st_mode):
        yield _offer_file(
            path,
            Verdict.NOT_APPLICABLE,
            "link-to-folder",
            "links to folders are not followed",
            "Name the folder itself.",
        )
    elif not stat.S_ISREG(status.st_mode):
        yield _offer_file(path, Verdict.NOT_APPLICABLE, "special-file", "not a regular file", "Nothing to do.")
    elif quiet_seconds and time.time() - status.st_mtime < quiet_seconds:
        yield _offer_file(
            path,
            Verdict.REJECTED,
            "still-growing",
            f"changed less than {quiet_seconds:g} seconds ago, so it may still be written",
            "Load again later; the file is left as it is.",
        )
    else:
        yield FileTask(str(path), status.st_size)


def _offer_file(path: Path, verdict: Verdict, reason: str, message: str, remedy: str) -> Offered:
    offered = Offered("unknown", verdict, digest_of("path", str(path)), reject=Reject(reason, message, remedy))
    offered.source_name = shown(path, 500)
    return offered


def open_task(task: FileTask, limits: Limits) -> Iterator[Input | Offered]:
    """The input of a file, or those of the members of a zip archive."""
    path = Path(task.path)
    name = shown(path, 1000)
    if task.size > limits.max_file_mb * 1024 * 1024:
        yield Offered(
            "unknown",
            Verdict.REJECTED,
            digest_of("path", str(path)),
            source_name=name,
            reject=Reject(
                "too-large",
                f"the file has {task.size // 2**20} MB, the limit is {limits.max_file_mb} MB",
                "Raise limits.max_file_mb or split the file.",
            ),
        )
        return
    with path.open("rb") as stream:
        start = stream.read(_START)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        yield from _members(path, name, limits)
    else:
        yield Input(name, task.size, lambda: path.open("rb"), start)


def _members(path: Path, name: str, limits: Limits) -> Iterator[Input | Offered]:
    """Members of an archive one by one; nothing is ever written under a member's name."""
    digest = digest_of("path", str(path))
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        message = f"not a readable zip archive: {shown(error)}"
        yield _refused(name, digest, Reject("bad-archive", message, "Make the archive again and load it."))
        return
    with archive:
        files = [info for info in archive.infolist() if not info.is_dir()]
        if problem := _archive_problem(files, limits):
            yield _refused(name, digest, problem)
            return
        if not files:
            empty = Reject("empty-file", "the archive has no members", "Nothing to do.")
            yield Offered("archive", Verdict.NOT_APPLICABLE, digest, source_name=name, reject=empty)
        for info in files:
            member_digest = digest_of("member", str(path), info.filename)
            yield from _member(archive, info, f"{name}!{shown(info.filename, 500)}", member_digest)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, digest: str) -> Iterator[Input | Offered]:
    """One member, open as long as its reader needs it."""
    try:
        data = _unpack(archive, info)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError, EOFError) as error:
        message = f"the member cannot be unpacked: {shown(error)}"
        yield _refused(name, digest, Reject("bad-member", message, "Make the archive again and load it."))
        return
    with data:
        start = data.read(_START)
        if start.startswith(b"PK\x03\x04"):
            remedy = "Unpack the outer archive and load its folder."
            yield _refused(
                name, digest, Reject("archive-in-archive", "an archive inside an archive is not opened", remedy)
            )
            return
        yield Input(name, info.file_size, lambda: _rewound(data), start)


def _refused(name: str, digest: str, reject: Reject) -> Offered:
    return Offered("archive", Verdict.REJECTED, digest, source_name=name, reject=reject)


def _archive_problem(files: list[zipfile.ZipInfo], limits: Limits) -> Reject | None:
    if len(files) > limits.max_members:
        return Reject(
            "too-many-members",
            f"the archive has {len(files)} members, the limit is {limits.max_members}",
            "Raise limits.max_members or split the archive.",
        )
    total = sum(info.file_size for info in files)
    if total > limits.max_unpacked_mb * 1024 * 1024:
        return Reject(
            "too-large-unpacked",
            f"the members have {total // 2**20} MB together, the limit is {limits.max_unpacked_mb} MB",
            "Raise limits.max_unpacked_mb or split the archive.",
        )
    for info in files:
        if info.file_size > 1024 * 1024 and info.file_size > limits.max_member_ratio * max(info.compress_size, 1):
            return Reject(
                "compression-ratio",
                f"member {shown(info.filename)} unpacks to more than {limits.max_member_ratio} times its size, which is how archive bombs look",
                "If the archive is genuine, unpack it and load the folder.",
            )
        if info.filename.startswith(("/", "\\")) or ".." in Path(info.filename.replace("\\", "/")).parts:
            return Reject(
                "unsafe-path",
                f"member {shown(info.filename)} points outside the archive",
                "Do not trust this archive; make a new one from the original files.",
            )
        if info.flag_bits & 1:
            return Reject(
                "encrypted",
                f"member {shown(info.filename)} is encrypted",
                "Unpack it with its password and load the folder.",
            )
    return None


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    """The member's bytes, in memory while small and else in a nameless file; never more than the archive declares."""
    held = tempfile.SpooledTemporaryFile(max_size=_MEMBER_IN_MEMORY)  # noqa: SIM115  # closed by the caller
    left = info.file_size
    with archive.open(info) as stream:
        while chunk := stream.read(min(1 << 20, left + 1)):
            left -= len(chunk)
            if left < 0:
                held.close()
                raise zipfile.BadZipFile("longer than the archive says")
            held.write(chunk)
    held.seek(0)
    return cast("BinaryIO", held)


class _Rewound(io.BufferedIOBase):
    """A view of a held stream that starts at the beginning and whose closing does not close it."""

    def __init__(self, held: BinaryIO) -> None:
        self._held = held
        held.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        return self._held.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._held.seek(offset, whence)

    def tell(self) -> int:
        return self._held.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _rewound(held: BinaryIO) -> BinaryIO:
    return cast("BinaryIO", _Rewound(held))
