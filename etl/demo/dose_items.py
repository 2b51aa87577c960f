"""Which figures a dose report or an image header states, in which unit, and below which containers (PS3.16 TID 10001 to 10013)."""

from __future__ import annotations

from typing import NamedTuple


class Coded(NamedTuple):
    """A coded concept, and what readers keep of it."""

    value: str
    scheme: str
    meaning: str
    kept: str | None = None

    @property
    def written(self) -> str:
        """As PS3.16 prints codes."""
        return f'({self.value}, {self.scheme}, "{self.meaning}")'


class Figure(NamedTuple):
    """One number of an event or report."""

    concept: Coded
    column: str
    """Our column; the frame holds it as an integer in the last decimal of the file."""
    unit: str
    unit_meaning: str
    decimals: int
    """Decimals in the file."""
    power: int = 0
    """Our unit is the file's times ten to this power."""
    above: tuple[str, ...] = ()
    """Codes of the containers between the event and the figure."""


class Choice(NamedTuple):
    """One coded value of an event: the frame holds the key into `CODES`."""

    concept: Coded
    column: str
    above: tuple[str, ...] = ()


class Label(NamedTuple):
    """One text of an event."""

    concept: Coded
    column: str


def _dcm(value: str, meaning: str) -> Coded:
    return Coded(value, "DCM", meaning)


CODES: dict[str, Coded] = {
    "head": Coded("69536005", "SCT", "Head", "Head"),
    "chest": Coded("51185008", "SCT", "Chest", "Chest"),
    "abdomen": Coded("113345001", "SCT", "Abdomen", "Abdomen"),
    "pelvis": Coded("12921003", "SCT", "Pelvis", "Pelvis"),
    "leg": Coded("61685007", "SCT", "Lower limb", "Lower limb"),
    "arm": Coded("53120007", "SCT", "Upper limb", "Upper limb"),
    "spine": Coded("421060004", "SCT", "Spine", "Spine"),
    "heart": Coded("80891009", "SCT", "Heart", "Heart"),
    "breast": Coded("76752008", "SCT", "Breast", "Breast"),
    "spiral": Coded("116152004", "SCT", "Spiral Acquisition", "116152004"),
    "scout": Coded("113805", "DCM", "Constant Angle Acquisition", "113805"),
    "constant": Coded("113806", "DCM", "Stationary Acquisition", "113806"),
    "head16": Coded("113690", "DCM", "IEC Head Dosimetry Phantom", "head16"),
    "body32": Coded("113691", "DCM", "IEC Body Dosimetry Phantom", "body32"),
    "single": Coded("113622", "DCM", "Single Plane", "single"),
    "fluoroscopy": Coded("44491008", "SCT", "Fluoroscopy", "44491008"),
    "stationary": Coded("113611", "DCM", "Stationary Acquisition", "113611"),
    "isocentre": Coded("113860", "DCM", "15cm from Isocenter toward Source", "113860"),
    "L": Coded("7771000", "SCT", "Left", "L"),
    "R": Coded("24028007", "SCT", "Right", "R"),
    "CC": Coded("399162004", "SCT", "cranio-caudal", "CC"),
    "MLO": Coded("399368009", "SCT", "medio-lateral oblique", "MLO"),
    "W": Coded("2770002", "SCT", "Tungsten or Tungsten compound", "Tungsten or Tungsten compound"),
}
"""Coded values: what stands in the file and what our column keeps."""

REGIONS = {
    "CHEST": "chest",
    "KNEE": "leg",
    "HAND": "arm",
    "ANKLE": "leg",
    "PELVIS": "pelvis",
    "ABDOMEN": "abdomen",
    "LSPINE": "spine",
    "HEAD": "head",
    "BREAST": "breast",
    "HEART": "heart",
}
"""Body part (0018,0015) to the target region."""

PARAMETERS, SOURCE, CT_DOSE = ("113822",), ("113822", "113831"), ("113829",)
CT_SIZE = (*CT_DOSE, "113930")
ANATOMY = ("91723000",)
PROTOCOL = Label(_dcm("125203", "Acquisition Protocol"), "acquisition_protocol")
REGION = Choice(_dcm("123014", "Target Region"), "target_region")

CT_ITEMS: tuple[Figure | Choice | Label, ...] = (
    PROTOCOL,
    REGION,
    Choice(_dcm("113820", "CT Acquisition Type"), "acquisition_type"),
    Figure(_dcm("113824", "Exposure Time"), "exposure_time_s", "s", "s", 2, 0, PARAMETERS),
    Figure(_dcm("113825", "Scanning Length"), "scan_length_mm", "mm", "mm", 1, 0, PARAMETERS),
    Figure(_dcm("113826", "Nominal Single Collimation Width"), "collimation_single_mm", "mm", "mm", 3, 0, PARAMETERS),
    Figure(_dcm("113827", "Nominal Total Collimation Width"), "collimation_total_mm", "mm", "mm", 1, 0, PARAMETERS),
    Figure(_dcm("113828", "Pitch Factor"), "pitch", "{ratio}", "ratio", 3, 0, PARAMETERS),
    Figure(_dcm("113823", "Number of X-Ray Sources"), "sources", "{X-Ray sources}", "X-Ray sources", 0, 0, PARAMETERS),
    Figure(_dcm("113733", "KVP"), "kvp", "kV", "kV", 0, 0, SOURCE),
    Figure(_dcm("113833", "Maximum X-Ray Tube Current"), "tube_current_max_ma", "mA", "mA", 0, 0, SOURCE),
    Figure(_dcm("113734", "X-Ray Tube Current"), "tube_current_ma", "mA", "mA", 0, 0, SOURCE),
    Figure(_dcm("113834", "Exposure Time per Rotation"), "rotation_time_s", "s", "s", 2, 0, SOURCE),
    Figure(_dcm("113830", "Mean CTDIvol"), "ctdivol_mgy", "mGy", "mGy", 2, 0, CT_DOSE),
    Choice(_dcm("113835", "CTDIw Phantom Type"), "ctdi_phantom", CT_DOSE),
    Figure(_dcm("113838", "DLP"), "dlp_mgycm", "mGy.cm", "mGy.cm", 2, 0, CT_DOSE),
    Figure(_dcm("113930", "Size Specific Dose Estimation"), "ssde_stated_mgy", "mGy", "mGy", 2, 0, CT_DOSE),
    Figure(_dcm("113933", "Derived Effective Diameter"), "size_effective_diameter_mm", "mm", "mm", 0, 0, CT_SIZE),
)
"""TID 10013."""

PROJECTION_ITEMS: tuple[Figure | Choice | Label, ...] = (
    Choice(_dcm("113764", "Acquisition Plane"), "plane"),
    Choice(_dcm("113721", "Irradiation Event Type"), "event_type"),
    PROTOCOL,
    REGION,
    Figure(_dcm("122130", "Dose Area Product"), "dap_gycm2", "Gy.m2", "Gy.m2", 9, 4),
    Figure(_dcm("113738", "Dose (RP)"), "rp_air_kerma_mgy", "Gy", "Gy", 6, 3),
    Choice(_dcm("113780", "Reference Point Definition"), "reference_point"),
    Figure(_dcm("112011", "Positioner Primary Angle"), "primary_angle_deg", "deg", "degrees", 1),
    Figure(_dcm("112012", "Positioner Secondary Angle"), "secondary_angle_deg", "deg", "degrees", 1),
    Figure(_dcm("113791", "Pulse Rate"), "pulse_rate_per_s", "{pulse}/s", "pulse/s", 1),
    Figure(_dcm("113768", "Number of Pulses"), "pulses", "1", "no units", 0),
    Figure(_dcm("113742", "Irradiation Duration"), "irradiation_duration_s", "s", "s", 2),
    Figure(_dcm("113733", "KVP"), "kvp", "kV", "kV", 0),
    Figure(_dcm("113734", "X-Ray Tube Current"), "tube_current_ma", "mA", "mA", 0),
    Figure(_dcm("113824", "Exposure Time"), "exposure_time_s", "ms", "ms", 0, -3),
    Figure(_dcm("113736", "Exposure"), "exposure_mas", "uA.s", "uA.s", 0, -3),
)
"""TID 10003 with 10003B and 10003C."""

MAMMOGRAPHY_ITEMS: tuple[Figure | Choice | Label, ...] = (
    Choice(_dcm("113764", "Acquisition Plane"), "plane"),
    Choice(_dcm("113721", "Irradiation Event Type"), "event_type"),
    PROTOCOL,
    Choice(Coded("91723000", "SCT", "Anatomical structure"), "anatomy"),
    Choice(Coded("272741003", "SCT", "Laterality"), "laterality", ANATOMY),
    Choice(_dcm("111031", "Image View"), "view"),
    REGION,
    Figure(_dcm("111634", "Half Value Layer"), "hvl_mm_al", "mm", "mm", 3),
    Figure(_dcm("111631", "Average Glandular Dose"), "agd_mgy", "mGy", "mGy", 3),
    Figure(_dcm("113733", "KVP"), "kvp", "kV", "kV", 0),
    Figure(_dcm("113824", "Exposure Time"), "exposure_time_s", "ms", "ms", 0, -3),
    Figure(_dcm("113736", "Exposure"), "exposure_mas", "uA.s", "uA.s", 0, -3),
    Choice(_dcm("111632", "Anode Target Material"), "anode_material"),
    Figure(_dcm("111633", "Compression Thickness"), "compression_thickness_mm", "mm", "mm", 0),
    Figure(_dcm("111647", "Compression Force"), "compression_force_n", "N", "Newton", 0),
)
"""TID 10003 of a mammography unit."""

CT_TOTALS = (
    Figure(_dcm("113812", "Total Number of Irradiation Events"), "events_stated", "{events}", "events", 0),
    Figure(_dcm("113813", "CT Dose Length Product Total"), "dlp_total_mgycm", "mGy.cm", "mGy.cm", 2),
)
"""TID 10012."""
XRAY_TOTALS = (
    Figure(_dcm("113722", "Dose Area Product Total"), "dap_total_gycm2", "Gy.m2", "Gy.m2", 9, 4),
    Figure(_dcm("113725", "Dose (RP) Total"), "rp_air_kerma_total_mgy", "Gy", "Gy", 6, 3),
    Figure(_dcm("113726", "Fluoro Dose Area Product Total"), "dap_fluoro_total_gycm2", "Gy.m2", "Gy.m2", 9, 4),
    Figure(_dcm("113730", "Total Fluoro Time"), "fluoro_time_total_s", "s", "s", 2),
    Figure(
        _dcm("113727", "Acquisition Dose Area Product Total"), "dap_acquisition_total_gycm2", "Gy.m2", "Gy.m2", 9, 4
    ),
    Figure(_dcm("113731", "Total Number of Radiographic Frames"), "frames_total", "1", "no units", 0),
)
"""TID 10004 and 10007."""
BREAST_TOTAL = Figure(_dcm("111637", "Accumulated Average Glandular Dose"), "agd_total", "mGy", "mGy", 3)
BREASTS = (
    ("agd_total_left_mgy", "L", Coded("80248007", "SCT", "Left breast")),
    ("agd_total_right_mgy", "R", Coded("73056007", "SCT", "Right breast")),
)
"""TID 10005: one row a breast."""
SINGLE_PLANE = Choice(_dcm("113764", "Acquisition Plane"), "plane")


class Tag(NamedTuple):
    """One header element that is a figure; the element's keyword is pydicom's."""

    path: str
    keyword: str
    column: str
    unit: str
    decimals: int
    power: int = 0


PROJECTION_TAGS = (
    Tag("(0018,115E)", "ImageAndFluoroscopyAreaDoseProduct", "dap_gycm2", "dGy.cm2", 4, -1),
    Tag("(0018,1411)", "ExposureIndex", "exposure_index", "1", 0),
    Tag("(0018,0060)", "KVP", "kvp", "kV", 0),
    Tag("(0018,1153)", "ExposureInuAs", "exposure_mas", "uA.s", 0, -3),
)
MAMMOGRAPHY_TAGS = (
    Tag("(0040,0316)", "OrganDose", "agd_mgy", "dGy", 5, 2),
    Tag("(0018,11A0)", "BodyPartThickness", "compression_thickness_mm", "mm", 0),
    Tag("(0018,11A2)", "CompressionForce", "compression_force_n", "N", 0),
    Tag("(0018,0060)", "KVP", "kvp", "kV", 0),
    Tag("(0018,1153)", "ExposureInuAs", "exposure_mas", "uA.s", 0, -3),
)
PET_TAGS = (
    Tag("(0018,1074)", "RadionuclideTotalDose", "activity_mbq", "Bq", 0, -6),
    Tag("(0018,1075)", "RadionuclideHalfLife", "half_life_s", "s", 1),
)
NM_TAGS = (
    Tag("(0018,1074)", "RadionuclideTotalDose", "activity_mbq", "MBq", 1),
    Tag("(0018,1075)", "RadionuclideHalfLife", "half_life_s", "s", 1),
)
"""Figures of image headers, in the order in which a reader meets them."""
