"""Demand forecasts: series, calendar, models, intervals, back-tests."""
