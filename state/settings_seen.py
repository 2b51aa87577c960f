"""What changed in the configuration since the program was last started."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, desc, insert, select

from state.database import writing
from state.tables import settings_seen


def changes_since_last_start(engine: Engine, shown: dict[str, Any], at: datetime) -> list[str]:
    """One line a setting that differs from the last start, `web.port: 8050 → 8051`; empty at the first.

    Args:
        engine: The state.
        shown: All settings with secrets masked; kept for the next start where something changed.
        at: Time of this start.
    """
    query = select(settings_seen.c.shown).order_by(desc(settings_seen.c.id)).limit(1)
    with writing(engine) as connection:
        last = connection.execute(query).scalar_one_or_none()
        if last == shown:
            return []
        connection.execute(insert(settings_seen).values(at=at, shown=shown))
    return [] if last is None else list(_differences(last, shown))


def _differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    old, new = dict(_flat(before)), dict(_flat(after))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{name}: {old.get(name, 'absent')} → {new.get(name, 'absent')}"


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf with its dotted name: `sites.0.code`."""
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, json.dumps(value, ensure_ascii=False)
