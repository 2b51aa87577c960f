"""What the network images: local procedures, scanner protocols, series and dose recipes. All codes are invented."""

from __future__ import annotations

from typing import NamedTuple

SCHEME = "99MERIDIAN"
"""Coding scheme designator of the network's own procedure codes (private designators start with 99, PS3.16 section 8)."""


class Exposure(NamedTuple):
    """One irradiation event of a protocol, for an adult of 75 kg on an average scanner."""

    name: str
    dose: float
    """CT: CTDIvol in mGy. Projection: DAP in Gy·cm². Mammography: AGD in mGy. Administration: activity in MBq."""
    spread: float
    """σ of the logarithm that size does not explain."""
    length_cm: float = 0.0
    """CT: irradiated length."""
    kvp: float = 0.0
    kind: str = ""
    """CT: spiral or scout. Projection: stationary or fluoroscopy. Mammography: view and side as `CC/R`."""
    seconds: float = 0.0


class Procedure(NamedTuple):
    """One orderable exam."""

    code: str
    text: str
    modality: str
    body_part: str
    section: str
    """Reading section."""
    duration: str
    """Row of `machine_minutes` in the calibration."""
    protocol: str
    series: tuple[str, ...]
    weights: tuple[float, float, float]
    """How often among the modality's exams of emergency, inpatient and outpatient class."""
    read_minutes: float
    price: float
    exposures: tuple[Exposure, ...] = ()
    size_power: float = 0.0
    """How strongly dose grows with patient size (exponent per cm of effective diameter)."""


def _scout(length_cm: float) -> Exposure:
    return Exposure("Scout", 0.12, 0.10, length_cm, 120, "scout", 3.0)


def _spiral(name: str, ctdivol: float, length_cm: float, spread: float = 0.16, kvp: float = 120) -> Exposure:
    return Exposure(name, ctdivol, spread, length_cm, kvp, "spiral", 6.0)


def _view(name: str, dap: float, kvp: float, spread: float = 0.45) -> Exposure:
    return Exposure(name, dap, spread, 0.0, kvp, "stationary", 0.02)


def _fluoro(name: str, dap: float, seconds: float, kvp: float = 75, spread: float = 0.5) -> Exposure:
    return Exposure(name, dap, spread, 0.0, kvp, "fluoroscopy", seconds)


_FOUR_VIEWS = tuple(
    Exposure(f"{side} {view}", 1.35, 0.22, 0.0, 29, f"{view}/{side}", 1.1) for side in "RL" for view in ("CC", "MLO")
)

PROCEDURES: tuple[Procedure, ...] = (
    Procedure(
        "XCH2",
        "XR CHEST 2 VIEWS",
        "XR",
        "CHEST",
        "chest",
        "XR chest 2 views",
        "CHEST PA LAT",
        ("CHEST PA", "CHEST LAT"),
        (0.34, 0.22, 0.34),
        1.6,
        78,
        (_view("CHEST PA", 0.075, 120), _view("CHEST LAT", 0.24, 120)),
        0.06,
    ),
    Procedure(
        "XCHP",
        "XR CHEST PORTABLE",
        "XR",
        "CHEST",
        "chest",
        "XR portable chest",
        "CHEST AP MOBILE",
        ("CHEST AP",),
        (0.16, 0.46, 0.0),
        1.4,
        92,
        (_view("CHEST AP", 0.11, 90),),
        0.06,
    ),
    Procedure(
        "XKNE",
        "XR KNEE 3 VIEWS",
        "XR",
        "KNEE",
        "msk",
        "XR extremity",
        "KNEE",
        ("KNEE AP", "KNEE LAT", "KNEE SUNRISE"),
        (0.10, 0.03, 0.18),
        1.6,
        84,
        (_view("KNEE AP", 0.05, 63), _view("KNEE LAT", 0.05, 63), _view("KNEE SUNRISE", 0.04, 63)),
        0.02,
    ),
    Procedure(
        "XHAN",
        "XR HAND 3 VIEWS",
        "XR",
        "HAND",
        "msk",
        "XR extremity",
        "HAND",
        ("HAND PA", "HAND OBL"),
        (0.13, 0.03, 0.13),
        1.5,
        80,
        (_view("HAND PA", 0.012, 52), _view("HAND OBL", 0.012, 52)),
        0.01,
    ),
    Procedure(
        "XANK",
        "XR ANKLE 3 VIEWS",
        "XR",
        "ANKLE",
        "msk",
        "XR extremity",
        "ANKLE",
        ("ANKLE AP", "ANKLE LAT"),
        (0.13, 0.03, 0.10),
        1.5,
        80,
        (_view("ANKLE AP", 0.02, 57), _view("ANKLE LAT", 0.02, 57)),
        0.01,
    ),
    Procedure(
        "XPEL",
        "XR PELVIS AND HIPS",
        "XR",
        "PELVIS",
        "msk",
        "XR extremity",
        "PELVIS AP",
        ("PELVIS AP",),
        (0.07, 0.09, 0.12),
        1.6,
        88,
        (_view("PELVIS AP", 1.0, 75, 0.5),),
        0.07,
    ),
    Procedure(
        "XABD",
        "XR ABDOMEN 1 VIEW",
        "XR",
        "ABDOMEN",
        "body",
        "XR extremity",
        "ABDOMEN AP",
        ("ABDOMEN AP",),
        (0.04, 0.12, 0.04),
        1.6,
        76,
        (_view("ABDOMEN AP", 1.1, 78, 0.5),),
        0.07,
    ),
    Procedure(
        "XLSP",
        "XR LUMBAR SPINE",
        "XR",
        "LSPINE",
        "msk",
        "XR extremity",
        "LSPINE",
        ("LSPINE AP", "LSPINE LAT"),
        (0.03, 0.02, 0.09),
        2.0,
        96,
        (_view("LSPINE AP", 0.95, 80, 0.5), _view("LSPINE LAT", 1.5, 88, 0.5)),
        0.07,
    ),
    Procedure(
        "CTHW",
        "CT HEAD WITHOUT CONTRAST",
        "CT",
        "HEAD",
        "neuro",
        "CT head without",
        "HEAD ROUTINE",
        ("SCOUT", "HEAD AX 5.0", "HEAD BONE 1.0"),
        (0.42, 0.30, 0.10),
        5.0,
        412,
        (_scout(20), _spiral("HEAD ROUTINE", 47, 16.6, 0.14)),
        0.0,
    ),
    Procedure(
        "CTCH",
        "CT CHEST WITH CONTRAST",
        "CT",
        "CHEST",
        "chest",
        "CT chest with",
        "CHEST ROUTINE",
        ("SCOUT", "CHEST AX 3.0", "CHEST LUNG 1.0"),
        (0.10, 0.22, 0.34),
        9.0,
        538,
        (_scout(40), _spiral("CHEST ROUTINE", 9.0, 36, 0.2)),
        0.045,
    ),
    Procedure(
        "CTAP",
        "CT ABDOMEN PELVIS WITH CONTRAST",
        "CT",
        "ABDOMEN",
        "body",
        "CT abdomen pelvis with",
        "ABD PELVIS ROUTINE",
        ("SCOUT", "ABD AX 3.0", "ABD COR 3.0"),
        (0.36, 0.36, 0.46),
        11.0,
        842,
        (_scout(52), _spiral("ABD PELVIS ROUTINE", 11.0, 48, 0.2)),
        0.045,
    ),
    Procedure(
        "CTPE",
        "CT ANGIOGRAM CHEST",
        "CT",
        "CHEST",
        "chest",
        "CT angiography",
        "CTA CHEST PE",
        ("SCOUT", "MONITORING", "CTA AX 1.0", "CTA MIP 8.0"),
        (0.12, 0.12, 0.10),
        11.0,
        905,
        (
            _scout(36),
            Exposure("MONITORING", 3.2, 0.3, 1.0, 120, "constant", 4.0),
            _spiral("CTA CHEST PE", 8.2, 31, 0.2, 100),
        ),
        0.045,
    ),
    Procedure(
        "MRBR",
        "MR BRAIN WITH AND WITHOUT CONTRAST",
        "MR",
        "BRAIN",
        "neuro",
        "MR brain with/without",
        "BRAIN W WO",
        ("LOC", "T1 SAG", "T2 AX", "FLAIR AX", "DWI AX", "T1 AX POST"),
        (0.70, 0.46, 0.28),
        14.0,
        1240,
    ),
    Procedure(
        "MRCS",
        "MR CERVICAL SPINE",
        "MR",
        "CSPINE",
        "neuro",
        "MR cervical spine",
        "CSPINE WO",
        ("LOC", "T2 SAG", "T1 SAG", "T2 AX"),
        (0.30, 0.20, 0.16),
        12.0,
        1105,
    ),
    Procedure(
        "MRKN",
        "MR KNEE",
        "MR",
        "KNEE",
        "msk",
        "MR knee",
        "KNEE WO",
        ("LOC", "PD SAG FS", "PD COR FS", "PD AX FS", "T1 COR"),
        (0.0, 0.06, 0.38),
        11.0,
        1020,
    ),
    Procedure(
        "MRPR",
        "MR PROSTATE",
        "MR",
        "PROSTATE",
        "body",
        "MR prostate",
        "PROSTATE MP",
        ("LOC", "T2 AX", "T2 COR", "DWI AX", "DCE"),
        (0.0, 0.04, 0.12),
        17.0,
        1390,
    ),
    Procedure(
        "MRMC",
        "MR MRCP",
        "MR",
        "ABDOMEN",
        "body",
        "MR MRCP",
        "MRCP",
        ("LOC", "T2 HASTE COR", "MRCP 3D", "T1 AX"),
        (0.0, 0.24, 0.06),
        13.0,
        1180,
    ),
    Procedure(
        "USAB",
        "US ABDOMEN COMPLETE",
        "US",
        "ABDOMEN",
        "body",
        "US abdomen",
        "ABDOMEN",
        ("ABDOMEN",),
        (0.66, 0.62, 0.72),
        4.0,
        236,
    ),
    Procedure(
        "USVE",
        "US VENOUS LOWER EXTREMITY",
        "US",
        "LEG",
        "body",
        "US venous",
        "VENOUS LE",
        ("VENOUS",),
        (0.34, 0.38, 0.28),
        4.0,
        288,
    ),
    Procedure(
        "MGSC",
        "MG SCREENING BILATERAL",
        "MG",
        "BREAST",
        "breast",
        "MG screening",
        "SCREENING",
        ("R CC", "R MLO", "L CC", "L MLO"),
        (0.0, 0.0, 0.8),
        3.0,
        192,
        _FOUR_VIEWS,
        0.03,
    ),
    Procedure(
        "MGDX",
        "MG DIAGNOSTIC UNILATERAL",
        "MG",
        "BREAST",
        "breast",
        "MG diagnostic",
        "DIAGNOSTIC",
        ("R CC", "R MLO"),
        (0.0, 0.0, 0.2),
        7.0,
        244,
        _FOUR_VIEWS[:2],
        0.03,
    ),
    Procedure(
        "NMBS",
        "NM BONE SCAN WHOLE BODY",
        "NM",
        "WHOLEBODY",
        "nuclear",
        "NM bone (camera)",
        "BONE WB",
        ("WB STATIC",),
        (0.0, 1.0, 1.0),
        9.0,
        640,
        (Exposure("Tc-99m MDP", 720, 0.08),),
    ),
    Procedure(
        "PTWB",
        "PET CT WHOLE BODY FDG",
        "PT",
        "WHOLEBODY",
        "nuclear",
        "PT/CT whole body",
        "WB FDG",
        ("PET WB AC",),
        (0.0, 1.0, 1.0),
        20.0,
        2450,
        (Exposure("F-18 FDG", 330, 0.12),),
    ),
    Procedure(
        "RFUG",
        "RF UPPER GI SERIES",
        "RF",
        "ABDOMEN",
        "body",
        "RF barium",
        "UPPER GI",
        ("FLUORO SPOTS",),
        (0.0, 1.0, 1.0),
        6.0,
        402,
        (_fluoro("FLUORO 7.5 P/S", 6.2, 150), _view("SPOT ABDOMEN", 1.6, 85, 0.4), _view("SPOT STOMACH", 1.2, 85, 0.4)),
        0.05,
    ),
    Procedure(
        "XADX",
        "XA DIAGNOSTIC ANGIOGRAM",
        "XA",
        "HEART",
        "interventional",
        "XA diagnostic",
        "CORONARY LEFT",
        ("CORONARY RUNS",),
        (0.0, 0.7, 0.8),
        15.0,
        3120,
        (
            _fluoro("CARDIAC 15 P/S", 14, 330),
            Exposure("CINE LAO", 9.5, 0.4, 0.0, 80, "stationary", 6.0),
            Exposure("CINE RAO", 9.0, 0.4, 0.0, 80, "stationary", 6.0),
        ),
        0.06,
    ),
    Procedure(
        "XAIR",
        "IR INTERVENTION VASCULAR",
        "XA",
        "ABDOMEN",
        "interventional",
        "IR intervention",
        "ABDOMEN EMBO",
        ("DSA RUNS",),
        (0.0, 0.3, 0.2),
        18.0,
        5240,
        (
            _fluoro("ABDOMEN 7.5 P/S", 48, 1100),
            Exposure("DSA ABDOMEN 1", 26, 0.5, 0.0, 82, "stationary", 9.0),
            Exposure("DSA ABDOMEN 2", 24, 0.5, 0.0, 82, "stationary", 9.0),
        ),
        0.06,
    ),
    Procedure(
        "CTST",
        "CT HEAD STROKE ALERT",
        "CT",
        "HEAD",
        "neuro",
        "CT head without",
        "HEAD ROUTINE",
        ("SCOUT", "HEAD AX 5.0", "HEAD BONE 1.0"),
        (0.05, 0.0, 0.0),
        4.0,
        412,
        (_scout(20), _spiral("HEAD ROUTINE", 47, 16.6, 0.14)),
        0.0,
    ),
    Procedure(
        "CTLS",
        "CT LUMBAR SPINE REFORMATS",
        "CT",
        "LSPINE",
        "neuro",
        "CT abdomen pelvis with",
        "LSPINE REFORMATS",
        ("LSPINE SAG 2.0",),
        (0.0, 0.0, 0.0),
        6.0,
        310,
    ),
    Procedure(
        "CTQC",
        "QC WATER PHANTOM",
        "CT",
        "HEAD",
        "physics",
        "CT head without",
        "QC WATER",
        ("QC WATER 5.0",),
        (0.0, 0.0, 0.0),
        0.0,
        0,
        (_spiral("QC WATER", 30, 10.0, 0.01),),
        0.0,
    ),
    Procedure(
        "MGQC",
        "QC ACR PHANTOM",
        "MG",
        "BREAST",
        "physics",
        "MG screening",
        "QC ACR",
        ("QC CC",),
        (0.0, 0.0, 0.0),
        0.0,
        0,
        (Exposure("QC CC", 1.3, 0.02, 0.0, 28, "CC/R", 1.0),),
        0.0,
    ),
)

STROKE, REFORMATS, PORTABLE = "CTST", "CTLS", "XCHP"
"""Codes of procedures with a path of their own: stroke alerts, reformats that share an acquisition, mobile radiographs."""
QC = {"CT": "CTQC", "MG": "MGQC"}
"""Quality control by modality: images of a phantom, which nobody orders."""


def index_of(code: str) -> int:
    """The place of a procedure in `PROCEDURES`."""
    return next(index for index, procedure in enumerate(PROCEDURES) if procedure.code == code)


BY_MODALITY: dict[str, tuple[int, ...]] = {}
for _index, _procedure in enumerate(PROCEDURES):
    BY_MODALITY[_procedure.modality] = (*BY_MODALITY.get(_procedure.modality, ()), _index)

CLASS_INDEX = {"E": 0, "I": 1, "O": 2}
