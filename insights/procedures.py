"""Standard imaging procedures of our own, and which of them a local procedure is likely to be.

The catalogue is modality × region × contrast, view or kind, in our own words with our own codes (`CT-HEAD-WO`); it holds
nothing of LOINC or RadLex, whose tables have licences of their own. Codes of public schemes come from the messages of
the hospital or are typed by its stewards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

OWN = "own"
"""Scheme of the codes of `CATALOGUE`."""
MOST_SUGGESTIONS = 5
CERTAIN, LIKELY, POSSIBLE = 1.0, 0.75, 0.4
"""Scores: mapped so by people elsewhere; nothing speaks against it; the region alone fits."""


@dataclass(frozen=True)
class Standard:
    """One standard procedure."""

    code: str
    name: str
    modality: str
    region: str
    variant: str
    """Contrast, view or kind: a key of `VARIANTS`, or empty."""


@dataclass(frozen=True)
class Local:
    """A local procedure, as the star knows it."""

    key: int
    code: str | None
    text: str | None
    modality: str | None
    protocol: str | None = None
    """Scanner protocol most often used for it."""
    stated_code: str | None = None
    stated_scheme: str | None = None


@dataclass(frozen=True)
class Target:
    """What a local procedure is mapped to."""

    code: str
    scheme: str
    name: str


@dataclass(frozen=True)
class Suggestion:
    """A target with how sure it is and why."""

    target: Target
    score: float
    """0 to 1."""
    why: str


REGIONS: Mapping[str, tuple[str, str]] = {
    "HEAD": ("head", "head|brain|cranium|cranial|cerebral|skull|intracranial"),
    "SINUS": ("sinuses", "sinus|sinuses|paranasal sinuses"),
    "FACE": ("face", "face|facial|facial bones|maxillofacial|mandible"),
    "ORBIT": ("orbits", "orbit|orbits"),
    "EAR": ("temporal bones", "temporal bone|temporal bones|iac|internal auditory canal|petrous"),
    "SELLA": ("pituitary", "pituitary|sella"),
    "NECK": ("neck", "neck|cervical soft tissue|soft tissue neck"),
    "THYROID": ("thyroid", "thyroid"),
    "CAROTID": ("carotid arteries", "carotid|carotids"),
    "CSPINE": ("cervical spine", "cervical spine|c spine|cspine|spine cervical"),
    "TSPINE": ("thoracic spine", "thoracic spine|t spine|tspine|dorsal spine|spine thoracic"),
    "LSPINE": ("lumbar spine", "lumbar spine|l spine|lspine|lumbosacral spine|lumbar|spine lumbar"),
    "SPINE": ("whole spine", "whole spine|spine|total spine|scoliosis"),
    "CHEST": ("chest", "chest|thorax|thoracic|lung|lungs|pulmonary|mediastinum"),
    "RIBS": ("ribs", "rib|ribs"),
    "HEART": ("heart", "heart|cardiac|coronary|coronaries|myocardial|myocardium"),
    "AORTA": ("aorta", "aorta|aortic"),
    "BREAST": ("breast", "breast|breasts|mammo|mammogram|mammography|mamma|tomosynthesis"),
    "ABD": ("abdomen", "abdomen|abdominal|abd|kub"),
    "ABDPEL": ("abdomen and pelvis", "abdomen pelvis|abdomen and pelvis|abd pelvis|abd pel|abdpel|a p"),
    "CAP": ("chest, abdomen and pelvis", "chest abdomen pelvis|chest abdomen and pelvis|cap"),
    "LIVER": ("liver", "liver|hepatic|gallbladder|ruq|right upper quadrant"),
    "BILIARY": ("bile ducts", "mrcp|biliary|bile ducts|cholangiography|cholangiopancreatography|hepatobiliary|hida"),
    "KIDNEY": ("kidneys", "kidney|kidneys|renal|urinary tract|ureter|ureters"),
    "BOWEL": ("small bowel", "bowel|small bowel|enterography|enteroclysis"),
    "COLON": ("colon", "colon|colonography|colonoscopy|barium enema|large bowel"),
    "GULLET": ("oesophagus", "oesophagus|esophagus|esophagram|swallow|barium swallow|swallowing"),
    "STOMACH": ("stomach", "stomach|upper gi|gastric|upper gastrointestinal"),
    "PELVIS": ("pelvis", "pelvis|pelvic|pelvis hips|pelvis and hips"),
    "PROSTATE": ("prostate", "prostate|prostatic"),
    "UTERUS": ("uterus and ovaries", "uterus|ovaries|transvaginal|gynaecological|gynecological"),
    "FETUS": ("pregnancy", "obstetric|obstetrical|pregnancy|fetal|foetal|fetus|ob"),
    "SCROTUM": ("scrotum", "scrotum|scrotal|testis|testes|testicular"),
    "SHOULDER": ("shoulder", "shoulder|clavicle|scapula"),
    "HUMERUS": ("upper arm", "humerus|upper arm"),
    "ELBOW": ("elbow", "elbow"),
    "FOREARM": ("forearm", "forearm|radius|ulna"),
    "WRIST": ("wrist", "wrist|scaphoid"),
    "HAND": ("hand", "hand|hands|finger|fingers|thumb"),
    "HIP": ("hip", "hip|hips"),
    "FEMUR": ("thigh", "femur|thigh"),
    "KNEE": ("knee", "knee|knees|patella"),
    "LOWERLEG": ("lower leg", "tibia|fibula|tib fib|lower leg"),
    "ANKLE": ("ankle", "ankle"),
    "FOOT": ("foot", "foot|feet|toe|toes|calcaneus|heel"),
    "LEGVEIN": ("leg veins", "leg veins|dvt|deep vein|deep venous|venous lower extremity|lower extremity venous|venous leg"),
    "LEGART": ("leg arteries", "leg arteries|runoff|run off|peripheral|lower extremity arterial|arterial leg"),
    "BONES": ("skeleton", "bone|skeleton|skeletal|whole body bone"),
    "BODY": ("whole body", "whole body|wholebody|skull base to mid thigh|eyes to thighs|vertex to thigh|fdg"),
    "LUNGVQ": ("lung ventilation and perfusion", "lung ventilation and perfusion|ventilation perfusion|v q|vq|lung perfusion|lung scan"),
}  # fmt: skip
"""Region: its name, and the words that mean it."""

VARIANTS: Mapping[str, tuple[str, str]] = {
    "WO": ("without contrast", "without contrast|without iv contrast|wo contrast|without|wo|w o|non contrast|noncontrast|unenhanced|native|plain"),
    "W": ("with contrast", "with contrast|with iv contrast|w contrast|with|w|contrast|enhanced|iv|post contrast"),
    "WWO": ("without and with contrast", "without and with contrast|with and without contrast|without and with|with and without|w wo contrast|w wo|wo w|w and wo|w w o|pre and post"),
    "ANGIO": ("angiography", "angio|angiogram|angiography|cta|mra|arteriogram|pe protocol|pulmonary embolism|pe"),
    "VENO": ("venography", "venogram|venography|ctv|mrv"),
    "PERF": ("perfusion", "perfusion|stress"),
    "CALC": ("calcium score", "calcium|calcium score|calcium scoring"),
    "LOWDOSE": ("screening, low dose", "low dose|ldct|lung cancer screening"),
    "COLONO": ("colonography", "colonography|virtual colonoscopy"),
    "UROG": ("urography", "urography|urogram|haematuria|hematuria"),
    "STONE": ("stones, low dose", "stone|stones|renal colic|calculi"),
    "ARTHRO": ("arthrography", "arthrogram|arthrography"),
    "1V": ("one view", "1 view|one view|single view|portable|ap|pa|1v|bedside|mobile"),
    "2V": ("two views", "2 views|two views|2 view|2v|pa and lateral|pa lateral|pa lat|ap lateral|ap and lateral|ap lat"),
    "3V": ("three views or more", "3 views|three views|3v|3 view|4 views|5 views|complete|minimum 3 views"),
    "SCREEN": ("screening", "screening|screen"),
    "DIAG": ("diagnostic", "diagnostic|diag|additional views|symptomatic"),
    "DOPPLER": ("Doppler", "doppler|duplex"),
    "LIMITED": ("limited", "limited|follow up|fast"),
    "BIOPSY": ("guided biopsy", "biopsy|fna|aspiration"),
    "DRAIN": ("guided drainage", "drainage|drain"),
    "EMBOL": ("embolisation", "embolisation|embolization"),
    "STENT": ("angioplasty and stent", "angioplasty|stent|pta|pci"),
    "LINE": ("central line", "picc|central line|port|catheter placement|venous access"),
    "TAVI": ("valve implantation", "tavi|tavr|valve"),
    "FLUORO": ("fluoroscopy", "fluoroscopy|fluoro|modified barium|video swallow"),
}  # fmt: skip
"""Contrast, view or kind: its words in a name, and the words that mean it."""

_CONTRAST = ("WO", "W", "WWO")

_PLAN: Mapping[str, tuple[tuple[str, str], ...]] = {
    "CT": (
        ("HEAD", "WO W WWO ANGIO VENO PERF"), ("SINUS", "WO"), ("FACE", "WO"), ("ORBIT", "WO"), ("EAR", "WO"),
        ("NECK", "W ANGIO"), ("CSPINE", "WO"), ("TSPINE", "WO"), ("LSPINE", "WO"), ("CHEST", "WO W ANGIO LOWDOSE"),
        ("HEART", "ANGIO CALC"), ("AORTA", "ANGIO"), ("ABD", "WO W WWO"), ("ABDPEL", "WO W WWO ANGIO"), ("CAP", "WO W"),
        ("LIVER", "WWO"), ("KIDNEY", "STONE UROG"), ("COLON", "COLONO"), ("BOWEL", "W"), ("PELVIS", "WO W"),
        ("HIP", "WO"), ("KNEE", "WO"), ("SHOULDER", "WO"), ("ANKLE", "WO"), ("LEGART", "ANGIO"), ("ABD", "BIOPSY DRAIN"), ("CHEST", "BIOPSY"),
    ),
    "MR": (
        ("HEAD", "WO W WWO ANGIO VENO"), ("SELLA", "WWO"), ("ORBIT", "WWO"), ("EAR", "WWO"), ("NECK", "WWO ANGIO"),
        ("CSPINE", "WO WWO"), ("TSPINE", "WO WWO"), ("LSPINE", "WO WWO"), ("SPINE", "WO WWO"), ("HEART", "WWO PERF"),
        ("BREAST", "WWO"), ("ABD", "WO WWO"), ("LIVER", "WWO"), ("BILIARY", "WO"), ("BOWEL", "WWO"), ("PELVIS", "WO WWO"),
        ("PROSTATE", "WO WWO"), ("SHOULDER", "WO ARTHRO"), ("ELBOW", "WO"), ("WRIST", "WO"), ("HIP", "WO"), ("KNEE", "WO"),
        ("ANKLE", "WO"), ("FOOT", "WO"), ("BODY", "WO"),
    ),
    "XR": (
        ("CHEST", "1V 2V"), ("RIBS", ""), ("ABD", "1V 2V"), ("HEAD", ""), ("FACE", ""), ("CSPINE", ""), ("TSPINE", ""), ("LSPINE", ""),
        ("SPINE", ""), ("PELVIS", ""), ("HIP", ""), ("FEMUR", ""), ("KNEE", "1V 3V"), ("LOWERLEG", ""), ("ANKLE", ""), ("FOOT", ""),
        ("SHOULDER", ""), ("HUMERUS", ""), ("ELBOW", ""), ("FOREARM", ""), ("WRIST", ""), ("HAND", ""), ("BONES", ""),
    ),
    "US": (
        ("ABD", " LIMITED"), ("LIVER", ""), ("KIDNEY", " DOPPLER"), ("PELVIS", ""), ("UTERUS", ""), ("FETUS", ""), ("SCROTUM", ""),
        ("THYROID", " BIOPSY"), ("NECK", ""), ("CAROTID", "DOPPLER"), ("BREAST", " BIOPSY"), ("LEGVEIN", "DOPPLER"), ("LEGART", "DOPPLER"),
        ("AORTA", ""), ("HEART", ""), ("SHOULDER", ""),
    ),
    "MG": (("BREAST", "SCREEN DIAG BIOPSY"),),
    "NM": (("BONES", ""), ("HEART", "PERF"), ("LUNGVQ", ""), ("KIDNEY", ""), ("THYROID", ""), ("BILIARY", ""), ("STOMACH", "")),
    "PT": (("BODY", ""), ("HEAD", ""), ("HEART", "PERF"), ("PROSTATE", "")),
    "RF": (("GULLET", "FLUORO"), ("STOMACH", "FLUORO"), ("COLON", "FLUORO"), ("BOWEL", "FLUORO")),
    "XA": (
        ("HEAD", "ANGIO EMBOL"), ("HEART", "ANGIO STENT TAVI"), ("LEGART", "ANGIO STENT"), ("ABD", "ANGIO EMBOL DRAIN"), ("CHEST", "LINE"),
    ),
}  # fmt: skip
"""Modality: regions with their variants, an empty one between spaces being the procedure as such."""

_USUAL_REGION = {"MG": "BREAST"}
"""Region of a modality that images nothing else."""
_NO_EXAM = frozenset({"phantom", "qc", "qa", "test", "service", "calibration", "constancy"})
_ALIKE = {"CR": "XR", "DX": "XR", "RG": "XR", "PET": "PT", "PT/CT": "PT", "MRI": "MR", "MRA": "MR", "CTA": "CT"}
_JOINED = (
    (frozenset({"CHEST", "ABD", "PELVIS"}), "CAP"),
    (frozenset({"CHEST", "ABDPEL"}), "CAP"),
    (frozenset({"ABD", "PELVIS"}), "ABDPEL"),
    (frozenset({"PELVIS", "HIP"}), "PELVIS"),
    (frozenset({"BONES", "BODY"}), "BONES"),
)


def _standard(modality: str, region: str, variant: str) -> Standard:
    noun = "brain" if (modality, region) in {("MR", "HEAD"), ("PT", "HEAD")} else REGIONS[region][0]
    words = f"{noun} {VARIANTS[variant][0]}" if variant else noun
    return Standard(
        "-".join(filter(None, (modality, region, variant))), f"{modality} {words}", modality, region, variant
    )


CATALOGUE: Mapping[str, Standard] = {
    one.code: one
    for modality, regions in _PLAN.items()
    for region, variants in regions
    for one in (_standard(modality, region, variant) for variant in (variants.split(" ") if variants else ("",)))
}
"""All standard procedures by code."""


def of_modality(modality: str | None) -> list[Standard]:
    """The standard procedures of a modality by name, all of them where it is unknown."""
    ours = _modality(modality)
    return sorted((one for one in CATALOGUE.values() if ours in {None, one.modality}), key=lambda one: one.name)


def suggest(local: Local, mapped: Iterable[tuple[Local, Target]] = ()) -> list[Suggestion]:
    """What a local procedure is likely to be, the likeliest first.

    Args:
        mapped: procedures that people confirmed, with their targets: the same stated code or the same words elsewhere
            mean the same.
    """
    found = [*_as_elsewhere(local, mapped), *_as_stated(local), *_by_words(local)]
    best: dict[tuple[str, str], Suggestion] = {}
    for one in found:
        best.setdefault((one.target.scheme, one.target.code), one)
    return sorted(best.values(), key=lambda one: -one.score)[:MOST_SUGGESTIONS]


def looks_like_no_exam(local: Local) -> bool:
    """Whether its words are those of a phantom, a test or a service measurement."""
    return not _NO_EXAM.isdisjoint(_plain(local.text).split())


def scheme_of(stated: str | None) -> str:
    """A coding scheme as the star names it: RADLEX, LN, or as it was stated."""
    text = (stated or "").strip().casefold()
    if text in {"ln", "loinc", "http://loinc.org"}:
        return "LN"
    if text.startswith("radlex") or text in {"rpid", "http://radlex.org", "http://www.radlex.org"}:
        return "RADLEX"
    return (stated or "").strip()


def _as_elsewhere(local: Local, mapped: Iterable[tuple[Local, Target]]) -> list[Suggestion]:
    answer = []
    for other, target in mapped:
        if other.key == local.key:
            continue
        stated = bool(local.stated_code) and (other.stated_code, scheme_of(other.stated_scheme)) == (
            local.stated_code,
            scheme_of(local.stated_scheme),
        )
        worded = bool(local.text) and _plain(other.text) == _plain(local.text) and other.modality == local.modality
        if stated or worded:
            answer.append(
                Suggestion(
                    target, CERTAIN, "mapped so elsewhere" if worded else "same stated code, mapped so elsewhere"
                )
            )
    return answer


def _as_stated(local: Local) -> list[Suggestion]:
    """The code of a public scheme that messages give; its name is the local one, for its table is not here."""
    scheme = scheme_of(local.stated_scheme)
    if not local.stated_code or scheme not in {"LN", "RADLEX"}:
        return []
    name = local.text or local.code or local.stated_code
    return [Suggestion(Target(local.stated_code, scheme, name), 0.95, "the code that messages state")]


def _by_words(local: Local) -> list[Suggestion]:
    modality = _modality(local.modality) or _spoken_modality(local)
    region, variants = described(local.text, local.code)
    if region is None and local.protocol:
        region, more = described(local.protocol)
        variants = variants or more
    region = region or _USUAL_REGION.get(modality or "")
    ours = [one for one in CATALOGUE.values() if one.modality == modality and one.region == region]
    known = frozenset(one.variant for one in ours)
    answer = [_suggested(one, variants, known) for one in ours]
    return sorted(answer, key=lambda found: (-found.score, found.target.code))


def described(*texts: str | None) -> tuple[str | None, frozenset[str]]:
    """Region and variants that some words mean; no region where none or several that do not go together are named."""
    plain = _plain(" ".join(text for text in texts if text))
    regions, rest = _taken(plain, _REGION_WORDS)
    variants, _ = _taken(rest, _VARIANT_WORDS)
    if {"W", "WO"} <= variants:
        variants |= {"WWO"}
    if "WWO" in variants:
        variants -= {"W", "WO"}
    if variants & {"ANGIO", "VENO"}:
        variants -= {"W"}  # angiography is with contrast
    return _joined(regions), frozenset(variants)


def _suggested(one: Standard, named: frozenset[str], known: frozenset[str]) -> Suggestion:
    score, why = _fit(one.variant, named & known, known)
    return Suggestion(Target(one.code, OWN, one.name), score, why)


def _fit(variant: str, named: frozenset[str], known: frozenset[str]) -> tuple[float, str]:
    """How well a variant of the right region fits.

    Args:
        named: variants that the words name and the region has.
        known: all variants that the region has.
    """
    kinds = named - set(_CONTRAST)
    if variant in named and (variant in kinds or not kinds):
        return 0.9, "region and kind fit" if variant in kinds else "region and contrast fit"
    if len(known) == 1 or (not variant and not named):
        return LIKELY, "region fits"
    if not named:
        return (
            POSSIBLE + 0.1 if variant in {"WO", "1V"} else POSSIBLE
        ), "region fits; contrast, view or kind is not said"
    return POSSIBLE / 2, "region fits, the rest differs"


def _joined(regions: set[str]) -> str | None:
    for parts, whole in _JOINED:
        if parts <= regions:
            regions = (regions - parts) | {whole}
    return next(iter(regions)) if len(regions) == 1 else None


def _words(table: Mapping[str, tuple[str, str]]) -> list[tuple[str, str]]:
    """Phrases with what they mean, the longest first, so that `thoracic spine` is no chest."""
    pairs = [(phrase, key) for key, (_, phrases) in table.items() for phrase in phrases.split("|")]
    return sorted(pairs, key=lambda pair: (-len(pair[0].split()), -len(pair[0]), pair[0]))


_REGION_WORDS, _VARIANT_WORDS = _words(REGIONS), _words(VARIANTS)


def _taken(text: str, phrases: Sequence[tuple[str, str]]) -> tuple[set[str], str]:
    """What the phrases in a text mean, and the text without them."""
    found = set()
    padded = f" {text} "
    for phrase, key in phrases:
        if f" {phrase} " in padded:
            found.add(key)
            padded = padded.replace(f" {phrase} ", " | ")
    return found, padded.strip()


def _plain(text: str | None) -> str:
    """Lower-case words without punctuation."""
    return " ".join(re.findall(r"[a-z0-9]+", (text or "").casefold()))


def _modality(stated: str | None) -> str | None:
    return _ALIKE.get(stated or "", stated) or None


def _spoken_modality(local: Local) -> str | None:
    """The modality that the words name, where the star knows none."""
    words = _plain(" ".join(filter(None, (local.text, local.code)))).upper().split()
    return next((_ALIKE.get(word, word) for word in words if _ALIKE.get(word, word) in _PLAN), None)
