"""What an alert rests on, frozen when it is raised, so that the number can be reproduced a year later."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True)
class Baseline:
    """The group that a value was compared with, as it was then."""

    group: str
    """In words: protocol, scanner, age and weight."""
    first: date
    last: date
    n: int
    quantity: str
    """What `median`, `p5` and `p95` are of: what exams of the kind are compared by, which may not be what crossed the rule."""
    unit: str
    median: float | None = None
    mad: float | None = None
    """Median absolute deviation of the logarithms."""
    p5: float | None = None
    p95: float | None = None


@dataclass(frozen=True)
class Cause:
    """One thing that explains a value, as far as the data tells."""

    cause: str
    """Code of `state.reviews.REASONS`."""
    text: str
    share: float | None = None
    """Part of the excess that it explains, 0 to 1, where that can be said."""


@dataclass(frozen=True)
class Twin:
    """A patient's exam like this one, and what it got."""

    exam_key: int
    exam_id: str
    value: float
    """In the quantity and unit of the baseline."""
    size_cm: float | None = None


@dataclass(frozen=True)
class Evidence:
    """Why a value crossed a rule."""

    quantity: str
    """Column of the star: dlp_mgycm, ctdivol_mgy, rp_air_kerma_mgy, …"""
    unit: str
    value: float
    text: str
    """One sentence in plain words."""
    rule_text: str
    """The rule in words."""
    source: str = ""
    """Where the rule comes from."""
    limit: float | None = None
    low: float | None = None
    """Expected range."""
    high: float | None = None
    expected: float | None = None
    """What a patient like this one usually gets."""
    score: float | None = None
    """Robust z."""
    baseline: Baseline | None = None
    size_cm: float | None = None
    size_method: str | None = None
    why: tuple[Cause, ...] = ()
    """Likeliest first."""
    twins: tuple[Twin, ...] = ()
    publication: str = ""
    """Version of the data that it was seen in."""

    def as_json(self) -> dict[str, Any]:
        """For the state's table."""
        made = asdict(self)
        if self.baseline is not None:
            made["baseline"] |= {"first": self.baseline.first.isoformat(), "last": self.baseline.last.isoformat()}
        # Keys of the star have 64 bits, more than a number of JSON holds everywhere.
        made["twins"] = [one | {"exam_key": str(one["exam_key"])} for one in made["twins"]]
        return made

    @classmethod
    def of_json(cls, stored: dict[str, Any]) -> Evidence:
        """From the state's table."""
        base = stored.get("baseline")
        return cls(
            **stored
            | {
                "baseline": None if base is None else _baseline(base),
                "why": tuple(Cause(**one) for one in stored.get("why", ())),
                "twins": tuple(Twin(**one | {"exam_key": int(one["exam_key"])}) for one in stored.get("twins", ())),
            }
        )


def _baseline(stored: dict[str, Any]) -> Baseline:
    return Baseline(**stored | {name: date.fromisoformat(stored[name]) for name in ("first", "last")})
