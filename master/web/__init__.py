"""The HTTP edge: the routes of endpoints.py, health, and answers that need no operation."""
