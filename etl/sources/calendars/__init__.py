"""Calendars of staffed hours, closures and downtime: iCalendar and CSV."""
