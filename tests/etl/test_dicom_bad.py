"""Malformed and odd DICOM files: one verdict each, and no traceback (`bad/manifest.json` and its catalogue)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from etl.sources.contract import Context, Input, Offered, Verdict
from etl.sources.dicom.reader import READER
from settings import Settings
from state.identity import Pseudonymiser

BAD = Path(__file__).parents[3] / "shared" / "data" / "bad"
pytestmark = pytest.mark.skipif(not BAD.is_dir(), reason="the shared malformed inputs are not there")
CONTEXT = Context(Settings(), Pseudonymiser(b"k" * 32))
FILES = {
    entry["file"].removeprefix("dicom/"): entry
    for entry in (json.loads((BAD / "manifest.json").read_text())["files"] if BAD.is_dir() else [])
    if entry["file"].startswith("dicom/")
}
ARCHIVES = {"dwv-dwv-test_bad.zip", "pydicom-zipMR.gz"}
"""Opened by the loader under its limits; never claimed here."""

CHOSEN = {
    "pydicom-badVR.dcm": "RT Dose: not applicable, which the manifest allows",
    "pydicom-rtdose_1frame.dcm": "RT Dose: not applicable, which the manifest allows",
}
VERDICTS = {
    "accept": Verdict.ACCEPTED,
    "accept-flagged": Verdict.ACCEPTED,
    "skip": Verdict.NOT_APPLICABLE,
    "reject": Verdict.REJECTED,
}
REASONS = {
    "dcm4che-no_preamble_dicm_in_data": "not-dicom-part10",
    "pydicom-no_meta.dcm": "not-dicom-part10",
    "pydicom-rtplan_truncated.dcm": "truncated",
    "fo-dicom-GH179B.dcm": "malformed",
    "pydicom-meta_missing_tsyntax.dcm": "no-transfer-syntax",
    "fo-dicom-GH223.dcm": "missing-study-uid",
    "fo-dicom-GH340.dcm": "missing-sop-class",
    "orthanc-tests-Issue111.dcm": "missing-sop-class",
    "dwv-dwv-test_no-number-rows.dcm": "missing-sop-class",
    "pydicom-UN_sequence.dcm": "missing-sop-class",
    "pydicom-chrSQEncoding1.dcm": "missing-sop-class",
    "pydicom-nested_priv_SQ.dcm": "missing-sop-class",
    "pydicom-empty_charset_LEI.dcm": "missing-sop-class",
    "pydicom-DICOMDIR-nooffset": "dicomdir",
    "orthanc-tests-Issue137.dcm": "unsupported-sop-class",
    "dcm4che-report_dfl": "not-a-dose-report",
}
FLAGS = {
    "dcm4che-3gb-bulk-data-truncated": "pixel-data-short: 3221225472 bytes declared, 98080 are there",
    "pydicom-MR_truncated.dcm": "pixel-data-short: 8192 bytes declared, 8130 are there",
    "pydicom-data-emri_small_jpeg_2k_lossless_too_short.dcm": "pixel-data-short: the encapsulated pixel data has no end",
    "orthanc-tests-2026-05-26-oob-monochrome-65535.dcm": "(0028,0010): the matrix needs 8589672450 bytes, the pixel data has 256",
    "pydicom-SC_rgb_jpeg.dcm": "(0002,0010): vr-mismatch, the data set is encoded otherwise and read as found",
    "pydicom-data-explicit_VR-UN.dcm": "(0008,0016): VR UN, decoded by dictionary",
    "fo-dicom-GH1301.dcm": "(0010,0040): bad-code, F, M or O expected",
    "dcmjs-no-meta-length-test.dcm": "(0020,000E): uid-too-short to be unique",
}


def load(name: str) -> Offered:
    path = BAD / "dicom" / name
    source = Input(name, path.stat().st_size, lambda: path.open("rb"))
    assert READER.claims(source.head(), name, CONTEXT.settings)
    (offered,) = READER.read(source, CONTEXT)
    return offered


@pytest.mark.parametrize("name", sorted(FILES.keys() - ARCHIVES))
def test_verdict(name: str) -> None:
    offered = load(name)
    expected = VERDICTS[FILES[name]["expected"]]
    if name in CHOSEN:
        expected = Verdict.NOT_APPLICABLE
    assert offered.verdict is expected
    assert len(offered.digest) == 64
    if offered.verdict is Verdict.ACCEPTED:
        table = "workflow" if name.endswith(".wl") else "series"
        assert offered.rows[table][0]["study_uid"]
    else:
        assert offered.rows == {}
        assert offered.reject is not None
        assert offered.reject.message.endswith(".")
        assert offered.reject.remedy.endswith(".")
    if name in REASONS:
        assert offered.reject is not None
        assert offered.reject.reason == REASONS[name]
    if name in FLAGS:
        assert FLAGS[name] in offered.rows["series"][0]["flags"]


@pytest.mark.parametrize("name", sorted(ARCHIVES & FILES.keys()))
def test_archives_are_not_claimed(name: str) -> None:
    assert not READER.claims((BAD / "dicom" / name).read_bytes()[:4096], name, CONTEXT.settings)


@pytest.mark.parametrize("folder", ["csv", "fhir", "hl7", "json", "text"])
def test_nothing_else_is_claimed(folder: str) -> None:
    for path in (BAD / folder).iterdir():
        assert not READER.claims(path.read_bytes()[:4096], path.name, CONTEXT.settings), path.name


def test_big_endian_gives_the_facts_of_its_twin() -> None:
    big = load("pydicom-MR_small_bigendian.dcm").rows["series"][0]
    little = load("pydicom-MR_small_padded.dcm").rows["series"][0]
    for column in (
        "study_uid",
        "series_uid",
        "started_at",
        "protocol",
        "manufacturer",
        "station",
        "patient",
        "instances",
    ):
        assert big[column] == little[column]


def test_identifying_text_lands_in_no_column() -> None:
    """Issue146: PatientID and other texts hold a name."""
    offered = load("orthanc-tests-Issue146.dcm")
    (identity,) = offered.identities
    assert identity.original not in json.dumps(offered.rows, default=str)
    assert offered.rows["series"][0]["modality"] is None


def test_one_study_with_two_patients_lands_twice() -> None:
    rows = [load(f"orthanc-tests-Issue131-{part}.dcm").rows["series"][0] for part in "ab"]
    assert rows[0]["study_uid"] == rows[1]["study_uid"]
    assert rows[0]["patient"] != rows[1]["patient"]


@pytest.mark.parametrize(("head", "name", "claimed"), [
    (b"", "empty.dcm", True),
    (b"", "empty", False),
    (b"\0" * 4096, "zeros", False),
    (b"\x1f\x8b\x08" + b"\0" * 200, "a.dcm", False),
    (b"PK\x03\x04" + b"\0" * 200, "a.dcm", False),
    (b"MSH|^~\\&|", "a.hl7", False),
    (b"II*\0" + b"\0" * 124 + b"DICM\x02\x00\x00\x00UL\x04\x00", "tiff", True),
])  # fmt: skip
def test_claims(head: bytes, name: str, claimed: bool) -> None:
    assert READER.claims(head, name, CONTEXT.settings) is claimed
