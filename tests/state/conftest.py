from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine

from state.accounts import Accounts
from state.audit import AuditTrail
from state.database import open_state
from state.home import DataHome

PASSWORD = "copper violin tundra mango"


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: datetime = field(default=datetime(2026, 3, 28, 12, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def home(tmp_path: Path) -> DataHome:
    return DataHome.initialise(tmp_path / "data")


@pytest.fixture
def engine(home: DataHome) -> Engine:
    return open_state(home.state_file)


@pytest.fixture
def audit(engine: Engine, home: DataHome, clock: Callable[[], datetime]) -> AuditTrail:
    return AuditTrail(engine, home.derived("audit"), clock)


@pytest.fixture
def accounts(engine: Engine, audit: AuditTrail, clock: Callable[[], datetime]) -> Accounts:
    return Accounts(engine, audit, clock, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
