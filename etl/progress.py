"""What a load says while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable

EVERY_SECONDS = 2.0


class Progress:
    """A line every few seconds: what is done, how fast, and about how long the rest takes."""

    def __init__(self, say: Callable[[str], None], files: int) -> None:
        self._say, self._files = say, files
        self._done, self._rows = 0, 0
        self._began = time.monotonic()
        self._next = self._began + EVERY_SECONDS

    def files(self, number: int) -> None:
        """Some files were read."""
        self._done += number
        if self._is_due():
            rate = self._done / (time.monotonic() - self._began)
            left = (self._files - self._done) / rate if rate else 0
            self._say(f"{self._done:,} of {self._files:,} files, {rate:,.0f} a second, about {duration(left)} left")

    def rows(self, number: int) -> None:
        """Some messages or rows of a large file were read."""
        self._rows += number
        if self._is_due():
            rate = self._rows / (time.monotonic() - self._began)
            self._say(f"{self._rows:,} messages and rows of large files, {rate:,.0f} a second")

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + EVERY_SECONDS
        return True


def duration(seconds: float) -> str:
    """`40 s`, `3 min` or `2 h 10 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
