"""Loads that count the seconds from files to the lake, without the star."""

from __future__ import annotations

import shutil
import tempfile
from concurrent.futures import Executor
from pathlib import Path
from time import perf_counter, process_time

from _compare import Here, Run

from etl.inputs import FileTask
from etl.load import Loader
from settings import Extract, Load, Settings
from state.home import DataHome


def landing(
    files: Path, executor: Executor | None = None, *, workers: int = 1, extracts: tuple[Extract, ...] = ()
) -> Run:
    """A trial that loads a folder into a new data directory.

    It counts the seconds to the lake, not those of the star: of the wall's clock where an executor is given, else of one
    core, for then everything happens in this process.
    """

    def run() -> float:
        data = Path(tempfile.mkdtemp(prefix="isocenter-bench-"))
        clock = process_time if executor is None else perf_counter
        landed: list[float] = []

        def heard(text: str) -> None:
            if text.startswith("deriving"):
                landed.append(clock())

        try:
            loader = Loader(DataHome.initialise(data), Settings(load=Load(workers=workers), extracts=extracts), heard)
            began = clock()
            outcome = loader.load([files], executor=executor or Here())
            if outcome.total("rejected") or not outcome.total("accepted"):
                raise RuntimeError(f"the inputs of the benchmark do not load: {outcome.as_json()}")
            return landed[0] - began
        finally:
            shutil.rmtree(data)

    return run


def tasks(folder: Path) -> list[FileTask]:
    """The files below a folder."""
    return [FileTask(str(path), path.stat().st_size) for path in sorted(folder.rglob("*")) if path.is_file()]
