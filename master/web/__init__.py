"""The HTTP edge: routes of the table in endpoints.py, health, and what only the edge can answer."""
