from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards._shell import numbers


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "said"),
    [
        (None, "min", None, "–"), (0.0, "", None, "0"), (104468, "", None, "104,468"), (67.4, "min", None, "67 min"), (120, "min", None, "120 min"), (130, "min", None, "2 h 10 min"), (180, "min", None, "3 h"),
        (8.44, "min", None, "8.4 min"), (4560, "min", None, "3 d 4 h"), (72.0, "%", 0, "72 %"), (2.84, "%", 1, "2.8 %"), (1234.5, "mGy·cm", None, "1,230 mGy·cm"), (0.2196, "Gy·cm²", 2, "0.22 Gy·cm²"), (99.96, "mGy", None, "100 mGy"),
    ],
)  # fmt: skip
def test_values_are_said_with_their_unit(value: float | None, unit: str, decimals: int | None, said: str) -> None:
    assert numbers.shown(value, unit, decimals) == said


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_three_digits_are_within_half_a_percent(value: float) -> None:
    assert float(numbers.rounded(value).replace(",", "")) == pytest.approx(value, rel=0.0051)


@given(st.floats(min_value=0, max_value=1e6))
def test_a_duration_always_says_a_unit(minutes: float) -> None:
    assert numbers.duration(minutes).split()[-1] in {"min", "h", "d"}


def test_days_and_moments() -> None:
    assert numbers.day(date(2026, 11, 16)) == "16 Nov 2026"
    assert numbers.days(date(2025, 12, 1), date(2026, 1, 3)) == "1 Dec 2025 – 3 Jan 2026"
    assert numbers.moment(datetime(2026, 11, 16, 5, 0, tzinfo=UTC), ZoneInfo("Europe/Berlin")) == "16 Nov 2026 06:00"


@pytest.mark.parametrize(
    ("minutes", "said"), [(0.2, "just now"), (12, "12 min ago"), (300, "5 h ago"), (4320, "3 days ago")]
)
def test_ages(minutes: float, said: str) -> None:
    assert numbers.ago(timedelta(minutes=minutes)) == said


@pytest.mark.parametrize(
    ("now", "before", "unit", "said"),
    [(67, 62, "min", "5 min"), (2.8, 3.2, "%", "0.4 pt"), (103.1, 100, "", "3.1 %"), (5, 0, "", "5")],
)
def test_differences(now: float, before: float, unit: str, said: str) -> None:
    assert numbers.difference(now, before, unit) == said


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "words"),
    [
        (4.4, "%", 0, "+4 %"),
        (-0.4, "%", 0, "0 %"),
        (-0.44, "%", 1, "−0.4 %"),
        (-1113.0, "", 0, "−1,113"),
        (0.0, "", 0, "0"),
    ],
)
def test_differences_have_their_sign(value: float, unit: str, decimals: int, words: str) -> None:
    assert numbers.signed(value, unit, decimals) == words
