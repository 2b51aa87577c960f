"""Decisions about reference tables, expected ranges and rules."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from flask import current_app

from dashboards._shell.decisions import Deciding, FieldError, Fields, Made, deciding, decisions_of
from dashboards._shell.reading import Reading
from insights.dose.rules import RULE_KINDS, Rule, rules_with
from state.decisions import Decision, DecisionKind
from state.roles import Permission
from warehouse.dosimetry.tables import ACTIVITY_PLANS, COEFFICIENTS, LEGAL_RULES, METRICS, REFERENCE_LEVELS, read_table
from warehouse.typed_csv import TableError

KINDS = {
    REFERENCE_LEVELS: "Reference levels",
    COEFFICIENTS: "Factors for effective dose",
    LEGAL_RULES: "Legal rules",
    ACTIVITY_PLANS: "Activity by weight",
}
MOST_NAME = 80


def take_table(fields: Fields, _reading: Reading) -> Sequence[Made]:
    """A table by its `name`, `kind` and `content`, the text of a CSV."""
    name, kind = " ".join(fields.get("name", "").split()), fields.get("kind", "")
    wrong = {}
    if not name or len(name) > MOST_NAME:
        wrong["name"] = f"Give the table a name, at most {MOST_NAME} characters."
    if kind not in KINDS:
        wrong["kind"] = "Choose what the table holds."
    if wrong:
        raise FieldError(**wrong)
    try:
        rows = read_table(kind, fields.get("content", ""))
    except TableError as error:
        raise FieldError(content=str(error)) from None
    return [(name, {"kind": kind, "rows": rows})]


def take_range(fields: Fields, reading: Reading) -> Sequence[Made]:
    """The expected range of a `protocol_key` for a `metric`, on one `device_id` or all."""
    protocol, device, metric = (fields.get(name, "") for name in ("protocol_key", "device_id", "metric"))
    wrong = {}
    if protocol not in reading.names.protocols:
        wrong["protocol_key"] = "Choose a protocol."
    if device and device not in reading.names.devices:
        wrong["device_id"] = "Choose a scanner, or all."
    if metric not in METRICS:
        wrong["metric"] = "Choose a quantity."
    low, high = (_number(fields, name, wrong) for name in ("low", "high"))
    if low is None and high is None and not wrong:
        wrong["high"] = "Give at least one end."
    if low is not None and high is not None and low >= high:
        wrong["high"] = "The upper end must be above the lower one."
    if wrong:
        raise FieldError(**wrong)
    value = {"protocol_key": protocol, "device_id": device, "metric": metric, "low": low, "high": high}
    return [(f"{protocol}|{device}|{metric}", value)]


def take_rule(fields: Fields, _reading: Reading) -> Sequence[Made]:
    """A `rule` with its `threshold`, `severity`, whether it is `active`, and the `source` of its number."""
    rule = rules_now().get(fields.get("rule", ""))
    if rule is None:
        raise FieldError(rule="Choose a rule.")
    wrong: dict[str, str] = {}
    # The number of a legal rule is that of its table: it is switched on or off here, and no more.
    threshold = rule.threshold if rule.reader == "legal" else _number(fields, "threshold", wrong)
    active = fields.get("active") == "yes"
    if fields.get("severity") not in {"1", "2", "3"}:
        wrong["severity"] = "Choose a severity."
    if active and threshold is None:
        wrong["threshold"] = wrong.get("threshold", "A rule that is on needs a number.")
    if threshold is not None and rule.threshold is None and not fields.get("source", "").strip():
        wrong["source"] = "Name the publication that the number stands in."
    if wrong:
        raise FieldError(**wrong)
    value = {"active": active, "threshold": threshold, "severity": int(fields["severity"]), "source": fields.get("source", "").strip()[:300]}  # fmt: skip
    return [(rule.id, value)]


def rules_now() -> dict[str, Rule]:
    """The rules as they stand."""
    return rules_with(decisions_of(current_app).standing(*RULE_KINDS))


def _number(fields: Fields, name: str, wrong: dict[str, str]) -> float | None:
    text = fields.get(name, "").strip().replace(",", ".")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value) or value < 0:
        wrong[name] = "A number from 0 on, such as 12 or 8.5."
        return None
    return value


def _any(_found: Decision, reading: Reading) -> bool:
    """Tables and rules hold for the whole network: open to those who see all of it."""
    return reading.scope.departments is None


def _of_protocol(found: Decision, reading: Reading) -> bool:
    return str(found.value["protocol_key"]) in reading.names.protocols


def _table_words(found: Decision, _reading: Reading) -> str:
    return f"{found.subject}: {KINDS[found.value['kind']].lower()}, {len(found.value['rows'])} rows"


def _range_words(found: Decision, reading: Reading) -> str:
    value = found.value
    unit = METRICS[value["metric"]]
    ends = " to ".join(f"{end:g}" if end is not None else "open" for end in (value["low"], value["high"]))
    where = reading.names.devices.get(value["device_id"], "every scanner")
    return f"{reading.names.protocols.get(str(value['protocol_key']), 'A protocol')} on {where}: {value['metric'].rpartition('_')[0].replace('_', ' ')} {ends} {unit}"


def _rule_words(found: Decision, _reading: Reading) -> str:
    rule, value = rules_now().get(found.subject), found.value
    title = rule.title if rule else found.subject
    number = f", {value['threshold']:g} {rule.unit if rule else ''}" if value["threshold"] is not None else ""
    return f"{title}: {'on' if value['active'] else 'off'}{number}, severity {value['severity']}"


deciding(Deciding(DecisionKind.DOSE_TABLE, take_table, _any, _table_words, Permission.MANAGE_DOSE))
deciding(Deciding(DecisionKind.EXPECTED_RANGE, take_range, _of_protocol, _range_words, Permission.MANAGE_DOSE))
deciding(Deciding(DecisionKind.DOSE_RULE, take_rule, _any, _rule_words, Permission.MANAGE_DOSE))
