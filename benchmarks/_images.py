"""CT images with the headers that scanners write: a hundred elements, code sequences, private blocks, half a megabyte of pixels."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SLICES = 60
"""Images of one series."""
_PIXEL_BYTES = 512 * 512 * 2
_TEXTS = {
    "SpecificCharacterSet": "ISO_IR 100",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "Modality": "CT",
    "Manufacturer": "Example Imaging",
    "ManufacturerModelName": "Model 64",
    "InstitutionName": "North Hospital",
    "InstitutionalDepartmentName": "Radiology",
    "StationName": "CT01",
    "DeviceSerialNumber": "10001",
    "SoftwareVersions": ["1.2", "3.4"],
    "StudyDescription": "CT chest with contrast",
    "SeriesDescription": "Thorax 3.0 axial",
    "ProtocolName": "Chest routine",
    "PatientSex": "F",
    "PatientBirthDate": "19600401",
    "PatientAge": "065Y",
    "PatientSize": "1.68",
    "PatientWeight": "71.5",
    "BodyPartExamined": "CHEST",
    "ScanOptions": "HELICAL",
    "SliceThickness": "3.0",
    "KVP": "120",
    "DataCollectionDiameter": "500",
    "ReconstructionDiameter": "360",
    "DistanceSourceToDetector": "1085.6",
    "DistanceSourceToPatient": "595",
    "GantryDetectorTilt": "0",
    "TableHeight": "152.5",
    "RotationDirection": "CW",
    "ExposureTime": "500",
    "XRayTubeCurrent": "210",
    "Exposure": "105",
    "FilterType": "BODY FILTER",
    "GeneratorPower": "42",
    "FocalSpots": ["1.2"],
    "ConvolutionKernel": "B40f",
    "PatientPosition": "FFS",
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "PositionReferenceIndicator": "SN",
    "PixelSpacing": ["0.703125", "0.703125"],
    "PhotometricInterpretation": "MONOCHROME2",
    "WindowCenter": ["40", "-600"],
    "WindowWidth": ["400", "1500"],
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
    "RequestedProcedureDescription": "CT chest",
}
_NUMBERS = {
    "SamplesPerPixel": 1,
    "Rows": 512,
    "Columns": 512,
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
    "PixelRepresentation": 0,
    "SingleCollimationWidth": 0.6,
    "TotalCollimationWidth": 38.4,
    "TableSpeed": 46.0,
    "TableFeedPerRotation": 23.0,
    "SpiralPitchFactor": 0.6,
    "CTDIvol": 7.25,
}


def write_images(folder: Path, count: int, pixel_bytes: int = _PIXEL_BYTES) -> None:
    """Writes CT images, one study a series of 60."""
    began = datetime(2026, 3, 2, 7, 30)
    for number in range(count):
        exam, place = divmod(number, SLICES)
        data = _study(exam, began + timedelta(minutes=20 * exam))
        _instance(data, place, began + timedelta(minutes=20 * exam, seconds=place / 4))
        data.PixelData = b"\0" * pixel_bytes
        below = folder / f"study{exam:05d}"
        below.mkdir(parents=True, exist_ok=True)
        data.save_as(below / f"{place:03d}.dcm", enforce_file_format=True)


def _study(exam: int, at: datetime) -> Dataset:
    """What all images of a study have in common."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = CTImageStorage
    for name, value in {**_TEXTS, **_NUMBERS}.items():
        setattr(data, name, value)
    data.PatientName, data.PatientID = f"Example^Patient{exam}", f"N{exam:07d}"
    data.AccessionNumber, data.StudyID = f"A{exam:08d}", str(exam)
    data.StudyInstanceUID = generate_uid(entropy_srcs=["study", str(exam)])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=["series", str(exam)])
    data.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame", str(exam)])
    data.IrradiationEventUID = generate_uid(entropy_srcs=["event", str(exam)])
    data.SeriesNumber, data.AcquisitionNumber = 2, 1
    for name in ("Study", "Series", "PerformedProcedureStepStart"):
        setattr(data, f"{name}Date", f"{at:%Y%m%d}")
        setattr(data, f"{name}Time", f"{at:%H%M%S}")
    data.ProcedureCodeSequence = [_code("CTCHEST", "CT chest with contrast")]
    request = Dataset()
    request.AccessionNumber, request.RequestedProcedureID, request.ScheduledProcedureStepID = (
        data.AccessionNumber,
        "RP1",
        "S1",
    )
    data.RequestAttributesSequence = [request]
    for group in (0x0019, 0x0021, 0x0029):
        block = data.private_block(group, "EXAMPLE CT HEADER", create=True)
        for element in range(20):
            block.add_new(element, "LO", f"private {element}")
    return data


def _instance(data: Dataset, place: int, at: datetime) -> None:
    """What tells one image from the next."""
    data.SOPInstanceUID = generate_uid(entropy_srcs=["image", data.StudyInstanceUID, str(place)])
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.InstanceNumber = place + 1
    data.ImagePositionPatient, data.SliceLocation = ["-180", "-180", f"{-3 * place}"], f"{-3 * place}"
    for name in ("Acquisition", "Content"):
        setattr(data, f"{name}Date", f"{at:%Y%m%d}")
        setattr(data, f"{name}Time", f"{at:%H%M%S.%f}")


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99LOCAL", meaning
    return item
