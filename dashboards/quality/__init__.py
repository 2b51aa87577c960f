"""How good the data is, where the people who can mend it see it, and what they decided about it."""
