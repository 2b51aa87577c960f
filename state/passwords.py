"""Which passwords are accepted, and how they are kept: Argon2id (RFC 9106) with its own salt.

Length counts, not classes of characters (NIST SP 800-63B, ASVS 5.0 6.2.1, 6.2.9, 6.2.12): at least 15 characters, up
to 128, and not one that is guessed first.
"""

from __future__ import annotations

import re
import unicodedata

from argon2 import PasswordHasher

from state.errors import PasswordRefusedError

MIN_LENGTH = 15
MAX_LENGTH = 128
HASHER = PasswordHasher()

COMMON_WORDS = (
    "administrator", "password1", "password", "passwort", "motdepasse", "contraseña", "changeme", "iloveyou",
    "sunshine", "princess", "football", "baseball", "superman", "trustno", "starwars", "whatever", "computer",
    "internet", "welcome", "letmein", "qwertyuiop", "qwertzuiop", "azertyuiop", "qwerty", "qwertz", "azerty",
    "asdfghjkl", "asdfgh", "asdf", "zxcvbnm", "yxcvbnm", "zxcvbn", "1q2w3e4r5t6y", "1q2w3e4r", "1qaz2wsx",
    "qazwsx", "dragon", "monkey", "master", "shadow", "secret", "summer", "winter", "spring", "autumn",
    "hospital", "radiology", "radiologie", "imaging", "pacs", "isocenter", "default", "admin", "login", "guest",
    "hello", "access", "user", "test", "pass", "abcdefghijklmnopqrstuvwxyz", "abcdefgh", "abcd", "abc", "my",
    "the", "is",
)  # fmt: skip
"""Words and keyboard runs that the commonest leaked passwords are made of, the longer before the shorter."""

_ONLY_COMMON = re.compile(rf"(?:{'|'.join(map(re.escape, COMMON_WORDS))}|\d|\W|_)++")
_FEWEST_DIFFERENT = 5


def prepared(password: str) -> str:
    """The password as it is hashed: the same characters however a keyboard composed them (Unicode NFKC)."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, username: str) -> None:
    """Returns where the password may be used.

    Raises:
        PasswordRefusedError: it is too short, too long, made of the commonest parts, or contains the user's name.
    """
    plain = prepared(password)
    folded = plain.casefold()
    if len(plain) < MIN_LENGTH:
        raise PasswordRefusedError(f"The password has {len(plain)} characters; at least {MIN_LENGTH} are needed.")
    if len(plain) > MAX_LENGTH:
        raise PasswordRefusedError(f"The password has {len(plain)} characters; at most {MAX_LENGTH} are possible.")
    if username.casefold() in folded:
        raise PasswordRefusedError("The password contains the user name. Use words that have nothing to do with it.")
    if len(set(folded)) < _FEWEST_DIFFERENT or _ONLY_COMMON.fullmatch(folded):
        raise PasswordRefusedError(
            "The password is made of parts that are guessed first. Use four or more words that do not belong together."
        )
