"""What all benchmarks share: two things timed in turns in one run, and the table of their ratios."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

Run = Callable[[], float]
"""One trial; its answer is the seconds that count."""


@dataclass(frozen=True)
class Comparison:
    """One line of the table: what we do beside what it is measured against."""

    what: str
    ours: str
    beside: str
    ratio: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def target(self) -> str:
        """The target in words; empty where there is none."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return "" if self.at_most is None else f"≤ {self.at_most:g}"

    @property
    def verdict(self) -> str:
        """Whether the target is met."""
        if not self.target:
            return ""
        low, high = self.at_least or 0.0, float("inf") if self.at_most is None else self.at_most
        return "met" if low <= self.ratio <= high else "missed"


def show(*lines: Comparison) -> None:
    """Prints the comparisons as a table."""
    rows = [("what", "ours", "beside", "ratio", "target", "")]
    rows += [(line.what, line.ours, line.beside, f"{line.ratio:.3g}", line.target, line.verdict) for line in lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def seconds(work: Callable[[], object], clock: Callable[[], float] = perf_counter) -> Run:
    """A trial that counts the whole of some work, by the clock on the wall or by `process_time`: what one core does."""

    def run() -> float:
        began = clock()
        work()
        return clock() - began

    return run


def in_turns(repeats: int, *runs: Run) -> list[float]:
    """The least seconds of each run; they take turns, so that what else the machine does meets all of them."""
    trials = [[run() for run in runs] for _ in range(repeats)]
    return [min(column) for column in zip(*trials, strict=True)]


def arguments(description: str | None) -> argparse.Namespace:
    """The command line of every benchmark: `--full` asks for the big sizes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--full", action="store_true", help="the sizes of the targets, which take many minutes")
    return parser.parse_args()


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="isocenter-bench-") as folder:
        yield Path(folder)


class Here(Executor):
    """Does everything at once in this process: what one core does."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The finished future of some work."""
        future: Future[Any] = Future()
        future.set_result(work(*args, **kwargs))
        return future
