"""When scanners are staffed, closed or down, and what people entered about it."""
