"""The security headers of every response (ASVS 5.0 3.4.1 to 3.4.8)."""

from __future__ import annotations

from functools import cached_property

from dash import Dash
from flask import Response, request

OPEN_FOR_CACHES = ("assets/", "_dash-component-suites/")
"""Program files, the same for everybody; all else is data and is stored nowhere."""


class SecurityHeaders:
    """Sets the headers; to be registered as an `after_request` function of the server."""

    def __init__(self, app: Dash, behind_tls: bool) -> None:
        self._app = app
        self._behind_tls = behind_tls

    @cached_property
    def content_policy(self) -> str:
        """The content security policy; made at the first response, when every inline script of Dash is known.

        Mantine, AG Grid and Plotly write inline styles, so these must be allowed; scripts are those of this server
        and the few that Dash inlines, by hash.
        """
        directives = {
            "default-src": "'self'",
            "script-src": " ".join(("'self'", *self._app.csp_hashes())),
            "style-src": "'self' 'unsafe-inline'",
            "img-src": "'self' data: blob:",
            "font-src": "'self' data:",
            "connect-src": "'self'",
            "worker-src": "'self' blob:",
            "object-src": "'none'",
            "base-uri": "'self'",
            "frame-ancestors": "'none'",
            "form-action": "'self'",
        }
        return "; ".join(f"{name} {value}" for name, value in directives.items())

    def __call__(self, response: Response) -> Response:
        """The response with its headers."""
        headers = response.headers
        headers["Content-Security-Policy"] = self.content_policy
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
        headers["X-Frame-Options"] = "DENY"
        if self._behind_tls:
            headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
        prefix = self._app.config.routes_pathname_prefix
        if not request.path.removeprefix(prefix).startswith(OPEN_FOR_CACHES):
            headers["Cache-Control"] = "no-store"
        return response
