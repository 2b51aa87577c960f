"""Everything as received, append-only."""
