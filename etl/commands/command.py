"""What a command is, and the stores that commands open."""

from __future__ import annotations

import argparse
import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from deltalake.exceptions import DeltaError

from etl.inputs import PathError
from etl.lake.store import LakeError, LockedError
from settings import Settings
from state.errors import StateError
from state.home import DataHome
from warehouse.arrow import CheckError
from warehouse.publication import PublicationError

WRONG_USE, STORE_UNUSABLE, SOURCE_UNREACHABLE = 2, 3, 4

Say = Callable[[str], None]
Run = Callable[[argparse.Namespace, Settings, Say], tuple[int, Any, str]]
"""Takes the options, gives exit code, JSON answer and the same in words."""


class CommandError(Exception):
    """Ends a command with a message in plain words and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Command:
    """One command."""

    name: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Run
    order: int
    description: str = ""


@contextmanager
def store_errors(settings: Settings) -> Iterator[None]:
    """Turns what can go wrong with the stores into messages and exit codes."""
    try:
        yield
    except PathError as error:
        raise CommandError(str(error), WRONG_USE) from error
    except (LockedError, LakeError, PublicationError, StateError) as error:
        raise CommandError(str(error), STORE_UNUSABLE) from error
    except CheckError as error:
        raise CommandError(
            f"the derived rows break a check, so nothing was published and the pages stay as they were: {error}",
            STORE_UNUSABLE,
        ) from error
    except DeltaError as error:
        raise CommandError(
            f"a table below {settings.data_directory} cannot be used: {str(error).splitlines()[0]}. Run `python -m etl verify` to see what is damaged.",
            STORE_UNUSABLE,
        ) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise CommandError(
                f"the disk below {settings.data_directory} is full; nothing is lost. Make room and run the command again.",
                STORE_UNUSABLE,
            ) from error
        raise CommandError(
            f"{error.filename or settings.data_directory}: {error.strerror}. Check path and rights.", STORE_UNUSABLE
        ) from error


def open_home(settings: Settings, *, writes: bool = False) -> DataHome:
    """The data directory; made if it is new and empty, and the command writes to it.

    Raises:
        StateError: it is not there, has data and lacks its key, or the key is another one's.
    """
    return DataHome.open_or_initialise(settings.data_directory) if writes else DataHome.open(settings.data_directory)
