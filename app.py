"""Serves the pages: `python app.py`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import Any

from flask import Flask

from dashboards._access import InsecureError, refuse_insecure
from dashboards._access.services import Services
from dashboards._shell.app import create_app
from settings import Settings, SettingsError, load_settings
from state.errors import HomeError
from state.home import DataHome

WORKERS = 2
THREADS = 8


def main(arguments: list[str] | None = None) -> int:
    """Serves until it is stopped; 2 where the configuration or the data directory cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python app.py",
        description="Serves Isocenter's pages. ISOCENTER_CONFIG names the configuration, ISOCENTER_DATA the data directory.",
    )
    parser.add_argument("--host", help="address to listen on; the configuration's web.host where absent")
    parser.add_argument("--port", type=int, help="port to listen on; the configuration's web.port where absent")
    parser.add_argument(
        "--demo",
        action="store_true",
        default=None,
        help="one-click choice of role, no passwords; refused on any address but this machine's own",
    )
    parser.add_argument("--workers", type=int, default=WORKERS, help=f"serving processes (default {WORKERS})")
    parser.add_argument("--threads", type=int, default=THREADS, help=f"threads of each process (default {THREADS})")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("alembic", "weasyprint", "fontTools"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        settings = _chosen(load_settings(), options)
        home = DataHome.open_or_initialise(settings.data_directory)
        refuse_insecure(settings, Services.opened(settings, home).accounts)  # before any process is started
        print(f"Isocenter is served on http://{settings.web.host}:{settings.web.port}", file=sys.stderr)  # noqa: T201
        serve(settings, home, options.workers, options.threads)
    except (SettingsError, HomeError, InsecureError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    return 0


def _chosen(settings: Settings, options: argparse.Namespace) -> Settings:
    """The settings with host, port and mode of the command line, checked as the file's are."""
    given = {name: value for name in ("host", "port", "demo") if (value := getattr(options, name)) is not None}
    if not given:
        return settings
    try:
        web = type(settings.web).model_validate(settings.web.model_dump() | given)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    return settings.model_copy(update={"web": web})


def serve(settings: Settings, home: DataHome, workers: int, threads: int) -> None:
    """Runs gunicorn; where it is missing (Windows), the server of Werkzeug."""
    try:
        from gunicorn.app.base import BaseApplication
    except ImportError:
        create_app(settings, home).server.run(host=settings.web.host, port=settings.web.port, threaded=True)
        return

    class Gunicorn(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
        """gunicorn without a configuration file; each worker makes its own app, for a fork after Polars has run deadlocks."""

        def load_config(self) -> None:
            chosen: dict[str, Any] = {
                "bind": f"{settings.web.host}:{settings.web.port}", "worker_class": "gthread", "workers": workers, "threads": threads,
                "preload_app": False, "control_socket_disable": True, "worker_exit": _leave, "timeout": 120, "accesslog": None, "forwarded_allow_ips": "127.0.0.1",
            }  # fmt: skip
            for name, value in chosen.items():
                if name in self.cfg.settings:
                    self.cfg.set(name, value)

        def load(self) -> Flask:
            return create_app(settings, home).server

    Gunicorn().run()


def _leave(server: object, worker: object) -> None:
    """Ends a worker at once: the engine's threads outlive the interpreter and would abort the process otherwise."""
    del server, worker
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
