"""FHIR files as JSON documents: whole files and NDJSON, strictly decoded.

FHIR R4 section 2.6.2 (JSON format: UTF-8, unique property names, decimals keep their precision) and the NDJSON of the
Bulk Data Access guide. A byte order mark is allowed, as RFC 8259 section 8.1 lets parsers do. NDJSON is read a line at
a time; a whole document (a Bundle) is held in memory and may have up to `limits.max_message_mb`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from typing import Any, BinaryIO, NamedTuple, NoReturn, cast

from etl.sources.contract import Input, Reject
from etl.sources.extract.tables import Inflated
from etl.sources.text_stream import TextStream
from settings import Limits

LINE_NAMES = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")
GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20


class RefusedDocumentError(Exception):
    """A document cannot be read as JSON of FHIR."""

    def __init__(self, reject: Reject) -> None:
        super().__init__(reject.message)
        self.reject = reject


class Document(NamedTuple):
    """One JSON text of a file."""

    position: str
    """`line 7` in NDJSON; empty for a whole file."""
    data: bytes
    digest: str | None = None
    """Only of a text that is larger than the limit, whose data is not kept."""


def documents(source: Input, raw: BinaryIO, limits: Limits) -> Iterator[Document]:
    """The JSON texts of a file, one at a time.

    Raises:
        RefusedFileError: a gzip file is damaged, or unpacks to more than the limits allow.
    """
    packed = raw.read(2) == GZIP
    raw.seek(0)
    stream = TextStream(cast("BinaryIO", Inflated(raw, source.size, limits)) if packed else raw)
    most = limits.max_message_mb << 20
    if source.name.lower().endswith(LINE_NAMES):
        yield from _lines(stream, b"", most)
        return
    start = _read(stream, most + 1)
    first, newline, rest = start.partition(b"\n")
    if newline and rest.strip() and _is_object(first):
        yield from _lines(stream, start, most)
    elif len(start) <= most:
        yield Document("", start)
    else:
        yield Document("", b"", _digest_of_rest(stream, start))


def _read(stream: TextStream, length: int) -> bytes:
    parts, left = [], length
    while left > 0 and (part := stream.read(min(left, _CHUNK))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _digest_of_rest(stream: TextStream, start: bytes) -> str:
    hasher = sha256(start)
    while part := stream.read(_CHUNK):
        hasher.update(part)
    return hasher.hexdigest()


def _lines(stream: TextStream, start: bytes, most: int) -> Iterator[Document]:
    """The lines that are not blank; of one over the limit its digest alone is kept."""
    number, held, hasher = 1, bytearray(), None
    part = start or stream.read(_CHUNK)
    while part:
        *ended, tail = part.split(b"\n")
        for piece in ended:
            if hasher is not None:
                hasher.update(piece)
                yield Document(f"line {number}", b"", hasher.hexdigest())
                hasher = None
            elif len(held) + len(piece) > most:
                yield Document(f"line {number}", b"", sha256(bytes(held) + piece).hexdigest())
            elif line := (bytes(held) + piece).strip():
                yield Document(f"line {number}", line)
            held.clear()
            number += 1
        if hasher is None and len(held) + len(tail) > most:
            hasher = sha256(bytes(held))
            held.clear()
        if hasher is None:
            held += tail
        else:
            hasher.update(tail)
        part = stream.read(_CHUNK)
    if hasher is not None:
        yield Document(f"line {number}", b"", hasher.hexdigest())
    elif last := bytes(held).strip():
        yield Document(f"line {number}", last)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        name = twice if twice.isascii() and twice.replace("_", "").isalnum() and len(twice) <= 64 else "?"
        raise RefusedDocumentError(
            Reject(
                "duplicate-key",
                f"The property {name} stands twice in one object, so it is not sure which one is meant.",
                "Have the sender write each property once.",
                name,
            )
        )
    return made


def _no_constant(_: str) -> NoReturn:
    raise ValueError("not a number of JSON")


def decoded(data: bytes) -> Any:
    """The JSON value; numbers with a fraction are exact decimals.

    Raises:
        RefusedDocumentError: the bytes are no UTF-8 or no JSON, a property stands twice, or the nesting is too deep.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedDocumentError(
            Reject(
                "bad-encoding",
                f"Byte {error.start} is not UTF-8, the encoding of FHIR's JSON.",
                "Have the sender write UTF-8.",
            )
        ) from error
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_float=Decimal, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        message = f"Not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}."
    except RecursionError as error:
        raise RefusedDocumentError(too_deep("")) from error
    except (ValueError, ArithmeticError):
        message = "A number is none of JSON's or has too many digits."
    raise RefusedDocumentError(
        Reject("bad-json", message, "Have the sender write it again; a file that ends too early was cut.")
    )


def too_deep(path: str) -> Reject:
    """The reject of a text that is nested deeper than is read."""
    return Reject(
        "too-deep",
        "Objects stand inside each other deeper than limits.max_nesting allows.",
        "Have the sender check the resource; FHIR resources are flat.",
        path,
    )


def canonical(value: Any) -> bytes:
    """The value in one written form: the same whatever the order of properties, blanks and escapes.

    Raises:
        RefusedDocumentError: a text has half a surrogate pair, or the nesting is too deep.
    """
    try:
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RefusedDocumentError(
            Reject(
                "bad-encoding",
                "A text has half a surrogate pair, which is no character.",
                "Have the sender write whole characters.",
            )
        ) from error
    except RecursionError as error:
        raise RefusedDocumentError(too_deep("")) from error
