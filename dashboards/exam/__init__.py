"""Exams: the rows behind any chart, and one exam with what gave each of its values."""
