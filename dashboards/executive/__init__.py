"""The executive page: headline measures with their variation, what changed, one measure in full."""
