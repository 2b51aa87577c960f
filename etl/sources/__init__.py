"""The sources: every module below this package with a `READER` is one, found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from etl.sources.contract import Reader


@cache
def readers() -> tuple[Reader, ...]:
    """All readers, in the order in which they are asked."""
    modules = [importlib.import_module(info.name) for info in pkgutil.walk_packages(__path__, f"{__name__}.")]
    return tuple(
        sorted(
            (module.READER for module in modules if hasattr(module, "READER")),
            key=lambda reader: (reader.order, reader.name),
        )
    )
