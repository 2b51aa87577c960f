"""What the demo's physicist decided already: the most used CT protocols have their standard exam, the others wait."""

from __future__ import annotations

from etl.star.keys import key64
from state.audit import AuditTrail
from state.database import open_state
from state.decisions import DecisionKind, Decisions
from state.home import DataHome

PHYSICIST = "demo:physicist"
MAPPED = {
    "HEAD ROUTINE": ("CT-HEAD-WO", "CT head without contrast"),
    "CHEST ROUTINE": ("CT-CHEST-W", "CT chest with contrast"),
    "ABD PELVIS ROUTINE": ("CT-ABDPEL-W", "CT abdomen and pelvis with contrast"),
}
"""CT protocol to code and name of the standard exam in the program's own catalogue."""


def decide(home: DataHome) -> None:
    """Takes the decisions, before anything is loaded: they hold from the first publication on."""
    engine = open_state(home.state_file)
    try:
        made = [
            (
                DecisionKind.MAP_PROTOCOL,
                str(key64("protocol", f"CT\x1f{protocol}")),
                {"status": "confirmed", "code": code, "scheme": "own", "name": name},
            )
            for protocol, (code, name) in MAPPED.items()
        ]
        Decisions(engine, AuditTrail(engine, home.derived("audit"))).decide(
            PHYSICIST, made, "as the protocols are used"
        )
    finally:
        engine.dispose()
