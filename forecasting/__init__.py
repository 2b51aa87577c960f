"""Demand forecasts will live here: series, models, backtests and capacity, over the measures of `warehouse`."""
