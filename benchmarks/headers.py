"""Image headers: from files to the lake beside pydicom's reading of the same files, and two workers beside one."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import process_time

from _compare import Comparison, arguments, in_turns, scratch, seconds, show
from _images import write_images
from _landing import landing, tasks
from pydicom import dcmread

from etl.inputs import open_task
from etl.reading import read_files
from etl.sources.contract import Context, Input
from etl.sources.dicom.file import open_dicom
from settings import Settings
from state.identity import Pseudonymiser


def main() -> None:
    """Prints the table."""
    count = 10_000 if arguments(__doc__).full else 2_000
    with scratch() as folder:
        write_images(folder, count)
        files = sorted(folder.rglob("*.dcm"))
        show(*_one_core(folder, files), _two_workers(folder, files))


def _one_core(folder: Path, files: list[Path]) -> list[Comparison]:
    context = Context(Settings(), Pseudonymiser(b"benchmark" * 4))

    def with_pydicom() -> None:
        for file in files:
            dcmread(file, stop_before_pixels=True)

    def parse() -> None:
        for task in tasks(folder):
            for source in open_task(task, context.settings.limits):
                assert isinstance(source, Input)
                open_dicom(source, context.settings.limits)

    def read() -> None:
        read_files(tasks(folder), context)

    loaded, parsed, made, beside = in_turns(
        4, landing(folder), *(seconds(work, process_time) for work in (parse, read, with_pydicom))
    )
    rate = f"dcmread, {len(files) / beside:,.0f}/s"
    return [
        Comparison("headers, file to lake, a core", f"{len(files) / loaded:,.0f}/s", rate, beside / loaded, at_least=1),
        Comparison("headers, file to data set", f"{len(files) / parsed:,.0f}/s", rate, beside / parsed, at_least=3),
        Comparison("headers, file to rows", f"{len(files) / made:,.0f}/s", rate, beside / made),
    ]


def _two_workers(folder: Path, files: list[Path]) -> Comparison:
    """Both pools are warm: starting a process once costs what some thousand files cost."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as one, ProcessPoolExecutor(2, mp_context=spawn) as two:
        runs = landing(folder, two, workers=2), landing(folder, one, workers=1)
        for run in runs:
            run()
        ours, beside = in_turns(3, *runs)
    busy = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return Comparison(
        f"two workers ({busy})",
        f"{len(files) / ours:,.0f}/s",
        f"one, {len(files) / beside:,.0f}/s",
        beside / ours,
        at_least=1.6,
    )


if __name__ == "__main__":
    main()
