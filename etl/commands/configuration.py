"""`configuration`: every setting as it holds now, secrets masked."""

from __future__ import annotations

import argparse
import json
from typing import Any

from etl.commands.command import Command, Say
from settings import Settings


def _run(_: argparse.Namespace, settings: Settings, say: Say) -> tuple[int, Any, str]:
    del say
    shown = settings.shown()
    return 0, shown, json.dumps(shown, indent=1)


COMMAND = Command("configuration", "show every setting as it holds now, secrets masked", lambda _: None, _run, 10)
