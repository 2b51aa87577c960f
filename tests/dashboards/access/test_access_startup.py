"""The server does not start with what would let anybody in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from dashboards._access import InsecureError, refuse_insecure
from dashboards._access.installation import _note_changed_settings
from dashboards._access.services import Services
from settings import Settings, Web
from state.home import DataHome
from state.roles import Role

GOOD_SECRET = "kJ8s-2Lq0-vB6x-Zp4m-Tn7w-Rc1y-Hd3f"


def _services(folder: Path, *, account: bool = True) -> Services:
    services = Services.opened(Settings(), DataHome.initialise(folder))
    if account:
        services.accounts.create("system", "ada", "copper violin tundra mango", [Role.ADMINISTRATOR])
    return services


def _web(**values: Any) -> Settings:
    """Settings as somebody makes them who goes around their own checks."""
    web = Web.model_construct(**(Web().model_dump() | values))
    return Settings.model_construct(**(dict(Settings()) | {"web": web}))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"demo": True, "host": "0.0.0.0"}, r"web\.demo is refused on 0\.0\.0\.0"),
        ({"demo": True, "host": "0.0.0.0", "behind_tls": True}, r"web\.demo is refused on 0\.0\.0\.0"),
        ({"demo": True, "host": "::"}, "web.demo is refused on ::"),
        ({"demo": True, "host": "192.168.1.5"}, "web.demo is refused"),
        ({"demo": True, "host": "isocenter.example"}, "web.demo is refused"),
        ({"debug": True}, "debug shows source code"),
        ({"host": "0.0.0.0"}, "ends TLS in front"),
        ({"secret": SecretStr("short")}, "5 characters, at least 32"),
        ({"secret": SecretStr("x" * 40)}, "easily guessed"),
        ({"secret": SecretStr("changeme" * 5)}, "easily guessed"),
        ({"secret": SecretStr("my-default-secret-key-for-sessions-1")}, "easily guessed"),
        ({"secret": SecretStr("0123456789abcdef0123456789abcdef")}, "easily guessed"),
    ],
)
def test_insecure_settings_are_refused(tmp_path: Path, values: dict[str, Any], words: str) -> None:
    with pytest.raises(InsecureError, match=words):
        refuse_insecure(_web(**values), _services(tmp_path).accounts)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"secret": SecretStr(GOOD_SECRET)},
        {"host": "0.0.0.0", "behind_tls": True},
        {"host": "localhost"},
        {"host": "::1", "demo": True},
    ],
)
def test_secure_settings_start(tmp_path: Path, values: dict[str, Any]) -> None:
    refuse_insecure(_web(**values), _services(tmp_path).accounts)


def test_without_an_account_the_command_is_told(tmp_path: Path) -> None:
    services = _services(tmp_path, account=False)
    with pytest.raises(InsecureError, match="python -m state account add NAME --role administrator"):
        refuse_insecure(Settings(), services.accounts)
    refuse_insecure(Settings(web=Web(demo=True)), services.accounts)


def test_settings_refuse_the_demo_elsewhere_by_themselves() -> None:
    with pytest.raises(ValidationError, match="demo is refused on"):
        Web(demo=True, host="0.0.0.0", behind_tls=True)


def test_a_server_signs_with_its_own_secret_or_one_of_the_data(serve: Any) -> None:
    first = serve()
    assert len(first.server.secret_key) == 32
    assert first.server.secret_key not in (b"", bytes(32))


def test_changed_settings_are_audited(serve: Any, tmp_path: Path) -> None:
    first = serve()
    assert first.actions("settings-changed") == []
    settings = first.services.settings.model_copy(update={"organisation": "Harbour Imaging"})
    _note_changed_settings(replace(first.services, settings=settings))
    entry = first.services.audit.head()
    assert entry.action == "settings-changed"
    assert "Harbour Imaging" in entry.detail


def test_a_secret_that_is_set_is_used(serve: Any) -> None:
    assert serve(secret=GOOD_SECRET).server.secret_key == GOOD_SECRET
