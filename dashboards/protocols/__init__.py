"""CT and other protocols: across scanners, over time, before and after a change, with the range that is expected."""
