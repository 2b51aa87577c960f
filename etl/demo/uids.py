"""Unique identifiers under 2.25, the root for UUIDs (PS3.5 annex B.2), from the simulator's own generator."""

from __future__ import annotations

import numpy as np

_VERSION_4 = (0x4 << 76) | (0x2 << 62)
_CLEARED = ~((0xF << 76) | (0x3 << 62)) & ((1 << 128) - 1)


def uids(rng: np.random.Generator, count: int) -> list[str]:
    """That many new UIDs."""
    data = rng.bytes(16 * count)
    return [f"2.25.{int.from_bytes(data[k : k + 16], 'big') & _CLEARED | _VERSION_4}" for k in range(0, 16 * count, 16)]
