"""The dose page: how dose spreads by protocol and scanner, how it moves, the highest events, one event in full."""
