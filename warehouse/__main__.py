"""The star's commands: `python -m warehouse query "SELECT …"`, `measure NAME …`, `measures`.

Exit codes: 0 answered; 2 wrong usage, configuration or query; 3 nothing is published or the star cannot be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, date, timedelta
from pathlib import Path

import orjson
import polars as pl

from settings import SettingsError, load_settings
from warehouse import measures
from warehouse.engines import QueryError, Star, StarReader
from warehouse.filters import LISTS, Filters
from warehouse.publication import PublicationError
from warehouse.scope import EVERYTHING

FORMATS = ("table", "csv", "json")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m warehouse", description="Asks the published star.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    query = commands.add_parser(
        "query",
        help="answer one read-only SELECT",
        description="Answers one read-only SELECT over the tables of docs/star-schema.md.",
    )
    query.add_argument("sql", help='for example "SELECT count(*) FROM fact_exam"')
    one = commands.add_parser(
        "measure", help="evaluate measures", description="Evaluates measures over a period, split as wanted."
    )
    one.add_argument("names", nargs="+", metavar="NAME", help="names of `python -m warehouse measures`")
    one.add_argument("--by", default="", help=f"comma-separated, of {', '.join(measures.BREAKDOWNS)}")
    one.add_argument(
        "--from",
        dest="start",
        type=date.fromisoformat,
        metavar="YYYY-MM-DD",
        help="first day (default: 90 days before --to)",
    )
    one.add_argument(
        "--to",
        dest="end",
        type=date.fromisoformat,
        metavar="YYYY-MM-DD",
        help="last day (default: last full day of the data)",
    )
    for name in LISTS:
        one.add_argument(f"--{name.replace('_', '-')}", default="", metavar="VALUES", help="comma-separated")
    catalogue = commands.add_parser("measures", help="list all measures with their definitions")
    for sub in (query, one, catalogue):
        sub.add_argument("--format", choices=FORMATS, default="table", help="how to answer (default table)")
        sub.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
        sub.add_argument("--config", type=Path, help="configuration file")
    return parser


def rendered(frame: pl.DataFrame, how: str) -> str:
    """The frame as text: a table, CSV or a JSON list of rows."""
    if how == "json":
        return orjson.dumps(frame.to_dicts(), default=str, option=orjson.OPT_INDENT_2).decode()
    if how == "csv":
        return frame.write_csv().rstrip("\n")
    with pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
        fmt_str_lengths=120,
        tbl_width_chars=2000,
    ):
        return str(frame)


def _measured(options: argparse.Namespace, star: Star) -> pl.DataFrame:
    end = options.end or star.publication.last_full_day(UTC)
    lists = {name: tuple(filter(None, getattr(options, name).split(","))) for name in LISTS}
    filters = Filters(start=options.start or end - timedelta(days=89), end=end).narrowed(**lists)
    by = tuple(filter(None, options.by.split(",")))
    return pl.concat(
        [
            measures.evaluate(star, name, filters, EVERYTHING, by).select(
                pl.lit(name).alias("measure"),
                *by,
                pl.col("value").cast(pl.Float64),
                pl.col("n").cast(pl.Int64),
                pl.lit(measures.measure(name).unit).alias("unit"),
            )
            for name in options.names
        ]
    )


def _listed() -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "name": m.name,
                "title": m.title,
                "unit": m.unit,
                "direction": m.direction,
                "formula": m.formula,
                "sources": m.sources,
                "exclusions": m.exclusions,
                "minimum_n": m.minimum_n,
                "version": m.version,
            }
            for m in measures.CATALOGUE.values()
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "measures":
            print(rendered(_listed(), options.format))
            return 0
        star = StarReader(load_settings(options.config).data_directory / "star").current()
        print(
            rendered(star.text(options.sql) if options.command == "query" else _measured(options, star), options.format)
        )
    except (SettingsError, QueryError, measures.UnknownMeasureError, ValueError) as error:
        print(error.args[0], file=sys.stderr)
        return 2
    except PublicationError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
