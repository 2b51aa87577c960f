"""What alerts, their evidence and the steps about them say, in words."""

from __future__ import annotations

from collections.abc import Mapping

from dashboards._shell import numbers
from dashboards._shell.reading import Reading
from dashboards.review.cases import READERS, STATES, Case
from insights.dose.evidence import Evidence
from state.alerts import Alert
from state.reviews import ACTIONS, REASONS, Review, Step

QUANTITIES: Mapping[str, str] = {
    "ctdivol_mgy": "CTDIvol",
    "dlp_mgycm": "DLP",
    "ssde_mgy": "Size-specific dose (SSDE)",
    "dap_gycm2": "Dose area product",
    "rp_air_kerma_mgy": "Air kerma at the reference point",
    "agd_mgy": "Average glandular dose",
    "activity_mbq": "Administered activity",
    "fluoro_time_s": "Fluoroscopy time",
    "peak_skin_dose_mgy": "Peak skin dose, estimated",
}


def quantity_words(name: str) -> str:
    """A quantity as people call it."""
    return QUANTITIES.get(name, name.replace("_", " "))


def value_words(found: Evidence) -> str:
    """The value with its unit and how it stands to what is expected: `1,240 mGy·cm, 2.4 times the expected 520`."""
    said = f"{quantity_words(found.quantity)} {numbers.shown(found.value, found.unit)}"
    if found.expected:
        return f"{said}, {times(found.value / found.expected)} the expected {numbers.shown(found.expected, found.unit)}"
    if found.limit is not None:
        return f"{said}, limit {numbers.shown(found.limit, found.unit)}"
    return said


def times(ratio: float) -> str:
    """A ratio in words: `2.4 times`, `0.45 times`."""
    return f"{numbers.rounded(ratio, 2)} times"


def place_words(alert: Alert, reading: Reading) -> str:
    """Site and scanner."""
    names = reading.names
    return " · ".join(
        part
        for part in (names.sites.get(alert.site_code, alert.site_code), names.devices.get(alert.device_id, ""))
        if part
    )


def protocol_words(alert: Alert, reading: Reading) -> str:
    """The protocol's name."""
    return reading.names.protocols.get(str(alert.protocol_key), "Protocol unknown")


def readers_words(case: Case) -> str:
    """Which readers found it."""
    return ", ".join(dict.fromkeys(READERS.get(one.reader, one.reader) for one in case.alerts))


def why_words(found: Evidence) -> str:
    """The likeliest cause in words."""
    return found.why[0].text if found.why else "No cause stands out"


def state_words(case: Case) -> str:
    """Where a case stands."""
    status = case.status
    said = STATES[status.state]
    if status.state == "assigned" and status.assignee:
        said = f"With {status.assignee}"
    if status.state == "action" and status.due_on:
        said = f"{said}, due {numbers.day(status.due_on)}"
    if status.snoozed_until is not None and status.is_open:
        said = f"{said}, rests until {numbers.day(status.snoozed_until)}"
    return said


def step_words(step: Review) -> str:
    """What a step says."""
    value = step.value
    match step.step:
        case Step.ASSIGN:
            return f"Given to {value['to']}"
        case Step.EXPLAIN:
            return f"Explained: {REASONS[value['reason']]}"
        case Step.ACT:
            due = f", due {value['due_on']}" if value.get("due_on") else ""
            return f"Action: {ACTIONS[value['action']]}{due}"
        case Step.SNOOZE:
            return f"Rests until {value['until']}"
        case Step.CLOSE:
            return f"Closed: {REASONS[value['reason']]}; action: {ACTIONS[value['action']]}"
        case Step.COUNTERSIGN:
            return "Second signature"
        case Step.REOPEN:
            return "Reopened"
        case Step.FOLLOW_UP:
            said = ", ".join(f"{name.replace('_', ' ')} {text}" for name, text in value.items())
            return f"Patient follow-up: {said}" if said else "Patient follow-up"
        case Step.SIGN_OFF:
            return f"Signed off {value['first']} to {value['last']}{' at ' + value['site'] if value['site'] else ''}"
    return "Comment"
