"""A series folds to the same row however it was split and in whatever order its parts came."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from etl.lake.fold import fold_series
from etl.lake.schema import polars_schema

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
SCHEMA = polars_schema("series")


def instance(number: int, **values: Any) -> dict[str, Any]:
    """One instance of series 1.2, acquired `number` minutes after ten."""
    at = START + timedelta(minutes=number)
    row: dict[str, Any] = {
        "input_digest": f"{number:064d}",
        "study_uid": "1.1",
        "series_uid": "1.2",
        "accession": "a",
        "patient": "p",
        "order_key": f"{at.isoformat()}|{number}",
        "started_at": at,
        "ended_at": at + timedelta(seconds=30),
        "month": "2026-03",
        "instances": [number],
        "accessions": ["a"],
        "flags": [f"flag {number % 3}"],
        "frames": 2,
        "bytes": 100 + number,
        "protocol": f"protocol {number}",
        "worklist_used": number % 2 == 0,
    }
    return {**row, **values}


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA)


def by_key(folded: pl.DataFrame) -> pl.DataFrame:
    return folded.sort("study_uid", "series_uid", "accession", "patient", nulls_last=True)


def test_three_instances_fold_to_one_row() -> None:
    """Golden: 10:01 to 10:05:30; the texts are those of the earliest; 3 · 2 frames; 101 + 103 + 105 bytes."""
    (row,) = fold_series(frame([instance(3), instance(1), instance(5)])).to_dicts()
    assert (row["started_at"], row["ended_at"]) == (
        START + timedelta(minutes=1),
        START + timedelta(minutes=5, seconds=30),
    )
    assert (row["protocol"], row["frames"], row["bytes"], row["instances"]) == ("protocol 1", 6, 309, [1, 3, 5])
    assert row["flags"] == ["flag 0", "flag 1", "flag 2"]


def test_a_series_under_two_accessions_stays_two_rows() -> None:
    folded = fold_series(frame([instance(1), instance(2, accession="b"), instance(3, patient=None)]))
    assert folded.height == 3


def test_rows_without_a_time_take_part() -> None:
    row = fold_series(
        frame(
            [
                instance(1, started_at=None, month="0000-00", order_key="~|1"),
                instance(2, calibrated_on=date(2026, 1, 1)),
            ]
        )
    ).to_dicts()[0]
    assert (row["month"], row["protocol"], row["calibrated_on"]) == ("2026-03", "protocol 2", date(2026, 1, 1))
    alone = fold_series(frame([instance(1, started_at=None, month="0000-00")])).to_dicts()[0]
    assert (alone["month"], alone["started_at"]) == ("0000-00", None)


def test_no_rows_fold_to_no_rows() -> None:
    assert fold_series(frame([])).height == 0
    assert fold_series(frame([])).schema == frame([]).schema


numbers = st.lists(st.integers(0, 50), min_size=1, max_size=12, unique=True)


@given(numbers, st.data())
def test_any_split_and_order_folds_to_the_same(chosen: list[int], data: st.DataObject) -> None:
    rows = [
        instance(
            n,
            accession=data.draw(st.sampled_from(["a", "b", None])),
            series_uid=data.draw(st.sampled_from(["1.2", "1.3"])),
        )
        for n in chosen
    ]
    whole = by_key(fold_series(frame(rows)))
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    parts = pl.concat([fold_series(frame(shuffled[:cut])), fold_series(frame(shuffled[cut:]))])
    assert by_key(fold_series(parts)).equals(whole)
    assert by_key(fold_series(whole)).equals(whole)
