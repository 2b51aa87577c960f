"""Puts sign-in, guard, headers and cookies on a server."""

from __future__ import annotations

import logging

from dash import Dash
from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from werkzeug.middleware.proxy_fix import ProxyFix

from dashboards._access import guard, login
from dashboards._access.headers import SecurityHeaders
from dashboards._access.services import EXTENSION, Services
from dashboards._access.startup import refuse_insecure
from settings import Settings, Web
from state.audit import utc_now
from state.errors import StoreBusyError
from state.home import DataHome
from state.settings_seen import changes_since_last_start

logger = logging.getLogger(__name__)

LOGIN_ATTEMPTS = "20 per minute"
"""From one address, on each serving process."""
MAX_REQUEST_BYTES = 8 * 2**20


def install(server: Flask, app: Dash, settings: Settings, home: DataHome) -> Services:
    """Guards every route of the server, those that are added later included.

    Call it after `Dash(server=server, …)` and before the warm-up request.

    Raises:
        InsecureError: the configuration would let anybody in.
    """
    services = Services.opened(settings, home)
    refuse_insecure(settings, services.accounts)
    server.extensions[EXTENSION] = services
    _note_changed_settings(services)
    web = settings.web
    server.secret_key = web.secret.get_secret_value() if web.secret else home.derived("cookie")
    server.config["ISOCENTER_ASSETS"] = app.get_asset_url("")
    _harden(server, web)
    guard.register(server, app)
    server.after_request(SecurityHeaders(app, web.behind_tls))
    _limit_attempts(server)
    server.register_error_handler(StoreBusyError, lambda error: (str(error), 503, {"Retry-After": "5"}))
    server.register_blueprint(login.blueprint, url_prefix=app.config.routes_pathname_prefix.rstrip("/") or None)
    return services


def _note_changed_settings(services: Services) -> None:
    """Logs and audits what differs from the last start, secrets masked."""
    changes = changes_since_last_start(services.engine, services.settings.shown(), utc_now())
    for change in changes:
        logger.info("setting changed since the last start: %s", change)
    if changes:
        services.audit.append("system", "settings-changed", "configuration", {"changes": changes})


def _harden(server: Flask, web: Web) -> None:
    server.config.update(
        SESSION_COOKIE_NAME="__Host-isocenter" if web.behind_tls else "isocenter",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=web.behind_tls,
        SESSION_COOKIE_PATH="/",
        MAX_CONTENT_LENGTH=MAX_REQUEST_BYTES,
    )
    if web.behind_tls:
        server.wsgi_app = ProxyFix(server.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]


def _limit_attempts(server: Flask) -> None:
    limiter = Limiter(get_remote_address, app=server, storage_uri="memory://")
    limiter.limit(LOGIN_ATTEMPTS, methods=["POST"])(login.blueprint)
    server.register_error_handler(429, lambda _error: (login.sign_in_page(login.MANY), 429))
