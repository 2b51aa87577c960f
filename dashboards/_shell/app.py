"""The app factory: one server, its pages, its guard."""

from __future__ import annotations

import logging
from pathlib import Path

import dash
import flask
from dash import Dash, set_props
from flask_compress import Compress

from dashboards import _access as access
from dashboards._shell import callbacks, decisions, export, layout, routes, views
from dashboards._shell.ids import Shell
from dashboards._shell.reading import EXTENSION, Served
from settings import Settings
from state.home import DataHome
from warehouse.engines import StarReader

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
YEAR_SECONDS = 31_536_000
INDEX = """<!DOCTYPE html>
<html lang="en">
    <head>
        {%metas%}
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>{%title%}</title>
        <link rel="icon" type="image/svg+xml" href="/assets/icons/isocenter.svg">
        <script src="/assets/early/scheme.js"></script>
        {%css%}
    </head>
    <body>
        {%app_entry%}
        <footer>
            {%config%}
            {%scripts%}
            {%renderer%}
        </footer>
    </body>
</html>"""


def create_app(settings: Settings, home: DataHome, reader: StarReader | None = None) -> Dash:
    """The app with all its pages, guarded.

    Args:
        reader: gives the star; that of the data directory where absent.

    Raises:
        InsecureError: the configuration would let anybody in.
    """
    server = flask.Flask("isocenter", template_folder=None)
    server.config.update(
        SEND_FILE_MAX_AGE_DEFAULT=YEAR_SECONDS, ISOCENTER_ASSETS="/assets/"
    )  # assets carry ?m=time in their address
    _compress(server)
    app = Dash(
        "isocenter",
        server=server,
        use_pages=True,
        pages_folder=str(ROOT / "dashboards"),
        assets_folder=str(ROOT / "assets"),
        assets_ignore=r"^(login\.css|scheme\.js)$",
        index_string=INDEX,
        title=settings.organisation,
        update_title=None,
        suppress_callback_exceptions=True,
        health_endpoint="healthz",
        on_error=_failed,
        enable_mcp=False,
    )
    server.extensions[EXTENSION] = Served(settings, reader or StarReader(home.star))
    callbacks.register(app)
    access.install(server, app, settings, home)
    export.register(server)
    decisions.register(server)
    routes.register(server)
    views.register(server)
    app.layout = layout.shell
    # Dash builds its callback table and the hashes of its inline scripts at the first request; two early ones at the
    # same time would race. After this no extension or before_request may be added.
    with server.test_client() as client:
        client.get("/healthz")
    return app


def _compress(server: flask.Flask) -> None:
    """Compresses what is worth it; Dash's own switch would fix the algorithm to gzip at its highest cost."""
    server.config.update(
        COMPRESS_ALGORITHM=["zstd", "br", "gzip"], COMPRESS_BR_LEVEL=4, COMPRESS_LEVEL=6, COMPRESS_MIN_SIZE=1024
    )
    Compress(server)


def _failed(error: Exception) -> None:
    """Logs what went wrong in a callback and tells the reader; the page keeps what it shows."""
    logger.error("callback failed: %s", dash.callback_context.triggered_id, exc_info=error)
    toast = {
        "id": "failed",
        "action": "show",
        "color": "red",
        "title": "This part could not be brought up to date",
        "message": "It shows what it had before. The details are in the server's log.",
    }
    set_props(Shell.TOASTS, {"sendNotifications": [toast]})
