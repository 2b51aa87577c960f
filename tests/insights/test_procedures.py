from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insights.procedures import (
    CATALOGUE,
    OWN,
    REGIONS,
    VARIANTS,
    Local,
    Target,
    described,
    looks_like_no_exam,
    of_modality,
    scheme_of,
    suggest,
)

EXPECTED = [
    # words, modality, code of the first suggestion
    ("CT HEAD WITHOUT CONTRAST", "CT", "CT-HEAD-WO"),
    ("CT BRAIN W/O", "CT", "CT-HEAD-WO"),
    ("CT Abdomen/Pelvis w contrast", "CT", "CT-ABDPEL-W"),
    ("CT chest abdomen & pelvis with contrast", "CT", "CT-CAP-W"),
    ("CT ANGIOGRAM CHEST", "CT", "CT-CHEST-ANGIO"),
    ("CTA chest PE protocol", "CT", "CT-CHEST-ANGIO"),
    ("CT thoracic spine", "CT", "CT-TSPINE-WO"),
    ("CT THORAX LOW DOSE", "CT", "CT-CHEST-LOWDOSE"),
    ("MR BRAIN WITH AND WITHOUT CONTRAST", "MR", "MR-HEAD-WWO"),
    ("MRI L-Spine wo", "MR", "MR-LSPINE-WO"),
    ("MRCP", "MR", "MR-BILIARY-WO"),
    ("MR SHOULDER ARTHROGRAM", "MR", "MR-SHOULDER-ARTHRO"),
    ("XR CHEST 2 VIEWS", "XR", "XR-CHEST-2V"),
    ("Chest PA and lateral", "DX", "XR-CHEST-2V"),
    ("CHEST PORTABLE", "CR", "XR-CHEST-1V"),
    ("XR HAND 3 VIEWS", "XR", "XR-HAND"),
    ("US VENOUS LOWER EXTREMITY", "US", "US-LEGVEIN-DOPPLER"),
    ("MG SCREENING BILATERAL", "MG", "MG-BREAST-SCREEN"),
    ("NM BONE SCAN WHOLE BODY", "NM", "NM-BONES"),
    ("PET CT WHOLE BODY FDG", "PT", "PT-BODY"),
    ("RF UPPER GI SERIES", "RF", "RF-STOMACH-FLUORO"),
]


@pytest.mark.parametrize(("text", "modality", "code"), EXPECTED)
def test_a_local_procedure_is_recognised_by_its_words(text: str, modality: str, code: str) -> None:
    found = suggest(Local(1, None, text, modality))
    assert (found[0].target.scheme, found[0].target.code) == (OWN, code)


def test_the_protocol_helps_where_the_words_say_no_region() -> None:
    assert suggest(Local(1, "X1", "MR routine", "MR", protocol="Knee"))[0].target.code == "MR-KNEE-WO"
    assert suggest(Local(1, "X1", "MR routine", "MR")) == []


def test_the_words_give_the_modality_where_the_star_knows_none() -> None:
    assert suggest(Local(1, None, "CT head without contrast", None))[0].target.code == "CT-HEAD-WO"


def test_a_stated_code_comes_before_words_and_a_mapping_elsewhere_before_both() -> None:
    local = Local(1, "A", "CT head without contrast", "CT", stated_code="123-4", stated_scheme="LN")
    assert [one.target.scheme for one in suggest(local)[:2]] == ["LN", OWN]
    elsewhere = Local(2, "B", "Schaedel", "CT", stated_code="123-4", stated_scheme="LOINC")
    target = Target("CT-HEAD-WO", OWN, "CT head without contrast")
    first = suggest(local, [(elsewhere, target)])[0]
    assert (first.target, first.why) == (target, "same stated code, mapped so elsewhere")


def test_a_procedure_is_no_example_of_itself() -> None:
    local = Local(1, "A", "Something unheard of", "CT")
    assert suggest(local, [(local, Target("X", OWN, "x"))]) == []


@pytest.mark.parametrize(
    ("stated", "scheme"),
    [
        ("LN", "LN"),
        ("LOINC", "LN"),
        ("http://loinc.org", "LN"),
        ("RADLEX", "RADLEX"),
        ("99LOCAL", "99LOCAL"),
        (None, ""),
    ],
)
def test_schemes_have_one_spelling(stated: str | None, scheme: str) -> None:
    assert scheme_of(stated) == scheme


def test_a_local_code_that_messages_state_is_no_public_code() -> None:
    local = Local(1, "A", "unheard of", "CT", stated_code="123", stated_scheme="99LOCAL")
    assert suggest(local) == []


def test_phantoms_look_like_no_exam() -> None:
    assert looks_like_no_exam(Local(1, None, "QC WATER PHANTOM", "CT"))
    assert not looks_like_no_exam(Local(1, None, "CT HEAD", "CT"))


def test_the_catalogue_is_whole() -> None:
    assert len(CATALOGUE) >= 120
    assert len({one.name for one in CATALOGUE.values()}) == len(CATALOGUE)
    for code, one in CATALOGUE.items():
        assert code == one.code
        assert one.region in REGIONS
        assert not one.variant or one.variant in VARIANTS


def test_every_standard_procedure_is_found_by_its_own_name() -> None:
    for one in CATALOGUE.values():
        first = suggest(Local(1, None, one.name, one.modality))[0]
        assert first.target.code == one.code, one.name


def test_the_list_of_a_modality_holds_its_own_alone() -> None:
    assert {one.modality for one in of_modality("CR")} == {"XR"}
    assert len(of_modality(None)) == len(CATALOGUE)


def test_no_region_is_guessed_from_two_that_do_not_go_together() -> None:
    assert described("CT head and knee")[0] is None


@given(st.text(max_size=60), st.sampled_from(["CT", "MR", "XR", "US", None, "??"]))
def test_any_words_give_ordered_suggestions_or_none(text: str, modality: str | None) -> None:
    scores = [one.score for one in suggest(Local(1, text, text, modality, protocol=text))]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
