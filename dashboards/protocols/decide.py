"""Optimisation projects: what shall change on which protocol, from when, to what, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from math import isfinite

from dashboards._shell.decisions import Deciding, FieldError, Fields, Made, deciding
from dashboards._shell.reading import Reading
from state.decisions import Decision, DecisionKind
from state.roles import Permission
from warehouse.dose_groups import METRICS

MOST_TEXT = 500


def take(fields: Fields, reading: Reading) -> Sequence[Made]:
    """A project by its `name`: protocol, scanner or all, metric, baseline, day of the change, target, stop rule, note."""
    wrong: dict[str, str] = {}
    name = " ".join(fields.get("name", "").split())
    if not name or len(name) > 80:
        wrong["name"] = "Give the project a name, at most 80 characters."
    if fields.get("protocol_key", "") not in reading.names.protocols:
        wrong["protocol_key"] = "Choose a protocol."
    if fields.get("device_id") and fields["device_id"] not in reading.names.devices:
        wrong["device_id"] = "Choose a scanner, or all."
    if fields.get("metric") not in METRICS:
        wrong["metric"] = "Choose a quantity."
    days = {key: _day(fields, key, wrong) for key in ("baseline_from", "changed_on")}
    if not wrong and days["baseline_from"] >= days["changed_on"]:
        wrong["baseline_from"] = "The baseline begins before the change."
    target = fields.get("target", "").replace(",", ".")
    try:
        if not (isfinite(float(target)) and float(target) > 0):
            wrong["target"] = "A number above 0."
    except ValueError:
        wrong["target"] = "A number, in the quantity's unit."
    if wrong:
        raise FieldError(**wrong)
    texts = {key: fields.get(key, "").strip()[:MOST_TEXT] for key in ("stop_rule", "note", "outcome")}
    value = {
        "protocol_key": fields["protocol_key"], "device_id": fields.get("device_id", ""), "metric": fields["metric"],
        **{key: day.isoformat() for key, day in days.items()}, "target": float(target), **texts,
    }  # fmt: skip
    return [(name, value)]


def _day(fields: Fields, key: str, wrong: dict[str, str]) -> date:
    try:
        return date.fromisoformat(fields.get(key, ""))
    except ValueError:
        wrong[key] = "A day."
        return date.min


def opens(found: Decision, reading: Reading) -> bool:
    """Whether the protocol is one that the reader knows by name."""
    return found.value["protocol_key"] in reading.names.protocols


def words(found: Decision, reading: Reading) -> str:
    """What a project is about."""
    value = found.value
    unit = METRICS[value["metric"]][2]
    where = reading.names.devices.get(value["device_id"], "every scanner")
    said = f"{found.subject}: {reading.names.protocols[value['protocol_key']]} on {where}, changed {value['changed_on']}, target {value['target']:g} {unit}"
    more = [f"{label}: {value[key]}" for key, label in (("stop_rule", "stop rule"), ("note", "image quality"), ("outcome", "outcome")) if value.get(key)]  # fmt: skip
    return "; ".join([said, *more])


deciding(Deciding(DecisionKind.DOSE_PROJECT, take, opens, words, Permission.MANAGE_DOSE))
