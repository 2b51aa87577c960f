"""A publication names one version of every table: a small JSON file, written beside, synced, renamed into place."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from hashlib import sha256
from pathlib import Path
from typing import Any

from warehouse.schema import TABLES


class PublicationError(Exception):
    """No usable publication; the message says what to run."""


@dataclass(frozen=True)
class TableVersion:
    """One table of a publication."""

    version: int
    files: tuple[str, ...]
    """Paths below the star's directory."""
    rows: int


@dataclass(frozen=True)
class Publication:
    """One version of every table, and what it was made from."""

    id: str
    """`YYYYMMDDTHHMMSSffffff` of its making, UTC: later ones sort later."""
    made_at: str
    tables: dict[str, TableVersion]
    schema: str
    """Digest of `warehouse/schema.py`'s tables."""
    code_version: str
    settings_digest: str
    batches: int
    """Committed batches of the lake that are in it."""
    data_to: str | None
    """Newest exam time in it, UTC."""
    decided: dict[str, list[str]] = field(default_factory=dict)
    """Marks of the people's decisions that are in it."""

    @property
    def as_of(self) -> datetime | None:
        """Newest exam time, as a datetime."""
        return datetime.fromisoformat(self.data_to) if self.data_to else None

    def last_full_day(self, zone: tzinfo) -> date:
        """The day before the newest exam's, on this clock: the newest one is not over yet."""
        return (self.as_of or datetime.now(UTC)).astimezone(zone).date() - timedelta(days=1)


def schema_digest() -> str:
    """Hash of every table's columns and types: a star of another shape is rebuilt, never read."""
    text = json.dumps({name: [(c.name, str(c.type)) for c in table.columns] for name, table in sorted(TABLES.items())})
    return sha256(text.encode()).hexdigest()[:16]


def new_id(now: datetime | None = None) -> str:
    """An id that sorts by time."""
    return f"{now or datetime.now(UTC):%Y%m%dT%H%M%S%f}"


class Publications:
    """The publications of one star directory; `current.json` names the one that is served."""

    def __init__(self, star: Path) -> None:
        self.star = star
        self._folder = star / "publications"

    def current_id(self) -> str | None:
        """Id of the served publication, None before the first load."""
        try:
            return str(json.loads((self.star / "current.json").read_text())["id"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise PublicationError(
                f"{self.star / 'current.json'} is damaged. Run `python -m etl publications --use ID`, or `python -m etl rebuild`."
            ) from error

    def read(self, publication_id: str) -> Publication:
        """One publication by id."""
        path = self._folder / f"{publication_id}.json"
        try:
            raw: dict[str, Any] = json.loads(path.read_text())
            tables = {
                name: TableVersion(t["version"], tuple(t["files"]), t["rows"]) for name, t in raw.pop("tables").items()
            }
            return Publication(tables=tables, **raw)
        except FileNotFoundError as error:
            raise PublicationError(
                f"no publication {publication_id}; `python -m etl publications` lists those kept"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise PublicationError(
                f"{path} is damaged. Run `python -m etl publications --use ID` with an older one, or `python -m etl rebuild`."
            ) from error

    def current(self) -> Publication | None:
        """The served publication, None before the first load."""
        publication_id = self.current_id()
        return None if publication_id is None else self.read(publication_id)

    def kept(self) -> list[str]:
        """Ids kept, oldest first."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def write(self, publication: Publication) -> None:
        """Stores a publication beside the others; nobody sees it until `use`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_durably(self._folder / f"{publication.id}.json", json.dumps(asdict(publication), indent=1))

    def use(self, publication_id: str) -> None:
        """Serves a publication from now on: going forward after a load, or back by hand."""
        publication = self.read(publication_id)
        missing = [
            file for table in publication.tables.values() for file in table.files if not (self.star / file).exists()
        ]
        if missing:
            raise PublicationError(
                f"publication {publication_id} lacks {len(missing)} files, the first is {missing[0]}; it cannot be served"
            )
        write_durably(self.star / "current.json", json.dumps({"id": publication_id}))

    def forget(self, keep: int) -> None:
        """Drops all but the newest ones and the one that is served."""
        current = self.current_id()
        for publication_id in self.kept()[:-keep]:
            if publication_id != current:
                (self._folder / f"{publication_id}.json").unlink()


def write_durably(path: Path, text: str) -> None:
    """Writes a file so that after a crash it is either the old or the new one, whole."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
