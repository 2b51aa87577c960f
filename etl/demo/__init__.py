"""A simulated hospital network that writes what real systems emit.

`simulate` draws the whole history from a seed; `write_demo` turns its last days into DICOM, dose reports, HL7 and CSV
files; `landing_rows` gives the same statements as landing rows, so that a year of history needs no year of files.
Everything in it is invented: names, makers, codes and doses.
"""

from __future__ import annotations

from etl.demo.history import History, simulate
from etl.demo.landing import identities, landing_rows
from etl.demo.settings_text import demo_settings, settings_text
from etl.demo.write import cut, write_demo, write_files

__all__ = [
    "History",
    "cut",
    "demo_settings",
    "identities",
    "landing_rows",
    "settings_text",
    "simulate",
    "write_demo",
    "write_files",
]
