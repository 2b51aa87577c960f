"""The commands of `python -m insights`, one module each."""
