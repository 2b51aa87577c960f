"""A patient's dose history, for those with the right and a reason."""
