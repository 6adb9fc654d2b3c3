"""Runs against a Master of its own: the demo, crashes, restarts."""
