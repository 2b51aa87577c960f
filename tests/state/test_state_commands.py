from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from state.__main__ import main
from state.home import DataHome
from state.identity import Identity
from state.roles import matrix_markdown
from state.vault import Vault

PASSWORD = "copper violin tundra mango"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "isocenter.toml"
    config.write_text('[[sites]]\ncode = "NORTH"\nname = "North hospital"\n', encoding="utf-8")
    monkeypatch.setenv("ISOCENTER_CONFIG", str(config))
    monkeypatch.setenv("ISOCENTER_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n" * 5))
    return tmp_path / "data"


def _add(name: str = "ada", *more: str) -> int:
    return main(["account", "add", name, "--role", "physicist", "--password-stdin", *more])


def test_the_first_account_makes_the_data_directory(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _add("ada", "--site", "NORTH", "--display-name", "Ada L.") == 0
    assert DataHome.open(data).state_file.exists()
    capsys.readouterr()
    assert main(["account", "list", "--json"]) == 0
    (account,) = json.loads(capsys.readouterr().out)
    assert (account["username"], account["roles"], account["sites"]) == ("ada", ["physicist"], ["NORTH"])


def test_an_account_is_changed_and_the_audit_tells(capsys: pytest.CaptureFixture[str]) -> None:
    _add()
    assert main(["account", "rights", "ada", "--role", "finance", "--role", "auditor"]) == 0
    assert main(["account", "disable", "ada"]) == 0
    assert main(["account", "enable", "ada"]) == 0
    assert main(["account", "password", "ada", "--password-stdin"]) == 0
    assert main(["audit", "verify"]) == 0
    assert "The audit is whole: 5 rows" in capsys.readouterr().out
    assert main(["audit", "show", "--json", "--count", "1"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["action"], row["target"]) == ("password-changed", "ada")
    assert row["actor"].startswith("operator:")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["account", "add", "ada", "--role", "finance", "--site", "SOUTH"], "none of the configured sites: NORTH"),
        (["account", "disable", "eve"], "No account is named 'eve'"),
        (["account", "rights", "ada", "--role", "finance", "--site", "SOUTH"], "none of the configured sites"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    _add()
    capsys.readouterr()
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_reading_an_absent_directory_makes_none(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["account", "list"]) == 1
    assert "is not initialised" in capsys.readouterr().err
    assert not data.exists()


def test_an_identity_is_opened_with_a_reason(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = DataHome.initialise(data)
    Vault(home.vault_file, home.derived("vault")).remember([Identity("patient", "p" * 32, "MRN-4711", "DOE^JANE")])
    assert main(["identity", "p" * 32, "--reason", "dose review 12"]) == 0
    assert capsys.readouterr().out == "patient: MRN-4711 (DOE^JANE)\n"
    assert main(["identity", "q" * 32, "--reason", "dose review 12"]) == 1
    assert main(["identity", "p" * 32, "--reason", " "]) == 1
    capsys.readouterr()
    main(["audit", "show"])
    shown = capsys.readouterr().out
    assert shown.count("identity-opened") == 2
    assert "dose review 12" in shown
    assert "4711" not in shown


def test_roles_prints_the_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["roles"]) == 0
    assert capsys.readouterr().out == matrix_markdown()


def test_a_wrong_configuration_is_wrong_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ISOCENTER_CONFIG", str(tmp_path / "absent.toml"))
    assert main(["roles"]) == 2


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["account"],
        ["account", "add"],
        ["account", "rights"],
        ["account", "password"],
        ["account", "disable"],
        ["account", "enable"],
        ["account", "list"],
        ["audit"],
        ["audit", "verify"],
        ["audit", "show"],
        ["identity"],
        ["roles"],
    ],
)
def test_every_command_has_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert "usage: python -m state" in capsys.readouterr().out
