"""Offered inputs to frames of landing rows: nothing lost, nothing made up, the digests of the contract."""

from __future__ import annotations

import gc
from datetime import UTC, datetime

import pytest

from etl.lake.schema import polars_schema
from etl.reading import Collector, frame_of, many_objects
from etl.sources.contract import Offered, Row, Verdict, digest_of

NOW = datetime(2026, 3, 11, 12, tzinfo=UTC)


def offered(digest: str, **rows: list[Row]) -> Offered:
    return Offered("hl7", Verdict.ACCEPTED, digest, "message 1", rows=rows)


def test_rows_carry_what_the_loader_knows_and_the_digest_of_the_contract() -> None:
    collector = Collector(NOW)
    collector.add(
        offered("ab" * 32, workflow=[{"position": "message 1, group 1", "placer": "P"}, {"placer": "Q"}]), "a.hl7"
    )
    frame = collector.finish(1).frames["workflow"]
    assert frame.schema == polars_schema("workflow")
    assert frame["position"].to_list() == ["message 1, group 1", "message 1"]
    assert frame["digest"].to_list() == [digest_of("workflow", "ab" * 32, inside)[:32] for inside in (", group 1", "")]
    assert (set(frame["file"]), set(frame["input_digest"]), set(frame["received_at"])) == (
        {"a.hl7"},
        {"ab" * 32},
        {NOW},
    )


def test_table_without_rows_gives_no_frame() -> None:
    collector = Collector(NOW)
    collector.add(offered("cd" * 32, series=[], patient=[{"patient": "N"}]), "a.hl7")
    assert {name: frame.height for name, frame in collector.finish(1).frames.items()} == {"patient": 1}


def test_rows_of_different_columns_keep_their_values_and_order() -> None:
    event = {"event": "order_placed", "at": NOW, "precision": "s", "field": "ORC-9"}
    rows: list[Row] = [
        {"placer": "1", "flags": ["a: b", "c: d"], "events": [event, event]},
        {"filler": "2", "flags": []},
        {"flags": None, "placer": "3", "events": []},
    ]
    frame = frame_of("workflow", rows)
    assert frame["placer"].to_list() == ["1", None, "3"]
    assert frame["filler"].to_list() == [None, "2", None]
    assert frame["flags"].to_list() == [["a: b", "c: d"], [], None]
    assert frame["events"].to_list() == [[event, event], None, []]


def test_column_that_the_table_lacks_is_named() -> None:
    with pytest.raises(ValueError, match="'nothing_such'"):
        frame_of("patient", [{"patient": "N", "nothing_such": 1}])


def test_collecting_of_cycles_is_as_before_after_an_error() -> None:
    usual = gc.get_threshold()
    with pytest.raises(KeyError), many_objects():
        raise KeyError
    assert gc.get_threshold() == usual
