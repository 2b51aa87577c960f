"""A trial: the readers on a sample of inputs, nothing stored; what would land, and what it lacks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from secrets import token_bytes
from typing import Any

from etl.inputs import FileTask, walk
from etl.lake.schema import COMMON
from etl.pull.contract import Remark
from etl.pull.needs import SOURCES, Judged, judged, words
from etl.reading import offers
from etl.sources.contract import Context, Offered, Reject, Row, Verdict
from settings import Settings
from state.identity import Pseudonymiser

INPUTS = 200
"""Inputs that a trial reads."""
_MOST_FILES = 100_000
"""Files among which the sample is drawn."""
_EXAMPLES = 3
_ALWAYS = frozenset(column.name for column in COMMON) | {"events", "message_type", "imaging"}
"""Columns that say nothing about what the source gives."""
NO_REMEDY = "Nothing to do."
"""Of what is not for this system; an extract without a mapping says more."""
_VERDICTS = (Verdict.ACCEPTED, Verdict.REJECTED, Verdict.NOT_APPLICABLE)


@dataclass
class KindTrial:
    """What the inputs of one kind gave."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    reasons: dict[tuple[str, str], Reject] = field(default_factory=dict)
    """One reject for each reason and field; `refused` counts them."""
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    """By landing table."""
    filled: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Landing table to column, or `event:<name>`, to rows that have it."""
    examples: list[dict[str, Any]] = field(default_factory=list)
    """The first rows, filled columns alone; their pseudonyms are made with a key that is thrown away."""

    def add(self, offered: Offered) -> None:
        """Counts one input."""
        self.verdicts[offered.verdict] += 1
        if offered.reject is not None:
            key = (offered.reject.reason, offered.reject.field)
            self.reasons.setdefault(key, offered.reject)
            self.refused[key] += 1
        for table, rows in offered.rows.items():
            for row in rows:
                self._add_row(table, row)

    def _add_row(self, table: str, row: Row) -> None:
        self.rows[table] += 1
        filled = {name: value for name, value in row.items() if value not in (None, "", [])}
        self.filled[table].update(name for name in filled if name not in _ALWAYS)
        self.filled[table].update({f"event:{event['event']}" for event in row.get("events") or ()})
        if len(self.examples) < _EXAMPLES:
            self.examples.append({"table": table, **filled})

    def given(self) -> set[str]:
        """Names, as `etl.pull.needs` has them, that at least one row fills."""
        return {
            name if name.startswith("event:") else f"{table}.{name}"
            for table, counts in self.filled.items()
            for name in counts
        }

    def as_json(self) -> dict[str, Any]:
        """Stable keys."""
        return {
            **{verdict.value: self.verdicts[verdict] for verdict in _VERDICTS},
            "rejects": [
                {
                    "number": self.refused[key],
                    "reason": reject.reason,
                    "field": reject.field,
                    "message": reject.message,
                    "remedy": reject.remedy,
                }
                for key, reject in sorted(self.reasons.items())
            ],
            "filled": {
                table: {name: round(number / self.rows[table], 3) for name, number in sorted(counts.items())}
                for table, counts in sorted(self.filled.items())
            },
            "examples": self.examples,
        }


@dataclass
class Trial:
    """What a sample of inputs gave, by kind of source."""

    files: int = 0
    """Files that there are."""
    kinds: dict[str, KindTrial] = field(default_factory=lambda: defaultdict(KindTrial))

    def total(self, verdict: Verdict) -> int:
        """Inputs with a verdict."""
        return sum(kind.verdicts[verdict] for kind in self.kinds.values())

    def measures(self) -> list[Judged]:
        """How each group of measures stands with what was read."""
        return judged({name for kind in self.kinds.values() for name in kind.given()})

    def as_json(self) -> dict[str, Any]:
        """Stable keys."""
        return {
            "files": self.files,
            "by_source": {name: kind.as_json() for name, kind in sorted(self.kinds.items())},
            "measures": [
                {"group": each.group, "works": each.works, "given": list(each.given), "lacking": list(each.lacking)}
                for each in self.measures()
            ],
        }


def try_paths(paths: list[Path], settings: Settings) -> Trial:
    """Reads a sample of the inputs below the paths: files evenly spaced, and an even share of the inputs of each.

    Raises:
        PathError: a path cannot be read.
    """
    context = Context(settings, Pseudonymiser(token_bytes(32)))
    trial = Trial()
    tasks: list[FileTask] = []
    for item in islice(walk(paths), _MOST_FILES):
        if isinstance(item, Offered):
            trial.kinds[item.source].add(item)
        else:
            tasks.append(item)
    trial.files = len(tasks)
    sample = tasks[:: max(1, -(-len(tasks) // INPUTS))]
    for task in sample:
        for offered, _ in islice(offers(task, context), max(1, INPUTS // len(sample))):
            trial.kinds[offered.source].add(offered)
    return trial


def remarks(trial: Trial) -> Iterator[Remark]:
    """What a trial found, in words: what each kind gives, what is rejected, which measures work, what to ask for."""
    for name, kind in sorted(trial.kinds.items()):
        counts = ", ".join(
            f"{kind.verdicts[verdict]} {verdict.value.replace('_', ' ')}"
            for verdict in _VERDICTS
            if kind.verdicts[verdict]
        )
        stops = kind.verdicts[Verdict.REJECTED] and not kind.verdicts[Verdict.ACCEPTED]
        yield Remark("fails" if stops else "works", f"{name}: {counts}.")
        for key, reject in sorted(kind.reasons.items()):
            if reject.remedy != NO_REMEDY:
                text = f"{name}, {kind.refused[key]} rejected as {reject.reason}: {reject.message} {reject.remedy}"
                yield Remark("missing", text)
        for table, filled in sorted(kind.filled.items()):
            shares = ", ".join(
                f"{column} {_share(number, kind.rows[table])}" for column, number in sorted(filled.items())
            )
            yield Remark("gives", f"{name}, {kind.rows[table]} rows of {table}: {shares}.")
    standing = trial.measures()
    if works := [each.group for each in standing if each.works]:
        yield Remark("gives", f"Enough for {'; '.join(works)}.")
    for each in standing:
        if not each.works:
            beside = f" (given: {', '.join(words(name) for name in each.given)})" if each.given else ""
            yield Remark("missing", f"{each.group}: lacks {', '.join(words(name) for name in each.lacking)}{beside}.")
    for name in sorted({name for each in standing for name in each.lacking}):
        yield Remark("ask", f"{words(name)}: {SOURCES[name]}.")


def _share(number: int, of: int) -> str:
    return f"{100 * number / of:.0f} %" if number < of else "always"
