from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Engine, func, select

from settings import Settings, Site, Web
from state.settings_seen import changes_since_last_start
from state.tables import settings_seen

AT = datetime(2026, 3, 28, tzinfo=UTC)


def test_the_first_start_shows_no_change(engine: Engine) -> None:
    assert changes_since_last_start(engine, Settings().shown(), AT) == []


def test_each_changed_setting_is_one_line(engine: Engine) -> None:
    changes_since_last_start(engine, Settings().shown(), AT)
    changed = Settings(web=Web(port=8051), sites=(Site(code="MAIN", name="Main"), Site(code="NORTH", name="North")))
    lines = changes_since_last_start(engine, changed.shown(), AT)
    assert "web.port: 8050 → 8051" in lines
    assert 'sites.1.code: absent → "NORTH"' in lines
    assert changes_since_last_start(engine, changed.shown(), AT) == []
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(settings_seen)).scalar_one() == 2


def test_a_secret_is_never_kept(engine: Engine, tmp_path: Path) -> None:
    secret = "kJ8s-2Lq0-vB6x-Zp4m-Tn7w-Rc1y-Hd3f"
    changes_since_last_start(engine, Settings(web=Web(secret=SecretStr(secret))).shown(), AT)
    with engine.connect() as connection:
        assert secret not in str(connection.execute(select(settings_seen.c.shown)).scalar_one())
