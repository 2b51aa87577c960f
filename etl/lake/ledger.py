"""The ledger: what each batch and run brought, one small file each; a batch is in the lake once its file stands here.

A batch announces itself in `pending/` before it writes and is moved to `batches/` when all its rows are durable. What a
killed load left in `pending/` is taken out of the tables before the next one starts.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from warehouse.publication import write_durably


@dataclass(frozen=True)
class TableBatch:
    """What one batch appended to one table."""

    rows: int
    files: dict[str, str]
    """Path below the table's folder to SHA-256 of the file."""


@dataclass(frozen=True)
class Batch:
    """One append over all tables."""

    batch_id: str
    """`<run>-<number>`: sorts by time."""
    run_id: str
    number: int
    """Position of the batch in the lake, from 1."""
    tables: dict[str, TableBatch]
    counts: dict[str, dict[str, int]]
    """Source to verdict to inputs."""
    newest: dict[str, str | None] = field(default_factory=dict)
    """Source to the newest time in its accepted rows."""


class Ledger:
    """Batches and runs of one lake."""

    def __init__(self, lake: Path) -> None:
        self._pending = lake / "ledger" / "pending"
        self._batches = lake / "ledger" / "batches"
        self._runs = lake / "ledger" / "runs"

    def announce(self, batch_id: str) -> None:
        """Says that a batch is about to write."""
        self._pending.mkdir(parents=True, exist_ok=True)
        write_durably(self._pending / f"{batch_id}.json", json.dumps({"batch_id": batch_id}))

    def pending(self) -> list[str]:
        """Batches that a killed load left unfinished."""
        return sorted(path.stem for path in self._pending.glob("*.json") if not (self._batches / path.name).exists())

    def settle(self, batch_id: str) -> None:
        """Forgets an announced batch."""
        (self._pending / f"{batch_id}.json").unlink(missing_ok=True)

    def commit(self, batch: Batch) -> None:
        """Makes a batch part of the lake: the one moment at which all its rows begin to count."""
        self._batches.mkdir(parents=True, exist_ok=True)
        write_durably(self._batches / f"{batch.batch_id}.json", json.dumps(asdict(batch)))
        self.settle(batch.batch_id)

    def count(self) -> int:
        """Number of batches in the lake."""
        return sum(1 for _ in self._batches.glob("*.json"))

    def batches(self, after: int = 0) -> list[Batch]:
        """Batches with a number above `after`, in order."""
        found = []
        for path in sorted(self._batches.glob("*.json"))[after:]:
            raw: dict[str, Any] = json.loads(path.read_text())
            tables = {name: TableBatch(**table) for name, table in raw.pop("tables").items()}
            found.append(Batch(tables=tables, **raw))
        return found

    def record_run(self, run: dict[str, Any]) -> None:
        """Stores or replaces the record of a run."""
        self._runs.mkdir(parents=True, exist_ok=True)
        write_durably(self._runs / f"{run['run_id']}.json", json.dumps(run))

    def runs(self) -> list[dict[str, Any]]:
        """All runs, oldest first."""
        return [json.loads(path.read_text()) for path in sorted(self._runs.glob("*.json"))]
