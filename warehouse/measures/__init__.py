"""The measure catalogue: every number of every page, export and finding is defined here, once.

A measure is added by putting it into the `MEASURES` of a module of this package; the catalogue, the pages' "how is this
computed?", the export's definitions and `docs/measures.md` follow.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

import polars as pl

from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures.measure import BREAKDOWNS, Measure
from warehouse.scope import Scope


def _catalogue() -> dict[str, Measure]:
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    return {measure.name: measure for module in modules for measure in getattr(module, "MEASURES", ())}


CATALOGUE: dict[str, Measure] = _catalogue()
"""All measures by name."""


class UnknownMeasureError(KeyError):
    """A measure that is not in the catalogue; the message names the ones that are."""


def measure(name: str | Measure) -> Measure:
    """The measure of a name; a measure that was made from the configuration is itself."""
    if isinstance(name, Measure):
        return name
    try:
        return CATALOGUE[name]
    except KeyError as error:
        raise UnknownMeasureError(f"no measure {name!r}; there are {', '.join(sorted(CATALOGUE))}") from error


def evaluate(star: Star, name: str | Measure, filters: Filters, scope: Scope, by: Sequence[str] = ()) -> pl.DataFrame:
    """One row a combination of the breakdowns, with `value` (null where nothing counts) and `n`.

    Counts below the scope's small-count limit are withheld: their `value` is null and `n` is null, `withheld` is true.

    Args:
        by: names of `BREAKDOWNS`, each a column of the answer.
    """
    unknown = [way for way in by if way not in BREAKDOWNS]
    if unknown:
        raise ValueError(f"cannot split by {', '.join(unknown)}; possible are {', '.join(BREAKDOWNS)}")
    asked = measure(name)
    frame = star.frame(asked.query(filters, scope, by))
    small = (pl.col("n") > 0) & (pl.col("n") < (scope.small_count if asked.counts_patients else 0))
    hidden = frame.with_columns(withheld=small.fill_null(value=False))
    return hidden.with_columns(
        pl.when("withheld").then(None).otherwise(pl.col(column)).alias(column) for column in ("value", "n")
    )


def number(star: Star, name: str, filters: Filters, scope: Scope) -> tuple[float | None, int]:
    """The value over everything that the filters keep, and its n."""
    frame = evaluate(star, name, filters, scope)
    if frame.is_empty() or frame["n"][0] is None:
        return None, 0
    value = frame["value"][0]
    return (None if value is None else float(value)), int(frame["n"][0])


__all__ = ["BREAKDOWNS", "CATALOGUE", "Measure", "UnknownMeasureError", "evaluate", "measure", "number"]
