"""Forecasts that were made: kept with their birth date, never overwritten, so that later they are held against what came."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import orjson
import polars as pl

from forecasting.network import NetworkForecast

FOLDER = "forecasts"


@dataclass(frozen=True)
class Kept:
    """One forecast of the network."""

    made_at: datetime
    publication: str
    """Publication of the star that it was made from."""
    found: NetworkForecast


class Forecasts:
    """The forecasts of one data directory."""

    def __init__(self, data_directory: Path) -> None:
        self._folder = data_directory / FOLDER

    def keep(self, found: NetworkForecast, publication: str, now: datetime | None = None) -> Path:
        """Keeps a forecast whole or not at all; its folder is named by when it was made."""
        made_at = now or datetime.now(UTC)
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self._folder / f"{made_at:%Y%m%dT%H%M%S%f}"
        partial = self._folder / f".{place.name}.{os.getpid()}"
        partial.mkdir()
        try:
            for table in fields(NetworkForecast):
                getattr(found, table.name).write_parquet(partial / f"{table.name}.parquet")
            about = {"made_at": made_at.isoformat(), "publication": publication}
            (partial / "about.json").write_bytes(orjson.dumps(about))
            partial.rename(place)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return place

    def latest(self) -> Kept | None:
        """The newest forecast; None where none was made yet. One of a version with other tables is passed over."""
        made = sorted(self._folder.glob("[0-9]*")) if self._folder.is_dir() else []
        names = [f"{table.name}.parquet" for table in fields(NetworkForecast)]
        places = [place for place in made if all((place / name).is_file() for name in names)]
        if not places:
            return None
        about = orjson.loads((places[-1] / "about.json").read_bytes())
        tables = {
            table.name: pl.read_parquet(places[-1] / f"{table.name}.parquet") for table in fields(NetworkForecast)
        }
        found = NetworkForecast(**tables)
        return Kept(datetime.fromisoformat(about["made_at"]), str(about["publication"]), found)
