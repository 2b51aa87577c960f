"""Which region of the body an exposure met, by the words of its target region, protocol and procedure."""

from __future__ import annotations

import polars as pl

# In this order: the first that fits a text holds, so that combined regions stand before their parts.
_WORDS: tuple[tuple[str, str], ...] = (
    ("whole body", r"whole.?body|entire body|head to (toe|foot|thigh)|ganzk"),
    ("chest abdomen pelvis", r"\b(cap|tap|ctap|neck.?chest.?abdo\w*)\b|(chest|thorax|torax|lung)\W+(and |und |y )?(abd\w*)(\W+(and |und |y )?(pel\w*|becken))|trunk|\btorso\b|chest.?abdo\w*.?pel|thor.?abd"),
    ("abdomen and pelvis", r"(abd\w*)\W+(and |und |y )?(pel\w*|becken)|\bap\b routine|kub\b|urogra|ureter|colonogra|enterogra|\brenal stone"),
    ("breast", r"breast|mamm|brust"),
    ("head", r"\bhead|brain|skull|cranium|crani|cerebr|schaedel|schädel|kopf|sinus|orbit|face|facial|temporal|pituitar|\biac\b|mastoid|dental|mandib|maxill|kiefer|jaw|tooth|teeth"),
    ("neck", r"\bneck|cervic|larynx|thyroid|carotid|\bhals|pharyn|soft tissue neck"),
    ("spine", r"spine|spinal|lumbar|vertebr|\blws\b|\bhws\b|\bbws\b|sacr|coccyx|\bl.?spine|\bt.?spine"),
    ("chest", r"chest|thorax|torax|lung|pulmon|\bpe\b|ctpa|heart|cardi|coronar|aorta thor|mediast|\brib|stern|clavic"),
    ("pelvis", r"pelvi|becken|\bhip\b|hüfte|prostat|bladder|uter|obstetric"),
    ("abdomen", r"abdom|liver|hepat|leber|kidney|renal|niere|pancrea|spleen|bowel|stomach|biliary|gall|adrenal|esophag|oesophag|colon|barium"),
    ("extremity", r"extremit|\barm\b|\bleg\b|knee|ankle|\bfoot\b|\bfeet\b|\bhand\b|wrist|elbow|shoulder|finger|\btoe|femur|tibia|fibula|humer|radius|ulna|forearm|thigh|calf|upper limb|lower limb|femoral"),
)  # fmt: skip


def body_region(*texts: str) -> pl.Expr:
    """The region that the first telling column names; null where none does.

    Args:
        texts: columns in order of trust: target region, protocol, procedure.
    """
    return pl.coalesce(*(_named(pl.col(name).str.to_lowercase()) for name in texts))


def _named(text: pl.Expr) -> pl.Expr:
    made = pl.lit(None, pl.Utf8)
    for region, pattern in reversed(_WORDS):
        made = pl.when(text.str.contains(pattern)).then(pl.lit(region)).otherwise(made)
    return made
