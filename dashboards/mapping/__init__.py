"""Local procedures and the standard ones that they are mapped to."""
