"""The rules that doses are held against: a table with sources, changed by people's decisions, never by a program.

Shipped as active are rules whose number was read in a source, those that the scanner itself states, and statistical
ones. What is widely quoted but was not read in the original (such as substantial dose levels) stands here without a
number: a physicist enters it, with the reason. Legal rules are imported as tables, with their dates and source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from hashlib import blake2b
from typing import Any

from state.decisions import Decision, DecisionKind
from warehouse.dosimetry.tables import LEGAL_RULES, METRICS


@dataclass(frozen=True)
class Rule:
    """One rule."""

    id: str
    title: str
    """In words, without its number."""
    reader: str
    """limit, group, size, low, drift or legal."""
    quantity: str
    """Column of the star; empty where the rule holds for each exam's own quantity."""
    unit: str
    modalities: tuple[str, ...]
    """Empty is all."""
    threshold: float | None
    """In `unit`; None: no number was entered, and the rule is silent."""
    severity: int
    """3 act today, 2 review, 1 look."""
    active: bool
    source: str
    meaning: str
    """What the threshold is."""
    standard_code: str = ""
    """Standard exam that it is for; empty is any."""
    age_band: str = ""
    """Age band that it is for; empty is any."""
    valid_from: date | None = None
    """First day of exams that it holds for."""
    valid_to: date | None = None
    """First day of exams that it holds for no longer."""

    @property
    def fires(self) -> bool:
        """Whether it can raise anything."""
        return self.active and self.threshold is not None

    def with_threshold(self, threshold: float) -> Rule:
        """The same rule with another number, to try on history."""
        return replace(self, threshold=threshold, active=True)


_OPENREM = "default of OpenREM 1.0 for high-dose alerts"
_ROBUST = "Iglewicz and Hoaglin 1993: modified z-score of 3.5, here on logarithms"
_OWN = "to be entered by a physicist, with the source"
INTERVENTION = ("XA", "RF")

RULES: tuple[Rule, ...] = (
    Rule("kerma-exam", "Air kerma at the reference point in one exam", "limit", "rp_air_kerma_mgy", "mGy", INTERVENTION, 2000, 3, True, _OPENREM, "at least"),
    Rule("kerma-window", "Air kerma at the reference point of one patient over the window", "limit", "rp_air_kerma_mgy", "mGy", INTERVENTION, 2000, 3, True, _OPENREM, "sum at least"),
    Rule("dap-exam", "Dose area product in one exam", "limit", "dap_gycm2", "Gy·cm²", INTERVENTION, 200, 3, True, _OPENREM, "at least"),
    Rule("fluoro-time-exam", "Fluoroscopy time in one exam", "limit", "fluoro_time_s", "s", INTERVENTION, None, 3, False, _OWN, "at least"),
    Rule("kerma-substantial", "Substantial radiation dose: air kerma at the reference point", "limit", "rp_air_kerma_mgy", "mGy", INTERVENTION, None, 3, False, _OWN, "at least"),
    Rule("check-alert", "Alert value of the scanner exceeded", "limit", "dlp_mgycm", "", ("CT",), 1, 3, True, "DICOM PS3.16 TID 10015: the value configured on the scanner", "more than the scanner's value times"),
    Rule("check-notification", "Notification value of the scanner exceeded", "limit", "dlp_mgycm", "", ("CT",), 1, 1, True, "DICOM PS3.16 TID 10015: the value configured on the scanner", "more than the scanner's value times"),
    Rule("range-high", "Above the range that was set for the protocol", "limit", "", "", (), 1, 2, True, "expected range set by a physicist", "more than the upper end times"),
    Rule("range-low", "Below the range that was set for the protocol", "low", "", "", (), 1, 1, True, "expected range set by a physicist", "less than the lower end times"),
    Rule("young-ct", "CT of a young child", "limit", "age_years", "years", ("CT",), None, 1, False, _OWN, "younger than"),
    Rule("group", "Far above its group: protocol, scanner, age and weight", "group", "", "", (), 3.5, 2, True, _ROBUST, "robust z at least"),
    Rule("size", "Far above what patients of this size get", "size", "", "", ("CT",), 3.5, 2, True, _ROBUST + ", of residuals of a robust regression on size", "robust z at least"),
    Rule("sign", "Above its group, with a sign of why: a phase more, a longer range, another phantom, a current that does not vary", "group", "", "", ("CT",), 2.3, 2, True, "own choice: the robust z from which an exam that was scanned differently is shown", "robust z at least"),
    Rule("low", "Far below its group: image quality, wrong protocol or a missing phase", "low", "", "", ("CT", "NM", "PT"), 3.5, 1, True, _ROBUST, "robust z at most minus"),
    Rule("drift", "A protocol's level on a scanner changed", "drift", "", "σ", (), 7, 2, True, "self-starting CUSUM (Hawkins 1987) on logarithms adjusted for size", "decision interval"),
)  # fmt: skip


RULE_KINDS = (DecisionKind.DOSE_RULE, DecisionKind.DOSE_TABLE)
"""Decisions that rules follow from."""


def rules_with(decisions: Iterable[Decision]) -> dict[str, Rule]:
    """The rules by id as people's decisions of `RULE_KINDS` leave them: those that are shipped, and imported legal ones.

    A legal rule is off until it is switched on, so that it can be tried on history first; its number is that of its table.
    """
    known = list(decisions)
    changed = {one.subject: one.value for one in known if one.kind is DecisionKind.DOSE_RULE}
    tables = [one for one in known if one.kind is DecisionKind.DOSE_TABLE and one.value["kind"] == LEGAL_RULES]
    legal = {rule.id: rule for one in tables for row in one.value["rows"] for rule in [legal_rule(row)]}
    return {
        **{one.id: _changed(one, changed.get(one.id, {})) for one in RULES},
        **{
            one.id: _changed(one, {**changed.get(one.id, {}), "threshold": one.threshold, "source": one.source})
            for one in legal.values()
        },
    }


def legal_rule(row: Mapping[str, str]) -> Rule:
    """An imported legal rule; what it says is its identity, so that importing it again changes nothing.

    Args:
        row: of `tables.read_table(LEGAL_RULES, …)`.
    """
    said = "\x1f".join(row[name] for name in sorted(row))
    return Rule(
        id=f"legal-{blake2b(said.encode(), digest_size=6).hexdigest()}",
        title=f"{row['authority']}: {row['rule']}",
        reader="legal",
        quantity=row["quantity"],
        unit=METRICS[row["quantity"]],
        modalities=(row["modality"],) if row["modality"] else (),
        threshold=float(row["threshold"]),
        severity=int(row["severity"] or 3),
        active=False,
        source=row["source"],
        meaning="at least",
        standard_code=row["standard_code"],
        age_band=row["age_band"],
        valid_from=date.fromisoformat(row["valid_from"]),
        valid_to=date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
    )


def _changed(rule: Rule, value: Mapping[str, Any]) -> Rule:
    threshold = value.get("threshold", rule.threshold)
    return replace(
        rule,
        active=bool(value.get("active", rule.active)),
        threshold=None if threshold is None else float(threshold),
        severity=int(value.get("severity", rule.severity)),
        source=str(value.get("source") or rule.source),
    )
