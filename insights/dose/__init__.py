"""Dose outliers: three readers side by side, why each exam stands out, alerts that are raised once."""
