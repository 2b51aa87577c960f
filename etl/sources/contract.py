"""What a source is: outside bytes in, landing rows and rejects out.

A source is one module of this package with a module-level `READER`. It is given an `Input` (one file, or one member of
an archive), decides from the first bytes whether it understands it, and yields one `Offered` for each thing it counts:
the file itself, or within a batch or table file each message or row. It never raises for bad content, never writes,
never logs an identifier, and keeps its memory flat in the size of the input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, BinaryIO, Protocol

from settings import Settings
from state.identity import Identity, IdentityKind, Pseudonymiser

Row = dict[str, Any]
"""A landing row: the table's columns that the reader knows; absent columns are null. The columns `digest, received_at,
run_id, batch_id, file` are filled by the loader."""


class Verdict(StrEnum):
    """How one offered input ended; exactly one each."""

    ACCEPTED = "accepted"
    """Its rows land."""
    DUPLICATE = "duplicate"
    """The same bytes (or message, or row) landed before."""
    REJECTED = "rejected"
    """Kept aside with a reason that says what to do."""
    NOT_APPLICABLE = "not_applicable"
    """Recognised as something that is not for this system, counted with the reason."""


@dataclass(frozen=True)
class Reject:
    """Why an input (or one field of it) could not be used. No identifier may stand in `value`."""

    reason: str
    """A stable short code such as `truncated`, `bad-encoding`, `missing-study-uid`."""
    message: str
    """What is wrong, in a sentence that names the field and what was expected."""
    remedy: str
    """What to do next."""
    field: str = ""
    """Tag, segment and field, or column: `(0020,000D)`, `PID-3`, `signed_at`."""
    value: str = ""
    """The offending value where it cannot identify anyone; cut to 80 characters, control characters escaped."""


@dataclass
class Offered:
    """One counted input and what became of it."""

    source: str
    """Kind of source: `dicom`, `rdsr`, `hl7`, `extract`; `unknown` where nothing claims it."""
    verdict: Verdict
    digest: str
    """SHA-256 of the bytes that it was read from (for an image: of everything before its pixels, and the size)."""
    position: str = ""
    source_name: str = ""
    rows: dict[str, list[Row]] = field(default_factory=dict)
    """Landing table to rows. `series` rows are one instance each; the loader folds them."""
    reject: Reject | None = None
    """For REJECTED; its `reason` and `message` also carry the words for NOT_APPLICABLE."""
    payload: bytes | None = None
    """The bytes of a rejected message or row, for the quarantine; None: take the file's."""
    identities: list[Identity] = field(default_factory=list)


@dataclass(frozen=True)
class Input:
    """One file, or one member of an archive."""

    name: str
    """Path as shown to people; `archive.zip!member` for members."""
    size: int
    opener: Callable[[], BinaryIO]
    """Opens a seekable binary stream from the start; may be called again."""
    start: bytes = b""
    """First bytes where they were read already."""

    def head(self, length: int = 4096) -> bytes:
        """The first bytes."""
        if length <= len(self.start) or self.size == len(self.start):
            return self.start[:length]
        with self.opener() as stream:
            return stream.read(length)


@dataclass
class Context:
    """What readers need besides the input; one in each reading process."""

    settings: Settings
    pseudonymiser: Pseudonymiser
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


class Identities:
    """Turns identifiers into pseudonyms and remembers the originals of one input for the vault."""

    def __init__(self, pseudonymiser: Pseudonymiser) -> None:
        self._pseudonymiser = pseudonymiser
        self.seen: list[Identity] = []

    def pseudonym(self, kind: IdentityKind, text: str | None, name: str | None = None) -> str | None:
        """The pseudonym of the text, or None where it is blank."""
        made = self._pseudonymiser.pseudonym(kind, text)
        if made is not None and text is not None:
            self.seen.append(Identity(kind, made, text, name))
        return made


class Reader(Protocol):
    """One kind of source."""

    name: str
    order: int
    """Readers are asked in this order; the first that claims an input gets it."""

    def claims(self, head: bytes, name: str, settings: Settings) -> bool:
        """Whether the first 4,096 bytes (and the name) look like this kind. Cheap, and never raises."""
        ...

    def read(self, source: Input, context: Context) -> Iterator[Offered]:
        """One `Offered` for each thing counted, in the order of the file."""
        ...


def rejected(source: str, digest: str, reject: Reject, **more: Any) -> Offered:
    """An input that cannot be used."""
    return Offered(source=source, verdict=Verdict.REJECTED, digest=digest, reject=reject, **more)


def not_applicable(source: str, digest: str, reason: str, message: str, **more: Any) -> Offered:
    """An input that is recognised and is not for this system."""
    return Offered(
        source=source,
        verdict=Verdict.NOT_APPLICABLE,
        digest=digest,
        reject=Reject(reason, message, "Nothing to do."),
        **more,
    )


def digest_of(*parts: bytes | str) -> str:
    """SHA-256 in hexadecimal over the parts, each preceded by its length so that borders count."""
    hasher = sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        hasher.update(len(data).to_bytes(8, "big"))
        hasher.update(data)
    return hasher.hexdigest()


def month_of(at: datetime | None) -> str:
    """Partition of a row by its own UTC time: `YYYY-MM`, or `0000-00` without a plausible one."""
    return f"{at.year:04d}-{at.month:02d}" if at is not None and 1900 <= at.year <= 2100 else "0000-00"


def shown(value: object, length: int = 80) -> str:
    """A value for a reject or a log line: control characters escaped, cut."""
    text = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in str(value))
    return text if len(text) <= length else text[: length - 1] + "…"
