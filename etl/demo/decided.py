"""What the demo's people decided already: the most used CT protocols have their standard exam, and there is a volume plan."""

from __future__ import annotations

from etl.demo.history import History
from etl.demo.plan import activity_plan, volume_plan
from etl.star.keys import key64
from state.audit import AuditTrail
from state.database import open_state
from state.decisions import DecisionKind, Decisions
from state.home import DataHome
from warehouse.dosimetry.tables import ACTIVITY_PLANS

PHYSICIST, MANAGER = "demo:physicist", "demo:operations"
MAPPED = {
    "HEAD ROUTINE": ("CT-HEAD-WO", "CT head without contrast"),
    "CHEST ROUTINE": ("CT-CHEST-W", "CT chest with contrast"),
    "ABD PELVIS ROUTINE": ("CT-ABDPEL-W", "CT abdomen and pelvis with contrast"),
}
"""CT protocol to code and name of the standard exam in the program's own catalogue."""


def decide(home: DataHome, history: History) -> None:
    """Takes the decisions, before anything is loaded: they hold from the first publication on."""
    engine = open_state(home.state_file)
    try:
        decisions = Decisions(engine, AuditTrail(engine, home.derived("audit")))
        mapped = [
            (
                DecisionKind.MAP_PROTOCOL,
                str(key64("protocol", f"CT\x1f{protocol}")),
                {"status": "confirmed", "code": code, "scheme": "own", "name": name},
            )
            for protocol, (code, name) in MAPPED.items()
        ]
        decisions.decide(PHYSICIST, mapped, "as the protocols are used")
        activities = {"kind": ACTIVITY_PLANS, "rows": activity_plan()}
        decisions.decide(
            PHYSICIST, [(DecisionKind.DOSE_TABLE, "Activity by weight", activities)], "the department's plan"
        )
        plans = [(DecisionKind.VOLUME_PLAN, year, {"rows": rows}) for year, rows in volume_plan(history).items()]
        decisions.decide(MANAGER, plans, "as the board agreed")
    finally:
        engine.dispose()
