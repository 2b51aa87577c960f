"""Everything that can go wrong with what people enter, and whether trying again can help."""

from __future__ import annotations


class StateError(Exception):
    """Something about accounts, audit, vault, key or quarantine; the message says what to do."""


class TransientError(StateError):
    """The same call may succeed later."""


class PermanentError(StateError):
    """The same call fails again until somebody changes something."""


class StoreBusyError(TransientError):
    """Another process holds the store longer than the time waited for."""


class HomeError(PermanentError):
    """The data directory cannot be used as it is."""


class KeyMissingError(HomeError):
    """The data directory holds data whose key is gone."""


class KeyMismatchError(HomeError):
    """The key is not the one that this data directory was made with."""


class NewerStoreError(PermanentError):
    """The state was written by a newer version of the program."""


class AccountError(PermanentError):
    """An account cannot be made or changed as asked."""


class PasswordRefusedError(AccountError):
    """The password is too easily guessed, or too long."""


class SealedError(PermanentError):
    """A sealed value does not open: it was changed, or sealed with another key."""


class MissingError(PermanentError, LookupError):
    """What was asked for is not there."""
