"""From landing rows to dimensions and facts."""
