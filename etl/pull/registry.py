"""The kinds of sources that are asked: every module of this package with `KIND` and `connect`, found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from etl.pull.contract import Connect, Connection, PullError
from settings import Settings, Source


@cache
def kinds() -> dict[str, Connect]:
    """Kind of source to what connects to it."""
    package = __name__.rpartition(".")[0]
    folder = importlib.import_module(package)
    modules = [importlib.import_module(f"{package}.{info.name}") for info in pkgutil.iter_modules(folder.__path__)]
    return {module.KIND: module.connect for module in modules if hasattr(module, "KIND")}


def connection(source: Source, settings: Settings) -> Connection:
    """The connection that a source's settings describe.

    Raises:
        PullError: its settings do not fit together, or what it needs is not installed.
    """
    if source.kind not in kinds():
        raise PullError(f"{source.name}: sources of kind {source.kind!r} cannot be asked by this version.")
    return kinds()[source.kind](source, settings)
