"""What pages ask: all measures by week and site at some exams and at ten times as many, again, and as a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _compare import Comparison, Run, arguments, in_turns, scratch, seconds, show
from _synthetic_star import FIRST, LAST, write_star

from warehouse.engines import Star, compiled
from warehouse.filters import Filters
from warehouse.measures import CATALOGUE, evaluate
from warehouse.publication import Publications
from warehouse.scope import Scope

FILTERS, SCOPE, BY = Filters(FIRST, LAST), Scope(), ("week", "site")
BUDGET_SECONDS = 0.5
"""Of a question over the pages' own period at a million exams, at the 95th percentile."""


def main() -> None:
    """Prints the table."""
    full = arguments(__doc__).full
    exams = 1_000_000 if full else 100_000
    with scratch() as folder:
        small, large = folder / "small", folder / "large"
        write_star(small, exams)
        write_star(large, 10 * exams)
        few, many = in_turns(3, _all_measures(small), _all_measures(large))
        first, second = _asked_twice(large)
        framed, queried = in_turns(5, *_as_frame(large))
        slow = _slowest(small if full else large)
        show(
            Comparison(
                f"all {len(CATALOGUE)} measures by week and site, {10 * exams:,} exams",
                f"{many:.2f} s",
                f"{exams:,} exams, {few:.2f} s",
                many / few,
                at_most=4,
            ),
            Comparison(
                "one measure of 90 days, p95, 1,000,000 exams",
                f"{slow * 1000:.0f} ms",
                f"budget, {BUDGET_SECONDS * 1000:.0f} ms",
                slow / BUDGET_SECONDS,
                at_most=1,
            ),
            Comparison(
                "the same question again",
                f"{second * 1000:.2f} ms",
                f"first, {first * 1000:.0f} ms",
                second / first,
                at_most=0.05,
            ),
            Comparison(
                "a measure as a frame",
                f"{framed * 1000:.0f} ms",
                f"query alone, {queried * 1000:.0f} ms",
                framed / queried,
                at_most=1.5,
            ),
        )


def _star(folder: Path) -> Star:
    """The star with an empty cache."""
    publication = Publications(folder).current()
    assert publication is not None
    return Star(folder, publication)


def _all_measures(folder: Path) -> Run:
    def run() -> float:
        star = _star(folder)
        return seconds(lambda: [evaluate(star, name, FILTERS, SCOPE, BY) for name in CATALOGUE])()

    return run


def _slowest(folder: Path) -> float:
    """The 95th percentile over the measures, each of the period that pages start with."""
    chosen = Filters.from_query({}, LAST)
    trials = [[_question(folder, name, chosen, BY)() for name in CATALOGUE] for _ in range(3)]
    return float(np.percentile(np.min(trials, axis=0), 95))


def _asked_twice(folder: Path) -> tuple[float, float]:
    """Seconds of all measures, and of all again."""
    star = _star(folder)
    trial = seconds(lambda: [evaluate(star, name, FILTERS, SCOPE, BY) for name in CATALOGUE])
    return trial(), min(trial() for _ in range(3))


def _as_frame(folder: Path) -> tuple[Run, Run]:
    """The measure with its breakdowns as a frame, and its query run without taking the answer out."""
    star = _star(folder)
    ways = ("day", "device")
    text, parameters = compiled(CATALOGUE["exams"].query(FILTERS, SCOPE, ways))
    connection = star._connection.cursor()

    def query() -> None:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE answer AS {text}", parameters)

    return _question(folder, "exams", FILTERS, ways), seconds(query)


def _question(folder: Path, name: str, filters: Filters, ways: tuple[str, ...]) -> Run:
    """A measure asked of a star that knows no answer yet."""

    def run() -> float:
        star = _star(folder)
        return seconds(lambda: evaluate(star, name, filters, SCOPE, ways))()

    return run


if __name__ == "__main__":
    main()
