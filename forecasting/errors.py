"""What forecasting refuses, in words for whoever brought the data."""

from __future__ import annotations


class SeriesError(Exception):
    """Series that cannot be forecast; the message names file, line or series, and what to do."""
