"""The unit that a file states to the unit of our column, through one table; an unknown unit is never guessed."""

from __future__ import annotations

from decimal import Decimal

_FACTORS: dict[str, dict[str, str]] = {
    "mGy": {"mGy": "1", "Gy": "1000", "dGy": "100", "cGy": "10", "uGy": "0.001", "nGy": "0.000001", "rad": "10"},
    "mSv": {"mSv": "1", "Sv": "1000", "uSv": "0.001"},
    "mGy·cm": {
        "mGy.cm": "1", "mGycm": "1", "Gy.cm": "1000", "Gycm": "1000", "cGy.cm": "10", "uGy.m": "0.1", "mGy.m": "100",
    },
    "Gy·cm²": {
        "Gy.cm2": "1", "Gycm2": "1", "Gy.m2": "10000", "Gym2": "10000", "dGy.cm2": "0.1", "dGycm2": "0.1",
        "cGy.cm2": "0.01", "cGycm2": "0.01", "mGy.cm2": "0.001", "mGycm2": "0.001", "uGy.cm2": "0.000001",
        "uGycm2": "0.000001", "mGy.m2": "10", "mGym2": "10", "uGy.m2": "0.01", "uGym2": "0.01",
    },
    "MBq": {"MBq": "1", "Bq": "0.000001", "kBq": "0.001", "GBq": "1000", "mCi": "37", "uCi": "0.037", "Ci": "37000"},
    "Bq/mol": {"Bq/mol": "1", "kBq/mol": "1000", "MBq/mol": "1000000", "GBq/mol": "1000000000", "GBq/umol": "1E+15"},
    "mSv/(mGy·cm)": {"mSv/mGy.cm": "1", "mSv/(mGy.cm)": "1", "mSv.mGy-1.cm-1": "1"},
    "kV": {"kV": "1", "kVp": "1", "V": "0.001"},
    "mA": {"mA": "1", "A": "1000", "uA": "0.001"},
    "mAs": {"mA.s": "1", "mAs": "1", "uA.s": "0.001", "uAs": "0.001", "A.s": "1000", "As": "1000", "mC": "1"},
    "s": {"s": "1", "sec": "1", "ms": "0.001", "us": "0.000001", "min": "60", "h": "3600"},
    "ms": {"ms": "1", "s": "1000", "us": "0.001"},
    "mm": {"mm": "1", "cm": "10", "m": "1000", "um": "0.001"},
    "mm Al": {"mm": "1", "mmAl": "1", "cm": "10", "um": "0.001"},
    "cm²": {"cm2": "1", "mm2": "0.01", "m2": "10000", "dm2": "100"},
    "°": {"deg": "1", "degree": "1", "°": "1", "rad": "57.29577951308232"},
    "N": {"N": "1", "daN": "10", "kN": "1000"},
    "1/s": {
        "{pulse}/s": "1", "{pulses}/s": "1", "pulse/s": "1", "{frame}/s": "1", "{frames}/s": "1", "/s": "1", "1/s": "1",
        "s-1": "1", "Hz": "1",
    },
    "1": {
        "1": "1", "{ratio}": "1", "ratio": "1", "{events}": "1", "events": "1", "{event}": "1", "{pulse}": "1",
        "{pulses}": "1", "{frames}": "1", "{frame}": "1", "no units": "1", "{no units}": "1",
    },
}  # fmt: skip
"""Our unit to the units of files (UCUM, which is case-sensitive, and what vendors write), each with its factor."""

FACTORS: dict[str, dict[str, Decimal]] = {
    ours: {theirs: Decimal(factor) for theirs, factor in table.items()} for ours, table in _FACTORS.items()
}

_PLAIN = str.maketrans({"·": ".", "*": ".", "²": "2", "^": "", " ": "", "µ": "u", "μ": "u"})


def factor(stated: str, ours: str) -> Decimal | None:
    """What a figure in the stated unit is multiplied by to be in ours; None where the unit is not known for it."""
    table = FACTORS[ours]
    return table.get(stated) or table.get(stated.translate(_PLAIN))
