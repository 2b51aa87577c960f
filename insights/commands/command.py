"""What every command is: its words for the command line, and what it does with a star."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from settings import Settings
from state.alerts import Alerts
from state.audit import AuditTrail
from state.database import open_state
from state.decisions import Decisions
from state.home import DataHome
from state.reviews import Reviews
from warehouse.engines import Star, StarReader


@dataclass(frozen=True)
class Command:
    """One command."""

    name: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Settings], int]
    """0 done, 1 done with something to look at, 2 wrong use or configuration."""


def star_of(settings: Settings) -> Star:
    """The star that is served.

    Raises:
        PublicationError: nothing is published yet.
    """
    return StarReader(settings.data_directory / "star").current()


class Office:
    """What the dose office's commands work on: alerts, reviews and decisions of one data directory."""

    def __init__(self, settings: Settings) -> None:
        home = DataHome.open(settings.data_directory)
        self._engine = open_state(home.state_file)
        self.trail = AuditTrail(self._engine, home.derived("audit"))
        self._second_signature = settings.dose.second_signature

    @cached_property
    def alerts(self) -> Alerts:
        """Its alerts."""
        return Alerts(self._engine)

    @cached_property
    def reviews(self) -> Reviews:
        """Its reviews."""
        return Reviews(self._engine, self.trail, self._second_signature)

    @cached_property
    def decisions(self) -> Decisions:
        """Its decisions."""
        return Decisions(self._engine, self.trail)


def day(text: str) -> date:
    """A day of the command line."""
    return date.fromisoformat(text)
