from __future__ import annotations

import sys
from pathlib import Path

import pytest
from dash import Dash

sys.path.insert(0, str(Path(__file__).parent))

from star_builder import LAST_DAY, build_star, settings_for

from dashboards._access.services import Services
from dashboards._shell.app import create_app
from dashboards._shell.reading import Reading
from insights.dose.alerts import raise_alerts
from settings import Settings
from state.alerts import Alerts
from state.decisions import Decisions
from state.home import DataHome
from warehouse.engines import Star, StarReader
from warehouse.filters import Filters
from warehouse.scope import Scope


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> DataHome:
    made = DataHome.initialise(tmp_path_factory.mktemp("small") / "data")
    build_star(made.star)
    return made


@pytest.fixture(scope="session")
def settings(home: DataHome) -> Settings:
    return settings_for(home.path)


@pytest.fixture(scope="session")
def app(home: DataHome, settings: Settings) -> Dash:
    """The app, with the alerts that the small star raises."""
    made = create_app(settings, home)
    services = Services.of(made.server)
    star = StarReader(home.star).current()
    raise_alerts(star, Alerts(services.engine), Decisions(services.engine, services.audit), settings)
    return made


@pytest.fixture(scope="session")
def star(home: DataHome) -> Star:
    return StarReader(home.star).current()


@pytest.fixture
def reading(star: Star, settings: Settings) -> Reading:
    """What a person reads with who may see everything, over the default period."""
    return Reading(star, Filters.from_query({}, LAST_DAY), Scope(rows=True), settings)
