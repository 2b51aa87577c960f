"""Forecasting's commands: `python -m forecasting run`, `explain SERIES`, `backtest --csv FILE --grain GRAIN --horizon N --origins K`.

Exit codes: 0 done; 2 wrong usage, configuration or series; 3 nothing is published yet, or too little to forecast.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import orjson
import polars as pl

from forecasting.backtest import METRICS, Backtest, backtest
from forecasting.calendar import Place
from forecasting.errors import SeriesError
from forecasting.grain import RHYTHMS, Grain
from forecasting.guess import likeliest_place
from forecasting.network import EVERY, HORIZON, LEAST_DAYS, NAIVE, ORIGINS, WAYS, network_forecast, network_series
from forecasting.series import read_series
from forecasting.store import Forecasts
from forecasting.why import WORDS, parts_by_day, standing_out
from settings import SettingsError, load_settings
from warehouse.engines import StarReader
from warehouse.publication import PublicationError

MOST_HORIZON = 5000


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command."""
    options = _parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except (SeriesError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 2
    except PublicationError as error:
        print(error, file=sys.stderr)
        return 3


def _run(options: argparse.Namespace) -> int:
    """Forecasts the network's own exams and keeps the forecast."""
    settings = load_settings(options.config)
    star = StarReader(settings.data_directory / "star").current()
    kept = Forecasts(settings.data_directory)
    latest = kept.latest()
    if latest is not None and latest.publication == star.publication.id and not options.again:
        print(
            f"The forecast of {latest.made_at:%Y-%m-%d %H:%M} UTC is of the published star already; --again makes another."
        )
        return 0
    last = star.publication.last_full_day(settings.site_of().zone)
    series = network_series(star, last - timedelta(days=RHYTHMS[Grain.DAY].history - 1), last)
    if not series:
        print(
            f"No site, modality and class has {LEAST_DAYS} days of exams yet: too little to forecast.", file=sys.stderr
        )
        return 3
    held_back = HORIZON + RHYTHMS[Grain.DAY].step * ORIGINS
    by_site = {site.code: site.holidays for site in settings.sites}
    places = {}
    for code in sorted({one.unique_id.partition("/")[0] for one in series}):
        mine = [one for one in series if one.unique_id.startswith(f"{code}/")]
        places[code] = Place.of(by_site[code]) if by_site.get(code) else likeliest_place(mine, held_back)
    found = network_forecast(series, places, workers=options.workers)
    kept.keep(found, star.publication.id)
    whole = found.forecast.filter(pl.col("unique_id") == "/".join([EVERY] * len(WAYS)))["mean"].sum()
    poor = found.forecast.filter(pl.col("model") == NAIVE)["unique_id"].unique().sort().to_list()
    print(f"{len(series)} series to {last}: {whole:,.0f} exams expected in the next {HORIZON} days.")
    if poor:
        print(
            f"No model beat repeating last week for {len(poor)} of them: {', '.join(poor[:5])}{', …' if len(poor) > 5 else ''}."
        )
    return 0


def _explain(options: argparse.Namespace) -> int:
    """Says what the kept forecast of a series is made of."""
    kept = Forecasts(load_settings(options.config).data_directory).latest()
    if kept is None:
        print("No forecast was made yet: python -m forecasting run makes one.", file=sys.stderr)
        return 3
    days = parts_by_day(kept.found, options.series)
    if days.is_empty():
        known = ", ".join(kept.found.forecast["unique_id"].unique().sort().head(12))
        raise SeriesError(f"There is no forecast of {options.series!r}. There are: {known}, …")
    if options.json:
        print(orjson.dumps(days.to_dicts()).decode())
        return 0
    row, moved = standing_out(days)
    out = days.row(row, named=True)
    why = "; ".join(f"{WORDS[name].lower()} {amount:+.1f}" for name, amount in moved)
    print(
        f"{options.series}, made {kept.made_at:%Y-%m-%d %H:%M} UTC. {out['ds']:%A, %Y-%m-%d} stands out most, {out['mean']:.1f} exams: {why}."
    )
    rounded = days.with_columns(pl.col("ds").cast(pl.Date), pl.exclude("ds").round(1))
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, tbl_width_chars=200):  # fmt: skip
        print(rounded)
    return 0


def _backtest(options: argparse.Namespace) -> int:
    series = read_series(options.csv, Grain(options.grain))
    before = options.horizon * options.origins
    place = likeliest_place(series, before) if options.country is None else Place.of(options.country)
    found = backtest(series, options.horizon, options.origins, place, options.workers)
    if found.series.is_empty():
        why = "; ".join(f"{name}: {reason}" for name, reason in list(found.left_out.items())[:3])
        raise SeriesError(f"{options.csv}: nothing can be judged. {why}.")
    answer = _answer(found, place, options)
    print(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY).decode() if options.json else _table(found, place))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m forecasting", description="Forecasts of demand.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="forecast the exams of the network",
        description=f"Forecasts the exams of every site, modality and patient class for {HORIZON} days, holds such forecasts against the past, and keeps both for the page Demand.",
    )
    run.add_argument("--again", action="store_true", help="also where the published star was forecast already")
    run.add_argument("--config", type=Path, help="configuration file")
    run.add_argument("--workers", type=_count, metavar="N", help="processes (default: one a processor)")
    why = commands.add_parser(
        "explain",
        help="say what the forecast of a series is made of",
        description="Splits each day of the kept forecast into level, trend, weekday, time of year, holidays and what is left.",
    )
    why.add_argument("series", help="site, modality and patient class, * for all: NORTH/CT/OP, */MR/*")
    why.add_argument("--config", type=Path, help="configuration file")
    why.add_argument("--json", action="store_true", help="answer as JSON")
    test = commands.add_parser(
        "backtest",
        help="hold forecasts of past periods against what came",
        description="Forecasts past periods of each series from what was known before, and scores them beside the seasonal naive forecast.",
    )
    test.add_argument("--csv", type=Path, required=True, metavar="FILE", help="CSV or Parquet with unique_id, ds, y")
    test.add_argument("--grain", choices=[one.value for one in Grain], required=True, help="length of a period")
    test.add_argument("--horizon", type=_count, required=True, metavar="N", help="periods ahead")
    test.add_argument("--origins", type=_count, default=6, metavar="K", help="past days to forecast from (default 6)")
    test.add_argument(
        "--country",
        metavar="CODE",
        help="whose public holidays: GB-ENG, US, …, or '' for none (default: those that explain the history best)",
    )
    test.add_argument("--workers", type=_count, metavar="N", help="processes (default: one a processor)")
    test.add_argument("--json", action="store_true", help="answer as JSON")
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST_HORIZON):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_HORIZON}")
    return int(text)


def _answer(found: Backtest, place: Place, options: argparse.Namespace) -> dict[str, object]:
    country = "-".join(filter(None, (place.country, place.subdivision)))
    return {
        "grain": options.grain, "horizon": options.horizon, "origins": options.origins, "country": country, "overall": found.overall, "series": found.series.to_dicts(), "left_out": found.left_out,
    }  # fmt: skip


def _table(found: Backtest, place: Place) -> str:
    heads = ("series", *METRICS)
    rows = [("all", *(f"{found.overall[name]:.3f}" for name in METRICS))]
    rows += [(row["unique_id"], *(f"{row[name]:.3f}" for name in METRICS)) for row in found.series.to_dicts()]
    widths = [max(len(str(row[at])) for row in (heads, *rows)) for at in range(len(heads))]
    lines = [
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *rows)
    ]
    country = "-".join(filter(None, (place.country, place.subdivision)))
    lines.append(f"Public holidays of {country}." if country else "Without public holidays.")
    lines += [f"left out: {name}: {why}" for name, why in found.left_out.items()]
    return "\n".join(lines)


COMMANDS = {"run": _run, "explain": _explain, "backtest": _backtest}


if __name__ == "__main__":
    sys.exit(main())
