from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.audit import AuditTrail
from state.errors import MissingError, PermanentError, SealedError
from state.home import DataHome
from state.identity import Identity
from state.vault import Vault


@pytest.fixture
def vault(home: DataHome) -> Vault:
    return Vault(home.vault_file, home.derived("vault"))


def _patient(home: DataHome, original: str, name: str | None = "WRIGHT^ORVILLE") -> Identity:
    pseudonym = home.pseudonymiser.pseudonym("patient", original)
    assert pseudonym is not None
    return Identity("patient", pseudonym, original, name)


def test_what_is_remembered_is_revealed_and_audited(vault: Vault, home: DataHome, audit: AuditTrail) -> None:
    identity = _patient(home, "MRN-4711")
    vault.remember([identity])
    assert vault.reveal(identity.pseudonym, reason="dose review", actor="ada", audit=audit) == identity
    entry = audit.head()
    assert entry is not None
    assert (entry.actor, entry.action, entry.target) == ("ada", "identity-opened", identity.pseudonym)
    assert "dose review" in entry.detail
    assert "4711" not in entry.detail


def test_the_file_holds_no_identifier(vault: Vault, home: DataHome) -> None:
    vault.remember([_patient(home, "MRN-4711"), Identity("order", "p2", "ACC-0815")])
    content = b"".join(file.read_bytes() for file in home.path.iterdir() if file.name.startswith("vault"))
    for word in (b"4711", b"WRIGHT", b"ORVILLE", b"0815"):
        assert word not in content
    assert home.vault_file.stat().st_mode & 0o077 == 0


def test_remembering_again_changes_nothing(vault: Vault, home: DataHome) -> None:
    identities = [_patient(home, str(number)) for number in range(100)]
    vault.remember(identities)
    with closing(sqlite3.connect(home.vault_file)) as connection:
        before = connection.execute("SELECT * FROM identities").fetchall()
    vault.remember(identities)
    vault.remember([])
    with closing(sqlite3.connect(home.vault_file)) as connection:
        assert connection.execute("SELECT * FROM identities").fetchall() == before
    assert vault.count() == 100


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("names", "kept"),
    [((None, "DOE^JANE"), "DOE^JANE"), (("DOE^JANE", None), "DOE^JANE"), (("DOE^JANE", "ROE^JANE"), "DOE^JANE")],
)
def test_a_name_that_comes_later_is_added(
    vault: Vault, home: DataHome, audit: AuditTrail, names: tuple[str | None, ...], kept: str, together: bool
) -> None:
    identities = [_patient(home, "1", name) for name in names]
    for batch in [identities] if together else [[identity] for identity in identities]:
        vault.remember(batch)
    assert vault.reveal(identities[0].pseudonym, reason="check", actor="ada", audit=audit).name == kept


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(original=st.text(min_size=1), name=st.none() | st.text())
def test_any_text_comes_back(vault: Vault, audit: AuditTrail, original: str, name: str | None) -> None:
    identity = Identity("person", f"p{hash((original, name))}", original, name)
    vault.remember([identity])
    assert vault.reveal(identity.pseudonym, reason="check", actor="ada", audit=audit) == identity


@pytest.mark.parametrize("reason", ["", "  ", "x"])
def test_no_reason_no_identity(vault: Vault, home: DataHome, audit: AuditTrail, reason: str) -> None:
    identity = _patient(home, "1")
    vault.remember([identity])
    with pytest.raises(PermanentError, match="State the reason"):
        vault.reveal(identity.pseudonym, reason=reason, actor="ada", audit=audit)


def test_an_unknown_pseudonym_is_said_and_audited(vault: Vault, audit: AuditTrail) -> None:
    with pytest.raises(MissingError, match="knows no identity"):
        vault.reveal("0" * 32, reason="check", actor="ada", audit=audit)
    assert len(audit.latest(action="identity-opened")) == 1


def test_exchanged_rows_do_not_open(vault: Vault, home: DataHome, audit: AuditTrail) -> None:
    first, second = _patient(home, "1"), _patient(home, "2")
    vault.remember([first, second])
    with closing(sqlite3.connect(home.vault_file)) as connection, connection:
        connection.execute(
            "UPDATE identities SET sealed = (SELECT sealed FROM identities WHERE pseudonym = ?) WHERE pseudonym = ?",
            (first.pseudonym, second.pseudonym),
        )
    with pytest.raises(SealedError, match="does not open"):
        vault.reveal(second.pseudonym, reason="check", actor="ada", audit=audit)


def test_another_key_does_not_open(vault: Vault, home: DataHome, audit: AuditTrail) -> None:
    identity = _patient(home, "1")
    vault.remember([identity])
    with pytest.raises(SealedError):
        Vault(home.vault_file, bytes(32)).reveal(identity.pseudonym, reason="check", actor="ada", audit=audit)
