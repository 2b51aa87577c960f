"""Checks that the migrations create exactly the tables of state/tables.py: fails and lists what differs."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from state.database import open_state
from state.tables import metadata


def main() -> int:
    """0 where a migrated database has the tables of the code, else 1."""
    with tempfile.TemporaryDirectory() as folder, open_state(Path(folder) / "state.sqlite").connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    for difference in differences:
        print(f"state/tables.py and the migrations differ: {difference}", file=sys.stderr)
    if differences:
        print("Add a migration to state/migrations/versions.", file=sys.stderr)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
