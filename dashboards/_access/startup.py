"""What the server refuses to start with (ASVS 5.0 13.2.2, 13.4.2, 6.3.2)."""

from __future__ import annotations

from settings import Settings
from state.accounts import Accounts

_FEWEST_DIFFERENT = 10
_MIN_SECRET = 32
_GUESSED = ("changeme", "change-me", "secret", "default", "example", "isocenter", "test", "0123456789", "abcdef")


class InsecureError(Exception):
    """The server does not start with this configuration; the message says what to change."""


def refuse_insecure(settings: Settings, accounts: Accounts) -> None:
    """Returns where the pages may be served with these settings and accounts.

    Settings check their own values; this checks again what would open the pages to strangers, whatever made the
    settings, and what only the accounts tell.

    Raises:
        InsecureError: something would let anybody in.
    """
    web = settings.web
    if web.demo and not web.is_local:
        raise InsecureError(
            f'web.demo is refused on {web.host}: it asks for no password. Set host = "127.0.0.1" or demo = false.'
        )
    if web.debug:
        raise InsecureError("web.debug shows source code to visitors. Set debug = false.")
    if not web.is_local and not web.behind_tls:
        raise InsecureError(
            f"web.host {web.host} is reachable from other machines: passwords would cross the network in clear. "
            "Put a proxy that ends TLS in front and set behind_tls = true."
        )
    if web.secret is not None:
        _refuse_weak(web.secret.get_secret_value())
    if not web.demo and accounts.count() == 0:
        raise InsecureError(
            "Nobody can sign in: there is no account. Make one with "
            "python -m state account add NAME --role administrator"
        )


def _refuse_weak(secret: str) -> None:
    remedy = "Leave web.secret out to have one made, or take the output of: openssl rand -base64 48"
    if len(secret) < _MIN_SECRET:
        raise InsecureError(f"web.secret has {len(secret)} characters, at least {_MIN_SECRET} are needed. {remedy}")
    folded = secret.casefold()
    if len(set(secret)) < _FEWEST_DIFFERENT or any(word in folded for word in _GUESSED):
        raise InsecureError(f"web.secret is easily guessed, and who has it can forge a session. {remedy}")
