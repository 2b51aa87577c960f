"""The character set of an HL7 v2 message: what MSH-18 says, and what to do where it says nothing.

Names from HL7 table 0211 (v2.8.2), with the spellings that senders use.
"""

from __future__ import annotations

import codecs
import re

from etl.sources.contract import Reject

CODECS: dict[str, str] = {
    "ASCII": "ascii",
    "ISOIR6": "ascii",
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "UNICODE": "utf-8",
    "UNICODEUTF16": "utf-8",
    "UNICODEUTF32": "utf-8",
    "ISOIR192": "utf-8",
    **{f"8859{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    **{f"ISO8859{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    "ISOIR100": "iso8859-1",
    "ISOIR101": "iso8859-2",
    "ISOIR109": "iso8859-3",
    "ISOIR110": "iso8859-4",
    "ISOIR144": "iso8859-5",
    "ISOIR127": "iso8859-6",
    "ISOIR126": "iso8859-7",
    "ISOIR138": "iso8859-8",
    "ISOIR148": "iso8859-9",
    "ISOIR166": "iso8859-11",
    "WINDOWS1250": "cp1250",
    "WINDOWS1251": "cp1251",
    "WINDOWS1252": "cp1252",
    "CP1252": "cp1252",
    "GB180302000": "gb18030",
    "GB18030": "gb18030",
    "BIG5": "big5",
    "KSX1001": "euc_kr",
    "ISOIR13": "shift_jis",
    "ISOIR14": "iso2022_jp",
    "ISOIR87": "iso2022_jp_2",
    "ISOIR159": "iso2022_jp_2",
}
"""Name without blanks and signs, in upper case, to Python's codec. `UNICODE UTF-16` names what the sender holds: bytes
that could be split at CR are not UTF-16, and a stream that is, was turned into UTF-8 before."""

UNSTATED = "MSH-18: no character set is stated; bytes beyond ASCII were read as Windows-1252"


class BadEncodingError(Exception):
    """The bytes are not what MSH-18 says."""

    def __init__(self, reject: Reject) -> None:
        super().__init__(reject.message)
        self.reject = reject


def stated_charset(data: bytes) -> str:
    """The first repetition of MSH-18 as written; empty where absent."""
    line = re.split(rb"[\r\n]", data, maxsplit=1)[0]
    fields = line.split(line[3:4])
    if len(fields) < 18:
        return ""
    repetition = fields[1][1:2]
    first = fields[17].split(repetition)[0] if repetition else fields[17]
    return first.decode("ascii", "replace").strip()


def decoded(data: bytes, stream_encoding: str | None) -> tuple[str, str | None]:
    """The message as text, and a doubt about its character set.

    Raises:
        BadEncodingError: the bytes do not fit what is stated, with the byte offset.
    """
    if data.isascii() and b"\x1b" not in data:
        return data.decode("ascii"), None
    name = stated_charset(data)
    codec = stream_encoding or CODECS.get(re.sub(r"[^A-Z0-9]", "", name.upper()))
    if codec == "ascii" or (not name and codec is None):
        try:
            return data.decode("utf-8"), None if not name else "MSH-18: says ASCII; bytes beyond it were read as UTF-8"
        except UnicodeDecodeError:
            return codecs.decode(data, "cp1252", "replace"), UNSTATED
    try:
        return codecs.decode(
            data, codec or "utf-8"
        ), None if codec else f"MSH-18: unknown character set {name[:20]!r}, read as UTF-8"
    except UnicodeDecodeError as error:
        stated = stream_encoding or name
        raise BadEncodingError(
            Reject(
                "bad-encoding",
                f"MSH-18 says {stated[:20]!r}, and the byte at offset {error.start} of the message does not fit it.",
                "Have the sender state in MSH-18 the character set that it writes, and send the message again.",
                "MSH-18",
                f"byte 0x{data[error.start]:02x} at offset {error.start}",
            )
        ) from error
