from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import OperationalError


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Connection]:
    """A connection to a PostgreSQL server of its own."""
    initdb, server = shutil.which("initdb"), shutil.which("postgres")
    if initdb is None or server is None:
        pytest.skip("no PostgreSQL on this machine: apt-get install postgresql")
    as_user: dict[str, Any] = {"user": "postgres"} if os.geteuid() == 0 else {}
    if as_user:  # PostgreSQL refuses to run as root, and needs a folder that its own user reaches
        home = Path("/tmp") / f"isocenter-{tmp_path.name}-{os.getpid()}"
        home.mkdir()
        shutil.chown(home, "postgres")
    else:
        home = tmp_path
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    subprocess.run(
        [initdb, "-D", home / "data", "-U", "reader", "--auth=trust", "-N"],
        check=True,
        capture_output=True,
        cwd=home,
        **as_user,
    )
    options = ["-D", str(home / "data"), "-p", str(port), "-k", str(home), "-h", "127.0.0.1", "-c", "fsync=off"]
    running = subprocess.Popen(
        [server, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=home, **as_user
    )
    try:
        yield _connected(f"postgresql+psycopg://reader@127.0.0.1:{port}/postgres")
    finally:
        running.send_signal(signal.SIGINT)  # its fast shutdown, which does not wait for connections
        running.wait(timeout=30)
        shutil.rmtree(home, ignore_errors=True)


def _connected(address: str) -> Connection:
    engine = create_engine(address)
    for _ in range(100):
        try:
            return engine.connect()
        except OperationalError:
            time.sleep(0.1)
    raise AssertionError("PostgreSQL did not start")
