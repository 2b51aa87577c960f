"""Colours of charts in light and dark.

Measured: at least 3 to 1 on the card, told apart under protan, deutan and tritan simulation. A modality keeps its colour
on every page. Variation follows NHS "Making Data Count": orange concern, blue improvement, grey common cause, purple
change without good or bad.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Variation = Literal["improvement", "concern", "neutral", "common"]


@dataclass(frozen=True)
class Look:
    """One colour scheme."""

    name: Literal["light", "dark"]
    card: str
    line: str
    text: str
    muted: str
    series: tuple[str, ...]
    """Six colours, in fixed order."""
    faint: str
    """The first colour, paler: bars that are not the point."""
    variation: dict[Variation, str]
    reference: str
    """Targets and reference levels."""
    scale: tuple[str, ...]
    """Sequential, from little to much."""

    def modality(self, code: str | None) -> str:
        """The colour of a modality, grey for those without one."""
        index = _MODALITY.get(code or "")
        return self.variation["common"] if index is None else self.series[index]


_MODALITY = {
    "CT": 0, "MR": 1, "US": 2, "XA": 3, "RF": 3, "NM": 4, "PT": 4, "XR": 5, "DX": 5, "CR": 5, "MG": 5,
}  # fmt: skip

# One hue from the card's own tone to the first series colour: nothing is loud where nothing happens.
_LIGHT_SCALE = ("#F3F6FB", "#C9D8EE", "#8FB0DD", "#4C7FC6", "#0944A7", "#062C6E")
_DARK_SCALE = ("#202329", "#223A57", "#28588C", "#3379C0", "#5FA8EE", "#B9DCFF")

LIGHT = Look(
    name="light", card="#FFFFFF", line="#E4E7EC", text="#1D2939", muted="#475467",
    series=("#0944A7", "#E26B16", "#56A293", "#6A0F50", "#9D6BDD", "#605619"), faint="#9FB2DA",
    variation={"concern": "#C2570C", "improvement": "#1D6FB8", "common": "#6B7280", "neutral": "#490092"},
    reference="#B42318", scale=_LIGHT_SCALE,
)  # fmt: skip
DARK = Look(
    name="dark", card="#1A1B1E", line="#2E3036", text="#E4E7EC", muted="#A6ADB8",
    series=("#227BD5", "#E4830C", "#53F2F2", "#C14978", "#B6A0FB", "#F2D847"), faint="#2F4A6E",
    variation={"concern": "#F0883E", "improvement": "#58A6FF", "common": "#9AA3AF", "neutral": "#B692F6"},
    reference="#FF8A7A", scale=_DARK_SCALE,
)  # fmt: skip
LOOKS = {"light": LIGHT, "dark": DARK}
