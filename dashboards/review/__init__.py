"""The radiation safety office's day: what crossed a rule, why, what was decided, and who signed it."""
