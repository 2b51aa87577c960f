"""Effective dose as what it is: an estimate for a population, from a dose quantity and an imported factor.

It is never a person's risk. Factors presume a phantom: a child's DLP on the 32 cm phantom with a factor for the 16 cm one
would be half of what is meant, so nothing is computed where phantoms differ or are unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import floor, log10
from typing import Any, NamedTuple

QUANTITY = {"ct": "dlp_mgycm", "projection": "dap_gycm2", "administration": "activity_mbq"}
"""What factors multiply, by kind of event."""


class Estimate(NamedTuple):
    """Effective dose of an exam, or why there is none."""

    msv: float | None
    reason: str
    """Method and source, or what is missing."""

    @property
    def words(self) -> str:
        """To two digits, with its method: more would pretend to know more."""
        if self.msv is None:
            return f"not estimated: {self.reason}"
        places = max(1 - floor(log10(self.msv)), 0) if self.msv > 0 else 0
        return f"about {round(self.msv, places):g} mSv (population estimate, no risk of this person; {self.reason})"


def effective_dose(
    events: Iterable[Mapping[str, Any]], factors: Iterable[Mapping[str, Any]], age_band: str | None
) -> Estimate:
    """The sum over events of quantity times factor.

    Args:
        events: rows of `fact_irradiation_event`; localizers without a figure are left out.
        factors: rows of `dim_dose_coefficient`.
        age_band: of the patient.
    """
    known = list(factors)
    total, sources = 0.0, set()
    for event in events:
        quantity = QUANTITY.get(event["event_kind"])
        if quantity is None:
            return Estimate(None, "glandular dose has no factor here")
        value = event[quantity]
        if not value:
            continue
        if age_band is None:
            return Estimate(None, "age unknown")
        if quantity == "dlp_mgycm" and event["ctdi_phantom"] is None:
            return Estimate(None, "phantom unknown")
        factor = _factor(event, quantity, known, age_band)
        if factor is None:
            what = event["radiopharmaceutical"] if quantity == "activity_mbq" else event["body_region"]
            return Estimate(None, f"no factor for {what or 'an unknown region'}, {age_band}, {event['ctdi_phantom'] or 'any phantom'}")  # fmt: skip
        total += value * factor["factor"]
        sources.add(str(factor["source"]))
    if not sources:
        return Estimate(None, "no event states the quantity")
    return Estimate(total, "; ".join(sorted(sources)))


def _factor(
    event: Mapping[str, Any], quantity: str, known: list[Mapping[str, Any]], age_band: str
) -> Mapping[str, Any] | None:
    """The factor that fits region or agent, phantom and age; one of the named region before one of any."""
    agent = str(event.get("radiopharmaceutical") or "").casefold()
    fits = [
        one
        for one in known
        if one["quantity"] == quantity
        and one["age_band"] == age_band
        and one["phantom"] in {"", event.get("ctdi_phantom") or ""}
        and one["region"] in {"", event.get("body_region") or ""}
        and one["agent"] in {"", agent}
    ]
    # A factor for CT that names no phantom presumes none that is known.
    if quantity == "dlp_mgycm":
        fits = [one for one in fits if one["phantom"]]
    return max(fits, key=lambda one: (bool(one["region"]), bool(one["agent"])), default=None)
