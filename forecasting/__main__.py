"""Forecasting's commands: `python -m forecasting backtest --csv FILE --grain GRAIN --horizon N --origins K`.

Exit codes: 0 done; 2 wrong usage or series.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from forecasting.backtest import METRICS, Backtest, backtest
from forecasting.calendar import Place
from forecasting.errors import SeriesError
from forecasting.grain import Grain
from forecasting.guess import likeliest_place
from forecasting.series import read_series

MOST_HORIZON = 5000


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command."""
    options = _parser().parse_args(arguments)
    try:
        series = read_series(options.csv, Grain(options.grain))
        before = options.horizon * options.origins
        place = likeliest_place(series, before) if options.country is None else Place.of(options.country)
    except SeriesError as error:
        print(error, file=sys.stderr)
        return 2
    found = backtest(series, options.horizon, options.origins, place, options.workers)
    if found.series.is_empty():
        why = "; ".join(f"{name}: {reason}" for name, reason in list(found.left_out.items())[:3])
        print(f"{options.csv}: nothing can be judged. {why}.", file=sys.stderr)
        return 2
    answer = _answer(found, place, options)
    print(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY).decode() if options.json else _table(found, place))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m forecasting", description="Forecasts of demand.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
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


if __name__ == "__main__":
    sys.exit(main())
