"""What sign-in, guard and audit share: made once, kept on the Flask server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from flask import Flask
from sqlalchemy import Engine

from settings import Settings, Web
from state.accounts import Accounts
from state.audit import AuditTrail
from state.database import open_state
from state.home import DataHome
from state.identity import Pseudonymiser
from state.sessions import Sessions
from state.vault import Vault

EXTENSION = "isocenter_access"


@dataclass(frozen=True)
class Services:
    """Accounts, sessions, audit and identities of one server."""

    settings: Settings
    engine: Engine
    accounts: Accounts
    sessions: Sessions
    audit: AuditTrail
    vault: Vault
    pseudonymiser: Pseudonymiser

    @property
    def web(self) -> Web:
        """The settings of the pages' server."""
        return self.settings.web

    @classmethod
    def opened(cls, settings: Settings, home: DataHome) -> Services:
        """The services over this data directory's state, brought to this program's revision."""
        engine = open_state(home.state_file)
        audit = AuditTrail(engine, home.derived("audit"))
        web = settings.web
        sessions = Sessions(engine, timedelta(minutes=web.idle_minutes), timedelta(hours=web.session_hours))
        vault = Vault(home.vault_file, home.derived("vault"))
        return cls(settings, engine, Accounts(engine, audit), sessions, audit, vault, home.pseudonymiser)

    @classmethod
    def of(cls, server: Flask) -> Services:
        """The services of this server; `install` put them there."""
        services: Services = server.extensions[EXTENSION]
        return services
