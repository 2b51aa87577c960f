"""Keyed pseudonyms: identifiers leave the source reader only as these.

HMAC-SHA-256 with a key that lives outside every store, cut to 128 bits. One normalisation comes before it, so that the
same identifier gives the same pseudonym however it was written: Unicode NFKC, surrounding blanks and control characters
removed, inner blanks single, upper case. Leading zeros are kept: `000123` and `123` are two patients until a merge says
otherwise.
"""

from __future__ import annotations

import hmac
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

IdentityKind = Literal["patient", "order", "visit", "person"]
"""`order` covers accession, placer and filler numbers: they are compared with each other when exams are matched."""


@dataclass(frozen=True)
class Identity:
    """An original beside its pseudonym, on its way to the vault."""

    kind: IdentityKind
    pseudonym: str
    original: str
    name: str | None = None


def normalised(text: str) -> str:
    """The one written form that a pseudonym is made of; empty where nothing is left."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split()).upper()
    folded = unicodedata.normalize("NFKC", text)
    printable = "".join(
        " " if unicodedata.category(char) in {"Cc", "Cf", "Zs", "Zl", "Zp"} else char for char in folded
    )
    return " ".join(printable.split()).upper()


@dataclass(frozen=True)
class Pseudonymiser:
    """Makes pseudonyms; small and picklable, so that reading processes each hold one."""

    key: bytes

    def pseudonym(self, kind: IdentityKind, text: str | None) -> str | None:
        """32 hexadecimal digits for the identifier, or None where it is blank."""
        return _pseudonym(self.key, kind, text) if text else None


@lru_cache(maxsize=16_384)
def _pseudonym(key: bytes, kind: IdentityKind, text: str) -> str | None:
    plain = normalised(text)
    return hmac.digest(key, f"{kind}:{plain}".encode(), "sha256").hex()[:32] if plain else None
