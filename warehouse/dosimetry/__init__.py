"""Dosimetry: bands, size-specific dose, reference levels, estimates. Pure functions and tables with their sources."""
