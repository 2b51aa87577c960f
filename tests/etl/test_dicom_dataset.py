"""The byte-level reader gives what pydicom gives, element by element, on every shared DICOM file."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from etl.sources.contract import Input
from etl.sources.dicom import tags
from etl.sources.dicom.dataset import Buffer, DamagedError, DataSet, TruncatedError, read_data_set
from etl.sources.dicom.file import open_dicom
from settings import Limits

SHARED = Path(__file__).parents[3] / "shared" / "data"
FILES = sorted(
    path
    for folder in ("dose/files", "workflow/dicom", "bad/dicom")
    for path in (SHARED / folder).glob("*")
    if path.read_bytes()[128:134] == b"DICM\x02\x00"
)
UNLIKE = {
    "pydicom-rtplan_truncated.dcm": "cut: pydicom reads it in silence, we refuse",
    "pydicom-meta_missing_tsyntax.dcm": "no transfer syntax: pydicom guesses, we refuse",
    "fo-dicom-GH179B.dcm": "cut in an element's header",
    "pydicom-DICOMDIR-nooffset": "an item runs past the end of its sequence",
    "pydicom-data-explicit_VR-UN.dcm": "pydicom converts VR UN itself; compared by the header truths",
}


def opened(content: bytes) -> DataSet:
    return open_dicom(Input("file", len(content), lambda: io.BytesIO(content)), Limits()).data


def same(ours: DataSet, theirs: Dataset, where: str) -> None:
    tag_list = [int(tag) for tag in list(theirs.keys()) if int(tag) >> 16 != 0x7FE0]
    assert sorted(tag for tag in ours.elements if tag >> 16 != 0x7FE0) == sorted(tag_list), where
    for tag in tag_list:
        element = theirs.get_item(tag)
        if isinstance(element, RawDataElement) and isinstance(element.value, bytes) and element.VR not in {"SQ", "UN"}:
            if tag != tags.CHARACTER_SET:
                assert ours.raw(tag) == element.value, f"{where} {tag:08X}"
            continue
        value = theirs[tag]
        if value.VR == "SQ":
            items = ours.items(tag)
            assert len(items) == len(value.value), f"{where} {tag:08X}"
            for number, (item, other) in enumerate(zip(items, value.value, strict=True)):
                same(item, other, f"{where} {tag:08X}[{number}]")


@pytest.mark.skipif(not FILES, reason="the shared DICOM files are not there")
@pytest.mark.parametrize("path", [path for path in FILES if path.name not in UNLIKE], ids=lambda path: path.name)
def test_elements_equal_those_of_pydicom(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        same(opened(path.read_bytes()), theirs, path.name)


def sample() -> Dataset:
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    data.SOPInstanceUID, data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3.4.5", "1.2.3.4.6", "1.2.3.4.7"
    data.StudyDescription = "Schädel · 頭部"
    data.KVP, data.SpiralPitchFactor = "120", 0.85
    outer, inner = Dataset(), Dataset()
    inner.CodeValue, inner.CodeMeaning = "113690", "Köpf"
    outer.CTDIPhantomTypeCodeSequence = [inner]
    data.ExposureDoseSequence = [outer, Dataset()]
    return data


def encoded(syntax: str, undefined: bool = False) -> bytes:
    data = sample()
    if undefined:
        data["ExposureDoseSequence"].is_undefined_length = True
        data.ExposureDoseSequence[0].is_undefined_length_sequence_item = True
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_one_data_set_in_every_encoding(syntax: str, undefined: bool) -> None:
    data = opened(encoded(syntax, undefined))
    assert data.text(tags.STUDY_DESCRIPTION) == "Schädel · 頭部"
    assert data.numbers(tags.PITCH, "d") == [0.85]
    first, second = data.items(tags.EXPOSURE_DOSE)
    (phantom,) = first.items(tags.CTDI_PHANTOM)
    assert (phantom.text(tags.CODE_VALUE), phantom.text(tags.CODE_MEANING)) == ("113690", "Köpf")
    assert second.elements == {}


@pytest.mark.parametrize(("names", "raw", "text", "flagged"), [
    ((), b"plain", "plain", False),
    ((), b"M\xfcller", "Müller", True),
    (("ISO_IR 100",), b"M\xfcller", "Müller", False),
    (("ISO_IR 192",), "Müller".encode(), "Müller", False),
    (("ISO_IR 192",), b"M\xfcller", "Müller", True),
    (("ISO_IR 999",), b"M\xfcller", "Müller", True),
    (("ISO 222 IR 87 \0DA",), b"M\xfcller", "Müller", True),
    (("GB18030",), "王".encode("gb18030"), "王", False),
    (("", "ISO 2022 IR 87"), b"\x1b$B;3ED\x1b(B", "山田", False),
])  # fmt: skip
def test_character_sets(names: tuple[str, ...], raw: bytes, text: str, flagged: bool) -> None:
    buffer = Buffer(raw)
    data = DataSet(buffer, explicit=True, charset=names)
    data.elements[tags.INSTITUTION] = (b"LO", 0, len(raw), None)
    assert data.text(tags.INSTITUTION) == text
    assert bool(buffer.flags) is flagged


def nested(depth: int) -> bytes:
    """An undefined-length sequence in a sequence in a sequence, explicit little endian."""
    start = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    return start * depth + end * depth


@pytest.mark.parametrize(("depth", "reason"), [(64, None), (65, "nesting-too-deep"), (10_000, "nesting-too-deep")])
def test_nesting_has_a_limit_of_ours(depth: int, reason: str | None) -> None:
    content = nested(depth)
    data = DataSet(Buffer(content), explicit=True)
    if reason is None:
        assert read_data_set(data, 0, len(content)) == len(content)
    else:
        with pytest.raises(DamagedError) as caught:
            read_data_set(data, 0, len(content))
        assert caught.value.reason == reason


def test_a_length_of_4_gb_is_refused_without_being_believed() -> None:
    content = encoded(ExplicitVRLittleEndian) + b"\x10\x00\x00\x40UT\0\0\xf0\xff\xff\xff"
    with pytest.raises(TruncatedError):
        opened(content)


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_end_in_a_data_set_or_a_reason(content: bytes, explicit: bool) -> None:
    data = DataSet(Buffer(content), explicit)
    with contextlib.suppress(DamagedError):
        assert read_data_set(data, 0, len(content)) <= len(content)
        for tag in data.elements:
            data.text(tag)
            data.items(tag)
