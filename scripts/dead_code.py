"""Finds code that nothing uses: vulture with the rules of pyproject.toml, less attributes of DICOM data sets."""

from __future__ import annotations

import sys

from pydicom.datadict import keyword_dict
from vulture import Vulture
from vulture.config import make_config

KEYWORDS = frozenset(keyword_dict)
"""`dataset.PatientID = ...` writes an element; nothing has to read the attribute."""


def main() -> int:
    """0 where all code is used, else 1 with a line for each place."""
    rules = make_config([])
    vulture = Vulture(ignore_names=rules["ignore_names"], ignore_decorators=rules["ignore_decorators"])
    vulture.scavenge(rules["paths"])
    unused = [item for item in vulture.get_unused_code() if not (item.typ == "attribute" and item.name in KEYWORDS)]
    for item in unused:
        print(f"{item.filename}:{item.first_lineno}: {item.message}", file=sys.stderr)
    return 1 if unused else 0


if __name__ == "__main__":
    sys.exit(main())
