"""Real servers on free ports of this machine, each stopped by its own handle."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest

from etl.inputs import FileTask, open_task
from etl.pull.contract import Cursor
from etl.pull.worklist import connect
from etl.sources.contract import Context, Input, Offered
from etl.sources.dicom import reader as dicom
from etl.sources.dicom import worklist
from settings import Settings, WorklistSource
from state.home import DataHome

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
START_SECONDS = 20

Serve = Callable[[list[str], int], None]


@pytest.fixture
def shared_data() -> Path:
    """Real files from real systems; absent in a clone elsewhere."""
    if not SHARED.is_dir():
        pytest.skip("needs the shared collection of real files (../shared/data), which is not part of the repository")
    return SHARED


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives a port of this machine that nothing listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a command and waits until its port answers."""
    running: list[subprocess.Popen[bytes]] = []

    def start(command: list[str], port: int) -> None:
        log = tmp_path / f"server-{port}.log"
        with log.open("wb") as stream:
            running.append(subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, cwd=tmp_path))
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and running[-1].poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
                return
            time.sleep(0.05)
        pytest.fail(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")

    yield start
    for process in running:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


PLUGIN = Path("/usr/share/orthanc/plugins/libModalityWorklists.so")
TODAY = f"{datetime.now(UTC):%Y%m%d}"


@dataclass
class Served:
    """A running worklist server and the folder that it serves."""

    source: WorklistSource
    folder: Path
    settings: Settings

    def fetch(self, cursor: Cursor, spool: Path) -> tuple[Cursor, list[Offered]]:
        """One pull, read as a load would read it."""
        shutil.rmtree(spool, ignore_errors=True)
        spool.mkdir()
        fetched = connect(self.source, self.settings).fetch(cursor, spool)
        files = sorted(spool.iterdir())
        assert fetched.files == len(files)
        assert fetched.is_complete
        return json.loads(json.dumps(fetched.cursor)), [offered for file in files for offered in self._read(file)]

    def _read(self, file: Path) -> Iterator[Offered]:
        context = Context(self.settings, DataHome.open(self.settings.data_directory).pseudonymiser)
        for item in open_task(FileTask(str(file), file.stat().st_size), self.settings.limits):
            assert isinstance(item, Input)
            reader = next(
                each
                for each in (worklist.READER, dicom.READER)
                if each.claims(item.head(), item.name, context.settings)
            )
            yield from reader.read(item, context)


def change(file: Path, **elements: str) -> None:
    """Changes an entry that the server serves; those of `step_` in its step."""
    data = pydicom.dcmread(file)
    for keyword, value in elements.items():
        target = data.ScheduledProcedureStepSequence[0] if keyword.startswith("step_") else data
        setattr(target, keyword.removeprefix("step_"), value)
    data.save_as(file)


@pytest.fixture(params=["wlmscpfs", "Orthanc"])
def served(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    shared_data: Path,
    serve: Callable[[list[str], int], None],
    free_port: Callable[[], int],
) -> Served:
    folder, port = tmp_path / "lists" / "RIS", free_port()
    folder.mkdir(parents=True)
    for file in sorted((shared_data / "workflow" / "mwl").glob("*.wl")):
        shutil.copyfile(file, folder / file.name)
        change(folder / file.name, step_ScheduledProcedureStepStartDate=TODAY)
    if request.param == "wlmscpfs":
        if shutil.which("wlmscpfs") is None:
            pytest.skip("dcmtk is not installed (Debian: dcmtk)")
        (folder / "lockfile").touch()
        serve(["wlmscpfs", "--single-process", "-dfr", "-csk", "-dfp", str(folder.parent), str(port)], port)
    else:
        if shutil.which("Orthanc") is None or not PLUGIN.exists():
            pytest.skip("Orthanc with its worklist plugin is not installed (Debian: orthanc)")
        configuration = {
            "DicomAet": "RIS", "DicomCheckCalledAet": True, "DicomPort": port, "HttpServerEnabled": False, "DicomAlwaysAllowFindWorklist": True,
            "StorageDirectory": str(tmp_path / "storage"), "IndexDirectory": str(tmp_path / "storage"),
            "Plugins": [str(PLUGIN)], "Worklists": {"Enable": True, "Database": str(folder)},
        }  # fmt: skip
        (tmp_path / "orthanc.json").write_text(json.dumps(configuration))
        serve(["Orthanc", str(tmp_path / "orthanc.json")], port)
    source = WorklistSource(
        kind="worklist", name="ris", host="127.0.0.1", port=port, called_ae="RIS", days_ahead=1, timeout_seconds=60
    )  # long: a busy machine may stop a server for seconds
    return Served(source, folder, Settings(data_directory=tmp_path / "data"))
