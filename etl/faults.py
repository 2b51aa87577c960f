"""Named points at which a test may kill or starve a load. Nothing happens unless `ISOCENTER_FAULT` names one.

`ISOCENTER_FAULT=landing:2` ends the process without warning at the second passage of `landing`; `=landing:2:full` raises
"no space left on device" there instead.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter

POINTS = (
    "vault",
    "pending",
    "landing",
    "receipt",
    "commit",
    "index",
    "derive",
    "star",
    "check",
    "publication",
    "pointer",
    "tidy",
)
"""Every point, in the order in which a load passes them."""

PULL_POINTS = ("fetch", "spool", "cursor", "sweep")
"""Those of a pull, around the load: files fetched, ready to load, cursor written beside, cursor in place."""

_passed: Counter[str] = Counter()


def fault(point: str) -> None:
    """Marks a point; acts only where the environment asks for it.

    Raises:
        OSError: ENOSPC, where the environment asks for a full disk.
    """
    wanted = os.environ.get("ISOCENTER_FAULT")
    if not wanted:
        return
    name, _, rest = wanted.partition(":")
    number, _, kind = rest.partition(":")
    if name != point:
        return
    _passed[point] += 1
    if _passed[point] == int(number or 1):
        if kind == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.kill(os.getpid(), signal.SIGKILL)
