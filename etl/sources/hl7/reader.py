"""HL7 v2 from files: orders, results, appointments, charges, documents and patients, one `Offered` a message."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hashlib import sha256

from etl.sources.contract import Context, Input, Offered, Reject, Row, Verdict, not_applicable, rejected
from etl.sources.hl7.appointments import appointment_rows
from etl.sources.hl7.charges import charge_rows
from etl.sources.hl7.charset import BadEncodingError, decoded
from etl.sources.hl7.context import Feed, MessageContext
from etl.sources.hl7.documents import document_rows
from etl.sources.hl7.framing import frames
from etl.sources.hl7.message import Message, RefusedMessageError, refused, unused
from etl.sources.hl7.orders import order_rows
from etl.sources.hl7.patients import patient_rows
from etl.sources.text_stream import TextStream, utf16_of
from settings import Settings

HANDLERS: dict[str, Callable[[MessageContext], dict[str, list[Row]]]] = {
    "ADT": patient_rows,
    "ORM": order_rows,
    "OMG": order_rows,
    "OMI": order_rows,
    "OMP": order_rows,
    "ORU": order_rows,
    "SIU": appointment_rows,
    "DFT": charge_rows,
    "BAR": charge_rows,
    "MDM": document_rows,
}
"""MSH-9.1 to what makes its rows; other message types are counted as not applicable."""

_FRAMING = {
    "no-end-block": Reject(
        "truncated",
        "The MLLP block has no end (FS, CR), so the message may be cut.",
        "Have the sender send the message again.",
        "MSH",
    ),
    "message-too-large": Reject(
        "message-too-large",
        "The message is longer than limits.max_message_mb.",
        "Raise limits.max_message_mb if messages of this size are expected.",
        "MSH",
    ),
    "no-msh": Reject(
        "no-msh",
        "There are lines without an MSH segment before them, so they belong to no message.",
        "Send whole messages that start with MSH.",
        "MSH",
    ),
}
_START = re.compile(rb"(?:^|[\r\n\x0b\x1c])[ \t]*(?:\xef\xbb\xbf)?(?:MSH|FHS|BHS)[^A-Za-z0-9\s]")
_SEGMENT_LINE = re.compile(rb"[A-Z][A-Z0-9]{2}\|")
_XML = re.compile(rb"<MSH>|urn:hl7-org:v2xml|<HL7Message")
_NAMES = (".hl7", ".hl7v2", ".mllp", ".ndhl7")
_ENVELOPES = frozenset((b"FHS", b"BHS", b"BTS", b"FTS"))


class _Batch:
    """Counts the messages of a batch (BHS to BTS) and of a file of batches (FHS to FTS)."""

    def __init__(self) -> None:
        self.messages = 0
        self.batches = 0

    def closed(self, lines: list[bytes]) -> list[str]:
        """Flags for trailers whose count differs from what came (BTS-1 messages, FTS-1 batches)."""
        flags = []
        for line in lines:
            name, fields = line[:3], line.split(line[3:4] or b"|")
            stated = fields[1].strip() if len(fields) > 1 else b""
            counted = {b"BTS": self.messages, b"FTS": self.batches}.get(name)
            if counted is not None and stated.isdigit() and stated != b"%d" % counted:
                flags.append(f"{name.decode()}-1: batch-count-mismatch, says {stated.decode()[:9]}, came {counted}")
            if name == b"BHS":
                self.messages = 0
            elif name == b"BTS":
                self.batches += 1
        return flags


class Hl7Reader:
    """Reads HL7 v2 messages; see `etl.sources.contract.Reader`."""

    name = "hl7"
    order = 40

    def __init__(self) -> None:
        self._feed: tuple[Context, Feed] | None = None

    def _feed_of(self, context: Context) -> Feed:
        """The feed of a context: files of one message each remember what the others said."""
        if self._feed is None or self._feed[0] is not context:
            self._feed = context, Feed(context)
        return self._feed[1]

    def claims(self, head: bytes, name: str, settings: Settings) -> bool:  # noqa: ARG002
        """Whether a message, a batch or a segment starts the text, in any framing, or the file's name says so."""
        utf16 = utf16_of(head)
        if utf16:
            head = head.decode(utf16[0], "replace").encode()
        start = head.lstrip(b"\xef\xbb\xbf\x0b \t\r\n")
        if name.lower().endswith(_NAMES):
            return True
        if start.startswith(b"<"):
            return bool(_XML.search(head))
        return bool(_START.search(head)) or bool(_SEGMENT_LINE.match(start))

    def read(self, source: Input, context: Context) -> Iterator[Offered]:
        """One `Offered` for each message."""
        with source.opener() as raw:
            stream = TextStream(raw)
            if source.head(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
                yield _xml(source)
                return
            feed, batch, number, strays = self._feed_of(context), _Batch(), 0, b""
            for frame in frames(stream, context.settings.limits.max_message_mb << 20):
                data, envelope = _lines(frame.data)
                batch.messages += frame.problem != "no-msh"
                flags = batch.closed(envelope) if envelope else []
                if frame.junk:
                    flags.append("MSH: text after the MLLP end block was left out")
                if frame.problem == "no-msh" and not any(map(_SEGMENT_LINE.match, data.split(b"\r"))):
                    strays = data
                elif data:
                    number += 1
                    yield _offered(frame.problem, data, flags, f"message {number}", stream.encoding, feed)
        if number == 0 and strays:
            yield rejected("hl7", sha256(strays).hexdigest(), _FRAMING["no-msh"])
        elif number == 0:
            message = "There is no message in the file."
            yield not_applicable("hl7", sha256(source.head()).hexdigest(), "empty-file", message)


def _xml(source: Input) -> Offered:
    """XML is refused unread: nothing in it is parsed, so no entity is ever resolved."""
    with source.opener() as stream:
        hasher = sha256()
        while chunk := stream.read(1 << 20):
            hasher.update(chunk)
    reject = Reject(
        "xml-encoding",
        "HL7 v2 in XML is not read; messages are expected in the encoding with MSH|^~\\&|.",
        "Have the interface engine send the usual encoding (ER7).",
        "MSH",
    )
    return rejected("hl7", hasher.hexdigest(), reject)


def _lines(data: bytes) -> tuple[bytes, list[bytes]]:
    """The message without blank lines, its lines ended by CR, and the lines of the batch envelope around it."""
    lines = [line for line in data.replace(b"\n", b"\r").split(b"\r") if line and not line.isspace()]
    envelope = [line for line in lines if line[:3] in _ENVELOPES]
    if envelope:
        lines = [line for line in lines if line[:3] not in _ENVELOPES]
    return b"\r".join(lines), envelope


def _offered(problem: str, data: bytes, flags: list[str], position: str, encoding: str | None, feed: Feed) -> Offered:
    digest = sha256(data).hexdigest()
    if problem:
        return rejected("hl7", digest, _FRAMING[problem], position=position, payload=data)
    try:
        text, doubt = decoded(data, encoding)
        message = Message(text)
        message.flags += [*flags, *([doubt] if doubt else [])]
        shared = MessageContext(message, position, feed)
        rows = _rows(shared)
    except BadEncodingError as error:
        return rejected("hl7", digest, error.reject, position=position, payload=data)
    except RefusedMessageError as error:
        payload = data if error.verdict is Verdict.REJECTED else None
        return Offered("hl7", error.verdict, digest, position, reject=error.reject, payload=payload)
    return Offered("hl7", Verdict.ACCEPTED, digest, position, shared.source_name, rows, identities=shared.identities)


def _rows(context: MessageContext) -> dict[str, list[Row]]:
    code = context.type
    if not code:
        raise refused(
            "no-message-type",
            "MSH-9 is missing, so the message cannot be understood.",
            "Have the sender fill MSH-9.",
            "MSH-9",
        )
    if context.message.header.text(11) not in context.feed.processing_ids:
        raise unused("not-production", "MSH-11 says that the message is no production message.")
    handler = HANDLERS.get(code)
    if handler is None:
        raise unused(
            "message-type",
            f"Messages of this type ({code[:8] if code.isalnum() else '?'}) say nothing about imaging exams.",
        )
    return handler(context)


READER = Hl7Reader()
"""The module's reader."""
