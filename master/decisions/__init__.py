"""Decisions: pure functions over frozen records, with `now` passed in."""
