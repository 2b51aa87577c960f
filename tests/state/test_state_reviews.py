"""Alerts are raised once; steps about them are sealed, checked and never undone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from state.alerts import Alerts, Raised
from state.audit import AuditTrail
from state.database import open_state
from state.reviews import ReviewError, Reviews, Step
from state.tables import reviews as review_table

DAY = date(2026, 11, 20)
ALERT = Raised("group|1", "group", "group", 2, "exam", "1", 1, "NORTH", "CT", "dev-ct1", 302, DAY, {"value": 1.0})
CLOSE = {"reason": "large_patient", "action": "none"}


@pytest.fixture
def office(tmp_path: Path) -> tuple[Alerts, Reviews]:
    engine = open_state(tmp_path / "state.sqlite")
    trail = AuditTrail(engine, b"k" * 32)
    return Alerts(engine), Reviews(engine, trail, second_signature=True)


def test_a_crossing_is_raised_once_however_often_it_is_found(office: tuple[Alerts, Reviews]) -> None:
    alerts, _ = office
    other = replace(ALERT, key="group|2", subject="2", exam_key=2)
    assert [one.key for one in alerts.keep([ALERT, ALERT, other])] == ["group|1", "group|2"]
    assert alerts.keep([other, ALERT]) == []
    assert [one.exam_key for one in alerts.between(DAY, DAY)] == [1, 2]
    assert alerts.between(date(2026, 11, 21), date(2026, 12, 1)) == []
    assert alerts.newest_day() == DAY


def test_an_alert_is_unsent_until_a_delivery_arrived(office: tuple[Alerts, Reviews]) -> None:
    alerts, _ = office
    kept = alerts.keep([ALERT])
    assert alerts.unsent("mail", 2) == kept
    assert alerts.unsent("mail", 3) == []
    alerts.note_delivery(kept, "mail", "rso@example.org", "refused")
    assert alerts.unsent("mail", 2) == kept
    alerts.note_delivery(kept, "mail", "rso@example.org", None)
    assert alerts.unsent("mail", 2) == []
    assert alerts.unsent("webhook", 2) == kept


def test_a_case_goes_from_new_to_closed_and_needs_two_people(office: tuple[Alerts, Reviews]) -> None:
    alerts, kept = office
    number = alerts.keep([ALERT])[0].id

    def state() -> str:
        return kept.statuses([number])[number].state

    assert state() == "new"
    kept.take("ada", [number], Step.ASSIGN, {"to": "ben"})
    assert state() == "assigned"
    kept.take("ben", [number], Step.EXPLAIN, {"reason": "repeat"})
    assert state() == "explained"
    kept.take("ben", [number], Step.ACT, {"action": "training", "due_on": "2026-12-01"})
    assert kept.statuses([number])[number].due_on == date(2026, 12, 1)
    kept.take("ben", [number], Step.CLOSE, CLOSE)
    assert state() == "awaiting_signature"
    with pytest.raises(ReviewError, match="another person"):
        kept.take("ben", [number], Step.COUNTERSIGN, {})
    kept.take("ada", [number], Step.COUNTERSIGN, {})
    closed = kept.statuses([number])[number]
    assert (closed.state, closed.closed_by, closed.signed_by, closed.reason) == (
        "closed",
        "ben",
        "ada",
        "large_patient",
    )
    with pytest.raises(ReviewError, match="closed"):
        kept.take("ben", [number], Step.EXPLAIN, {"reason": "repeat"})
    kept.take("ada", [number], Step.REOPEN, {}, "seen again")
    assert state() == "assigned"
    assert [one.step for one in kept.of([number])[number]] == [
        Step.ASSIGN, Step.EXPLAIN, Step.ACT, Step.CLOSE, Step.COUNTERSIGN, Step.REOPEN,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("step", "value", "text", "message"),
    [
        (Step.CLOSE, {"reason": "fine", "action": "none"}, "", "Choose a reason"),
        (Step.CLOSE, {"reason": "repeat", "action": "nothing"}, "", "Choose an action"),
        (Step.CLOSE, {"reason": "unexplained", "action": "none"}, " ", "in words"),
        (Step.ASSIGN, {"to": " "}, "", "Name the person"),
        (Step.SNOOZE, {}, "", "Name the day"),
        (Step.SNOOZE, {"until": "soon"}, "", "no day"),
        (Step.COMMENT, {}, "", "in words"),
        (Step.COUNTERSIGN, {}, "", "nothing to countersign"),
        (Step.REOPEN, {}, "x", "is open"),
    ],
)
def test_a_step_that_does_not_fit_is_refused_and_nothing_is_kept(
    office: tuple[Alerts, Reviews], step: Step, value: dict[str, str], text: str, message: str
) -> None:
    alerts, kept = office
    number = alerts.keep([ALERT])[0].id
    with pytest.raises(ReviewError, match=message):
        kept.take("ada", [number], step, value, text)
    assert kept.of([number])[number] == []


def test_a_period_with_gaps_is_signed_with_words_only(office: tuple[Alerts, Reviews]) -> None:
    _, kept = office
    with pytest.raises(ReviewError, match="say why"):
        kept.sign_off("ada", "", DAY, DAY, ["2 cases not closed"], " ")
    with pytest.raises(ReviewError, match="ends before"):
        kept.sign_off("ada", "", DAY, date(2026, 11, 1), [], "")
    kept.sign_off("ada", "NORTH", DAY, DAY, ["2 cases not closed"], "wait for the vendor")
    (signed,) = kept.sign_offs()
    assert signed.value == {
        "site": "NORTH",
        "first": "2026-11-20",
        "last": "2026-11-20",
        "gaps": ["2 cases not closed"],
    }
    assert signed.actor == "ada"


def test_what_was_tampered_with_shows(office: tuple[Alerts, Reviews]) -> None:
    alerts, kept = office
    first, second = (one.id for one in alerts.keep([ALERT, replace(ALERT, key="group|2")]))
    kept.take("ada", [first, second], Step.CLOSE, CLOSE)
    assert kept.verify() == []
    assert kept.trail.verify_chain() is None
    with kept.engine.begin() as connection:
        connection.execute(
            update(review_table)
            .where(review_table.c.alert_id == first)
            .values(value={"reason": "repeat", "action": "none"})
        )
    assert kept.verify() == ["step 1 was changed after it was signed"]
    with kept.engine.begin() as connection:
        connection.execute(delete(review_table).where(review_table.c.alert_id == second))
    assert "step sealed by audit row 2 is missing" in kept.verify()


def test_times_of_steps_are_aware(office: tuple[Alerts, Reviews]) -> None:
    alerts, kept = office
    number = alerts.keep([ALERT])[0].id
    kept.take("ada", [number], Step.COMMENT, {}, "looked at")
    assert kept.of([number])[number][0].at.tzinfo is UTC
    assert kept.of([number])[number][0].at <= datetime.now(UTC)
