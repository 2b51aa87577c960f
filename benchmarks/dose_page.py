"""The dose pages with 100,000 exams beside the same pages with 10,000: the cost must grow less than the exams."""

from __future__ import annotations

from pathlib import Path

from _compare import Comparison, Run, arguments, in_turns, scratch, seconds, show
from _synthetic_star import FIRST, LAST, write_star

from dashboards._shell.app import create_app
from dashboards._shell.reading import Reading
from dashboards._shell.sections import SECTIONS, rendered
from settings import Settings, Web
from state.home import DataHome
from warehouse.engines import StarReader
from warehouse.filters import Filters
from warehouse.scope import EVERYTHING

EXAMS, TIMES = 10_000, 10
DRAWN = ("dose.headlines", "dose.spread", "dose.trend", "dose.moved", "dose.highest", "protocols.ranges")
"""What the overview and the protocol page draw."""


def main() -> None:
    """Prints the table."""
    arguments(__doc__)
    with scratch() as folder:
        few, many = in_turns(3, _page(folder / "few", EXAMS), _page(folder / "many", EXAMS * TIMES))
        show(
            Comparison(
                f"dose pages, {EXAMS * TIMES:,} exams",
                f"{many:.2f} s",
                f"{EXAMS:,} exams, {few:.2f} s",
                many / few,
                at_most=TIMES,
            )
        )


def _page(folder: Path, exams: int) -> Run:
    home = DataHome.initialise(folder)
    write_star(home.star, exams)
    settings = Settings(data_directory=folder, web=Web(demo=True))
    app = create_app(settings, home)

    def draw() -> None:
        # A star of its own each time, so that nothing comes from memory.
        star = StarReader(home.star).current()
        reading = Reading(star, Filters(FIRST, LAST), EVERYTHING, settings)
        with app.server.test_request_context():
            for name in DRAWN:
                rendered(SECTIONS[name].draw(reading), name, reading)

    return seconds(draw)


if __name__ == "__main__":
    main()
