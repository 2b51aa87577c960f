"""What loads did, from the ledger and the rejects of the lake."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from etl.lake.store import Lake
from etl.version import code_version

_VERDICTS = ("accepted", "duplicate", "rejected", "not_applicable")


def fact_load_run(lake: Lake) -> pl.DataFrame:
    """One row a run and kind of source; a run that was killed has no end."""
    runs = {run["run_id"]: run for run in lake.ledger.runs()}
    counts: dict[tuple[str, str], dict[str, int]] = {}
    newest: dict[tuple[str, str], str] = {}
    files: dict[str, int] = {}
    for batch in lake.ledger.batches():
        for source, verdicts in batch.counts.items():
            total = counts.setdefault((batch.run_id, source), dict.fromkeys(_VERDICTS, 0))
            for verdict, number in verdicts.items():
                total[verdict] += number
        for source, at in batch.newest.items():
            if at is not None:
                key = (batch.run_id, source)
                newest[key] = max(at, newest.get(key, at))
        digests = [digest for part in batch.tables.values() for digest in part.files.values()]
        files[batch.run_id] = files.get(batch.run_id, 0) + sum(int(digest[:15], 16) for digest in digests)
    rows = []
    for (run_id, source), total in counts.items():
        run = runs.get(run_id, {})
        began, ended = run.get("started_at"), run.get("finished_at")
        rows.append(
            {
                "run_id": run_id,
                "source": source,
                "started_at": _time(began) or _time_of_id(run_id),
                "finished_at": _time(ended),
                "offered": sum(total.values()),
                **total,
                "seconds": run.get("seconds"),
                "digest": f"{files.get(run_id, 0):x}",
                "code_version": run.get("code_version", code_version()),
                "newest_event_at": _time(newest.get((run_id, source))),
            }
        )
    return (
        pl.DataFrame(rows, infer_schema_length=None)
        if rows
        else pl.DataFrame(schema={"run_id": pl.Utf8, "source": pl.Utf8})
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _time_of_id(run_id: str) -> datetime:
    return datetime.strptime(run_id[:22] + "+0000", "%Y%m%dT%H%M%S%f%z")


def fact_reject(lake: Lake) -> pl.DataFrame:
    """One row a rejected input, as last seen; resolved where it, or a corrected input in its place, landed later."""
    seen = (
        lake.read("reject")
        .filter(pl.col("verdict") == "rejected")
        .sort("received_at", "batch_id")
        .unique("digest", keep="last", maintain_order=True)
    )
    landed = lake.read("receipt").filter(pl.col("verdict") == "accepted")
    by_digest = (
        landed.select("digest", pl.col("received_at").alias("landed_at"))
        .group_by("digest")
        .agg(pl.col("landed_at").max())
    )
    by_place = (
        landed.select("file", "position", pl.col("received_at").alias("replaced_at"))
        .group_by("file", "position")
        .agg(pl.col("replaced_at").max())
    )
    later = (pl.col("landed_at") >= pl.col("received_at")) | (pl.col("replaced_at") > pl.col("received_at"))
    return (
        seen.join(by_digest, on="digest", how="left")
        .join(by_place, on=["file", "position"], how="left")
        .select(
            "digest",
            "run_id",
            pl.col("received_at").alias("seen_at"),
            "source",
            "file",
            "position",
            "field",
            "value",
            "reason",
            "message",
            "remedy",
            pl.when(later.fill_null(value=False)).then(pl.lit("resolved")).otherwise(pl.lit("open")).alias("status"),
        )
        .collect()
    )
