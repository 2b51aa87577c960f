"""Decisions about the data: dated, reasoned, reversible, and the last word on a subject holds."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from state.audit import AuditTrail
from state.decisions import DecisionError, DecisionKind, Decisions
from tests.state.conftest import Clock

MAP = DecisionKind.MAP_PROCEDURE


@pytest.fixture
def decisions(engine: Engine, audit: AuditTrail, clock: Clock) -> Decisions:
    return Decisions(engine, audit, clock)


def test_the_last_word_on_a_subject_stands_and_revoking_it_brings_back_the_one_before(decisions: Decisions) -> None:
    decisions.decide("ada", [(MAP, "7", {"status": "confirmed", "code": "A"})], "as the catalogue says")
    [second] = decisions.decide("ben", [(MAP, "7", {"status": "confirmed", "code": "B"})], "it has contrast")
    assert [one.value["code"] for one in decisions.standing()] == ["B"]
    decisions.revoke("ada", second, "it has none")
    assert [one.value["code"] for one in decisions.standing(MAP)] == ["A"]
    assert decisions.standing(DecisionKind.EXCLUDE_EXAM) == []
    assert [one.revoked_at is not None for one in decisions.history()] == [True, False]


def test_many_are_taken_for_one_reason_and_each_is_audited(decisions: Decisions, audit: AuditTrail) -> None:
    numbers = decisions.decide("ada", [(MAP, str(n), {"status": "rejected"}) for n in range(3)], " no exams ")
    assert numbers == [1, 2, 3]
    assert [(one.action, one.target, one.actor) for one in audit.latest()] == [
        ("decide map_procedure", str(n), "ada") for n in (2, 1, 0)
    ]
    assert audit.verify_chain() is None
    assert {one.reason for one in decisions.standing()} == {"no exams"}


def test_a_decision_needs_a_reason_and_a_subject_and_can_be_taken_back_once(decisions: Decisions) -> None:
    with pytest.raises(DecisionError, match="reason"):
        decisions.decide("ada", [(MAP, "7", {})], "  ")
    with pytest.raises(DecisionError, match="subject"):
        decisions.decide("ada", [(MAP, "7", {}), (MAP, " ", {})], "why")
    assert decisions.standing() == []
    [number] = decisions.decide("ada", [(MAP, "7", {})], "why")
    with pytest.raises(DecisionError, match="reason"):
        decisions.revoke("ada", number, "")
    decisions.revoke("ada", number, "an error")
    with pytest.raises(DecisionError, match="no decision 1 that stands"):
        decisions.revoke("ada", number, "again")
