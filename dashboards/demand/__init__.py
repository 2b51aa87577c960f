"""What is coming: the forecast of exams, and how good such forecasts were."""
