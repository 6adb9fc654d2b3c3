"""A run's output for people: tables, a live view, plots."""
