"""Reading in worker processes: through any `concurrent.futures.Executor`, by default a pool of spawned processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from etl.inputs import FileTask
from etl.reading import Collector, Reading, read_files
from etl.sources.contract import Context, Offered, Reject, Verdict, digest_of

_FEW_FILES = 40
"""Below this, starting worker processes costs more than it saves."""


class WorkerPool:
    """Reads chunks in order, with a bounded number under way; a reader that ends its process costs one file."""

    def __init__(self, workers: int, executor: Executor | None) -> None:
        self._workers = workers or os.cpu_count() or 1
        self._given = executor
        self._own: ProcessPoolExecutor | None = None
        self._under_way: list[tuple[list[FileTask], Future[Reading]]] = []

    def read(self, tasks: list[FileTask], context: Context, *, last: bool = False) -> Iterator[Reading]:
        """Hands in a chunk and yields what is ready; with `last`, everything."""
        if last and not self._under_way and len(tasks) <= _FEW_FILES and self._given is None:
            if tasks:
                yield read_files(tasks, context)
            return
        if tasks:
            self._under_way.append((tasks, self._executor().submit(read_files, tasks, context)))
        while self._under_way and (last or len(self._under_way) > 2 * self._workers):
            yield from self._next(context)

    def _next(self, context: Context) -> Iterator[Reading]:
        tasks, future = self._under_way.pop(0)
        try:
            yield future.result()
        except BrokenProcessPool:
            again = [tasks, *(waiting for waiting, _ in self._under_way)]
            self._under_way = []
            self.close()
            for chunk in again:
                yield from _read_apart(chunk, context)

    def _executor(self) -> Executor:
        if self._given is not None:
            return self._given
        if self._own is None:
            # Polars and fork deadlock: workers are spawned.
            self._own = ProcessPoolExecutor(self._workers, mp_context=multiprocessing.get_context("spawn"))
        return self._own

    def close(self) -> None:
        """Ends the workers."""
        if self._own is not None:
            self._own.shutdown(wait=False, cancel_futures=True)
            self._own = None


def _read_apart(tasks: list[FileTask], context: Context) -> Iterator[Reading]:
    """Readings from a process of their own; where it ends, each half from one, down to the file that ends it twice."""
    for _ in range(2 if len(tasks) == 1 else 1):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as single:
            try:
                yield single.submit(read_files, tasks, context).result()
            except BrokenProcessPool:
                continue
            return
    if len(tasks) == 1:
        yield _crashed(tasks[0], context)
        return
    half = len(tasks) // 2
    yield from _read_apart(tasks[:half], context)
    yield from _read_apart(tasks[half:], context)


def _crashed(task: FileTask, context: Context) -> Reading:
    collector = Collector(context.now)
    reason = Reject(
        "reader-crashed",
        "reading this file ended the reading process twice",
        "Report the defect with the file; the other files are not affected.",
    )
    collector.add(Offered("unknown", Verdict.REJECTED, digest_of("path", task.path), reject=reason), task.path)
    return collector.finish(1)
