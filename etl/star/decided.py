"""What people decided about the data, in the form in which the star is built with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256

import polars as pl

from etl.lake.schema import polars_schema
from etl.lake.store import conform
from etl.star.clocks import Approval
from state.audit import AuditTrail
from state.database import open_state
from state.decisions import Decision, DecisionKind, Decisions
from state.home import DataHome
from warehouse.arrow import frame_schema

MAPPING = {
    "key": pl.Int64,
    "mapping_status": pl.Utf8,
    "standard_code": pl.Utf8,
    "standard_scheme": pl.Utf8,
    "standard_name": pl.Utf8,
}


@dataclass(frozen=True)
class Decided:
    """The decisions that stand."""

    standing: tuple[Decision, ...] = ()

    @classmethod
    def of(cls, home: DataHome) -> Decided:
        """What people decided in one data directory."""
        engine = open_state(home.state_file)
        try:
            return cls(tuple(Decisions(engine, AuditTrail(engine, home.derived("audit"))).standing()))
        finally:
            engine.dispose()

    def _of(self, kind: DecisionKind) -> list[Decision]:
        return [one for one in self.standing if one.kind is kind]

    @property
    def excluded(self) -> frozenset[int]:
        """Exams taken out of all measures."""
        return frozenset(int(one.subject) for one in self._of(DecisionKind.EXCLUDE_EXAM))

    @property
    def undone_merges(self) -> frozenset[tuple[str, str]]:
        """Merges taken apart: pairs of the identity that was ended and the survivor."""
        return frozenset((one.value["merged"], one.value["survivor"]) for one in self._of(DecisionKind.UNDO_MERGE))

    @property
    def clock_approvals(self) -> tuple[Approval, ...]:
        """Wrong clocks that people approved the correction of."""
        return tuple(
            Approval(
                one.value["device_id"],
                date.fromisoformat(one.value["first_day"]),
                date.fromisoformat(one.value["last_day"]) if one.value.get("last_day") else None,
                float(one.value["offset_s"]),
            )
            for one in self._of(DecisionKind.CLOCK_OFFSET)
        )

    @property
    def exposure_classes(self) -> dict[int, str]:
        """Exams of which people said whose exposure they were: patient, phantom or service."""
        return {int(one.subject): str(one.value["exposure_class"]) for one in self._of(DecisionKind.EXPOSURE_CLASS)}

    def mapping(self, kind: DecisionKind) -> pl.DataFrame:
        """Procedures or protocols that people mapped or rejected, in the columns of `MAPPING`."""
        rows = [
            (
                int(one.subject),
                one.value["status"],
                one.value.get("code"),
                one.value.get("scheme"),
                one.value.get("name"),
            )
            for one in self._of(kind)
        ]
        return pl.DataFrame(rows, schema=MAPPING, orient="row")

    def dose_tables(self, kind: str) -> list[dict[str, str]]:
        """Rows of the tables of a kind that physicists imported: `reference_levels` or `coefficients`."""
        tables = [one for one in self._of(DecisionKind.DOSE_TABLE) if one.value["kind"] == kind]
        return [row for one in tables for row in one.value["rows"]]

    @property
    def volume_plan(self) -> list[dict[str, str]]:
        """Rows of the volume plans that people imported."""
        return [row for one in self._of(DecisionKind.VOLUME_PLAN) for row in one.value["rows"]]

    @property
    def expected_ranges(self) -> pl.DataFrame:
        """Ranges that physicists set for protocols, in the columns of `dim_expected_range`."""
        rows = [
            {
                **{name: one.value[name] for name in ("protocol_key", "device_id", "metric", "low", "high")},
                "protocol_key": int(one.value["protocol_key"]),
                "set_by": one.decided_by,
                "set_on": one.decided_at.date(),
            }
            for one in self._of(DecisionKind.EXPECTED_RANGE)
        ]
        return pl.DataFrame(rows, schema=frame_schema("dim_expected_range"), orient="row")

    @property
    def calendar(self) -> pl.DataFrame:
        """Closures, downtime and staffed hours that people entered, as landing rows of `calendar`."""
        rows = [
            {
                "digest": f"decision {one.id}",
                "calendar": f"decision {one.id}",
                "source": "decision",
                "stated_at": one.decided_at,
                "site": one.value.get("site"),
                "device": one.value.get("device"),
                "modality": one.value.get("modality"),
                "kind": one.value["kind"],
                "starts_local": datetime.fromisoformat(one.value["starts_local"]),
                "ends_local": datetime.fromisoformat(one.value["ends_local"]),
                "entry": f"decision {one.id}",
                "cancelled": False,
                "reason": one.value.get("reason"),
            }
            for one in self._of(DecisionKind.CALENDAR)
        ]
        return (
            conform("calendar", pl.DataFrame(rows, infer_schema_length=None))
            if rows
            else pl.DataFrame(schema=polars_schema("calendar"))
        )

    def marks(self) -> dict[str, list[str]]:
        """What a publication keeps of the decisions that it was built with, so that the next one sees what changed."""
        return {
            "standing": [str(one.id) for one in self.standing],
            "excluded": sorted(str(key) for key in self.excluded),
            "classes": sorted(f"{key}={said}" for key, said in self.exposure_classes.items()),
            "undone": sorted(f"{ended}>{survivor}" for ended, survivor in self.undone_merges),
            "others": [
                _digest([one for one in self.standing if one.kind is kind])
                for kind in (DecisionKind.MAP_PROCEDURE, DecisionKind.CLOCK_OFFSET, DecisionKind.CALENDAR)
            ],
        }

    def changed_exams(self, marks: dict[str, list[str]]) -> set[int]:
        """Exams taken out or taken back since a publication, and those whose exposure was said to be another's."""
        now = self.marks()
        out = set(marks.get("excluded", [])) ^ set(now["excluded"])
        classes = set(marks.get("classes", [])) ^ set(now["classes"])
        return {int(key) for key in out} | {int(one.partition("=")[0]) for one in classes}

    def changed_patients(self, marks: dict[str, list[str]]) -> set[str]:
        """Patients whose merges were taken apart, or put together again, since a publication."""
        return {name for pair in set(marks.get("undone", [])) ^ set(self.marks()["undone"]) for name in pair.split(">")}

    def has_new_calendar(self, marks: dict[str, list[str]]) -> bool:
        """Whether calendar entries changed since a publication."""
        return marks.get("others", ["", "", ""])[2:] != self.marks()["others"][2:]


def _digest(some: list[Decision]) -> str:
    text = json.dumps([[one.subject, one.value] for one in some], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]
