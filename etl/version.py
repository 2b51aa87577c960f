"""Which version of the program made something."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path


@cache
def code_version() -> str:
    """The version in `pyproject.toml`."""
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])
