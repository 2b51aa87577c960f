"""Radiation dose: structured reports, dose in image headers, concepts and units."""
